/**
 * Connections of this room: each failure says which server was meant (never its password) and what to do.
 */
import pg from 'pg'
import { parse } from 'pg-connection-string'
import { EXIT, HarnessError } from '../../base/errors.js'

const CONNECT_LIMIT_MS = 15_000

export type Connected = pg.Client

export async function connect(url: string): Promise<Connected> {
  const where = describeUrl(url)
  const client = new pg.Client({
    connectionString: url,
    application_name: 'pgrehearse',
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    keepAlive: true,
  })
  // Between queries a lost connection would otherwise be an uncaught event; the next query says it.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (cause) {
    throw refusal(where, cause as Error & { code?: string })
  }
}

/** The work gets a connection that is closed afterwards, whatever happens. */
export async function withClient<T>(url: string, work: (client: Connected) => Promise<T>): Promise<T> {
  const client = await connect(url)
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** A connection for creating and dropping databases, beside the one the URL names (which may not exist). */
export async function withAdmin<T>(url: string, work: (client: Connected) => Promise<T>): Promise<T> {
  try {
    return await withClient(withDatabase(url, 'postgres'), work)
  } catch (error) {
    if (!(error instanceof HarnessError) || error.code !== 'NO_SUCH_DATABASE') throw error
    return withClient(withDatabase(url, 'template1'), work)
  }
}

/** `shop on db.example:5432`, for people. */
export function describeUrl(url: string): string {
  try {
    const { host, port, database } = parse(url)
    return `${database ?? 'the default database'} on ${host || 'the default host'}${port ? `:${port}` : ''}`
  } catch (cause) {
    throw badUrl(cause)
  }
}

/** For a program we start: arguments, and so a password in a URL, can be seen by every user of the machine. */
export function connectionVariables(url: string): Record<string, string> {
  const { host, port, user, password, database } = parse(url)
  const sslmode = new URL(url).searchParams.get('sslmode')
  const variables: Record<string, string | null | undefined> = {
    PGHOST: host,
    PGPORT: port,
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
    PGSSLMODE: sslmode,
    PGAPPNAME: 'pgrehearse',
  }
  return Object.fromEntries(Object.entries(variables).flatMap(([name, value]) => (value ? [[name, value]] : [])))
}

function badUrl(cause: unknown): HarnessError {
  return new HarnessError({
    code: 'BAD_URL',
    message: 'cannot read the URL of a server',
    detail: 'it is not of the form postgres://user@host:port/database',
    hint: 'Write special characters in user, password and database as %XX.',
    exit: EXIT.usage,
    cause,
  })
}

function urlOf(text: string): URL {
  try {
    return new URL(text)
  } catch (cause) {
    throw badUrl(cause)
  }
}

/** The same server, another database. */
export function withDatabase(url: string, database: string): string {
  return Object.assign(urlOf(url), { pathname: `/${encodeURIComponent(database)}` }).toString()
}

export function databaseOf(url: string): string {
  return decodeURIComponent(urlOf(url).pathname.slice(1))
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteLiteral(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}

export function qualified(object: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdentifier(object.schema)}.${quoteIdentifier(object.name)}`
}

/** What of a server's error may be shown: never DETAIL or CONTEXT, they quote values. */
export function serverReason(error: unknown): string {
  const { code, message, table, constraint, column } = error as pg.DatabaseError
  const place = [table, column ?? constraint].filter(Boolean).join('.')
  return `${message}${place ? ` (${place})` : ''}${code ? ` [${code}]` : ''}`
}

function refusal(where: string, cause: Error & { code?: string }): HarnessError {
  const [code, hint] =
    cause.code === '28P01' || cause.code === '28000'
      ? ['LOGIN_REFUSED', 'Check user and password: in the URL, PGPASSWORD or ~/.pgpass.']
      : cause.code === '3D000'
        ? ['NO_SUCH_DATABASE', 'Check the name of the database at the end of the URL.']
        : cause.code === '53300'
          ? ['TOO_MANY_CONNECTIONS', 'Use fewer connections at once, or raise max_connections.']
          : ['SERVER_UNREACHABLE', 'Check host and port, and that the server is up and lets this machine in.']
  return new HarnessError({
    code: code!,
    message: `cannot connect to ${where}`,
    detail: cause.message || cause.code || 'no answer',
    hint: hint!,
    cause,
  })
}
