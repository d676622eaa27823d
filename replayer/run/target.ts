/**
 * The target as the coordinator sees it: what it is, whether it is still there, and who holds locks that others wait for.
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import type { CatalogType } from '../../segment/catalog.js'
import type { RunFacts } from '../../segment/run.js'
import { readTypes } from '../../sql/read-catalog.js'
import { type Connected, connect, withClient } from '../shadow/connect.js'
import { leaveOff, takeUp } from '../shadow/left-off.js'
import { nearest } from './nearest.js'
import { makeReaderRole, type ReaderRole } from './reader-role.js'

/** A session that waits for locks, and who holds them, by backend pid. */
export type LockWait = { readonly pid: number; readonly by: readonly number[] }

export class Target {
  readonly facts: RunFacts['target']
  readonly #url: string
  readonly #patienceMs: number
  #client: Connected | null
  #reader: ReaderRole | null = null

  private constructor(url: string, patienceMs: number, client: Connected, facts: RunFacts['target']) {
    this.#url = url
    this.#patienceMs = patienceMs
    this.#client = client
    this.facts = facts
    this.#watch(client)
  }

  static async connect(url: string, patienceMs: number): Promise<Target> {
    const client = await connect(url)
    return new Target(url, patienceMs, client, await readFacts(client))
  }

  /** How workers get to it: see ./nearest.ts. */
  async nearest(url: string): Promise<string> {
    return this.#client === null ? url : await withClient(url, (client) => nearest(url, client))
  }

  /** See ./reader-role.ts. A sentence: why there is none. */
  async readerRole(): Promise<ReaderRole | string> {
    const made = this.#client === null ? 'the target is away' : await makeReaderRole(this.#url, this.#client)
    if (typeof made === 'string') return made
    this.#reader = made
    try {
      await withClient(made.url, (client) => client.query('SELECT 1'))
      return made
    } catch (error) {
      await this.#dropReader()
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** Of our own connection; 0: it is away at the moment. */
  get backendPid(): number {
    return (this.#client as (Connected & { processID?: number }) | null)?.processID ?? 0
  }

  /** null: the connection is away at the moment. */
  async lockWaits(): Promise<LockWait[] | null> {
    const rows = await this.#rows<{ pid: number; by: number[] }>(
      `SELECT pid, pg_catalog.pg_blocking_pids(pid) AS by FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND wait_event_type = 'Lock'`,
    )
    return rows?.map(({ pid, by }) => ({ pid, by })) ?? null
  }

  /** Whether any of these backends is at work. */
  async isBusy(pids: readonly number[]): Promise<boolean | null> {
    const rows = await this.#rows<{ busy: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE state = 'active' AND pid = ANY($1)) AS busy`,
      [pids],
    )
    return rows?.[0]?.busy ?? null
  }

  /** Rejects when the target has gone for good. */
  async stillThere(): Promise<void> {
    if (this.#client !== null) return
    for (const untilMs = performance.now() + this.#patienceMs; ; ) {
      try {
        this.#client = await connect(this.#url)
        this.#watch(this.#client)
        return
      } catch (cause) {
        if (performance.now() > untilMs) throw gone(cause)
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
    }
  }

  /** Notes in the target where the replay left it; see ../shadow/left-off.ts. Whether it could. */
  async leaveOff(run: string, pids: readonly number[]): Promise<boolean> {
    if (this.#client === null) return false
    return leaveOff(this.#client, run, pids).then(
      () => true,
      () => false,
    )
  }

  /** Whoever replays on the target makes it another one. */
  async takeUp(): Promise<void> {
    // Who may not write there has never left a note there.
    if (this.#client !== null) await takeUp(this.#client).catch(() => {})
  }

  async #dropReader(): Promise<void> {
    const [reader, client] = [this.#reader, this.#client]
    this.#reader = null
    if (reader !== null && client !== null) await reader.drop(client).catch(() => {})
  }

  async close(): Promise<void> {
    await this.#dropReader()
    await this.#client?.end().catch(() => {})
    this.#client = null
  }

  /** Of the users, by the oids they have here. null: the connection is away at the moment. */
  async types(): Promise<CatalogType[] | null> {
    try {
      return this.#client === null ? null : await readTypes(this.#client, this.facts.versionNum)
    } catch {
      return null
    }
  }

  /** null: the connection is away at the moment, or the server does not answer that. */
  ask<Row extends object>(sql: string): Promise<Row[] | null> {
    return this.#rows<Row>(sql)
  }

  async #rows<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[] | null> {
    try {
      return (await this.#client?.query<Row>(sql, values))?.rows ?? null
    } catch {
      return null
    }
  }

  #watch(client: Connected): void {
    const away = (): void => {
      if (this.#client === client) this.#client = null
    }
    client.on('error', away)
    client.on('end', away)
  }
}

async function readFacts(client: Connected): Promise<RunFacts['target']> {
  const { rows } = await client.query<{ version: string; num: string; database: string }>(
    `SELECT pg_catalog.version() AS version, pg_catalog.current_setting('server_version_num') AS num,
            pg_catalog.current_database() AS database`,
  )
  const { version, num, database } = rows[0]!
  return { version, versionNum: Number(num), database, systemIdentifier: await systemIdentifier(client) }
}

/** Empty where we are not allowed to read it. */
async function systemIdentifier(client: Connected): Promise<string> {
  try {
    const { rows } = await client.query<{ id: string }>(
      'SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()',
    )
    return rows[0]?.id ?? ''
  } catch {
    return ''
  }
}

function gone(cause: unknown): HarnessError {
  return new HarnessError({
    code: 'TARGET_LOST',
    message: 'the target went away during the replay and did not come back',
    detail: cause instanceof Error ? cause.message : String(cause),
    hint: "Look at the target's log, restore the shadow, and replay again.",
    exit: EXIT.environment,
    cause,
  })
}
