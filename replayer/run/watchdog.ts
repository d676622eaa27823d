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

/** A session that waits for one of the connections that these have: any of them would do. */
export type Queued = { readonly session: number; readonly holders: readonly number[] }

/** Plan waits to give up, one per circle. */
export function findReleases(
  parked: readonly Parked[],
  blocked: readonly Blocked[],
  queued: readonly Queued[] = [],
): Parked[] {
  const parkedAt = new Map(parked.map((one) => [one.session, one]))
  const holdersOf = new Map(blocked.map(({ session, by }) => [session, by]))
  for (const { session, holders } of queued) holdersOf.set(session, [...(holdersOf.get(session) ?? []), ...holders])
  const releases: Parked[] = []
  for (const candidate of [...parked].sort((a, b) => a.index - b.index)) {
    if (!comesBack(candidate, parkedAt, holdersOf)) continue
    if (queued.length > 0 && !stuck(parkedAt, blocked, queued).has(candidate.session)) continue
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

/**
 * Sessions that can never go on by themselves: all that wait, less those of whom somebody they wait for can. Whoever waits for a connection
 * can as soon as one of those that have one can, which a search for a way back does not see.
 */
function stuck(
  parkedAt: ReadonlyMap<number, Parked>,
  blocked: readonly Blocked[],
  queued: readonly Queued[],
): ReadonlySet<number> {
  const still = new Set([
    ...parkedAt.keys(),
    ...blocked.map(({ session }) => session),
    ...queued.map(({ session }) => session),
  ])
  const waitsForStuck = (session: number, ordinal: number) => {
    const stop = parkedAt.get(session)
    return still.has(session) && (stop === undefined || stop.ordinal <= ordinal)
  }
  for (let changed = true; changed; ) {
    changed = false
    const goesOn = (session: number, can: boolean) => {
      if (can && still.delete(session)) changed = true
    }
    for (const { session, on, onOrdinal } of parkedAt.values()) goesOn(session, !waitsForStuck(on, onOrdinal))
    for (const { session, by } of blocked) goesOn(session, !by.some((holder) => still.has(holder)))
    for (const { session, holders } of queued) goesOn(session, !holders.every((holder) => still.has(holder)))
  }
  return still
}
