/** Whether a count that has grown is news: once for a time of trouble, which is over when it has not grown for a minute. */
const CALM_MS = 60_000

export const RING_FULL = {
  kind: 'ring full',
  detail:
    'writing does not keep up, and whole transactions pass unrecorded; they are in the ledger. A faster disk helps, a larger --ring-bytes, or a share of the traffic: --sample',
} as const

export const NOT_FOLLOWED = {
  kind: 'session not followed',
  detail:
    'bytes came that are not the PostgreSQL protocol; what this session does passes on unrecorded, and is in the ledger. Does something else connect to this port?',
} as const

export class CountNews {
  #count = 0
  #lastMs = Number.NEGATIVE_INFINITY

  /** `count`: of what has happened, in all. */
  look(count: number, nowMs: number): boolean {
    if (count === this.#count) return false
    this.#count = count
    const news = nowMs - this.#lastMs > CALM_MS
    this.#lastMs = nowMs
    return news
  }
}
