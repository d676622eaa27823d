/** A replay as it runs: order across workers, the clock, and all that may go wrong on the way. */
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { HarnessError } from '../../base/errors.js'
import { balances, imbalance } from '../../segment/ledger.js'
import type { Outcome } from '../../segment/outcome.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { planOf, type Replayed, replayTape } from './support.js'
import { execute, prepare, simple, Tape, unnamed } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase(
    'CREATE TABLE item (id int PRIMARY KEY, name text)',
    "INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 300) i",
    'CREATE TABLE log (id serial, who text)',
  )
})
afterAll(() => database.drop())

const short = ({ error, tag, rows, status }: Outcome) => [error?.sqlstate ?? tag, rows, status]

describe('order', () => {
  test('waits are kept across workers, on a real server', async () => {
    const tape = new Tape()
    const waits: { of: number; for: number }[] = []
    for (let i = 0; i < 400; i++)
      tape.send(1 + (i % 8), unnamed('INSERT INTO log (who) VALUES ($1) RETURNING id', [`${i}`]))
    for (let seq = 2; seq <= 400; seq++) waits.push({ of: seq, for: seq - 1 })
    const { rows, facts } = await replayTape(tape, database.url, { waits, workers: 4 })
    const ids = rows.map(({ outcome }) => Number(outcome.rows![0]![0]))
    expect(ids).toEqual(ids.map((_, i) => ids[0]! + i))
    expect(facts).toMatchObject({ orderRelaxed: 0, settings: { order: 'causal', workers: 4 } })
    expect(rows.every(({ timing }, i) => i === 0 || timing.sentUs >= rows[i - 1]!.timing.doneUs)).toBe(true)
  })

  test('a writer that waits for a long read only waits for its snapshot', async () => {
    const tape = new Tape()
      .send(1, { ...unnamed('SELECT id, pg_sleep(0.5) FROM item WHERE id = 1'), doneUs: 2_000_000 })
      .send(2, unnamed('SELECT 1'))
    const { rows } = await replayTape(tape, database.url, { waits: [{ of: 2, for: 1, snapshot: true }] })
    expect(rows[1]!.timing.sentUs).toBeGreaterThan(rows[0]!.timing.sentUs)
    expect(rows[1]!.timing.sentUs).toBeLessThan(rows[0]!.timing.doneUs - 200_000)
  })

  test('a standstill of plan and locks is ended, and told', async () => {
    const tape = new Tape()
      .send(1, simple('BEGIN'))
      .send(1, simple("UPDATE item SET name = 'first' WHERE id = 100"))
      .send(2, simple("UPDATE item SET name = 'second' WHERE id = 100"))
      .send(1, simple('SELECT name FROM item WHERE id = 100'))
      .send(1, simple('COMMIT'))
    // 3 needs the lock that session 1 holds until 5; 4 is made to wait for 3.
    const waits = [
      { of: 3, for: 2 },
      { of: 4, for: 3 },
    ]
    const { rows, facts } = await replayTape(tape, database.url, { waits })
    expect(rows.map(({ seq, orderRelaxed }) => [seq, orderRelaxed])).toEqual([
      [1, false],
      [2, false],
      [3, false],
      [4, true],
      [5, false],
    ])
    expect(rows[3]!.outcome.rows).toEqual([['first']])
    expect(facts.orderRelaxed).toBe(1)
    expect(facts.incidents).toMatchObject([
      { kind: 'order relaxed', detail: expect.stringContaining('it waited for a session that waits for its lock') },
    ])
  })
})

describe('time', () => {
  test('at ten times the speed, statements go out when they are due', async () => {
    const tape = new Tape()
    for (let i = 0; i < 20; i++) tape.send(1 + (i % 4), { ...simple('SELECT 1'), sentUs: 5_000_000 + i * 250_000 })
    const { rows, facts } = await replayTape(tape, database.url, { speed: 10 })
    expect(rows.map(({ timing }) => timing.dueUs)).toEqual(rows.map((_, i) => i * 25_000))
    expect(rows.every(({ timing }) => timing.sentUs >= timing.dueUs)).toBe(true)
    expect(facts.elapsedUs).toBeGreaterThan(475_000)
    expect(facts.settings.speed).toBe(10)
  })

  test('a rate bounds all sessions together', async () => {
    const tape = new Tape()
    for (let i = 0; i < 300; i++) tape.send(1 + (i % 4), simple('SELECT 1'))
    const { facts } = await replayTape(tape, database.url, { ratePerSecondMax: 500 })
    // 50 at once, the other 250 at 500 a second.
    expect(facts.elapsedUs).toBeGreaterThan(490_000)
  })
})

describe('what goes wrong', () => {
  const suicide = unnamed('SELECT pg_terminate_backend(pg_backend_pid())')

  test('a lost connection is an outcome; the rest of its transaction is lost, and the session goes on', async () => {
    const byId = 'SELECT name FROM item WHERE id = $1'
    const { rows, skipped, facts } = await replayTape(
      new Tape()
        .send(1, prepare('by_id', byId))
        .send(1, { ...simple('BEGIN'), transaction: 77 })
        .send(1, { ...suicide, transaction: 77 })
        .send(1, { ...simple('SELECT 1'), transaction: 77 })
        .send(1, { ...simple('COMMIT'), transaction: 77 })
        .send(1, execute('by_id', byId, ['4']))
        .send(2, simple('SELECT 2')),
      database.url,
    )
    expect(rows.map(({ seq, outcome }) => [seq, ...short(outcome)])).toEqual([
      [1, '', null, 'I'],
      [2, 'BEGIN', null, 'T'],
      [3, '57P01', null, null],
      [6, 'SELECT 1', [['item 4']], 'I'],
      [7, 'SELECT 1', [['2']], 'I'],
    ])
    expect(skipped).toEqual([
      { seq: 4, reason: 'connection' },
      { seq: 5, reason: 'connection' },
    ])
    expect(facts.ledger).toMatchObject({
      kept: { statements: 5, transactions: 3 },
      lost: { connection: { statements: 2, transactions: 1 } },
    })
    expect(balances(facts.ledger)).toBe(true)
  })

  test('a session whose state cannot be rebuilt is lost from there on, and nobody waits for it', async () => {
    const { rows, facts } = await replayTape(
      new Tape()
        .send(1, simple("SET work_mem = '8MB'"))
        .send(1, suicide)
        .send(1, simple('SELECT 1'))
        .send(2, simple('SELECT 2')),
      database.url,
      { waits: [{ of: 4, for: 3 }] },
    )
    expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 4])
    expect(facts.ledger.lost).toEqual({ connection: { statements: 1, transactions: 1 } })
    expect(facts.incidents.map(({ kind }) => kind)).toEqual(['connection lost', 'session lost'])
  })

  test('a session that is not let in is lost; the others are not', async () => {
    const { rows, facts } = await replayTape(
      new Tape()
        .session(1, { parameters: { no_such_setting: '1' } })
        .send(1, simple('SELECT 1'))
        .send(2, simple('SELECT 2')),
      database.url,
    )
    expect(rows.map(({ seq }) => seq)).toEqual([2])
    expect(facts.ledger.lost).toEqual({ connection: { statements: 1, transactions: 1 } })
    expect(facts.incidents).toMatchObject([{ kind: 'session lost', detail: expect.stringContaining('42704') }])
  })

  test('read-only: the server refuses what writes', async () => {
    const { rows, facts } = await replayTape(
      new Tape().send(1, simple("INSERT INTO log (who) VALUES ('x')")).send(1, simple('SELECT 1')),
      database.url,
      { readOnly: true },
    )
    expect(rows.map(({ outcome }) => short(outcome)[0])).toEqual(['25006', 'SELECT 1'])
    expect(facts.settings.readOnly).toBe(true)
  })

  test('read-only is no default that a recorded statement could undo', async () => {
    const before = await database.query('SELECT count(*)::int AS count FROM log')
    const { rows, facts } = await replayTape(
      new Tape()
        .send(1, simple('SET default_transaction_read_only = off'))
        .send(1, simple("INSERT INTO log (who) VALUES ('x')"))
        .send(1, simple('BEGIN READ WRITE'))
        .send(1, simple("SELECT nextval('log_id_seq')"))
        .send(1, simple('ROLLBACK'))
        .send(1, simple('BEGIN READ WRITE; DELETE FROM item; COMMIT'))
        .send(1, simple('ROLLBACK'))
        .send(1, simple('RESET ROLE; DROP TABLE log'))
        .send(1, simple('SET SESSION AUTHORIZATION DEFAULT; UPDATE item SET name = NULL'))
        .send(1, simple('CREATE TABLE more (i int)'))
        .send(2, simple('SELECT name FROM item WHERE id = 1')),
      database.url,
      { readOnly: true },
    )
    expect(rows.map(({ seq, outcome }) => [seq, short(outcome)[0]])).toEqual([
      [1, 'SET'],
      [2, '42501'],
      [3, 'BEGIN'],
      [4, '42501'],
      [5, 'ROLLBACK'],
      [6, '42501'],
      [7, 'ROLLBACK'],
      [8, '42501'],
      [9, '42501'],
      [10, '42501'],
      [11, 'SELECT 1'],
    ])
    expect(facts.settings).toMatchObject({ readOnly: true, readerRole: true })
    expect((await database.query('SELECT count(*)::int AS count FROM log')).rows).toEqual(before.rows)
    const left = await database.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'pgrehearse_reader_%'")
    expect(left.rows).toEqual([])
  })

  test('whose user may make no roles is told that read-only is a setting alone', async () => {
    const role = `plain_${database.name.slice(5)}`
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`)
    const url = Object.assign(new URL(database.url), { username: role, password: 'x' }).toString()
    const { rows, facts } = await replayTape(new Tape().send(1, simple('SELECT 1')), url, { readOnly: true })
    await database.query(`DROP ROLE ${role}`)
    expect(rows).toHaveLength(1)
    expect(facts.settings.readerRole).toBeUndefined()
    expect(facts.incidents).toMatchObject([{ kind: 'read-only by a setting alone' }])
  })

  describe('a server that is out of memory', () => {
    beforeEach(() =>
      database.query(`
      DROP SEQUENCE IF EXISTS tries; DROP TABLE IF EXISTS made; CREATE SEQUENCE tries; CREATE TABLE made (x int);
      CREATE OR REPLACE FUNCTION heavy(times int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO made VALUES (1);
        IF nextval('tries') <= times THEN RAISE EXCEPTION 'out of memory' USING ERRCODE = '53200'; END IF;
        RETURN 42; END $$`),
    )
    const outcomesOf = ({ rows }: Replayed) => rows.map(({ outcome }) => outcome.error?.sqlstate ?? outcome.tag)
    const made = async () => (await database.query('SELECT count(*)::int AS n FROM made')).rows[0]!.n

    test('is asked once more, and then it may do', async () => {
      const replayed = await replayTape(new Tape().send(1, simple('SELECT heavy(1)')), database.url)
      expect(outcomesOf(replayed)).toEqual(['SELECT 1'])
      expect(await made()).toBe(1)
      expect(replayed.facts.incidents).toMatchObject([{ kind: 'out of memory' }])
      expect(balances(replayed.facts.ledger)).toBe(true)
    })
    test('has the last word when it says so again, and the session goes on', async () => {
      const tape = new Tape().send(1, unnamed('SELECT heavy($1)', ['9'])).send(1, simple('SELECT 1'))
      expect(outcomesOf(await replayTape(tape, database.url))).toEqual(['53200', 'SELECT 1'])
    })
    test('is not asked again in the middle of a transaction, of which part would be missing', async () => {
      const transaction = 500_000
      const tape = new Tape()
      for (const sql of ['BEGIN', 'SELECT heavy(1)', 'COMMIT']) tape.send(1, { ...simple(sql), transaction })
      expect(outcomesOf(await replayTape(tape, database.url))).toEqual(['BEGIN', '53200', 'ROLLBACK'])
    })
  })

  test('a replay that is stopped seals what it has, and says so', async () => {
    const tape = new Tape()
    for (let i = 0; i < 100; i++)
      tape.send(1 + (i % 2), { ...simple('SELECT 1'), sentUs: i < 50 ? 1_000_000 + i : 600_000_000 })
    const stop = new AbortController()
    const { rows, facts } = await replayTape(tape, database.url, {
      speed: 1,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done === 50) stop.abort()
      },
    })
    expect(rows).toHaveLength(50)
    expect(facts.ledger.lost).toEqual({ interrupted: { statements: 50, transactions: 50 } })
    expect(balances(facts.ledger)).toBe(true)
    expect(facts.incidents.map(({ kind }) => kind)).toContain('interrupted')
  })

  test('stopped in the middle of things: what was sent, what was read and what was not are counted, each by itself', async () => {
    const tape = new Tape()
    const transaction = 900_000
    tape.send(1, { ...simple('BEGIN'), transaction })
    tape.send(1, { ...simple('SELECT pg_sleep(600)'), transaction })
    tape.send(1, { ...simple('COMMIT'), transaction })
    // More than is read ahead, so that some of it is still in the recording.
    for (let i = 0; i < 3000; i++) tape.send(2 + (i % 2), simple('SELECT 1'))
    const waits = [{ of: 4, for: 3 }]
    const stop = new AbortController()
    const replayed = replayTape(tape, database.url, {
      waits,
      workers: 1,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done >= 1000) stop.abort()
      },
    })
    const { rows, facts } = await replayed
    const { seen, kept, lost } = facts.ledger
    expect(seen).toEqual({ statements: 3003, transactions: 3001 })
    expect(kept.statements).toBe(rows.length)
    expect(kept.statements).toBeGreaterThanOrEqual(1000)
    expect(lost['interrupted while the server was at it']!.transactions).toBeGreaterThanOrEqual(1)
    expect(lost.interrupted!.statements).toBeGreaterThan(0)
    expect(imbalance(facts.ledger)).toEqual({ statements: 0, transactions: 0 })
  })

  test('a recording that ends before its plan does is no standstill, and the ledger does not balance', async () => {
    const longer = new Tape()
    for (let i = 0; i < 6; i++) longer.send(1 + (i % 3), simple('SELECT 1'))
    const whole = longer.write()
    const plan = planOf(whole)
    rmSync(dirname(whole), { recursive: true })
    const tape = new Tape().session(1).session(2).session(3)
    for (let i = 0; i < 2; i++) tape.send(1 + i, simple('SELECT 1'))
    const { rows, facts } = await replayTape(tape, database.url, { plan })
    expect(rows).toHaveLength(2)
    expect(imbalance(facts.ledger)).toEqual({ statements: 4, transactions: 0 })
  })

  test('a target that cannot be reached is an error for a person', async () => {
    const nowhere = Object.assign(new URL(database.url), { port: '1' }).toString()
    const error: unknown = await replayTape(new Tape().send(1, simple('SELECT 1')), nowhere).catch(
      (caught: unknown) => caught,
    )
    expect(error).toBeInstanceOf(HarnessError)
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE' })
  })

  test('nothing recorded, nothing replayed', async () => {
    const { rows, facts } = await replayTape(new Tape().session(1), database.url)
    expect(rows).toEqual([])
    expect(balances(facts.ledger)).toBe(true)
  })
})
