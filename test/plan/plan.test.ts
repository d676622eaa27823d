/**
 * Which statement waits for which. Waits read as `B < A`: B is sent after A completed; `B <snapshot A`: after A has its snapshot.
 * Statements are named by letters in the order of sending.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildPlan, type PlanInFull } from '../../replayer/plan/build.js'
import { type Draw, type DrawContext, placeDraws } from '../../replayer/plan/evidence/draws.js'
import type { SequencePosition } from '../../segment/catalog.js'
import { type Line, script, waits } from './script.js'

const READ = 'SELECT balance FROM accounts WHERE id = $1'
const SUM = 'SELECT sum(balance) FROM accounts'
const WRITE = 'UPDATE accounts SET balance = $2 WHERE id = $1'
const ADD = 'UPDATE accounts SET balance = balance + $2 WHERE id = $1 RETURNING balance'
const NOTE = 'INSERT INTO notes (account_id, text) VALUES ($1, $2)'
const PICK = "SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"

describe('readers and writers of one row', () => {
  test('a reader that came after a commit waits for it', async () => {
    expect(await waits([write(1, '7', [0, 10]), read(2, '7', [20, 30])])).toEqual(['B < A'])
  })
  test('a writer waits for the snapshot of a reader that came before, not for its end', async () => {
    expect(await waits([read(1, '7', [0, 100]), write(2, '7', [120, 130])])).toEqual(['B <snapshot A'])
  })
  test('a reader by simple query proves its snapshot only by completing', async () => {
    expect(await waits([{ ...read(1, '7', [0, 100]), simple: true }, write(2, '7', [120, 130])])).toEqual(['B < A'])
  })
  test('writers come one after the other', async () => {
    expect(await waits([write(1, '7', [0, 10]), write(2, '7', [20, 30])])).toEqual(['B < A'])
  })
  test('other rows are free', async () => {
    expect(await waits([write(1, '7', [0, 10]), write(2, '8', [20, 30]), read(3, '9', [40, 50])])).toEqual([])
  })
  test('readers are free among themselves', async () => {
    expect(await waits([read(1, '7', [0, 10]), read(2, '7', [20, 30])])).toEqual([])
  })
  test('a session does not wait for itself', async () => {
    expect(await waits([write(1, '7', [0, 10]), read(1, '7', [20, 30])])).toEqual([])
  })
  test('what a session waited for once, it does not wait for again', async () => {
    expect(await waits([write(1, '7', [0, 10]), read(2, '7', [20, 30]), read(2, '7', [40, 50])])).toEqual(['B < A'])
  })
})

describe('rows and tables', () => {
  test('a reader of the table waits for every commit before it', async () => {
    expect(
      await waits([write(1, '7', [0, 10]), write(2, '8', [0, 10]), { session: 3, sql: SUM, at: [20, 30] }]),
    ).toEqual(['C < A', 'C < B'])
  })
  test('a writer of one row waits for the snapshot of a reader of the table', async () => {
    expect(await waits([{ session: 1, sql: SUM, at: [0, 10] }, write(2, '7', [20, 30])])).toEqual(['B <snapshot A'])
  })
  test('inserts of unknown rows do not wait for each other’s rows, only for their turn at the sequence', async () => {
    expect(await waits([note(1, [0, 10]), note(2, [20, 30])])).toEqual(['B < A'])
    const named = 'INSERT INTO notes (id, account_id, text) VALUES ($1, 1, $2)'
    expect(
      await waits([
        { session: 1, sql: named, parameters: ['1', 'x'], at: [0, 10] },
        { session: 2, sql: named, parameters: ['2', 'x'], at: [20, 30] },
      ]),
    ).toEqual([])
  })
})

describe('transactions', () => {
  const begin = (session: number, transaction: number, at: [number, number]): Line => ({
    session,
    sql: 'BEGIN',
    at,
    transaction,
  })
  const commit = (session: number, transaction: number, at: [number, number]): Line => ({
    session,
    sql: 'COMMIT',
    at,
    transaction,
  })

  test('writes become visible at COMMIT: a reader before it does not wait, the COMMIT waits for the reader', async () => {
    expect(
      await waits([
        begin(1, 1, [0, 1]),
        { ...write(1, '7', [2, 10]), transaction: 1 },
        read(2, '7', [20, 30]),
        commit(1, 1, [40, 50]),
        read(3, '7', [60, 70]),
      ]),
    ).toEqual(['D <snapshot C', 'E < D'])
  })
  test('a second writer that stood at a lock waits for the COMMIT that freed it', async () => {
    expect(
      await waits([
        begin(1, 1, [0, 1]),
        { ...write(1, '7', [2, 10]), transaction: 1 },
        write(2, '7', [20, 60]), // It stood at the lock until the COMMIT.
        commit(1, 1, [40, 50]),
      ]),
    ).toEqual(['C < D'])
  })
  test('a lock that was granted had been released, even when the COMMIT’s answer was seen later', async () => {
    expect(
      await waits([
        begin(1, 1, [0, 1]),
        { ...write(1, '7', [2, 10]), transaction: 1 },
        write(2, '7', [20, 42]),
        commit(1, 1, [40, 90]),
      ]),
    ).toEqual(['C < D'])
  })
  test('a DELETE that stood at a lock and then found nothing came after whoever held it', async () => {
    expect(
      await waits([
        begin(1, 1, [0, 1]),
        {
          session: 1,
          sql: 'DELETE FROM notes WHERE account_id = $1',
          parameters: ['7'],
          at: [2, 10],
          transaction: 1,
          tag: 'DELETE 2',
        },
        {
          session: 2,
          sql: 'DELETE FROM notes WHERE account_id = $1',
          parameters: ['7'],
          at: [20, 60],
          tag: 'DELETE 0',
        },
        commit(1, 1, [40, 50]),
      ]),
    ).toEqual(['C < D'])
  })
  test('a ROLLBACK makes nothing visible', async () => {
    expect(
      await waits([
        begin(1, 1, [0, 1]),
        { ...write(1, '7', [2, 10]), transaction: 1 },
        { session: 1, sql: 'ROLLBACK', at: [20, 30], transaction: 1 },
        read(2, '7', [40, 50]),
      ]),
    ).toEqual([])
  })
  test('what PostgreSQL refused in a failed transaction is ordered like the rest, because the replay need not fail there', async () => {
    expect(
      await waits([
        begin(1, 1, [0, 1]),
        { ...write(1, '7', [2, 10]), transaction: 1, sqlstate: '25P02' },
        write(2, '7', [20, 30]),
      ]),
    ).toEqual(['C < B'])
  })
  test('REPEATABLE READ reads as of its first statement', async () => {
    expect(
      await waits([
        { session: 1, sql: 'BEGIN ISOLATION LEVEL REPEATABLE READ', at: [0, 1], transaction: 1 },
        { ...read(1, '1', [2, 10]), transaction: 1 },
        write(2, '7', [20, 30]),
        { ...read(1, '7', [40, 50]), transaction: 1 },
        commit(1, 1, [60, 70]),
      ]),
    ).toEqual(['C <snapshot B'])
  })
})

describe('evidence beats the clock', () => {
  const kept = (sqlstate?: string): Line[] => [
    { session: 1, sql: 'BEGIN ISOLATION LEVEL REPEATABLE READ', at: [0, 1], transaction: 1 },
    { ...read(1, '7', [2, 30]), transaction: 1 },
    write(2, '7', [10, 40]),
    { ...write(1, '7', [50, 60]), transaction: 1, ...(sqlstate ? { sqlstate } : {}) },
    { session: 1, sql: sqlstate ? 'ROLLBACK' : 'COMMIT', at: [70, 80], transaction: 1 },
  ]
  test('a transaction that kept its snapshot and was not refused had seen the change before', async () => {
    expect(await waits(kept())).toContain('B < C')
  })
  test('one that was refused had not', async () => {
    expect(await waits(kept('40001'))).toContain('C <snapshot B')
  })
  test('a counter’s steps order its updates', async () => {
    const add = (session: number, after: string, at: [number, number]): Line => ({
      session,
      sql: ADD,
      parameters: ['7', '1'],
      at,
      tag: 'UPDATE 1',
      returned: { 'accounts.balance': [after] },
    })
    expect(await waits([add(1, '6', [0, 40]), add(2, '5', [10, 50])])).toEqual(['A < B'])
    expect(await waits([add(1, '5', [0, 40]), add(2, '6', [10, 50])])).toEqual(['B < A'])
  })
  test('a sequence’s values order its draws', async () => {
    const draw = (session: number, id: string, at: [number, number]): Line => ({
      ...note(session, at),
      returned: { 'notes.id': [id] },
    })
    expect(await waits([draw(1, '12', [0, 40]), draw(2, '11', [10, 50])])).toEqual(['A < B'])
  })
  test('a row that was returned had been committed, even when the clock would have it later', async () => {
    const made: Line = { ...note(1, [0, 40]), returned: { 'notes.id': ['5'] } }
    const got: Line = {
      session: 2,
      sql: 'SELECT id, text FROM notes ORDER BY id DESC LIMIT 1',
      at: [10, 50],
      returned: { 'notes.id': ['5'] },
    }
    expect(await waits([made, got])).toEqual(['B < A'])
    expect(await waits([made, { ...got, returned: { 'notes.id': ['4'] } }])).toEqual(['A <snapshot B'])
    // A key that was asked for says the same as one that came back.
    const asked = { session: 2, sql: 'SELECT text FROM notes WHERE id = $1', parameters: ['5'], at: [10, 50] } as const
    expect(await waits([made, { ...asked, tag: 'SELECT 1' }])).toEqual(['B < A'])
    expect(await waits([made, { ...asked, tag: 'SELECT 0' }])).toEqual(['A <snapshot B'])
  })
  test('so had one whose id nobody returned, once the sequence says which id that was', async () => {
    const lines: Line[] = [
      { ...note(1, [0, 5]), returned: { 'notes.id': ['5'] } },
      note(1, [10, 60]),
      { session: 2, sql: 'SELECT id FROM notes', at: [20, 70], tag: 'SELECT 2', returned: { 'notes.id': ['5', '6'] } },
    ]
    expect(await waits(lines)).toEqual(['C < B'])
    expect(
      await waits([...lines.slice(0, 2), { ...lines[2]!, tag: 'SELECT 1', returned: { 'notes.id': ['5'] } }]),
    ).toEqual(['B <snapshot C', 'C < A'])
  })
  test('a queue’s rows order its picks', async () => {
    const pick = (session: number, id: string, at: [number, number]): Line => ({
      session,
      sql: PICK,
      at,
      tag: 'SELECT 1',
      returned: { 'jobs.id': [id] },
    })
    expect(await waits([pick(1, '5', [0, 40]), pick(2, '4', [10, 60])])).toContain('A < B')
    expect(await waits([pick(1, '4', [0, 40]), pick(2, '5', [10, 60])])).toContain('B < A')
  })
  test.each([
    { name: 'a failed draw goes into the gap', values: [10, null, 12], done: [10, 30, 20], order: [0, 1, 2] },
    { name: 'without a gap it comes last', values: [10, null, 11], done: [10, 30, 20], order: [0, 2, 1] },
    { name: 'two gaps, two failures', values: [10, null, null, 13], done: [10, 50, 20, 40], order: [0, 2, 1, 3] },
    { name: 'without any value, the clock', values: [null, null], done: [20, 10], order: [1, 0] },
  ])('$name', ({ values, done, order }) => {
    expect(placed(values, done)).toEqual(order)
  })
})

describe('what touches everything', () => {
  test('waits for all before it, and all after wait for it', async () => {
    expect(
      await waits([
        write(1, '7', [0, 10]),
        { session: 2, sql: 'ALTER TABLE accounts ADD COLUMN x int', at: [20, 30] },
        read(3, '9', [40, 50]),
      ]),
    ).toEqual(['B < A', 'C < B'])
  })
  test('a barrier between a COMMIT’s sending and its effect does not wait for it, so nothing waits in a circle', async () => {
    const full = await plan([
      { session: 1, sql: 'BEGIN', at: [0, 1], transaction: 1 },
      { ...write(1, '7', [2, 10]), transaction: 1 },
      { session: 1, sql: 'COMMIT', at: [20, 100], transaction: 1 },
      { session: 2, sql: 'CREATE INDEX ON accounts (balance)', at: [21, 30] },
    ])
    expect(order(full)).not.toBeNull()
  })
  test('but not a temporary table', async () => {
    expect(
      await waits([
        write(1, '7', [0, 10]),
        { session: 2, sql: 'CREATE TEMP TABLE scratch (id int)', at: [20, 30] },
        { session: 2, sql: 'SELECT * FROM scratch', at: [31, 35] },
        { session: 2, sql: 'DROP TABLE scratch', at: [36, 39] },
        read(3, '9', [40, 50]),
      ]),
    ).toEqual([])
  })
})

test('races are called ambiguous, settled order is not', async () => {
  const race = await plan([write(1, '7', [0, 40]), read(2, '7', [10, 50])])
  expect([...race.ambiguous]).toEqual([0, 1])
  const settled = await plan([write(1, '7', [0, 40]), read(2, '7', [50, 60])])
  expect([...settled.ambiguous]).toEqual([0, 0])
})

describe('a race also is', () => {
  const raced = async (...lines: Line[]) => [...(await plan(lines)).ambiguous].join('')
  const own = (n: number, sql: string, at: Line['at'], more: Partial<Line> = {}): Line => ({
    session: n,
    sql,
    at,
    transaction: n,
    ...more,
  })

  test('what a cursor reads on that was opened in one, as long as it is that cursor', async () => {
    const lines = [
      write(1, '7', [0, 40]),
      own(2, 'DECLARE c CURSOR FOR SELECT * FROM accounts', [10, 50], { tag: 'DECLARE CURSOR' }),
      own(2, 'FETCH 5 FROM c', [60, 70], { tag: 'FETCH 5' }),
      own(2, 'FETCH 5 FROM other', [80, 90], { tag: 'FETCH 5' }),
    ]
    expect(await raced(...lines)).toBe('0110')
  })
  test('a portal that is executed again', async () => {
    const lines = [
      write(1, '7', [0, 40]),
      own(2, SUM, [10, 50], { frames: [['P', '', []], ['B', 'p', ''], ['E', 'p', 5], ['S']] }),
      own(2, SUM, [60, 70], { frames: [['E', 'p', 5], ['S']] }),
      own(2, SUM, [80, 90]),
    ]
    expect(await raced(...lines)).toBe('0110')
  })
  test('what a REPEATABLE READ transaction reads later, by the snapshot of its first', async () => {
    const lines = (isolation: string) => [
      write(1, '7', [20, 60]),
      own(2, `BEGIN ISOLATION LEVEL ${isolation}`, [0, 10]),
      own(2, SUM, [30, 70]),
      own(2, 'SELECT count(*) FROM accounts', [80, 90]),
    ]
    expect(await raced(...lines('REPEATABLE READ'))).toBe('0011')
    expect(await raced(...lines('READ COMMITTED'))).toBe('0010')
  })
  test('whether a row is held, when its lock is taken or let go of meanwhile', async () => {
    const nowait = (at: Line['at']): Line => ({
      session: 2,
      sql: 'SELECT balance FROM accounts WHERE id = $1 FOR UPDATE NOWAIT',
      at,
      parameters: ['7'],
      sqlstate: '55P03',
    })
    const holder = (end: Line['at']) => [
      own(1, 'BEGIN', [0, 5]),
      { ...write(1, '7', [6, 10]), transaction: 1 },
      own(1, 'COMMIT', end),
    ]
    expect(await raced(...holder([60, 70]), nowait([20, 50]))).toBe('0000')
    expect(await raced(...holder([40, 70]), nowait([20, 50]))).toBe('0010')
  })
  test('the order of times that defaults wrote in transactions which began side by side', async () => {
    const event = (n: number, at: Line['at']): Line => ({
      session: n,
      sql: 'INSERT INTO events (kind) VALUES ($1)',
      at,
      parameters: ['a'],
    })
    const look = (sql: string, at: Line['at']): Line => ({ session: 3, sql, at })
    const looks = [
      look('SELECT kind, at FROM events ORDER BY at DESC LIMIT 1', [100, 110]),
      look('SELECT kind, at FROM events', [120, 130]),
      look('SELECT balance FROM accounts WHERE id = 7', [140, 150]),
    ]
    expect(await raced(event(1, [0, 40]), event(2, [10, 50]), ...looks)).toBe('00200')
    expect(await raced(event(1, [0, 40]), event(2, [50, 60]), ...looks)).toBe('00000')
  })
})

test('any recording: every wait leads backwards, every conflict is ordered, nothing waits in a circle', async () => {
  const line = fc.record({
    session: fc.integer({ min: 1, max: 5 }),
    row: fc.integer({ min: 1, max: 3 }),
    kind: fc.constantFrom('read', 'write', 'sum', 'note', 'add'),
    gap: fc.integer({ min: 0, max: 20 }),
    takes: fc.integer({ min: 1, max: 60 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 2, maxLength: 60 }), async (drafts) => {
      const full = await plan(timed(drafts))
      expect(order(full)).not.toBeNull()
      const { gathered, points } = full
      const reached = closure(full)
      for (let a = 0; a < gathered.count; a += 1) {
        for (let b = 0; b < gathered.count; b += 1) {
          if (gathered.session[a] === gathered.session[b] || !conflict(drafts, full, a, b)) continue
          if (points.statement[a]! < points.statement[b]!) expect(reached[b]!.has(a), `${b} after ${a}`).toBe(true)
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('a sequence’s position at the start of the recording opens the gap before the first value', () => {
  // The failed draw was answered last; only the position says that there is room for it before 11.
  expect(placed([11, null], [20, 30])).toEqual([0, 1])
  expect(placed([11, null], [20, 30], { next: 10, increment: 1 })).toEqual([1, 0])
  expect(placed([11, null], [20, 30], { next: 11, increment: 1 })).toEqual([0, 1])
  expect(placed([16, null], [20, 30], { next: 6, increment: 10 })).toEqual([1, 0])
  expect(placed([-11, null], [20, 30], { next: -10, increment: -1 })).toEqual([1, 0])
})

test('a value that somebody got before its drawer committed was drawn by another', () => {
  // 0 and 3 said 10 and 13. 1 answered before 2, but committed only after 4 had got the row 11.
  const draws: Draw[] = [10, null, null, 13].map((value, statement) => ({ statement, value, count: 1 }))
  const at = {
    sentUs: Float64Array.of(0, 10, 10, 30, 60, 200),
    doneUs: Float64Array.of(5, 20, 25, 40, 70, 210),
    transaction: Int32Array.of(0, 1, 2, 3, 4, 1),
    transactions: { last: Int32Array.of(0, 5, 2, 3, 4), committed: Uint8Array.of(1, 1, 1, 1, 1) },
  }
  const order = (readersOf: DrawContext['readersOf']) =>
    placeDraws(draws, { ...at, readersOf }).order.map((d) => d.statement)
  expect(order(() => [])).toEqual([0, 1, 2, 3])
  expect(order((value) => (value === 11 ? [4] : []))).toEqual([0, 2, 1, 3])
})

test('hundreds of thousands of draws that nobody names are placed like a few', () => {
  const done = Array.from({ length: 300_000 }, (_, n) => n)
  const unknown = done.map(() => null)
  expect(placed(unknown, done)).toEqual(done)
  expect(placed([...unknown.slice(1), done.length], done, { next: 1, increment: 1 })).toEqual(done)
})

function placed(values: readonly (number | null)[], done: readonly number[], position?: SequencePosition): number[] {
  const draws = values.map((value, statement): Draw => ({ statement, value, count: 1 }))
  const each = Int32Array.from(done, (_, i) => i)
  const at: DrawContext = {
    sentUs: Float64Array.from(done, () => 0),
    doneUs: Float64Array.from(done),
    transaction: each,
    transactions: { last: each, committed: Uint8Array.from(done, () => 1) },
    readersOf: () => [],
  }
  return placeDraws(draws, at, position).order.map((draw) => draw.statement)
}

function read(session: number, id: string, at: [number, number]): Line {
  return { session, sql: READ, parameters: [id], at }
}
function write(session: number, id: string, at: [number, number]): Line {
  return { session, sql: WRITE, parameters: [id, '1'], at }
}
function note(session: number, at: [number, number]): Line {
  return { session, sql: NOTE, parameters: ['1', 'x'], at }
}

function plan(lines: readonly Line[]): Promise<PlanInFull> {
  return buildPlan(script(lines))
}

type Draft = { session: number; row: number; kind: string; gap: number; takes: number }

/** Sessions run side by side; each sends its next statement when the one before is answered. */
function timed(drafts: readonly Draft[]): Line[] {
  const free = new Map<number, number>()
  let seq = 0
  return drafts.map((draft) => {
    seq += 1
    const sent = (free.get(draft.session) ?? 0) + draft.gap + seq / 1000
    const at: [number, number] = [sent, sent + draft.takes]
    free.set(draft.session, at[1] + 0.001)
    const id = String(draft.row)
    if (draft.kind === 'read') return read(draft.session, id, at)
    if (draft.kind === 'write') return write(draft.session, id, at)
    if (draft.kind === 'note') return note(draft.session, at)
    if (draft.kind === 'add') return { session: draft.session, sql: ADD, parameters: [id, '1'], at, tag: 'UPDATE 1' }
    return { session: draft.session, sql: SUM, at }
  })
}

function conflict(_: readonly Draft[], { gathered: g }: PlanInFull, a: number, b: number): boolean {
  const operations = (i: number) =>
    [...g.opKind.slice(g.opStart[i], g.opStart[i + 1])].map((kind, k) => ({
      kind,
      set: g.opSet[g.opStart[i]! + k]!,
      member: g.opMember[g.opStart[i]! + k]!,
    }))
  return operations(a).some((x) =>
    operations(b).some((y) => {
      if (x.set !== y.set || (x.member !== y.member && x.member !== -1 && y.member !== -1)) return false
      const [low, high] = [Math.min(x.kind, y.kind), Math.max(x.kind, y.kind)]
      if (low === 7 || (high === 7 && low !== 7)) return x.kind === y.kind
      if (low === 0) return high === 2 || high === 3 || high === 5
      return low === 2 || low === 3 ? high !== 5 : false
    }),
  )
}

/** Everything that comes before each statement, by waits and by session order. */
function closure(full: PlanInFull): Set<number>[] {
  const before: Set<number>[] = []
  for (const i of order(full)!) {
    const set = new Set<number>()
    for (const on of direct(full, i)) {
      set.add(on)
      for (const further of before[on]!) set.add(further)
    }
    before[i] = set
  }
  return before
}

function direct({ gathered: g, waits: w }: PlanInFull, i: number): number[] {
  const on = [...w.on.slice(w.start[i], w.start[i + 1])]
  for (let k = i - 1; k >= 0; k -= 1) if (g.session[k] === g.session[i]) return [...on, k]
  return on
}

/** An order in which everything can run; null when there is a circle. */
function order(full: PlanInFull): number[] | null {
  const done = new Set<number>()
  const sequence: number[] = []
  for (let moved = true; moved; ) {
    moved = false
    for (let i = 0; i < full.gathered.count; i += 1) {
      if (done.has(i) || !direct(full, i).every((on) => done.has(on))) continue
      done.add(i)
      sequence.push(i)
      moved = true
    }
  }
  return sequence.length === full.gathered.count ? sequence : null
}
