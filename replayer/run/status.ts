/**
 * How a replay is doing while it runs: what workers told, added up, for the progress line and for Prometheus.
 */
import type { Causes } from './job.js'
import type { News } from './task.js'

export type ReplayState = 'connecting' | 'replaying' | 'finishing'

export type ReplayStatus = {
  readonly state: ReplayState
  /** Of this replay; more than one with --loop. */
  readonly pass: number
  readonly statements: {
    readonly total: number
    readonly replayed: number
    readonly filtered: number
    /** Skipped or lost. */
    readonly notSent: number
  }
  readonly errors: number
  readonly orderRelaxed: number
  /** Over the last ten seconds. */
  readonly perSecond: number
  /** Recorded time of the furthest statement, and of all, counted from the first one. */
  readonly positionUs: number
  readonly spanUs: number
  /** Worst of the last moments. */
  readonly lateUsMax: number
  readonly lateness: Causes
  /** Service times, counted by SERVICE_BOUNDS_US (the last one: above all of them). */
  readonly service: { readonly counts: readonly number[]; readonly sumUs: number }
  /** Of each worker: share of time its event loop was busy, in its last second. */
  readonly utilisation: readonly number[]
  /** Backends of injections that run now. */
  readonly injected: number
}

export const SERVICE_BOUNDS_US = [
  250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
] as const

export function serviceBucket(us: number): number {
  let bucket = 0
  while (bucket < SERVICE_BOUNDS_US.length && us > SERVICE_BOUNDS_US[bucket]!) bucket += 1
  return bucket
}

const RATE_WINDOW_MS = 10_000

/** Of the coordinator: everything that came in as news. */
export class Totals {
  statements = 0
  filtered = 0
  notSent = 0
  errors = 0
  relaxed = 0
  offsetUs = 0
  lateUsMax = 0
  serviceUs = 0
  readonly counts: number[] = new Array(SERVICE_BOUNDS_US.length + 1).fill(0)
  readonly lateness = { orderUs: 0, connectionUs: 0, serverUs: 0, workerUs: 0 }
  readonly utilisation: number[] = []
  readonly #recent: { readonly atMs: number; readonly over: number }[] = []

  /** Statements of which it is known what became of them. */
  get over(): number {
    return this.statements + this.filtered + this.notSent
  }

  take(worker: number, news: News): void {
    this.statements += news.statements
    this.filtered += news.filtered
    this.errors += news.errors
    this.relaxed += news.relaxed
    this.offsetUs = Math.max(this.offsetUs, news.offsetUs)
    this.lateUsMax = news.lateUsMax
    this.serviceUs += news.serviceUs
    news.serviceCounts.forEach((count, bucket) => {
      this.counts[bucket]! += count
    })
    this.lateness.orderUs += news.causes.orderUs
    this.lateness.connectionUs += news.causes.connectionUs
    this.lateness.serverUs += news.causes.serverUs
    this.lateness.workerUs += news.causes.workerUs
    this.utilisation[worker] = news.utilisation
  }

  /** Statements a second over the last moments; asked for often, it remembers. */
  perSecond(nowMs: number): number {
    const recent = this.#recent
    const last = recent.at(-1)
    if (last === undefined || nowMs - last.atMs > RATE_WINDOW_MS / 20) recent.push({ atMs: nowMs, over: this.over })
    while (recent.length > 2 && nowMs - recent[1]!.atMs > RATE_WINDOW_MS) recent.shift()
    const first = recent[0]!
    const elapsedMs = nowMs - first.atMs
    return elapsedMs <= 0 ? 0 : ((this.over - first.over) * 1000) / elapsedMs
  }
}
