import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DRAIN_LIMITS } from '../../recorder/drain/drain.js'
import { type DrainThread, startDrain } from '../../recorder/drain/thread.js'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import { balances } from '../../segment/ledger.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { RawSession } from './raw-session.js'
import { type Bench, bench, KEY, read, through } from './recording.js'

let db: TestDatabase
let at: Bench
beforeEach(async () => {
  at = bench()
  db = await createDatabase(
    'CREATE TABLE t (id int PRIMARY KEY, n int, filler text)',
    `INSERT INTO t SELECT i, 0, repeat('x', 500) FROM generate_series(1, 200) i`,
  )
})
afterEach(async () => {
  at.remove()
  await db.drop()
})

async function connect(recording: ProxyRecording): Promise<pg.Client> {
  const client = new pg.Client(through(db.url, recording))
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Transactions of three statements, until told to stop; how many were committed. */
async function traffic(recording: ProxyRecording, goOn: () => boolean): Promise<number> {
  const client = await connect(recording)
  let committed = 0
  while (goOn()) {
    await client.query('BEGIN')
    await client.query('SELECT * FROM t WHERE id <= $1', [40])
    await client.query('COMMIT')
    committed += 1
  }
  await client.end()
  return committed
}

function incidents(recording: ProxyRecording): { kind: string; detail: string }[] {
  const told: { kind: string; detail: string }[] = []
  recording.events.on('incident', ({ kind, detail }) => told.push({ kind, detail }))
  return told
}

/** A drain that a test can hold. */
function holdDrain(): { thread: DrainThread; start: typeof startDrain } {
  const held = {} as { thread: DrainThread; start: typeof startDrain }
  held.start = async (...settings) => {
    held.thread = await startDrain(...settings)
    return held.thread
  }
  return held
}

test('a ring that is too small drops whole transactions, and every statement is accounted for', async () => {
  // A result has 20 kB; half a dozen clients fill this ring many times over.
  const recording = await at.start(db.url, { ringBytes: 64 * 1024 })
  let left = 300
  const committed = await Promise.all(Array.from({ length: 6 }, () => traffic(recording, () => left-- > 0)))
  const manifest = await recording.stop()
  const transactions = committed.reduce((a, b) => a + b)

  const { ledger } = manifest!
  expect(ledger.lost['ring full']!.transactions).toBeGreaterThan(0)
  expect(ledger.kept.transactions).toBeGreaterThan(0)
  expect(balances(ledger)).toBe(true)
  expect(ledger.seen).toEqual({ statements: transactions * 3, transactions })
  expect(Object.keys(ledger.lost)).toEqual(['ring full'])

  const { statements } = read(recording.path)
  const byTransaction = groupBy(statements, ({ transaction }) => transaction)
  for (const whole of byTransaction.values()) {
    expect(whole.map(({ outcome }) => outcome.tag)).toEqual(['BEGIN', 'SELECT 40', 'COMMIT'])
  }
  const bySession = groupBy(statements, ({ session }) => session)
  for (const session of bySession.values()) {
    expect(session.map(({ ordinal }) => ordinal)).toEqual(session.map((_, i) => i + 1))
  }
})

test('statements prepared while nothing was recorded are recorded as soon as it goes on', async () => {
  const recording = await at.start(db.url)
  const client = await connect(recording)
  await client.query('SELECT 1')
  recording.pause()
  const named = { name: 'named', text: 'SELECT n FROM t WHERE id = $1', values: [1] }
  await client.query(named)
  recording.resume()
  await client.query(named)
  await client.end()
  const manifest = await recording.stop()
  const { statements } = read(recording.path)
  expect(statements.map(({ sql, frames }) => [sql, frames[0]![0]])).toEqual([
    ['SELECT 1', 'Q'],
    [named.text, 'C'],
    [named.text, 'B'],
  ])
  expect(manifest!.ledger.filtered.paused).toEqual({ statements: 1, transactions: 1 })
  expect(manifest!.incidents.map(({ kind }) => kind)).toEqual(['pause', 'resume'])
  expect(balances(manifest!.ledger)).toBe(true)
})

// How long it takes is measured elsewhere: bench/kill.ts.
test('kill ends all recording work, under traffic, and no connection notices', async () => {
  const recording = await at.start(db.url)
  let running = true
  const clients = Array.from({ length: 2 }, () => traffic(recording, () => running))
  await someKept(recording, 50)
  await recording.kill()
  const { statementsKept, recordingBytes, statementsSeen } = recording.status()
  const files = () => {
    const folder = join(recording.path, 'segments')
    return readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mtimeMs])
  }
  const written = files()
  const after = await connect(recording)
  for (let i = 0; i < 200; i++) expect((await after.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  await after.end()
  // Not even counted any more, and nothing has touched what was written.
  expect(recording.status()).toMatchObject({ state: 'killed', statementsKept, recordingBytes, statementsSeen })
  expect(files()).toEqual(written)
  running = false
  const committed = await Promise.all(clients)
  expect(Math.min(...committed)).toBeGreaterThan(0)

  const manifest = await recording.stop()
  expect(recording.status().state).toBe('killed')
  expect(manifest!.ledger.kept.statements).toBeGreaterThan(0)
  expect(balances(manifest!.ledger)).toBe(true)
  expect(read(recording.path).statements.length).toBe(manifest!.ledger.kept.statements)
})

test('when the drain dies, traffic goes on, the operator is told, and the ledger says what is missing', async () => {
  const drain = holdDrain()
  const recording = await at.start(db.url, { startDrain: drain.start })
  const told = incidents(recording)
  let running = true
  const clients = Array.from({ length: 2 }, () => traffic(recording, () => running))
  await someKept(recording, 20)
  await drain.thread.terminate()
  const after = await connect(recording)
  expect((await after.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 200 }])
  await after.end()
  running = false
  await Promise.all(clients)
  expect(recording.status().state).toBe('failed')
  expect(told).toMatchObject([{ kind: 'recording failed' }])

  const manifest = await recording.stop()
  const { ledger } = manifest!
  expect(balances(ledger)).toBe(true)
  expect(ledger.seen.statements).toBeGreaterThanOrEqual(ledger.kept.statements)
  expect(manifest!.incidents.map(({ kind }) => kind)).toContain('interrupted')
})

test('at its size limit the recording is sealed, and connections live on', async () => {
  const recording = await at.start(db.url, { recordingBytesMax: 100_000 })
  const client = await connect(recording)
  const ended = new Promise((resolve) => recording.events.once('ended', resolve))
  while (recording.status().state === 'recording') await client.query('SELECT * FROM t')
  expect(await ended).toBe('sealed')
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  await client.end()
  const { manifest } = read(recording.path)
  expect(manifest.incidents).toMatchObject([{ kind: 'limit', detail: 'bytes' }])
  expect(balances(manifest.ledger)).toBe(true)
})

test('a transaction longer than the bound is written in pieces, and stays one transaction', async () => {
  const recording = await at.start(db.url, { drainLimits: { ...DRAIN_LIMITS, transactionStatementsMax: 5 } })
  const client = await connect(recording)
  await client.query('BEGIN')
  for (let i = 1; i <= 12; i++) await client.query('UPDATE t SET n = n + 1 WHERE id = $1', [i])
  await client.query('COMMIT')
  await client.end()
  const manifest = await recording.stop()
  const { statements } = read(recording.path)
  expect(new Set(statements.map(({ transaction }) => transaction)).size).toBe(1)
  expect(statements.map(({ ordinal }) => ordinal)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1))
  expect(balances(manifest!.ledger)).toBe(true)
})

test('a connection that dies half-way: what was never answered is kept and cannot be replayed', async () => {
  const recording = await at.start(db.url)
  const client = await connect(recording)
  await client.query('BEGIN')
  const lost = client.query('SELECT pg_sleep(60)').catch(() => 'gone')
  await db.query('SELECT 1')
  const { rows } = await waitFor(
    () => db.query("SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"),
    (result) => result.rows.length === 1,
  )
  await db.query('SELECT pg_terminate_backend($1)', [rows[0].pid])
  expect(await lost).toBe('gone')
  await recording.stop()
  const { statements, events } = read(recording.path)
  expect(statements.map(({ unreplayable }) => unreplayable)).toEqual([null, 'the connection ended before its answer'])
  expect(statements[1]!.outcome.error?.sqlstate).toBe('57P01')
  expect(events.map(({ kind }) => kind)).toEqual(['disconnect'])
})

test('a cancelled statement is an event of its victim', async () => {
  const recording = await at.start(db.url)
  const client = await connect(recording)
  const sleeping = client.query('SELECT pg_sleep(60)').catch((error: { code: string }) => error.code)
  await waitFor(
    () => db.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"),
    (result) => result.rows.length === 1,
  )
  const canceller = new pg.Client(through(db.url, recording)) as pg.Client & {
    cancel(client: pg.Client, query: unknown): void
  }
  canceller.cancel(client, (client as unknown as { activeQuery: unknown; _activeQuery: unknown })._activeQuery)
  expect(await sleeping).toBe('57014')
  await client.end()
  await recording.stop()
  const { events } = read(recording.path)
  expect(events.map(({ kind, session }) => [kind, session])).toEqual([
    ['cancel', 1],
    ['disconnect', 1],
  ])
})

test('stop seals while a transaction is open, and says that its statements are lost', async () => {
  const recording = await at.start(db.url)
  const client = await connect(recording)
  await client.query('SELECT 1')
  await client.query('BEGIN')
  await client.query('SELECT 2')
  const manifest = await recording.stop({ graceMs: 100, keepConnections: true })
  expect(manifest!.ledger.kept).toEqual({ statements: 1, transactions: 1 })
  expect(manifest!.ledger.lost['recording ended inside the transaction']).toEqual({ statements: 2, transactions: 1 })
  expect(balances(manifest!.ledger)).toBe(true)
  expect((await client.query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }])
  await client.query('COMMIT')
  await client.end()
})

test('passwords never reach the recording, nor does the key', async () => {
  const recording = await at.start(db.url)
  const client = await connect(recording)
  await client
    .query("CREATE ROLE test_secretive PASSWORD 'correct horse battery'")
    .finally(() => client.query('DROP ROLE IF EXISTS test_secretive'))
  await client.end()
  await recording.stop()
  const everything = JSON.stringify(read(recording.path))
  expect(everything).not.toContain('battery')
  expect(everything).not.toContain(new URL(db.url).password)
  expect(everything).not.toContain(Buffer.from(KEY).toString('hex'))
})

test('hostile bytes are forwarded like any other, and cost their own session only', async () => {
  const recording = await at.start(db.url)
  const good = await connect(recording)
  const hostile = await RawSession.connect(through(db.url, recording))
  const answer = await hostile.ask({ send: Buffer.from('Q\x7f\xff\xff\xffSELECT', 'latin1'), until: 'E' })
  // The server says nothing either: it hangs up.
  expect(answer.toString('latin1')).toBe('')
  expect((await good.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  await good.end()
  const manifest = await recording.stop()
  expect(manifest!.ledger.kept.statements).toBe(1)
})

function groupBy<T>(items: readonly T[], of: (item: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const item of items) groups.set(of(item), [...(groups.get(of(item)) ?? []), item])
  return groups
}

async function waitFor<T>(ask: () => Promise<T>, enough: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (enough(answer)) return answer
  }
}

function someKept(recording: ProxyRecording, statements: number): Promise<unknown> {
  return waitFor(
    () => db.query('SELECT 1'),
    () => recording.status().statementsKept >= statements,
  )
}
