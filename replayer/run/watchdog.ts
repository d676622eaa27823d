/**
 * Standstills. Database locks and plan waits can form a circle when a conflict was invisible to the plan: A waits (by plan) for B,
 * B waits in the database for a lock that A holds. Neither the server nor the plan can see it alone; both together can.
 *
 * A circle is a proof: nobody in it can ever go on. The plan wait with the lowest position in it is given up. Sessions pipeline,
 * so it matters what of a session is waited for: a parked statement holds up itself and what follows it, not what was sent before.
 */

/** A statement that waits by plan: its session and ordinal, its position in the plan, and what it waits for. */
export type Parked = {
  readonly session: number
  readonly ordinal: number
  readonly index: number
  readonly on: number
  readonly onOrdinal: number
}

/** A session whose statement waits for locks that others hold. */
export type Blocked = { readonly session: number; readonly by: readonly number[] }

/** What is waited for: that a session gets as far as an ordinal. A lock is let go of at the end of a transaction, however far that is. */
type Need = { readonly session: number; readonly ordinal: number }

/** Plan waits to give up, one per circle. */
export function findReleases(parked: readonly Parked[], blocked: readonly Blocked[]): Parked[] {
  const parkedAt = new Map(parked.map((one) => [one.session, one]))
  const holdersOf = new Map(blocked.map(({ session, by }) => [session, by]))
  const releases: Parked[] = []
  for (const candidate of [...parked].sort((a, b) => a.index - b.index)) {
    if (!comesBack(candidate, parkedAt, holdersOf)) continue
    releases.push(candidate)
    parkedAt.delete(candidate.session)
  }
  return releases
}

/** Whether what the candidate waits for can only come when the candidate has gone on. */
function comesBack(
  candidate: Parked,
  parkedAt: ReadonlyMap<number, Parked>,
  holdersOf: ReadonlyMap<number, readonly number[]>,
): boolean {
  const seen = new Map<number, number>()
  const open: Need[] = [{ session: candidate.on, ordinal: candidate.onOrdinal }]
  for (let need = open.pop(); need !== undefined; need = open.pop()) {
    const { session, ordinal } = need
    if (session === candidate.session && ordinal >= candidate.ordinal) return true
    if ((seen.get(session) ?? -1) >= ordinal) continue
    seen.set(session, ordinal)
    const stop = parkedAt.get(session)
    if (stop !== undefined && stop.ordinal <= ordinal) open.push({ session: stop.on, ordinal: stop.onOrdinal })
    for (const holder of holdersOf.get(session) ?? []) open.push({ session: holder, ordinal: Number.POSITIVE_INFINITY })
  }
  return false
}
