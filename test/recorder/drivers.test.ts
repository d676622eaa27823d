import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { equalOrdered } from '../../segment/digest.js'
import { balances } from '../../segment/ledger.js'
import { buildQuery } from '../../wire/frontend.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { RawSession } from './raw-session.js'
import { type Bench, bench, recordOf } from './recording.js'

const run = promisify(execFile)

let db: TestDatabase
let at: Bench
beforeAll(async () => {
  at = bench()
  db = await createDatabase(
    'CREATE TABLE people (id int PRIMARY KEY, email text, born date, score numeric, data jsonb, tags text[])',
    `INSERT INTO people SELECT i, 'p' || i || '@example.org', date '2000-01-01' + i, i / 3.0, jsonb_build_object('n', i),
       ARRAY['a', 'b ' || i] FROM generate_series(1, 5000) i`,
  )
})
afterAll(async () => {
  at.remove()
  await db.drop()
})

test('node-postgres: the same results through the proxy, many sessions at once', async () => {
  const work = async (url: string) => {
    const pool = new pg.Pool({ connectionString: url, max: 6 })
    const results = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const whole = await pool.query('SELECT * FROM people WHERE id > $1 ORDER BY id LIMIT 20', [i * 50])
        const named = await pool.query({
          name: 'by-mail',
          text: 'SELECT * FROM people WHERE email = $1',
          values: [`p${i}@example.org`],
        })
        const failed = await pool.query('SELECT $1::int / 0', [i]).catch((error: { code: string }) => error.code)
        return [whole.rows, whole.fields, named.rows, failed]
      }),
    )
    await pool.end()
    return results
  }
  const direct = await work(db.url)
  let proxied: unknown
  const { statements, manifest, sessions } = await recordOf(at, db.url, async (url) => {
    proxied = await work(url)
  })
  expect(proxied).toEqual(direct)
  // pg-pool throws a connection away after an error.
  expect(sessions.length).toBeGreaterThanOrEqual(6)
  expect(statements).toHaveLength(180)
  expect(balances(manifest.ledger)).toBe(true)
  const failed = statements.filter(({ outcome }) => outcome.error !== null)
  expect(failed).toHaveLength(60)
})

test('a client that does not read stops the server, and fills no memory', async () => {
  const { manifest } = await recordOf(at, db.url, async (url) => {
    const client = await RawSession.connect(url)
    const pid = (await client.ask({ send: buildQuery('SELECT pg_backend_pid()') }))
      .toString('latin1')
      .match(/\d{2,}/)![0]
    client.pause()
    // 400 MB, should anyone take them.
    void client.ask({ send: buildQuery("SELECT repeat('x', 1000) FROM generate_series(1, 400000)") })
    const before = process.memoryUsage().rss
    let blocked = 0
    let began = false
    while (blocked < 50) {
      const { rows } = await db.query('SELECT state, wait_event FROM pg_stat_activity WHERE pid = $1', [pid])
      began ||= rows[0].state === 'active'
      if (began) expect(rows[0].state).toBe('active')
      blocked = rows[0].wait_event === 'ClientWrite' ? blocked + 1 : 0
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
    client.drop()
  })
  expect(manifest.ledger.seen.statements).toBe(2)
  expect(balances(manifest.ledger)).toBe(true)
})

test('a result larger than the ring passes whole; its statement is lost, and counted', async () => {
  const rows = 100_000
  const { manifest, statements } = await recordOf(
    at,
    db.url,
    async (url) => {
      const client = new pg.Client(url)
      await client.connect()
      const sql = `SELECT i AS n, repeat('x', 200) AS filler FROM generate_series(1, ${rows}) i`
      expect((await client.query(sql)).rows).toHaveLength(rows)
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      await client.end()
    },
    { ringBytes: 256 * 1024 },
  )
  expect(manifest.ledger.lost['ring full']).toEqual({ statements: 1, transactions: 1 })
  expect(statements.map(({ sql }) => sql)).toEqual(['SELECT 1 AS one'])
})

test('rows beyond the kept ones are in the digest', async () => {
  const twice = async (last: number) => {
    const sql = `SELECT CASE WHEN i = 5000 THEN ${last} ELSE i END AS n FROM generate_series(1, 5000) i`
    const { statements } = await recordOf(at, db.url, async (url) => {
      const client = new pg.Client(url)
      await client.connect()
      await client.query(sql)
      await client.end()
    })
    return statements[0]!.outcome
  }
  const [one, same, other] = [await twice(1), await twice(1), await twice(2)]
  expect(one).toMatchObject({ rowCount: 5000, rowsCut: true })
  expect(one.rows).toHaveLength(100)
  expect(equalOrdered(one.digest!, same.digest!)).toBe(true)
  expect(equalOrdered(one.digest!, other.digest!)).toBe(false)
})

test('COPY in and out with pg-copy-streams', async () => {
  const { statements } = await recordOf(at, db.url, async (url) => {
    const client = new pg.Client(url)
    await client.connect()
    await client.query('CREATE TABLE copied (id int, email text)')
    await pipeline(
      async function* () {
        for (let i = 0; i < 5000; i++) yield Buffer.from(`${i}\tc${i}@example.org\n`)
      },
      client.query(copyFrom('COPY copied FROM STDIN')),
    )
    expect((await client.query('SELECT count(*)::int AS n FROM copied')).rows).toEqual([{ n: 5000 }])
    await client.end()
  })
  const copy = statements[1]!
  expect(copy.frames.map(([kind]) => kind)).toEqual(['Q', 'd', 'c'])
  expect(copy.outcome.tag).toBe('COPY 5000')
  // A table made since the recording began is not in the catalog, so nobody knows what its columns hold.
  expect(copy.unreplayable ?? Buffer.from(copy.copy!).toString().split('\n').length).toBeTruthy()
})

test('LISTEN and NOTIFY arrive, and are events', async () => {
  const { events, statements } = await recordOf(at, db.url, async (url) => {
    const client = new pg.Client(url)
    await client.connect()
    const heard = new Promise((resolve) => client.once('notification', resolve))
    await client.query('LISTEN news')
    await db.query("SELECT pg_notify('news', 'paper')")
    expect(await heard).toMatchObject({ channel: 'news', payload: 'paper' })
    await client.end()
  })
  expect(statements.map(({ sql }) => sql)).toEqual(['LISTEN news'])
  expect(events.map(({ kind }) => kind)).toEqual(['notify', 'disconnect'])
  expect(JSON.stringify(events)).not.toContain('paper')
})

const onPath = (program: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))

test.runIf(onPath('psql'))('psql: startup with TLS asked for and refused, then several statements', async () => {
  const { statements, sessions } = await recordOf(at, db.url, async (url) => {
    const script = ['-XAtq', '-c', 'SELECT 1; SELECT 2', '-c', '\\copy (SELECT id FROM people LIMIT 2) TO STDOUT', url]
    const { stdout } = await run('psql', script, { env: { ...process.env, PGSSLMODE: 'prefer' } })
    expect(stdout).toBe('1\n2\n1\n2\n')
  })
  expect(sessions[0]!.application).toBe('psql')
  expect(statements.map(({ part, outcome }) => [part, outcome.tag])).toEqual([
    [0, 'SELECT 1'],
    [1, 'SELECT 1'],
    [0, 'COPY 2'],
  ])
})

test.runIf(onPath('pgbench'))('pgbench: prepared, pipelined, eight clients', async () => {
  const { statements, manifest } = await recordOf(at, db.url, async (url) => {
    await run('pgbench', ['-i', '-q', '-s', '1', url])
    await run('pgbench', ['-n', '-M', 'prepared', '-c', '8', '-t', '50', url])
  })
  expect(balances(manifest.ledger)).toBe(true)
  const updates = statements.filter(
    ({ sql, frames }) => sql.startsWith('UPDATE pgbench_accounts') && frames.some(([kind]) => kind === 'E'),
  )
  expect(updates).toHaveLength(400)
  expect(
    updates.every(({ parameters, bind, outcome }) => parameters.length === 2 && bind && outcome.tag === 'UPDATE 1'),
  ).toBe(true)
})
