/**
 * Shadows are made from a golden by copying its files inside the server (85 MB in 0.3 s), and dropped after one replay.
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import {
  type Connected,
  connect,
  quoteIdentifier,
  serverReason,
  withAdmin,
  withClient,
  withDatabase,
} from './connect.js'
import { readMarker, writeMarker } from './marker.js'

const OBJECT_IN_USE = '55006'
const DUPLICATE_DATABASE = '42P04'

/** Makes database `name` as a copy of `golden`; `adminUrl` may name any other database of the server. Returns the URL of the shadow. */
export async function cloneShadow(adminUrl: string, golden: string, name: string): Promise<string> {
  const goldenUrl = withDatabase(adminUrl, golden)
  const marker = await withClient(goldenUrl, readMarker)
  if (marker === null) throw notOurs(golden, 'clone')
  await withAdmin(adminUrl, async (admin) => {
    const { rows } = await admin.query(`SELECT current_setting('server_version_num')::int AS version`)
    // Before 15 copying files was the only way.
    const strategy = rows[0].version >= 150000 ? ' STRATEGY file_copy' : ''
    try {
      await admin.query(`CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE ${quoteIdentifier(golden)}${strategy}`)
    } catch (error) {
      throw cannotClone(golden, name, error)
    }
    await copySettings(admin, golden, name)
  })
  const url = withDatabase(adminUrl, name)
  const shadow = await connect(url)
  try {
    await writeMarker(shadow, name, { ...marker, role: 'shadow', createdAtMs: Date.now() })
  } finally {
    await shadow.end()
  }
  return url
}

/** Drops a shadow or a golden with whoever is connected; never a database that a restore or clone did not make. */
export async function dropShadow(adminUrl: string, name: string): Promise<void> {
  if ((await withClient(withDatabase(adminUrl, name), readMarker)) === null) throw notOurs(name, 'drop')
  await withAdmin(adminUrl, (admin) => dropDatabase(admin, name))
}

/** The server waits some seconds for those told to go. (DROP … WITH FORCE came with 13.) */
export async function dropDatabase(admin: Connected, name: string): Promise<void> {
  await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name])
  await admin.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}`)
}

/** What ALTER DATABASE … SET gave the golden belongs to the database's name, so a copy starts without it. */
async function copySettings(admin: Connected, golden: string, name: string): Promise<void> {
  const { rows } = await admin.query(
    `SELECT unnest(s.setconfig) AS setting FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
      WHERE d.datname = $1 AND s.setrole = 0`,
    [golden],
  )
  for (const { setting } of rows) await setForDatabase(admin, name, String(setting))
}

/** `setting` reads `name=value`. Set in our session first, so that lists like a search path need no quoting rules of ours. */
export async function setForDatabase(admin: Connected, database: string, setting: string): Promise<void> {
  const at = setting.indexOf('=')
  await admin.query('SELECT set_config($1, $2, false)', [setting.slice(0, at), setting.slice(at + 1)])
  await admin.query(
    `ALTER DATABASE ${quoteIdentifier(database)} SET ${quoteIdentifier(setting.slice(0, at))} FROM CURRENT`,
  )
}

function notOurs(name: string, verb: string): HarnessError {
  return new HarnessError({
    code: 'NOT_A_SHADOW',
    message: `will not ${verb} database ${name}`,
    detail: 'it carries no shadow marker, so it may be anything',
    hint: 'Only databases made by `pgrehearse snapshot restore`, and their clones, are touched.',
    exit: EXIT.usage,
  })
}

function cannotClone(golden: string, name: string, error: unknown): HarnessError {
  const { code } = error as { code?: string }
  const inUse = code === OBJECT_IN_USE
  return new HarnessError({
    code: inUse ? 'GOLDEN_IN_USE' : code === DUPLICATE_DATABASE ? 'TARGET_EXISTS' : 'CLONE_FAILED',
    message: `cannot clone ${golden} as ${name}`,
    detail: serverReason(error),
    hint: inUse
      ? 'Disconnect every client from the golden; it is copied as files, which needs it to be still.'
      : 'The user needs the right to create databases (CREATEDB), the disk needs room for one more copy.',
    cause: error,
  })
}
