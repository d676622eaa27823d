/**
 * Where production ran a race that its recording does not settle, a replay gives one of several right answers. So it may at whatever
 * rests on such an answer, and only there: what rests on a race that both decided alike must be equal.
 */
import type { RecordingReader } from '../../segment/recording.js'
import type { RunSource } from '../../segment/run-source.js'
import { buildPlan } from '../plan/build.js'
import { planOf } from '../plan/cache.js'
import type { Gathered } from '../plan/gathered.js'
import { lookersAt, restingOn } from '../plan/resting.js'
import { type JudgeOptions, judgeFor } from './judges.js'
import { joinBySeq } from './merge-runs.js'

type Options = Pick<JudgeOptions, 'before' | 'after' | 'ignore'> & { readonly recording: RecordingReader }

/** Statements of which production and the replay may answer differently; null: neither side is production. */
export async function racesBetween(options: Options): Promise<ReadonlySet<number> | null> {
  const { before, after, recording } = options
  const runs = [before, after]
  if (!runs.some(({ facts }) => facts.role === 'production')) return null
  const races = await recordedRaces(recording, runs)
  for (const run of runs)
    if (run.facts.orderRelaxed > 0) for (const seq of await overtakenIn(run, recording)) races.add(seq)
  const { differing, unexplained } = differences(options, races)
  if (!unexplained) return races
  const { gathered, events } = await buildPlan(recording)
  const rests = restingOn(gathered, events, startsOf(gathered, differing))
  return new Set([...races, ...gathered.seq.filter((_, i) => rests[i] === 1)])
}

/** Where a race was recorded, or the edge of the snapshot. */
async function recordedRaces(recording: RecordingReader, runs: readonly RunSource[]): Promise<Set<number>> {
  const { seq, ambiguous } = await planOf(recording)
  const races = new Set<number>(seq.filter((_, at) => ambiguous[at] !== 0))
  for (const { facts } of runs) if (facts.start?.kind === 'within') for (const one of facts.start.unsure) races.add(one)
  return races
}

/**
 * Where a replay gave up a wait: who was to come first, had not come yet, and looks at what that transaction wrote. The statement that
 * did not wait may have answered alike (a COMMIT always does).
 */
async function overtakenIn(run: RunSource, recording: RecordingReader): Promise<number[]> {
  const { gathered: g } = await buildPlan(recording)
  const [doneUs, hasty] = [new Map<number, number>(), new Map<number, number>()]
  for (const { seq, timing, orderRelaxed } of run.rows()) {
    doneUs.set(seq, timing.doneUs)
    if (orderRelaxed) hasty.set(seq, timing.sentUs)
  }
  const overtaken: number[] = []
  for (const [i, seq] of g.seq.entries()) {
    const sentUs = hasty.get(seq)
    if (sentUs === undefined) continue
    const writers = [...g.transaction.keys()].filter((w) => g.transaction[w] === g.transaction[i])
    const looks = lookersAt(g, writers)
    for (let j = 0; j < i; j++) if ((doneUs.get(g.seq[j]!) ?? 0) > sentUs && looks(j)) overtaken.push(g.seq[j]!)
  }
  return overtaken
}

/** The races that went another way, with what follows in the same transaction; and whether anything else differs. */
function differences(options: Options, races: ReadonlySet<number>) {
  const { before, after, recording } = options
  const judge = judgeFor({ ...options, ambiguous: (seq) => races.has(seq) }, after, null)
  const differing = new Set<number>()
  let unexplained = false
  for (const { a, b, d } of joinBySeq(before.rows(), after.rows(), [], recording.statements())) {
    if (a === undefined || b === undefined || d === undefined) continue
    const { judgement } = judge.judge(d, a, b)
    if (judgement.verdict === 'discrepancy') unexplained = true
    if (judgement.verdict === 'excused' && judgement.excuses.some((excuse) => RACED.has(excuse))) differing.add(d.seq)
  }
  return { differing, unexplained }
}

const RACED: ReadonlySet<string> = new Set(['ambiguous', 'follows', 'relaxed'])

/** A transaction that ended differently has left something else in all that it wrote. */
function startsOf(g: Gathered, differing: ReadonlySet<number>): (i: number) => boolean {
  const { explicit, last } = g.transactions
  const differs = (i: number) => differing.has(g.seq[i]!)
  return (i) => {
    const t = g.transaction[i]!
    return differs(i) || (explicit[t] === 1 && differs(last[t]!))
  }
}
