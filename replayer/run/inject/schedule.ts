/**
 * When the moments of injections have come: timers, and wake-ups by the session that gets as far as a statement.
 */
import { COMPLETED, type Progress } from '../progress.js'

/** A moment as the running replay can tell it. */
export type Due =
  | { readonly kind: 'time'; readonly afterMs: number }
  | { readonly kind: 'place'; readonly session: number; readonly ordinal: number }

export class Schedule<T> {
  readonly #progress: Progress
  readonly #come: (item: T) => void
  #places: { readonly session: number; readonly ordinal: number; readonly item: T }[] = []
  readonly #timed = new Map<T, NodeJS.Timeout>()
  readonly #ended = new AbortController()

  constructor(progress: Progress, come: (item: T) => void) {
    this.#progress = progress
    this.#come = come
  }

  /** `inMs`: until moment zero of the replay. */
  start(all: readonly { readonly due: Due; readonly item: T }[], inMs: number): void {
    for (const { due, item } of all) {
      if (due.kind === 'place') this.#places.push({ ...due, item })
      else
        this.#timed.set(
          item,
          setTimeout(() => this.#timeHasCome(item), inMs + due.afterMs),
        )
    }
    if (this.#places.length === 0) return
    this.#progress.onWake(() => this.#look(), this.#ended.signal)
    this.#look()
  }

  /** The replay is over: what has not come by now never will. */
  end(): T[] {
    this.#look()
    this.#ended.abort()
    for (const timer of this.#timed.values()) clearTimeout(timer)
    const missed = [...this.#timed.keys(), ...this.#places.map(({ item }) => item)]
    this.#timed.clear()
    this.#places = []
    return missed
  }

  #timeHasCome(item: T): void {
    this.#timed.delete(item)
    this.#come(item)
  }

  #look(): void {
    const reached = (place: { session: number; ordinal: number }) =>
      this.#progress.reached(place.session, place.ordinal, COMPLETED)
    // First wish, then look: whoever gets there in between wakes us.
    for (const { session } of this.#places) this.#progress.want(session, this.#nextOf(session))
    const come = this.#places.filter(reached)
    if (come.length === 0) return
    this.#places = this.#places.filter((place) => !come.includes(place))
    for (const { session } of come) this.#progress.want(session, this.#nextOf(session))
    for (const { item } of come) this.#come(item)
  }

  /** 0: nothing of that session is waited for. */
  #nextOf(session: number): number {
    const ordinals = this.#places.filter((place) => place.session === session).map(({ ordinal }) => ordinal)
    return ordinals.length === 0 ? 0 : Math.min(...ordinals)
  }
}
