/**
 * Events that constraints bind to each other. What happens in one such group does not concern the others, so a group that has come to
 * rest is not looked at again: of ten thousand, a few contradict themselves and never do.
 */

const ROUNDS_MAX = 40

/** One round over these constraints, in ascending order of when they were made; `moved` is told an event of each that moved something. */
type Round = (constraints: Int32Array, moved: (event: number) => void) => void

export class Chains {
  readonly #parent: Int32Array
  /** Per group, the last round in which something moved. */
  readonly #movedIn: Int32Array
  /** Of each constraint, one of its events. */
  #events: number[] = []

  constructor(events: number) {
    this.#parent = Int32Array.from({ length: events }, (_, event) => event)
    this.#movedIn = new Int32Array(events)
  }

  /** A further constraint, between these two. */
  join(a: number, b: number): void {
    this.#events.push(a)
    this.#parent[this.#groupOf(a)] = this.#groupOf(b)
  }

  untilStill(constraints: number, round: Round): void {
    this.#movedIn.fill(0)
    let active = Int32Array.from({ length: constraints }, (_, c) => c)
    for (let number = 1; active.length > 0 && number <= ROUNDS_MAX; number += 1) {
      round(active, (event) => {
        this.#movedIn[this.#groupOf(event)] = number
      })
      active = active.filter((c) => this.#movedIn[this.#groupOf(this.#events[c]!)] === number)
    }
  }

  #groupOf(event: number): number {
    let at = event
    while (this.#parent[at] !== at) {
      // Half of the way is cut short each time.
      this.#parent[at] = this.#parent[this.#parent[at]!]!
      at = this.#parent[at]!
    }
    return at
  }
}
