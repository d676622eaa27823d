import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { audit } from '../../privacy/audit/audit.js'
import { sampledPersonalValues } from '../../privacy/audit/sampled.js'
import { resolvePolicy } from '../../privacy/policy/columns.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { sampleColumns } from '../../privacy/suggest/sample.js'
import { suggestPolicy } from '../../privacy/suggest/suggest.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { catalogOf } from './support.js'

const TOKEN = 'anna.0123456789abc@example.org'

describe('audit', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgrehearse-audit-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  const run = (values: string[] = [], strict = false) => audit([folder], { values, strict })
  const whats = async (...args: Parameters<typeof run>) => (await run(...args)).hits.map((hit) => hit.what)

  test('finds an address in plain bytes, and shows neither it nor most of it', async () => {
    writeFileSync(join(folder, 'log'), `${'x'.repeat(70_000)} alice.brown@corp.example.com`)
    const { hits, count } = await run()
    expect(count).toBe(1)
    expect(hits[0]).toMatchObject({ what: 'email', excerpt: 'a…m (28 characters)' })
    expect(JSON.stringify(hits)).not.toContain('brown')
  })
  test('finds what is packed: gzip, cells of SQLite, brotli in cells', async () => {
    writeFileSync(join(folder, 'data.gz'), gzipSync('1\talice@corp.example.com\n'))
    const db = new Database(join(folder, 'run.sqlite'))
    db.exec('CREATE TABLE t (a TEXT, b BLOB)')
    db.prepare('INSERT INTO t VALUES (?, ?)').run(
      'x',
      brotliCompressSync(Buffer.from('bob@corp.example.com'.repeat(50))),
    )
    db.prepare('INSERT INTO t VALUES (?, ?)').run(
      'x',
      Buffer.concat([Buffer.of(1), brotliCompressSync(Buffer.from('carol@corp.example.com'.repeat(50)))]),
    )
    db.close()
    const { hits } = await run()
    expect(new Set(hits.map((hit) => hit.place.replace(/\d+/, 'N')))).toEqual(new Set(['unpacked byte N', 't.b']))
    expect(new Set(hits.map((hit) => hit.file)).size).toBe(2)
  })
  test('finds an address that lies across two chunks', async () => {
    writeFileSync(join(folder, 'log'), `${' '.repeat(65_530)}alice@corp.example.com`)
    expect(await whats()).toContain('email')
  })
  test('takes tokens for tokens', async () => {
    writeFileSync(join(folder, 'log'), `${TOKEN} +49 170 1234567 4111 1111 1111 1111`)
    const result = await run()
    expect(result.count).toBe(0)
    expect(result.lookalikes).toEqual({ phone: 1, card: 1 })
    expect((await run([], true)).count).toBe(2)
  })
  test('takes what a page of SQLite leaves of a token for one; an address is found however it is torn', async () => {
    const db = new Database(join(folder, 'run.sqlite'))
    db.exec('CREATE TABLE t (a TEXT)')
    const insert = db.prepare('INSERT INTO t VALUES (?)')
    // Longer than a page, so that it goes on on others; deleted, so that its cells are written over in part.
    for (let at = 0; at < 40; at += 1) insert.run(`${'-'.repeat(at)}${`${TOKEN} `.repeat(400)}`)
    for (let at = 0; at < 400; at += 1) insert.run(TOKEN)
    db.exec('DELETE FROM t WHERE rowid % 3 = 0')
    for (let at = 0; at < 90; at += 1) insert.run('x')
    db.close()
    expect((await run()).hits).toEqual([])
    const other = new Database(join(folder, 'other.sqlite'))
    other.exec('CREATE TABLE t (a TEXT)')
    other.prepare('INSERT INTO t VALUES (?)').run('alice@corp.example.com '.repeat(400))
    other.exec('DELETE FROM t')
    other.close()
    expect((await run()).count).toBeGreaterThan(300)
  })
  test('finds known values letter by letter', async () => {
    writeFileSync(join(folder, 'log'), 'sent to Zoë Ünder yesterday')
    expect(await whats(['Zoë Ünder', 'Bob Miller'])).toEqual(['value'])
  })
  test('refuses a path that is none', async () =>
    await expect(audit([join(folder, 'none')], { values: [], strict: false })).rejects.toMatchObject({
      code: 'AUDIT_NO_SUCH_PATH',
      exit: 2,
    }))
})

describe('suggest', () => {
  let database: TestDatabase
  let client: pg.Client
  beforeAll(async () => {
    database = await createDatabase(
      `CREATE TABLE customers (id int PRIMARY KEY, "Email" text UNIQUE, name text, "phoneNumber" text, born date, password_hash text, reset_token text UNIQUE,
         status text CHECK (status IN ('new', 'old')), plan text, contact text, remark text, tone text DEFAULT 'formal', ssn bigint, last_ip inet, data jsonb, tags text[]);
       COMMENT ON COLUMN customers.remark IS 'mobile number of the next of kin';
       CREATE TABLE letters (id int PRIMARY KEY, recipient text REFERENCES customers ("Email"), body text);
       CREATE TABLE products (id int PRIMARY KEY, name text, price numeric);`,
      `INSERT INTO customers (id, "Email", name, plan, contact, remark, status, data)
       SELECT i, 'user' || i || '@corp.example', 'Person ' || i, (ARRAY['free', 'gold'])[1 + i % 2], 'x' || i || '@mail.example', '', 'new',
         jsonb_build_object('backup', 'y' || i || '@mail.example', 'note', 'hello', 'list', jsonb_build_array(jsonb_build_object('mail', 'z' || i || '@mail.example')))
       FROM generate_series(1, 100) i`,
    )
    client = new pg.Client(database.url)
    await client.connect()
  })
  afterAll(async () => {
    await client.end()
    await database.drop()
  })

  test('proposes what a person would write, valid as it stands, and prints no value', async () => {
    const catalog = await catalogOf(database)
    const text = suggestPolicy(catalog, await sampleColumns(client, catalog))
    const policy = parsePolicy(text, 'suggested.yaml')
    resolvePolicy(policy, catalog)
    expect(Object.fromEntries(policy.rules.map((rule) => [rule.pattern, rule.kind]))).toEqual({
      'public.customers.Email': 'email',
      'public.customers.name': 'full_name',
      'public.customers.phoneNumber': 'phone',
      'public.customers.born': 'date_shift',
      'public.customers.password_hash': 'redact',
      'public.customers.reset_token': 'text',
      'public.customers.status': 'keep',
      'public.customers.plan': 'keep',
      'public.customers.contact': 'email',
      'public.customers.remark': 'phone',
      'public.customers.tone': 'keep',
      'public.customers.ssn': 'digits',
      'public.customers.last_ip': 'ip',
      'public.customers.data': 'json',
    })
    expect(policy.rules.find((rule) => rule.kind === 'json')?.json).toEqual(
      expect.arrayContaining([
        { path: 'backup', kind: 'email' },
        { path: 'list[*].mail', kind: 'email' },
      ]),
    )
    expect(text).toMatch(/# public\.letters\.recipient: shared +# follows public\.customers\.Email/)
    expect(text).not.toMatch(/corp\.example|mail\.example|Person \d|gold/)
  })
  test('values of masked columns are sampled for an audit, those of kept columns are not', async () => {
    const catalog = await catalogOf(database)
    const policy = parsePolicy(
      'version: 1\ncolumns:\n  public.customers.Email: email\n  public.customers.name: keep\n',
      'p',
    )
    const values = await sampledPersonalValues(client, catalog, policy)
    expect(values).toContain('user7@corp.example')
    expect(values).not.toContain('Person 7')
  })
})
