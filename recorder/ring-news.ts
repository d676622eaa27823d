/** Whether a full ring is news: once for a time of trouble, which is over when nothing had to pass for a minute. */
const CALM_MS = 60_000

export const RING_FULL = {
  kind: 'ring full',
  detail:
    'writing does not keep up, and whole transactions pass unrecorded; they are in the ledger. A faster disk helps, a larger --ring-bytes, or a share of the traffic: --sample',
} as const

export class RingNews {
  #passed = 0
  #lastMs = Number.NEGATIVE_INFINITY

  /** `passed`: how many statements have passed for want of room, in all. */
  look(passed: number, nowMs: number): boolean {
    if (passed === this.#passed) return false
    this.#passed = passed
    const news = nowMs - this.#lastMs > CALM_MS
    this.#lastMs = nowMs
    return news
  }
}
