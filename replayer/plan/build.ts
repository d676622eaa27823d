/**
 * A plan from a recording: gather, place points, scan; then the waits in the form that executing needs (sessions and ordinals, in
 * shared memory). A function of recording and catalog only.
 */
import type { Catalog } from '../../segment/catalog.js'
import type { StatementFacts } from '../../segment/facts.js'
import type { Manifest } from '../../segment/manifest.js'
import type { Session } from '../../segment/statement.js'
import { loadParser } from '../../sql/parse.js'
import type { Plan } from '../run/plan-shape.js'
import { parallelism } from './explain.js'
import { gather } from './gather.js'
import type { Gathered } from './gathered.js'
import type { PlanContent } from './plan-file.js'
import { inOrder, type Points, placePoints } from './points.js'
import { lookingAt } from './resting.js'
import { scan, type Waits } from './scan.js'

export type PlanSource = {
  readonly manifest: Pick<Manifest, 'catalog' | 'server'>
  readonly statementCount: number
  sessions(): readonly Session[]
  /** In the order of seq; each is good until the next one is asked for. */
  facts(): Iterable<StatementFacts>
}

/** The plan with what led to it, for explaining and for the comparison with production. */
export type PlanInFull = {
  readonly plan: Plan
  readonly gathered: Gathered
  readonly points: Points
  /** All of it in the order of the points. */
  readonly events: Uint32Array
  readonly waits: Waits
  /**
   * What a statement saw may differ from the recording: 1, production ran a race here and the recording does not say who won;
   * 2, it looks at times that were written by transactions which began side by side: whose clock read earlier is not recorded.
   * Between two replays neither differs.
   */
  readonly ambiguous: Uint8Array
}

export async function buildPlan(source: PlanSource): Promise<PlanInFull> {
  await loadParser()
  const gathered = gather({
    count: source.statementCount,
    sessions: source.sessions(),
    facts: source.facts(),
    catalog: source.manifest.catalog,
    server: source.manifest.server,
  })
  const points = placePoints(gathered)
  const events = inOrder(gathered, points)
  const waits = scan(gathered, events)
  const ambiguous = ambiguity(gathered, events, waits)
  return { plan: shaped(gathered, waits), gathered, points, events, waits, ambiguous }
}

function ambiguity(g: Gathered, events: Uint32Array, { raced, racedClocks }: Waits): Uint8Array {
  const isRaced = (i: number) => i >= 0 && raced[g.sentWith[i]!] === 1
  const times = lookingAt(g, events, (i) => racedClocks.has(g.transaction[i]!))
  return times.map((sees, i) => {
    if (isRaced(i) || isRaced(g.seesAs[i]!)) return 1
    return sees === 1 && g.looksAtTimes[g.sentWith[i]!] === 1 ? 2 : 0
  })
}

/** What is worth keeping of it. */
export function contentOf(full: PlanInFull, catalog: Catalog): PlanContent {
  const { plan, gathered, ambiguous } = full
  const seq = gathered.seq.subarray(0, gathered.count)
  return { plan, seq, ambiguous, facts: parallelism(full, catalog) }
}

function shaped(g: Gathered, waits: Waits): Plan {
  const total = waits.on.length
  const plan: Plan = {
    mode: 'causal',
    statementCount: g.count,
    sessionCount: g.sessionCount,
    session: shared(g.session),
    ordinal: shared(g.ordinal),
    waitStart: new Uint32Array(new SharedArrayBuffer(waits.start.byteLength)),
    waitSession: new Int32Array(new SharedArrayBuffer(total * 4)),
    waitOrdinal: new Int32Array(new SharedArrayBuffer(total * 4)),
    waitKind: new Uint8Array(new SharedArrayBuffer(total)),
    reenacted: shared(Int32Array.from(g.reenacted)),
  }
  plan.waitStart.set(waits.start)
  plan.waitKind.set(waits.kind)
  for (let w = 0; w < total; w += 1) {
    const on = waits.on[w]!
    plan.waitSession[w] = g.session[on]!
    plan.waitOrdinal[w] = g.lastOrdinal[on]!
  }
  return plan
}

function shared(values: Int32Array): Int32Array {
  const copy = new Int32Array(new SharedArrayBuffer(values.byteLength))
  copy.set(values)
  return copy
}
