/**
 * A plan in words: why a statement waits for which others, and how parallel a recording is.
 */
import type { Catalog } from '../../segment/catalog.js'
import type { PlanInFull } from './build.js'
import type { Gathered } from './gathered.js'
import { OP, WHOLE_SET } from './operations.js'

export type WaitInWords = {
  /** The statement waited for, by seq position (0-based, in the order of sending). */
  readonly on: number
  readonly until: 'complete' | 'its snapshot is taken'
  readonly because: string
}

export function explainWaits(full: PlanInFull, catalog: Catalog, statement: number): WaitInWords[] {
  const { waits } = full
  const found: WaitInWords[] = []
  for (let w = waits.start[statement]!; w < waits.start[statement + 1]!; w += 1) {
    const on = waits.on[w]!
    found.push({
      on,
      until: waits.kind[w] === 1 ? 'its snapshot is taken' : 'complete',
      because: reason(full.gathered, catalog, statement, on),
    })
  }
  return found
}

export type Parallelism = {
  readonly statements: number
  readonly waits: number
  readonly waitsPerStatement: number
  /** Sum of all service times over the longest chain of statements that must come one after the other. */
  readonly averageWidth: number
  readonly criticalPathMs: number
  readonly totalMs: number
  readonly ambiguous: number
  readonly contradictions: number
  readonly barrierCount: number
  /** The first of them, by seq. */
  readonly barriers: readonly { readonly statement: number; readonly why: string }[]
  /** What most waits are about. */
  readonly hottest: readonly { readonly object: string; readonly waits: number }[]
}

export function parallelism(full: PlanInFull, catalog: Catalog, hottestMax = 8): Parallelism {
  const { gathered: g, waits, points } = full
  const finish = new Float64Array(g.count)
  const lastOf = new Int32Array(g.sessionCount).fill(-1)
  const order = Uint32Array.from({ length: g.count }, (_, i) => i).sort(
    (a, b) => points.statement[a]! - points.statement[b]! || a - b,
  )
  let totalUs = 0
  let criticalUs = 0
  for (const i of order) {
    const session = g.session[i]!
    let start = lastOf[session]! < 0 ? 0 : finish[lastOf[session]!]!
    for (let w = waits.start[i]!; w < waits.start[i + 1]!; w += 1) start = Math.max(start, finish[waits.on[w]!]!)
    const tookUs = g.sentWith[i] === i ? g.doneUs[i]! - g.sentUs[i]! : 0
    finish[i] = start + tookUs
    lastOf[session] = i
    totalUs += tookUs
    criticalUs = Math.max(criticalUs, finish[i]!)
  }
  return {
    statements: g.count,
    waits: waits.on.length,
    waitsPerStatement: g.count === 0 ? 0 : waits.on.length / g.count,
    averageWidth: criticalUs === 0 ? 1 : totalUs / criticalUs,
    criticalPathMs: criticalUs / 1000,
    totalMs: totalUs / 1000,
    ambiguous: full.ambiguous.reduce((sum, one) => sum + (one === 1 ? 1 : 0), 0),
    contradictions: points.contradictions,
    barrierCount: g.why.size,
    barriers: [...g.why].slice(0, hottestMax).map(([at, why]) => ({ statement: g.seq[at]!, why })),
    hottest: hottest(full, catalog, hottestMax),
  }
}

function hottest({ gathered: g, waits }: PlanInFull, catalog: Catalog, max: number): Parallelism['hottest'] {
  const counts = new Map<number, number>()
  for (const set of waits.about) counts.set(set, (counts.get(set) ?? 0) + 1)
  return [...counts]
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, max)
    .map(([set, count]) => ({ object: set < 0 ? 'everything' : nameOf(g, catalog, set), waits: count }))
}

type Shared = { readonly set: number; readonly member: number; readonly mine: number; readonly theirs: number }

function reason(g: Gathered, catalog: Catalog, statement: number, on: number): string {
  if (g.barrier[statement]) return `it ${plain(g.why.get(statement))}`
  if (g.barrier[on]) return `that one ${plain(g.why.get(on))}`
  const common = shared(g, statement, on)
  if (!common) return 'that one may touch everything'
  const object = nameOf(g, catalog, common.set)
  const row = common.member === WHOLE_SET ? '' : ` ${g.names.keyOf(common.set, common.member)}`
  return `${WORDS[common.theirs]} ${object}${row}, which this ${THIS[common.mine]}`
}

function plain(why: string | undefined): string {
  return `may touch everything (${why ?? 'not known why'})`
}

const WORDS: Readonly<Record<number, string>> = {
  [OP.read]: 'it reads',
  [OP.share]: 'it needs the key of',
  [OP.write]: 'it changes',
  [OP.rekey]: 'it makes or removes keys of',
  [OP.lock]: 'it locks',
  [OP.hold]: 'it locks',
  [OP.insert]: 'it inserts into',
  [OP.observe]: 'it looks at the locks of',
  [OP.turn]: 'it draws from',
}

const THIS: Readonly<Record<number, string>> = {
  [OP.read]: 'reads',
  [OP.share]: 'points at',
  [OP.write]: 'changes',
  [OP.rekey]: 'makes or removes keys of',
  [OP.lock]: 'locks',
  [OP.hold]: 'locks',
  [OP.insert]: 'inserts into',
  [OP.observe]: 'looks for locks in',
  [OP.turn]: 'draws from',
}

/** What both touch; a transaction's end stands for all that its transaction did. */
function shared(g: Gathered, statement: number, on: number): Shared | null {
  const theirs = operations(g, on)
  for (const mine of operations(g, statement)) {
    for (const other of theirs) {
      const [set, member] = [g.opSet[mine]!, g.opMember[mine]!]
      if (g.opSet[other] !== set) continue
      const [a, b] = [member, g.opMember[other]!]
      if (a !== b && a !== WHOLE_SET && b !== WHOLE_SET) continue
      const [mineKind, theirKind] = [g.opKind[mine]!, g.opKind[other]!]
      if (mineKind <= OP.share && theirKind <= OP.share) continue
      return { set, member: a === WHOLE_SET ? b : a, mine: mineKind, theirs: theirKind }
    }
  }
  return null
}

function operations(g: Gathered, statement: number): number[] {
  const found: number[] = []
  const t = g.transaction[statement]!
  const isEnd = g.transactions.explicit[t] === 1 && g.transactions.last[t] === statement
  for (let i = isEnd ? g.transactions.first[t]! : statement; i <= statement; i += 1) {
    if (g.transaction[i] !== t) continue
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) found.push(op)
  }
  return found
}

/** `table 16402` as `orders`; labels are made by ./gather.ts. */
function nameOf(g: Gathered, catalog: Catalog, set: number): string {
  const [kind = '', id = '', unique] = g.names.labels[set]!.split(' ')
  const relation = catalog.relations.find((candidate) => String(candidate.oid) === id)
  if (!relation) return g.names.labels[set]!
  if (kind === 'key') return `key ${relation.uniques[Number(unique)]?.name ?? ''} of ${relation.name}`
  if (kind === 'start') return `the clock of ${relation.name}`
  return kind === 'sequence' ? `sequence ${relation.name}` : relation.name
}
