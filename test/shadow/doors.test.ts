/**
 * The ways out of a shadow: found, shut, counted, or the replay refused. Nothing here reaches another machine: addresses are
 * of this one and nobody listens there, and stand-ins of extensions note in a table when they were really called.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseLimits } from '../../replayer/shadow/doors/limits.js'
import { isolationOf, preflight } from '../../replayer/shadow/doors/preflight.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { createStandIns, type StandIns } from './stand-ins.js'

let server: OwnedServer
let standIns: StandIns
let admin: pg.Client
let shadow: pg.Client
let name: string

beforeAll(async () => {
  standIns = createStandIns()
  server = await startServer({ settings: { ...standIns.settings, wal_level: 'logical', track_functions: 'none' } })
  admin = new pg.Client(server.url())
  await admin.connect()
})
afterAll(async () => {
  await admin?.end()
  await server?.stop()
  standIns.remove()
})
beforeEach(async () => {
  name = `doors_${randomBytes(4).toString('hex')}`
  await admin.query(`CREATE DATABASE ${name}`)
  shadow = await open(server.url(name))
})
afterEach(async () => {
  await shadow.end()
  await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
})

async function open(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  await client.connect()
  return client
}

const ask = async (sql: string) => (await shadow.query(sql)).rows
const look = (leaveOpen: readonly string[] = []) => preflight(shadow, { leaveOpen, sessions: 3 })
const states = async (leaveOpen?: readonly string[]) =>
  Object.fromEntries((await look(leaveOpen)).doors.map((door) => [door.name, door.state]))

describe('functions that lead out become stubs', () => {
  test('a trigger that sends mail still runs: its row is written, nothing is sent, and the call is counted', async () => {
    await shadow.query(`
      CREATE EXTENSION http;
      CREATE TABLE orders (id int);
      CREATE FUNCTION mail() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE answer http_response := http_get('http://127.0.0.1:9/mail');
        BEGIN IF answer.status <> 200 THEN RAISE 'mail refused'; END IF; RETURN NEW; END$$;
      CREATE TRIGGER mails BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION mail()`)
    const before = await look()
    await shadow.query('INSERT INTO orders VALUES (1), (2)')
    await shadow.query('BEGIN; INSERT INTO orders VALUES (3); ROLLBACK')
    expect(await ask('SELECT id FROM orders')).toEqual([{ id: 1 }, { id: 2 }])
    expect(await ask('SELECT * FROM http_sent')).toEqual([])
    expect(await ask(`SELECT urlencode('a b') AS still`)).toEqual([{ still: 'a%20b' }])
    const { doors } = await isolationOf(shadow, before)
    expect(doors).toEqual([{ kind: 'function', name: 'public.http(request http_request)', state: 'stub', calls: 3 }])
  })

  test('without the stub the same trigger does reach out', async () => {
    await shadow.query('CREATE EXTENSION http')
    await look(['http'])
    expect(await ask(`SELECT status FROM http_get('http://127.0.0.1:9/')`)).toEqual([{ status: 503 }])
    expect(await ask('SELECT uri FROM http_sent')).toEqual([{ uri: 'http://127.0.0.1:9/' }])
  })

  test('every function of dblink that connects; those that only compute stay', async () => {
    await shadow.query('CREATE EXTENSION dblink')
    const found = await states()
    const names = Object.keys(found).map((door) => door.replace(/\(.*/, ''))
    expect(names).toEqual(expect.arrayContaining(['public.dblink', 'public.dblink_connect', 'public.dblink_exec']))
    expect(names.filter((door) => /build_sql|get_pkey|validator/.test(door))).toEqual([])
    const elsewhere = `'host=127.0.0.1 port=1'`
    expect(await ask(`SELECT dblink_connect(${elsewhere}) AS c, dblink_exec(${elsewhere}, 'DELETE') AS e`)).toEqual([
      { c: 'OK', e: 'OK' },
    ])
    expect(await ask(`SELECT * FROM dblink(${elsewhere}, 'SELECT 1') AS t(n int)`)).toEqual([])
    expect(await ask(`SELECT dblink_send_query('c', 'x') AS sent, dblink_is_busy('c') AS busy`)).toEqual([
      { sent: 1, busy: 0 },
    ])
  })

  test('requests of pg_net get numbers of their own, in a read-only transaction too', async () => {
    await shadow.query('CREATE EXTENSION pg_net')
    await look()
    expect(
      await ask(`SELECT net.http_post('http://127.0.0.1:9/') AS a, net.http_post('x', body => '{}') AS b`),
    ).toEqual([{ a: '1', b: '2' }])
    await shadow.query('BEGIN READ ONLY')
    expect(await ask(`SELECT net.http_post('x') AS id`)).toEqual([{ id: '0' }])
    await shadow.query('COMMIT')
    expect(await ask('SELECT * FROM net.http_request_queue')).toEqual([])
  })

  test('code in an untrusted language, and bodies that start programs or read files, whatever they return', async () => {
    await shadow.query(`
      CREATE EXTENSION pltclu;
      CREATE TABLE t (n int);
      CREATE FUNCTION a(x int DEFAULT 5, OUT y int, OUT z text) LANGUAGE pltclu AS 'return {y 1 z 2}';
      CREATE FUNCTION b() RETURNS TABLE (n int) LANGUAGE plpgsql AS $$BEGIN COPY t TO PROGRAM 'false'; END$$;
      CREATE FUNCTION c() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN COPY t TO PROGRAM 'false'; RETURN NULL; END$$;
      CREATE PROCEDURE d(INOUT x int) LANGUAGE plpgsql AS $$BEGIN EXECUTE 'COPY t TO PROGRAM ''false'''; END$$;
      CREATE FUNCTION "E e"(VARIADIC x text[]) RETURNS boolean LANGUAGE sql AS $$SELECT pg_read_file('none') IS NULL$$;
      CREATE FUNCTION f() RETURNS event_trigger LANGUAGE pltclu AS 'exit';
      CREATE FUNCTION g() RETURNS uuid LANGUAGE plpgsql AS $$BEGIN RETURN pg_terminate_backend(1); END$$;
      CREATE FUNCTION harmless() RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN 'copy'; END$$;
      CREATE TRIGGER tr BEFORE INSERT OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION c();
      CREATE EVENT TRIGGER ev ON ddl_command_end EXECUTE FUNCTION f()`)
    const found = await states()
    const stubs = Object.keys(found).filter((door) => found[door] === 'stub')
    expect(stubs.map((door) => door.replace(/\(.*/, '')).sort()).toEqual(
      ['public."E e"', 'public.a', 'public.b', 'public.c', 'public.d', 'public.f', 'public.g'].sort(),
    )
    expect(found.ev).toBe('idle')
    expect(await ask('SELECT * FROM a()')).toEqual([{ y: null, z: null }])
    expect(await ask(`SELECT (SELECT count(*)::int FROM b()) AS b, "E e"('x', 'y') AS e, g(), harmless()`)).toEqual([
      { b: 0, e: true, g: null, harmless: 'copy' },
    ])
    expect(await ask('CALL d(1)')).toEqual([{ x: 1 }])
    await shadow.query(
      'INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE n = 1; CREATE TABLE seen_by_event_trigger ()',
    )
    expect(await ask('SELECT n FROM t')).toEqual([{ n: 2 }])
  })

  test('a second replay finds it done, and counts its own calls', async () => {
    await shadow.query('CREATE EXTENSION http')
    await look()
    await shadow.query(`SELECT http_get('x')`)
    const again = await look()
    expect(again.doors).toMatchObject([{ state: 'stub', why: 'a stub already' }])
    await shadow.query(`SELECT http_get('x'), http_get('y')`)
    expect((await isolationOf(shadow, again)).doors[0]!.calls).toBe(2)
  })
})

describe('places elsewhere', () => {
  test('foreign tables become empty tables of the shadow, with their triggers; servers and logins go', async () => {
    await shadow.query(`
      CREATE EXTENSION postgres_fdw;
      CREATE SERVER "else; where" FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
      CREATE USER MAPPING FOR CURRENT_USER SERVER "else; where" OPTIONS (user 'x', password 'y');
      CREATE USER MAPPING FOR PUBLIC SERVER "else; where";
      CREATE FOREIGN TABLE "Far" (id int NOT NULL, note text DEFAULT 'none') SERVER "else; where";
      CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note := upper(NEW.note); RETURN NEW; END$$;
      CREATE TRIGGER shouts BEFORE INSERT ON "Far" FOR EACH ROW EXECUTE FUNCTION shout()`)
    expect(await states()).toEqual({ '"public"."Far"': 'local table', '"else; where"': 'removed' })
    expect(await ask(`INSERT INTO "Far" (id) VALUES (1) RETURNING *`)).toEqual([{ id: 1, note: 'NONE' }])
    expect(await ask('SELECT FROM pg_foreign_server UNION ALL SELECT FROM pg_user_mapping')).toEqual([])
  })

  test('one that a view needs cannot be replaced: the replay is refused, and nothing was changed', async () => {
    await shadow.query(`
      CREATE EXTENSION file_fdw; CREATE EXTENSION http;
      CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
      CREATE FOREIGN TABLE far (n int) SERVER files OPTIONS (filename '/none');
      CREATE VIEW near AS SELECT n FROM far`)
    const error = await look().catch((reason) => reason)
    expect(error).toMatchObject({ code: 'DOOR_OPEN', exit: 4, message: expect.stringContaining('"far"') })
    expect(await ask('SELECT FROM pg_foreign_table')).toHaveLength(1)
    expect(await ask(`SELECT status FROM http_get('x')`)).toEqual([{ status: 503 }])
    expect(await states(['files'])).toMatchObject({ '"public"."far"': 'left open', files: 'left open' })
  })

  test('a subscription is dropped without a word to its publisher; slots of the database go; publications have no reader', async () => {
    await shadow.query(`CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p
      WITH (connect = false, slot_name = 'theirs')`)
    await shadow.query(`CREATE TABLE t (n int); CREATE PUBLICATION pub FOR TABLE t`)
    await shadow.query(`SELECT pg_create_logical_replication_slot('slot_${name}', 'pgoutput')`)
    expect(await states()).toEqual({ sub: 'removed', [`slot_${name}`]: 'removed', pub: 'idle' })
    expect(await ask('SELECT FROM pg_subscription UNION ALL SELECT FROM pg_replication_slots')).toEqual([])
  })

  test('jobs of pg_cron do not run, and none is added', async () => {
    await shadow.query(`CREATE EXTENSION pg_cron; SELECT cron.schedule('a', '* * * * *', 'VACUUM')`)
    expect(await states()).toMatchObject({ 'job 1': 'removed' })
    await shadow.query(`SELECT cron.schedule('b', '* * * * *', 'VACUUM')`)
    expect(await ask('SELECT active FROM cron.job')).toEqual([{ active: false }])
  })
})

describe('refused or said', () => {
  test('a user who may not replace the functions', async () => {
    const role = `plain_${name}`
    await shadow.query(
      `CREATE EXTENSION dblink; CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE ${name} TO ${role}`,
    )
    const client = await open(Object.assign(new URL(server.url(name)), { username: role, password: 'x' }).toString())
    try {
      await expect(preflight(client, { sessions: 1 })).rejects.toMatchObject({ code: 'DOOR_OPEN', exit: 4 })
    } finally {
      await client.end()
      await shadow.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })

  test('a door to leave open that is none', async () => {
    await expect(look(['dblink'])).rejects.toMatchObject({ code: 'NO_SUCH_DOOR', exit: 2 })
  })

  test('an extension that nobody here knows', async () => {
    await shadow.query('CREATE EXTENSION oddity; CREATE EXTENSION pg_trgm')
    const { notes } = await look()
    expect(notes.filter((note) => note.startsWith('extension'))).toEqual([expect.stringContaining('oddity')])
  })
})

describe('limits of the sessions', () => {
  test('where the shadow has none; what production had stays; what the user says goes before', async () => {
    await admin.query(`ALTER DATABASE ${name} SET statement_timeout = '7s'`)
    const fresh = await open(server.url(name))
    const limits = parseLimits(['work_mem=3MB', 'temp_file_limit=1GB'])
    const got = await preflight(fresh, { limits, sessions: 3 })
    await fresh.end()
    expect(got.limits).toEqual({
      statement_timeout: '7s',
      lock_timeout: '1h',
      idle_in_transaction_session_timeout: '24h',
      temp_file_limit: '1GB',
      work_mem: '3MB',
    })
    const session = await open(server.url(name))
    const { rows } =
      await session.query(`SELECT current_setting('work_mem') AS mem, current_setting('lock_timeout') AS lock,
      (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS connections`)
    await session.end()
    expect(rows).toEqual([{ mem: '3MB', lock: '1h', connections: 13 }])
  })

  test.each(['statement_timeout', 'fsync=off', "work_mem='1'; DROP TABLE x"])('%s is no limit', (text) => {
    expect(() => parseLimits([text])).toThrow(expect.objectContaining({ code: 'OPTION_VALUE', exit: 2 }))
  })

  test('a value the server does not understand', async () => {
    await expect(preflight(shadow, { limits: parseLimits(['work_mem=lots']), sessions: 1 })).rejects.toMatchObject({
      code: 'LIMIT_REFUSED',
    })
  })
})
