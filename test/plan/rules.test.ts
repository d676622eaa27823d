/**
 * The table of rules, one test each: what kinds of statement wait for, beyond reading and writing rows (./plan.test.ts) and what their
 * texts say (../sql/touch.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { buildPlan } from '../../replayer/plan/build.js'
import { HeldLocks } from '../../replayer/plan/sessions.js'
import { ENDED } from '../../replayer/run/plan-shape.js'
import { type Line, script, waits } from './script.js'

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
  test('SKIP LOCKED: of two that pick side by side, the queue says who was first, not the locks they held', async () => {
    const pick = "SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
    const begin = (session: number, us: number) => one(session, 'BEGIN', [us, us + 1], { transaction: session })
    const picked = (session: number, at: [number, number], ids: string[]) =>
      one(session, pick, at, {
        transaction: session,
        parameters: [`${ids.length}`],
        tag: `SELECT ${ids.length}`,
        returned: { 'jobs.id': ids },
      })
    const commit = (session: number, at: [number, number]) => one(session, 'COMMIT', at, { transaction: session })
    const lines = [
      begin(1, 0),
      begin(2, 2),
      picked(1, [10_000, 17_800], ['1', '3', '4']),
      picked(2, [10_200, 17_900], ['5', '6']),
      commit(2, [40_000, 41_000]),
      commit(1, [45_000, 46_000]),
    ]
    expect(await waits(lines)).toContain('D < C')
  })
  test('SKIP LOCKED: who picks and is answered in one breath with another pick stood at none of its locks', async () => {
    const pick = "SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    const take = `UPDATE jobs SET state = 'done' WHERE id = (${pick}) RETURNING id`
    const got = (tag: string, id: string) => ({ tag, returned: { 'jobs.id': [id] } })
    const lines = [
      one(1, 'BEGIN', [0, 1], { transaction: 1 }),
      one(1, pick, [10_000, 11_800], { transaction: 1, ...got('SELECT 1', '3') }),
      one(2, take, [10_600, 14_700], got('UPDATE 1', '4')),
      one(3, take, [11_300, 13_000], got('UPDATE 1', '5')),
      one(1, 'COMMIT', [30_000, 31_000], { transaction: 1 }),
    ]
    const order = await waits(lines)
    expect(order).toContain('C < B')
    expect(order).toContain('D < C')
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

describe('a key that must stay', () => {
  const child = one(1, 'INSERT INTO children (parent_id) VALUES ($1)', [2, 4], { parameters: ['7'], transaction: 1 })
  test('keeps its row from being removed: the parent goes after the transaction that pointed at it', async () => {
    const lines = [
      one(1, 'BEGIN', [0, 1], { transaction: 1 }),
      child,
      one(2, 'DELETE FROM parents WHERE id = 7', [10, 70], { sqlstate: '23503' }),
      one(1, 'COMMIT', [50, 60], { transaction: 1 }),
    ]
    expect(await waits(lines)).toEqual(['C < B', 'C < D'])
  })
  test('waits for whoever removes it', async () => {
    const lines = [
      one(2, 'BEGIN', [0, 1], { transaction: 2 }),
      one(2, 'DELETE FROM parents WHERE id = 7', [2, 4], { transaction: 2 }),
      one(1, child.sql, [10, 70], { parameters: ['7'], sqlstate: '23503' }),
      one(2, 'COMMIT', [50, 60], { transaction: 2 }),
    ]
    expect(await waits(lines)).toEqual(['C < D'])
  })
})

test.each([
  ['FOR UPDATE', ['C < B']],
  ['FOR NO KEY UPDATE', []],
  ['FOR SHARE', []],
])('%s of a parent, while a child needs its key', async (strength, expected) => {
  const lines = [
    one(2, 'BEGIN', [0, 1], { transaction: 2 }),
    one(2, `SELECT id FROM parents WHERE id = 7 ${strength}`, [2, 4], { transaction: 2 }),
    one(1, 'INSERT INTO children (parent_id) VALUES ($1)', [10, 20], { parameters: ['7'] }),
    one(2, 'COMMIT', [50, 60], { transaction: 2 }),
  ]
  expect(await waits(lines)).toEqual(expected)
})

describe('a row that was asked for by its key, and was not there', () => {
  const insert = one(1, 'INSERT INTO accounts (id, balance) VALUES (7, 1)', [10_000, 11_000], {
    transaction: 1,
    tag: 'INSERT 0 1',
  })
  const lines = (sql: string, tag: string, at: [number, number]) => [
    one(1, 'BEGIN', [0, 1], { transaction: 1 }),
    insert,
    one(2, sql, at, { tag }),
    one(1, 'COMMIT', [20_000, 40_000], { transaction: 1 }),
  ]
  test.each([
    ['read', 'SELECT balance FROM accounts WHERE id = 7', 'SELECT 0'],
    ['locked', 'SELECT balance FROM accounts WHERE id = 7 FOR UPDATE', 'SELECT 0'],
    ['changed', 'UPDATE accounts SET balance = 2 WHERE id = 7', 'UPDATE 0'],
    ['removed', 'DELETE FROM accounts WHERE id = 7', 'DELETE 0'],
  ])('was not committed yet: %s', async (_, sql, tag) => {
    // Sent after the COMMIT, which took a while: by the clock alone it would have come later.
    const order = await waits(lines(sql, tag, [29_000, 39_000]))
    expect(order.map((wait) => wait.replace('snapshot', ''))).toContain('C < D')
    expect(order).not.toContain('D < C')
  })
  test('or was gone again, when the COMMIT was over before', async () => {
    expect(await waits(lines('SELECT balance FROM accounts WHERE id = 7', 'SELECT 0', [50_000, 51_000]))).toEqual([
      'D < C',
    ])
  })
})

describe('a deferred foreign key', () => {
  const child = (at: [number, number], more: Partial<Line> = {}) =>
    one(1, 'INSERT INTO patient (parent_id) VALUES ($1)', at, { parameters: ['7'], ...more })
  const parent = (at: [number, number]) => one(2, 'INSERT INTO parents (id) VALUES (7)', at)
  test('is looked at by COMMIT: the parent may come after the child, and before that', async () => {
    const lines = [
      one(1, 'BEGIN', [0, 1], { transaction: 1 }),
      child([10_000, 11_000], { transaction: 1 }),
      parent([20_000, 21_000]),
      one(1, 'COMMIT', [30_000, 31_000], { transaction: 1 }),
    ]
    expect(await waits(lines)).toEqual(['D < C'])
  })
  test('at once where the statement is its own transaction', async () => {
    expect(await waits([parent([0, 1000]), child([10_000, 11_000])])).toEqual(['B < A'])
  })
  test('keeps who removes the parent before COMMIT from nothing but that COMMIT', async () => {
    const lines = [
      one(1, 'BEGIN', [0, 1], { transaction: 1 }),
      child([10_000, 11_000], { transaction: 1 }),
      one(1, 'COMMIT', [20_000, 21_000], { transaction: 1 }),
      one(2, 'DELETE FROM parents WHERE id = 7', [30_000, 31_000], { sqlstate: '23503' }),
    ]
    expect(await waits(lines)).toEqual(['D < C'])
  })
})

describe('who found nothing to change', () => {
  const clear = 'DELETE FROM jobs WHERE state = $1'
  const found = (tag: string) => ({ parameters: ['done'], tag })
  test('stood until the one who changed the row was over, and looked before others made new ones', async () => {
    const lines = [
      one(1, 'BEGIN', [0, 1000], { transaction: 1 }),
      one(1, clear, [2000, 4000], { transaction: 1, ...found('DELETE 1') }),
      one(2, clear, [10000, 61000], found('DELETE 0')),
      one(
        3,
        "INSERT INTO jobs (id, state) VALUES (7, 'done') ON CONFLICT (id) DO UPDATE SET state = 'done'",
        [20000, 61200],
      ),
      one(4, clear, [30000, 61300], found('DELETE 0')),
      one(1, 'COMMIT', [59000, 60500], { transaction: 1 }),
    ]
    const order = await waits(lines)
    expect(order).toContain('C < F')
    expect(order).toContain('E < F')
    expect(order.filter((wait) => wait === 'C < D' || wait === 'E < D')).toEqual([])
  })
  test('stood in one queue with who changed the row: woken by the end of that one, though it was sent before the other had its lock', async () => {
    const lines = [
      one(1, 'BEGIN', [0, 10], { transaction: 1 }),
      one(1, clear, [100, 200], { transaction: 1, ...found('DELETE 1') }),
      one(2, 'BEGIN', [300, 310], { transaction: 2 }),
      one(2, clear, [1000, 30_000], { transaction: 2, ...found('DELETE 1') }),
      one(3, clear, [10_000, 61_100], found('DELETE 0')),
      one(1, 'ROLLBACK', [29_000, 29_900], { transaction: 1 }),
      one(2, 'COMMIT', [60_000, 61_000], { transaction: 2 }),
    ]
    expect(await waits(lines)).toContain('E < G')
  })
})

describe('what the answer is of', () => {
  const reader: Line = { session: 2, sql: 'SELECT count(*) FROM jobs', at: [20, 30] }
  test('a tag of 0 says that the statement itself wrote nothing', async () => {
    const update = one(1, "UPDATE jobs SET state = 'x' WHERE state = 'y'", [0, 10], { tag: 'UPDATE 0' })
    expect(await waits([update, reader])).toEqual([])
  })
  test('and nothing about its WITH queries', async () => {
    const sql =
      "WITH gone AS (DELETE FROM jobs WHERE state = 'x') INSERT INTO children (parent_id) SELECT 1 WHERE false"
    expect(await waits([one(1, sql, [0, 10], { tag: 'INSERT 0 0' }), reader])).toEqual(['B < A'])
  })
  test('rows of a table that is looked at twice may be of either look', async () => {
    const sql = 'SELECT a.id FROM jobs a JOIN jobs b ON b.state = a.state WHERE a.id = 1 FOR UPDATE OF b'
    const other = one(2, "UPDATE jobs SET state = 'z' WHERE id = 2", [20, 30])
    const locks = one(1, sql, [0, 10], { returned: { 'jobs.id': ['1'] } })
    expect(await waits([locks, other])).toEqual(['B < A'])
  })
})

describe('a failure of production need not be one of the replay', () => {
  const failed = (more: Partial<Line> = {}) =>
    one(1, 'UPDATE accounts SET balance = -1 WHERE id = 7', [2, 10], { sqlstate: '23514', ...more })
  const reader = one(2, 'SELECT balance FROM accounts WHERE id = 7', [40, 50])
  test('what it would have left is seen by whoever comes later', async () => {
    expect(await waits([failed(), reader])).toEqual(['B < A'])
  })
  test('unless the client took it back itself', async () => {
    const lines = [
      one(1, 'BEGIN', [0, 1], { transaction: 1 }),
      failed({ transaction: 1 }),
      one(1, 'ROLLBACK', [20, 30], { transaction: 1 }),
    ]
    expect(await waits([...lines, reader])).toEqual([])
  })
  test.each(ENDED)('%s is ended again, so it touches nothing', async (sqlstate) => {
    const { plan } = await buildPlan(script([failed({ sqlstate }), reader]))
    expect([...(plan.reenacted ?? [])]).toEqual([0, ENDED.indexOf(sqlstate)])
    expect([...plan.waitStart]).toEqual([0, 0, 0])
  })
})

test('SELECT 1 takes the snapshot of a transaction that keeps it', async () => {
  const lines = [
    one(1, 'BEGIN ISOLATION LEVEL REPEATABLE READ', [0, 1], { transaction: 1 }),
    one(1, 'SELECT 1', [2, 10], { transaction: 1 }),
    one(2, 'UPDATE accounts SET balance = 1 WHERE id = 7', [20, 30]),
    one(1, 'SELECT balance FROM accounts WHERE id = 7', [40, 50], { transaction: 1 }),
    one(1, 'COMMIT', [60, 70], { transaction: 1 }),
  ]
  expect(await waits(lines)).toEqual(['C < B'])
})

test('a row that is not there yet is looked for before the COMMIT that makes it', async () => {
  const lines = [
    one(1, 'BEGIN', [0, 1], { transaction: 1 }),
    one(1, 'INSERT INTO accounts (id) VALUES (7)', [2, 4], { transaction: 1 }),
    one(2, 'UPDATE accounts SET balance = 1 WHERE id = 7', [10, 20], { tag: 'UPDATE 0' }),
    one(1, 'COMMIT', [50, 60], { transaction: 1 }),
  ]
  expect(await waits(lines)).toContain('D < C')
})

describe('locks are let go of', () => {
  const of = (
    ...steps: [kind: 'begin' | 'savepoint' | 'release' | 'rollback to' | 'work' | 'fails', name?: string][]
  ) => {
    const held = new HeldLocks()
    return steps.map(([kind, name = ''], at) => {
      const control =
        kind === 'work' || kind === 'fails' ? null : kind === 'begin' ? { kind, isolation: null } : { kind, name }
      return held.after(at, control, kind === 'fails').join(' ')
    })
  }
  test('with the statement that fails', () => expect(of(['begin'], ['work'], ['work'], ['fails']).at(-1)).toBe('0 1 2'))
  test('since the savepoint only, when there is one', () =>
    expect(of(['begin'], ['work'], ['savepoint', 'a'], ['work'], ['fails']).at(-1)).toBe('3'))
  test('by going back to a savepoint', () =>
    expect(of(['begin'], ['savepoint', 'a'], ['work'], ['savepoint', 'b'], ['work'], ['rollback to', 'a']).at(-1)).toBe(
      '2 3 4 5',
    ))
  test('and not by releasing it', () =>
    expect(of(['begin'], ['savepoint', 'a'], ['work'], ['release', 'a'], ['fails']).at(-1)).toBe('0 1 2 3'))
})
