/**
 * How production is: one small question now and then, over a connection of our own. A server that does not answer in time is news,
 * not a reading: what is not known neither trips the breaker nor closes it.
 */
import type pg from 'pg'
import type { Readings } from './vitals.js'

export type Answer = {
  /** Sessions that are executing, as a share of those that may be. */
  readonly active: number | null
  readonly oldestMs: number | null
  readonly lagMs: number | null
  /** Without it others' sessions look idle. */
  readonly seesAll: boolean
}

export type ProductionHost = {
  connect(): Promise<pg.Client>
  tell(detail: string): void
}

const EVERY_MS = 2000
const AGAIN_MS = 10_000
const ANSWER_MS_MAX = 1000

const QUESTION = `
  SELECT (count(*) FILTER (WHERE state = 'active'))::float8 / current_setting('max_connections')::float8 AS active,
    (extract(epoch FROM max(clock_timestamp() - xact_start)) * 1000)::float8 AS "oldestMs",
    CASE WHEN pg_is_in_recovery()
      THEN (SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
              ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000 END)
      ELSE (SELECT extract(epoch FROM max(replay_lag)) * 1000 FROM pg_stat_replication)
    END::float8 AS "lagMs",
    pg_has_role('pg_read_all_stats', 'USAGE') AS "seesAll"
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`

export class Production {
  readonly #host: ProductionHost
  #client: pg.Client | null = null
  #readings: Readings = {}
  #nextMs = 0
  #asking = false
  #told = ''
  #ended = false

  constructor(host: ProductionHost) {
    this.#host = host
  }

  /** What was known last; asks again when it is time. */
  read(nowMs: number): Readings {
    if (!this.#asking && !this.#ended && nowMs >= this.#nextMs) {
      this.#asking = true
      void this.#ask().then((worked) => {
        this.#asking = false
        this.#nextMs = nowMs + (worked ? EVERY_MS : AGAIN_MS)
      })
    }
    return this.#readings
  }

  end(): void {
    this.#ended = true
    this.#readings = {}
    this.#drop()
  }

  async #ask(): Promise<boolean> {
    try {
      this.#client ??= await this.#connect()
      const { rows } = await this.#client.query<Answer>(QUESTION)
      if (this.#ended) this.#drop()
      else this.#take(rows[0]!)
      return true
    } catch (error) {
      this.#readings = {}
      this.#drop()
      if (!this.#ended) this.#tellOnce(`not known: ${(error as { code?: string }).code ?? 'no answer in time'}`)
      return false
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = await this.#host.connect()
    client.on('error', () => this.#drop())
    await client.query(`SET statement_timeout = ${ANSWER_MS_MAX}`)
    return client
  }

  #take(answer: Answer): void {
    this.#readings = readingsOf(answer)
    this.#tellOnce(
      answer.seesAll ? '' : "the sessions of others cannot be seen; grant pg_monitor to the upstream URL's user",
    )
  }

  #tellOnce(detail: string): void {
    if (detail !== '' && detail !== this.#told) this.#host.tell(detail)
    this.#told = detail
  }

  #drop(): void {
    void this.#client?.end().catch(() => {})
    this.#client = null
  }
}

/** A server without standbys has no lag; one that shows us nothing of others has no figures. */
export function readingsOf({ active, oldestMs, lagMs, seesAll }: Answer): Readings {
  return {
    ...(seesAll ? { 'active-sessions': active ?? 0, 'oldest-transaction': Math.max(0, oldestMs ?? 0) } : {}),
    'replication-lag': Math.max(0, lagMs ?? 0),
  }
}
