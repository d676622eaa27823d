/**
 * Read-only, enforced by the server: a role that may read everything and write nothing, made for one replay and dropped after it.
 *
 * `default_transaction_read_only` alone is a default: a recorded SET, or BEGIN READ WRITE, undoes it. A role without rights to write does
 * not care. What is left is a function that runs with its owner's rights (SECURITY DEFINER) in a transaction that was made writable.
 */
import { randomBytes } from 'node:crypto'
import { type Connected, quoteIdentifier, quoteLiteral, serverReason } from '../shadow/connect.js'

export type ReaderRole = {
  /** The target, as that role. */
  readonly url: string
  /** What its user has by ALTER ROLE … SET, so that the new role behaves alike. */
  readonly defaults: Readonly<Record<string, string>>
  drop(client: Connected): Promise<void>
}

type Maker = { readonly who: string; readonly bypasses: boolean; readonly version: number; readonly path: string }

/** A sentence says why there is none: its user may not make roles, or the server does not let the role in. */
export async function makeReaderRole(url: string, client: Connected): Promise<ReaderRole | string> {
  const name = `pgrehearse_reader_${randomBytes(6).toString('hex')}`
  const password = randomBytes(24).toString('base64url')
  const role = quoteIdentifier(name)
  try {
    const maker = await whoMakes(client)
    await client.query(
      `CREATE ROLE ${role} LOGIN ${maker.bypasses ? 'BYPASSRLS' : ''} PASSWORD ${quoteLiteral(password)}`,
    )
    try {
      await grant(client, role, maker)
      return {
        url: Object.assign(new URL(url), { username: name, password }).href,
        defaults: await settingsOf(client, maker),
        drop: (by) => drop(by, role),
      }
    } catch (error) {
      await drop(client, role)
      throw error
    }
  } catch (error) {
    return serverReason(error)
  }
}

async function whoMakes(client: Connected): Promise<Maker> {
  const { rows } = await client.query<Maker>(
    `SELECT session_user::text AS who, r.rolsuper OR r.rolbypassrls AS bypasses,
            pg_catalog.current_setting('server_version_num')::int AS version, pg_catalog.current_setting('search_path') AS path
       FROM pg_catalog.pg_roles r WHERE r.rolname = session_user`,
  )
  return rows[0]!
}

async function grant(client: Connected, role: string, { version }: Maker): Promise<void> {
  if (version >= 140000) {
    await client.query(`GRANT pg_read_all_data TO ${role}`)
    return
  }
  const { rows } = await client.query<{ schema: string }>(
    `SELECT pg_catalog.quote_ident(nspname) AS schema FROM pg_catalog.pg_namespace
      WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'`,
  )
  for (const { schema } of rows) {
    await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`)
    await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${role}`)
    await client.query(`GRANT SELECT ON ALL SEQUENCES IN SCHEMA ${schema} TO ${role}`)
  }
}

/** `$user` in a search path is another one for another role. */
async function settingsOf(client: Connected, { who, path }: Maker): Promise<Record<string, string>> {
  const { rows } = await client.query<{ setting: string }>(
    `SELECT pg_catalog.unnest(s.setconfig) AS setting FROM pg_catalog.pg_db_role_setting s
       JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
      WHERE r.rolname = $1 AND (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
      ORDER BY s.setdatabase`,
    [who],
  )
  const settings = Object.fromEntries(
    rows.map(({ setting }) => [setting.slice(0, setting.indexOf('=')), setting.slice(setting.indexOf('=') + 1)]),
  )
  return { ...settings, search_path: path.replace(/"\$user"|\$user/g, quoteIdentifier(who)) }
}

async function drop(client: Connected, role: string): Promise<void> {
  await client.query(`DROP OWNED BY ${role}`)
  await client.query(`DROP ROLE ${role}`)
}
