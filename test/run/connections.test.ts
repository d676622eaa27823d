/** Connections: over TLS, by password, cut in the middle, and a server that goes away. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { nearest } from '../../replayer/run/nearest.js'
import { connect } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { balances } from '../../segment/ledger.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { replayTape } from './support.js'
import { execute, prepare, simple, Tape } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase()
})
afterAll(() => database.drop())

/** Many short statements in a few sessions, a few hundred milliseconds' worth. */
function busyTape(statements: number): Tape {
  const tape = new Tape()
  for (let session = 1; session <= 4; session++) tape.send(session, prepare('s', 'SELECT pg_sleep(0.002), $1::int'))
  for (let i = 0; i < statements; i++) {
    tape.send(1 + (i % 4), execute('s', 'SELECT pg_sleep(0.002), $1::int', [`${i}`]))
  }
  return tape
}

test('connections that are cut in mid-flight cost what was in flight, and nothing else', async () => {
  let cuts = 0
  const { rows, facts } = await replayTape(busyTape(1200), database.url, {
    onProgress: ({ done }) => {
      if (cuts > 0 || done < 300) return
      cuts += 1
      // Also the coordinator's own.
      void database.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      )
    },
  })
  expect(cuts).toBe(1)
  expect(balances(facts.ledger)).toBe(true)
  const failed = rows.filter(({ outcome }) => outcome.error !== null)
  expect(failed.length).toBeGreaterThan(0)
  expect(failed.length).toBeLessThanOrEqual(4)
  expect(failed.every(({ outcome }) => ['57P01', '08006'].includes(outcome.error!.sqlstate))).toBe(true)
  expect(rows.length).toBe(1204)
  expect(facts.incidents.filter(({ kind }) => kind === 'connection lost')).toHaveLength(4)
})

test('too many connections: sessions take turns', async () => {
  const role = `few_${database.name.slice(5)}`
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x' CONNECTION LIMIT 3`)
  const url = Object.assign(new URL(database.url), { username: role, password: 'x' }).toString()
  const tape = new Tape()
  for (let i = 0; i < 60; i++) tape.send(1 + Math.floor(i / 6), simple('SELECT 1'))
  const { rows, facts } = await replayTape(tape, url)
  await database.query(`DROP ROLE ${role}`)
  expect(rows).toHaveLength(60)
  expect(facts.incidents).toEqual([])
})

test('a target that goes away for good ends the replay with an error', async () => {
  const server = await startServer()
  let stopped: Promise<void> | null = null
  const error: unknown = await replayTape(busyTape(20_000), server.url(), {
    patienceMs: 1000,
    onProgress: ({ done }) => {
      if (done > 200) stopped ??= server.stop()
    },
  }).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'TARGET_LOST' })
  await stopped
})

test('a server that is restarted in the middle costs what was in flight, and nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-restart-'))
  chmodSync(folder, 0o711)
  const dataDir = join(folder, 'data')
  const first = await startServer({ dataDir })
  let again: Promise<OwnedServer> | null = null
  try {
    const { rows, facts } = await replayTape(busyTape(1200), first.url(), {
      onProgress: ({ done }) => {
        if (done > 300) again ??= first.stop().then(() => startServer({ dataDir, findPort: async () => first.port }))
      },
    })
    expect(again).not.toBeNull()
    expect((await again!).port).toBe(first.port)
    expect(rows).toHaveLength(1204)
    expect(balances(facts.ledger)).toBe(true)
    const failed = rows.filter(({ outcome }) => outcome.error !== null)
    expect(failed.length).toBeLessThanOrEqual(4)
    expect(failed.every(({ outcome }) => ['57P01', '08006'].includes(outcome.error!.sqlstate))).toBe(true)
    expect(facts.incidents.filter(({ kind }) => kind === 'connection lost')).toHaveLength(4)
  } finally {
    await (await (again ?? Promise.resolve(first))).stop()
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a target on this machine is reached through its socket, and only then', async () => {
  const who = () => new Tape().send(1, simple('SELECT inet_client_addr() IS NULL'))
  const through = await replayTape(who(), database.url)
  expect(through.rows[0]!.outcome.rows).toEqual([['t']])
  expect(through.facts.settings.viaSocket).toBe(true)
  const asGiven = await replayTape(who(), database.url, { asGiven: true })
  expect(asGiven.rows[0]!.outcome.rows).toEqual([['f']])
  expect(asGiven.facts.settings.viaSocket).toBeUndefined()
})

test('a socket that leads to another server than the URL is not taken', async () => {
  // The other server says that its sockets lie where this one's do, under a port that is this one's.
  const { rows } = await database.query("SELECT current_setting('unix_socket_directories') AS folder")
  const port = Number(new URL(database.url).port)
  const other = await startServer()
  const client = await connect(other.url())
  try {
    const lies = {
      query: (sql: string) => (sql.includes('unix_socket') ? { rows: [{ folders: rows[0].folder }] } : told()),
    }
    const told = async () => {
      const who = await client.query(
        'SELECT pg_postmaster_start_time()::text AS started, current_database() AS database, session_user::text AS who',
      )
      return { rows: [{ ...who.rows[0], port: String(port) }] }
    }
    const url = Object.assign(new URL(other.url()), { port: String(port) }).href
    expect(await nearest(url, lies as never)).toBe(url)
  } finally {
    await client.end()
    await other.stop()
  }
})

test('over TLS, the same', async () => {
  const { server, remove } = await serverWithTls()
  try {
    const url = `${server.url()}?sslmode=no-verify`
    const tape = new Tape()
      .send(1, simple('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))
      .send(1, simple("SELECT repeat('x', 1000000)"))
      .send(1, simple('SELECT 1'))
    const { rows } = await replayTape(tape, url)
    expect(rows.map(({ outcome }) => outcome.tag)).toEqual(['SELECT 1', 'SELECT 1', 'SELECT 1'])
    expect(rows[0]!.outcome.rows).toEqual([['t']])
  } finally {
    await server.stop()
    remove()
  }
})

async function serverWithTls(): Promise<{ server: OwnedServer; remove: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-tls-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes']
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', certificate, ...subject], {
    stdio: 'ignore',
  })
  const plain = await startServer()
  try {
    // The server refuses a key that others could read: it must belong to the user the server runs as.
    const { uid, gid } = statSync(plain.dataDir)
    for (const path of [folder, key, certificate]) chownSync(path, uid, gid)
    chmodSync(folder, 0o700)
    chmodSync(key, 0o600)
  } finally {
    await plain.stop()
  }
  const server = await startServer({ settings: { ssl: 'on', ssl_key_file: key, ssl_cert_file: certificate } })
  return { server, remove }
}
