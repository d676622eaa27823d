import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readChoice, readThresholds } from '../../cli/sample-options.js'
import { choosesByShare, choosesSession, EVERYTHING } from '../../recorder/choice/choice.js'
import { USUAL_THRESHOLDS } from '../../recorder/guard/vitals.js'
import { balances } from '../../segment/ledger.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, recordOf } from './recording.js'

const FACTS = { database: 'shop', user: 'ann', application: 'web-1' }
const SESSIONS = Array.from({ length: 10_000 }, (_, i) => i + 1)

describe('a share', () => {
  test.each([0, 0.1, 0.5, 0.9, 1])(
    'of %f of the sessions has about that many, and the larger share holds the smaller',
    (share) => {
      const chosen = SESSIONS.filter((id) => choosesSession({ ...EVERYTHING, sessions: share }, id, FACTS))
      expect(Math.abs(chosen.length / SESSIONS.length - share)).toBeLessThan(0.02)
      const more = { ...EVERYTHING, sessions: Math.min(1, share + 0.05) }
      expect(chosen.every((id) => choosesSession(more, id, FACTS))).toBe(true)
    },
  )

  test('of transactions does not depend on the share of sessions, and differs by class', () => {
    const choice = { ...EVERYTHING, reads: 0.1 }
    const reads = SESSIONS.filter((n) => choosesByShare(choice, 7, n, false))
    expect(Math.abs(reads.length / SESSIONS.length - 0.1)).toBeLessThan(0.02)
    expect(SESSIONS.every((n) => choosesByShare(choice, 7, n, true))).toBe(true)
  })
})

test.each([
  { flags: {}, session: true },
  { flags: { include: ['database=shop'] }, session: true },
  { flags: { include: ['database=shop', 'user=bob'] }, session: false },
  { flags: { include: ['user=bob', 'user=a*'] }, session: true },
  { flags: { exclude: ['application=web-*'] }, session: false },
  { flags: { exclude: ['application=web'] }, session: true },
  { flags: { include: ['application=w.b-1'] }, session: false },
  { flags: { include: ['table=orders'] }, session: true },
])('$flags takes this session: $session', ({ flags, session }) => {
  expect(choosesSession(readChoice(flags), 1, FACTS)).toBe(session)
})

test('what --sample and --breaker mean', () => {
  expect(readChoice({ sample: '10%' })).toMatchObject({ sessions: 0.1, reads: 1, writes: 1 })
  expect(readChoice({ sample: 'transactions=25%' })).toMatchObject({ sessions: 1, reads: 0.25, writes: 0.25 })
  expect(readChoice({ sample: 'reads=10%,writes=100%' })).toMatchObject({ sessions: 1, reads: 0.1, writes: 1 })
  expect(readThresholds({})).toEqual(USUAL_THRESHOLDS)
  expect(readThresholds({ breaker: ['off'] })).toEqual({})
  const told = readThresholds({
    breaker: ['ring=50%', 'rss=1GB', 'replication-lag=2m', 'event-loop=off', 'latency-drift=2.5'],
  })
  expect(told).toMatchObject({ ring: 0.5, rss: 2 ** 30, 'replication-lag': 120_000, 'latency-drift': 2.5 })
  expect(told['event-loop']).toBeUndefined()
})

test.each([
  { sample: '10' },
  { sample: '110%' },
  { sample: 'all=10%' },
  { include: ['colour=red'] },
  { exclude: ['table='] },
  { breaker: ['ring'] },
  { breaker: ['speed=1'] },
  { breaker: ['latency-drift=0.5'] },
])('%o is refused', (flags) => {
  expect(() => [readChoice(flags), readThresholds(flags)]).toThrow(/cannot be/)
})

let db: TestDatabase
let at: Bench
beforeAll(async () => {
  at = bench()
  db = await createDatabase(
    'CREATE TABLE people (id int PRIMARY KEY, n int)',
    'CREATE TABLE orders (id int PRIMARY KEY, person int REFERENCES people)',
    'INSERT INTO people SELECT i, 0 FROM generate_series(1, 50) i',
    'INSERT INTO orders SELECT i, i FROM generate_series(1, 50) i',
  )
})
afterAll(async () => {
  at.remove()
  await db.drop()
})

/** Named statements, settings, reads, writes: what one leaves out, others rely on. */
async function work(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query("SET application_name = 'changed'")
  for (let i = 1; i <= 40; i++) {
    await client.query({ name: 'one', text: 'SELECT n FROM people WHERE id = $1', values: [i] })
    await client.query('BEGIN')
    await client.query({ name: 'two', text: 'SELECT person FROM orders WHERE id = $1', values: [i] })
    await client.query({ name: 'three', text: 'UPDATE people SET n = n + 1 WHERE id = $1', values: [i] })
    await client.query('COMMIT')
  }
  await client.query('INSERT INTO orders VALUES (51, 1)')
  await client.query('DELETE FROM orders WHERE id = 51')
  await client.end()
}

const SEEN = { statements: 1 + 40 * 5 + 2, transactions: 1 + 40 * 2 + 2 }

test('a session that is not chosen is counted as filtered, and so is the rest of it', async () => {
  const { manifest, statements, sessions } = await recordOf(at, db.url, work, {
    choice: readChoice({ exclude: ['user=*'] }),
  })
  expect([statements, sessions]).toEqual([[], []])
  expect(manifest.ledger.filtered).toEqual({ 'session not chosen': SEEN })
  expect(balances(manifest.ledger)).toBe(true)
})

test('reads by share, writes all: whole transactions, and each statement name that is used has been prepared', async () => {
  const { manifest, statements } = await recordOf(at, db.url, work, { choice: readChoice({ sample: 'reads=20%' }) })
  const { ledger } = manifest
  expect(balances(ledger)).toBe(true)
  const reads = statements.filter(({ sql, bind }) => sql.startsWith('SELECT n') && bind !== null)
  expect(reads.length).toBeGreaterThan(0)
  expect(reads.length).toBeLessThan(20)
  expect(ledger.filtered['by share']).toEqual({ statements: 40 - reads.length, transactions: 40 - reads.length })
  expect(statements.filter(({ sql }) => sql.startsWith('UPDATE'))).toHaveLength(40)
  expect(statements.map(({ ordinal }) => ordinal)).toEqual(statements.map((_, i) => i + 1))
  // Settings are no matter of chance.
  expect(statements[0]!.sql).toMatch(/^SET application_name/)
  const prepared = new Set<string>()
  for (const { frames } of statements) {
    for (const frame of frames) {
      if (frame[0] === 'P') prepared.add(frame[1])
      else if (frame[0] === 'B') expect(prepared.has(frame[2])).toBe(true)
    }
  }
})

test('a table that is excluded: its transactions go whole, those that only refer to it stay', async () => {
  const { manifest, statements } = await recordOf(at, db.url, work, {
    choice: readChoice({ exclude: ['table=public.people'] }),
  })
  const { ledger } = manifest
  expect(balances(ledger)).toBe(true)
  expect(ledger.filtered['by table or fingerprint']).toEqual({ statements: 200, transactions: 80 })
  const executed = statements.filter(({ frames }) => frames.some(([kind]) => kind === 'Q' || kind === 'E'))
  expect(executed.map(({ sql }) => sql.split(' ')[0])).toEqual(['SET', 'INSERT', 'DELETE'])
})

test('a fingerprint that is included: only transactions with it', async () => {
  const all = await recordOf(at, db.url, work)
  const wanted = all.statements.find(({ sql }) => sql.startsWith('DELETE'))!.fingerprint
  const { manifest, statements } = await recordOf(at, db.url, work, {
    choice: readChoice({ include: [`fingerprint=${wanted}`] }),
  })
  expect(balances(manifest.ledger)).toBe(true)
  const executed = statements.filter(({ frames }) => frames.some(([kind]) => kind === 'Q' || kind === 'E'))
  expect(executed.map(({ fingerprint }) => fingerprint)).toEqual([wanted])
})

describe('by each dimension, of three sessions that differ in it', () => {
  const ROLE = `chosen_${process.pid}`
  beforeAll(async () => {
    await db.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'chosen'`)
    await db.query(`GRANT ALL ON people, orders TO ${ROLE}`)
  })
  afterAll(async () => {
    await db.query(`DROP OWNED BY ${ROLE}`)
    await db.query(`DROP ROLE ${ROLE}`)
  })

  const WHO = [
    { name: 'web', application: 'web-1', change: {} },
    { name: 'job', application: 'job-1', change: {} },
    { name: 'other', application: 'web-2', change: { username: ROLE, password: 'chosen' } },
    { name: 'elsewhere', application: 'job-2', change: { pathname: '/postgres' } },
  ]
  const ASKED = { statements: 2, transactions: 2 }

  async function everybody(url: string): Promise<void> {
    for (const { application, change } of WHO) {
      const connectionString = String(Object.assign(new URL(url), change))
      const client = new pg.Client({ connectionString, application_name: application })
      await client.connect()
      const tables = 'pathname' in change ? ['pg_class', 'pg_proc'] : ['people', 'orders']
      for (const table of tables) await client.query(`SELECT count(*) FROM ${table}`)
      await client.end()
    }
  }
  const database = () => new URL(db.url).pathname.slice(1)

  test.each([
    { flags: () => ({ include: ['application=web-*'] }), kept: ['web-1', 'web-2'] },
    { flags: () => ({ exclude: ['application=web-*'] }), kept: ['job-1', 'job-2'] },
    { flags: () => ({ include: [`user=${ROLE}`] }), kept: ['web-2'] },
    { flags: () => ({ exclude: [`user=${ROLE}`] }), kept: ['web-1', 'job-1', 'job-2'] },
    { flags: () => ({ include: ['database=postgres'] }), kept: ['job-2'] },
    {
      flags: () => ({ include: [`database=${database()}`], exclude: ['application=job-*'] }),
      kept: ['web-1', 'web-2'],
    },
  ])('sessions: $kept', async ({ flags, kept }) => {
    const recorded = await recordOf(at, db.url, everybody, { choice: readChoice(flags()) })
    const { manifest, sessions, statements } = recorded
    expect(sessions.map(({ application }) => application)).toEqual(kept)
    const left = WHO.length - kept.length
    expect(manifest.ledger).toEqual({
      seen: { statements: 2 * WHO.length, transactions: 2 * WHO.length },
      kept: { statements: ASKED.statements * kept.length, transactions: ASKED.transactions * kept.length },
      filtered: { 'session not chosen': { statements: 2 * left, transactions: 2 * left } },
      skipped: {},
      lost: {},
    })
    expect(statements).toHaveLength(manifest.ledger.kept.statements)
  })

  test.each([
    { flags: { include: ['table=orders'] }, kept: ['orders', 'orders', 'orders'] },
    { flags: { include: ['table=public.orders'] }, kept: ['orders', 'orders', 'orders'] },
    { flags: { exclude: ['table=people'] }, kept: ['orders', 'orders', 'orders', 'pg_class', 'pg_proc'] },
    { flags: { exclude: ['table=o*', 'table=p*'] }, kept: ['pg_class', 'pg_proc'] },
  ])('tables: $flags (those of the system are no matter of choice)', async ({ flags, kept }) => {
    const { manifest, statements } = await recordOf(at, db.url, everybody, { choice: readChoice(flags) })
    expect(statements.map(({ sql }) => sql)).toEqual(kept.map((table) => `SELECT count(*) FROM ${table}`))
    const left = 2 * WHO.length - kept.length
    expect(manifest.ledger.filtered).toEqual({
      'by table or fingerprint': { statements: left, transactions: left },
    })
    expect(balances(manifest.ledger)).toBe(true)
  })
})

describe('by share', () => {
  test('of sessions: those that the hash chooses, and the others are counted', async () => {
    const choice = readChoice({ sample: '50%' })
    const SESSIONS_ASKED = 16
    const { manifest, sessions } = await recordOf(
      at,
      db.url,
      async (url) => {
        for (let i = 0; i < SESSIONS_ASKED; i++) {
          const client = new pg.Client(url)
          await client.connect()
          await client.query('SELECT 1')
          await client.end()
        }
      },
      { choice },
    )
    const chosen = Array.from({ length: SESSIONS_ASKED }, (_, i) => i + 1).filter((id) =>
      choosesSession(choice, id, FACTS),
    )
    expect(chosen.length).toBeGreaterThan(0)
    expect(chosen.length).toBeLessThan(SESSIONS_ASKED)
    expect(sessions.map(({ session }) => session)).toEqual(chosen)
    const left = SESSIONS_ASKED - chosen.length
    expect(manifest.ledger.filtered).toEqual({ 'session not chosen': { statements: left, transactions: left } })
  })

  test.each([
    { sample: 'writes=0%', kept: ['SELECT n'] },
    { sample: 'reads=0%', kept: ['SELECT person', 'UPDATE people', 'INSERT INTO', 'DELETE FROM'] },
    { sample: 'transactions=0%', kept: [] },
  ])('$sample: whole transactions of a class', async ({ sample, kept }) => {
    const { manifest, statements } = await recordOf(at, db.url, work, { choice: readChoice({ sample }) })
    const done = statements.filter(({ frames, sql }) => {
      return frames.some(([kind]) => kind === 'Q' || kind === 'E') && !/^(SET|BEGIN|COMMIT)/.test(sql)
    })
    expect([...new Set(done.map(({ sql }) => sql.split(' ').slice(0, 2).join(' ')))].sort()).toEqual([...kept].sort())
    const { seen, filtered, kept: counted } = manifest.ledger
    expect(Object.keys(filtered)).toEqual(['by share'])
    expect(seen.statements).toBe(counted.statements + filtered['by share']!.statements)
    expect(balances(manifest.ledger)).toBe(true)
  })
})
