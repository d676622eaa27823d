/** Replaying with a mapping on the new schema: every way in which a client sends a statement, and what comes of it. */
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import type { RewriteSource } from '../../replayer/rewrite/rewriter.js'
import { balances } from '../../segment/ledger.js'
import type { Outcome } from '../../segment/outcome.js'
import type { Frame, SafeSql } from '../../segment/statement.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { replayTape } from '../run/support.js'
import { execute, prepare, simple, Tape, unnamed } from '../run/tape.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { SPLIT } from './split-world.js'

let before: TestDatabase
let after: TestDatabase
let folder: string
let source: RewriteSource
beforeAll(async () => {
  before = await createDatabase(SPLIT.before)
  after = await createDatabase(SPLIT.before, SPLIT.after)
  folder = await mkdtemp(join(tmpdir(), 'pgr-rewrite-'))
  source = await sourceOf(SPLIT.mapping)
})
afterAll(async () => {
  await Promise.all([before.drop(), after.drop()])
  await rm(folder, { recursive: true })
})

async function sourceOf(text: string): Promise<RewriteSource> {
  const file = 'mapping.yaml'
  const [old, now] = [await readCatalog(before), await readCatalog(after)]
  return { text, file, folder, hash: parseMapping(text, file).hash, before: old, after: now }
}

const short = ({ error, tag, rows }: Outcome) => [error?.sqlstate ?? tag, rows]

async function outcomesOf(tape: Tape, rewrite: RewriteSource = source): Promise<Outcome[]> {
  const { rows, facts } = await replayTape(tape, after.url, { rewrite })
  expect(balances(facts.ledger)).toBe(true)
  expect(facts.ledger.kept.statements).toBe(tape.statements.length)
  expect(facts.settings.rewriteHash).toBe(rewrite.hash)
  return rows.map(({ outcome }) => outcome)
}

describe('with rules about tables', () => {
  test('simple, unnamed and named statements', async () => {
    const byId = 'SELECT status, cents FROM orders WHERE order_id = $1'
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, simple(`SELECT order_id, cents FROM orders WHERE order_id = 3`))
        .send(1, simple(`SELECT order_id, cents FROM orders WHERE order_id = 4`))
        .send(1, unnamed(byId, ['5']))
        .send(1, prepare('by_id', byId))
        .send(1, execute('by_id', byId, ['6']))
        .send(1, execute('by_id', byId, ['7'])),
    )
    expect(outcomes.map(short)).toEqual([
      ['SELECT 1', [['3', '300']]],
      ['SELECT 1', [['4', '400']]],
      ['SELECT 1', [['sent', '500']]],
      ['', null],
      ['SELECT 1', [['new', '600']]],
      ['SELECT 1', [['paid', '700']]],
    ])
  })

  test('writes keep their row count', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, simple('BEGIN'))
        .send(
          1,
          unnamed(
            `UPDATE orders SET cents = cents + $1, status = 'sent' WHERE order_id < 4 RETURNING order_id, cents`,
            ['1'],
          ),
        )
        .send(1, unnamed('DELETE FROM orders WHERE cents > $1', ['1500']))
        .send(1, simple('ROLLBACK')),
    )
    expect(outcomes.map(({ tag }) => tag)).toEqual(['BEGIN', 'UPDATE 3', 'DELETE 5', 'ROLLBACK'])
  })

  test('the pieces of a text with several statements', async () => {
    const sql = `BEGIN; UPDATE orders SET cents = 1, status = 'paid' WHERE order_id = 2; SELECT cents FROM orders WHERE order_id = 2; ROLLBACK`
    const [whole] = await outcomesOf(new Tape().send(1, simple(sql)))
    expect(whole!.error).toBeNull()
  })

  test('COPY into a table that was split goes through a temporary table, and counts as a COPY', async () => {
    const copy: Frame[] = [['d'], ['c']]
    const data = Buffer.from('900\t1\t5\tfresh\n901\t2\t6\t\\N\n')
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, { ...simple('COPY orders (order_id, customer_id, cents, code) FROM STDIN', ...copy), copy: data })
        .send(1, simple('SELECT order_id, cents, code, currency FROM orders WHERE order_id >= 900 ORDER BY order_id'))
        .send(1, simple('DELETE FROM orders WHERE order_id >= 900')),
    )
    expect(outcomes.map(short)).toEqual([
      ['COPY 2', null],
      [
        'SELECT 2',
        [
          ['900', '5', 'fresh', 'EUR'],
          ['901', '6', null, 'EUR'],
        ],
      ],
      ['DELETE 2', null],
    ])
  })

  test('COPY whose rows are refused is an error, and nothing stays behind', async () => {
    const copy: Frame[] = [['d'], ['c']]
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, {
          ...simple('COPY orders (order_id, customer_id, cents) FROM STDIN', ...copy),
          copy: Buffer.from('900\t99\t5\n'),
        })
        .send(1, simple('SELECT count(*) FROM orders WHERE order_id >= 900')),
    )
    expect(outcomes.map(short)).toEqual([
      ['23503', null],
      ['SELECT 1', [['0']]],
    ])
  })
})

describe('with statements written by hand', () => {
  const mapping = `${SPLIT.mapping}
statements:
  - pattern: SELECT name FROM customers WHERE customer_id = $1
    sql: SELECT upper(name) AS name FROM customers WHERE customer_id = $1::int
  - pattern: UPDATE customers SET name = $2 WHERE customer_id = $1
    sql:
      - UPDATE customers SET note = 'was changed' WHERE customer_id = $1::int
      - UPDATE customers SET name = $2 WHERE customer_id = $1::int
  - pattern: UPDATE customers SET note = $2 WHERE customer_id = $1
    sql:
      - SELECT 1 / ($1::int - 1)
      - UPDATE customers SET note = $2 WHERE customer_id = $1::int
  - pattern: SELECT count(*) FROM customers WHERE note = 'x'
    sql: [SELECT count(*) FROM customers, SELECT $1 || 'y' AS other]
    result: 1
`

  test('one for one; in a simple query its literals are the parameters', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, unnamed('SELECT name FROM customers WHERE customer_id = $1', ['3']))
        .send(1, simple('SELECT name FROM customers WHERE customer_id = 4')),
      await sourceOf(mapping),
    )
    expect(outcomes.map(short)).toEqual([
      ['SELECT 1', [['CUSTOMER 3']]],
      ['SELECT 1', [['CUSTOMER 4']]],
    ])
  })

  test('several for one: the last gives the result, all of them take effect', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, simple('BEGIN'))
        .send(1, unnamed('UPDATE customers SET name = $2 WHERE customer_id = $1', ['3', 'new']))
        .send(1, simple('SELECT name AS n, note FROM customers WHERE customer_id = 3'))
        .send(1, simple('ROLLBACK')),
      await sourceOf(mapping),
    )
    expect(outcomes.map(short)[1]).toEqual(['UPDATE 1', null])
    expect(outcomes.map(short)[2]).toEqual(['SELECT 1', [['new', 'was changed']]])
  })

  test('an error of any of them is the error of the statement', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, unnamed('UPDATE customers SET note = $2 WHERE customer_id = $1', ['1', 'x']))
        .send(1, unnamed('UPDATE customers SET note = $2 WHERE customer_id = $1', ['2', 'even'])),
      await sourceOf(mapping),
    )
    expect(outcomes.map(({ error, tag }) => error?.sqlstate ?? tag)).toEqual(['22012', 'UPDATE 1'])
  })

  test('the result may be that of an earlier one', async () => {
    const outcomes = await outcomesOf(
      new Tape().send(1, simple(`SELECT count(*) FROM customers WHERE note = 'z'`)),
      await sourceOf(mapping),
    )
    expect(outcomes.map(short)).toEqual([['SELECT 1', [['6']]]])
  })
})

describe('with statements after the one that gives the result', () => {
  const ASKED = 'SELECT name FROM customers WHERE customer_id = $1'
  const mapping = (...after: string[]) => `version: 1
statements:
  - pattern: ${ASKED}
    result: 2
    sql:
      - SELECT 'before', 1 AS one, 2 AS two
      - SELECT upper(name) AS name FROM customers WHERE customer_id = $1::int
${after.map((sql) => `      - ${sql}\n`).join('')}`
  const noted = `UPDATE customers SET note = 'seen' WHERE customer_id = $1::int`

  test('by the simple protocol, unnamed and named: all take effect, the second answers', async () => {
    const outcomes = await outcomesOf(
      new Tape()
        .send(1, simple('BEGIN'))
        .send(1, unnamed(ASKED, ['3']))
        .send(1, simple('SELECT name FROM customers WHERE customer_id = 4'))
        .send(1, prepare('asked', ASKED))
        .send(1, execute('asked', ASKED, ['5']))
        .send(1, execute('asked', ASKED, ['6']))
        .send(1, simple(`SELECT customer_id FROM customers WHERE note = 'seen' ORDER BY 1`))
        .send(1, simple('ROLLBACK')),
      await sourceOf(mapping(noted, 'SELECT 3, 4, 5')),
    )
    const asked = (n: number) => ['SELECT 1', [[`CUSTOMER ${n}`]]]
    expect(outcomes.map(short).slice(1, -1)).toEqual([
      asked(3),
      asked(4),
      ['', null],
      asked(5),
      asked(6),
      ['SELECT 4', [['3'], ['4'], ['5'], ['6']]],
    ])
    expect(outcomes.map(({ status }) => status).slice(0, 3)).toEqual(['T', 'T', 'T'])
  })

  test('an error of a later one is the error of the statement, and undoes it', async () => {
    const outcomes = await outcomesOf(
      new Tape().send(1, unnamed(ASKED, ['1'])).send(1, simple(`SELECT count(*) FROM customers WHERE note = 'seen'`)),
      await sourceOf(mapping(noted, 'SELECT 1 / ($1::int - 1)')),
    )
    expect(outcomes.map(short)).toEqual([
      ['22012', null],
      ['SELECT 1', [['0']]],
    ])
  })

  test('a pipeline without a Sync of its own goes on after it', async () => {
    const piped = (value: string) => ({ ...unnamed(ASKED, [value]), frames: unnamed(ASKED).frames.slice(0, -1) })
    const outcomes = await outcomesOf(
      new Tape().send(1, piped('1')).send(1, piped('2')).send(1, unnamed('SELECT 7')),
      await sourceOf(mapping('SELECT 8')),
    )
    expect(outcomes.map(({ rows }) => rows)).toEqual([[['CUSTOMER 1']], [['CUSTOMER 2']], [['7']]])
  })

  test('its time is that of all of them', async () => {
    const sent = [unnamed(ASKED, ['1']), simple('SELECT name FROM customers WHERE customer_id = 4')]
    const tape = sent.reduce((all, one) => all.send(1, one), new Tape())
    const rewrite = await sourceOf(mapping('SELECT pg_sleep(0.2)'))
    const { rows } = await replayTape(tape, after.url, { rewrite })
    // The server slept that long at least.
    for (const { timing } of rows) expect(timing.doneUs - timing.sentUs).toBeGreaterThanOrEqual(199_000)
  })
})

test.each([
  ['hook.mjs', ''],
  ['hook.ts', ': { readonly sql: string }'],
])('a hook, %s, says what rules cannot; null leaves a statement to the rules', async (name, type) => {
  writeFileSync(
    join(folder, name),
    `export function rewrite({ sql }${type}) { return sql.includes('magic') ? ['SET LOCAL TimeZone = \\'UTC\\'', 'SELECT 42 AS magic'] : null }`,
  )
  const outcomes = await outcomesOf(
    new Tape()
      .send(1, simple('SELECT magic'))
      .send(1, unnamed('SELECT magic'))
      .send(1, simple('SELECT cents FROM orders WHERE order_id = 1')),
    await sourceOf(`${SPLIT.mapping}\nhook: ./${name}\n`),
  )
  expect(outcomes.map(short)).toEqual([
    ['SELECT 1', [['42']]],
    ['SELECT 1', [['42']]],
    ['SELECT 1', [['100']]],
  ])
})

test('a session whose statements were prepared before the recording began has them rewritten too', async () => {
  const sql = 'SELECT cents FROM orders WHERE order_id = $1' as SafeSql
  const outcomes = await outcomesOf(
    new Tape().session(1, { prologue: [`PREPARE known (bigint) AS ${sql}`] }).send(1, execute('known', sql, ['2'])),
  )
  expect(outcomes.map(short)).toEqual([['SELECT 1', [['200']]]])
})
