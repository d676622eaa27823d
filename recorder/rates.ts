/** Rates of what only grows: how much more there is now than a few seconds ago. */

export type Totals = { readonly statements: number; readonly transactions: number; readonly bytes: number }
export type Rates = {
  readonly statementsPerSecond: number
  readonly transactionsPerSecond: number
  readonly bytesPerSecond: number
}

type Sample = Totals & { readonly atUs: number }

const WINDOW_US = 10_000_000
const SAMPLE_US = 1_000_000

export class RateMeter {
  #samples: Sample[] = []

  /** As often as one likes; keeps one sample a second. */
  sample(atUs: number, totals: Totals): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && atUs - last.atUs < SAMPLE_US) return
    this.#samples.push({ atUs, ...totals })
    while (atUs - this.#samples[0]!.atUs > WINDOW_US) this.#samples.shift()
  }

  rates(atUs: number, totals: Totals): Rates {
    const from = this.#samples[0] ?? { atUs: 0, statements: 0, transactions: 0, bytes: 0 }
    const seconds = Math.max(atUs - from.atUs, 1) / 1_000_000
    const rate = (name: keyof Totals) => Math.round(((totals[name] - from[name]) / seconds) * 10) / 10
    return {
      statementsPerSecond: rate('statements'),
      transactionsPerSecond: rate('transactions'),
      bytesPerSecond: rate('bytes'),
    }
  }
}
