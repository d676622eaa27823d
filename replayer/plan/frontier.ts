/**
 * Per session, the last statement that did something to an object. A reader of the frontier gets only what changed since it last
 * looked, so that a table read by everyone costs each of them only the news.
 */
export class Frontier {
  readonly #latest: Int32Array
  readonly #newer: Int32Array
  readonly #older: Int32Array
  readonly #stamp: Float64Array
  readonly #seen: Float64Array
  #newest = -1
  #clock = 0

  constructor(sessionCount: number) {
    this.#latest = new Int32Array(sessionCount).fill(-1)
    this.#newer = new Int32Array(sessionCount).fill(-1)
    this.#older = new Int32Array(sessionCount).fill(-1)
    this.#stamp = new Float64Array(sessionCount)
    this.#seen = new Float64Array(sessionCount)
  }

  set(session: number, statement: number): void {
    this.#clock += 1
    this.#latest[session] = statement
    this.#stamp[session] = this.#clock
    if (this.#newest === session) return
    const [newer, older] = [this.#newer[session]!, this.#older[session]!]
    if (newer >= 0) this.#older[newer] = older
    if (older >= 0) this.#newer[older] = newer
    this.#older[session] = this.#newest
    this.#newer[session] = -1
    if (this.#newest >= 0) this.#newer[this.#newest] = session
    this.#newest = session
  }

  /** What other sessions did since this one last looked. */
  news(session: number, each: (statement: number) => void): void {
    const since = this.#seen[session]!
    for (let other = this.#newest; other >= 0 && this.#stamp[other]! > since; other = this.#older[other]!) {
      if (other !== session) each(this.#latest[other]!)
    }
    this.#seen[session] = this.#clock
  }
}
