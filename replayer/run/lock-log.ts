/**
 * Lock waits, from looks at the server to who waited for whom and how long. Pure: looks come in, facts come out.
 *
 * One wait is one backend waiting since one moment, however many looks see it; its length is what the last of them saw. Waits are
 * gathered by kind of statement, table and mode, so memory grows with those.
 */
import type { LockFacts, LockWait } from '../../segment/locks.js'

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
  #samples = 0
  #more = 0

  constructor(fingerprint: (sql: string) => string) {
    this.#fingerprint = fingerprint
  }

  look(seen: readonly SeenLock[], atMs: number): void {
    this.#samples += 1
    const waiting = new Set(seen.map(({ pid }) => pid)).size
    const second = Math.floor(atMs / 1000)
    if (waiting > 0) this.#seconds.set(second, Math.max(waiting, this.#seconds.get(second) ?? 0))
    const open = new Map<string, Open>()
    for (const one of seen) {
      const group = this.#group(one, atMs)
      if (group === null) continue
      group.lastMs = Math.max(group.lastMs, atMs)
      open.set(`${one.pid} ${one.since} ${one.blockerPid}`, { group, ms: one.forMs })
    }
    for (const [wait, ended] of this.#open) if (!open.has(wait)) close(ended)
    this.#open = open
  }

  facts(sampledEveryMs: number, deadlocks: number): LockFacts {
    for (const ended of this.#open.values()) close(ended)
    this.#open = new Map()
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
      timeline: [...this.#seconds]
        .sort(([a], [b]) => a - b)
        .map(([at, count]) => ({ atMs: at * 1000, waiting: count })),
      deadlocks,
    }
  }

  #group(one: SeenLock, atMs: number): Group | null {
    const waiting = this.#statement(one.sql)
    const blocking = { ...this.#statement(one.blockerSql), state: one.blockerState }
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

  #statement(sql: string): LockWait['waiting'] {
    return { fingerprint: sql === '' ? '' : this.#fingerprint(sql), sql: sql.slice(0, SQL_CHARACTERS_MAX) }
  }
}

function name({ fingerprint, sql }: LockWait['waiting']): string {
  return fingerprint || sql
}

function close({ group, ms }: Open): void {
  group.waits += 1
  group.totalMs += ms
  group.longestMs = Math.max(group.longestMs, ms)
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
