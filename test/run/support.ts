import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Plan } from '../../replayer/run/plan-shape.js'
import { type ReplayOptions, replay } from '../../replayer/run/replay.js'
import { commitPlan, sessionPlan } from '../../replayer/run/simple-plans.js'
import { openRecording } from '../../segment/recording.js'
import type { RunFacts, RunRow, SkippedStatement } from '../../segment/run.js'
import { openRun } from '../../segment/run-file.js'
import type { Tape } from './tape.js'

export type Replayed = { readonly facts: RunFacts; readonly rows: RunRow[]; readonly skipped: SkippedStatement[] }

export type Wait = {
  /** Sequence numbers of the statement that waits, and of the one it waits for. */
  readonly of: number
  readonly for: number
  readonly snapshot?: boolean
}

export function planOf(path: string, waits: readonly Wait[] = [], mode: 'session' | 'commit' = 'session'): Plan {
  const recording = openRecording(path)
  const timeline = recording.timeline()
  const make = mode === 'commit' ? commitPlan : sessionPlan
  const plan = make(timeline, recording.sessions())
  recording.close()
  if (waits.length === 0) return plan
  const index = new Map([...timeline.seq].map((seq, i) => [seq, i]))
  const sorted = [...waits].sort((a, b) => a.of - b.of)
  const waitStart = new Uint32Array(new SharedArrayBuffer((plan.statementCount + 1) * 4))
  for (const wait of sorted) waitStart[index.get(wait.of)! + 1]! += 1
  for (let i = 0; i < plan.statementCount; i++) waitStart[i + 1]! += waitStart[i]!
  const ints = (values: number[]) => {
    const array = new Int32Array(new SharedArrayBuffer(values.length * 4))
    array.set(values)
    return array
  }
  const kinds = new Uint8Array(new SharedArrayBuffer(sorted.length))
  kinds.set(sorted.map((wait) => (wait.snapshot ? 1 : 0)))
  return {
    ...plan,
    mode: 'causal',
    waitStart,
    waitSession: ints(sorted.map((wait) => plan.session[index.get(wait.for)!]!)),
    waitOrdinal: ints(sorted.map((wait) => plan.ordinal[index.get(wait.for)!]!)),
    waitKind: kinds,
  }
}

/** Replays and reads the run, then removes both. */
export async function replayTape(
  tape: Tape,
  target: string,
  options: Partial<ReplayOptions> & { readonly waits?: readonly Wait[] } = {},
): Promise<Replayed> {
  const recording = tape.write()
  const out = join(dirname(recording), 'run.sqlite')
  const { waits, ...rest } = options
  try {
    const plan = planOf(recording, waits)
    const facts = await replay({ recording, plan, target, out, speed: 'max', workers: 2, ...rest })
    const run = openRun(out)
    const replayed = { facts, rows: [...run.rows()], skipped: [...run.skipped()] }
    run.close()
    return replayed
  } finally {
    rmSync(dirname(recording), { recursive: true, force: true })
  }
}
