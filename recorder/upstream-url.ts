/**
 * The server behind the proxy, from its URL: where the tap connects to, and a small connection of our own with the URL's
 * credentials, over which the catalog is read.
 */
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { parse } from 'pg-connection-string'
import { EXIT, HarnessError } from '../base/errors.js'
import type { SslMode, Upstream } from './tap/upstream.js'

const SSL_MODES: readonly SslMode[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']

export type UpstreamUrl = {
  readonly upstream: Upstream
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

export function parseUpstream(url: string, env: Environment): UpstreamUrl {
  const { options, rest } = takeOptions(url, ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'])
  const config = parseUrl(rest)
  const sslMode = options.sslmode ?? env.PGSSLMODE ?? 'prefer'
  if (!isSslMode(sslMode)) throw badUrl(`sslmode "${sslMode}" is not one of ${SSL_MODES.join(', ')}.`)
  const rootFile = options.sslrootcert ?? env.PGSSLROOTCERT
  return {
    upstream: {
      host: config.host || env.PGHOST || 'localhost',
      port: portOf(config.port ?? env.PGPORT ?? '5432'),
      sslMode,
      ...(rootFile === undefined || rootFile === 'system' ? {} : { rootCertificate: readCertificate(rootFile) }),
    },
    user: config.user ?? env.PGUSER,
    password: config.password ?? env.PGPASSWORD,
    database: config.database ?? env.PGDATABASE,
  }
}

/** A connection of our own. The caller ends it. */
export async function connectOwn(target: UpstreamUrl): Promise<pg.Client> {
  const { upstream, user, password, database } = target
  const config: pg.ClientConfig = {
    host: upstream.host,
    port: upstream.port,
    application_name: 'pgrehearse recorder',
    connectionTimeoutMillis: 10_000,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
  }
  try {
    return await connectAs(config, upstream)
  } catch (cause) {
    throw refusal(cause, upstream)
  }
}

async function connectAs(config: pg.ClientConfig, upstream: Upstream): Promise<pg.Client> {
  const plain = upstream.host.startsWith('/') || upstream.sslMode === 'disable'
  const mayBePlain = upstream.sslMode === 'prefer' || upstream.sslMode === 'allow'
  try {
    return await connect({ ...config, ssl: plain ? false : tlsOptions(upstream) })
  } catch (error) {
    const refused = error instanceof Error && error.message.includes('does not support SSL')
    if (!mayBePlain || !refused) throw error
    return connect({ ...config, ssl: false })
  }
}

async function connect(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config)
  // It lives for a few queries; should it break in between, those queries say so.
  client.on('error', () => {})
  await client.connect()
  return client
}

function tlsOptions(upstream: Upstream): Exclude<pg.ClientConfig['ssl'], boolean | undefined> {
  return {
    rejectUnauthorized: upstream.sslMode === 'verify-ca' || upstream.sslMode === 'verify-full',
    ...(upstream.rootCertificate === undefined ? {} : { ca: upstream.rootCertificate }),
    ...(upstream.sslMode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  }
}

function parseUrl(url: string): {
  host?: string | null
  port?: string | null
  user?: string
  password?: string | undefined
  database?: string
} {
  if (!/^postgres(ql)?:\/\//.test(url)) throw badUrl('it does not begin with postgresql://.')
  try {
    const { host, port, user, password, database } = parse(url)
    return {
      host,
      ...(port === undefined || port === '' ? {} : { port }),
      ...(user === undefined || user === '' ? {} : { user }),
      ...(password === undefined || password === '' ? {} : { password }),
      ...(database === undefined || database === null || database === '' ? {} : { database }),
    }
  } catch {
    throw badUrl('it cannot be read as a URL.')
  }
}

/** Options of TLS, which are ours to interpret, and the URL without them. */
function takeOptions(url: string, names: readonly string[]): { options: Record<string, string>; rest: string } {
  const [head, query = ''] = splitOnce(url, '?')
  const parameters = new URLSearchParams(query)
  const options: Record<string, string> = {}
  for (const name of names) {
    const value = parameters.get(name)
    if (value !== null) options[name] = value
    parameters.delete(name)
  }
  const left = parameters.toString()
  return { options, rest: left === '' ? head : `${head}?${left}` }
}

function splitOnce(value: string, separator: string): [string, string?] {
  const at = value.indexOf(separator)
  return at < 0 ? [value] : [value.slice(0, at), value.slice(at + 1)]
}

function isSslMode(mode: string): mode is SslMode {
  return (SSL_MODES as readonly string[]).includes(mode)
}

function portOf(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw badUrl(`its port "${text}" is not a port.`)
  return port
}

function readCertificate(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new HarnessError({
      code: 'CERTIFICATE_UNREADABLE',
      message: `cannot read the root certificate ${path}`,
      detail: (cause as NodeJS.ErrnoException).code ?? 'unknown error',
      hint: 'Check the path given as sslrootcert.',
      exit: EXIT.usage,
      cause,
    })
  }
}

/** The URL itself is never shown: it may hold a password. */
function badUrl(why: string): HarnessError {
  return new HarnessError({
    code: 'UPSTREAM_URL',
    message: 'cannot use the upstream URL',
    detail: why,
    hint: 'Write it like postgresql://user@host:5432/database?sslmode=require.',
    exit: EXIT.usage,
  })
}

function refusal(cause: unknown, upstream: Upstream): HarnessError {
  const code = (cause as { code?: string }).code ?? ''
  const where = `${upstream.host}:${upstream.port}`
  if (code.startsWith('28')) {
    return new HarnessError({
      code: 'UPSTREAM_PASSWORD',
      message: `the server at ${where} refuses the upstream user`,
      detail: `it answered with SQLSTATE ${code}: wrong user, wrong password, or not allowed from here.`,
      hint: 'Check the URL given as --upstream, PGPASSWORD or ~/.pgpass, and pg_hba.conf on the server.',
    })
  }
  if (/^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E')) {
    return new HarnessError({
      code: 'UPSTREAM_REFUSED',
      message: `the server at ${where} refuses the recorder's connection`,
      detail: `it answered with SQLSTATE ${code}.`,
      hint: 'Connect with psql and the same URL to see why.',
    })
  }
  return new HarnessError({
    code: 'UPSTREAM_UNREACHABLE',
    message: `cannot reach the server at ${where}`,
    detail: code !== '' ? `${code}.` : cause instanceof Error ? `${cause.message}.` : 'unknown error.',
    hint: 'Check host and port of --upstream, and that the server runs.',
    cause,
  })
}
