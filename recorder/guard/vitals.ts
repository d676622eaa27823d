/**
 * What the circuit breaker looks at, each with the side on which it is bad, how long it must stay there, and how people write it.
 *
 *   of the recorder      ring, event-loop, rss, free-disk
 *   of production        active-sessions, replication-lag, oldest-transaction, latency-drift
 *
 * A vital of production is armed only once it was seen on its good side: a replica that always lags, or a transaction that was open
 * before the recorder came, is not the recorder's doing.
 */
export const VITALS = {
  /** Share of the ring that is in use. */
  ring: { unit: 'share', bad: 'above', forMs: 5000, of: 'recorder', usual: 0.9 },
  /** 99th percentile of how much later than due the event loop ran, in milliseconds. */
  'event-loop': { unit: 'ms', bad: 'above', forMs: 3000, of: 'recorder', usual: 100 },
  rss: { unit: 'bytes', bad: 'above', forMs: 0, of: 'recorder', usual: 2 * 2 ** 30 },
  /** Where the recording is written. */
  'free-disk': { unit: 'bytes', bad: 'below', forMs: 0, of: 'recorder', usual: 2 ** 30 },
  /** Sessions that are executing, as a share of max_connections. */
  'active-sessions': { unit: 'share', bad: 'above', forMs: 5000, of: 'production', usual: 0.9 },
  'replication-lag': { unit: 'ms', bad: 'above', forMs: 5000, of: 'production', usual: 60_000 },
  'oldest-transaction': { unit: 'ms', bad: 'above', forMs: 0, of: 'production', usual: 3_600_000 },
  /** How many times slower the recorded statements are than in their first executions. */
  'latency-drift': { unit: 'times', bad: 'above', forMs: 10_000, of: 'production', usual: 3 },
} as const satisfies Record<string, VitalFacts>

type VitalFacts = {
  readonly unit: 'share' | 'ms' | 'bytes' | 'times'
  readonly bad: 'above' | 'below'
  readonly forMs: number
  readonly of: 'recorder' | 'production'
  readonly usual: number
}

export type Vital = keyof typeof VITALS
/** What is not here is not known at the moment. */
export type Readings = Readonly<Partial<Record<Vital, number>>>
/** What is not here is not looked at. */
export type Thresholds = Readonly<Partial<Record<Vital, number>>>

export const VITAL_NAMES = Object.keys(VITALS) as readonly Vital[]
export const USUAL_THRESHOLDS: Thresholds = Object.fromEntries(VITAL_NAMES.map((vital) => [vital, VITALS[vital].usual]))

export function isBad(vital: Vital, value: number, threshold: number): boolean {
  return VITALS[vital].bad === 'above' ? value > threshold : value < threshold
}

/** As a person would write it: `93 %`, `1.2 s`, `512 MB`, `3.1 ×`. */
export function vitalText(vital: Vital, value: number): string {
  switch (VITALS[vital].unit) {
    case 'share':
      return `${Math.round(value * 100)} %`
    case 'ms':
      return value < 1000 ? `${Math.round(value)} ms` : `${rounded(value / 1000)} s`
    case 'bytes':
      return `${rounded(value / 2 ** 20)} MB`
    case 'times':
      return `${rounded(value)} ×`
  }
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
