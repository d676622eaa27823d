/** A recording that goes on, or begins, in the middle of sessions replays on fresh connections. */
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parsePolicy } from '../../privacy/policy/policy.js'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import { replay } from '../../replayer/run/replay.js'
import { balances } from '../../segment/ledger.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRun } from '../../segment/run-file.js'
import { buildBindRest } from '../../wire/bind.js'
import { buildBind, buildClose, buildExecute, buildParse, buildQuery, buildSync } from '../../wire/frontend.js'
import { planOf } from '../run/support.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { RawSession } from './raw-session.js'
import { type Bench, bench, read, through } from './recording.js'

let db: TestDatabase
let at: Bench
beforeAll(async () => {
  at = bench()
  db = await createDatabase(
    'CREATE TABLE item (id int PRIMARY KEY, name text)',
    `INSERT INTO item VALUES (1, 'one'), (2, 'two')`,
    'CREATE SCHEMA other',
    'CREATE TABLE other.item (id int PRIMARY KEY, name text)',
    `INSERT INTO other.item VALUES (1, 'eins')`,
  )
})
afterAll(async () => {
  at.remove()
  await db.drop()
})

async function connect(recording: ProxyRecording): Promise<pg.Client> {
  const client = new pg.Client(through(db.url, recording))
  await client.connect()
  return client
}

const short = ({ error, tag, rows }: Outcome) => [error?.sqlstate ?? tag, rows]

/** What was recorded, after a replay on the same data has given the same. */
async function replayed(recording: ProxyRecording) {
  const manifest = await recording.stop()
  expect(balances(manifest!.ledger)).toBe(true)
  const recorded = read(recording.path)
  const out = join(at.folder, `${manifest!.id}.run`)
  await replay({
    recording: recording.path,
    plan: planOf(recording.path),
    target: db.url,
    out,
    speed: 'max',
    workers: 1,
  })
  const run = openRun(out)
  const outcomes = [...run.rows()].map(({ outcome }) => short(outcome))
  run.close()
  expect(outcomes).toEqual(recorded.statements.map(({ outcome }) => short(outcome)))
  return recorded
}

test('prepared and set while paused, used when it goes on', async () => {
  const recording = await at.start(db.url)
  const client = await connect(recording)
  const byId = { name: 'by_id', text: 'SELECT name FROM item WHERE id = $1', values: [1] }
  await client.query(`SELECT current_setting('search_path')`)
  recording.pause()
  await client.query('SET search_path = other')
  await client.query(byId)
  await client.query('PREPARE by_text AS SELECT name FROM item')
  recording.resume()
  expect((await client.query(byId)).rows).toEqual([{ name: 'eins' }])
  await client.query('EXECUTE by_text')
  await client.query('SELECT name FROM item')
  await client.end()
  const { statements, sessions, manifest } = await replayed(recording)
  expect(statements.map(({ frames, outcome }) => [frames.map(([kind]) => kind).join(''), outcome.tag])).toEqual([
    ['Q', 'SELECT 1'],
    ['Q', 'SET'],
    ['CPS', ''],
    ['Q', 'PREPARE'],
    ['BDES', 'SELECT 1'],
    ['Q', 'SELECT 1'],
    ['Q', 'SELECT 1'],
  ])
  expect(statements.map(({ ordinal }) => ordinal)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(sessions[0]!.prologue).toEqual([])
  expect(manifest.ledger.filtered.paused!.statements).toBe(3)
})

test('a session that began while paused has a prologue', async () => {
  const recording = await at.start(db.url)
  recording.pause()
  const client = await connect(recording)
  await client.query('SET search_path = other')
  await client.query('PREPARE by_text AS SELECT name FROM item')
  await client.query({ name: 'by_id', text: 'SELECT name FROM item WHERE id = $1', values: [1] })
  await client.query('BEGIN')
  await client.query('SET search_path = public')
  await client.query('ROLLBACK')
  recording.resume()
  await client.query('EXECUTE by_text')
  await client.query({ name: 'by_id', text: 'SELECT name FROM item WHERE id = $1', values: [1] })
  await client.end()
  const { statements, sessions } = await replayed(recording)
  expect(sessions[0]!.prologue).toEqual(['SET search_path = other', 'PREPARE by_text AS SELECT name FROM item'])
  expect(statements.map(({ outcome }) => short(outcome))).toEqual([
    ['', null],
    ['SELECT 1', [['eins']]],
    ['SELECT 1', [['eins']]],
  ])
})

test('a name that was closed and given to another statement while paused', async () => {
  const recording = await at.start(db.url)
  const session = await RawSession.connect(through(db.url, recording))
  const run = (name: string) => Buffer.concat([buildBind('', name, buildBindRest([])), buildExecute(''), buildSync()])
  await session.ask({ send: Buffer.concat([buildParse('s', 'SELECT 1 AS a'), buildSync()]) })
  await session.ask({ send: run('s') })
  recording.pause()
  await session.ask({ send: Buffer.concat([buildClose('S', 's'), buildParse('s', 'SELECT 2 AS b'), buildSync()]) })
  // What PREPARE does not take.
  await session.ask({ send: Buffer.concat([buildParse('begin', 'BEGIN'), buildSync()]) })
  recording.resume()
  await session.ask({ send: run('s') })
  await session.ask({ send: run('begin') })
  await session.ask({ send: buildQuery('COMMIT') })
  await session.close()
  const { statements } = await replayed(recording)
  expect(statements.map(({ frames }) => frames.map(([kind]) => kind).join(''))).toEqual([
    'PS',
    'BES',
    'CPS',
    'CPS',
    'BES',
    'BES',
    'Q',
  ])
  expect(statements.map(({ outcome }) => outcome.tag)).toEqual(['', 'SELECT 1', '', '', 'SELECT 1', 'BEGIN', 'COMMIT'])
})

describe('state that is not a text', () => {
  /** Asked in a session before, while and after nothing is recorded. */
  async function across(before: readonly string[], meanwhile: readonly string[], after: readonly string[]) {
    const recording = await at.start(db.url)
    if (before.length === 0) recording.pause()
    const client = await connect(recording)
    client.on('notification', () => {})
    for (const sql of before) await client.query(sql)
    recording.pause()
    for (const sql of meanwhile) await client.query(sql)
    recording.resume()
    for (const sql of after) await client.query(sql)
    await client.end()
    return recording
  }
  /** What a replay on fresh connections says otherwise than production, and what it did not try. */
  async function replayOf(recording: ProxyRecording) {
    const manifest = await recording.stop()
    expect(balances(manifest!.ledger)).toBe(true)
    const recorded = read(recording.path)
    const out = join(at.folder, `${manifest!.id}.run`)
    const plan = planOf(recording.path)
    const facts = await replay({ recording: recording.path, plan, target: db.url, out, speed: 'max', workers: 1 })
    const run = openRun(out)
    const before = new Map(recorded.statements.map(({ seq, outcome }) => [seq, short(outcome)]))
    const differ = [...run.rows()].filter(({ seq, outcome }) => {
      return JSON.stringify(short(outcome)) !== JSON.stringify(before.get(seq))
    })
    run.close()
    const texts = new Map(recorded.statements.map(({ seq, sql }) => [seq, sql]))
    return {
      differ: differ.map(({ seq }) => texts.get(seq)),
      skipped: Object.keys(facts.ledger.skipped),
      known: recorded.events.flatMap(({ kind, detail }) => (kind === 'lost' ? [detail.why] : [])),
      unreplayable: recorded.statements.flatMap(({ sql, unreplayable }) => (unreplayable === null ? [] : [sql])),
      statements: recorded.statements,
      sessions: recorded.sessions,
    }
  }
  const MADE = 'made while nothing was recorded'

  test.each([
    { name: 'in the middle of a session', before: ['SELECT 1'] },
    { name: 'before it was recorded at all', before: [] },
  ])('a temporary table: who asks for it is not replayed, and says why ($name)', async ({ before }) => {
    const recording = await across(
      before,
      ['CREATE TEMP TABLE basket (id int)', 'INSERT INTO basket VALUES (1), (2)'],
      [
        'SELECT * FROM basket ORDER BY id',
        'SELECT name FROM item ORDER BY id',
        'DROP TABLE basket',
        'CREATE TEMP TABLE basket (id int)',
        'SELECT count(*) FROM basket',
      ],
    )
    const { differ, skipped, known, unreplayable } = await replayOf(recording)
    expect(differ).toEqual([])
    expect(unreplayable).toEqual(['SELECT * FROM basket ORDER BY id', 'DROP TABLE basket'])
    expect(skipped).toEqual([`unreplayable: its temporary table was ${MADE}`])
    expect(known).toEqual([`a temporary table was ${MADE}`])
  })

  test('a cursor WITH HOLD', async () => {
    const recording = await across(
      ['SELECT 1'],
      ['DECLARE walk CURSOR WITH HOLD FOR SELECT name FROM item ORDER BY id', 'FETCH 1 FROM walk'],
      ['FETCH 1 FROM walk', 'CLOSE walk', 'SELECT 1'],
    )
    const { differ, skipped, unreplayable } = await replayOf(recording)
    expect(differ).toEqual([])
    expect(unreplayable).toEqual(['FETCH 1 FROM walk', 'CLOSE walk'])
    expect(skipped).toEqual(['unreplayable: its cursor was opened while nothing was recorded'])
  })

  test('LISTEN is done again', async () => {
    const recording = await across(
      ['SELECT 1'],
      ['LISTEN news', 'LISTEN weather', 'UNLISTEN weather'],
      ['SELECT pg_listening_channels()'],
    )
    const { differ, known, statements } = await replayOf(recording)
    expect(differ).toEqual([])
    expect(known).toEqual([])
    expect(statements.at(-1)!.outcome.rows).toEqual([['news']])
  })

  test('LISTEN of a session that was not recorded yet is in its prologue', async () => {
    const recording = await across([], ['LISTEN news'], ['SELECT pg_listening_channels()'])
    const { differ, sessions } = await replayOf(recording)
    expect(differ).toEqual([])
    expect(sessions[0]!.prologue).toEqual(['LISTEN news'])
  })

  test.each([
    { name: 'session locks', meanwhile: ['SELECT pg_advisory_lock(4711)'], known: /^session locks/ },
    { name: 'set_config()', meanwhile: [`SELECT set_config('app.who', 'x', false)`], known: /set_config\(\)/ },
    { name: 'SET behind others', meanwhile: ['SELECT 1; SET search_path = other'], known: /among other statements/ },
  ])('$name: the recording says that they are not known', async ({ meanwhile, known }) => {
    const recording = await across(['SELECT 1'], meanwhile, ['SELECT 2'])
    const found = await replayOf(recording)
    expect(found.known).toEqual([expect.stringMatching(known)])
    expect(found.differ).toEqual([])
  })

  test('the encoding that was set meanwhile: texts that would be read wrongly are not replayed', async () => {
    const recording = await across(
      ['SELECT 1'],
      [`SET client_encoding TO 'LATIN1'`],
      ['SELECT 1', 'RESET client_encoding', 'SELECT 2'],
    )
    const { differ, unreplayable } = await replayOf(recording)
    expect(differ).toEqual([])
    expect(unreplayable).toEqual([`SET client_encoding TO 'LATIN1'`, 'SELECT 1'])
  })

  test('a transaction that is open when recording goes on is left out whole; the next one is recorded', async () => {
    const recording = await at.start(db.url)
    const client = await connect(recording)
    await client.query('SELECT 1')
    recording.pause()
    await client.query('BEGIN')
    await client.query('DECLARE walk CURSOR FOR SELECT name FROM item')
    recording.resume()
    await client.query('FETCH 1 FROM walk')
    await client.query('COMMIT')
    await client.query('SELECT 2')
    await client.end()
    const { differ, statements } = await replayOf(recording)
    expect(differ).toEqual([])
    expect(statements.map(({ sql }) => sql)).toEqual(['SELECT 1', 'SELECT 2'])
  })
})

test('what is restored is masked like any text', async () => {
  const policy = parsePolicy('version: 1\n', 'empty.yaml')
  const recording = await at.start(db.url, { policy })
  recording.pause()
  const client = await connect(recording)
  await client.query(`SET app.who = 'Ann Example'`)
  await client.query(`PREPARE p AS SELECT * FROM item WHERE name = 'Ann Example'`)
  recording.resume()
  await client.query('SELECT 1')
  await client.end()
  await recording.stop()
  const { sessions } = read(recording.path)
  expect(sessions[0]!.prologue).toHaveLength(2)
  expect(sessions[0]!.prologue.join()).not.toContain('Ann')
})
