/**
 * Looks at the server while something injected runs: which locks it holds, who waits for it, for whom it waits.
 *
 * A connection of its own, so that it sees everything while the injected statement keeps its own busy. Catalogs only: a look needs no
 * lock that a migration could hold.
 */
import type { Connected } from '../../shadow/connect.js'
import type { Look, SeenWait } from './sightings.js'

/** Which recorded session a backend serves. */
export type Whose = {
  readonly sessionOf: (pid: number) => number | null
  /** Backends of the replay and of its own looking: everybody else in the database came with the injected command. */
  readonly ours: () => readonly number[]
}

const LOCKS = `
  SELECT DISTINCT n.nspname || '.' || c.relname AS relation, l.mode
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE l.locktype = 'relation' AND l.granted AND l.pid = ANY($1)
     AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
     AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`

/** Since when somebody waits is told from PostgreSQL 14 on. */
const waiting = (versionNum: number) => `
  SELECT a.pid, pg_catalog.pg_blocking_pids(a.pid) AS by,
         ${
           versionNum >= 140000
             ? `(SELECT (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(l.waitstart)) * 1000000)::float8
                   FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND NOT l.granted)`
             : 'NULL::float8'
         } AS for_us
    FROM pg_catalog.pg_stat_activity a
   WHERE a.datname = pg_catalog.current_database() AND a.wait_event_type = 'Lock'`

const STRANGERS = `
  SELECT pid FROM pg_catalog.pg_stat_activity
   WHERE datname = pg_catalog.current_database() AND backend_type = 'client backend' AND pid <> ALL($1)`

export class Observer {
  readonly #client: Connected
  readonly #whose: Whose
  readonly #waiting: string

  constructor(client: Connected, versionNum: number, whose: Whose) {
    this.#client = client
    this.#whose = whose
    this.#waiting = waiting(versionNum)
  }

  /** Backends that are nobody's we know. */
  async strangers(): Promise<number[]> {
    const { rows } = await this.#client.query<{ pid: number }>(STRANGERS, [this.#whose.ours()])
    return rows.map(({ pid }) => pid)
  }

  async look(pids: readonly number[], nowUs: () => number): Promise<Look> {
    const locks = await this.#client.query<{ relation: string; mode: string }>(LOCKS, [pids])
    const waits = await this.#client.query<{ pid: number; by: number[]; for_us: number | null }>(this.#waiting)
    const own = new Set(pids)
    const seen = waits.rows.flatMap(({ pid, by, for_us }): SeenWait[] => {
      const forUs = for_us === null ? null : Math.max(0, for_us)
      if (own.has(pid)) {
        return by
          .filter((holder) => !own.has(holder))
          .map((holder) => ({ direction: 'waited for', session: this.#whose.sessionOf(holder), pid: holder, forUs }))
      }
      if (!by.some((holder) => own.has(holder))) return []
      return [{ direction: 'held up', session: this.#whose.sessionOf(pid), pid, forUs }]
    })
    return { atUs: nowUs(), locks: locks.rows, waits: seen }
  }

  async cancel(pids: readonly number[]): Promise<void> {
    await this.#client.query('SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.unnest($1::int[]) AS pid', [
      pids,
    ])
  }
}
