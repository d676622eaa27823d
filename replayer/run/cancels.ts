/**
 * Cancel requests of production: which statements they ended, and how long after these were sent.
 *
 * One that came too late to end anything is not sent: here it might come in time.
 */
import type { Outcome } from '../../segment/outcome.js'
import type { SessionEvent } from '../../segment/statement.js'
import type { Script } from './job.js'

export type Cancels = (script: Script) => number

const QUERY_CANCELED = '57014'

/** `outcomeOf` is asked for statements that were in flight when a request came, which are few. */
export function cancelsOf(
  events: Iterable<SessionEvent>,
  outcomeOf: (seq: number) => Outcome | undefined,
): Cancels | undefined {
  const bySession = new Map<number, number[]>()
  for (const { kind, session, atUs } of events) {
    if (kind === 'cancel') bySession.set(session, [...(bySession.get(session) ?? []), atUs])
  }
  if (bySession.size === 0) return undefined
  return ({ seq, session, sentUs, doneUs }) => {
    const atUs = bySession.get(session)?.find((at) => at >= sentUs && at <= doneUs)
    if (atUs === undefined || outcomeOf(seq)?.error?.sqlstate !== QUERY_CANCELED) return -1
    return atUs - sentUs
  }
}
