/**
 * How long a chunk is held here, from being read to being written on and offered: every 32nd one is measured, into buckets that are
 * a fifth of an octave wide, so that the measuring itself costs next to nothing.
 */
const EVERY = 32
const PER_OCTAVE = 5
const BUCKETS = 150

export type Held = { readonly p50Us: number; readonly p99Us: number; readonly measured: number }

export class Stopwatch {
  readonly #buckets = new Uint32Array(BUCKETS)
  #chunks = 0
  #measured = 0

  /** Whether this chunk is one of those to measure. */
  get due(): boolean {
    this.#chunks += 1
    return this.#chunks % EVERY === 0
  }

  add(ms: number): void {
    const bucket = Math.round(Math.log2(Math.max(1, ms * 1e6)) * PER_OCTAVE)
    this.#buckets[Math.min(bucket, BUCKETS - 1)]! += 1
    this.#measured += 1
  }

  held(): Held {
    return { p50Us: this.#percentile(0.5), p99Us: this.#percentile(0.99), measured: this.#measured }
  }

  #percentile(share: number): number {
    if (this.#measured === 0) return 0
    let left = this.#measured * share
    const bucket = this.#buckets.findIndex((count) => {
      left -= count
      return left <= 0
    })
    return Math.round(2 ** (bucket / PER_OCTAVE) / 10) / 100
  }
}
