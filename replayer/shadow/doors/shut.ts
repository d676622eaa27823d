/**
 * Shutting the doors of a shadow: replaced by stubs where something may call them, removed where nothing can, and refused
 * where neither is possible. Done once, in the shadow that a replay is about to dirty; a second replay finds it done.
 */
import { EXIT, HarnessError } from '../../../base/errors.js'
import { type Connected, qualified, quoteIdentifier, serverReason } from '../connect.js'
import type { Door, DoorState } from './door.js'
import { allDoors, type Doors, type FunctionDoor, findDoors, type OtherDoor, type TableDoor } from './find.js'
import { stubSql } from './stub.js'

export type ShutDoor = Pick<Door, 'kind' | 'name' | 'why'> & { readonly state: DoorState }

/** `leaveOpen`: names of doors, of extensions or of functions without their arguments, that the user vouches for. */
export async function shutDoors(client: Connected, leaveOpen: readonly string[] = []): Promise<readonly ShutDoor[]> {
  const found = await findDoors(client)
  const stays = stayingOpen(found, leaveOpen)
  const shut: ShutDoor[] = []
  await client.query('BEGIN')
  try {
    // Event triggers would run at our own changes, before their functions are shut.
    await client.query(`SELECT set_config('session_replication_role', 'replica', true)
      FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper`)
    await client.query('CREATE SCHEMA IF NOT EXISTS pgrehearse')
    await client.query(
      'CREATE TABLE IF NOT EXISTS pgrehearse.doors (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE NOT NULL)',
    )
    for (const door of found.functions)
      shut.push(await one(door, stays, () => (door.isStub ? Promise.resolve('stub') : replaceByStub(client, door))))
    for (const door of found.tables) shut.push(await one(door, stays, () => replaceByTable(client, door)))
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
  for (const door of found.others) shut.push(await one(door, stays, () => end(client, door)))
  return shut
}

/** How often each stub of this database was called. */
export async function countCalls(client: Connected): Promise<ReadonlyMap<string, number>> {
  const { rows } = await client.query(`SELECT to_regclass('pgrehearse.doors') IS NOT NULL AS has`)
  if (rows[0]?.has !== true) return new Map()
  const doors = await client.query<{ id: number; name: string }>('SELECT id, name FROM pgrehearse.doors ORDER BY id')
  const counts = new Map<string, number>()
  for (const { id, name } of doors.rows) {
    const { rows: now } = await client.query(
      `SELECT CASE WHEN is_called THEN last_value ELSE 0 END::text AS calls FROM ${counterOf(id)}`,
    )
    counts.set(name, Number(now[0].calls))
  }
  return counts
}

function counterOf(id: number): string {
  return `pgrehearse.door_${id}_calls`
}

async function one(door: Door, stays: ReadonlySet<Door>, act: () => Promise<DoorState>): Promise<ShutDoor> {
  const { kind, name, why } = door
  if (stays.has(door)) return { kind, name, why, state: 'left open' }
  try {
    return { kind, name, why, state: await act() }
  } catch (error) {
    throw cannotShut(door, error)
  }
}

async function replaceByStub(client: Connected, { facts, name }: FunctionDoor): Promise<DoorState> {
  const { rows } = await client.query('INSERT INTO pgrehearse.doors (name) VALUES ($1) RETURNING id', [name])
  const counter = counterOf(rows[0].id)
  await client.query(`CREATE SEQUENCE ${counter}`)
  await client.query(stubSql(facts, counter))
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

function stayingOpen(found: Doors, wanted: readonly string[]): ReadonlySet<Door> {
  const stays = new Set<Door>()
  for (const name of wanted) {
    const named = allDoors(found).filter(
      (door) => door.name === name || door.extension === name || door.name.replace(/\(.*$/, '') === name,
    )
    if (named.length === 0) throw noSuchDoor(name)
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
    message: `will not replay: ${kind} ${name} cannot be shut`,
    detail: `${why}; ${serverReason(error)}`,
    hint: `Replay as its owner or a superuser, drop it in the golden, or vouch for it with --leave-open '${name}'.`,
    exit: EXIT.environment,
    cause: error,
  })
}
