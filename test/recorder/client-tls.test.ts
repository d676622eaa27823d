import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readClientTls } from '../../recorder/listen.js'
import type { ClientTls } from '../../recorder/tap/client-tls.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { buildSslRequest, buildStartup } from '../../wire/startup.js'
import { type Bench, bench, read, recordOf, through } from './recording.js'
import { certificate, switchOnTls } from './tls-server.js'

const run = promisify(execFile)

let server: OwnedServer
let at: Bench
let folder: string
let own: ClientTls
let servers: ClientTls

/** A server with TLS and SCRAM, which therefore offers channel binding. */
beforeAll(async () => {
  at = bench()
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-client-tls-'))
  own = certificate(folder, 'proxy')
  servers = certificate(folder, 'server')
  server = await startServer()
  await switchOnTls(server, servers)
})
afterAll(async () => {
  at.remove()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const upstream = (sslmode: string) => `${server.url()}?sslmode=${sslmode}`
const onPath = (program: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))

/** What psql prints, or what it complains about. */
async function psql(url: string, environment: Record<string, string>): Promise<string> {
  const command = `SELECT ssl, current_setting('server_version_num') > '0' FROM pg_stat_ssl WHERE pid = pg_backend_pid()`
  const target = url.replace(/\?.*/, '')
  try {
    const { stdout } = await run('psql', ['-XAtc', command, target], { env: { ...process.env, ...environment } })
    return stdout.trim()
  } catch (error) {
    return (error as { stderr: string }).stderr
  }
}

describe('node-postgres', () => {
  test.each([
    { name: 'TLS on both sides', tls: true, sslmode: 'require', ssl: true },
    { name: 'TLS from the client only', tls: true, sslmode: 'disable', ssl: true },
    { name: 'TLS to the server only', tls: false, sslmode: 'require', ssl: false },
  ])('$name', async ({ tls, sslmode, ssl }) => {
    const { statements, sessions } = await recordOf(
      at,
      upstream(sslmode),
      async (url) => {
        const checked = ssl ? { ca: own.certificate } : false
        const target = url.replace(/\?.*/, '').replace('127.0.0.1', 'localhost')
        const client = new pg.Client({ connectionString: target, ssl: checked })
        await client.connect()
        const long = await client.query(`SELECT repeat('x', 3000000) AS long`)
        expect(long.rows[0].long).toHaveLength(3_000_000)
        const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
        expect(rows).toEqual([{ ssl: sslmode === 'require' }])
        await client.end()
      },
      tls ? { tls: own } : {},
    )
    expect(statements.map(({ outcome }) => outcome.tag)).toEqual(['SELECT 1', 'SELECT 1'])
    expect(sessions[0]!.user).toBe('postgres')
  })

  // It asks for binding even where there is no TLS to bind to; the server takes that for a downgrade.
  test('with channel binding switched on and no TLS of its own, past a server that offers it, is told what to do', async () => {
    const recording = await at.start(upstream('require'))
    const config = { connectionString: through(server.url(), recording), enableChannelBinding: true }
    const client = new pg.Client(config)
    await expect(client.connect()).rejects.toMatchObject({
      code: '28000',
      hint: expect.stringContaining('channel_binding=disable'),
    })
    await recording.stop()
  })
})

describe.runIf(onPath('psql'))('psql', () => {
  test.each([
    // libpq breaks off when channel binding is offered to a connection without TLS: the offer must be gone.
    {
      name: 'plain, past a server with TLS',
      tls: false,
      sslmode: 'require',
      env: { PGSSLMODE: 'disable' },
      says: 't|t',
    },
    { name: 'sslmode=require, to a server without TLS', tls: true, sslmode: 'disable', env: {}, says: 'f|t' },
    {
      name: 'sslmode=require on both sides, without channel binding',
      tls: true,
      sslmode: 'require',
      env: { PGCHANNELBINDING: 'disable' },
      says: 't|t',
    },
    {
      name: 'sslmode=verify-full against the certificate of the proxy',
      tls: true,
      sslmode: 'disable',
      env: { PGSSLMODE: 'verify-full', PGHOST: 'localhost' },
      says: 'f|t',
    },
  ])('$name', async ({ tls, sslmode, env, says }) => {
    const recording = await at.start(upstream(sslmode), tls ? { tls: own } : {})
    const environment = { PGSSLMODE: 'require', PGSSLROOTCERT: join(folder, 'proxy.pem'), ...env }
    const url = through(server.url(), recording).replace('127.0.0.1', 'PGHOST' in env ? 'localhost' : '127.0.0.1')
    const root = environment.PGSSLMODE === 'require' ? { ...environment, PGSSLROOTCERT: '/nonexistent' } : environment
    expect(await psql(url, root)).toBe(says)
    await recording.stop()
    expect(read(recording.path).statements).toHaveLength(1)
  })

  test('sslmode=require without a certificate is refused by psql, as before', async () => {
    const recording = await at.start(upstream('disable'))
    expect(await psql(through(server.url(), recording), { PGSSLMODE: 'require' })).toContain('does not support SSL')
    await recording.stop()
  })

  test('channel binding through another certificate fails with what to do, and the operator hears of it', async () => {
    const recording = await at.start(upstream('require'), { tls: own })
    const told: string[] = []
    recording.events.on('incident', ({ kind }) => told.push(kind))
    const says = await psql(through(server.url(), recording), { PGSSLMODE: 'require', PGCHANNELBINDING: 'prefer' })
    expect(says).toContain('channel_binding=disable')
    expect(told).toEqual(['channel binding'])
    await recording.stop()
    expect(read(recording.path).statements).toEqual([])
  })

  test("channel binding works when the proxy shows the server's own certificate", async () => {
    const recording = await at.start(upstream('require'), { tls: servers })
    const environment = { PGSSLMODE: 'require', PGCHANNELBINDING: 'require' }
    expect(await psql(through(server.url(), recording), environment)).toBe('t|t')
    await recording.stop()
  })
})

describe('direct TLS', () => {
  const direct = (port: number, alpn: string[]): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const secure = connectTls({
        port,
        host: '127.0.0.1',
        ca: own.certificate,
        servername: 'localhost',
        ALPNProtocols: alpn,
      })
      secure.once('error', reject)
      secure.once('secureConnect', () => resolve(secure))
    })

  test('begins with the handshake and goes on with the startup packet', async () => {
    const recording = await at.start(upstream('disable'), { tls: own })
    const secure = await direct(recording.port, ['postgresql'])
    expect(secure.alpnProtocol).toBe('postgresql')
    secure.write(buildStartup({ user: 'postgres' }))
    const answer = await new Promise<Buffer>((resolve) => secure.once('data', resolve))
    expect(answer.toString('latin1', 0, 1)).toBe('R')
    secure.destroy()
    await recording.stop()
  })

  test('without ALPN it ends, as PostgreSQL ends it', async () => {
    const recording = await at.start(upstream('disable'), { tls: own })
    const secure = await direct(recording.port, [])
    secure.write(buildStartup({ user: 'postgres' }))
    const came = await new Promise<number>((resolve) => {
      let bytes = 0
      secure.on('data', (chunk) => {
        bytes += chunk.length
      })
      secure.on('error', () => {})
      secure.on('close', () => resolve(bytes))
    })
    expect(came).toBe(0)
    await recording.stop()
  })
})

test('what is sent in the clear behind SSLRequest ends the connection', async () => {
  const recording = await at.start(upstream('disable'), { tls: own })
  const socket: Socket = connect({ port: recording.port, host: '127.0.0.1' })
  let came = ''
  socket.on('data', (bytes) => {
    came += bytes.toString('latin1')
  })
  socket.write(Buffer.concat([buildSslRequest(), buildStartup({ user: 'postgres' })]))
  await new Promise((resolve) => socket.once('close', resolve))
  expect(came).toBe('')
  await recording.stop()
})

test('a key that does not belong to the certificate is refused at the start', () => {
  certificate(folder, 'other')
  expect(() => readClientTls(join(folder, 'proxy.pem'), join(folder, 'other.key'))).toThrow(
    expect.objectContaining({ code: 'CERTIFICATE_UNUSABLE' }),
  )
  expect(() => readClientTls(join(folder, 'none.pem'), join(folder, 'other.key'))).toThrow(
    expect.objectContaining({ code: 'CERTIFICATE_UNREADABLE' }),
  )
})

test('the key is nowhere in the recording', () => {
  expect(readFileSync(join(at.folder, 'recording-0', 'manifest.json'), 'utf8')).not.toContain('PRIVATE KEY')
})
