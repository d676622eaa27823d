/**
 * Limits for the sessions of a replay: a statement that has lost its index, or a loop in a migrated function, must not run all
 * night or fill the disk of the machine. They stand where the shadow has no limit of its own; what production had, and what a
 * recorded session sets for itself, stays.
 */
import { EXIT, HarnessError } from '../../../base/errors.js'
import { type Connected, quoteIdentifier, quoteLiteral, serverReason } from '../connect.js'

/** Settings that mean "no limit" at these values. */
const UNLIMITED: Readonly<Record<string, string>> = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  temp_file_limit: '-1',
}

/**
 * Generous: they end what would not end. A lock is waited for at most as long as a statement may take. A session that waits between its
 * transactions costs nothing and may be idle for as long as the recording says, so that has no limit until somebody wants one.
 */
const DEFAULTS: Readonly<Record<string, string>> = {
  statement_timeout: '1h',
  lock_timeout: '1h',
  idle_in_transaction_session_timeout: '24h',
  temp_file_limit: '20GB',
}

const NAMES = [...Object.keys(DEFAULTS), 'idle_session_timeout', 'work_mem'] as const

export type Limits = {
  /** What a new session of the shadow has now. */
  readonly limits: Readonly<Record<string, string>>
  readonly notes: readonly string[]
}

/** `--limit name=value`, as often as wanted. */
export function parseLimits(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name = '', value = ''] = /^([a-z_]+)=([\w.-]+)$/.exec(text) ?? []
      if (!NAMES.includes(name))
        throw new HarnessError({
          code: 'OPTION_VALUE',
          message: '--limit is not understood',
          detail: `it takes NAME=VALUE, with one of ${NAMES.join(', ')}`,
          hint: 'Write the value as PostgreSQL does: --limit statement_timeout=30min.',
          exit: EXIT.usage,
        })
      return [name, value]
    }),
  )
}

/** `sessions`: all that the recording has; more are not the replay's. Superusers are not bound by that. */
export async function setLimits(
  client: Connected,
  wanted: Readonly<Record<string, string>>,
  sessions: number,
): Promise<Limits> {
  const notes: string[] = []
  const { rows } = await client.query(
    `SELECT name, setting, current_database() AS database FROM pg_catalog.pg_settings WHERE name = ANY ($1)`,
    [NAMES],
  )
  const database = String(rows[0]!.database)
  for (const { name, setting } of rows) {
    const value = wanted[name] ?? (UNLIMITED[name] === setting ? DEFAULTS[name] : undefined)
    if (value === undefined) continue
    try {
      await client.query(`ALTER DATABASE ${quoteIdentifier(database)} SET ${name} = ${quoteLiteral(value)}`)
    } catch (error) {
      if (wanted[name] !== undefined) throw refused(name, error)
      notes.push(`no limit of ${name}: ${serverReason(error)}`)
    }
  }
  await setConnectionLimit(client, database, sessions, notes)
  return { limits: await limitsOf(client, database), notes }
}

async function setConnectionLimit(
  client: Connected,
  database: string,
  sessions: number,
  notes: string[],
): Promise<void> {
  try {
    await client.query(`ALTER DATABASE ${quoteIdentifier(database)} CONNECTION LIMIT ${sessions + OWN_CONNECTIONS}`)
  } catch (error) {
    notes.push(`no limit of connections: ${serverReason(error)}`)
  }
}

/** The replay's look at locks, a person's look at the replay, and connections that are just being replaced. */
const OWN_CONNECTIONS = 10

async function limitsOf(client: Connected, database: string): Promise<Readonly<Record<string, string>>> {
  const { rows } = await client.query(
    `SELECT unnest(s.setconfig) AS setting FROM pg_catalog.pg_db_role_setting s
       JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE d.datname = $1 AND s.setrole = 0`,
    [database],
  )
  const pairs = rows.map(({ setting }) => String(setting).split('=') as [string, string])
  return Object.fromEntries(pairs.filter(([name]) => NAMES.includes(name)))
}

function refused(name: string, error: unknown): HarnessError {
  return new HarnessError({
    code: 'LIMIT_REFUSED',
    message: `cannot limit ${name}`,
    detail: serverReason(error),
    hint: 'Replay as the owner of the shadow (temp_file_limit: as a superuser), and write the value as PostgreSQL does: 30min, 4GB.',
    exit: EXIT.environment,
    cause: error,
  })
}
