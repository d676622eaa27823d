/**
 * The circuit breaker: readings in, decisions out. It trips when a reading has been on its bad side for long enough, and closes when
 * every reading that is known, and the one that tripped it, has been good for a while; each further trip doubles that while.
 *
 * Arithmetic on plain numbers: no clock, no timer, no IO.
 */
import { isBad, type Readings, type Thresholds, VITAL_NAMES, VITALS, type Vital, vitalText } from './vitals.js'

export type Decision =
  | { readonly kind: 'trip'; readonly vital: Vital; readonly detail: string }
  | { readonly kind: 'close'; readonly detail: string }

const CLOSE_AFTER_MS = 30_000
const CLOSE_AFTER_MS_MAX = 30 * 60_000

export class Breaker {
  readonly #thresholds: Thresholds
  readonly #closeAfterMs: number
  readonly #armed = new Set<Vital>(VITAL_NAMES.filter((vital) => VITALS[vital].of === 'recorder'))
  /** Since when each is bad. */
  readonly #badSinceMs = new Map<Vital, number>()
  #trippedBy: Vital | null = null
  #goodSinceMs: number | null = null
  trips = 0

  constructor(thresholds: Thresholds, closeAfterMs = CLOSE_AFTER_MS) {
    this.#thresholds = thresholds
    this.#closeAfterMs = closeAfterMs
  }

  get trippedBy(): Vital | null {
    return this.#trippedBy
  }

  look(readings: Readings, nowMs: number): Decision | null {
    for (const vital of VITAL_NAMES) this.#note(vital, readings[vital], nowMs)
    return this.#trippedBy === null ? this.#trip(readings, nowMs) : this.#close(this.#trippedBy, readings, nowMs)
  }

  /** A person says that it may go on. */
  reset(): void {
    this.#trippedBy = null
    this.#badSinceMs.clear()
  }

  #note(vital: Vital, value: number | undefined, nowMs: number): void {
    const threshold = this.#thresholds[vital]
    if (threshold === undefined || value === undefined) return
    if (!isBad(vital, value, threshold)) {
      this.#armed.add(vital)
      this.#badSinceMs.delete(vital)
    } else if (this.#armed.has(vital) && !this.#badSinceMs.has(vital)) this.#badSinceMs.set(vital, nowMs)
  }

  #trip(readings: Readings, nowMs: number): Decision | null {
    for (const [vital, sinceMs] of this.#badSinceMs) {
      if (readings[vital] === undefined || nowMs - sinceMs < VITALS[vital].forMs) continue
      this.#trippedBy = vital
      this.#goodSinceMs = null
      this.trips += 1
      const { bad } = VITALS[vital]
      const limit = vitalText(vital, this.#thresholds[vital]!)
      return { kind: 'trip', vital, detail: `${vital} ${vitalText(vital, readings[vital])}, ${bad} ${limit}` }
    }
    return null
  }

  #close(by: Vital, readings: Readings, nowMs: number): Decision | null {
    if (this.#badSinceMs.size > 0 || readings[by] === undefined) {
      this.#goodSinceMs = null
      return null
    }
    this.#goodSinceMs ??= nowMs
    const waitMs = Math.min(this.#closeAfterMs * 2 ** (this.trips - 1), CLOSE_AFTER_MS_MAX)
    if (nowMs - this.#goodSinceMs < waitMs) return null
    this.#trippedBy = null
    return { kind: 'close', detail: `${by} ${vitalText(by, readings[by])}` }
  }
}
