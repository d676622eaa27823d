/**
 * What a session has given names to: prepared statements and portals. Bounded by number and by bytes; when a client names more than
 * anybody should, all are forgotten, and what uses them later cannot be replayed.
 */
import type { Portal, Prepared } from './exchange.js'

export type NamesLimits = { readonly namesMax: number; readonly namesBytesMax: number }

/** What a name costs beside its text or values. */
const NAME_BYTES = 200

export class Names {
  readonly #limits: NamesLimits
  readonly #prepared = new Map<string, Prepared>()
  readonly #portals = new Map<string, Portal>()
  #bytes = 0
  /** Statements have passed that nobody saw: an unknown name is no surprise. */
  missedSome = false

  constructor(limits: NamesLimits) {
    this.#limits = limits
  }

  prepared(name: string): Prepared | null {
    return this.#prepared.get(name) ?? null
  }

  portal(name: string): Portal | null {
    return this.#portals.get(name) ?? null
  }

  prepare(name: string, sql: string, parameterTypes: readonly number[]): Prepared {
    const prepared: Prepared = { name, sql, parameterTypes, columns: undefined }
    this.#put(prepared)
    return prepared
  }

  bind(name: string, portal: Portal): void {
    this.close('P', name)
    this.#makeRoom(this.#portals, bytesOfPortal(portal))
    this.#portals.set(name, portal)
    this.#bytes += bytesOfPortal(portal)
  }

  close(kind: 'S' | 'P', name: string): void {
    if (kind === 'S') {
      const prepared = this.#prepared.get(name)
      if (prepared !== undefined && this.#prepared.delete(name)) this.#bytes -= bytesOf(prepared)
    } else {
      const portal = this.#portals.get(name)
      if (portal !== undefined && this.#portals.delete(name)) this.#bytes -= bytesOfPortal(portal)
    }
  }

  /** A Parse that was refused, or never looked at, leaves the name with what it stood for before. */
  unprepare(prepared: Prepared, before: Prepared | null): void {
    if (this.#prepared.get(prepared.name) !== prepared) return
    this.close('S', prepared.name)
    if (before) this.#put(before)
  }

  /** DEALLOCATE ALL, DISCARD ALL. */
  unprepareAll(): void {
    for (const name of [...this.#prepared.keys()]) this.close('S', name)
  }

  /** The transaction is over, and portals with it. */
  dropPortals(): void {
    if (this.#portals.size === 0) return
    for (const portal of this.#portals.values()) this.#bytes -= bytesOfPortal(portal)
    this.#portals.clear()
  }

  clear(): void {
    this.#prepared.clear()
    this.#portals.clear()
    this.#bytes = 0
  }

  #put(prepared: Prepared): void {
    this.close('S', prepared.name)
    this.#makeRoom(this.#prepared, bytesOf(prepared))
    this.#prepared.set(prepared.name, prepared)
    this.#bytes += bytesOf(prepared)
  }

  #makeRoom(names: ReadonlyMap<string, unknown>, bytes: number): void {
    if (names.size < this.#limits.namesMax && this.#bytes + bytes <= this.#limits.namesBytesMax) return
    this.clear()
    this.missedSome = true
  }
}

function bytesOf({ name, sql }: Prepared): number {
  return NAME_BYTES + name.length + sql.length
}

function bytesOfPortal({ bind }: Portal): number {
  return NAME_BYTES + bind.length
}
