import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keyFingerprint, readKey } from '../../privacy/key.js'
import { parsePolicy, policyHash } from '../../privacy/policy/policy.js'
import { cloneShadow, dropShadow } from '../../replayer/shadow/clone.js'
import { assertShadow } from '../../replayer/shadow/isolation.js'
import { readMarker } from '../../replayer/shadow/marker.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { readSnapshot, type SnapshotFacts } from '../../replayer/shadow/snapshot/format.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { type TakeOptions, takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { contents, file, NO_MASKS, text } from './support.js'

let room: string
let production: TestDatabase
let shadows: OwnedServer
let taken: SnapshotFacts
let serial = 0

const inRoom = (name: string) => join(room, name)
const newTarget = () => shadows.url(`restored_${++serial}`)
const take = (options: Partial<TakeOptions> & { out: string }) =>
  takeSnapshot({
    url: production.url,
    masks: () => NO_MASKS,
    madeBy: 'test',
    schemaFile: file('hard-types.sql'),
    ...options,
  })

async function on<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const databases = () =>
  on(shadows.url(), async (client) =>
    (await client.query('SELECT datname FROM pg_database')).rows.map(({ datname }) => datname),
  )

beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'snapshot-test-'))
  production = await createDatabase(text('hard-types.sql'), text('hard-rows.sql'))
  shadows = await startServer()
  taken = await take({ out: inRoom('snap') })
})
afterAll(async () => {
  await shadows?.stop()
  await production?.drop()
  rmSync(room, { recursive: true, force: true })
})

describe('a snapshot that was taken', () => {
  test('is a folder that only its owner may read, with every file accounted for', () => {
    expect(readdirSync(inRoom('snap')).sort()).toEqual(['data', 'schema.sql', 'snapshot.json'])
    expect(statSync(inRoom('snap')).mode & 0o077).toBe(0)
    expect(statSync(inRoom('snap/snapshot.json')).mode & 0o077).toBe(0)
    expect(taken.tables.map((table) => table.file).sort()).toEqual(
      readdirSync(inRoom('snap/data'))
        .map((name) => `data/${name}`)
        .sort(),
    )
    expect(readdirSync(room).filter((name) => name.endsWith('.part'))).toEqual([])
    expect(readSnapshot(inRoom('snap'))).toEqual(JSON.parse(JSON.stringify(taken)))
  })

  test('knows the moment it shows: position, cluster, transactions, policy', () => {
    expect(taken.server.systemIdentifier).toMatch(/^\d+$/)
    expect(taken.server.startLsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/)
    expect(taken.transactions.snapshot).toMatch(/^\d+:\d+:[\d,]*$/)
    expect(taken.privacy).toEqual(NO_MASKS.privacy)
    expect(taken.catalog.relations.map(({ name }) => name)).toContain('events_old_rest')
  })

  test('counts the rows of every table', () => {
    const rows = Object.fromEntries(taken.tables.map((table) => [table.name, table.rows]))
    expect(rows).toMatchObject({ people: 9, 'Hard "types"': 3, child: 1, parent: 1, nothing: 5, scratch: 3 })
    expect(rows.events_old_rest! + rows.events_new!).toBe(100)
  })
})

describe('restored', () => {
  let url: string
  beforeAll(async () => {
    url = newTarget()
    await restoreSnapshot({ snapshot: inRoom('snap'), target: url })
  })

  test('every row of every type is the same', async () => {
    const before = await contents(production)
    expect(Object.values(before).flat().length).toBeGreaterThan(120)
    expect(await on(url, contents)).toEqual(before)
  })

  test('sequences go on where production stood; triggers did not fire', async () => {
    await on(url, async (client) => {
      const next = async (sql: string) => Object.values((await client.query(sql)).rows[0])[0]
      expect(await next(`SELECT nextval('tickets')`)).toBe('1014')
      expect(await next(`SELECT nextval('untouched')`)).toBe('500')
      expect(await next(`INSERT INTO "Odd schema"."Hard ""types""" DEFAULT VALUES RETURNING "the id"`)).toBe(42)
      expect(await next(`INSERT INTO events (at) VALUES ('2026-01-01') RETURNING id`)).toBe('101')
      expect(await next('SELECT count(*) FROM audit')).toBe('9')
    })
  })

  test('has statistics, and its rows are marked visible', async () => {
    await on(url, async (client) => {
      const { rows } = await client.query(
        `SELECT relname, reltuples::int, relallvisible = relpages AS visible FROM pg_class WHERE relname IN ('events_new', 'events_old_rest')`,
      )
      expect(rows.map(({ visible }) => visible)).toEqual([true, true])
      expect(rows.reduce((sum, { reltuples }) => sum + reltuples, 0)).toBe(100)
    })
  })

  test('is a golden, and says so to people as well', async () => {
    const marker = await on(url, readMarker)
    expect(marker).toMatchObject({ role: 'golden', snapshotId: taken.id, ...NO_MASKS.privacy })
    const comment = await on(url, (client) =>
      client.query(
        `SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database WHERE datname = current_database()`,
      ),
    )
    expect(comment.rows[0].text).toContain('golden')
    await on(url, (client) =>
      expect(assertShadow(client, { recordingSystemIdentifier: '1' })).rejects.toMatchObject({
        code: 'GOLDEN_NOT_A_TARGET',
      }),
    )
  })
})

describe('consistency', () => {
  test('a database that is written all the while: the sum is that of one moment', async () => {
    const bank = await createDatabase(
      `CREATE TABLE a (id int PRIMARY KEY, cents int, pad text); CREATE TABLE b (id int PRIMARY KEY, cents int, pad text);
       CREATE TABLE log (n serial PRIMARY KEY);
       INSERT INTO a SELECT n, 100, repeat('x', 500) FROM generate_series(1, 20000) n; INSERT INTO b SELECT * FROM a`,
    )
    const writer = new pg.Client(bank.url)
    await writer.connect()
    let writing = true
    let moves = 0
    const writes = (async () => {
      for (; writing; moves++)
        await writer.query(`BEGIN; UPDATE a SET cents = cents - 7 WHERE id = ${1 + (moves % 20000)};
          INSERT INTO log DEFAULT VALUES;
          UPDATE b SET cents = cents + 7 WHERE id = ${20000 - (moves % 20000)}; COMMIT`)
    })()
    try {
      const schema = inRoom('bank.sql')
      writeFileSync(
        schema,
        `CREATE TABLE a (id int PRIMARY KEY, cents int, pad text); CREATE TABLE b (LIKE a INCLUDING ALL);
         CREATE TABLE log (n serial PRIMARY KEY)`,
      )
      let movesMeanwhile = 0
      const facts = await take({
        url: bank.url,
        out: inRoom('bank'),
        schemaFile: schema,
        onProgress: () => {
          movesMeanwhile = moves
        },
      })
      expect(movesMeanwhile).toBeGreaterThan(facts.tables.find(({ name }) => name === 'log')!.rows)
      const url = newTarget()
      await restoreSnapshot({ snapshot: inRoom('bank'), target: url })
      await on(url, async (client) => {
        const { rows } = await client.query(`SELECT (SELECT sum(cents) FROM a) + (SELECT sum(cents) FROM b) AS total,
          (SELECT sum(100 - cents) / 7 FROM a) = (SELECT count(*) FROM log) AS same_moment`)
        expect(rows[0]).toEqual({ total: String(2 * 20000 * 100), same_moment: true })
        expect(Number((await client.query(`SELECT nextval('log_n_seq') AS n`)).rows[0].n)).toBeGreaterThan(
          facts.tables.find(({ name }) => name === 'log')!.rows,
        )
      })
    } finally {
      writing = false
      await writes
      await writer.end()
      await bank.drop()
    }
  })

  test('a transaction under way is named with the backend it runs in', async () => {
    const client = new pg.Client(production.url)
    await client.connect()
    await client.query(`BEGIN; INSERT INTO audit (what) VALUES ('under way')`)
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid, txid_current()::text AS xid')
    const facts = await take({ out: inRoom('under-way') })
    await client.query('ROLLBACK')
    await client.end()
    expect(facts.transactions.inProgress).toMatchObject([{ pid: rows[0].pid, xid: rows[0].xid }])
    const [, xmax, running] = facts.transactions.snapshot.split(':')
    expect(running!.split(',').includes(rows[0].xid) || BigInt(rows[0].xid) >= BigInt(xmax!)).toBe(true)
  })
})

describe('masks', () => {
  const fiveAsId = (lines: Buffer) => Buffer.from(lines.toString('utf8').replaceAll(/^\d+/gm, '5'))
  const policy = parsePolicy(
    `version: 1
columns:
  public.people.email: email
  Odd schema.Hard "types".owner_email: email`,
    'policy.yaml',
  )
  const key = readKey('a passphrase that only this test knows')
  const PERSONAL = [
    'Ann@example',
    'bob@',
    'ANN',
    'Straße',
    '日本語',
    'in the parent',
    'odd',
    'curly',
    "'fat'",
    'note 5',
  ]

  test('are those of policy and key: nothing personal is left in any byte, joins and emptiness survive', async () => {
    const facts = await take({ out: inRoom('masked'), masks: { policy, key } })
    expect(facts.privacy).toEqual({ policyHash: policyHash(policy), keyFingerprint: keyFingerprint(key) })
    const bytes = (folder: string) =>
      readdirSync(join(folder, 'data'))
        .map((name) => gunzipSync(readFileSync(join(folder, 'data', name))).toString('utf8'))
        .join('\n')
    expect(PERSONAL.filter((value) => !bytes(inRoom('snap')).includes(value))).toEqual([])
    expect(PERSONAL.filter((value) => bytes(inRoom('masked')).includes(value))).toEqual([])

    const url = newTarget()
    await restoreSnapshot({ snapshot: inRoom('masked'), target: url })
    await on(url, async (client) => {
      const shape = `SELECT count(*), count(email), count(*) FILTER (WHERE email = '') AS empty, count(DISTINCT email),
        count(*) FILTER (WHERE lower_email = lower(email)) AS lower, count(nick), min(created_at) FROM people`
      expect((await client.query(shape)).rows).toEqual((await production.query(shape)).rows)
      const joined = `SELECT h."the id", h.mood, h.share, h.exact, cardinality(h.words) AS words, h.doc -> 'n' AS n, p.id
        FROM "Odd schema"."Hard ""types""" h JOIN people p ON p.email = h.owner_email ORDER BY 1`
      const rows = (await client.query(joined)).rows
      expect(rows).toHaveLength(2)
      expect(rows).toEqual((await production.query(joined)).rows)
      const { rows: masked } = await client.query('SELECT email FROM people WHERE id = 1')
      expect(masked[0].email).toMatch(/^[^@\s]+@[^@\s]+\.[a-z]+$/)
    })
  })

  test('are the same in threads', async () => {
    const facts = await take({ out: inRoom('threads'), masks: { policy, key }, threadsFromBytes: 0 })
    const rows = (some: SnapshotFacts) => some.tables.map(({ name, sha256 }) => ({ name, sha256 }))
    expect(rows(facts)).toEqual(rows(readSnapshot(inRoom('masked'))))
    expect(facts.privacy).toEqual(readSnapshot(inRoom('masked')).privacy)
  })

  test('depend on the key', async () => {
    await take({ out: inRoom('other-key'), masks: { policy, key: readKey('another passphrase, as long') } })
    const people = (folder: string) =>
      readFileSync(
        inRoom(join(folder, readSnapshot(inRoom(folder)).tables.find(({ name }) => name === 'people')!.file)),
      )
    expect(people('other-key')).not.toEqual(people('masked'))
  })

  test('a masked value that breaks a constraint: the table, the constraint, no value', async () => {
    await take({
      out: inRoom('broken'),
      masks: () => ({
        ...NO_MASKS,
        forTable: (_, [first]) => (first?.name === 'id' ? fiveAsId : null),
      }),
    })
    const error = await restoreSnapshot({ snapshot: inRoom('broken'), target: newTarget() }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'MASK_BREAKS_CONSTRAINT', message: 'cannot load table public.people' })
    expect(error.detail).toContain('people_pkey')
    expect(error.detail).not.toContain('(5)')
    expect(await databases()).not.toContain(`restored_${serial}`)
  })
})

describe('references between masked rows', () => {
  const schema = `CREATE EXTENSION citext; CREATE SCHEMA away;
    CREATE TABLE away.people (mail citext, tenant int, PRIMARY KEY (tenant, mail));
    CREATE TABLE letters (id int PRIMARY KEY, tenant int, mail citext, FOREIGN KEY (tenant, mail) REFERENCES away.people (tenant, mail));
    CREATE TABLE logs (at date, letter int REFERENCES letters) PARTITION BY RANGE (at);
    CREATE TABLE logs_2024 PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');`
  const restored = async (masks: () => typeof NO_MASKS) => {
    const database = await createDatabase(
      schema,
      `INSERT INTO away.people VALUES ('Ann', 1), ('Bob', 1); INSERT INTO letters VALUES (1, 1, 'ann'), (2, 1, NULL), (3, NULL, 'nobody');
       INSERT INTO logs VALUES ('2024-05-05', 3), ('2024-06-06', NULL)`,
    )
    const out = inRoom(`references-${++serial}`)
    writeFileSync(inRoom('references.sql'), schema)
    await take({ url: database.url, out, masks, schemaFile: inRoom('references.sql') })
    await database.drop()
    return restoreSnapshot({ snapshot: out, target: newTarget() })
  }
  test('that hold are no matter: also in other case, with NULLs, over partitions', async () => {
    expect((await restored(() => NO_MASKS)).rows).toBe(7)
  })
  test('that masking broke are refused, with the key and no value, though the schema file left nothing to check them', async () => {
    const onlyThere = (lines: Buffer) => Buffer.from(lines.toString('utf8').replaceAll('Ann', 'Zoe'))
    const masks = () => ({ ...NO_MASKS, forTable: () => onlyThere })
    const error = await restored(masks).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'MASK_BREAKS_CONSTRAINT', exit: 4 })
    expect(error.detail).toBe('1 row refers from public.letters to nothing in away.people (letters_tenant_mail_fkey)')
    expect(await databases()).not.toContain(`restored_${serial}`)
  })
})

describe('migrations', () => {
  test('SQL file, folder in order and command run one after the other, timed, output kept', async () => {
    const folder = mkdtempSync(join(room, 'migrations-'))
    writeFileSync(
      join(folder, 'V2__b.sql'),
      `INSERT INTO steps (name) VALUES ('two'); DO $$ BEGIN RAISE NOTICE 'half; way'; END $$;`,
    )
    writeFileSync(
      join(folder, 'V10__c.sql'),
      `INSERT INTO steps (name) VALUES ('ten');\n-- done;\nCREATE INDEX CONCURRENTLY ON steps (name)`,
    )
    writeFileSync(join(folder, 'V10__c.down.sql'), `DROP TABLE steps`)
    writeFileSync(
      join(room, 'first.sql'),
      `\\restrict abc\nCREATE TABLE steps (n serial, name text);\n\\unrestrict abc\n`,
    )
    const command = `${process.execPath} -e "console.log('to', new URL(process.env.DATABASE_URL).pathname, process.env.PGDATABASE)"`
    const url = newTarget()
    const result = await restoreSnapshot({
      snapshot: inRoom('snap'),
      target: url,
      migrations: [join(room, 'first.sql'), folder, command],
    })
    expect(result.migrations.map(({ output }) => output.trim())).toEqual([
      '',
      expect.stringContaining('half; way'),
      `to /restored_${serial} restored_${serial}`,
    ])
    for (const { elapsedMs } of result.migrations) expect(elapsedMs).toBeGreaterThanOrEqual(0)
    const { rows } = await on(url, (client) => client.query('SELECT name FROM steps ORDER BY n'))
    expect(rows.map(({ name }) => name)).toEqual(['two', 'ten'])
  })

  test.each([
    {
      name: 'a statement that fails',
      sql: `CREATE TABLE fine (n int);\n\n-- now the bad one\nALTER TABLE people ADD COLUMN id int;`,
      error: {
        code: 'SCRIPT_FAILED',
        message: expect.stringMatching(/bad\.sql failed at line 4/),
        detail: expect.stringContaining('42701'),
      },
    },
    {
      name: 'commands of psql',
      sql: `\\i other.sql\n`,
      error: { code: 'SCRIPT_UNREADABLE', detail: expect.stringContaining('backslash') },
    },
  ])('$name: says where, leaves no database', async ({ sql, error }) => {
    writeFileSync(join(room, 'bad.sql'), sql)
    const target = newTarget()
    await expect(
      restoreSnapshot({ snapshot: inRoom('snap'), target, migrations: [join(room, 'bad.sql')] }),
    ).rejects.toMatchObject(error)
    expect(await databases()).not.toContain(`restored_${serial}`)
  })

  test('a command that fails: its last words', async () => {
    await expect(
      restoreSnapshot({ snapshot: inRoom('snap'), target: newTarget(), migrations: ['echo no such luck >&2; exit 3'] }),
    ).rejects.toMatchObject({ code: 'MIGRATION_FAILED', detail: expect.stringMatching(/code 3.*no such luck/) })
  })

  test('a path that does not exist is refused before anything is created', async () => {
    await expect(
      restoreSnapshot({ snapshot: inRoom('snap'), target: newTarget(), migrations: [join(room, 'missing.sql')] }),
    ).rejects.toMatchObject({ code: 'NO_MIGRATION', exit: 2 })
  })
})

describe('clones', () => {
  let golden: string
  beforeAll(async () => {
    golden = `restored_${++serial}`
    await restoreSnapshot({ snapshot: inRoom('snap'), target: shadows.url(golden) })
    await on(shadows.url(golden), (client) =>
      client.query(`ALTER DATABASE ${golden} SET search_path = "Odd schema", public`),
    )
  })

  test('carry the data, the settings and the mark; dropped they are gone, the golden is as it was', async () => {
    const before = await on(shadows.url(golden), contents)
    const startedAtMs = performance.now()
    const url = await cloneShadow(shadows.url(), golden, 'clone_1')
    expect(performance.now() - startedAtMs).toBeLessThan(5_000)
    await on(url, async (client) => {
      const marker = await assertShadow(client, { recordingSystemIdentifier: taken.server.systemIdentifier })
      expect(marker).toMatchObject({ role: 'shadow', snapshotId: taken.id })
      expect((await client.query('SHOW search_path')).rows[0].search_path).toBe('"Odd schema", public')
      await client.query('DELETE FROM events')
    })
    await dropShadow(shadows.url(), 'clone_1')
    expect(await databases()).not.toContain('clone_1')
    expect(await on(shadows.url(golden), contents)).toEqual(before)
  })

  test('of a golden in use, or under a name that is taken: refused', async () => {
    await on(shadows.url(golden), () =>
      expect(cloneShadow(shadows.url(), golden, 'clone_2')).rejects.toMatchObject({ code: 'GOLDEN_IN_USE' }),
    )
    await expect(cloneShadow(shadows.url(), golden, golden)).rejects.toMatchObject({ code: 'TARGET_EXISTS' })
  })

  test('only of what a restore made; only that is dropped', async () => {
    await on(shadows.url(), (client) => client.query('CREATE DATABASE somebodys'))
    await expect(cloneShadow(shadows.url(), 'somebodys', 'clone_3')).rejects.toMatchObject({ code: 'NOT_A_SHADOW' })
    await expect(dropShadow(shadows.url(), 'somebodys')).rejects.toMatchObject({ code: 'NOT_A_SHADOW', exit: 2 })
    expect(await databases()).toContain('somebodys')
  })
})

describe('isolation', () => {
  test('a database without a mark is refused', async () => {
    await on(shadows.url(), (client) =>
      expect(assertShadow(client, { recordingSystemIdentifier: '' })).rejects.toMatchObject({
        code: 'NOT_A_SHADOW',
        exit: 2,
      }),
    )
  })

  test('the cluster of the recording is refused, also with a mark', async () => {
    await expect(
      assertShadow(production, { recordingSystemIdentifier: taken.server.systemIdentifier }),
    ).rejects.toMatchObject({ code: 'TARGET_IS_PRODUCTION', exit: 2 })
    const url = Object.assign(new URL(production.url), { pathname: '/should_not_be' }).toString()
    await expect(restoreSnapshot({ snapshot: inRoom('snap'), target: url })).rejects.toMatchObject({
      code: 'TARGET_IS_PRODUCTION',
    })
    const { rows } = await production.query(`SELECT FROM pg_database WHERE datname = 'should_not_be'`)
    expect(rows).toEqual([])
  })

  test('a shadow with other clients is refused', async () => {
    const golden = `restored_${++serial}`
    await restoreSnapshot({ snapshot: inRoom('snap'), target: shadows.url(golden) })
    const url = await cloneShadow(shadows.url(), golden, 'crowded')
    await on(url, (client) =>
      on(`${url}?application_name=dashboard`, () =>
        expect(assertShadow(client, { recordingSystemIdentifier: '' })).rejects.toMatchObject({
          code: 'SHADOW_IN_USE',
          detail: expect.stringContaining('dashboard'),
          exit: 4,
        }),
      ),
    )
  })
})

describe('refusals', () => {
  test('an existing --out is never touched', async () => {
    writeFileSync(inRoom('precious'), 'mine')
    await expect(take({ out: inRoom('precious') })).rejects.toMatchObject({ code: 'OUT_EXISTS', exit: 2 })
    expect(readFileSync(inRoom('precious'), 'utf8')).toBe('mine')
  })

  test('an existing database is never restored into', async () => {
    const target = newTarget()
    await restoreSnapshot({ snapshot: inRoom('snap'), target })
    await expect(restoreSnapshot({ snapshot: inRoom('snap'), target })).rejects.toMatchObject({
      code: 'TARGET_EXISTS',
      exit: 2,
    })
    expect(await on(target, readMarker)).not.toBeNull()
  })

  test('no schema to be had: said before anything is written', async () => {
    const error = await take({ out: inRoom('no-schema'), schemaFile: undefined, serverBin: room }).catch(
      (reason) => reason,
    )
    expect(error).toMatchObject({ code: 'NO_SCHEMA_SOURCE', exit: 2 })
    expect(error.hint).toContain('--schema')
    expect(existsSync(inRoom('no-schema'))).toBe(false)
    await expect(take({ out: inRoom('no-schema'), schemaFile: inRoom('none.sql') })).rejects.toMatchObject({
      code: 'NO_SCHEMA_FILE',
    })
  })

  test('a schema that lacks a table', async () => {
    writeFileSync(inRoom('less.sql'), text('hard-types.sql').replace('CREATE TABLE nothing ();', ''))
    await take({ out: inRoom('less'), schemaFile: inRoom('less.sql') })
    await expect(restoreSnapshot({ snapshot: inRoom('less'), target: newTarget() })).rejects.toMatchObject({
      code: 'SCHEMA_LACKS_TABLE',
      message: 'cannot load table public.nothing',
    })
  })

  test('a partition the schema lacks: its rows go to the table it is a part of', async () => {
    const schema = text('hard-types.sql')
      .replace(/CREATE TABLE events_(old|new) [^;]*;/g, '')
      .replace(
        'CREATE TABLE events_old_rest PARTITION OF events_old DEFAULT;',
        'CREATE TABLE events_all PARTITION OF events DEFAULT;',
      )
    writeFileSync(inRoom('coarse.sql'), schema)
    await take({ out: inRoom('coarse'), schemaFile: inRoom('coarse.sql') })
    const url = newTarget()
    await restoreSnapshot({ snapshot: inRoom('coarse'), target: url })
    const { rows } = await on(url, (client) => client.query('SELECT count(*)::int AS count FROM events'))
    expect(rows[0].count).toBe(100)
  })

  test('a damaged data file is noticed, and no database is left', async () => {
    await take({ out: inRoom('damaged') })
    const table = readSnapshot(inRoom('damaged')).tables.find(({ name }) => name === 'people')!
    appendFileSync(inRoom(`damaged/${table.file}`), 'x')
    await expect(restoreSnapshot({ snapshot: inRoom('damaged'), target: newTarget() })).rejects.toMatchObject({
      code: 'SNAPSHOT_DAMAGED',
      detail: expect.stringContaining(table.file),
    })
    const half = readFileSync(inRoom(`damaged/${table.file}`))
    writeFileSync(inRoom(`damaged/${table.file}`), half.subarray(0, half.length / 2))
    await expect(restoreSnapshot({ snapshot: inRoom('damaged'), target: newTarget() })).rejects.toMatchObject({
      code: 'SNAPSHOT_DAMAGED',
    })
    expect(await databases()).not.toContain(`restored_${serial}`)
  })

  test('not a snapshot, or one from the future', async () => {
    await expect(restoreSnapshot({ snapshot: room, target: newTarget() })).rejects.toMatchObject({
      code: 'NOT_A_SNAPSHOT',
      exit: 2,
    })
    const future = mkdtempSync(join(room, 'future-'))
    writeFileSync(join(future, 'snapshot.json'), JSON.stringify({ ...taken, formatVersion: 2 }))
    await expect(restoreSnapshot({ snapshot: future, target: newTarget() })).rejects.toMatchObject({
      code: 'SNAPSHOT_TOO_NEW',
    })
  })

  test('a table the user may not read: its name and what to grant; nothing is kept', async () => {
    const role = `reader_${production.name}`
    await production.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA "Odd schema" TO ${role}`)
    const url = Object.assign(new URL(production.url), { username: role, password: 'x' }).toString()
    try {
      await expect(take({ out: inRoom('forbidden'), url })).rejects.toMatchObject({
        code: 'TABLE_FORBIDDEN',
        hint: expect.stringContaining('pg_read_all_data'),
      })
    } finally {
      await production.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
    expect(readdirSync(room).filter((name) => name.startsWith('forbidden'))).toEqual([])
  })

  test.each([
    { name: 'nobody listens', url: 'postgres://postgres:x@127.0.0.1:1/shop', code: 'SERVER_UNREACHABLE' },
    { name: 'not a URL', url: 'http:// not a url', code: 'BAD_URL' },
  ])('$name', async ({ url, code }) => {
    await expect(take({ out: inRoom('unreachable'), url })).rejects.toMatchObject({ code })
  })

  test('a wrong password does not appear in the message', async () => {
    const url = Object.assign(new URL(production.url), { password: 'wrong-secret' }).toString()
    const error = await take({ out: inRoom('login'), url }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'LOGIN_REFUSED' })
    expect(`${error.message} ${error.detail} ${error.hint}`).not.toContain('wrong-secret')
  })

  test('interrupted: nothing is kept, by take or by restore', async () => {
    const stop = new AbortController()
    await expect(
      take({ out: inRoom('stopped'), signal: stop.signal, onProgress: () => stop.abort() }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED', exit: 130 })
    expect(readdirSync(room).filter((name) => name.startsWith('stopped'))).toEqual([])
    const again = new AbortController()
    await expect(
      restoreSnapshot({
        snapshot: inRoom('snap'),
        target: newTarget(),
        signal: again.signal,
        onProgress: ({ step }) => (step === 'data' ? again.abort() : undefined),
      }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED', exit: 130 })
    expect(await databases()).not.toContain(`restored_${serial}`)
  })
})
