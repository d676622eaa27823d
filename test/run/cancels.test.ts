/** Cancel requests are replayed: a statement that production cancelled is cancelled, and nothing else is. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cancelsOf } from '../../replayer/run/cancels.js'
import type { Script } from '../../replayer/run/job.js'
import { balances } from '../../segment/ledger.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { replayTape } from './support.js'
import { NOTHING_CAME, simple, Tape, unnamed } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase('CREATE TABLE item (id int PRIMARY KEY)', 'INSERT INTO item VALUES (1)')
})
afterAll(() => database.drop())

const CANCELED = { ...NOTHING_CAME, error: { sqlstate: '57014', message: 'canceling statement due to user request' } }

test.each([{ speed: 'max' as const }, { speed: 1 }, { speed: 20 }])('at speed $speed', async ({ speed }) => {
  const sentUs = 2_000_000
  const tape = new Tape()
    .send(1, simple('SELECT 1'))
    .send(1, { ...unnamed('SELECT pg_sleep(600)'), sentUs, doneUs: sentUs + 80_000, outcome: CANCELED })
    .event({ session: 1, atUs: sentUs + 60_000, kind: 'cancel', detail: {} })
    .send(1, { ...simple('SELECT 2'), sentUs: sentUs + 100_000 })
    .send(2, simple('SELECT 3'))
  const { rows, facts } = await replayTape(tape, database.url, { speed })
  expect(rows.map(({ outcome }) => outcome.error?.sqlstate ?? outcome.tag)).toEqual([
    'SELECT 1',
    '57014',
    'SELECT 1',
    'SELECT 1',
  ])
  expect(rows[1]!.timing.doneUs - rows[1]!.timing.sentUs).toBeGreaterThanOrEqual(59_000)
  expect(facts.cancelRequests).toBe(1)
  expect(balances(facts.ledger)).toBe(true)
})

test('who waits for a lock that nobody will release goes on when production cancelled it', async () => {
  const sentUs = 1_010_000
  const tape = new Tape()
    .send(1, { ...simple('BEGIN'), transaction: 70 })
    .send(1, { ...simple('SELECT id FROM item WHERE id = 1 FOR UPDATE'), transaction: 70 })
    .send(2, { ...simple('DELETE FROM item WHERE id = 1'), sentUs, doneUs: sentUs + 50_000, outcome: CANCELED })
    .event({ session: 2, atUs: sentUs + 40_000, kind: 'cancel', detail: {} })
    .send(1, { ...simple('COMMIT'), transaction: 70 })
  const waits = [
    { of: 3, for: 2 },
    { of: 4, for: 3 },
  ]
  const { rows, facts } = await replayTape(tape, database.url, { waits })
  expect(rows.map(({ outcome }) => outcome.error?.sqlstate ?? outcome.tag)).toEqual([
    'BEGIN',
    'SELECT 1',
    '57014',
    'COMMIT',
  ])
  expect(facts.orderRelaxed).toBe(0)
})

test('a request that came too late to end anything is not sent', () => {
  const script = (seq: number, session: number) => ({ seq, session, sentUs: 1000, doneUs: 2000 }) as Script
  const event = (session: number, atUs: number) => ({ session, atUs, kind: 'cancel', detail: {} }) as const
  const cancels = cancelsOf([event(1, 1500), event(2, 1500), event(3, 2500)], (seq) =>
    seq === 1 ? CANCELED : NOTHING_CAME,
  )!
  expect([cancels(script(1, 1)), cancels(script(2, 2)), cancels(script(1, 3)), cancels(script(1, 4))]).toEqual([
    500, -1, -1, -1,
  ])
  expect(cancelsOf([{ ...event(1, 1500), kind: 'notice' }], () => CANCELED)).toBeUndefined()
})
