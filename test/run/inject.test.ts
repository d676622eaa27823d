/** A migration under load: when it runs, what is seen of it, and what it does to the replay around it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { injectionLines } from '../../cli/injection-lines.js'
import { prepareInjection } from '../../replayer/run/inject/injector.js'
import { latencyAround } from '../../replayer/run/inject/latency-around.js'
import { parseInjection } from '../../replayer/run/inject/moment.js'
import { type SeenWait, Sightings } from '../../replayer/run/inject/sightings.js'
import type { ReplayOptions } from '../../replayer/run/replay.js'
import { balances } from '../../segment/ledger.js'
import type { Injection } from '../../segment/run.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Replayed, replayTape, type Wait } from './support.js'
import { simple, Tape } from './tape.js'

let database: TestDatabase
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgr-inject-'))
  database = await createDatabase(
    'CREATE TABLE item (id int PRIMARY KEY, name text)',
    "INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 300) i",
  )
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await database.drop()
})

let files = 0
function file(sql: string): string {
  const path = join(folder, `V${++files}.sql`)
  writeFileSync(path, sql)
  return path
}

async function injected(
  tape: Tape,
  injections: readonly string[],
  options: Partial<ReplayOptions> & { waits?: readonly Wait[] } = {},
): Promise<Replayed & { injections: readonly Injection[] }> {
  const prepared = await Promise.all(injections.map((text) => prepareInjection(parseInjection(text))))
  const replayed = await replayTape(tape, database.url, { ...options, injections: prepared })
  return { ...replayed, injections: replayed.facts.injections! }
}

/** Sessions that read the table by turns, fifty times a second each, for so many milliseconds. */
function readers(ms: number): Tape {
  const tape = new Tape()
  for (let at = 0; at < ms; at += 10)
    tape.send(1 + ((at / 10) % 2), { ...simple('SELECT name FROM item WHERE id = 1'), sentUs: 1_000_000 + at * 1000 })
  return tape
}

const LOCKED = (seconds: number) => `-- a comment first
BEGIN;
LOCK TABLE item IN ACCESS EXCLUSIVE MODE;
SELECT pg_sleep(${seconds});
COMMIT;`

describe('on a real server', () => {
  test('its duration, its locks, whom it held up, and the latency around it', async () => {
    const { injections, facts, rows } = await injected(readers(2000), [`500ms:${file(LOCKED(0.6))}`], { speed: 1 })
    const [one] = injections
    expect(one).toMatchObject({ at: '500ms', outcome: 'done', error: null })
    expect(one!.endedUs! - one!.startedUs!).toBeGreaterThan(600_000)
    expect(one!.startedUs).toBeGreaterThanOrEqual(499_000)
    expect(one!.statements.map(({ line, kind }) => [line, kind])).toEqual([
      [2, 'TransactionStmt'],
      [3, 'LockStmt'],
      [4, 'SelectStmt'],
      [5, 'TransactionStmt'],
    ])
    const lock = one!.locks.find(({ mode }) => mode === 'AccessExclusiveLock')
    expect(lock).toMatchObject({ relation: 'public.item' })
    expect(lock!.seenUs).toBeGreaterThan(300_000)
    expect(one!.heldUp.map(({ session }) => session).sort()).toEqual([1, 2])
    expect(one!.heldUp.every(({ longestUs }) => longestUs > 300_000)).toBe(true)
    const { before, during, after } = one!.latency!
    expect(during.maxUs).toBeGreaterThan(300_000)
    expect(during.maxUs).toBeGreaterThan(before.p50Us)
    expect(before.statements).toBeGreaterThan(0)
    expect(after.statements).toBeGreaterThan(0)
    expect(before.statements + during.statements + after.statements).toBe(rows.length)
    expect(rows.every(({ outcome }) => outcome.error === null)).toBe(true)
    expect(balances(facts.ledger)).toBe(true)
    expect(injectionLines(one!).join('\n')).toMatch(
      /held AccessExclusiveLock on public\.item[\s\S]*it held up 2 sessions/,
    )
  })

  test('a share of the statements and a statement are moments too, each exactly', async () => {
    const tape = new Tape()
    for (let i = 0; i < 400; i++) tape.send(1 + (i % 4), simple('SELECT 1'))
    const waits = Array.from({ length: 399 }, (_, i) => ({ of: i + 2, for: i + 1 }))
    const { injections, rows } = await injected(tape, [`50%:${file('SELECT 1')}`, `#300:${file('SELECT 1')}`], {
      waits,
    })
    const begun = new Map(injections.map(({ at, startedUs }) => [at, startedUs!]))
    // Rounded to a microsecond, on the clocks of two threads.
    expect(begun.get('50%')!).toBeGreaterThan(rows[199]!.timing.sentUs)
    expect(begun.get('#300')!).toBeGreaterThan(rows[299]!.timing.sentUs)
    expect(injections.map(({ outcome }) => outcome)).toEqual(['done', 'done'])
  })

  test('what fails is told and ends nothing', async () => {
    const sql = 'CREATE TABLE made (i int);\n\nALTER TABLE nowhere ADD COLUMN x int;\nDROP TABLE item;'
    const { injections, facts, rows } = await injected(readers(300), [`0%:${file(sql)}`], { speed: 1 })
    expect(injections[0]).toMatchObject({
      outcome: 'failed',
      error: { sqlstate: '42P01', line: 3, message: expect.stringContaining('nowhere') },
    })
    expect(facts.incidents.map(({ kind }) => kind)).toContain('injection failed')
    expect(rows).toHaveLength(30)
    const { rows: made } = await database.query("SELECT to_regclass('made') IS NOT NULL AS made")
    expect(made).toEqual([{ made: true }])
    expect(injectionLines(injections[0]!)[0]).toContain('failed at line 3')
  })

  test('unless it was to succeed: then the replay stops, and says why', async () => {
    const tape = readers(300).pause(600_000_000).send(1, simple('SELECT 1'))
    const { facts } = await injected(tape, [`100ms:${file('SELECT 1/0')}`], { speed: 1, injectionsMustSucceed: true })
    expect(facts.ledger.lost.interrupted!.statements).toBeGreaterThanOrEqual(1)
    expect(balances(facts.ledger)).toBe(true)
    expect(facts.incidents).toContainEqual(
      expect.objectContaining({ kind: 'interrupted', detail: 'what was injected failed' }),
    )
  })

  test('a command finds the database, and its backends are watched', async () => {
    const script = join(process.cwd(), `test-inject-${process.pid}.mjs`)
    writeFileSync(
      script,
      `import pg from 'pg'
       const client = new pg.Client(process.env.DATABASE_URL)
       await client.connect()
       await client.query('BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE')
       await client.query('SELECT pg_sleep(0.5)')
       await client.query('COMMIT')
       await client.end()`,
    )
    try {
      const { injections } = await injected(readers(3000), [`100ms:node ${script} //user:secret@host`], { speed: 1 })
      expect(injections[0]).toMatchObject({ outcome: 'done', what: `node ${script} //user:***@host` })
      expect(injections[0]!.locks).toContainEqual(
        expect.objectContaining({ relation: 'public.item', mode: 'AccessExclusiveLock' }),
      )
      expect(injections[0]!.heldUp.length).toBeGreaterThan(0)
    } finally {
      rmSync(script)
    }
  })

  test('a command that fails says how it ended', async () => {
    const { injections } = await injected(readers(200), ['0%:exit 7'], { speed: 1 })
    expect(injections[0]).toMatchObject({ outcome: 'failed', error: { message: expect.stringContaining('code 7') } })
  })

  test('a moment that never comes is no silence', async () => {
    const { injections, facts } = await injected(readers(50), [`1h:${file('SELECT 1')}`])
    expect(injections).toMatchObject([{ outcome: 'not reached', startedUs: null, latency: null }])
    expect(facts.incidents.map(({ kind }) => kind)).toContain('injection not reached')
  })

  test('a statement that the recording does not have is refused before anything is touched', async () => {
    await expect(injected(readers(50), [`#4711:${file('SELECT 1')}`])).rejects.toMatchObject({
      code: 'NO_SUCH_STATEMENT',
    })
  })

  test('the replay ends when what was injected has, and its own time is not longer for it', async () => {
    const { injections, facts } = await injected(readers(50), [`0%:${file('SELECT pg_sleep(1.5)')}`])
    expect(injections[0]!.endedUs! - injections[0]!.startedUs!).toBeGreaterThan(1_500_000)
    expect(facts.elapsedUs).toBeLessThan(1_500_000)
  })

  test('stopping stops what was injected too', async () => {
    const stop = new AbortController()
    const tape = readers(200).pause(600_000_000).send(1, simple('SELECT 1'))
    const { injections } = await injected(tape, [`0%:${file('SELECT pg_sleep(600)')}`], {
      speed: 1,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done === 20) stop.abort()
      },
    })
    expect(injections[0]).toMatchObject({ outcome: 'stopped', error: { sqlstate: '57014' } })
  })

  test('and also when everything else is over, and only that is waited for', async () => {
    const stop = new AbortController()
    const { injections, facts } = await injected(readers(20), [`0%:${file('SELECT pg_sleep(600)')}`], {
      signal: stop.signal,
      onBegin: (status) => {
        const look = setInterval(() => {
          if (status().state !== 'finishing') return
          clearInterval(look)
          stop.abort()
        }, 10)
      },
    })
    expect(injections[0]).toMatchObject({ outcome: 'stopped', error: { sqlstate: '57014' } })
    expect(facts.ledger.lost).toEqual({})
  })

  test('who is held up by it is not let past the order, however long it takes', async () => {
    const tape = new Tape()
      .send(1, simple('SELECT 1'))
      .pause(1_000_000)
      .send(1, simple('SELECT 2 FROM item WHERE id = 1'))
    tape.send(2, simple('SELECT 3'))
    const { injections, facts, rows } = await injected(
      tape.pause(500_000).send(2, simple('SELECT 4')),
      [`#1:${file(LOCKED(7))}`],
      { waits: [{ of: 3, for: 2 }], speed: 1 },
    )
    expect(injections[0]!.heldUp.map(({ session }) => session)).toEqual([1])
    expect(facts.orderRelaxed).toBe(0)
    expect(rows).toHaveLength(4)
  })

  test('a circle that leads through it is ended like any other', async () => {
    const tape = new Tape()
      .send(1, simple('BEGIN'))
      .send(1, simple("UPDATE item SET name = 'x' WHERE id = 9"))
      .pause(1_500_000)
      .send(2, simple('SELECT name FROM item WHERE id = 8'))
      .send(1, simple('SELECT 4'))
      .send(1, simple('COMMIT'))
    // The injected lock waits for session 1, session 2 stands behind it in the queue, and session 1 is made to wait for session 2.
    const { injections, facts, rows } = await injected(tape, [`#2:${file(LOCKED(0))}`], {
      waits: [{ of: 4, for: 3 }],
      speed: 1,
    })
    expect(rows).toHaveLength(5)
    expect(facts.orderRelaxed).toBe(1)
    expect(injections[0]!.outcome).toBe('done')
    expect(injections[0]!.waitedFor.map(({ session }) => session)).toEqual([1])
    expect(injections[0]!.heldUp.map(({ session }) => session)).toEqual([2])
  })
})

describe('moments', () => {
  test.each([
    ['30s:V7.sql', { at: '30s', moment: { kind: 'time', afterMs: 30_000 }, what: 'V7.sql' }],
    ['1.5m:make migrate', { at: '1.5m', moment: { kind: 'time', afterMs: 90_000 }, what: 'make migrate' }],
    ['12.5%:a:b.sql', { at: '12.5%', moment: { kind: 'share', share: 0.125 }, what: 'a:b.sql' }],
    ['#12:x', { at: '#12', moment: { kind: 'statement', seq: 12 }, what: 'x' }],
  ])('%s', (text, asked) => expect(parseInjection(text)).toEqual(asked))

  test.each(['V7.sql', '30:V7.sql', '101%:V7.sql', 's:V7.sql', '30s:', '#x:V7.sql'])('%s is refused', (text) =>
    expect(() => parseInjection(text)).toThrow(/--inject cannot be/),
  )

  test('a file that is not there, and one that is no SQL, are refused before the replay', async () => {
    await expect(prepareInjection(parseInjection('1s:nowhere.sql'))).rejects.toMatchObject({ code: 'NO_MIGRATION' })
    await expect(prepareInjection(parseInjection(`1s:${file('SELEKT')}`))).rejects.toMatchObject({
      code: 'SCRIPT_UNREADABLE',
    })
  })
})

describe('sightings', () => {
  const wait = (pid: number, forUs: number | null, session: number | null = pid): SeenWait => ({
    direction: 'held up',
    session,
    pid,
    forUs,
  })

  test('a wait is as long as it was last seen to be; two of one session are told apart by when they began', () => {
    const seen = new Sightings()
    seen.add({ atUs: 100_000, locks: [], waits: [wait(1, 30_000)] })
    seen.add({ atUs: 150_000, locks: [], waits: [wait(1, 80_000), wait(2, 10_000)] })
    seen.add({ atUs: 300_000, locks: [], waits: [wait(1, 50_000)] })
    seen.add({ atUs: 350_000, locks: [], waits: [] })
    expect(seen.result(400_000).heldUp).toEqual([
      { session: 1, waits: 2, totalUs: 130_000, longestUs: 80_000 },
      { session: 2, waits: 1, totalUs: 10_000, longestUs: 10_000 },
    ])
  })

  test('where the server does not say since when, from look to look', () => {
    const seen = new Sightings()
    for (const [atUs, waits] of [
      [50_000, [wait(1, null)]],
      [100_000, [wait(1, null)]],
      [150_000, []],
      [200_000, [wait(1, null)]],
      [250_000, []],
    ] as const)
      seen.add({ atUs, locks: [], waits })
    expect(seen.result(300_000).heldUp).toEqual([{ session: 1, waits: 2, totalUs: 50_000, longestUs: 50_000 }])
  })

  test('what is still there at the last look lasted until the end', () => {
    const seen = new Sightings()
    seen.add({ atUs: 0, locks: [{ relation: 'a', mode: 'm' }], waits: [wait(1, 0)] })
    seen.add({ atUs: 50_000, locks: [{ relation: 'a', mode: 'm' }], waits: [wait(1, 50_000)] })
    expect(seen.result(70_000)).toMatchObject({
      locks: [{ relation: 'a', mode: 'm', seenUs: 70_000 }],
      heldUp: [{ session: 1, waits: 1, totalUs: 70_000 }],
    })
  })

  test('before, while and after: a statement is in one of them, and in while when it was at it then', () => {
    const at = (sentUs: number, doneUs: number, failed = false) => ({ sentUs, doneUs, failed })
    const served = [at(1, 90), at(90, 150), at(120, 130, true), at(180, 250), at(201, 300), at(20_000_000, 20_000_001)]
    const [latency, none] = latencyAround(
      [
        { startedUs: 100, endedUs: 200 },
        { startedUs: null, endedUs: null },
      ],
      served,
    )
    expect(
      [latency!.before, latency!.during, latency!.after].map(({ statements, errors }) => [statements, errors]),
    ).toEqual([
      [1, 0],
      [3, 1],
      [1, 0],
    ])
    expect(none).toBeNull()
  })
})
