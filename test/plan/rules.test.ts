/**
 * The table of rules, one test each: what kinds of statement wait for, beyond reading and writing rows (./plan.test.ts) and what their
 * texts say (../sql/touch.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { type Line, waits } from './script.js'

const OTHER: Line = { session: 2, sql: 'SELECT balance FROM accounts WHERE id = 9', at: [20, 30] }

function one(session: number, sql: string, at: [number, number], more: Partial<Line> = {}): Line {
  return { session, sql, at, ...more }
}

describe('touches everything', () => {
  test.each([
    ['DDL', 'ALTER TABLE jobs ADD COLUMN x int'],
    ['TRUNCATE', 'TRUNCATE jobs'],
    ['prepared transactions: COMMIT PREPARED', "COMMIT PREPARED 'x'"],
    ['a DO block', "DO 'BEGIN NULL; END'"],
  ])('%s: others wait for it', async (_, sql) => {
    expect(await waits([one(1, sql, [0, 10]), OTHER])).toEqual(['B < A'])
  })
})

describe('touches nothing', () => {
  test.each([
    ['LISTEN', 'LISTEN jobs'],
    ['NOTIFY', "NOTIFY jobs, 'x'"],
    ['SET', "SET work_mem = '64MB'"],
    ['savepoints', 'SAVEPOINT a'],
    ['PREPARE TRANSACTION', "PREPARE TRANSACTION 'x'"],
    ['temp tables', 'CREATE TEMP TABLE scratch (id int)'],
    ['CHECKPOINT', 'CHECKPOINT'],
  ])('%s: others do not wait for it', async (_, sql) => {
    expect(await waits([one(1, sql, [0, 10]), OTHER])).toEqual([])
  })
})

describe('locks', () => {
  const hold = (at: [number, number]): Line[] => [
    one(1, 'BEGIN', [0, 1], { transaction: 1 }),
    one(1, 'SELECT balance FROM accounts WHERE id = 7 FOR UPDATE', [2, 4], { transaction: 1 }),
    one(1, 'COMMIT', at, { transaction: 1 }),
  ]
  test('SELECT FOR UPDATE: the next one is sent when the row is locked, and the database’s own lock does the rest', async () => {
    const next = one(2, 'UPDATE accounts SET balance = 1 WHERE id = 7', [5, 60])
    expect(await waits([...hold([40, 50]), next])).toEqual(['C < B'])
  })
  test.each([
    ['NOWAIT', 'SELECT balance FROM accounts WHERE id = 7 FOR UPDATE NOWAIT'],
    ['lock_timeout', 'UPDATE accounts SET balance = 1 WHERE id = 7'],
  ])('%s: refused, so it looked between the lock and the COMMIT', async (_, sql) => {
    const order = await waits([...hold([40, 50]), one(2, sql, [5, 42], { sqlstate: '55P03' })])
    expect(order).toContain('C < B')
    expect(order).toContain('D < C')
  })
  test('SKIP LOCKED: picks come one after the other, and before the locks they did not see', async () => {
    const pick = "SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    const got = (id: string) => ({ tag: 'SELECT 1', returned: { 'jobs.id': [id] } })
    expect(await waits([one(1, pick, [0, 10], got('1')), one(2, pick, [20, 30], got('2'))])).toEqual(['B < A'])
  })
  test('advisory locks: of one key only', async () => {
    const lock = (session: number, key: string, at: [number, number]) =>
      one(session, 'SELECT pg_advisory_xact_lock($1)', at, { parameters: [key] })
    expect(await waits([lock(1, '5', [0, 10]), lock(2, '5', [20, 30])])).toEqual(['B < A'])
    expect(await waits([lock(1, '5', [0, 10]), lock(2, '6', [20, 30])])).toEqual([])
  })
})

describe('COPY', () => {
  test('FROM makes rows, so a reader of the table waits for it', async () => {
    const copy = one(1, 'COPY notes FROM STDIN', [0, 10], { tag: 'COPY 3' })
    expect(await waits([copy, one(2, 'SELECT count(*) FROM notes', [20, 30])])).toEqual(['B < A'])
  })
  test('TO reads, so a writer waits for it', async () => {
    const write = one(2, 'UPDATE notes SET text = $1 WHERE id = 5', [20, 30], { parameters: ['x'] })
    expect(await waits([one(1, 'COPY notes TO STDOUT', [0, 10], { simple: true }), write])).toEqual(['B < A'])
  })
})

describe('the first statement takes the snapshot', () => {
  const kept = (begin: string): Line[] => [
    one(1, begin, [0, 1], { transaction: 1 }),
    one(1, 'SELECT balance FROM accounts WHERE id = 1', [2, 10], { transaction: 1 }),
    one(2, 'UPDATE accounts SET balance = 1 WHERE id = 7', [20, 30]),
    one(1, 'SELECT balance FROM accounts WHERE id = 7', [40, 50], { transaction: 1 }),
    one(1, 'COMMIT', [60, 70], { transaction: 1 }),
  ]
  test.each(['REPEATABLE READ', 'SERIALIZABLE'])('of %s', async (level) => {
    expect(await waits(kept(`BEGIN ISOLATION LEVEL ${level}`))).toEqual(['C <snapshot B'])
  })
  test('but not of READ COMMITTED', async () => {
    expect(await waits(kept('BEGIN'))).toEqual(['D < C'])
  })
  test('default_transaction_isolation: of the server, of the role, and not of another role', async () => {
    const name = 'default_transaction_isolation'
    const repeatable = { [name]: 'repeatable read' }
    expect(await waits(kept('BEGIN'), { settings: repeatable })).toEqual(['C <snapshot B'])
    const of = (role: string, setting: string) => ({ roleSettings: [{ role, name, setting }] })
    expect(await waits(kept('BEGIN'), of('app', 'repeatable read'))).toEqual(['C <snapshot B'])
    expect(await waits(kept('BEGIN'), of('report', 'repeatable read'))).toEqual(['D < C'])
    const lowered = { settings: repeatable, ...of('app', 'read committed') }
    expect(await waits(kept('BEGIN'), lowered)).toEqual(['D < C'])
  })
})
