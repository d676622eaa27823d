/**
 * What one of two runs did not replay, and who looks at what that would have written: those answer differently for no other reason.
 *
 * Left out are statements that were filtered, skipped or lost, and, in a run that may only read, those that the server refused for that.
 */

import type { RecordingReader } from '../../segment/recording.js'
import type { RunSource } from '../../segment/run-source.js'
import { buildPlan } from '../plan/build.js'
import { restingOn } from '../plan/resting.js'

/** READ ONLY SQL TRANSACTION, INSUFFICIENT PRIVILEGE. */
const MAY_NOT_WRITE = new Set(['25006', '42501'])

/** Those, and what was refused; null: both replayed the same. */
export async function restingOnLeftOut(
  recording: RecordingReader,
  runs: readonly [RunSource, RunSource],
): Promise<ReadonlySet<number> | null> {
  if (!runs.some(({ facts }) => leavesOut(facts))) return null
  const { gathered, events } = await buildPlan(recording)
  const replayed = runs.map((run) => replayedBy(run))
  const left = (i: number) => replayed[0]!.has(gathered.seq[i]!) !== replayed[1]!.has(gathered.seq[i]!)
  const rests = restingOn(gathered, events, left)
  const seqs = new Set<number>()
  rests.forEach((rest, i) => {
    if (rest || left(i)) seqs.add(gathered.seq[i]!)
  })
  return seqs
}

function leavesOut({ ledger, settings, role }: RunSource['facts']): boolean {
  if (role === 'production') return false
  const left = [ledger.filtered, ledger.skipped, ledger.lost].flatMap((reasons) => Object.values(reasons))
  return settings.readOnly || left.some(({ statements }) => statements > 0)
}

function replayedBy(run: RunSource): ReadonlySet<number> {
  const { readOnly } = run.facts.settings
  const seqs = new Set<number>()
  for (const { seq, outcome } of run.rows())
    if (!readOnly || outcome.error === null || !MAY_NOT_WRITE.has(outcome.error.sqlstate)) seqs.add(seq)
  return seqs
}
