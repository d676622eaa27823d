/** What the tap let pass unrecorded, as news for the ledger. */
import { type Count, NOTHING, subtract } from '../../segment/ledger.js'
import { CHOSEN, PASSING, PASSING_WORDS, type PassingReason, type Tally } from '../tap/tally.js'

export type Passage = { readonly kind: 'filtered' | 'lost'; readonly reason: string; readonly count: Count }

export class Passed {
  readonly #tally: Tally
  readonly #before = new Map<PassingReason, Count>()

  constructor(tally: Tally) {
    this.#tally = tally
  }

  /** Since it was asked last. */
  news(): Passage[] {
    const news: Passage[] = []
    for (const reason of Object.values(PASSING)) {
      const now = this.#tally.passed(reason)
      const before = this.#before.get(reason) ?? NOTHING
      if (now.statements === before.statements && now.transactions === before.transactions) continue
      this.#before.set(reason, now)
      const kind = CHOSEN.has(reason) ? 'filtered' : 'lost'
      news.push({ kind, reason: PASSING_WORDS[reason], count: subtract(now, before) })
    }
    return news
  }
}
