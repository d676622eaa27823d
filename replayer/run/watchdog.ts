/**
 * Standstills. Database locks and plan waits can form a circle when a conflict was invisible to the plan: A waits (by plan) for B,
 * B waits in the database for a lock that A holds. Neither the server nor the plan can see it alone; both together can.
 *
 * A circle is a proof: nobody in it can ever go on. The plan wait with the lowest position in it is given up.
 */

/** A statement that waits by plan: its session, its position in the plan, and the session it waits for. */
export type Parked = { readonly session: number; readonly index: number; readonly on: number }

/** A session whose statement waits for locks that others hold. */
export type Blocked = { readonly session: number; readonly by: readonly number[] }

/** Plan waits to give up, one per circle. */
export function findReleases(parked: readonly Parked[], blocked: readonly Blocked[]): Parked[] {
  const waitsFor = new Map<number, number[]>()
  const edge = (from: number, to: number) => {
    const known = waitsFor.get(from)
    if (known === undefined) waitsFor.set(from, [to])
    else known.push(to)
  }
  for (const { session, on } of parked) edge(session, on)
  for (const { session, by } of blocked) for (const holder of by) edge(session, holder)

  const releases: Parked[] = []
  for (const candidate of [...parked].sort((a, b) => a.index - b.index)) {
    if (!reaches(waitsFor, candidate.on, candidate.session)) continue
    releases.push(candidate)
    const edges = waitsFor.get(candidate.session)!
    edges.splice(edges.indexOf(candidate.on), 1)
  }
  return releases
}

function reaches(waitsFor: ReadonlyMap<number, readonly number[]>, from: number, to: number): boolean {
  const seen = new Set<number>([from])
  const open = [from]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === to) return true
    for (const next of waitsFor.get(at) ?? []) {
      if (seen.has(next)) continue
      seen.add(next)
      open.push(next)
    }
  }
  return false
}
