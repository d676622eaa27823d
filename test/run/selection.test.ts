/** What a time window and --only leave out, and what they must not: the statements that the rest stands on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseOnly } from '../../replayer/run/only.js'
import type { Filter } from '../../replayer/run/selection.js'
import { balances, imbalance } from '../../segment/ledger.js'
import type { Frame, SafeSql } from '../../segment/statement.js'
import { natureOf } from '../../sql/nature.js'
import { fingerprint, loadParser } from '../../sql/parse.js'
import { buildBindRest } from '../../wire/bind.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Replayed, replayTape } from './support.js'
import { execute, prepare, type Sent, simple, Tape, unnamed } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  await loadParser()
  database = await createDatabase(
    'CREATE TABLE item (id int PRIMARY KEY, name text)',
    "INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 300) i",
    'CREATE TABLE log (id serial, who text)',
    'CREATE SCHEMA shop',
    'CREATE TABLE shop.orders (id int)',
  )
})
afterAll(() => database.drop())

function chosen(tape: Tape, filter: Partial<Filter>, waits: { of: number; for: number }[] = []): Promise<Replayed> {
  return replayTape(tape, database.url, {
    waits,
    filter: { fromUs: null, toUs: null, only: null, words: ['--for a test'], ...filter },
  })
}

const only = (...texts: string[]) => ({ only: parseOnly(texts) })
const seqs = ({ rows }: Replayed) => rows.map(({ seq }) => seq)
const filtered = ({ facts }: Replayed) =>
  Object.entries(facts.ledger.filtered).map(([reason, { statements, transactions }]) => [
    reason,
    statements,
    transactions,
  ])
/** The tape's clock starts at one second, and a statement takes a millisecond. */
const atMs = (ms: number) => 1_000_000 + ms * 1000

const inTransaction = (transaction: number, sent: Sent): Sent => ({ ...sent, transaction: 9000 + transaction })

/** Prepares and executes in one exchange, as drivers do the first time. */
function prepareAndExecute(name: string, sql: string, values: (string | null)[]): Sent {
  const frames: Frame[] = [['P', name, []], ['B', '', name], ['D', 'P', ''], ['E', '', 0], ['S']]
  return { frames, sql: sql as SafeSql, bind: buildBindRest(values), parameters: values }
}

describe('--only', () => {
  const mixed = () =>
    new Tape()
      .session(1, { user: 'app' })
      .session(2, { user: 'report' })
      .send(1, unnamed('SELECT name FROM item WHERE id = $1', ['1']))
      .send(1, unnamed("INSERT INTO log (who) VALUES ('x')"))
      .send(2, simple('SELECT count(*) FROM shop.orders'))
      .send(2, simple('SELECT name FROM item WHERE id = 2'))
      .send(2, simple('COPY log (who) TO STDOUT'))

  test.each([
    { name: 'by table', texts: ['table=item'], sent: [1, 4] },
    { name: 'by table with its schema', texts: ['table=shop.orders'], sent: [3] },
    { name: 'by table of any schema', texts: ['table=orders,log'], sent: [2, 3, 5] },
    { name: 'by session', texts: ['session=2'], sent: [3, 4, 5] },
    { name: 'by user', texts: ['user=app'], sent: [1, 2] },
    { name: 'by class', texts: ['class=insert'], sent: [2] },
    { name: 'what reads', texts: ['class=read'], sent: [1, 3, 4, 5] },
    { name: 'what writes', texts: ['class=write'], sent: [2] },
    { name: 'two keys have to hold together', texts: ['user=report', 'table=item'], sent: [4] },
  ])('$name', async ({ texts, sent }) => {
    const replayed = await chosen(mixed(), only(...texts))
    expect(seqs(replayed)).toEqual(sent)
    expect(filtered(replayed)).toEqual([['not chosen by --only', 5 - sent.length, 5 - sent.length]])
    expect(imbalance(replayed.facts.ledger)).toEqual({ statements: 0, transactions: 0 })
    expect(replayed.skipped).toEqual([])
    expect(replayed.facts.settings.filter).toEqual(['--for a test'])
  })

  test('by fingerprint, or its beginning: every statement of one shape', async () => {
    const wanted = fingerprint('SELECT name FROM item WHERE id = 77')
    expect(seqs(await chosen(mixed(), only(`fingerprint=${wanted.slice(0, 8)}`)))).toEqual([1, 4])
  })

  test('nothing chosen is a mistake, not an empty run', async () => {
    await expect(chosen(mixed(), only('table=nowhere'))).rejects.toMatchObject({ code: 'NOTHING_CHOSEN' })
  })

  test('settings, and the frame of a transaction, are sent with what stands on them', async () => {
    const replayed = await chosen(
      new Tape()
        .send(1, simple("SET DateStyle = 'German'"))
        .send(1, inTransaction(1, simple('BEGIN')))
        .send(1, inTransaction(1, simple("INSERT INTO log (who) VALUES ('left out')")))
        .send(1, inTransaction(1, simple("SELECT date '2024-02-01' FROM item WHERE id = 1")))
        .send(1, inTransaction(1, simple('ROLLBACK')))
        .send(1, inTransaction(2, simple('BEGIN')))
        .send(1, inTransaction(2, simple("INSERT INTO log (who) VALUES ('left out')")))
        .send(1, inTransaction(2, simple('COMMIT')))
        .send(2, simple("SET DateStyle = 'German'"))
        .send(2, simple("INSERT INTO log (who) VALUES ('left out')")),
      only('table=item'),
    )
    expect(seqs(replayed)).toEqual([1, 2, 4, 5])
    expect(replayed.rows[2]!.outcome.rows).toEqual([['01.02.2024']])
    expect(filtered(replayed)).toEqual([['not chosen by --only', 6, 4]])
    expect(balances(replayed.facts.ledger)).toBe(true)
    const { rows } = await database.query("SELECT count(*)::int AS count FROM log WHERE who = 'left out'")
    expect(rows).toEqual([{ count: 0 }])
  })

  test('temporary tables keep what they hold', async () => {
    const replayed = await chosen(
      new Tape()
        .send(1, simple('CREATE TEMP TABLE mine (id int)'))
        .send(1, simple('INSERT INTO mine VALUES (1), (2)'))
        .send(1, simple('INSERT INTO log (who) VALUES ($$other$$)'))
        .send(1, simple('SELECT count(*) FROM item JOIN mine USING (id)')),
      only('table=item'),
    )
    expect(seqs(replayed)).toEqual([1, 2, 4])
    expect(replayed.rows[2]!.outcome.rows).toEqual([['2']])
  })

  test('a cursor goes with the statement it was declared for; EXECUTE with what was prepared', async () => {
    const replayed = await chosen(
      new Tape()
        .send(1, inTransaction(1, simple('BEGIN')))
        .send(1, inTransaction(1, simple('DECLARE c CURSOR FOR SELECT id FROM item ORDER BY id')))
        .send(1, inTransaction(1, simple('DECLARE d CURSOR FOR SELECT who FROM log')))
        .send(1, inTransaction(1, simple('FETCH 2 FROM c')))
        .send(1, inTransaction(1, simple('FETCH 2 FROM d')))
        .send(1, inTransaction(1, simple('COMMIT')))
        .send(1, simple('PREPARE p AS SELECT name FROM item WHERE id = 3'))
        .send(1, simple('EXECUTE p')),
      only('table=item'),
    )
    expect(seqs(replayed)).toEqual([1, 2, 4, 6, 7, 8])
    expect(replayed.rows.map(({ outcome }) => outcome.rows).filter((rows) => rows)).toEqual([
      [['1'], ['2']],
      [['item 3']],
    ])
  })

  test('what a left out statement waited for, and who waited for it, keep their order', async () => {
    const tape = new Tape()
    const waits: { of: number; for: number }[] = []
    for (let i = 0; i < 60; i++) {
      if (i % 3 === 1) tape.send(2, simple('SELECT who FROM log LIMIT 1'))
      else tape.send(i % 3 === 0 ? 1 : 3, unnamed('SELECT clock_timestamp() FROM item WHERE id = 1', []))
      if (i > 0) waits.push({ of: i + 1, for: i })
    }
    const { rows, facts } = await chosen(tape, only('table=item'), waits)
    expect(rows).toHaveLength(40)
    expect(rows.every(({ timing }, i) => i === 0 || timing.sentUs >= rows[i - 1]!.timing.doneUs)).toBe(true)
    expect(facts.orderRelaxed).toBe(0)
  })

  test('a statement left out of the middle of a pipeline ends nothing, and its Sync is sent', async () => {
    const piped = (sql: string): Sent => ({ ...unnamed(sql), frames: unnamed(sql).frames.slice(0, -1) })
    const replayed = await chosen(
      new Tape()
        .send(1, inTransaction(1, piped('SELECT 1 FROM item WHERE id = 1')))
        .send(1, inTransaction(1, piped("INSERT INTO log (who) VALUES ('left out')")))
        .send(1, inTransaction(1, piped('SELECT 2 FROM item WHERE id = 1')))
        .send(1, inTransaction(1, unnamed('SELECT 3 FROM log')))
        .send(1, unnamed('SELECT 4 FROM item WHERE id = 1')),
      only('table=item'),
    )
    expect(replayed.rows.map(({ seq, outcome }) => [seq, outcome.rows])).toEqual([
      [1, [['1']]],
      [3, [['2']]],
      [5, [['4']]],
    ])
    expect(balances(replayed.facts.ledger)).toBe(true)
  })
})

describe('--from and --to', () => {
  test('a transaction is in the window when it begins there, and goes to its end', async () => {
    const tape = new Tape()
      .send(1, inTransaction(1, simple('BEGIN')))
      .send(1, inTransaction(1, simple('SELECT 1')))
      .send(2, inTransaction(2, simple('BEGIN')))
      .send(1, inTransaction(1, simple('COMMIT')))
      .send(2, inTransaction(2, simple('SELECT 2')))
      .send(3, simple('SELECT 3'))
      .send(2, inTransaction(2, simple('COMMIT')))
    const replayed = await chosen(tape, { fromUs: atMs(2), toUs: atMs(4) })
    expect(seqs(replayed)).toEqual([3, 5, 7])
    expect(filtered(replayed)).toEqual([
      ['after --to', 1, 1],
      ['before --from', 3, 1],
    ])
  })

  test('the schedule begins with the window', async () => {
    const tape = new Tape().send(1, simple('SELECT 1')).pause(3_600_000_000).send(1, simple('SELECT 2'))
    const second = tape.statements[1]!.sentUs
    const { rows } = await replayTape(tape, database.url, {
      speed: 1,
      filter: { fromUs: second, toUs: null, only: null, words: [] },
    })
    expect(rows.map(({ seq, timing }) => [seq, timing.dueUs])).toEqual([[2, 0]])
  })

  test('what was set before it is set; what was prepared before it is prepared when it is needed', async () => {
    const byId = 'SELECT name FROM item WHERE id = $1'
    const nowhere = 'SELECT * FROM not_on_this_target'
    const tape = new Tape()
      .send(1, simple("SET application_name = 'kept'"))
      .send(1, prepareAndExecute('by_id', byId, ['1']))
      .send(1, prepareAndExecute('nowhere', nowhere, []))
      .send(1, simple("INSERT INTO log (who) VALUES ('before')"))
    const fromUs = tape.statements.at(-1)!.sentUs + 500
    tape
      .send(1, inTransaction(5, simple('BEGIN')))
      .send(1, inTransaction(5, execute('by_id', byId, ['7'])))
      .send(1, inTransaction(5, simple("SELECT current_setting('application_name')")))
      .send(1, inTransaction(5, simple('COMMIT')))
      .send(1, execute('by_id', byId, ['8']))
    const replayed = await chosen(tape, { fromUs })
    expect(replayed.rows.map(({ seq, outcome }) => [seq, outcome.error, outcome.rows?.flat()])).toEqual([
      [1, null, undefined],
      [5, null, undefined],
      [6, null, ['item 7']],
      [7, null, ['kept']],
      [8, null, undefined],
      [9, null, ['item 8']],
    ])
    expect(filtered(replayed)).toEqual([['before --from', 3, 3]])
  })

  test('a name that was left out and closed, and is prepared anew in the window, is what the window says', async () => {
    const tape = new Tape().send(1, prepare('s', 'SELECT 1')).send(1, { frames: [['C', 'S', 's'], ['S']] })
    const fromUs = tape.statements.at(-1)!.sentUs + 500
    tape.send(1, prepare('s', 'SELECT 2')).send(1, execute('s', 'SELECT 2'))
    const { rows } = await chosen(tape, { fromUs })
    expect(rows.map(({ outcome }) => [outcome.error, outcome.rows])).toEqual([
      [null, null],
      [null, [['2']]],
    ])
  })
})

test.each([
  ['SELECT 1', 'data', ['select'], false, []],
  ['WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x, s.b', 'data', ['select'], true, ['a', 's.b']],
  ['SELECT * INTO c FROM a', 'data', ['ddl'], true, ['a', 'c']],
  ['INSERT INTO a SELECT * FROM b WHERE EXISTS (SELECT FROM c)', 'data', ['insert'], true, ['a', 'b', 'c']],
  ['MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN DELETE', 'data', ['merge'], true, ['a', 'b']],
  ['COPY a FROM STDIN', 'data', ['copy'], true, ['a']],
  ['COPY (SELECT * FROM a) TO STDOUT', 'data', ['copy'], false, ['a']],
  ['TRUNCATE a, b', 'data', ['truncate'], true, ['a', 'b']],
  ['ALTER TABLE a ADD COLUMN b int', 'data', ['ddl'], true, ['a']],
  ['CREATE INDEX ON a (b)', 'data', ['ddl'], true, ['a']],
  ['VACUUM a', 'data', ['other'], false, ['a']],
  ['EXPLAIN SELECT * FROM a', 'data', ['other'], false, ['a']],
  ['DO $$BEGIN END$$', 'data', ['call'], false, []],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'transaction', [], false, []],
  ['SET TRANSACTION READ ONLY', 'transaction', [], false, []],
  ['SAVEPOINT a', 'transaction', [], false, []],
  ['SET LOCAL work_mem = 1000', 'session', [], false, []],
  ['LISTEN a', 'session', [], false, []],
  ['DISCARD ALL', 'session', [], false, []],
  ['not sql at all', 'data', ['other'], false, []],
  ['', 'nothing', [], false, []],
  ['BEGIN; INSERT INTO a VALUES (1); COMMIT', 'data', ['insert'], true, ['a']],
])('%s is %s', (sql, role, classes, writes, tables) => {
  const nature = natureOf(sql)
  expect([nature.role, nature.classes, nature.writes, [...nature.tables].sort()]).toEqual([
    role,
    classes,
    writes,
    tables,
  ])
})

test.each(['tables=a', 'table', 'table=', 'class=reads', 'session=x', 'fingerprint=xyz', 'user=a,,b'])(
  '--only %s is refused',
  (text) => expect(() => parseOnly([text])).toThrow(/--only cannot be/),
)
