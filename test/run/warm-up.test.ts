/** Before the clock starts, harmless statements go the whole way, and nothing is kept of them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SessionHost } from '../../replayer/run/live-session.js'
import { warmUp, warmUpStatements } from '../../replayer/run/warm-up.js'
import { balances } from '../../segment/ledger.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { replayTape } from './support.js'
import { simple, Tape } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase('CREATE TABLE once (id int PRIMARY KEY)')
})
afterAll(() => database.drop())

/** Of a worker, as far as it is asked. */
function hostOf(url: string): SessionHost {
  return {
    connectOptions: { url, timeoutMs: 5000, parameters: {} },
    otherUrl: url,
    defaults: { application_name: 'warming up' },
  } as unknown as SessionHost
}

test('the server is sent as many statements as asked for, over one connection that is closed again', async () => {
  await database.query('SELECT pg_stat_reset()')
  await warmUp(hostOf(database.url), 500)
  const { rows } = await database.query(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'warming up'`,
  )
  expect(rows).toEqual([{ n: 0 }])
  // The backend tells its numbers when it ends, and it has ended.
  const counted = await database.query(
    `SELECT xact_commit + xact_rollback >= 500 AS enough, xact_rollback::int AS failed, sessions::int
       FROM pg_stat_database WHERE datname = current_database()`,
  )
  expect(counted.rows).toEqual([{ enough: true, failed: 0, sessions: 1 }])
})

test('a server that lets nobody in is left to the sessions to tell of', async () => {
  await expect(warmUp(hostOf('postgres://nobody@127.0.0.1:1/none'), 300)).resolves.toBeUndefined()
})

test('a long recording is warmed up more than a short one, and a very short one not at all', () => {
  expect([0, 19, 20, 2000, 1_000_000].map(warmUpStatements)).toEqual([0, 0, 1, 100, 3000])
})

test('the run tells of recorded statements alone', async () => {
  const tape = new Tape()
  for (let i = 0; i < 400; i++) tape.send(1 + (i % 4), simple(`INSERT INTO once VALUES (${i})`))
  const { rows, facts } = await replayTape(tape, database.url)
  expect(rows).toHaveLength(400)
  expect(rows.every(({ outcome }) => outcome.tag === 'INSERT 0 1')).toBe(true)
  expect(facts.ledger.kept).toEqual({ statements: 400, transactions: 400 })
  expect(balances(facts.ledger)).toBe(true)
  expect(facts.latency!.service.count).toBe(400)
  expect(facts.incidents ?? []).toEqual([])
})
