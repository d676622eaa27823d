/**
 * COPY into and out of tables that changed, by the messages a client sends: replayed as recorded on the old schema and through the mapping on
 * the new one. The outcomes are equal, and so are the tables afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import type { RewriteSource } from '../../replayer/rewrite/rewriter.js'
import type { Outcome } from '../../segment/outcome.js'
import type { RunRow } from '../../segment/run.js'
import type { Frame } from '../../segment/statement.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { replayTape } from '../run/support.js'
import { simple, Tape } from '../run/tape.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { CHANGED } from './changed-world.js'
import { PARTITIONED } from './partition-world.js'
import { SPLIT } from './split-world.js'
import type { WorldParts } from './world.js'

type Case = readonly [sql: string, data?: string]

describe.each([
  {
    what: 'split in several',
    parts: SPLIT,
    cases: [
      ['COPY orders (order_id, customer_id, cents, code) FROM STDIN', '900\t1\t5\tfresh\n901\t2\t6\t\\N\n'],
      ['COPY orders FROM STDIN WITH (FORMAT csv)', '910,1,paid,2025-03-01T00:00:00Z,x,7,USD,stripe,"{""a"": 1}"\n'],
      ['COPY orders (order_id, customer_id, cents) FROM STDIN', '920\t99\t5\n'],
      ['COPY orders (order_id, cents, extra) TO STDOUT'],
      ['COPY (SELECT status, count(*) FROM orders GROUP BY 1 ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER)'],
    ],
  },
  {
    what: 'renamed, converted and merged',
    parts: CHANGED,
    cases: [
      ['COPY users FROM STDIN', '500\ta@b\tAda\t170\t1\t\\N\n501\tc@d\tÄnne\t\\N\t\\N\t\\N\n'],
      ['COPY users (email, "Größe") FROM STDIN CSV', 'e@f,181\n'],
      ['COPY users (email) FROM STDIN', 'u1@example.org\n'],
      ['COPY public.teams (team_id, title) FROM STDIN', '9\tnine\n'],
      ['COPY products (product_id, sku, price_cents) FROM STDIN', '70\tsku-70\t1234\n71\tsku-71\t5\n'],
      ['COPY products (product_id, sku, price_cents) FROM STDIN', '72\tsku-72\t-1\n'],
      ['COPY invoices FROM STDIN', '50\t12.50\tfifty\n51\t\\N\t\\N\n'],
      ['COPY users (id, full_name, "Größe") TO STDOUT'],
      ['COPY products TO STDOUT WITH (FORMAT csv, HEADER)'],
      ['COPY receipts TO STDOUT'],
      ['TRUNCATE invoices'],
    ],
  },
  {
    what: 'lying in several tables by a predicate',
    parts: PARTITIONED,
    cases: [
      ['COPY events (event_id, kind, amount) FROM STDIN', '700\tbuy\t5\n701\tclick\t6\n702\tother\t7\n'],
      ['COPY (SELECT event_id, kind, amount FROM events ORDER BY 1) TO STDOUT'],
    ],
  },
] satisfies readonly { what: string; parts: WorldParts; cases: readonly Case[] }[])('$what', ({ parts, cases }) => {
  let before: TestDatabase
  let after: TestDatabase
  let rewrite: RewriteSource
  beforeAll(async () => {
    before = await createDatabase(parts.before)
    after = await createDatabase(parts.before, parts.after)
    const [text, file] = [parts.mapping, 'mapping.yaml']
    const [old, now] = [await readCatalog(before), await readCatalog(after)]
    rewrite = { text, file, folder: '.', hash: parseMapping(text, file).hash, before: old, after: now }
  })
  afterAll(() => Promise.all([before.drop(), after.drop()]))

  test('copies the same rows, in and out', async () => {
    const sqls = (cases as readonly Case[]).map(([sql]) => sql)
    const wanted = await replayTape(tapeOf(cases), before.url)
    const got = await replayTape(tapeOf(cases), after.url, { rewrite })
    const said = (rows: readonly RunRow[]) => rows.map(({ outcome }, i) => [sqls[i], shown(outcome)])
    expect(said(got.rows)).toEqual(said(wanted.rows))
    for (const [table, query] of Object.entries(parts.tables))
      expect(await rowsOf(after, query), table).toEqual(await rowsOf(before, `SELECT * FROM ${table}`))
  })
})

function tapeOf(cases: readonly Case[]): Tape {
  const tape = new Tape()
  for (const [sql, data] of cases)
    tape.send(1, data === undefined ? simple(sql) : { ...simple(sql, ...DATA), copy: Buffer.from(data) })
  return tape
}

const DATA: readonly Frame[] = [['d'], ['c']]

function shown({ error, tag, rows, digest }: Outcome): unknown {
  return error === null ? { tag, rows, digest } : { error: error.sqlstate }
}

async function rowsOf(database: TestDatabase, sql: string): Promise<unknown[]> {
  const { rows } = await database.query(`SELECT t::text FROM (${sql}) t ORDER BY 1`)
  return rows.map(({ t }) => t)
}
