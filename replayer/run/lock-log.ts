/**
 * Lock waits, from looks at the server to who waited for whom and how long. Pure: looks come in, facts come out.
 *
 * One wait is one backend waiting since one moment, however many looks see it; its length is what the last of them saw, and what stands in
 * its way is what did so at the first: whoever holds a lock goes on to other statements. Waits are gathered by kind of statement, table and
 * mode, so memory grows with those.
 */
import type { Locked, LockFacts, LockWait } from '../../segment/locks.js'

/** One backend in the way of another, as a look saw it. */
export type SeenLock = {
  readonly pid: number
  /** Since when, as the server says it: the same for all looks at one wait. */
  readonly since: string
  readonly forMs: number
  readonly sql: string
  readonly lockType: string
  readonly mode: string
  readonly table: string
  readonly blockerPid: number
  readonly blockerSql: string
  readonly blockerState: string
  readonly heldMode: string
}

type Group = { -readonly [K in keyof LockWait]: LockWait[K] }
type Open = { readonly group: Group; readonly ms: number }

const GROUPS_MAX = 500
const KEPT_MAX = 100
const SQL_CHARACTERS_MAX = 2_000

export class LockLog {
  readonly #fingerprint: (sql: string) => string
  readonly #groups = new Map<string, Group>()
  readonly #seconds = new Map<number, number>()
  #open = new Map<string, Open>()
  /** By backend and moment, whomever it waits for. */
  #waiting = new Map<string, number>()
  readonly #total = { waits: 0, ms: 0 }
  #samples = 0
  #more = 0

  constructor(fingerprint: (sql: string) => string) {
    this.#fingerprint = fingerprint
  }

  /** `injected`: backends that run what no recording has. */
  look(seen: readonly SeenLock[], atMs: number, injected: readonly number[] = []): void {
    this.#samples += 1
    const waiting = new Set(seen.map(({ pid }) => pid)).size
    const second = Math.floor(atMs / 1000)
    if (waiting > 0) this.#seconds.set(second, Math.max(waiting, this.#seconds.get(second) ?? 0))
    const open = new Map<string, Open>()
    const waits = new Map<string, number>()
    for (const one of seen) {
      const wait = `${one.pid} ${one.since}`
      waits.set(wait, Math.max(one.forMs, waits.get(wait) ?? 0))
      const key = `${wait} ${one.blockerPid}`
      const group = this.#open.get(key)?.group ?? this.#group(one, atMs, injected)
      if (group === null) continue
      group.lastMs = round(Math.max(group.lastMs, atMs))
      open.set(key, { group, ms: one.forMs })
    }
    this.#close(open, waits)
  }

  #close(open: Map<string, Open>, waits: Map<string, number>): void {
    for (const [key, { group, ms }] of this.#open) {
      if (open.has(key)) continue
      group.waits += 1
      group.totalMs += ms
      group.longestMs = Math.max(group.longestMs, ms)
    }
    for (const [wait, ms] of this.#waiting) {
      if (waits.has(wait)) continue
      this.#total.waits += 1
      this.#total.ms += ms
    }
    this.#open = open
    this.#waiting = waits
  }

  facts(sampledEveryMs: number, deadlocks: number): LockFacts {
    this.#close(new Map(), new Map())
    const waits = [...this.#groups.values()]
      .filter(({ waits: count }) => count > 0)
      .sort((a, b) => b.totalMs - a.totalMs)
    return {
      sampledEveryMs,
      samples: this.#samples,
      waits: waits
        .slice(0, KEPT_MAX)
        .map((wait) => ({ ...wait, totalMs: round(wait.totalMs), longestMs: round(wait.longestMs) })),
      more: this.#more + Math.max(0, waits.length - KEPT_MAX),
      total: { waits: this.#total.waits, ms: round(this.#total.ms) },
      timeline: [...this.#seconds]
        .sort(([a], [b]) => a - b)
        .map(([at, count]) => ({ atMs: at * 1000, waiting: count })),
      deadlocks,
    }
  }

  #group(one: SeenLock, atMs: number, injected: readonly number[]): Group | null {
    const waiting = this.#statement(one.sql, injected.includes(one.pid))
    const blocking = { ...this.#statement(one.blockerSql, injected.includes(one.blockerPid)), state: one.blockerState }
    const { table, lockType, mode, heldMode } = one
    const key = JSON.stringify([name(waiting), name(blocking), table, lockType, mode, heldMode])
    const found = this.#groups.get(key)
    if (found !== undefined) return found
    if (this.#groups.size >= GROUPS_MAX) {
      this.#more += 1
      return null
    }
    const times = { waits: 0, totalMs: 0, longestMs: 0, firstMs: round(atMs), lastMs: round(atMs) }
    const group: Group = { waiting, blocking, table, lockType, mode, heldMode, ...times }
    this.#groups.set(key, group)
    return group
  }

  #statement(sql: string, injected: boolean): Locked {
    return {
      fingerprint: sql === '' ? '' : this.#fingerprint(sql),
      sql: sql.slice(0, SQL_CHARACTERS_MAX),
      ...(injected ? { injected } : {}),
    }
  }
}

function name({ fingerprint, sql, injected }: Locked): string {
  return `${injected ?? false} ${fingerprint || sql}`
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
