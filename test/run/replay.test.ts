/** Replaying against a real server: statements go out as they were recorded, and their outcomes come back as rows of a run. */
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENDED } from '../../replayer/run/plan-shape.js'
import { replay } from '../../replayer/run/replay.js'
import { balances } from '../../segment/ledger.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRun } from '../../segment/run-file.js'
import type { Frame, SafeSql } from '../../segment/statement.js'
import { BINARY, buildBindRest, TEXT } from '../../wire/bind.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { planOf, replayTape } from './support.js'
import { execute, NOTHING_CAME, prepare, type Sent, simple, Tape, unnamed } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase(
    'CREATE TABLE item (id int PRIMARY KEY, name text)',
    "INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 300) i",
    'CREATE TABLE note (id int PRIMARY KEY, text text)',
    'CREATE TABLE log (id serial, who text)',
  )
})
afterAll(() => database.drop())

/** An exchange of a pipeline: no Sync at its end. */
function piped(sql: string, values: (string | null)[] = []): Sent {
  const frames: Frame[] = [
    ['P', '', []],
    ['B', '', ''],
    ['D', 'P', ''],
    ['E', '', 0],
  ]
  return { frames, sql: sql as SafeSql, bind: buildBindRest(values) }
}

const short = ({ error, tag, rows, status }: Outcome) => [error?.sqlstate ?? tag, rows, status]

async function outcomesOf(tape: Tape): Promise<Outcome[]> {
  const { rows, facts } = await replayTape(tape, database.url)
  expect(balances(facts.ledger)).toBe(true)
  expect(facts.ledger.kept.statements).toBe(tape.statements.length)
  return rows.map(({ outcome }) => outcome)
}

describe('statements go out as they were recorded', () => {
  test('simple, unnamed and named ones', async () => {
    const byId = 'SELECT name FROM item WHERE id = $1'
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, simple('SELECT id, name FROM item WHERE id < 3 ORDER BY id'))
        .send(1, unnamed(byId, ['7']))
        .send(2, prepare('by_id', byId))
        .send(2, execute('by_id', byId, ['8']))
        .send(2, execute('by_id', byId, ['9']))
        .send(2, { frames: [['C', 'S', 'by_id'], ['S']] })
        .send(2, execute('by_id', byId, ['9'])),
    )
    expect(outcomes.map(short)).toEqual([
      [
        'SELECT 2',
        [
          ['1', 'item 1'],
          ['2', 'item 2'],
        ],
        'I',
      ],
      ['SELECT 1', [['item 7']], 'I'],
      ['', null, 'I'],
      ['SELECT 1', [['item 8']], 'I'],
      ['SELECT 1', [['item 9']], 'I'],
      ['', null, 'I'],
      ['26000', null, 'I'],
    ])
    expect(outcomes[0]!.columns!.map(({ name }) => name)).toEqual(['id', 'name'])
    expect(outcomes[0]!.digest).toBeInstanceOf(Uint8Array)
  })

  test('binary parameters and results mean the same as text', async () => {
    const sql = 'SELECT id, name FROM item WHERE id = $1' as SafeSql
    const frames: Frame[] = [['P', '', [23]], ['B', '', ''], ['D', 'P', ''], ['E', '', 0], ['S']]
    const bind = buildBindRest([Buffer.from([0, 0, 0, 42])], [BINARY], [BINARY, TEXT])
    const [binary, text] = await outcomesOf(new Tape().send(1, { frames, sql, bind }).send(1, unnamed(sql, ['42'])))
    expect(binary!.rows).toEqual([['42', 'item 42']])
    expect(binary!.rows).toEqual(text!.rows)
    expect(binary!.digest).toEqual(text!.digest)
  })

  test('a named statement that was described once keeps its columns', async () => {
    const sql = 'SELECT id FROM item WHERE id = $1' as SafeSql
    const frames: Frame[] = [['B', '', 's'], ['E', '', 0], ['S']]
    const bind = buildBindRest(['5'], [], [BINARY])
    const [, found] = await outcomesOf(new Tape().send(1, prepare('s', sql)).send(1, { frames, sql, bind }))
    expect(found!.columns!.map(({ name }) => name)).toEqual(['id'])
    expect(found!.rows).toEqual([['5']])
  })

  test('portals with a row limit, fetched in turns', async () => {
    const sql = 'SELECT id FROM item ORDER BY id' as SafeSql
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, simple('BEGIN'))
        .send(1, {
          frames: [['P', '', []], ['B', 'c', ''], ['D', 'P', 'c'], ['E', 'c', 2], ['H']],
          sql,
          bind: buildBindRest([]),
        })
        .send(1, { frames: [['E', 'c', 3], ['S']], sql })
        .send(1, { frames: [['C', 'P', 'c'], ['S']] })
        .send(1, simple('COMMIT')),
    )
    expect(outcomes.map(({ rows, suspended, rowCount }) => [rows?.flat(), suspended, rowCount]).slice(1, 3)).toEqual([
      [['1', '2'], true, 2],
      [['3', '4', '5'], true, 3],
    ])
    expect(outcomes[2]!.columns!.map(({ name }) => name)).toEqual(['id'])
  })

  test('COPY in, by the simple and by the extended protocol, and COPY out', async () => {
    const sql = 'COPY note FROM STDIN' as SafeSql
    const extended: Frame[] = [['P', '', []], ['B', '', ''], ['E', '', 0], ['d'], ['d'], ['c'], ['S']]
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, { ...simple(sql, ['d'], ['c']), copy: Buffer.from('1\tone\n2\ttwo\n') })
        .send(1, { frames: extended, sql, bind: buildBindRest([]), copy: Buffer.from('3\tthree\n') })
        .send(1, { ...simple(sql, ['d'], ['c']), copy: Buffer.from('3\tagain\n') })
        .send(1, { ...simple(sql, ['d'], ['f']), copy: Buffer.from('4\tfour\n') })
        .send(1, simple(sql))
        .send(1, simple('COPY note TO STDOUT'))
        .send(1, simple('SELECT id, text FROM note ORDER BY id')),
    )
    expect(outcomes.map(short)).toEqual([
      ['COPY 2', null, 'I'],
      ['COPY 1', null, 'I'],
      ['23505', null, 'I'],
      ['57014', null, 'I'],
      ['57014', null, 'I'],
      ['COPY 3', null, 'I'],
      [
        'SELECT 3',
        [
          ['1', 'one'],
          ['2', 'two'],
          ['3', 'three'],
        ],
        'I',
      ],
    ])
  })

  test('COPY that the server refuses leaves the session usable, also in the extended protocol', async () => {
    const sql = 'COPY nowhere FROM STDIN' as SafeSql
    const extended: Frame[] = [['P', '', []], ['B', '', ''], ['E', '', 0], ['d'], ['c'], ['S']]
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, { frames: extended, sql, bind: buildBindRest([]), copy: Buffer.from('x\n') })
        .send(1, { ...simple(sql, ['d'], ['c']), copy: Buffer.from('x\n') })
        .send(1, simple('SELECT 1')),
    )
    expect(outcomes.map((outcome) => short(outcome)[0])).toEqual(['42P01', '42P01', 'SELECT 1'])
  })

  test('an extended COPY whose data is not recorded is ended, not waited for', async () => {
    const frames: Frame[] = [['P', '', []], ['B', '', ''], ['E', '', 0], ['S']]
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, { frames, sql: 'COPY note FROM STDIN' as SafeSql, bind: buildBindRest([]) })
        .send(1, simple('SELECT 1')),
    )
    expect(outcomes.map((outcome) => short(outcome)[0])).toEqual(['57014', 'SELECT 1'])
  })

  test('nothing at all is something too', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, simple(''))
        .send(1, { frames: [['S']] })
        .send(1, { frames: [['H']] }),
    )
    expect(outcomes.map(short)).toEqual([
      ['', null, 'I'],
      ['', null, 'I'],
      ['', null, null],
    ])
  })

  test('start-up parameters and the prologue make the session what it was', async () => {
    const parameters = { DateStyle: 'German', application_name: 'shop', user: 'nobody', client_encoding: 'LATIN1' }
    const outcomes = await outcomesOf(
      new Tape()
        .session(1, { parameters, prologue: ["SET work_mem = '7MB'"] })
        .send(1, simple("SELECT date '2024-02-01', current_setting('application_name'), current_setting('work_mem')"))
        .send(2, simple("SELECT date '2024-02-01'")),
    )
    expect(outcomes.map(({ rows }) => rows![0])).toEqual([['01.02.2024', 'shop', '7MB'], ['2024-02-01']])
  })
})

describe('several statements in one message', () => {
  const part = (tape: Tape, sql: string, number: number, statements: number): Tape => {
    const head = tape.statements.at(-number)!
    return tape.send(head.session, {
      frames: [],
      sql: sql as SafeSql,
      part: number,
      transaction: head.transaction,
      sentUs: head.sentUs + number * statements,
    })
  }

  test('each has an outcome, the last one the state', async () => {
    const tape = new Tape().send(1, simple("SELECT 1; INSERT INTO log (who) VALUES ('a'); SELECT 2"))
    part(tape, "INSERT INTO log (who) VALUES ('a')", 1, 3)
    part(tape, 'SELECT 2', 2, 3)
    const outcomes = await outcomesOf(tape.send(1, simple('SELECT 3')))
    expect(outcomes.map(short)).toEqual([
      ['SELECT 1', [['1']], null],
      ['INSERT 0 1', null, null],
      ['SELECT 1', [['2']], 'I'],
      ['SELECT 1', [['3']], 'I'],
    ])
  })

  test('an error ends the message: what came after has neither a tag nor an error', async () => {
    const tape = new Tape().send(1, simple('SELECT 1; SELECT 1/0; SELECT 2'))
    part(tape, 'SELECT 1/0', 1, 3)
    part(tape, 'SELECT 2', 2, 3)
    const outcomes = await outcomesOf(tape.send(1, simple('SELECT 3')))
    expect(outcomes.map(short)).toEqual([
      ['SELECT 1', [['1']], null],
      ['22012', null, null],
      ['', null, 'I'],
      ['SELECT 1', [['3']], 'I'],
    ])
  })
})

describe('pipelines', () => {
  test('every exchange has its own outcome', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, piped('SELECT 1'))
        .send(1, piped('SELECT 2'))
        .send(1, { frames: [['S']] })
        .send(1, unnamed('SELECT 3')),
    )
    expect(outcomes.map(short)).toEqual([
      ['SELECT 1', [['1']], null],
      ['SELECT 1', [['2']], null],
      ['', null, 'I'],
      ['SELECT 1', [['3']], 'I'],
    ])
  })

  test('an error skips everything up to the Sync, and nothing after it', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, piped("INSERT INTO log (who) VALUES ('lost')"))
        .send(1, piped('SELECT 1/0'))
        .send(1, piped('SELECT 2'))
        .send(1, unnamed('SELECT 3'))
        .send(1, unnamed("SELECT count(*) FROM log WHERE who = 'lost'")),
    )
    expect(outcomes.map(short)).toEqual([
      ['INSERT 0 1', null, null],
      ['22012', null, null],
      ['', null, null],
      ['', null, 'I'],
      ['SELECT 1', [['0']], 'I'],
    ])
  })

  test('a large result in the middle, row for row', async () => {
    const tape = new Tape()
      .send(1, piped('SELECT 1'))
      .send(1, piped("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i"))
    const outcomes = await outcomesOf(tape.send(1, { frames: [['S']] }))
    expect(outcomes[1]).toMatchObject({ tag: 'SELECT 20000', rowCount: 20000, rowsCut: true })
    expect(outcomes[1]!.rows).toHaveLength(100)
  })

  test('one that cannot be sent leaves the rest of its pipeline answered', async () => {
    const { rows, skipped, facts } = await replayTape(
      new Tape()
        .send(1, piped('SELECT 1'))
        .send(1, { ...unnamed('SELECT 2'), unreplayable: 'cannot tokenize box' })
        .send(1, unnamed('SELECT 3')),
      database.url,
    )
    expect(rows.map(({ seq, outcome }) => [seq, outcome.tag])).toEqual([
      [1, 'SELECT 1'],
      [3, 'SELECT 1'],
    ])
    expect(skipped).toEqual([{ seq: 2, reason: 'unreplayable: cannot tokenize box' }])
    expect(facts.ledger).toMatchObject({
      seen: { statements: 3, transactions: 3 },
      kept: { statements: 2, transactions: 2 },
      skipped: { 'unreplayable: cannot tokenize box': { statements: 1, transactions: 1 } },
    })
  })
})

describe.each(ENDED)('what production ended with %s', (sqlstate) => {
  test('is ended by the replay, and its transaction with it', async () => {
    const error = { sqlstate, message: '' }
    const tape = new Tape()
      .send(1, simple('BEGIN'))
      .send(1, unnamed("UPDATE item SET name = 'first' WHERE id = $1", ['41']))
      .send(1, {
        ...unnamed("UPDATE item SET name = 'victim' WHERE id = $1", ['42']),
        outcome: { ...NOTHING_CAME, error },
      })
      .send(1, simple('COMMIT'))
    const recording = tape.write()
    const out = join(dirname(recording), 'run.sqlite')
    const plan = { ...planOf(recording), reenacted: Int32Array.of(2, ENDED.indexOf(sqlstate)) }
    const facts = await replay({ recording, plan, target: database.url, out, speed: 'max', workers: 1 })
    const run = openRun(out)
    const outcomes = [...run.rows()].map(({ outcome }) => outcome.error?.sqlstate ?? outcome.tag)
    run.close()
    expect(outcomes).toEqual(['BEGIN', 'UPDATE 1', sqlstate, 'ROLLBACK'])
    expect(facts.reenacted).toBe(1)
    const { rows } = await database.query('SELECT name FROM item WHERE id IN (41, 42) ORDER BY id')
    expect(rows.map(({ name }) => name)).toEqual(['item 41', 'item 42'])
  })
})
