/** A queue hands out its rows in their order (`ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`): picks happened in the order of their rows. */
import { type Clock, listed, overlapping } from './evidence.js'

type Pick = { readonly statement: number; readonly place: number | string; readonly descending: boolean }

export class Picks {
  readonly #bySet = new Map<number, Pick[]>()

  note(set: number, pick: Pick): void {
    listed(this.#bySet, set, pick)
  }

  /** Statements that came one after the other. */
  *orders(clock: Clock): Generator<number[]> {
    for (const picks of this.#bySet.values()) {
      const sign = picks[0]?.descending ? -1 : 1
      const byPlace = (a: Pick, b: Pick) => sign * (a.place < b.place ? -1 : a.place > b.place ? 1 : 0)
      for (const run of overlapping(picks, clock)) yield run.toSorted(byPlace).map((pick) => pick.statement)
    }
  }
}
