/**
 * Shutting the doors of a copy: replaced by stubs where something may call them, removed where nothing can, and refused
 * where neither is possible. Done in the shadow that a replay is about to dirty (a second replay finds it done), again after what a
 * migration made there (./keeper.ts), and in part in a golden before its migration.
 */
import { createHash } from 'node:crypto'
import { EXIT, HarnessError } from '../../../base/errors.js'
import { type Connected, qualified, quoteIdentifier, serverReason } from '../connect.js'
import type { Door, DoorState } from './door.js'
import { allDoors, type Doors, type FunctionDoor, findDoors, type OtherDoor, type TableDoor } from './find.js'
import { stubSql } from './stub.js'

export type ShutDoor = Pick<Door, 'kind' | 'name' | 'why'> & { readonly state: DoorState }

export type ShutOptions = {
  /** Names of doors, of extensions or of functions without their arguments, that the user vouches for. */
  readonly leaveOpen?: readonly string[]
  /** A name among them that is no door (any more) is no mistake. */
  readonly lenient?: boolean
  /** The client is in a transaction: functions and tables are shut in there, and only they. */
  readonly inTransaction?: boolean
  /** `golden`: what acts by itself, and functions. Foreign tables stay what they are, for a migration that alters them. */
  readonly of?: 'shadow' | 'golden'
  /** Is told of a door that cannot be shut, in words; without it, that is an error. */
  readonly cannot?: (why: string) => void
}

export async function shutDoors(client: Connected, options: ShutOptions = {}): Promise<readonly ShutDoor[]> {
  const everything = await findDoors(client)
  const found = options.of === 'golden' ? ofGolden(everything) : everything
  const stays = stayingOpen(found, options.leaveOpen ?? [], options.lenient ?? false)
  const shut: ShutDoor[] = []
  const one = async (door: Door, act: () => Promise<DoorState>): Promise<void> => {
    const state = stays.has(door) ? 'left open' : await tried(client, door, act, options.cannot)
    if (state !== null) shut.push({ kind: door.kind, name: door.name, why: door.why, state })
  }
  const replaceAll = async () => {
    // Event triggers would run at our own changes, before their functions are shut.
    const { rows } = await client.query(`SELECT current_setting('session_replication_role') AS before,
        set_config('session_replication_role', 'replica', true)
      FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper`)
    await client.query('CREATE SCHEMA IF NOT EXISTS pgrehearse')
    await client.query('CREATE TABLE IF NOT EXISTS pgrehearse.doors (counter text PRIMARY KEY, name text NOT NULL)')
    for (const door of found.functions)
      await one(door, () => (door.isStub ? Promise.resolve('stub') : replaceByStub(client, door)))
    for (const door of found.tables) await one(door, () => replaceByTable(client, door))
    if (rows[0] !== undefined)
      await client.query(`SELECT set_config('session_replication_role', $1, true)`, [rows[0].before])
  }
  if (options.inTransaction) await replaceAll()
  else if (found.functions.length + found.tables.length > 0) {
    await client.query('BEGIN')
    try {
      await replaceAll()
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {})
      throw error
    }
  }
  if (!options.inTransaction) for (const door of found.others) await one(door, () => end(client, door))
  return shut
}

const ACTS_BY_ITSELF: ReadonlySet<Door['kind']> = new Set(['subscription', 'replication slot', 'job'])

function ofGolden({ functions, others }: Doors): Doors {
  return { functions, tables: [], others: others.filter(({ kind }) => ACTS_BY_ITSELF.has(kind)) }
}

/** Jobs, subscriptions, slots: what acts by itself, in whatever database it finds itself. */
export async function endWhatActs(client: Connected): Promise<void> {
  const { others } = await findDoors(client)
  for (const door of others) if (ACTS_BY_ITSELF.has(door.kind)) await end(client, door)
}

/** How often each stub of this database was called. */
export async function countCalls(client: Connected): Promise<ReadonlyMap<string, number>> {
  const { rows } = await client.query(`SELECT to_regclass('pgrehearse.doors') IS NOT NULL AS has`)
  if (rows[0]?.has !== true) return new Map()
  const doors = await client.query<{ counter: string; name: string }>(
    'SELECT counter, name FROM pgrehearse.doors ORDER BY name',
  )
  const counts = new Map<string, number>()
  for (const { counter, name } of doors.rows) {
    const { rows: now } = await client.query(
      `SELECT CASE WHEN is_called THEN last_value ELSE 0 END::text AS calls FROM pgrehearse.${quoteIdentifier(counter)}`,
    )
    counts.set(name, Number(now[0].calls))
  }
  return counts
}

/** By the door's name, not by its number: the same function has the same stub in every shadow, whatever else there is. */
function counterOf(name: string): string {
  return `calls_${createHash('sha256').update(name).digest('hex').slice(0, 24)}`
}

/** null: it cannot be shut, and that has been told. */
async function tried(
  client: Connected,
  door: Door,
  act: () => Promise<DoorState>,
  cannot: ShutOptions['cannot'],
): Promise<DoorState | null> {
  const isAlone = cannot !== undefined && (door.kind === 'function' || door.kind === 'foreign table')
  try {
    if (isAlone) await client.query('SAVEPOINT pgrehearse_door')
    const state = await act()
    if (isAlone) await client.query('RELEASE SAVEPOINT pgrehearse_door')
    return state
  } catch (error) {
    if (cannot === undefined) throw cannotShut(door, error)
    if (isAlone) await client.query('ROLLBACK TO SAVEPOINT pgrehearse_door')
    cannot(`${door.kind} ${door.name} leads out of it and cannot be shut: ${serverReason(error)}`)
    return null
  }
}

async function replaceByStub(client: Connected, { facts, name }: FunctionDoor): Promise<DoorState> {
  const counter = counterOf(name)
  // A migration may have put code of its own in the place of a stub: it is counted on.
  await client.query('INSERT INTO pgrehearse.doors (counter, name) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    counter,
    name,
  ])
  await client.query(`CREATE SEQUENCE IF NOT EXISTS pgrehearse.${counter}`)
  await client.query(stubSql(facts, `pgrehearse.${counter}`))
  return 'stub'
}

/** Its triggers go along. What depends on it (a view) keeps it from being replaced, and the door from being shut. */
async function replaceByTable(client: Connected, { schema, table }: TableDoor): Promise<DoorState> {
  const name = qualified({ schema, name: table })
  const { rows: triggers } = await client.query(
    `SELECT pg_get_triggerdef(oid) AS sql FROM pg_catalog.pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal ORDER BY oid`,
    [name],
  )
  const draft = `pgrehearse_draft_${table}`.slice(0, 40)
  await client.query(`CREATE TABLE ${qualified({ schema, name: draft })} (LIKE ${name} INCLUDING ALL)`)
  await client.query(`DROP FOREIGN TABLE ${name}`)
  await client.query(`ALTER TABLE ${qualified({ schema, name: draft })} RENAME TO ${quoteIdentifier(table)}`)
  for (const { sql } of triggers) await client.query(sql)
  return 'local table'
}

/** Each statement in a message of its own: some of them refuse to share a transaction. */
async function end(client: Connected, { endSql }: OtherDoor): Promise<DoorState> {
  if (endSql.length === 0) return 'idle'
  for (const sql of endSql) await client.query(sql)
  return 'removed'
}

function stayingOpen(found: Doors, wanted: readonly string[], lenient: boolean): ReadonlySet<Door> {
  const stays = new Set<Door>()
  for (const name of wanted) {
    const named = allDoors(found).filter(
      (door) => door.name === name || door.extension === name || door.name.replace(/\(.*$/, '') === name,
    )
    if (named.length === 0 && !lenient) throw noSuchDoor(name)
    for (const door of named) stays.add(door)
  }
  // A foreign table needs its server, and a server that stays is meant for its tables.
  for (const table of found.tables) {
    const server = found.others.find(({ kind, name }) => kind === 'foreign server' && name === table.server)
    if (server !== undefined && stays.has(server)) stays.add(table)
    else if (server !== undefined && stays.has(table)) stays.add(server)
  }
  return stays
}

function noSuchDoor(name: string): HarnessError {
  return new HarnessError({
    code: 'NO_SUCH_DOOR',
    message: `there is no door ${name} to leave open`,
    detail: 'neither a door nor an extension of that name was found in this shadow',
    hint: '`pgrehearse snapshot doors URL` lists them as they are to be written.',
    exit: EXIT.usage,
  })
}

function cannotShut({ kind, name, why }: Door, error: unknown): HarnessError {
  return new HarnessError({
    code: 'DOOR_OPEN',
    message: `will not go on: ${kind} ${name} cannot be shut`,
    detail: `${why}; ${serverReason(error)}`,
    hint: `Replay as its owner or a superuser, drop it in the golden, or vouch for it with --leave-open '${name}'.`,
    exit: EXIT.environment,
    cause: error,
  })
}
