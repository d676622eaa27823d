/** Fewer connections than sessions: who may share, that nobody notices, and that it never stands still. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReplayOptions } from '../../replayer/run/replay.js'
import { planSharing } from '../../replayer/run/sharing.js'
import { findReleases, type Parked } from '../../replayer/run/watchdog.js'
import { balances } from '../../segment/ledger.js'
import type { Frame, SafeSql, Session } from '../../segment/statement.js'
import { loadParser } from '../../sql/parse.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { replayTape, type Wait } from './support.js'
import { execute, prepare, simple, Tape, unnamed } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  await loadParser()
  database = await createDatabase('CREATE TABLE item (id int PRIMARY KEY)', 'INSERT INTO item VALUES (1), (2)')
})
afterAll(() => database.drop())

const shared = (tape: Tape, options: Partial<ReplayOptions> & { waits?: readonly Wait[] }) =>
  replayTape(tape, database.url, options)

describe('on a real server', () => {
  /** Each session: three transactions of three statements, each of which says who served it. */
  function manySessions(sessions: number): Tape {
    const tape = new Tape()
    let transaction = 5000
    for (let turn = 0; turn < 3; turn++) {
      for (let session = 1; session <= sessions; session++) {
        transaction += 1
        tape.send(session, { ...simple('BEGIN'), transaction })
        tape.send(session, { ...unnamed('SELECT pg_backend_pid()'), transaction })
        tape.send(session, { ...simple('SELECT pg_backend_pid()'), transaction })
        tape.send(session, { ...simple('COMMIT'), transaction })
      }
    }
    return tape
  }

  test.each([
    { workers: 1, maxConnections: 1 },
    { workers: 2, maxConnections: 3 },
    { workers: 4, maxConnections: 2 },
  ])('twelve sessions over $maxConnections connections, $workers workers', async ({ workers, maxConnections }) => {
    const { rows, facts } = await shared(manySessions(12), { workers, maxConnections })
    expect(rows).toHaveLength(144)
    expect(rows.every(({ outcome }) => outcome.error === null)).toBe(true)
    const pids = rows.flatMap(({ outcome }) => outcome.rows?.flat() ?? [])
    expect(new Set(pids).size).toBeLessThanOrEqual(maxConnections)
    // A transaction stays where it began.
    for (let i = 0; i < pids.length; i += 2) expect(pids[i]).toBe(pids[i + 1])
    expect(facts.settings.connections).toEqual({ max: maxConnections, shared: maxConnections, sharing: 12, alone: 0 })
    expect(facts.orderRelaxed).toBe(0)
    expect(balances(facts.ledger)).toBe(true)
  })

  test('what is set or prepared in a session is nowhere else', async () => {
    const tape = new Tape().send(1, simple("SET DateStyle = 'German'")).send(2, prepare('s', 'SELECT 7'))
    for (let session = 1; session <= 6; session++) tape.send(session, simple("SELECT date '2024-02-01'"))
    tape.send(2, execute('s', 'SELECT 7'))
    const { rows, facts } = await shared(tape, { maxConnections: 3, workers: 1 })
    expect(rows.map(({ outcome }) => outcome.rows?.[0]?.[0] ?? outcome.tag)).toEqual([
      'SET',
      '',
      '01.02.2024',
      ...new Array(5).fill('2024-02-01'),
      '7',
    ])
    expect(facts.settings.connections).toEqual({ max: 3, shared: 1, sharing: 4, alone: 2 })
  })

  test('too few for those that cannot share is refused', async () => {
    const tape = new Tape()
      .send(1, simple("SET DateStyle = 'German'"))
      .send(2, simple('LISTEN x'))
      .send(3, simple('SELECT 1'))
    await expect(shared(tape, { maxConnections: 2 })).rejects.toMatchObject({
      code: 'TOO_FEW_CONNECTIONS',
      hint: expect.stringContaining('Allow 3 or more'),
    })
  })

  test('who waits by plan for somebody who waits for its connection goes on, and that is counted', async () => {
    const tape = new Tape()
      .send(1, { ...simple('BEGIN'), transaction: 70 })
      .send(2, simple('SELECT 2'))
      .send(1, { ...simple('SELECT 1'), transaction: 70 })
      .send(1, { ...simple('COMMIT'), transaction: 70 })
    const waits = [
      { of: 2, for: 1 },
      { of: 3, for: 2 },
    ]
    const { rows, facts } = await shared(tape, { waits, maxConnections: 1, workers: 1 })
    expect(rows).toHaveLength(4)
    expect(facts.orderRelaxed).toBe(1)
    expect((await shared(tape, { waits, maxConnections: 2, workers: 1 })).facts.orderRelaxed).toBe(0)
  })

  test('a shared connection that is lost costs what was in flight on it', async () => {
    const tape = new Tape()
      .send(1, { ...simple('BEGIN'), transaction: 70 })
      .send(1, { ...simple('SELECT pg_terminate_backend(pg_backend_pid())'), transaction: 70 })
      .send(1, { ...simple('COMMIT'), transaction: 70 })
      .send(1, simple('SELECT 1'))
    for (let session = 2; session <= 5; session++) tape.send(session, simple('SELECT 2'))
    const { rows, facts } = await shared(tape, { maxConnections: 1, workers: 1 })
    expect(rows.map(({ seq, outcome }) => [seq, outcome.error?.sqlstate ?? outcome.tag])).toEqual([
      [1, 'BEGIN'],
      [2, '57P01'],
      [4, 'SELECT 1'],
      ...[5, 6, 7, 8].map((seq) => [seq, 'SELECT 1']),
    ])
    expect(facts.ledger.lost).toEqual({ connection: { statements: 1, transactions: 1 } })
    expect(balances(facts.ledger)).toBe(true)
  })

  test('a session that ends inside a transaction leaves nothing of it to the next', async () => {
    const tape = new Tape()
      .send(1, { ...simple('BEGIN'), transaction: 70 })
      .send(1, { ...simple('DELETE FROM item'), transaction: 70 })
      .send(2, simple('SELECT count(*) FROM item'))
    const { rows } = await shared(tape, { maxConnections: 1, workers: 1, waits: [{ of: 3, for: 2 }] })
    expect(rows[2]!.outcome.rows).toEqual([['2']])
  })

  test('a server that lets nobody in: the sessions are lost, the replay ends', async () => {
    const tape = new Tape()
    for (let session = 1; session <= 3; session++)
      tape.session(session, { parameters: { no_such_setting: '1' } }).send(session, simple('SELECT 1'))
    const { rows, facts } = await shared(tape, { maxConnections: 2 })
    expect(rows).toEqual([])
    expect(facts.ledger.lost).toEqual({ connection: { statements: 3, transactions: 3 } })
  })
})

describe('who may share', () => {
  const sessions = [1, 2].map(
    (session): Session => ({
      session,
      backendPid: session,
      database: '',
      user: '',
      application: '',
      parameters: {},
      connectedUs: 0,
      prologue: [],
    }),
  )
  const alone = (...sent: { sql: string; frames?: Frame[] }[]) => {
    const scripts = sent.map(({ sql, frames = [['Q']] }) => ({ session: 1, sql: sql as SafeSql, frames }))
    return planSharing({ sessions, scripts, sends: () => true }, 4, 1).alone.length === 1
  }
  const byParse: Frame[] = [['P', '', []], ['B', '', ''], ['E', '', 0], ['S']]

  test.each([
    { name: 'plain statements', sent: [{ sql: 'SELECT 1' }, { sql: 'UPDATE item SET id = 1' }], own: false },
    {
      name: 'transactions and savepoints',
      sent: [{ sql: 'BEGIN' }, { sql: 'SAVEPOINT a' }, { sql: 'COMMIT' }],
      own: false,
    },
    { name: 'SET TRANSACTION', sent: [{ sql: 'SET TRANSACTION READ ONLY' }], own: false },
    { name: 'an unnamed statement', sent: [{ sql: 'SELECT 1', frames: byParse }], own: false },
    {
      name: 'an unnamed statement that is bound again after its Sync',
      sent: [
        { sql: 'SELECT 1', frames: byParse },
        { sql: 'SELECT 1', frames: [['B', '', ''], ['E', '', 0], ['S']] as Frame[] },
      ],
      own: true,
    },
    { name: 'a named statement', sent: [{ sql: 'SELECT 1', frames: [['P', 's', []], ['S']] as Frame[] }], own: true },
    { name: 'SET', sent: [{ sql: 'SET work_mem = 1000' }], own: true },
    {
      name: 'a setting in the middle of a message',
      sent: [{ sql: "SELECT 1; SELECT set_config('a.b', '1', false)" }],
      own: true,
    },
    { name: 'temporary tables', sent: [{ sql: 'CREATE TEMP TABLE t (i int)' }], own: true },
    { name: 'lastval()', sent: [{ sql: 'SELECT lastval()' }], own: true },
    { name: 'an advisory lock of the session', sent: [{ sql: 'SELECT pg_advisory_lock(1)' }], own: true },
    { name: 'an advisory lock of the transaction', sent: [{ sql: 'SELECT pg_advisory_xact_lock(1)' }], own: false },
  ])('$name: alone $own', ({ sent, own }) => expect(alone(...sent)).toBe(own))
})

describe('standstills', () => {
  const parked = (session: number, on: number): Parked => ({ session, ordinal: 2, index: session, on, onOrdinal: 1 })

  test('no circle while one of those that have a connection can go on', () => {
    // 1 waits by plan for 3, which waits for a connection; 2 has one too, and is at work.
    const queued = [{ session: 3, holders: [1, 2] }]
    expect(findReleases([parked(1, 3)], [], queued)).toEqual([])
  })

  test('a circle when none can: each waits for somebody who waits for a connection', () => {
    const queued = [
      { session: 3, holders: [1, 2] },
      { session: 4, holders: [1, 2] },
    ]
    const releases = findReleases([parked(1, 3), parked(2, 4)], [], queued)
    expect(releases.map(({ session }) => session)).toEqual([1])
  })
})
