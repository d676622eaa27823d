/** Who looks at what others would have written that were not replayed. */
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { compareRuns } from '../../replayer/compare/compare.js'
import { restingOnLeftOut } from '../../replayer/compare/left-out.js'
import { buildPlan } from '../../replayer/plan/build.js'
import { restingOn } from '../../replayer/plan/resting.js'
import { replay } from '../../replayer/run/replay.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { runOfRecording } from '../../segment/run-source.js'
import { bench, through } from '../recorder/recording.js'
import { createDatabase } from '../support/database.js'
import { type Line, script } from './script.js'

/** Letters, in the order of sending, of those that rest on something; `left`: of those that were not replayed. */
async function resting(lines: readonly Line[], left: string): Promise<string> {
  const { gathered, events } = await buildPlan(script(lines))
  const letter = (i: number) => String.fromCharCode(65 + i)
  const rests = restingOn(gathered, events, (i) => left.includes(letter(i)))
  return [...rests.keys()]
    .filter((i) => rests[i])
    .map(letter)
    .join('')
}

const at = (n: number): [number, number] => [n * 10_000, n * 10_000 + 5000]
const update = (n: number, id: number, more: Partial<Line> = {}): Line => ({
  session: 1,
  sql: `UPDATE accounts SET balance = 1 WHERE id = ${id}`,
  at: at(n),
  ...more,
})
const row = (n: number, id: number, more: Partial<Line> = {}): Line => ({
  session: 2,
  sql: `SELECT balance FROM accounts WHERE id = ${id}`,
  at: at(n),
  ...more,
})
const whole = (n: number, table: string): Line => ({ session: 3, sql: `SELECT count(*) FROM ${table}`, at: at(n) })

describe('a statement rests on what was not written', () => {
  test('when it reads that row, or its table; not another row, another table, or before', async () => {
    const lines = [row(0, 7), update(1, 7), row(2, 7), row(3, 8), whole(4, 'accounts'), whole(5, 'notes')]
    expect(await resting(lines, 'B')).toBe('CE')
  })
  test('not when it was replayed', async () => {
    expect(await resting([update(1, 7), row(2, 7)], '')).toBe('')
  })
  test('through what rests on it: a write that would have found something else', async () => {
    const copy: Line = {
      session: 2,
      sql: 'INSERT INTO notes (text) SELECT balance FROM accounts',
      at: at(2),
      tag: 'INSERT 0 3',
    }
    expect(await resting([update(1, 7), copy, whole(3, 'notes'), whole(4, 'jobs')], 'A')).toBe('BC')
  })
  test('through one that found nothing to change, and might have', async () => {
    const removes: Line = { session: 1, sql: 'DELETE FROM accounts WHERE balance = 5', at: at(0), tag: 'DELETE 0' }
    const looks: Line = {
      session: 1,
      sql: 'SELECT id FROM accounts WHERE balance = 5 FOR UPDATE',
      at: at(0),
      tag: 'SELECT 0',
    }
    expect(await resting([removes, row(1, 7), whole(2, 'accounts'), whole(3, 'notes')], 'A')).toBe('BC')
    expect(await resting([looks, row(1, 7), whole(2, 'accounts'), whole(3, 'notes')], 'A')).toBe('')
  })
  test('of a transaction that was rolled back only in that transaction', async () => {
    const own = { session: 1, transaction: 1 }
    const lines = [
      { session: 1, transaction: 1, sql: 'BEGIN', at: at(0) },
      update(1, 7, own),
      row(2, 7, own),
      { session: 1, transaction: 1, sql: 'ROLLBACK', at: at(3) },
      row(4, 7),
    ]
    expect(await resting(lines, 'B')).toBe('C')
  })
})

describe('a replay that may only read', () => {
  const room = bench()
  afterAll(() => room.remove())

  test('differs from production only where it was not allowed to write, and where that is looked at', async () => {
    const production = await createDatabase(`
      CREATE TABLE items (id int PRIMARY KEY, n int); INSERT INTO items SELECT i, i FROM generate_series(1, 9) i;
      CREATE TABLE other (id int PRIMARY KEY, n int); INSERT INTO other SELECT i, i FROM generate_series(1, 9) i;`)
    const shadow = `${production.name}_v1`
    const admin = new pg.Client(inject('serverUrl'))
    await admin.connect()
    await production.rest()
    await admin.query(`CREATE DATABASE ${shadow} TEMPLATE ${production.name}`)
    const recorded = await room.start(production.url)
    const client = new pg.Client(through(production.url, recorded))
    await client.connect()
    await client.query('SELECT sum(n) FROM items')
    await client.query('UPDATE items SET n = 100 WHERE id = $1', [3])
    await client.query('SELECT n FROM items WHERE id = $1', [3])
    await client.query('SELECT n FROM items WHERE id = $1', [4])
    await client.query('SELECT sum(n) FROM items')
    await client.query('SELECT sum(n) FROM other')
    await client.end()
    await recorded.stop()
    const recording = openRecording(recorded.path)
    const { plan } = await buildPlan(recording)
    const target = Object.assign(new URL(inject('serverUrl')), { pathname: `/${shadow}` }).toString()
    const out = join(room.folder, 'read.run')
    await replay({ recording: recorded.path, plan, target, out, speed: 'max', workers: 1, readOnly: true })
    const [before, after] = [runOfRecording(recording), openRun(out)]
    const rests = await restingOnLeftOut(recording, [before, after])
    const path = join(room.folder, 'read.diff')
    const { excused } = compareRuns({
      before,
      after,
      recording,
      out: createDiff(path),
      madeBy: 'test',
      unwritten: (seq) => rests?.has(seq) === true,
    })
    const diff = openDiff(path)
    const found = [...diff.discrepancies()].filter(({ subKind }) => subKind !== 'latency').map(({ sql }) => sql)
    for (const file of [after, diff, recording]) file.close()
    await admin.query(`DROP DATABASE ${shadow} WITH (FORCE)`)
    await admin.end()
    await production.drop()
    expect(found).toEqual([])
    expect(excused).toMatchObject({ unwritten: 3 })
  })
})
