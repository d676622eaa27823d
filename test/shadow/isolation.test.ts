/**
 * A replay can never touch production, nor anything else it was not given: every refusal as a person meets it, with its message and its exit
 * code, on real servers; and what the sessions of a replay may use of their server.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readKey } from '../../privacy/key.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { parseLimits } from '../../replayer/shadow/doors/limits.js'
import { preflight } from '../../replayer/shadow/doors/preflight.js'
import { writeMarker } from '../../replayer/shadow/marker.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { bench, KEEP_ALL, KEY, through } from '../recorder/recording.js'
import { pgrehearse, type Ran } from '../reports/command-line.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const SCHEMA = 'CREATE TABLE t (n int); INSERT INTO t VALUES (1)'
const MARKER = { snapshotId: 's', createdAtMs: 0, policyHash: 'p', keyFingerprint: 'k' }

const at = bench()
let production: TestDatabase
let shadows: OwnedServer
let recording: string
let serial = 0

beforeAll(async () => {
  shadows = await startServer()
  production = await createDatabase(SCHEMA)
  writeFileSync(join(at.folder, 'schema.sql'), 'CREATE TABLE t (n int)')
  for (const [out, key] of [
    ['snap', KEY],
    ['other-key', readKey('0e'.repeat(32))],
  ] as const)
    await takeSnapshot({
      url: production.url,
      out: join(at.folder, out),
      masks: { policy: KEEP_ALL, key },
      madeBy: 'test',
      schemaFile: join(at.folder, 'schema.sql'),
    })
  await restoreSnapshot({ snapshot: join(at.folder, 'snap'), target: shadows.url('golden') })
  await restoreSnapshot({ snapshot: join(at.folder, 'other-key'), target: shadows.url('golden_other') })
  const proxy = await at.start(production.url)
  await withClient(through(production.url, proxy), (client) => client.query('UPDATE t SET n = n + 1'))
  await proxy.stop()
  recording = proxy.path
})
afterAll(async () => {
  await production?.drop()
  await shadows?.stop()
  at.remove()
})

/** A fresh shadow for a test. */
const shadow = (golden = 'golden'): Promise<string> => {
  serial += 1
  return cloneShadow(shadows.url(), golden, `shadow_${serial}`)
}
const command = (...args: string[]) => pgrehearse(at.folder, ...args)
const replay = (target: string, ...flags: string[]) => {
  serial += 1
  return command('replay', recording, '--target', target, '--out', `${serial}.run`, '--speed', 'max', ...flags)
}
const ask = (url: string, sql: string) => withClient(url, async (client) => (await client.query(sql)).rows)

/** One message: what, why, what to do. */
function refused({ exit, err }: Ran, expected: { exit: number; code: string; why: RegExp }): void {
  expect([exit, /\[([A-Z_]+)\]/.exec(err)?.[1]], err).toEqual([expected.exit, expected.code])
  expect(err).toMatch(expected.why)
  expect(err).toMatch(/fix {3}\S/)
}

describe('a target that is', () => {
  test('production itself, also if somebody had marked it as a shadow', async () => {
    const why = /its cluster is the one the recording or snapshot came from \(system identifier \d+\)/
    refused(await replay(production.url), { exit: 2, code: 'TARGET_IS_PRODUCTION', why })
    await writeMarker(production, production.name, { ...MARKER, role: 'shadow' })
    refused(await replay(production.url), { exit: 2, code: 'TARGET_IS_PRODUCTION', why })
    expect((await production.query('SELECT n FROM t')).rows).toEqual([{ n: 2 }])
  })

  test('another database of its cluster', async () => {
    const beside = await createDatabase(SCHEMA)
    const ran = await replay(beside.url)
    refused(ran, { exit: 2, code: 'TARGET_IS_PRODUCTION', why: /system identifier/ })
    await beside.drop()
  })

  test('a database that no restore made', async () => {
    await ask(shadows.url(), 'CREATE DATABASE anybodys')
    await ask(shadows.url('anybodys'), SCHEMA)
    const ran = await replay(shadows.url('anybodys'))
    refused(ran, { exit: 2, code: 'NOT_A_SHADOW', why: /no shadow marker, so it may be anything/ })
    expect(await ask(shadows.url('anybodys'), 'SELECT n FROM t')).toEqual([{ n: 1 }])
  })

  test('unmarked, and does not say which cluster it is of', async () => {
    await ask(
      shadows.url(),
      `CREATE ROLE plain LOGIN PASSWORD 'x'; REVOKE ALL ON FUNCTION pg_control_system() FROM PUBLIC`,
    )
    await ask(shadows.url(), 'CREATE DATABASE plains OWNER plain')
    const url = Object.assign(new URL(shadows.url('plains')), { username: 'plain', password: 'x' }).href
    refused(await replay(url), { exit: 2, code: 'NOT_A_SHADOW', why: /no shadow marker/ })
  })

  test('a golden', async () => {
    refused(await replay(shadows.url('golden')), { exit: 2, code: 'GOLDEN_NOT_A_TARGET', why: /starting state/ })
    expect(await ask(shadows.url('golden'), 'SELECT n FROM t')).toEqual([{ n: 1 }])
  })

  test('in use: somebody is connected, who listens for notifications', async () => {
    const url = await shadow()
    await withClient(`${url}?application_name=mailer`, async (listener) => {
      await listener.query('LISTEN orders')
      const ran = await replay(url)
      refused(ran, { exit: 4, code: 'SHADOW_IN_USE', why: /1 other client is connected to it/ })
    })
    expect(await ask(url, 'SELECT n FROM t')).toEqual([{ n: 1 }])
  })

  test('masked with another key', async () => {
    const ran = await replay(await shadow('golden_other'))
    refused(ran, { exit: 2, code: 'MASKED_OTHERWISE', why: /another key was used/ })
  })

  test('none that can be reached', async () => {
    const ran = await replay('postgres://postgres@127.0.0.1:1/x')
    refused(ran, { exit: 4, code: 'SERVER_UNREACHABLE', why: /cannot connect to x on 127\.0\.0\.1:1/ })
  })

  test('a shadow of its own: is not refused', async () => {
    const url = await shadow()
    const { exit, err } = await replay(url)
    expect(exit, err).toBe(0)
    expect(await ask(url, 'SELECT n FROM t')).toEqual([{ n: 2 }])
  })
})

describe('a way out', () => {
  test('that cannot be shut', async () => {
    const url = await shadow()
    await ask(
      url,
      `CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
       CREATE FOREIGN TABLE far (n int) SERVER files OPTIONS (filename '/none'); CREATE VIEW near AS SELECT n FROM far`,
    )
    const ran = await replay(url)
    refused(ran, { exit: 4, code: 'DOOR_OPEN', why: /foreign table "public"\."far" cannot be shut[\s\S]*--leave-open/ })
    expect(await ask(url, 'SELECT n FROM t')).toEqual([{ n: 1 }])
    expect((await replay(url, '--leave-open', 'files')).exit).toBe(0)
  })

  test('that is to be left open, and is none', async () => {
    const ran = await replay(await shadow(), '--leave-open', 'dblink')
    refused(ran, { exit: 2, code: 'NO_SUCH_DOOR', why: /no door dblink to leave open/ })
  })
})

describe('a restore', () => {
  const restore = (...args: string[]) => command('snapshot', 'restore', 'snap', ...args)
  test('into the cluster that the snapshot was taken of: nothing is created there', async () => {
    const ran = await restore('--to', withDatabase(production.url, 'should_not_be'))
    refused(ran, { exit: 2, code: 'TARGET_IS_PRODUCTION', why: /the recording or snapshot came from/ })
    expect((await production.query(`SELECT FROM pg_database WHERE datname = 'should_not_be'`)).rows).toEqual([])
  })

  test('into a database that exists', async () => {
    refused(await restore('--to', shadows.url('golden')), { exit: 2, code: 'TARGET_EXISTS', why: /exists already/ })
  })

  test('with a migration that starts a program', async () => {
    mkdirSync(join(at.folder, 'migrations'), { recursive: true })
    writeFileSync(join(at.folder, 'migrations', 'V1.sql'), `CREATE TABLE x ();\nCOPY t TO PROGRAM 'false'`)
    const ran = await restore('--to', shadows.url('reaching'), '--migrate', join(at.folder, 'migrations'))
    refused(ran, { exit: 2, code: 'SCRIPT_REACHES_OUT', why: /line 2 reaches out of the database: COPY … PROGRAM/ })
    expect(await ask(shadows.url(), `SELECT FROM pg_database WHERE datname = 'reaching'`)).toEqual([])
  })
})

describe('only what a restore made', () => {
  test.each([
    ['is cloned', (url: string) => command('snapshot', 'clone', url, '--as', 'x')],
    ['is dropped', (url: string) => command('snapshot', 'drop', url)],
  ])('%s', async (_, run) => {
    refused(await run(production.url.replace(production.name, 'postgres')), {
      exit: 2,
      code: 'NOT_A_SHADOW',
      why: /no shadow marker/,
    })
  })
})

describe('the sessions of a replay', () => {
  let url: string
  beforeEach(async () => {
    url = await shadow()
  })
  const limit = (...texts: string[]) =>
    withClient(url, (client) => preflight(client, { limits: parseLimits(texts), sessions: 1 }))
  const ends = (sql: string) =>
    withClient(url, (client) =>
      client.query(sql).then(
        () => 'done',
        ({ code }) => code,
      ),
    )

  test('have limits of these names and no others, with values that the server understands', async () => {
    refused(await replay(url, '--limit', 'fsync=off'), {
      exit: 2,
      code: 'OPTION_VALUE',
      why: /statement_timeout, lock_timeout, .*temp_file_limit, idle_session_timeout, work_mem/,
    })
    refused(await replay(url, '--limit', 'work_mem=lots'), { exit: 4, code: 'LIMIT_REFUSED', why: /invalid value/ })
  })

  test('statement_timeout ends a statement', async () => {
    await limit('statement_timeout=50ms')
    expect(await ends('SELECT pg_sleep(60)')).toBe('57014')
  })

  test('lock_timeout ends a wait for a lock', async () => {
    await limit('lock_timeout=50ms')
    await withClient(url, async (holder) => {
      await holder.query('BEGIN; LOCK TABLE t')
      expect(await ends('SELECT n FROM t')).toBe('55P03')
    })
  })

  test.each([
    ['idle_in_transaction_session_timeout', 'BEGIN', '25P03'],
    ['idle_session_timeout', 'SELECT', '57P05'],
  ])('%s ends a session that does nothing', async (name, sql, code) => {
    await limit(`${name}=50ms`)
    const client = new pg.Client(url)
    // The server says why, and then the connection is gone.
    const ended = new Promise<{ code?: string }>((resolve) =>
      client.on('error', (error: Error & { code?: string }) => resolve(error)),
    )
    await client.connect()
    await client.query(sql)
    expect((await ended).code).toBe(code)
  })

  test('work_mem is what a sort has', async () => {
    await limit('work_mem=64kB')
    expect(await ask(url, 'SHOW work_mem')).toEqual([{ work_mem: '64kB' }])
    const sort = await ask(url, 'EXPLAIN ANALYZE SELECT FROM generate_series(1, 20000) n ORDER BY -n')
    expect(JSON.stringify(sort)).toContain('external merge')
  })

  test('temp_file_limit ends what would fill the disk', async () => {
    await limit('temp_file_limit=100kB', 'work_mem=64kB')
    expect(await ends('SELECT FROM generate_series(1, 200000) n ORDER BY -n')).toBe('53400')
  })

  test('there are no more of them than the recording has, and ten of our own', async () => {
    await limit()
    await ask(url, `CREATE ROLE app_${serial} LOGIN PASSWORD 'x'`)
    const theirs = Object.assign(new URL(url), { username: `app_${serial}`, password: 'x' }).href
    const clients = Array.from({ length: 12 }, () => new pg.Client(theirs))
    const outcomes = await Promise.allSettled(clients.map((client) => client.connect()))
    await Promise.all(clients.map((client) => client.end()))
    expect(outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))).toEqual(['53300'])
  })

  test('without a word each of them has its limits', async () => {
    const ran = await replay(url)
    expect(ran.exit, ran.err).toBe(0)
    const [now] = await ask(
      url,
      `SELECT ${['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'temp_file_limit'].map((name) => `current_setting('${name}') AS ${name}`).join(', ')}`,
    )
    expect(now).toEqual({
      statement_timeout: '1h',
      lock_timeout: '1h',
      idle_in_transaction_session_timeout: '1d',
      temp_file_limit: '20GB',
    })
  })
})
