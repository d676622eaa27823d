/**
 * Isolation: may a replay dirty this database? Asked before the first statement, answered by the database itself, so that
 * a wrong URL, a copied config file or a stale variable cannot make a rehearsal touch production.
 */
import { setTimeout } from 'node:timers/promises'
import { EXIT, HarnessError } from '../../base/errors.js'
import { type Marker, readMarker, type SqlClient } from './marker.js'

const COMPANY_TRIES = 5
const COMPANY_WAIT_MS = 100

export type IsolationOptions = {
  /** Of the cluster the recording came from; empty when the recorder was not allowed to read it. */
  readonly recordingSystemIdentifier: string
}

/** Returns the marker of a database that may be dirtied; throws otherwise. */
export async function assertShadow(client: SqlClient, options: IsolationOptions): Promise<Marker> {
  const database = String((await client.query('SELECT current_database() AS name')).rows[0]!.name)
  await refuseProduction(client, database, options.recordingSystemIdentifier)
  const marker = await readMarker(client)
  if (marker === null)
    throw new HarnessError({
      code: 'NOT_A_SHADOW',
      message: `will not replay on database ${database}`,
      detail: 'it carries no shadow marker, so it may be anything',
      hint: 'Make a shadow with `pgrehearse snapshot restore`; only what it made is ever dirtied.',
      exit: EXIT.usage,
    })
  if (marker.role === 'golden')
    throw new HarnessError({
      code: 'GOLDEN_NOT_A_TARGET',
      message: `will not replay on database ${database}`,
      detail: 'it is a golden: the starting state that every replay gets a copy of',
      hint: 'Replay on a copy: `pgrehearse snapshot clone URL --as NAME` makes one in seconds.',
      exit: EXIT.usage,
    })
  await refuseCompany(client, database)
  return marker
}

/** Also asked by restore, before it creates anything. An unknown identifier proves nothing: the other checks then carry it. */
export async function refuseProduction(client: SqlClient, what: string, production: string): Promise<void> {
  if (production === '' || (await systemIdentifier(client)) !== production) return
  throw new HarnessError({
    code: 'TARGET_IS_PRODUCTION',
    message: `will not use ${what} as a shadow`,
    detail: `its cluster is the one the recording or snapshot came from (system identifier ${production})`,
    hint: 'Name a server of another cluster; --embedded starts one.',
    exit: EXIT.usage,
  })
}

/** Others who read or write there would be disturbed, and would disturb the comparison. Who has just hung up needs a moment to be gone. */
async function refuseCompany(client: SqlClient, database: string): Promise<void> {
  let company = await companyOf(client)
  for (let tries = 0; company.count > 0 && tries < COMPANY_TRIES; tries++) {
    await setTimeout(COMPANY_WAIT_MS)
    company = await companyOf(client)
  }
  if (company.count === 0) return
  const { count, example } = company
  throw new HarnessError({
    code: 'SHADOW_IN_USE',
    message: `will not replay on database ${database}`,
    detail: `${count} other client${count === 1 ? ' is' : 's are'} connected to it${example ? `, ${example} among them` : ''}`,
    hint: 'Disconnect them, or make another clone for this replay.',
    exit: EXIT.environment,
  })
}

async function companyOf(client: SqlClient): Promise<{ count: number; example: string | null }> {
  const { rows } = await client.query(`
    SELECT count(*)::int AS count, min(coalesce(nullif(application_name, ''), usename::text)) AS example
      FROM pg_catalog.pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender')`)
  return rows[0] as { count: number; example: string | null }
}

async function systemIdentifier(client: SqlClient): Promise<string | null> {
  const may = await client.query(`SELECT has_function_privilege('pg_catalog.pg_control_system()', 'execute') AS may`)
  if (may.rows[0]?.may !== true) return null
  const { rows } = await client.query(
    'SELECT system_identifier::text AS identifier FROM pg_catalog.pg_control_system()',
  )
  return String(rows[0]!.identifier)
}
