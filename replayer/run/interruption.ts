/**
 * How a replay that is asked to stop comes to rest at a point from which it can be gone on with.
 *
 * No transaction is left half done, and nothing is done that rests on something that is not: see `Agenda.drain`.
 */
import type { Plan } from './plan-shape.js'
import type { SharedProgress } from './progress.js'

const LOOK_MS = 10

/** Whether all sessions came to rest in time. */
export async function atRest(
  { restless }: SharedProgress,
  patienceMs: number,
  isOver: () => boolean,
): Promise<boolean> {
  for (const untilMs = performance.now() + patienceMs; Atomics.load(restless, 0) > 0; ) {
    if (isOver() || performance.now() >= untilMs) return false
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  return true
}

/** Of each session, the ordinal up to which it is done; null: everything is. */
export function donePerSession(plan: Plan, { completed }: SharedProgress): number[] | null {
  const last = new Array<number>(plan.sessionCount).fill(0)
  for (let i = 0; i < plan.statementCount; i++) last[plan.session[i]!] = plan.ordinal[i]!
  const done = last.map((ordinal, session) => Math.min(ordinal, Atomics.load(completed, session)))
  return done.every((ordinal, session) => ordinal === last[session]) ? null : done
}
