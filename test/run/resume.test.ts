/**
 * A replay that is stopped comes to rest between transactions, and one with --resume goes on from there: nothing twice, nothing left out, and
 * the same outcome as if it had never been stopped.
 */
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { compareRuns } from '../../replayer/compare/compare.js'
import { buildPlan } from '../../replayer/plan/build.js'
import { readEarlier } from '../../replayer/run/earlier.js'
import { type ReplayOptions, replay } from '../../replayer/run/replay.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { leftOff } from '../../replayer/shadow/left-off.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { balances } from '../../segment/ledger.js'
import { openRecording } from '../../segment/recording.js'
import type { RunFacts } from '../../segment/run.js'
import { openRun } from '../../segment/run-file.js'
import { contents, recordWorld } from '../plan/recorded-world.js'
import { bench } from '../recorder/recording.js'
import { createDice } from '../rewrite/dice.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { planOf, type Wait } from './support.js'
import { execute, prepare, simple, Tape, unnamed } from './tape.js'

let database: TestDatabase
const folders: string[] = []
beforeEach(async () => {
  database = await createDatabase('CREATE TABLE log (id serial PRIMARY KEY, who int, what text)')
})
afterEach(async () => {
  await database.drop()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** What is to come only after a stop is recorded so much later that no replay would wait for it. */
const LATER_US = 3_600_000_000

/** Stops after so many outcomes, and goes on until nothing is left. */
async function inPieces(
  options: Omit<ReplayOptions, 'out'> & { readonly out: string },
  stops: readonly number[],
): Promise<{ readonly facts: RunFacts; readonly pieces: number }> {
  let resume: ReplayOptions['resume']
  for (let piece = 0; ; piece += 1) {
    const stop = new AbortController()
    const at = stops[piece] ?? Number.POSITIVE_INFINITY
    const facts = await replay({
      ...options,
      ...(resume === undefined ? {} : { resume }),
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done >= at) stop.abort()
      },
    })
    if (facts.leftOff === undefined) return { facts, pieces: piece + 1 }
    resume = readEarlier(options.out) ?? undefined
    expect(resume).toBeDefined()
  }
}

async function replayTape(tape: Tape, stops: readonly number[], waits: readonly Wait[] = [], more = {}) {
  const recording = tape.write()
  folders.push(dirname(recording))
  const out = join(dirname(recording), 'run.sqlite')
  const plan = planOf(recording, waits)
  const { facts, pieces } = await inPieces(
    { recording, plan, target: database.url, out, speed: 1, workers: 2, ...more },
    stops,
  )
  const run = openRun(out)
  const rows = [...run.rows()]
  run.close()
  return { facts, pieces, rows, out }
}

const logged = async (order = 'id'): Promise<string[]> =>
  (await database.query(`SELECT who || ' ' || what AS line FROM log ORDER BY ${order}`)).rows.map(
    ({ line }) => line as string,
  )

describe('a replay that is stopped and gone on with', () => {
  test('does nothing twice and leaves nothing out, over several stops', async () => {
    const tape = new Tape()
    const waits: Wait[] = []
    for (let i = 0; i < 120; i++) {
      const sentUs = i + (i < 30 ? 0 : i < 70 ? LATER_US : 2 * LATER_US)
      const values = [`${1 + (i % 3)}`, `${i}`]
      tape.send(1 + (i % 3), { ...unnamed('INSERT INTO log (who, what) VALUES ($1, $2)', values), sentUs })
      if (i > 0) waits.push({ of: i + 1, for: i })
    }
    const { facts, pieces, rows } = await replayTape(tape, [30, 70], waits)
    expect(pieces).toBe(3)
    expect(await logged()).toEqual(Array.from({ length: 120 }, (_, i) => `${1 + (i % 3)} ${i}`))
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1))
    expect(facts.ledger.lost).toEqual({})
    expect(facts.ledger.kept).toEqual(facts.ledger.seen)
    expect(facts.incidents.map(({ kind }) => kind)).toEqual(['interrupted', 'resumed', 'interrupted', 'resumed'])
    expect(facts.latency?.service.count).toBe(120)
    const sent = rows.map(({ timing }) => timing.sentUs)
    expect(sent).toEqual(sent.toSorted((a, b) => a - b))
  })

  test('ends the transactions that are under way, and what they wait for', async () => {
    const tape = new Tape()
    const [first, second] = [800_000, 800_001]
    tape.send(1, { ...simple('BEGIN'), transaction: first })
    tape.send(1, { ...simple("INSERT INTO log (who, what) VALUES (1, 'a')"), transaction: first })
    tape.send(2, { ...simple('BEGIN'), transaction: second })
    tape.send(2, { ...simple("INSERT INTO log (who, what) VALUES (2, 'b')"), transaction: second })
    tape.send(2, { ...simple('COMMIT'), transaction: second })
    tape.send(1, { ...simple("INSERT INTO log (who, what) VALUES (1, 'c')"), transaction: first })
    tape.send(1, { ...simple('COMMIT'), transaction: first })
    for (let i = 0; i < 20; i++) tape.send(1 + (i % 2), { ...simple('SELECT 1'), sentUs: LATER_US + i })
    const stop = new AbortController()
    const recording = tape.write()
    folders.push(dirname(recording))
    const out = join(dirname(recording), 'run.sqlite')
    const facts = await replay({
      recording,
      plan: planOf(recording, [{ of: 6, for: 5 }]),
      target: database.url,
      out,
      speed: 1,
      workers: 2,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done >= 2) stop.abort()
      },
    })
    expect(await logged('what')).toEqual(['1 a', '2 b', '1 c'])
    expect((await logged()).at(-1)).toBe('1 c')
    expect(facts.leftOff).toEqual([4, 3])
    expect(facts.ledger.lost).toEqual({ interrupted: { statements: 20, transactions: 20 } })
  })

  test('finds its sessions as they were: settings, prepared statements, temporary tables', async () => {
    const tape = new Tape()
    tape.send(1, simple("SET application_name = 'mine'"))
    tape.send(1, prepare('add', 'INSERT INTO log (who, what) VALUES ($1, $2)'))
    tape.send(1, simple('CREATE TEMP TABLE mine (x int)'))
    tape.send(1, simple('INSERT INTO mine VALUES (7)'))
    for (let i = 0; i < 10; i++) tape.send(2, { ...simple('SELECT 1'), ...(i < 3 ? {} : { sentUs: LATER_US + i }) })
    tape.send(1, execute('add', 'INSERT INTO log (who, what) VALUES ($1, $2)', ['1', 'prepared']))
    tape.send(1, simple("INSERT INTO log (who, what) SELECT x, current_setting('application_name') FROM mine"))
    const waits = [
      { of: 5, for: 4 },
      { of: 15, for: 14 },
    ]
    const { facts, pieces, rows } = await replayTape(tape, [7], waits, { workers: 1 })
    expect(pieces).toBe(2)
    expect(await logged()).toEqual(['1 prepared', '7 mine'])
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1))
    expect(facts.ledger.kept).toEqual(facts.ledger.seen)
  })

  test('keeps what was skipped before apart from what is replayed', async () => {
    const tape = new Tape()
    tape.send(1, { ...simple('SELECT 1'), unreplayable: 'cannot tokenize box' })
    for (let i = 0; i < 20; i++) tape.send(1, { ...simple('SELECT 1'), ...(i < 5 ? {} : { sentUs: LATER_US + i }) })
    const { facts, pieces } = await replayTape(tape, [5])
    expect(pieces).toBe(2)
    expect(facts.ledger.skipped).toEqual({ 'unreplayable: cannot tokenize box': { statements: 1, transactions: 1 } })
    expect(facts.ledger.kept).toEqual({ statements: 20, transactions: 20 })
    expect(balances(facts.ledger)).toBe(true)
  })

  test('which may not wait is stopped at once, and cannot be gone on with', async () => {
    const tape = new Tape()
    tape.send(1, { ...simple('BEGIN'), transaction: 700_000 })
    tape.send(1, { ...simple('SELECT pg_sleep(600)'), transaction: 700_000 })
    for (let i = 0; i < 10; i++) tape.send(2, simple('SELECT 1'))
    const { facts } = await replayTape(tape, [5], [], { restMs: 50 })
    expect(facts.leftOff).toBeUndefined()
    expect(facts.ledger.lost['interrupted while the server was at it']?.statements).toBe(1)
  })
})

describe('the shadow', () => {
  const state = async (run: string): Promise<string> => {
    const client = new pg.Client(database.url)
    await client.connect()
    const found = await leftOff(client, run)
    await client.end()
    return found
  }
  async function stopped(): Promise<RunFacts> {
    const tape = new Tape()
    const insert = simple("INSERT INTO log (who, what) VALUES (1, 'x')")
    for (let i = 0; i < 40; i++) tape.send(1, { ...insert, ...(i < 5 ? {} : { sentUs: LATER_US + i }) })
    const recording = tape.write()
    folders.push(dirname(recording))
    const stop = new AbortController()
    return replay({
      recording,
      plan: planOf(recording),
      target: database.url,
      out: join(dirname(recording), 'run.sqlite'),
      speed: 1,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done >= 5) stop.abort()
      },
    })
  }
  test('is known again when nobody was there', async () => {
    const { id, leftOff } = await stopped()
    expect(leftOff).toBeDefined()
    expect(await state(id)).toBe('same')
    expect(await state('another run')).toBe('not there')
  })
  test.each([
    ['a row was changed', "UPDATE log SET what = 'y'"],
    ['a table was emptied', 'TRUNCATE log'],
    ['a table was made', 'CREATE TABLE other (id int)'],
    ['a column was added', 'ALTER TABLE log ADD COLUMN more int'],
  ])('is another one when %s', async (_, sql) => {
    const { id } = await stopped()
    await withClient(database.url, (client) => client.query(sql))
    expect(await state(id)).toBe('changed')
  })
  test('is another one when another replay was there', async () => {
    const { id } = await stopped()
    await replayTape(new Tape().send(1, simple('SELECT 1')), [])
    expect(await state(id)).toBe('not there')
  })
})

describe('worlds that nobody chose', () => {
  const seed = Number(process.env.PGREHEARSE_SEED ?? Date.now() % 1_000_000)
  const at = bench()
  afterAll(() => at.remove())
  test.each([seed, seed + 1])(
    'world %i has the same outcome in one piece and in several',
    async (world) => {
      const recorded = await recordWorld(at, world, ['whole', 'pieces'])
      try {
        const recording = openRecording(recorded.path)
        const { plan } = await buildPlan(recording)
        const url = (name: string) => Object.assign(new URL(inject('serverUrl')), { pathname: `/${name}` }).toString()
        const [whole, pieces] = recorded.copies as [string, string]
        const common = { recording: recorded.path, plan, speed: 'max', workers: 2 } as const
        const outs = { whole: join(at.folder, 'whole.run'), pieces: join(at.folder, 'pieces.run') }
        await replay({ ...common, target: url(whole), out: outs.whole, force: true })
        const dice = createDice(world)
        const stops = [dice.int(1, plan.statementCount / 2), dice.int(1, plan.statementCount / 2)].sort((a, b) => a - b)
        const found = await inPieces(
          { ...common, target: url(pieces), out: outs.pieces, force: true, ratePerSecondMax: 150 },
          stops,
        )
        const [before, after] = [openRun(outs.whole), openRun(outs.pieces)]
        const path = join(at.folder, 'pieces.diff')
        compareRuns({ before, after, recording, out: createDiff(path, { force: true }), madeBy: 'test' })
        const diff = openDiff(path)
        const differ = [...diff.discrepancies()]
          .filter(({ subKind }) => subKind !== 'latency')
          .map(({ seq, subKind, cause, sql }) => `${seq} ${subKind} ${cause} ${sql.slice(0, 90)}`)
        for (const file of [before, after, diff, recording]) file.close()
        const tables = (await contents(url(whole))) === (await contents(url(pieces))) ? 'equal' : 'differ'
        expect({ seed: world, stops, differ, tables }).toEqual({ seed: world, stops, differ: [], tables: 'equal' })
        expect(found.pieces).toBeGreaterThan(1)
        expect(found.facts.ledger.lost).toEqual({})
        expect(balances(found.facts.ledger)).toBe(true)
      } finally {
        await recorded.drop()
      }
    },
    180_000,
  )
})
