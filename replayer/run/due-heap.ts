/**
 * Who is due next: a binary heap by time.
 */
export class DueHeap<T> {
  readonly #times: number[] = []
  readonly #items: T[] = []

  get nextUs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY
  }

  push(atUs: number, item: T): void {
    let i = this.#times.length
    this.#times.push(atUs)
    this.#items.push(item)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (this.#times[parent]! <= atUs) break
      this.#set(i, this.#times[parent]!, this.#items[parent]!)
      i = parent
    }
    this.#set(i, atUs, item)
  }

  /** The earliest one that is due by now; undefined: none is. */
  popDue(nowUs: number): T | undefined {
    if (this.nextUs > nowUs) return undefined
    const first = this.#items[0]!
    const time = this.#times.pop()!
    const item = this.#items.pop()!
    if (this.#times.length > 0) this.#sink(time, item)
    return first
  }

  #sink(time: number, item: T): void {
    const length = this.#times.length
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= length) break
      if (child + 1 < length && this.#times[child + 1]! < this.#times[child]!) child += 1
      if (this.#times[child]! >= time) break
      this.#set(i, this.#times[child]!, this.#items[child]!)
      i = child
    }
    this.#set(i, time, item)
  }

  #set(i: number, time: number, item: T): void {
    this.#times[i] = time
    this.#items[i] = item
  }
}
