/**
 * Ways out that a copy brings along, that a migration makes, or that something injected into a replay makes: none of them is ever used.
 *
 * A file that a program would write says whether one ran; stand-ins of extensions note in a table whether they were really called.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { type RestoreResult, restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import type { RunFacts } from '../../segment/run.js'
import { openRun } from '../../segment/run-file.js'
import { bench, KEEP_ALL, KEY, through } from '../recorder/recording.js'
import { pgrehearse, type Ran } from '../reports/command-line.js'
import { createStandIns } from './stand-ins.js'

const SCHEMA = `
  CREATE EXTENSION http; CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw; CREATE EXTENSION pg_cron;
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  CREATE FUNCTION mail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF (http_get('http://127.0.0.1:9/mail')).status <> 200 THEN RAISE 'mail refused'; END IF; RETURN NEW; END$$;
  CREATE FUNCTION tell() RETURNS text LANGUAGE sql AS $$SELECT 'told'$$;
  CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
  CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'x', password 'y');
  CREATE FOREIGN TABLE far (n int) SERVER elsewhere;
  CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = 'theirs')`
const TRIGGER = 'CREATE TRIGGER mails BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION mail()'
/** Production is not to knock at these doors either. */
const SUBSCRIPTION = /CREATE SUBSCRIPTION[^;]*/

const require = createRequire(import.meta.url)
const standIns = createStandIns()
const at = bench()
let live: OwnedServer
let shadows: OwnedServer
let production: string
let recording: string
let serial = 0

beforeAll(async () => {
  ;[live, shadows] = await Promise.all([
    startServer({ settings: standIns.settings }),
    startServer({ settings: { ...standIns.settings, wal_level: 'logical' } }),
  ])
  // The server's user makes files there, if anybody does.
  chmodSync(at.folder, 0o777)
  await withClient(live.url(), (client) => client.query('CREATE DATABASE shop'))
  production = live.url('shop')
  await withClient(production, async (client) => {
    await client.query(SCHEMA.replace(SUBSCRIPTION, 'SELECT'))
    await client.query(`INSERT INTO orders VALUES (1, 'one')`)
    await client.query(TRIGGER)
    await client.query(`SELECT cron.schedule('nightly', '0 3 * * *', 'VACUUM')`)
  })
  writeFileSync(join(at.folder, 'schema.sql'), `${SCHEMA};\n${TRIGGER};`)
  await takeSnapshot({
    url: production,
    out: join(at.folder, 'snap'),
    masks: { policy: KEEP_ALL, key: KEY },
    madeBy: 'test',
    schemaFile: join(at.folder, 'schema.sql'),
  })
  const proxy = await at.start(production)
  const client = new pg.Client(through(production, proxy))
  await client.connect()
  for (let n = 0; n < 10; n++) await client.query('SELECT tell()')
  await client.end()
  await proxy.stop()
  recording = proxy.path
})
afterAll(async () => {
  await Promise.all([live?.stop(), shadows?.stop()])
  standIns.remove()
  at.remove()
})

/** A program that leaves a trace, and the trace. */
function program(): { readonly command: string; readonly ran: () => boolean } {
  const trace = join(at.folder, `ran-${randomBytes(4).toString('hex')}`)
  return { command: `touch ${trace}`, ran: () => existsSync(trace) }
}

function script(sql: string): string {
  serial += 1
  const path = join(at.folder, `V${serial}.sql`)
  writeFileSync(path, sql)
  return path
}

const restore = (...migrations: string[]): Promise<RestoreResult> => {
  serial += 1
  return restoreSnapshot({ snapshot: join(at.folder, 'snap'), target: shadows.url(`golden_${serial}`), migrations })
}

const ask = (url: string, sql: string) => withClient(url, async (client) => (await client.query(sql)).rows)

test('a program of a script does run where nobody keeps it from that: the traces below mean something', async () => {
  const { command, ran } = program()
  await ask(shadows.url(), `COPY (SELECT 1) TO PROGRAM '${command}'`)
  expect(ran()).toBe(true)
})

describe('a restored copy', () => {
  test('has no login for another server, no subscription, and no job that runs', async () => {
    const { url } = await restore()
    expect(await ask(url, 'SELECT FROM pg_user_mappings UNION ALL SELECT FROM pg_subscription')).toEqual([])
    expect(await ask(url, 'SELECT active FROM cron.job')).toEqual([{ active: false }])
    expect(await ask(production, 'SELECT active FROM cron.job')).toEqual([{ active: true }])
  })
})

describe('a migration of a copy', () => {
  test('fires triggers that send mail: nothing is sent, its rows are there, and that is said', async () => {
    const { url, notes } = await restore(script(`INSERT INTO orders VALUES (2, 'two'), (3, 'three')`))
    expect(
      await ask(url, 'SELECT count(*)::int AS orders, (SELECT count(*)::int FROM http_sent) AS sent FROM orders'),
    ).toEqual([{ orders: 3, sent: 0 }])
    expect(notes).toContain('2 calls of public.http(request http_request) were answered by a stub')
  })

  test.each([
    { name: 'alone', before: '', after: '' },
    { name: 'in a transaction of its own', before: 'BEGIN;', after: 'COMMIT;' },
  ])('makes a function that starts a program, and calls it, $name: no program starts', async ({ before, after }) => {
    const { command, ran } = program()
    const { url, notes } = await restore(
      script(`${before}
        CREATE FUNCTION leak() RETURNS int LANGUAGE plpgsql AS $$BEGIN COPY orders TO PROGRAM '${command}'; RETURN 7; END$$;
        ${after}
        SELECT leak(); SELECT dblink_exec('host=127.0.0.1 port=1', 'DELETE FROM orders')`),
    )
    expect(await ask(url, 'SELECT leak()')).toEqual([{ leak: 0 }])
    expect(ran()).toBe(false)
    expect(notes).toContainEqual(expect.stringMatching(/^2 calls of public\.leak\(\)|^1 calls of public\.leak\(\)/))
  })

  test('brings an extension that leads out, and uses it: it is answered by a stub', async () => {
    const { url } = await restore(
      script(`CREATE EXTENSION pg_net; SELECT net.http_post('http://127.0.0.1:9/'); CREATE EXTENSION pltclu;
        CREATE FUNCTION code() RETURNS text LANGUAGE pltclu AS 'return [exec touch /none]'; SELECT code()`),
    )
    expect(await ask(url, 'SELECT FROM net.http_request_queue')).toEqual([])
    expect(await ask(url, 'SELECT code()')).toEqual([{ code: 'OK' }])
  })

  test('gives a login for another server, or subscribes to one: that is left out, and said with its line', async () => {
    const path = script(`ALTER TABLE orders ADD COLUMN more int;
      DROP USER MAPPING FOR PUBLIC SERVER elsewhere;
      CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'x', password 'y');
      CREATE SUBSCRIPTION other CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p`)
    const { url, notes } = await restore(path)
    expect(notes.filter((note) => note.startsWith('left out'))).toEqual([
      `left out of the copy: ${path} line 2: DROP USER MAPPING`,
      `left out of the copy: ${path} line 3: CREATE USER MAPPING`,
      `left out of the copy: ${path} line 4: CREATE SUBSCRIPTION`,
    ])
    expect(notes.join()).not.toContain('password')
    expect(await ask(url, 'SELECT FROM pg_user_mappings UNION ALL SELECT FROM pg_subscription')).toEqual([])
    await expect(ask(url, 'SELECT n FROM far')).rejects.toThrow(/user mapping/)
    expect(await ask(url, 'SELECT more FROM orders')).toEqual([{ more: null }])
  })

  test.each([
    ['a program', `SELECT 1;\nCOPY orders TO PROGRAM 'false'`, 'COPY … PROGRAM'],
    ['a block that starts one', `SELECT 1;\nDO $$BEGIN COPY orders TO PROGRAM 'false'; END$$`, 'COPY … PROGRAM'],
    ['a block in an untrusted language', `SELECT 1;\nDO LANGUAGE plpython3u $$pass$$`, 'code in an untrusted language'],
    [
      'a look at another server',
      `SELECT 1;\nIMPORT FOREIGN SCHEMA public FROM SERVER elsewhere INTO public`,
      'IMPORT FOREIGN SCHEMA',
    ],
  ])('is refused before anything is made: %s', async (_, sql, what) => {
    const path = script(sql)
    await expect(restore(path)).rejects.toMatchObject({
      code: 'SCRIPT_REACHES_OUT',
      exit: 2,
      detail: `line 2 reaches out of the database: ${what}`,
    })
    expect(await ask(shadows.url(), `SELECT FROM pg_database WHERE datname = 'golden_${serial}'`)).toEqual([])
  })

  test('by a command: the server refuses it other servers while it runs; what it made is shut when it is over', async () => {
    const sends = (sql: string) => {
      serial += 1
      const file = join(at.folder, `tool-${serial}.cjs`)
      const driver = JSON.stringify(require.resolve('pg'))
      writeFileSync(
        file,
        `const pg = require(${driver}); const c = new pg.Client(process.env.DATABASE_URL)
         c.connect().then(() => c.query(${JSON.stringify(sql)})).then(() => c.end()).catch((e) => { console.log(e.message); process.exit(1) })`,
      )
      return `${process.execPath} ${file}`
    }
    for (const [sql, tag] of [
      [`CREATE SUBSCRIPTION other CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p`, 'CREATE SUBSCRIPTION'],
      ['CREATE USER MAPPING FOR PUBLIC SERVER elsewhere', 'CREATE USER MAPPING'],
      ['IMPORT FOREIGN SCHEMA public FROM SERVER elsewhere INTO public', 'IMPORT FOREIGN SCHEMA'],
    ] as const)
      await expect(restore(sends(sql))).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        detail: expect.stringContaining(`a copy must not reach other servers: ${tag}`),
      })
    const { command, ran } = program()
    const { url } = await restore(
      sends(
        `CREATE FUNCTION leak() RETURNS int LANGUAGE plpgsql AS $$BEGIN COPY orders TO PROGRAM '${command}'; RETURN 7; END$$`,
      ),
    )
    expect(await ask(url, 'SELECT leak()')).toEqual([{ leak: 0 }])
    expect(ran()).toBe(false)
    expect(await ask(url, `SELECT evtname FROM pg_event_trigger`)).toEqual([])
  })
})

describe('something injected into a replay', () => {
  async function replayWith(
    ...flags: string[]
  ): Promise<Ran & { readonly facts: RunFacts | null; readonly shadow: string }> {
    const { database } = await restore()
    serial += 1
    const shadow = await cloneShadow(shadows.url(), database, `shadow_${serial}`)
    const out = join(at.folder, `${serial}.run`)
    const ran = await pgrehearse(
      at.folder,
      'replay',
      recording,
      '--target',
      shadow,
      '--out',
      out,
      '--speed',
      'max',
      ...flags,
    )
    if (!existsSync(out)) return { ...ran, facts: null, shadow }
    const run = openRun(out)
    const { facts } = run
    run.close()
    return { ...ran, facts, shadow }
  }

  test.each([
    { name: 'alone', before: '', after: '' },
    { name: 'in a transaction', before: 'BEGIN;', after: 'COMMIT;' },
  ])(
    'makes a function of V1 start a program, $name: recorded calls meet a stub, and are counted',
    async ({ before, after }) => {
      const { command, ran } = program()
      const sql = `${before} CREATE OR REPLACE FUNCTION tell() RETURNS text LANGUAGE plpgsql AS
      $$BEGIN COPY orders TO PROGRAM '${command}'; RETURN 'leaked'; END$$; ${after}`
      const { exit, err, facts, shadow } = await replayWith('--inject', `#1:${script(sql)}`)
      expect(exit, err).toBe(0)
      expect(ran()).toBe(false)
      expect(facts!.injections).toMatchObject([{ outcome: 'done' }])
      expect(facts!.isolation!.doors.find(({ name }) => name === 'public.tell()')).toMatchObject({ state: 'stub' })
      expect(await ask(shadow, 'SELECT tell()')).toEqual([{ tell: 'OK' }])
      expect(ran()).toBe(false)
    },
  )

  test('a server with its tables, and an extension: tables of the shadow, stubs', async () => {
    const sql = `CREATE SERVER more FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
      CREATE FOREIGN TABLE farther (n int) SERVER more; INSERT INTO farther VALUES (1);
      CREATE EXTENSION pg_net; SELECT net.http_post('x')`
    const { exit, err, facts, shadow } = await replayWith('--inject', `0%:${script(sql)}`)
    expect(exit, err).toBe(0)
    expect(facts!.injections).toMatchObject([{ outcome: 'done', error: null }])
    const states = Object.fromEntries(facts!.isolation!.doors.map(({ name, state }) => [name, state]))
    expect(states).toMatchObject({ more: 'removed', '"public"."farther"': 'local table', elsewhere: 'removed' })
    expect(facts!.isolation!.doors.find(({ name }) => name.startsWith('net.http_post('))).toMatchObject({
      state: 'stub',
      calls: 1,
    })
    expect(await ask(shadow, 'SELECT n FROM farther')).toEqual([{ n: 1 }])
    expect(await ask(shadow, 'SELECT FROM pg_foreign_server UNION ALL SELECT FROM net.http_request_queue')).toEqual([])
  })

  test('a statement that reaches out by itself is refused before the replay begins', async () => {
    const { exit, err, facts } = await replayWith('--inject', `0%:${script(`COPY orders TO PROGRAM 'false'`)}`)
    expect([exit, facts]).toEqual([2, null])
    expect(err).toMatch(/SCRIPT_REACHES_OUT|will not run .* on a copy/)
    expect(err).toContain('line 1 reaches out of the database: COPY … PROGRAM')
  })

  test('a login and a subscription are left out, and said', async () => {
    const path = script(`CREATE SUBSCRIPTION other CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p`)
    const { exit, err, shadow } = await replayWith('--inject', `0%:${path}`)
    expect(exit, err).toBe(0)
    expect(err).toContain(`left out of what is injected: ${path} line 1: CREATE SUBSCRIPTION`)
    expect(await ask(shadow, 'SELECT FROM pg_subscription')).toEqual([])
  })

  test('a door that cannot be shut ends the replay as invalid', async () => {
    const sql = `CREATE SERVER more FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
      BEGIN; CREATE FOREIGN TABLE farther (n int) SERVER more; CREATE VIEW near AS SELECT n FROM farther; COMMIT`
    const { exit, err, facts } = await replayWith('--inject', `0%:${script(sql)}`)
    expect(exit, err).toBe(3)
    expect(facts!.incidents.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['way out', 'interrupted']))
    expect(err).toContain('cannot be shut')
  })
})
