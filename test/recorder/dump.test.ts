/** PostgreSQL's own tools through the proxy: what they dump and restore is what they would have without it. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { balances } from '../../segment/ledger.js'
import { type Bench, bench, through } from './recording.js'

const run = promisify(execFile)
/** Tools and a server of one version: pg_dump refuses a server that is newer than itself. */
const BINARIES = ['18', '17', '16', '15', '14'].map((version) => `/usr/lib/postgresql/${version}/bin`)
const binaries = BINARIES.find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'pg_dump')))

let server: OwnedServer
let at: Bench
beforeAll(async () => {
  at = bench()
  if (binaries !== undefined)
    server = await startServer({ binaries, settings: { wal_level: 'logical', max_wal_senders: '4' } })
}, 60_000)
afterAll(async () => {
  at.remove()
  await server?.stop()
})

async function on(url: string, ...texts: string[]): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  for (const sql of texts) await client.query(sql)
  await client.end()
}

const tool = (name: string, ...args: string[]) => run(join(binaries!, name), args, { maxBuffer: 1 << 28 })
/** Dumps carry a random word against injected commands. */
const dumped = async (url: string) =>
  (await tool('pg_dump', '--no-owner', url)).stdout.replace(/^\\(un)?restrict .*$/gm, '')

test.runIf(binaries !== undefined)('pg_dump and pg_restore through the proxy give an identical database', async () => {
  await on(server.url(), 'CREATE DATABASE source', 'CREATE DATABASE copy')
  await on(
    server.url('source'),
    `CREATE TYPE mood AS ENUM ('fine', 'bad')`,
    'CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text, m mood, b bytea, f float8, j jsonb)',
    `INSERT INTO a (t, m, b, f, j) SELECT repeat(chr(1 + i % 500), i % 90), 'fine', decode(md5(i::text), 'hex'), i / 7.0, '{"a": [1, null]}'
       FROM generate_series(1, 20000) i`,
    'CREATE TABLE b (id int REFERENCES a, n numeric) PARTITION BY HASH (id)',
    'CREATE TABLE b0 PARTITION OF b FOR VALUES WITH (MODULUS 2, REMAINDER 0)',
    'CREATE TABLE b1 PARTITION OF b FOR VALUES WITH (MODULUS 2, REMAINDER 1)',
    'INSERT INTO b SELECT i, i / 3.0 FROM generate_series(1, 5000) i',
    'CREATE INDEX ON a (t)',
    'CREATE VIEW v AS SELECT t, count(*) FROM a GROUP BY t',
    `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
    'CREATE TRIGGER g BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()',
    'SELECT lo_from_bytea(4711, decode(repeat($$00ff$$, 5000), $$hex$$))',
  )
  const proxy = await at.start(server.url('source'))
  const file = join(at.folder, 'dump')
  await tool('pg_dump', '-Fc', '-f', file, through(server.url('source'), proxy))
  await tool('pg_restore', '--no-owner', '--exit-on-error', '-d', through(server.url('copy'), proxy), file)
  const manifest = await proxy.stop()
  const original = await dumped(server.url('source'))
  expect(original.length).toBeGreaterThan(1_000_000)
  expect(await dumped(server.url('copy'))).toBe(original)
  expect(balances(manifest!.ledger)).toBe(true)
  expect(manifest!.ledger.kept.statements).toBeGreaterThan(100)
})

test.runIf(binaries !== undefined)('replication passes through, and is not recorded', async () => {
  const proxy = await at.start(server.url())
  const url = through(server.url(), proxy)
  const { stdout } = await tool('psql', '-XAtc', 'IDENTIFY_SYSTEM', `${url}?replication=true`)
  expect(stdout).toContain('|')
  const client = new pg.Client(server.url())
  await client.connect()
  const { rows } = await client.query(
    'SELECT pg_current_wal_lsn() AS lsn, pg_walfile_name(pg_current_wal_lsn()) AS file',
  )
  await client.query('CREATE TABLE moves_on ()')
  await client.end()
  await tool('pg_receivewal', '-D', at.folder, '--endpos', rows[0].lsn, '--no-loop', '-d', url)
  expect(readdirSync(at.folder).some((file) => file.startsWith(rows[0].file))).toBe(true)
  const manifest = await proxy.stop()
  expect(manifest!.ledger.seen).toEqual({ statements: 0, transactions: 0 })
})

test.runIf(binaries !== undefined)('logical replication passes through, and is not recorded', async () => {
  await on(server.url(), 'CREATE DATABASE publisher')
  const origin = server.url('publisher')
  await on(origin, 'CREATE TABLE news (line text)', 'CREATE PUBLICATION all_news FOR ALL TABLES')
  await on(origin, `SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')`)
  await on(origin, `INSERT INTO news SELECT 'line ' || i FROM generate_series(1, 500) i`)
  const client = new pg.Client(origin)
  await client.connect()
  const { rows } = await client.query('SELECT pg_current_wal_insert_lsn() AS lsn')
  await client.query('CREATE TABLE moves_on_too ()')
  const proxy = await at.start(origin)
  const received = join(at.folder, 'news')
  const options = ['-o', 'proto_version=1', '-o', 'publication_names=all_news', '--endpos', rows[0].lsn, '--no-loop']
  await tool('pg_recvlogical', '-d', through(origin, proxy), '-S', 'subscriber', '--start', '-f', received, ...options)
  const bytes = readFileSync(received, 'latin1')
  expect(bytes.match(/line \d+/g)).toEqual(Array.from({ length: 500 }, (_, i) => `line ${i + 1}`))
  const manifest = await proxy.stop()
  expect(manifest!.ledger.seen).toEqual({ statements: 0, transactions: 0 })
  await client.query(`SELECT pg_drop_replication_slot('subscriber')`)
  await client.end()
})
