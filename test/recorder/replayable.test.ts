/** Drivers that speak differently, and the ORMs on top of them: the same results as direct, and a recording that can be replayed. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { eq, sql } from 'drizzle-orm'
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres'
import { integer, jsonb, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import pg from 'pg'
import postgres from 'postgres'
import { DataTypes, Sequelize } from 'sequelize'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildPlan } from '../../replayer/plan/build.js'
import { replay } from '../../replayer/run/replay.js'
import { balances } from '../../segment/ledger.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, through } from './recording.js'

const run = promisify(execFile)

const SCHEMA = [
  `CREATE TABLE member (id serial PRIMARY KEY, name text NOT NULL, age int, data jsonb, tags text[], raw bytea,
     big int8, price numeric(10, 2), joined timestamptz DEFAULT '2024-05-06 07:08:09Z')`,
  `INSERT INTO member (name, age, data, tags, raw, big, price)
     SELECT 'member ' || i, i, jsonb_build_object('n', i), ARRAY['a', 'b ' || i], decode('00ff', 'hex'), 1::int8 << 40, i / 3.0
     FROM generate_series(1, 100) i`,
]

let at: Bench
let production: TestDatabase
let direct: TestDatabase
let shadow: TestDatabase
beforeEach(async () => {
  at = bench()
  production = await createDatabase(...SCHEMA)
  direct = await createDatabase(...SCHEMA)
  shadow = await createDatabase(...SCHEMA)
})
afterEach(async () => {
  at.remove()
  for (const database of [production, direct, shadow]) await database.drop()
})

const member = pgTable('member', {
  id: serial('id').primaryKey(),
  name: text('name').notNull(),
  age: integer('age'),
  data: jsonb('data'),
  joined: timestamp('joined', { withTimezone: true }),
})

type Database = ReturnType<typeof drizzlePg> | ReturnType<typeof drizzlePostgres>

async function drizzled(database: Database): Promise<unknown[]> {
  const db = database as ReturnType<typeof drizzlePg>
  const results: unknown[] = [await db.select().from(member).where(eq(member.age, 7))]
  results.push(
    await db
      .insert(member)
      .values({ name: 'new', data: { deep: [1, 'two'] } })
      .returning(),
  )
  results.push(
    await db
      .update(member)
      .set({ age: sql`${member.age} + 1` })
      .where(eq(member.id, 3))
      .returning(),
  )
  await db.transaction(async (inner) => {
    await inner.insert(member).values([{ name: 'x' }, { name: 'y', age: 3 }])
    await inner
      .transaction(async (savepoint) => {
        await savepoint.delete(member).where(eq(member.id, 4))
        savepoint.rollback()
      })
      .catch(() => {})
  })
  results.push(await db.select({ n: sql<number>`count(*)::int` }).from(member))
  return results
}

async function porsager(url: string): Promise<unknown[]> {
  const db = postgres(url, { max: 2, onnotice: () => {} })
  const results: unknown[] = [
    // Pipelined: all are sent before the first is answered.
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => db`SELECT id, name, tags, data FROM member WHERE id = ${i}`),
    ),
    await db`SELECT ${true}::bool AS t, ${123}::int AS i, ${'2024-01-02'}::date AS d, ${db.json({ a: 1 })}::jsonb AS j`,
    await db`INSERT INTO member ${db(
      [
        { name: 'a', age: 1 },
        { name: 'b', age: 2 },
      ],
      'name',
      'age',
    )} RETURNING *`,
    await db`SELECT 1 / ${0}::int`.catch((error: { code: string }) => error.code),
    await db.unsafe('SELECT 1 AS a; SELECT 2 AS b').simple(),
  ]
  await db.begin(async (inner) => {
    await inner`UPDATE member SET age = age + 1 WHERE id IN ${inner([1, 2, 3])}`
    await inner
      .savepoint(async (point) => {
        await point`DELETE FROM member WHERE id = 5`
        throw new Error('back')
      })
      .catch(() => {})
  })
  for await (const rows of db`SELECT id FROM member ORDER BY id`.cursor(30)) results.push(rows.length)
  await db.end()
  return results
}

async function sequelized(url: string): Promise<unknown[]> {
  const db = new Sequelize(url, { logging: false, pool: { max: 1 } })
  const Member = db.define(
    'member',
    { name: DataTypes.TEXT, age: DataTypes.INTEGER, data: DataTypes.JSONB },
    { freezeTableName: true, timestamps: false },
  )
  const plain = (model: { toJSON(): unknown } | null) => model?.toJSON()
  const results: unknown[] = [(await Member.findAll({ where: { age: [3, 4, 5] }, order: ['id'] })).map(plain)]
  results.push(plain(await Member.create({ name: "quo'te", data: { k: '$1' } })))
  await db.transaction(async (transaction) => {
    await Member.update({ age: 1000 }, { where: { id: 10 }, transaction })
    await Member.destroy({ where: { id: 11 }, transaction })
  })
  results.push(await Member.count())
  await db.close()
  return results
}

/** Each value in binary, in both directions. */
async function binary(url: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  const results: unknown[] = []
  for (let i = 1; i < 20; i++) {
    const text = 'SELECT id, name, age, raw, big FROM member WHERE id = $1 AND raw = $2'
    const query = { name: 'binary', text, values: [i, Buffer.from([0, 255])], binary: true }
    results.push((await client.query(query as pg.QueryConfig)).rows)
  }
  await client.end()
  return results
}

const onPath = (program: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))

async function libpq(url: string): Promise<unknown[]> {
  const script = 'SELECT id, name FROM member WHERE id = $1 \\bind 5 \\g\n'
  const lines = [
    "INSERT INTO member (name) VALUES ('by psql') RETURNING id;",
    '\\copy member (name, age) FROM STDIN',
    'c1\t1',
    'c2\t2',
    '\\.',
    'SELECT count(*) FROM member;',
    'SELECT 1/0;',
    'BEGIN; SAVEPOINT s; DELETE FROM member WHERE id = 1; ROLLBACK TO s; COMMIT;',
    // What this psql does not know yet, it says so, with and without a proxy.
    script,
  ]
  const child = run('psql', ['-XAt', url])
  child.child.stdin!.end(lines.join('\n'))
  const { stdout } = await child
  return [stdout]
}

const WORK: readonly { name: string; work: (url: string) => Promise<unknown[]>; runs?: boolean }[] = [
  { name: 'postgres: pipelined, cursors, savepoints', work: porsager },
  {
    name: 'drizzle on node-postgres',
    work: async (url) => {
      const pool = new pg.Pool({ connectionString: url, max: 1 })
      return drizzled(drizzlePg(pool)).finally(() => pool.end())
    },
  },
  {
    name: 'drizzle on postgres',
    work: async (url) => {
      const client = postgres(url, { max: 1 })
      return drizzled(drizzlePostgres(client)).finally(() => client.end())
    },
  },
  { name: 'sequelize', work: sequelized },
  { name: 'node-postgres in binary', work: binary },
  { name: 'libpq through psql', work: libpq, runs: onPath('psql') },
]

for (const { name, work, runs = true } of WORK) {
  test.runIf(runs)(`${name}: equal to direct, and replays with equal outcomes and tables`, async () => {
    const expected = await work(direct.url)
    const proxy = await at.start(production.url)
    expect(await work(through(production.url, proxy))).toEqual(expected)
    const manifest = await proxy.stop()
    expect(balances(manifest!.ledger)).toBe(true)
    expect(manifest!.ledger.lost).toEqual({})
    expect(await differences(proxy.path, shadow.url)).toEqual([])
    const rows = 'SELECT * FROM member ORDER BY id'
    expect((await shadow.query(rows)).rows).toEqual((await production.query(rows)).rows)
  })
}

test.runIf(onPath('pgbench'))('pgbench -M prepared, eight clients: replays to equal tables', async () => {
  const tables = 'accounts tellers branches history'.split(' ')
  for (const { url } of [production, shadow]) await run('pgbench', ['-i', '-q', '-s', '1', url])
  const proxy = await at.start(production.url)
  await run('pgbench', ['-n', '-M', 'prepared', '-c', '8', '-t', '20', through(production.url, proxy)])
  const manifest = await proxy.stop()
  expect(manifest!.ledger.lost).toEqual({})
  // The columns of its history hold the time of day.
  await differences(proxy.path, shadow.url)
  for (const table of tables) {
    const columns = table === 'history' ? 'tid, bid, aid, delta' : '*'
    const rows = `SELECT ${columns} FROM pgbench_${table} ORDER BY 1, 2, 3`
    expect((await shadow.query(rows)).rows).toEqual((await production.query(rows)).rows)
  }
})

async function differences(path: string, target: string): Promise<unknown[]> {
  const recording = openRecording(path)
  const { plan } = await buildPlan(recording)
  const out = join(at.folder, 'run.sqlite')
  const facts = await replay({ recording: path, plan, target, out, workers: 2 })
  const replayed = openRun(out)
  const found: unknown[] = []
  for (const { seq, sql, outcome, unreplayable } of recording.statements()) {
    const row = replayed.row(seq)
    // Its types have other oids in another database.
    if (/\bpg_type\b/.test(sql)) continue
    const [before, after] = [essence(outcome), row && essence(row.outcome)]
    if (unreplayable !== null || JSON.stringify(before) !== JSON.stringify(after))
      found.push([sql, unreplayable, before, after])
  }
  replayed.close()
  recording.close()
  expect(balances(facts.ledger)).toBe(true)
  return found
}

/** What says whether two outcomes are the same; oids of tables differ from database to database. */
function essence({ error, tag, rowCount, columns, digest, suspended, status }: Outcome): unknown {
  const sums = digest && Buffer.from(digest).toString('hex')
  return [error?.sqlstate, tag, rowCount, columns?.map(({ name }) => name), sums, suspended, status]
}
