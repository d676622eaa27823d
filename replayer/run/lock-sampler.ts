/**
 * Looks, a few times a second, at who waits for whose locks while a replay runs. One query on catalogs, over the connection that looks
 * for standstills: no lock of the replay's is needed, nothing of it waits for a look, and where a look fails there is none.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LockFacts } from '../../segment/locks.js'
import { fingerprint, loadParser } from '../../sql/parse.js'
import { LockLog, type SeenLock } from './lock-log.js'
import type { Target } from './target.js'

const EVERY_MS = 100

/** Since when somebody waits is told from PostgreSQL 14 on; before, since when its statement runs. */
export const lockLook = (versionNum: number): string => {
  const since = versionNum >= 140000 ? 'coalesce(l.waitstart, a.query_start)' : 'a.query_start'
  return `
  SELECT a.pid, ${since}::text AS since, a.query AS sql, l.locktype AS "lockType", l.mode,
         (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - ${since}) * 1000)::float8 AS "forMs",
         coalesce(CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END, '') AS table,
         by.pid AS "blockerPid", coalesce(b.query, '') AS "blockerSql", coalesce(b.state, '') AS "blockerState",
         coalesce((SELECT h.mode FROM pg_catalog.pg_locks h
                    WHERE h.pid = by.pid AND h.granted AND h.locktype = l.locktype AND h.relation IS NOT DISTINCT FROM l.relation
                      AND h.transactionid IS NOT DISTINCT FROM l.transactionid AND h.classid IS NOT DISTINCT FROM l.classid
                      AND h.objid IS NOT DISTINCT FROM l.objid LIMIT 1), '') AS "heldMode"
    FROM pg_catalog.pg_stat_activity a
    JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND NOT l.granted
   CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) AS by (pid)
    LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = by.pid
    LEFT JOIN LATERAL (SELECT t.relation FROM pg_catalog.pg_locks t
                        WHERE t.pid = a.pid AND t.locktype = 'tuple' AND t.granted LIMIT 1) AS row ON true
    LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(l.relation, row.relation)
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE a.datname = pg_catalog.current_database() AND a.wait_event_type = 'Lock'
   LIMIT 1000`
}

/** Who has seen a deadlock counts it at the latest when its backend ends. */
const BACKENDS = `SELECT count(*)::int AS count FROM pg_catalog.pg_stat_activity
   WHERE datname = pg_catalog.current_database() AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()`
/** Others may stay connected for good. */
const BACKENDS_GONE_MS_MAX = 1_000
const BACKENDS_EVERY_MS = 25
const DEADLOCKS = `SELECT deadlocks::int FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()`

export class LockSampler {
  readonly #target: Pick<Target, 'ask' | 'facts'>
  readonly #log = new LockLog((sql) => fingerprint(sql))
  readonly #look: string
  readonly #elapsedMs: () => number
  readonly #injected: () => readonly number[]
  #deadlocksBefore = 0
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  #ended = false

  private constructor(
    target: Pick<Target, 'ask' | 'facts'>,
    elapsedMs: () => number,
    injected: () => readonly number[],
  ) {
    this.#target = target
    this.#elapsedMs = elapsedMs
    this.#injected = injected
    this.#look = lockLook(target.facts.versionNum)
  }

  /** `injected`: backends that run what no recording has, as of now. */
  static async begin(
    target: Pick<Target, 'ask' | 'facts'>,
    elapsedMs: () => number,
    injected: () => readonly number[] = () => [],
  ): Promise<LockSampler> {
    await loadParser()
    const sampler = new LockSampler(target, elapsedMs, injected)
    sampler.#deadlocksBefore = await sampler.#deadlocks()
    sampler.#next()
    return sampler
  }

  async end(): Promise<LockFacts> {
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#looking
    await this.#backendsGone()
    const deadlocks = Math.max(0, (await this.#deadlocks()) - this.#deadlocksBefore)
    return this.#log.facts(EVERY_MS, deadlocks)
  }

  #next(): void {
    if (this.#ended) return
    this.#timer = setTimeout(() => {
      this.#looking = this.#once().finally(() => this.#next())
    }, EVERY_MS)
  }

  async #once(): Promise<void> {
    const injected = this.#injected()
    const seen = await this.#target.ask<SeenLock>(this.#look)
    if (seen !== null) this.#log.look(seen, this.#elapsedMs(), [...injected, ...this.#injected()])
  }

  async #backendsGone(): Promise<void> {
    const until = performance.now() + BACKENDS_GONE_MS_MAX
    while (performance.now() < until) {
      const found = await this.#target.ask<{ count: number }>(BACKENDS)
      if ((found?.[0]?.count ?? 0) === 0) return
      await sleep(BACKENDS_EVERY_MS)
    }
  }

  async #deadlocks(): Promise<number> {
    return (await this.#target.ask<{ deadlocks: number }>(DEADLOCKS))?.[0]?.deadlocks ?? 0
  }
}
