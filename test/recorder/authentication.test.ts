/**
 * Every way to log in, every way to encrypt, both versions of the protocol: direct and through the proxy, the same bytes. What a
 * server makes up for each login (salt, nonce, cancel key) is compared by its length.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientTls } from '../../recorder/tap/client-tls.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { buildCopyDone, buildQuery } from '../../wire/frontend.js'
import { buildCancel } from '../../wire/startup.js'
import { comparable, type Encryption, Login, type LoginOptions } from './login.js'
import { type Bench, bench, read } from './recording.js'
import { certificate, switchOnTls, writeServerFile } from './tls-server.js'

const PASSWORD = 'correct horse battery'
const HBA = `
hostssl all cert_user 127.0.0.1/32 cert
host all trust_user 127.0.0.1/32 trust
host all password_user 127.0.0.1/32 password
host all md5_user 127.0.0.1/32 md5
host all rejected_user 127.0.0.1/32 reject
host replication streaming_user 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
`

let server: OwnedServer
let at: Bench
let folder: string
let servers: ClientTls
let clients: ClientTls
beforeAll(async () => {
  at = bench()
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-login-'))
  servers = certificate(folder, 'server')
  clients = certificate(folder, 'client', 'cert_user')
  server = await startServer({ settings: { wal_level: 'replica', max_wal_senders: '4' } })
  const admin = new pg.Client(server.url())
  await admin.connect()
  for (const user of ['cert_user', 'trust_user', 'rejected_user']) await admin.query(`CREATE ROLE ${user} LOGIN`)
  for (const user of ['password_user', 'scram_user']) {
    await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD '${PASSWORD}'`)
  }
  await admin.query("SET password_encryption = 'md5'")
  await admin.query(`CREATE ROLE md5_user LOGIN PASSWORD '${PASSWORD}'`)
  await admin.query('CREATE ROLE streaming_user LOGIN REPLICATION')
  await admin.end()
  writeServerFile(server, 'pg_hba.conf', HBA)
  writeServerFile(server, 'clients.crt', clients.certificate)
  await switchOnTls(server, servers, ["ssl_ca_file = 'clients.crt'"])
})
afterAll(async () => {
  at.remove()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const upstream = (sslmode: string) =>
  `${server.url().replace('127.0.0.1', 'localhost')}?sslmode=${sslmode}&sslrootcert=${join(folder, 'server.pem')}`
const QUERY = buildQuery(
  "SELECT current_user, repeat('x', 300000); SELECT 1/0; SET work_mem = '5MB'; SHOW server_version",
)

/** Everything the server says to a login, and to a query where it succeeds. */
async function conversation(options: LoginOptions): Promise<string[]> {
  const login = await Login.begin(options)
  if (!login.closed) await login.ask(QUERY)
  login.end()
  return comparable(login.said)
}

describe('logging in', () => {
  test.each([
    { name: 'trust', user: 'trust_user', ends: 'Z' },
    { name: 'password', user: 'password_user', password: PASSWORD, ends: 'Z' },
    { name: 'password, wrong', user: 'password_user', password: 'guessed', ends: 'E' },
    { name: 'md5', user: 'md5_user', password: PASSWORD, ends: 'Z' },
    { name: 'md5, wrong', user: 'md5_user', password: 'guessed', ends: 'E' },
    { name: 'SCRAM', user: 'scram_user', password: PASSWORD, ends: 'Z' },
    { name: 'SCRAM, wrong', user: 'scram_user', password: 'guessed', ends: 'E' },
    { name: 'a user that does not exist', user: 'nobody_here', password: PASSWORD, ends: 'E' },
    { name: 'a user that pg_hba.conf rejects', user: 'rejected_user', ends: 'E' },
    { name: 'a database that does not exist', user: 'trust_user', parameters: { database: 'none' }, ends: 'E' },
    { name: 'settings at startup', user: 'trust_user', parameters: { options: '-c work_mem=3MB' }, ends: 'Z' },
    { name: 'a setting that cannot be', user: 'trust_user', parameters: { DateStyle: 'nonsense' }, ends: 'E' },
  ])('$name: the same bytes, and nothing of it in the recording', async ({ ends, name: _, ...options }) => {
    const recording = await at.start(upstream('disable'))
    const direct = await conversation({ port: server.port, ...options })
    const proxied = await conversation({ port: recording.port, ...options })
    expect(proxied).toEqual(direct)
    expect(direct.at(-1)![0]).toBe(ends)
    const manifest = await recording.stop()
    expect(manifest!.ledger.kept.statements).toBe(ends === 'Z' ? 2 : 0)
    const segments = join(recording.path, 'segments')
    for (const file of readdirSync(segments)) {
      const bytes = readFileSync(join(segments, file), 'latin1')
      for (const secret of [PASSWORD, 'guessed', 'a-nonce-that-never-changes']) expect(bytes).not.toContain(secret)
    }
  })

  test('a certificate is shown to the proxy, not to the server: the server says no in its own words', async () => {
    const shown = { cert: clients.certificate, key: clients.key }
    const options = { user: 'cert_user', encryption: 'asked', tls: shown } as const
    const direct = await conversation({ port: server.port, ...options })
    expect(direct.at(-1)).toMatch(/^Z/)
    const recording = await at.start(upstream('require'), { tls: servers })
    const proxied = await conversation({ port: recording.port, ...options })
    expect(proxied.at(-1)).toMatch(/^E.*C28000.*certificate/)
    await recording.stop()
  })
})

describe('encryption, whichever way on either side, changes no byte of what is said', () => {
  const ways: readonly Encryption[] = ['none', 'asked', 'direct']
  const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']
  test.each(modes)('sslmode=%s to the server', async (sslmode) => {
    const direct = await conversation({ port: server.port, user: 'scram_user', password: PASSWORD })
    const recording = await at.start(upstream(sslmode), { tls: certificate(folder, `proxy-${sslmode}`) })
    for (const encryption of ways) {
      const options = { port: recording.port, user: 'scram_user', password: PASSWORD, encryption }
      const said = await conversation(options)
      expect(withoutOffer(said), encryption).toEqual(withoutOffer(direct))
    }
    const manifest = await recording.stop()
    expect(manifest!.ledger.kept.statements).toBe(2 * ways.length)
  })

  test.each(['asked', 'direct'] as const)(
    'bound to the certificate (%s), the same bytes as direct',
    async (encryption) => {
      const recording = await at.start(upstream('verify-full'), { tls: servers })
      const options = { user: 'scram_user', password: PASSWORD, encryption, binds: true }
      const direct = await conversation({ port: server.port, ...options })
      const proxied = await conversation({ port: recording.port, ...options })
      expect(proxied).toEqual(direct)
      expect(direct[0]).toContain('SCRAM-SHA-256-PLUS')
      expect(direct.at(-1)).toMatch(/^Z/)
      await recording.stop()
    },
  )
})

/** Whether binding is offered depends on the encryption, and is compared elsewhere. */
function withoutOffer(said: readonly string[]): string[] {
  return said.map((message) => message.replace('SCRAM-SHA-256-PLUS\0', ''))
}

describe('protocol versions', () => {
  test.each([
    { name: '3.2, with its long cancel key', minor: 2, keyBytes: 32 },
    { name: 'a newer one than the server knows', minor: 9999, keyBytes: 32 },
    { name: 'an option the server does not know', minor: 0, parameters: { '_pq_.unheard_of': '1' }, keyBytes: 4 },
  ])('$name', async ({ keyBytes, name: _, ...options }) => {
    const recording = await at.start(upstream('disable'))
    const direct = await Login.begin({ port: server.port, user: 'trust_user', ...options })
    const proxied = await Login.begin({ port: recording.port, user: 'trust_user', ...options })
    await direct.ask(QUERY)
    await proxied.ask(QUERY)
    expect(comparable(proxied.said)).toEqual(comparable(direct.said))
    expect(proxied.cancelKey.key.length).toBe(keyBytes)
    const { pid, key } = proxied.cancelKey
    const cancelled = proxied.ask(buildQuery('SELECT pg_sleep(600)'))
    await active(pid)
    const other = await Login.raw(recording.port, buildCancel(pid, key))
    await other.gone()
    expect((await cancelled).map(({ type }) => type).join('')).toBe('TEZ')
    direct.end()
    proxied.end()
    await recording.stop()
    const { sessions, events, statements } = read(recording.path)
    expect(sessions.map(({ backendPid }) => backendPid)).toEqual([pid])
    expect(events.filter(({ kind }) => kind === 'cancel')).toMatchObject([{ session: 1 }])
    expect(statements.at(-1)!.outcome.error?.sqlstate).toBe('57014')
  })
})

test('replication (COPY both) passes through byte for byte and is not recorded', async () => {
  const recording = await at.start(upstream('disable'))
  const stream = async (port: number) => {
    const login = await Login.begin({ port, user: 'streaming_user', parameters: { replication: 'true' } })
    const identified = await login.ask(buildQuery('IDENTIFY_SYSTEM'))
    login.socket.write(buildQuery('START_REPLICATION PHYSICAL 0/1000000 TIMELINE 1'))
    await login.until('W')
    const from = login.said.length
    // XLogData: where it begins, where the server is, the time; then the log itself.
    const log = () =>
      Buffer.concat(
        login.said
          .slice(from)
          .flatMap(({ type, body }) => (type === 'd' && body[0] === 0x77 ? [body.subarray(25)] : [])),
      )
    while (log().length < 1_000_000) await login.until('d', login.said.length)
    login.socket.write(buildCopyDone())
    await login.until('Z', from)
    const tail = login.said.slice(from).filter(({ type }) => type !== 'd')
    login.end()
    return {
      systemId: identified.find(({ type }) => type === 'D')!.body.toString('latin1', 6, 25),
      log: log().subarray(0, 1_000_000).toString('base64'),
      tail: comparable(tail).map((message) => message[0]),
    }
  }
  const direct = await stream(server.port)
  const proxied = await stream(recording.port)
  expect(proxied).toEqual(direct)
  expect(direct.tail.slice(0, 1)).toEqual(['c'])
  const manifest = await recording.stop()
  expect(manifest!.ledger.seen).toEqual({ statements: 0, transactions: 0 })
  expect(read(recording.path).sessions).toEqual([])
})

async function active(pid: number): Promise<void> {
  const client = new pg.Client(server.url())
  await client.connect()
  for (;;) {
    const { rows } = await client.query("SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", [
      pid,
    ])
    if (rows.length > 0) break
  }
  await client.end()
}
