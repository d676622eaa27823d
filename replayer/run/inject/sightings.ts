/**
 * What was seen of an injection while it ran, put together: locks by how long they were seen, waits by who waited.
 *
 * Pure: the looking is done by ./observer.ts. A wait is told from another of the same session by when it began.
 */
import type { Injection, InjectionWait } from '../../../segment/run.js'

/** One look at the server. Times in microseconds on the replay's clock. */
export type Look = {
  readonly atUs: number
  readonly locks: readonly { readonly relation: string; readonly mode: string }[]
  readonly waits: readonly SeenWait[]
}

/** Somebody waits: `by` the injection (or behind it), or the injection for somebody. */
export type SeenWait = {
  readonly direction: 'held up' | 'waited for'
  /** Number of the recorded session at the other end; null: not one of ours. */
  readonly session: number | null
  readonly pid: number
  /** How long it has been waiting; null: the server does not say. */
  readonly forUs: number | null
}

type Lasting = {
  readonly direction: SeenWait['direction']
  readonly session: number | null
  readonly fromUs: number
  toUs: number
}

/** Two beginnings of a wait this close to each other are one: clocks are read at slightly different moments. */
const SAME_US = 20_000

export class Sightings {
  readonly #locks = new Map<string, { relation: string; mode: string; firstUs: number; lastUs: number }>()
  readonly #waits = new Map<string, Lasting[]>()
  #lastLookUs = Number.NEGATIVE_INFINITY

  add({ atUs, locks, waits }: Look): void {
    for (const { relation, mode } of locks) {
      const seen = this.#locks.get(`${relation} ${mode}`)
      if (seen === undefined) this.#locks.set(`${relation} ${mode}`, { relation, mode, firstUs: atUs, lastUs: atUs })
      else seen.lastUs = atUs
    }
    for (const wait of waits) this.#wait(wait, atUs)
    this.#lastLookUs = atUs
  }

  /** `endedUs`: what was still seen at the last look lasted until then. */
  result(endedUs: number): Pick<Injection, 'locks' | 'heldUp' | 'waitedFor'> {
    const until = (lastUs: number) => (lastUs === this.#lastLookUs ? Math.max(lastUs, endedUs) : lastUs)
    const locks = [...this.#locks.values()].map(({ relation, mode, firstUs, lastUs }) => ({
      relation,
      mode,
      seenUs: Math.round(until(lastUs) - firstUs),
    }))
    const all = [...this.#waits.values()].flat()
    const of = (direction: SeenWait['direction']) =>
      summed(
        all
          .filter((wait) => wait.direction === direction)
          .map(({ session, fromUs, toUs }) => ({ session, us: Math.round(until(toUs) - fromUs) })),
      )
    return {
      locks: locks.sort((a, b) => b.seenUs - a.seenUs || (a.relation < b.relation ? -1 : 1)),
      heldUp: of('held up'),
      waitedFor: of('waited for'),
    }
  }

  #wait({ direction, session, pid, forUs }: SeenWait, atUs: number): void {
    const key = `${direction} ${pid}`
    const known = this.#waits.get(key) ?? []
    const last = known.at(-1)
    const fromUs = atUs - (forUs ?? 0)
    const goesOn =
      last !== undefined && (forUs === null ? last.toUs === this.#lastLookUs : Math.abs(fromUs - last.fromUs) < SAME_US)
    if (goesOn) last.toUs = atUs
    else this.#waits.set(key, [...known, { direction, session, fromUs, toUs: atUs }])
  }
}

function summed(waits: readonly { readonly session: number | null; readonly us: number }[]): InjectionWait[] {
  const bySession = new Map<number | null, { waits: number; totalUs: number; longestUs: number }>()
  for (const { session, us } of waits) {
    const sum = bySession.get(session) ?? { waits: 0, totalUs: 0, longestUs: 0 }
    sum.waits += 1
    sum.totalUs += us
    sum.longestUs = Math.max(sum.longestUs, us)
    bySession.set(session, sum)
  }
  return [...bySession].map(([session, sum]) => ({ session, ...sum })).sort((a, b) => b.totalUs - a.totalUs)
}
