/**
 * The guard: reads the vitals a few times a second, asks the breaker, and says what it decided. It knows neither tap nor drain.
 */
import type pg from 'pg'
import { Breaker, type Decision } from './breaker.js'
import { OwnVitals } from './own-vitals.js'
import { Production } from './production.js'
import { type Readings, type Thresholds, VITAL_NAMES, VITALS, type Vital } from './vitals.js'

export type GuardHost = {
  readonly thresholds: Thresholds
  readonly closeAfterMs?: number
  /** Where the recording is written. */
  readonly folder: string
  /** Share of the ring in use. */
  ring(): number
  /** Undefined as long as too little is known. */
  latencyDrift(): number | undefined
  connect(): Promise<pg.Client>
  decided(decision: Decision): void
  tell(kind: string, detail: string): void
}

export type GuardStatus = {
  readonly trips: number
  readonly trippedBy: Vital | null
  readonly readings: Readings
  readonly thresholds: Thresholds
}

const LOOK_MS = 200

export class Guard {
  readonly #host: GuardHost
  readonly #breaker: Breaker
  readonly #own: OwnVitals
  readonly #production: Production | null
  readonly #timer: NodeJS.Timeout
  #readings: Readings = {}

  constructor(host: GuardHost) {
    this.#host = host
    this.#breaker = new Breaker(host.thresholds, host.closeAfterMs)
    this.#own = new OwnVitals(host.folder)
    const asks = VITAL_NAMES.some(
      (vital) => host.thresholds[vital] !== undefined && VITALS[vital].of === 'production' && vital !== 'latency-drift',
    )
    this.#production = asks
      ? new Production({ connect: host.connect, tell: (detail) => host.tell('production health', detail) })
      : null
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  status(): GuardStatus {
    const { trips, trippedBy } = this.#breaker
    return { trips, trippedBy, readings: this.#readings, thresholds: this.#host.thresholds }
  }

  reset(): void {
    this.#breaker.reset()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#own.end()
    this.#production?.end()
  }

  #look(): void {
    const nowMs = performance.now()
    const drift = this.#host.latencyDrift()
    this.#readings = {
      ring: this.#host.ring(),
      ...this.#own.read(nowMs),
      ...this.#production?.read(nowMs),
      ...(drift === undefined ? {} : { 'latency-drift': drift }),
    }
    const decision = this.#breaker.look(this.#readings, nowMs)
    if (decision !== null) this.#host.decided(decision)
  }
}
