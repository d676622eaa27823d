/**
 * What a session has given names to: prepared statements and portals. Bounded; when a client names more than anybody should,
 * all are forgotten, and what uses them later cannot be replayed.
 */
import type { Portal, Prepared } from './exchange.js'

export class Names {
  readonly #max: number
  readonly #prepared = new Map<string, Prepared>()
  readonly #portals = new Map<string, Portal>()
  /** Statements have passed that nobody saw: an unknown name is no surprise. */
  missedSome = false

  constructor(max: number) {
    this.#max = max
  }

  prepared(name: string): Prepared | null {
    return this.#prepared.get(name) ?? null
  }

  portal(name: string): Portal | null {
    return this.#portals.get(name) ?? null
  }

  prepare(name: string, sql: string, parameterTypes: readonly number[]): Prepared {
    const prepared: Prepared = { name, sql, parameterTypes, columns: undefined }
    if (this.#prepared.size >= this.#max) {
      this.#prepared.clear()
      this.missedSome = true
    }
    this.#prepared.set(name, prepared)
    return prepared
  }

  bind(name: string, portal: Portal): void {
    if (this.#portals.size >= this.#max) this.#portals.clear()
    this.#portals.set(name, portal)
  }

  close(kind: 'S' | 'P', name: string): void {
    if (kind === 'S') this.#prepared.delete(name)
    else this.#portals.delete(name)
  }

  /** A Parse that was refused, or never looked at, leaves the name with what it stood for before. */
  unprepare(prepared: Prepared, before: Prepared | null): void {
    if (this.#prepared.get(prepared.name) !== prepared) return
    if (before) this.#prepared.set(prepared.name, before)
    else this.#prepared.delete(prepared.name)
  }

  /** DEALLOCATE ALL, DISCARD ALL. */
  unprepareAll(): void {
    this.#prepared.clear()
  }

  clear(): void {
    this.#prepared.clear()
    this.#portals.clear()
  }
}
