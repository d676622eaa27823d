/** What bench/recorder.ts makes of its turns: each against those of the same round, and the spread over the rounds. Pure. */

export const WAYS = ['direct', 'forwarder', 'pgbouncer', 'recorder'] as const
export type Way = (typeof WAYS)[number]

export type Measured = {
  readonly ms: number
  /** Ascending. */
  readonly latenciesUs: Float64Array
  /** Of the thread that forwards, a statement; NaN where it is not known. */
  readonly cpuUs: number
  /** Of all that the recorder does beside, a statement; NaN for the others. */
  readonly besideUs: number
}

export type Rounds = Partial<Record<Way, Measured[]>>

/** Over the rounds. */
export type Spread = { readonly median: number; readonly min: number; readonly max: number }

export type Figures = {
  readonly statements: number
  readonly perSecond: Spread
  readonly p50Us: number
  readonly p99Us: number
  readonly cpuUs: Spread | null
  readonly besideUs: Spread | null
  /** Each round against the same round of another way. */
  readonly addedP50Us: Spread
  readonly addedP99Us: Spread
  /** All statements against all statements. */
  readonly addedP50UsOfAll: number
  readonly addedP99UsOfAll: number
  readonly throughputToDirect: Spread
  readonly throughputToPgbouncer: Spread | null
}

export function figuresOf(way: Way, rounds: Rounds): Figures {
  const own = rounds[way]!
  const direct = rounds.direct!
  const { pgbouncer } = rounds
  const against = (others: readonly Measured[], figure: (own: Measured, other: Measured) => number) =>
    spreadOf(own.map((one, i) => figure(one, others[i]!)))
  const [all, allDirect] = [merged(own), merged(direct)]
  const shareOf = (share: number) => tenths(quantile(all, share))
  const addedOf = (share: number) => tenths(quantile(all, share) - quantile(allDirect, share))
  const known = (figure: (one: Measured) => number) =>
    own.some((one) => Number.isNaN(figure(one))) ? null : spreadOf(own.map((one) => tenths(figure(one))))
  return {
    statements: all.length,
    perSecond: spreadOf(own.map((one) => Math.round(rate(one)))),
    p50Us: shareOf(0.5),
    p99Us: shareOf(0.99),
    cpuUs: known(({ cpuUs }) => cpuUs),
    besideUs: known(({ besideUs }) => besideUs),
    addedP50Us: against(direct, (one, other) => added(one, other, 0.5)),
    addedP99Us: against(direct, (one, other) => added(one, other, 0.99)),
    addedP50UsOfAll: addedOf(0.5),
    addedP99UsOfAll: addedOf(0.99),
    throughputToDirect: against(direct, ratio),
    throughputToPgbouncer: pgbouncer === undefined ? null : against(pgbouncer, ratio),
  }
}

export function line(way: Way, figures: Figures): string {
  const { perSecond, p50Us, p99Us, cpuUs, besideUs, addedP50Us, addedP99Us } = figures
  const parts = [way.padEnd(10), `${shown(perSecond)}/s`, `p50 ${p50Us} µs`, `p99 ${p99Us} µs`]
  if (way !== 'direct') {
    parts.push(
      `more at p50 ${shown(addedP50Us)} µs, of all ${figures.addedP50UsOfAll}`,
      `more at p99 ${shown(addedP99Us)} µs, of all ${figures.addedP99UsOfAll}`,
      `${shown(figures.throughputToDirect)} × direct`,
    )
  }
  if (way !== 'direct' && way !== 'pgbouncer' && figures.throughputToPgbouncer !== null) {
    parts.push(`${shown(figures.throughputToPgbouncer)} × PgBouncer`)
  }
  if (cpuUs !== null) parts.push(`processor ${shown(cpuUs)} µs`)
  if (besideUs !== null) parts.push(`beside ${shown(besideUs)} µs`)
  return parts.join('  ')
}

function shown({ median, min, max }: Spread): string {
  return `${median} (${min}…${max})`
}

function merged(turns: readonly Measured[]): Float64Array {
  const all = new Float64Array(turns.reduce((sum, { latenciesUs }) => sum + latenciesUs.length, 0))
  let at = 0
  for (const { latenciesUs } of turns) {
    all.set(latenciesUs, at)
    at += latenciesUs.length
  }
  return all.sort()
}

function quantile(ascending: Float64Array, share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN
}

function added(one: Measured, other: Measured, share: number): number {
  return tenths(quantile(one.latenciesUs, share) - quantile(other.latenciesUs, share))
}

function rate({ latenciesUs, ms }: Measured): number {
  return latenciesUs.length / (ms / 1000)
}

function ratio(one: Measured, other: Measured): number {
  return Math.round((100 * rate(one)) / rate(other)) / 100
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: sorted[sorted.length >> 1]!, min: sorted[0]!, max: sorted.at(-1)! }
}
