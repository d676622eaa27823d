/** What real clients sent through the proxy comes back with the same outcomes, for every way a driver has to send it. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildPlan } from '../../replayer/plan/build.js'
import { replay } from '../../replayer/run/replay.js'
import { balances } from '../../segment/ledger.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { type Bench, bench, through } from '../recorder/recording.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const SCHEMA = [
  'CREATE TABLE account (id int PRIMARY KEY, balance numeric NOT NULL CHECK (balance >= 0), note text)',
  "INSERT INTO account SELECT i, 100, 'account ' || i FROM generate_series(1, 20) i",
  'CREATE TABLE plain (a int)',
  'CREATE TABLE entry (id serial PRIMARY KEY, account_id int REFERENCES account, amount numeric)',
]

let at: Bench
let production: TestDatabase
let shadow: TestDatabase
beforeAll(async () => {
  at = bench()
  production = await createDatabase(...SCHEMA)
  shadow = await createDatabase(...SCHEMA)
})
afterAll(async () => {
  at.remove()
  await production.drop()
  await shadow.drop()
})

type Work = (client: pg.Client, n: number) => Promise<unknown>

/** Transfers between accounts that all sessions share, with errors on the way. */
const transfer: Work = async (client, n) => {
  for (let i = 0; i < 25; i++) {
    const [from, to] = [1 + ((n + i) % 20), 1 + ((n * 7 + i * 3) % 20)].sort((a, b) => a - b)
    await client.query('BEGIN')
    try {
      await client.query({
        name: 'take',
        text: 'UPDATE account SET balance = balance - $2 WHERE id = $1',
        values: [from, 30],
      })
      await client.query('UPDATE account SET balance = balance + $2 WHERE id = $1 RETURNING balance', [to, 30])
      await client.query('INSERT INTO entry (account_id, amount) VALUES ($1, $2) RETURNING id', [to, 30])
      await client.query('COMMIT')
    } catch {
      await client.query('ROLLBACK')
    }
    await client.query({ name: 'one', text: 'SELECT id, balance, note FROM account WHERE id = $1', values: [from] })
  }
}

const variety: Work = async (client) => {
  await client.query("SELECT 1; SELECT 'two' AS b; SET application_name = 'several'").catch(() => {})
  await client.query('SELECT 1; SELECT 1/0; SELECT 3').catch(() => {})
  await client.query("SET DateStyle = 'German'")
  await client.query("SELECT date '2024-03-01', NULL, '', 'ä€'")
  await client.query('SELECT nothing').catch(() => {})
  await pipeline(Readable.from(['1\n2\n3\n']), client.query(copyFrom('COPY plain FROM STDIN')))
  await client.query({ text: 'SELECT a FROM plain ORDER BY a', rowMode: 'array' })
  await client.query('SELECT $1::int + 1, $2::text, $3::jsonb', [41, 'text', '{"b": 1, "a": 2}'])
  await client.query({ text: 'SELECT $1::int8, $2::bool', values: [7, true], binary: true } as pg.QueryConfig)
  await client.query('')
}

const pipelined: Work = (client) =>
  Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      client.query(i === 13 ? 'SELECT 1/0' : 'SELECT note FROM account WHERE id = $1', i === 13 ? [] : [1 + (i % 20)]),
    ).map((query) => query.catch(() => {})),
  )

test.each([
  { name: 'by causal order', workers: 2 },
  { name: 'by causal order, more workers than cores', workers: 4 },
])('recorded through the proxy, replayed $name', async ({ workers }) => {
  const proxy = await at.start(production.url)
  const url = through(production.url, proxy)
  await Promise.all([
    ...Array.from({ length: 6 }, (_, n) => session(url, {}, transfer, n)),
    session(url, {}, variety, 0),
    session(url, { pipeline: true } as pg.ClientConfig, pipelined, 0),
  ])
  await proxy.stop()

  const recording = openRecording(proxy.path)
  const { plan, ambiguous } = await buildPlan(recording)
  const out = join(at.folder, `run-${workers}.sqlite`)
  const facts = await replay({ recording: proxy.path, plan, target: shadow.url, out, workers })
  const run = openRun(out)
  const differences: unknown[] = []
  let compared = 0
  for (const { seq, sql, outcome } of recording.statements()) {
    const row = run.row(seq)
    // Statements that raced in production have two right answers, and the replay gives one of them.
    if (ambiguous[compared++] !== 0) continue
    if (JSON.stringify(essence(outcome)) !== JSON.stringify(row && essence(row.outcome))) {
      differences.push([seq, sql, essence(outcome), row && essence(row.outcome)])
    }
  }
  run.close()
  recording.close()
  rmSync(out)
  expect(compared).toBeGreaterThan(500)
  expect(differences).toEqual([])
  expect(balances(facts.ledger)).toBe(true)
  expect(facts).toMatchObject({ orderRelaxed: 0, incidents: [] })
  const sum = 'SELECT sum(balance), (SELECT sum(amount) FROM entry), (SELECT max(id) FROM entry) FROM account'
  expect((await shadow.query(sum)).rows).toEqual((await production.query(sum)).rows)
})

async function session(url: string, config: pg.ClientConfig, work: Work, n: number): Promise<void> {
  const client = new pg.Client({ connectionString: url, ...config })
  await client.connect()
  await work(client, n)
  await client.end()
}

/** All that says whether two outcomes are the same; oids of tables differ from database to database. */
function essence({ error, tag, rowCount, columns, digest, rows, suspended, status }: Outcome): unknown {
  return [
    error?.sqlstate,
    tag,
    rowCount,
    columns?.map(({ name }) => name),
    digest && Buffer.from(digest).toString('hex'),
    rows,
    suspended,
    status,
  ]
}
