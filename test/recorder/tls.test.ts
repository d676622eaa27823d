import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, recordOf } from './recording.js'

/** A server that wants TLS: it ends the encryption and passes the rest on to the one that serves the tests. */
function tlsFront(
  port: number,
  key: string,
  cert: string,
): Promise<{ server: Server; port: number; encrypted: () => number }> {
  let encrypted = 0
  const server = createServer((raw: Socket) => {
    raw.once('data', () => {
      raw.pause()
      raw.write('S', () => {
        const secure = new TLSSocket(raw, { isServer: true, key, cert, ALPNProtocols: ['postgresql'] })
        const plain = connect({ port, host: '127.0.0.1' })
        secure.once('secure', () => {
          encrypted += 1
        })
        secure.pipe(plain).pipe(secure)
        secure.on('error', () => plain.destroy())
        secure.on('close', () => plain.destroy())
        plain.on('error', () => secure.destroy())
        plain.on('close', () => secure.destroy())
      })
    })
    raw.on('error', () => raw.destroy())
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({ server, port: (server.address() as { port: number }).port, encrypted: () => encrypted })
    })
  })
}

let db: TestDatabase
let at: Bench
let folder: string
let front: Awaited<ReturnType<typeof tlsFront>>
beforeAll(async () => {
  at = bench()
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-tls-'))
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...names], {
    stdio: 'ignore',
  })
  db = await createDatabase()
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(folder, name), 'utf8'))
  front = await tlsFront(Number(new URL(db.url).port), key!, cert!)
})
afterAll(async () => {
  at.remove()
  front.server.close()
  rmSync(folder, { recursive: true, force: true })
  await db.drop()
})

const upstream = (query: string, hostname = 'localhost') =>
  `${Object.assign(new URL(db.url), { hostname, port: String(front.port) })}?${query}`

test.each([
  { mode: 'prefer', query: () => 'sslmode=prefer' },
  { mode: 'require', query: () => 'sslmode=require' },
  { mode: 'verify-ca', query: () => `sslmode=verify-ca&sslrootcert=${join(folder, 'cert.pem')}` },
  { mode: 'verify-full', query: () => `sslmode=verify-full&sslrootcert=${join(folder, 'cert.pem')}` },
])(
  'sslmode=$mode: the way to the server is encrypted, for the recorder itself and for its clients',
  async ({ query }) => {
    const before = front.encrypted()
    const { statements } = await recordOf(at, upstream(query()), async (url) => {
      const client = new pg.Client(url.replace(/\?.*/, ''))
      await client.connect()
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      await client.end()
    })
    expect(statements).toHaveLength(1)
    expect(front.encrypted() - before).toBe(2)
  },
)

test.each([
  { name: 'a certificate nobody vouches for', query: () => 'sslmode=verify-full', host: 'localhost' },
  {
    name: 'a certificate for another name',
    query: () => `sslmode=verify-full&sslrootcert=${join(folder, 'cert.pem')}`,
    host: '127.0.0.1',
  },
])('$name is refused', async ({ query, host }) => {
  await expect(at.start(upstream(query(), host))).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
})
