/**
 * Who sends what: the sessions of a recording dealt out to workers, as the tasks they are given. Each pass has a crew of its own.
 */
import { availableParallelism } from 'node:os'
import type { Session } from '../../segment/statement.js'
import { balance } from './balance.js'
import { positionsOf } from './feed.js'
import { rampedStart } from './pace.js'
import type { Plan } from './plan-shape.js'
import { createProgress } from './progress.js'
import type { Selection } from './selection.js'
import type { Sharing } from './sharing.js'
import type { WorkerTask } from './task.js'

/** What all workers are told. */
export type Common = Omit<
  WorkerTask,
  'worker' | 'plan' | 'positions' | 'progress' | 'sessions' | 'selection' | 'startsUs' | 'pools'
>

export type Crew = {
  readonly tasks: readonly WorkerTask[]
  /** Worker of each session, by its dense index. */
  readonly workerOf: readonly number[]
  /** null: every session has a connection of its own. */
  readonly sharing: Sharing | null
}

const FOREVER = 0x7fffffff

export function crewOf(
  plan: Plan,
  sessions: readonly Session[],
  selection: Selection | null,
  workersWanted: number | undefined,
  common: Common,
  share: ((workers: number, sends: (dense: number) => boolean) => Sharing) | null = null,
): Crew {
  const positions = positionsOf(plan)
  const statements = sessions.map((_, dense) => positions.start[dense + 1]! - positions.start[dense]!)
  const busy = statements.filter((count) => count > 0).length
  const workers = Math.max(1, Math.min(workersWanted ?? availableParallelism(), busy))
  const sends = (dense: number) => statements[dense]! > 0 && selection?.sends[dense] !== 0
  const sharing = share?.(workers, sends) ?? null
  const workerOf = balance(statements, workers)
  for (const { worker, sessions: sharers } of sharing?.pools ?? [])
    for (const dense of sharers) workerOf[dense] = worker
  // The one more is the coordinator, which may want to know when a statement has completed.
  const progress = createProgress(plan.sessionCount, workers + 1)
  // Nobody waits for what will never come.
  for (let dense = 0; dense < plan.sessionCount; dense++) {
    if (statements[dense] === 0) progress.completed[dense] = progress.snapshots[dense] = FOREVER
  }
  progress.restless[0] = busy
  const startsUs = startsOf(sessions.length, sends, common.pacing.rampUs)
  const tasks = Array.from({ length: workers }, (_, worker) => ({
    ...common,
    worker,
    plan,
    positions,
    progress,
    startsUs,
    pools: (sharing?.pools ?? []).flatMap((pool, number) => (pool.worker === worker ? [{ ...pool, number }] : [])),
    selection: selection && { fates: selection.fates, sends: selection.sends },
    sessions: sessions.flatMap((session, dense): [number, Session][] =>
      workerOf[dense] === worker && statements[dense]! > 0 ? [[dense, session]] : [],
    ),
  }))
  return { tasks, workerOf, sharing }
}

function startsOf(sessions: number, sends: (dense: number) => boolean, rampUs: number): Float64Array {
  const starts = new Float64Array(sessions)
  const sending = Array.from({ length: sessions }, (_, dense) => dense).filter(sends)
  sending.forEach((dense, position) => {
    starts[dense] = rampedStart(position, sending.length, rampUs)
  })
  return starts
}
