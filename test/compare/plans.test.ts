/**
 * Plans of statements that are slower: what is read out of two trees, and what real servers answer.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explainPlan, tryIndex, whyNotExplained } from '../../replayer/compare/plans/explain-plan.js'
import { explainSlower, reread } from '../../replayer/compare/plans/explain-slower.js'
import { createIndexSql, indexFor } from '../../replayer/compare/plans/index-for.js'
import { planChanges, readingOf } from '../../replayer/compare/plans/plan-changes.js'
import { explainedPlan } from '../../replayer/compare/plans/plan-tree.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import type { Discrepancy, Finding, LatencyRow } from '../../segment/diff.js'
import type { ExplainedPlan, PlanNode } from '../../segment/explained.js'
import { loadParser } from '../../sql/parse.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

beforeAll(() => loadParser())

const node = (operation: string, more: Partial<PlanNode> = {}): PlanNode => ({
  operation,
  relation: '',
  index: '',
  condition: '',
  filter: '',
  rowsRemoved: 0,
  rowsPlanned: 1,
  rows: 1,
  loops: 1,
  ms: 1,
  pagesHit: 3,
  pagesRead: 0,
  pagesSpilt: 0,
  children: [],
  ...more,
})
const plan = (root: PlanNode, more: Partial<ExplainedPlan> = {}): ExplainedPlan => ({
  root,
  cost: 1,
  planningMs: 0.1,
  executionMs: 10,
  triggers: [],
  settings: {},
  ...more,
})
const byIndex = node('Index Scan', { relation: 'orders', index: 'orders_customer_idx', condition: '(customer = 5)' })
const whole = (relation: string, more: Partial<PlanNode> = {}) =>
  node('Seq Scan', { relation, filter: '(customer = 5)', rowsRemoved: 20_000, rows: 4, rowsPlanned: 4, ...more })

test('a wrong guess comes before the table that is read whole for it, unless an index was tried and helps', () => {
  const guessed = node('Bitmap Heap Scan', { relation: 'orders', rowsPlanned: 13_333, rows: 12 })
  const after = plan(node('Hash Join', { children: [whole('billing'), guessed] }))
  const changes = planChanges(plan(node('Nested Loop', { children: [byIndex] })), after)
  expect(changes.slice(0, 2).map(({ kind }) => kind)).toEqual(['estimate', 'scan'])
  expect(readingOf(changes, after, '')).toBe(
    "V2's planner expected 13,333 rows of Bitmap Heap Scan on orders and got 12: likely stale statistics: ANALYZE after the migration",
  )
  expect(readingOf(changes, after, 'likely a missing index on billing (order_id)')).toContain(
    'V2 reads all 20,004 rows of billing where V1 used orders_customer_idx: likely a missing index on billing (order_id)',
  )
})

describe('what changed between two plans', () => {
  test.each([
    { name: 'nothing', before: plan(byIndex), after: plan(byIndex), says: [] },
    {
      name: 'a table read whole, whatever it is called now',
      before: plan(byIndex),
      after: plan(whole('orders_core')),
      says: ['V2 reads all 20,004 rows of orders_core where V1 used orders_customer_idx'],
    },
    {
      name: 'many times over, within a join',
      before: plan(node('Nested Loop', { children: [node('Seq Scan', { relation: 'a' }), byIndex] })),
      after: plan(
        node('Nested Loop', { children: [node('Seq Scan', { relation: 'a' }), whole('orders', { loops: 50 })] }),
      ),
      says: ['V2 reads all 20,004 rows of orders, 50 times over where V1 used orders_customer_idx'],
    },
    {
      name: 'read whole on both sides: no news',
      before: plan(whole('orders')),
      after: plan(whole('orders')),
      says: [],
    },
    {
      name: 'a small table may be read whole',
      before: plan(byIndex),
      after: plan(whole('orders', { rowsRemoved: 40 })),
      says: ['V2 runs Seq Scan orders where V1 ran Index Scan orders_customer_idx'],
    },
    {
      name: 'a trigger that takes most of the time',
      before: plan(node('Insert'), { triggers: [{ name: 'note', relation: 'orders', calls: 1, ms: 0.1 }] }),
      after: plan(node('Insert'), {
        triggers: [
          { name: 'note', relation: 'orders', calls: 1, ms: 0.1 },
          { name: 'audit', relation: 'orders', calls: 1, ms: 8 },
        ],
      }),
      says: ["trigger audit of orders takes 8.00 ms of V2's 10.0 ms"],
    },
    {
      name: 'a trigger that became slow',
      before: plan(node('Insert'), { triggers: [{ name: 'note', relation: 'orders', calls: 1, ms: 0.1 }] }),
      after: plan(node('Insert'), { triggers: [{ name: 'note', relation: 'orders', calls: 1, ms: 6 }] }),
      says: ["trigger note of orders takes 6.00 ms of V2's 10.0 ms, where it took 0.10 ms"],
    },
    {
      name: 'settings of the planner',
      before: plan(byIndex, { settings: { random_page_cost: '1.1' } }),
      after: plan(byIndex, { settings: { enable_indexscan: 'off' } }),
      says: ['V2 has enable_indexscan = off, V1 the default', 'V1 has random_page_cost = 1.1, V2 the default'],
    },
    {
      name: 'a sort that no longer fits into memory',
      before: plan(node('Sort')),
      after: plan(node('Sort', { pagesSpilt: 1200 })),
      says: ["V2's Sort spills 1,200 pages to disk"],
    },
    {
      name: 'a guess that is far off, and was not',
      before: plan(node('Index Scan', { relation: 'o', index: 'i', rows: 9000, rowsPlanned: 8000 })),
      after: plan(node('Index Scan', { relation: 'o', index: 'i', rows: 9000, rowsPlanned: 1 })),
      says: ["V2's planner expected 1 rows of Index Scan on o and got 9,000"],
    },
    {
      name: 'another join',
      before: plan(node('Hash Join', { children: [byIndex, byIndex] })),
      after: plan(node('Nested Loop', { children: [byIndex, byIndex] })),
      says: ['V2 joins by Nested Loop where V1 joined by Hash Join'],
    },
    {
      name: 'many more pages',
      before: plan(node('Index Scan', { pagesHit: 10 })),
      after: plan(node('Index Scan', { pagesHit: 400, pagesRead: 100 })),
      says: ['V2 looks at 500 pages where V1 looked at 10'],
    },
  ])('$name', ({ before, after, says }) =>
    expect(planChanges(before, after).map(({ sentence }) => sentence)).toEqual(says),
  )

  test('the most telling one is read, with its likely reason', () => {
    const after = plan(whole('orders_core', { pagesHit: 4000 }))
    const changes = planChanges(plan(byIndex), after)
    expect(readingOf(changes, after, '')).toBe(
      'V2 reads all 20,004 rows of orders_core where V1 used orders_customer_idx: likely a missing index on orders_core',
    )
    expect(readingOf([], after, '')).toBe('')
  })
})

describe('which index would help', () => {
  test.each([
    { filter: "(customer = '5'::bigint)", keys: ['customer'] },
    { filter: "((customer = 5) AND (state = 'open'::text))", keys: ['customer', 'state'] },
    { filter: "((o.at >= '2026-01-01'::date) AND (o.customer = 5))", keys: ['customer', 'at'] },
    { filter: "((state)::text = 'open'::text)", keys: ['state'] },
    { filter: '("Customer" = 5)', keys: ['"Customer"'] },
    { filter: "(lower(name) = 'x'::text)", keys: null },
    { filter: "((customer = 5) OR (state = 'open'::text))", keys: null },
    { filter: '', keys: null },
  ])('$filter: $keys', ({ filter, keys }) =>
    expect(indexFor(plan(whole('orders', { filter })))?.keys ?? null).toEqual(keys),
  )
  test('what the rows are sorted by comes after what they are found by', () => {
    const scan = whole('orders', { filter: '(customer = 5)' })
    const idea = indexFor(plan(node('Limit', { children: [node('Sort', { condition: 'at DESC', children: [scan] })] })))
    expect(createIndexSql(idea!)).toBe('CREATE INDEX ON orders (customer, at DESC)')
  })
  test('a plan without a large scan needs none', () => expect(indexFor(plan(byIndex))).toBeNull())
})

test.each([
  { sql: 'SELECT 1', why: '' },
  { sql: 'INSERT INTO t VALUES (1)', why: '' },
  { sql: 'SELECT 1; SELECT 2', why: 'several statements, or none that can be read' },
  { sql: 'CREATE TABLE t ()', why: 'a statement that EXPLAIN does not take' },
  { sql: 'SELECT pg_reload_conf()', why: 'it reaches out of the database' },
  { sql: 'nonsense', why: 'several statements, or none that can be read' },
])('may be run again: $sql', ({ sql, why }) => expect(whyNotExplained(sql)).toBe(why))

test('what one setting makes slower is one finding', () => {
  const finding = (findingId: string) =>
    ({
      findingId,
      mismatch: 'LATENCY_SPIKE',
      fingerprints: [findingId],
      cause: `${findingId} is slower (why?)`,
      count: 3,
      trafficShare: 0.1,
      firstAtMs: 1,
      lastAtMs: 2,
    }) as unknown as Finding
  const plans = ['a', 'b', 'c'].map((fingerprint) => ({
    ...({ fingerprint, seq: 1, before: null, after: null, notExplained: '', suggestion: null } as const),
    changes: [{ kind: fingerprint === 'c' ? ('scan' as const) : ('setting' as const), sentence: '' }],
    reading: fingerprint === 'c' ? 'read whole' : 'V2 has jit = on',
  }))
  const { findings, joined } = reread([finding('a'), finding('b'), finding('c')], plans)
  expect(findings.map(({ cause, count, follows }) => [cause, count, follows])).toEqual([
    ['a is slower; V2 has jit = on', 6, 3],
    ['c is slower; read whole', 3, undefined],
  ])
  expect(Object.fromEntries(joined)).toEqual({ b: 'a' })
})

test.each([null, [], {}, [{}], [{ Plan: 5 }], 'text', [{ Plan: { Plans: [3, null], 'Actual Rows': 'x' } }]])(
  'what is no plan breaks nothing: %j',
  (document) => expect(() => explainedPlan(document)).not.toThrow(),
)

describe('on real servers', () => {
  const SCHEMA = `
    CREATE TABLE stays (stay int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, guest int NOT NULL, at date NOT NULL, note text);
    INSERT INTO stays (guest, at) SELECT i % 5000, date '2025-01-01' + i % 300 FROM generate_series(1, 50000) i;
    ANALYZE stays;`
  let v1: TestDatabase
  let v2: TestDatabase
  beforeAll(async () => {
    v1 = await createDatabase(SCHEMA, 'CREATE INDEX stays_guest_idx ON stays (guest, at DESC)')
    v2 = await createDatabase(
      SCHEMA,
      `CREATE FUNCTION count_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM count(*) FROM stays; RETURN NULL; END $$;
       CREATE TRIGGER count_all AFTER INSERT ON stays FOR EACH ROW EXECUTE FUNCTION count_all()`,
    )
  })
  afterAll(async () => {
    await v1?.drop()
    await v2?.drop()
  })

  const LOOK = 'SELECT stay, at FROM stays WHERE guest = $1 ORDER BY at DESC LIMIT 10'
  const STAY = 'INSERT INTO stays (guest, at) VALUES ($1, $2) RETURNING stay'
  const slow = (fingerprint: string, sql: string, parameters: readonly string[]) => ({
    latency: { fingerprint, verdict: 'slower' } as LatencyRow,
    discrepancy: {
      fingerprint,
      seq: 1,
      sql,
      parameters,
      latencyMsAfter: 9,
      mismatch: 'LATENCY_SPIKE',
    } as unknown as Discrepancy,
    finding: {
      findingId: fingerprint,
      mismatch: 'LATENCY_SPIKE',
      fingerprints: [fingerprint],
      cause: `looking up by ${fingerprint} is 9 times slower: median 9 ms instead of 1 ms (a missing index?)`,
    } as unknown as Finding,
  })
  const explained = (...all: ReturnType<typeof slow>[]) =>
    explainSlower({
      diff: {
        latency: () => all.map(({ latency }) => latency),
        *discrepancies() {
          for (const { discrepancy } of all) yield discrepancy
        },
        findings: () => all.map(({ finding }) => finding),
      },
      beforeUrl: v1.url,
      afterUrl: v2.url,
      searchPath: ['public'],
    })

  test('a missing index: read whole, and an index that was really tried', async () => {
    const { plans, reread } = await explained(slow('look', LOOK, ['77']))
    expect(plans[0]).toMatchObject({ notExplained: '', changes: [{ kind: 'scan' }, { kind: 'work' }] })
    expect(plans[0]?.suggestion).toMatchObject({
      sql: 'CREATE INDEX ON stays (guest, at DESC)',
      tried: 'created',
      used: true,
    })
    expect(reread.findings.map(({ cause }) => cause).join()).toMatch(
      /^looking up by look is 9 times slower: median 9 ms instead of 1 ms; V2 reads all 50,000 rows of stays where V1 used stays_guest_idx: likely a missing index on stays \(guest, at DESC\): tried, and \d[\d.]* times faster$/,
    )
    // It was taken back.
    expect(await indexesOf(v2)).toEqual(['stays_pkey'])
  })

  test('a write is run, measured and taken back: no row, no number drawn', async () => {
    const { plans } = await explained(slow('stay', STAY, ['5', '2026-01-01']))
    expect(plans[0]?.reading).toMatch(/^trigger count_all of stays takes [\d.]+ ms of V2's [\d.]+ ms$/)
    for (const side of [v1, v2]) expect(await stateOf(side)).toEqual({ rows: '50000', last: '50000' })
  })

  test('what fails when it is run again is planned, and that is said', async () => {
    const { plans } = await explained(
      slow('again', 'INSERT INTO stays (stay, guest, at) VALUES (1, 1, $1)', ['2026-01-01']),
    )
    expect(plans[0]?.notExplained).toBe('only planned, since running it again fails: SQLSTATE 23505')
    expect(plans[0]?.after?.root.operation).toBe('Insert')
  })

  test('an endless statement ends, and the reason holds no value', async () => {
    const client = new pg.Client(v1.url)
    await client.connect()
    try {
      const found = await explainPlan(client, { sql: "SELECT 'secret'::int", parameters: [], searchPath: ['public'] })
      expect(found).toEqual({ plan: null, why: 'SQLSTATE 22P02' })
    } finally {
      await client.end()
    }
  })

  async function ask<T>(db: TestDatabase, sql: string): Promise<T[]> {
    const client = new pg.Client(db.url)
    await client.connect()
    try {
      return (await client.query(sql)).rows as T[]
    } finally {
      await client.end()
    }
  }
  const indexesOf = async (db: TestDatabase) =>
    (await ask<{ name: string }>(db, "SELECT indexname AS name FROM pg_indexes WHERE tablename = 'stays'")).map(
      ({ name }) => name,
    )
  const stateOf = async (db: TestDatabase) =>
    (
      await ask<{ rows: string; last: string }>(
        db,
        'SELECT (SELECT count(*) FROM stays)::text AS rows, (SELECT last_value FROM stays_stay_seq)::text AS last',
      )
    )[0]
})

describe('an index on a table too large to build one for a try', () => {
  const BINARIES = '/usr/lib/postgresql/15/bin'
  let server: OwnedServer
  let client: pg.Client
  beforeAll(async () => {
    server = await startServer({ binaries: BINARIES })
    client = new pg.Client(server.url())
    await client.connect()
    await client.query(`CREATE SCHEMA shop; CREATE TABLE shop.big (id int, guest int);
      INSERT INTO shop.big SELECT i, i % 5000 FROM generate_series(1, 20000) i; ANALYZE shop.big;
      UPDATE pg_class SET reltuples = 6e6, relpages = 30000 WHERE oid = 'shop.big'::regclass`)
  })
  afterAll(async () => {
    await client?.end()
    await server?.stop()
  })

  const asked = { sql: 'SELECT id FROM big WHERE guest = $1', parameters: ['7'], searchPath: ['shop'] }
  async function tried() {
    const { plan: now } = await explainPlan(client, asked)
    return tryIndex(client, asked, indexFor(now!)!, now!)
  }

  test('without hypopg there is no try', async () =>
    expect(await tried()).toMatchObject({ tried: 'refused', used: false, msAfter: null }))

  test('with hypopg, wherever it is installed, the planner is asked, and nothing is left', async () => {
    await client.query('CREATE SCHEMA tools; CREATE EXTENSION hypopg SCHEMA tools')
    const suggestion = await tried()
    expect(suggestion).toMatchObject({
      sql: 'CREATE INDEX ON shop.big (guest)',
      tried: 'hypothetical',
      used: true,
      msAfter: null,
    })
    expect(suggestion.costAfter).toBeLessThan(suggestion.costBefore / 2)
    const { rows } = await client.query("SELECT indexname FROM pg_indexes WHERE tablename = 'big'")
    expect(rows).toEqual([])
    expect((await client.query('SELECT count(*)::int AS left FROM tools.hypopg_list_indexes')).rows).toEqual([
      { left: 0 },
    ])
  })
})
