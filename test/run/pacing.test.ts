/** How a replay keeps time on a real server: ramps, pauses to think, several passes. What is due is compared, never how long it took. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bottleneckOf } from '../../replayer/run/bottleneck.js'
import { ramped } from '../../replayer/run/pace.js'
import { balances } from '../../segment/ledger.js'
import type { LatencyFacts } from '../../segment/run.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { replayTape } from './support.js'
import { simple, Tape } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase('CREATE TABLE once (id int PRIMARY KEY)')
})
afterAll(() => database.drop())

describe('a ramp', () => {
  test('stretches the beginning of the schedule, and shifts the rest', async () => {
    const tape = new Tape()
    for (let i = 0; i < 40; i++) tape.send(1 + (i % 4), { ...simple('SELECT 1'), sentUs: 5_000_000 + i * 20_000 })
    const { rows, facts } = await replayTape(tape, database.url, { speed: 2, rampMs: 200 })
    expect(rows.map(({ timing }) => timing.dueUs)).toEqual(rows.map((_, i) => Math.round(ramped(i * 10_000, 200_000))))
    expect(rows.every(({ timing }) => timing.sentUs >= timing.dueUs)).toBe(true)
    expect(facts.settings).toMatchObject({ speed: 2, rampMs: 200 })
  })

  test('without a schedule, sessions begin one after the other', async () => {
    const tape = new Tape()
    for (let i = 0; i < 12; i++) tape.send(1 + (i % 4), simple('SELECT 1'))
    const { rows } = await replayTape(tape, database.url, { speed: 'max', rampMs: 400 })
    rows.forEach(({ timing }, i) => {
      expect(timing.sentUs).toBeGreaterThanOrEqual((i % 4) * 100_000)
    })
  })
})

describe('thinking', () => {
  /** One session; answers took 100 ms in production, then it thought for 200 ms. */
  const thoughtful = () => {
    const tape = new Tape()
    for (let i = 0; i < 4; i++)
      tape.send(1, {
        ...simple('SELECT pg_sleep(0.05)'),
        sentUs: 1_000_000 + i * 300_000,
        doneUs: 1_100_000 + i * 300_000,
      })
    return tape
  }

  test.each([
    { name: 'twice as long, at twice the speed', think: 2, speed: 2, pauseUs: 200_000 },
    { name: 'half as long', think: 0.5, speed: 1, pauseUs: 100_000 },
    { name: 'not at all', think: 0, speed: 1, pauseUs: 0 },
  ])('$name: the pause follows the answer, however long that took', async ({ think, speed, pauseUs }) => {
    const { rows, facts } = await replayTape(thoughtful(), database.url, { speed, think })
    rows.slice(1).forEach(({ timing }, i) => {
      const pause = timing.dueUs - rows[i]!.timing.doneUs
      // The answer's time is taken a moment before its session is told.
      expect(pause).toBeGreaterThanOrEqual(pauseUs - 1)
      expect(pause).toBeLessThan(pauseUs + 50_000)
    })
    expect(facts.settings.think).toBe(think)
  })
})

describe('several passes', () => {
  const tape = () =>
    new Tape()
      .send(1, simple('INSERT INTO once VALUES (1)'))
      .send(2, simple('SELECT 1'))
      .send(1, { ...simple('SELECT 2'), unreplayable: 'cannot tokenize box' })

  test('everything is counted in each, outcomes are kept of the first', async () => {
    const { rows, facts } = await replayTape(tape(), database.url, { loop: 3 })
    expect(rows.map(({ outcome }) => outcome.error?.sqlstate ?? outcome.tag)).toEqual(['INSERT 0 1', 'SELECT 1'])
    expect(facts.ledger).toMatchObject({
      seen: { statements: 9, transactions: 9 },
      kept: { statements: 6, transactions: 6 },
      skipped: { 'unreplayable: cannot tokenize box': { statements: 3, transactions: 3 } },
    })
    expect(balances(facts.ledger)).toBe(true)
    expect(facts.passes!.map(({ pass, statements, errors }) => [pass, statements, errors])).toEqual([
      [1, 2, {}],
      [2, 2, { 23505: 1 }],
      [3, 2, { 23505: 1 }],
    ])
    expect(facts.latency!.service.count).toBe(6)
  })

  test('stopped in the first: the others are lost, and counted', async () => {
    const stop = new AbortController()
    const longer = tape().pause(600_000_000).send(2, simple('SELECT 3'))
    const { facts } = await replayTape(longer, database.url, {
      speed: 1,
      loop: 5,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done === 3) stop.abort()
      },
    })
    expect(facts.ledger).toMatchObject({
      seen: { statements: 20, transactions: 20 },
      kept: { statements: 2, transactions: 2 },
      lost: { interrupted: { statements: 17, transactions: 17 } },
    })
    expect(balances(facts.ledger)).toBe(true)
  })
})

test('lateness has its causes, and times merge into one distribution', async () => {
  const tape = new Tape()
    .send(1, { ...simple('SELECT pg_sleep(0.3)'), sentUs: 1_000_000 })
    .send(1, { ...simple('SELECT 1'), sentUs: 1_001_000 })
    .send(2, { ...simple('SELECT 2'), sentUs: 1_002_000 })
  // The second waits for its session's own answer: the server. The third for the second: order.
  const { facts } = await replayTape(tape, database.url, { speed: 1, waits: [{ of: 3, for: 2 }] })
  const { latenessUs, service, response, lateness } = facts.latency!
  expect(latenessUs.server).toBeGreaterThan(250_000)
  expect(latenessUs.order).toBeGreaterThan(250_000)
  expect(latenessUs.connection).toBe(0)
  expect([service.count, response.count, lateness.count]).toEqual([3, 3, 3])
  // A statement that goes out late because the one before was slow was slow for whoever waited for it.
  expect(response.p50Us).toBeGreaterThan(250_000)
  expect(service.p50Us).toBeLessThan(250_000)
})

describe('the harness as the bottleneck', () => {
  const latency = (p99Us: number, worker: number, server: number) =>
    ({ lateness: { p99Us }, latenessUs: { order: 0, connection: 0, server, worker } }) as LatencyFacts

  test.each([
    { name: 'nothing was late', utilisation: 0.5, facts: latency(500, 900, 100), said: null },
    { name: 'late, by the server', utilisation: 0.5, facts: latency(90_000, 100, 900), said: null },
    { name: 'late, mostly by ourselves', utilisation: 0.5, facts: latency(90_000, 900, 100), said: /90 ms .* 90 %/ },
    { name: 'a worker without a pause', utilisation: 0.995, facts: latency(0, 0, 0), said: /busy 100 %/ },
    { name: 'nothing was measured', utilisation: 0, facts: null, said: null },
  ])('$name', ({ utilisation, facts, said }) => {
    const found = bottleneckOf(utilisation, facts)
    if (said === null) expect(found).toBeNull()
    else expect(found).toMatch(said)
  })
})
