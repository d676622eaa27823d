/**
 * A snapshot that was interrupted: what is finished of it stays where nothing has changed since, and a table whose connection is lost is read
 * again.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readKey } from '../../privacy/key.js'
import { EMPTY_POLICY } from '../../privacy/policy/policy.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import type { SnapshotFacts } from '../../replayer/shadow/snapshot/format.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { type TakeOptions, takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { pgrehearse } from '../reports/command-line.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { contents } from './support.js'

const TABLES = ['a', 'b', 'c', 'd', 'e']
const SCHEMA = TABLES.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, note text);`).join('\n')
const KEY = readKey('a1'.repeat(32))

let production: TestDatabase
let shadows: OwnedServer
let room: string
let out: string
let serial = 0
beforeAll(async () => {
  shadows = await startServer()
})
afterAll(() => shadows?.stop())
beforeEach(async () => {
  room = mkdtempSync(join(tmpdir(), 'resume-test-'))
  out = join(room, 'snap')
  writeFileSync(join(room, 'schema.sql'), SCHEMA)
  production = await createDatabase(
    SCHEMA,
    ...TABLES.map(
      (name, at) => `INSERT INTO ${name} SELECT n, '${name} ' || n FROM generate_series(1, ${1000 * (5 - at)}) n`,
    ),
  )
})
afterEach(async () => {
  await production.drop()
  rmSync(room, { recursive: true, force: true })
})

const take = (options: Partial<TakeOptions> = {}): Promise<SnapshotFacts> =>
  takeSnapshot({
    url: production.url,
    out,
    masks: { policy: EMPTY_POLICY, key: KEY },
    madeBy: 'test',
    schemaFile: join(room, 'schema.sql'),
    connections: 1,
    ...options,
  })
const part = () => join(room, 'snap.part')
const journal = () => join(part(), 'tables.jsonl')
const finished = (): string[] =>
  existsSync(journal())
    ? readFileSync(journal(), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).facts.name)
    : []
const modified = (file: string) => statSync(join(room, file)).mtimeMs

/** Tables are read by size; the third cannot be read, because somebody else takes its right away. */
async function interrupt(): Promise<unknown> {
  const role = `reader_${production.name}`
  await production.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT SELECT ON a, b, d, e TO ${role}`)
  const url = Object.assign(new URL(production.url), { username: role, password: 'x' }).href
  await production.query(`GRANT UPDATE ON c TO ${role}`)
  const error = await take({ url }).catch((reason) => reason)
  await production.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  return error
}

/** What a snapshot taken in one go would hold: the same key makes the same tokens. */
async function sameAsWhole(): Promise<void> {
  const whole = join(room, `whole-${++serial}`)
  await take({ out: whole })
  const urls: string[] = []
  for (const snapshot of [out, whole]) {
    const target = shadows.url(`resumed_${++serial}`)
    await restoreSnapshot({ snapshot, target })
    urls.push(target)
  }
  const [resumed, expected] = await Promise.all(urls.map((url) => withClient(url, contents)))
  expect(resumed).toEqual(expected)
}

describe('after an interruption', () => {
  test('what is finished is kept, masked and for its owner only; --resume takes the rest and nothing twice', async () => {
    const error = await interrupt()
    expect(error).toMatchObject({
      code: 'TABLE_FORBIDDEN',
      detail: expect.stringContaining('2 tables are finished and kept'),
    })
    expect(finished()).toEqual(['a', 'b'])
    expect(existsSync(out)).toBe(false)
    expect(statSync(part()).mode & 0o077).toBe(0)
    const [first] = readdirSync(join(part(), 'data'))
    const before = modified(`snap.part/data/${first}`)
    const facts = await take({ resume: true })
    expect(existsSync(part())).toBe(false)
    expect(modified(`snap/data/${first}`)).toBe(before)
    expect(readdirSync(out).sort()).toEqual(['data', 'schema.sql', 'snapshot.json'])
    expect(facts.tables.map(({ name, rows }) => [name, rows]).sort()).toEqual(
      TABLES.map((name, at) => [name, 1000 * (5 - at)]),
    )
    await sameAsWhole()
  })

  test.each([
    ['a row was added', `INSERT INTO a VALUES (0, 'new')`],
    ['a row was changed', `UPDATE a SET note = 'other' WHERE id = 7`],
    ['a row was removed, and its place cleaned up', 'DELETE FROM a WHERE id = 7'],
    ['one was removed and another added', `DELETE FROM a WHERE id = 7; INSERT INTO a VALUES (0, 'new')`],
    [
      'it was emptied and filled anew',
      `TRUNCATE a; INSERT INTO a SELECT n, 'new ' || n FROM generate_series(1, 5000) n`,
    ],
  ])('a table is taken anew where %s', async (_, sql) => {
    await interrupt()
    await production.query(sql)
    await production.query('VACUUM a')
    const facts = await take({ resume: true })
    const { rows } = await production.query('SELECT count(*)::int AS rows FROM a')
    expect(facts.tables.find(({ name }) => name === 'a')!.rows).toBe(rows[0].rows)
    await sameAsWhole()
  })

  test('also when a transaction that was under way then has ended since', async () => {
    const id = 4_999
    await withClient(production.url, async (open) => {
      await open.query(`BEGIN; SAVEPOINT s; INSERT INTO a VALUES (0, 'under way'); RELEASE s`)
      await interrupt()
      await open.query('COMMIT')
    })
    await production.query(`DELETE FROM a WHERE id = ${id}`)
    await take({ resume: true })
    await sameAsWhole()
  })

  test('a column that changed: its tables are taken anew', async () => {
    await interrupt()
    await production.query('ALTER TABLE a ADD COLUMN more text')
    writeFileSync(join(room, 'schema.sql'), `${SCHEMA} ALTER TABLE a ADD COLUMN more text;`)
    const facts = await take({ resume: true })
    expect(facts.tables.find(({ name }) => name === 'a')!.columns).toEqual(['id', 'note', 'more'])
    await sameAsWhole()
  })

  test('a file that is not what was written is taken anew', async () => {
    await interrupt()
    const file = JSON.parse(readFileSync(journal(), 'utf8').split('\n')[0]!).facts.file
    writeFileSync(join(part(), file), 'half')
    // As a process that was killed leaves it: a line cut off, and a file nobody finished.
    writeFileSync(journal(), `${readFileSync(journal(), 'utf8')}{"oid":1,"fac`)
    writeFileSync(join(part(), 'data', '0003.copy.gz'), 'begun')
    await take({ resume: true })
    await sameAsWhole()
  })

  test('without --resume it begins anew', async () => {
    await interrupt()
    const [first] = readdirSync(join(part(), 'data'))
    const before = modified(`snap.part/data/${first}`)
    await take()
    expect(modified(`snap/data/${first}`)).not.toBe(before)
    await sameAsWhole()
  })

  test('a table whose connection is lost is read again, and the rest goes on', async () => {
    await production.query(`INSERT INTO a SELECT n, repeat('long ', 200) || n FROM generate_series(10000, 30000) n`)
    let ended = 0
    const facts = await take({
      onProgress: ({ rows }) => {
        if (ended > 0 || rows === 0) return
        ended = 1
        void production.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'COPY%a%' AND pid <> pg_backend_pid()`,
        )
      },
    })
    expect(ended).toBe(1)
    expect(facts.tables.find(({ name }) => name === 'a')!.rows).toBe(5000 + 20001)
    await sameAsWhole()
  })
})

describe('refused', () => {
  const command = (...args: string[]) =>
    pgrehearse(room, 'snapshot', 'take', '--from', production.url, '--out', 'snap', '--schema', 'schema.sql', ...args)

  test('to go on with another key', async () => {
    await interrupt()
    const { exit, err } = await command('--resume')
    expect([exit, err.includes('[CANNOT_RESUME]')], err).toEqual([2, true])
    expect(err).toContain('it was masked with another key')
    expect(finished()).toEqual(['a', 'b'])
  })

  test('a folder in its place that is nobody’s draft', async () => {
    await interrupt()
    rmSync(part(), { recursive: true })
    writeFileSync(part(), 'mine')
    const { exit, err } = await command()
    expect([exit, err.includes('[OUT_EXISTS]')], err).toEqual([2, true])
    expect(readFileSync(part(), 'utf8')).toBe('mine')
  })

  test('a second one while the first is at it', async () => {
    await interrupt()
    // The process that started this one is alive, whoever it is.
    writeFileSync(join(part(), 'draft.json'), JSON.stringify({ pid: process.ppid }))
    const { exit, err } = await command('--resume')
    expect([exit, err.includes('[SNAPSHOT_IN_PROGRESS]')], err).toEqual([4, true])
    expect(finished()).toEqual(['a', 'b'])
  })
})
