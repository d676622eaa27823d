import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verifyTables } from '../../replayer/compare/verify.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const V1 = `
  CREATE TABLE users (id int PRIMARY KEY, email text, price numeric(10, 2), code char(6), doc json, seen timestamptz NOT NULL DEFAULT now());
  INSERT INTO users SELECT i, 'user' || i || '@example.com', i * 1.5, 'c' || i, json_build_object('b', i, 'a', 1), '2024-01-01 10:00+00' FROM generate_series(1, 3000) i;
  CREATE TABLE words (word text, times int, PRIMARY KEY (word, times));
  INSERT INTO words SELECT 'w' || i, i % 7 FROM generate_series(1, 2500) i;
  CREATE TABLE log (line text, level int);
  INSERT INTO log SELECT 'line ' || i % 50, i % 3 FROM generate_series(1, 2000) i;
  CREATE TABLE payments (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), cents int);
  INSERT INTO payments (cents) SELECT i FROM generate_series(1, 20) i;`

let before: TestDatabase
beforeAll(async () => {
  before = await createDatabase(V1)
})
afterAll(() => before?.drop())

async function against(migration: string, more: object = {}) {
  const after = await createDatabase(V1, migration)
  try {
    return await verifyTables({ beforeUrl: before.url, afterUrl: after.url, ...more })
  } finally {
    await after.drop()
  }
}

const differing = (tables: Awaited<ReturnType<typeof verifyTables>>) =>
  tables.filter(({ verdict }) => verdict !== 'equal')

describe('tables that are equal', () => {
  test('as they are, random keys left out', async () => {
    const tables = await against('SELECT 1')
    expect(differing(tables)).toEqual([])
    expect(tables.find(({ table }) => table === 'payments')).toMatchObject({ columnsLeftOut: ['id'], rowsBefore: 20 })
  })
  test('in other types and another physical order', async () => {
    const tables = await against(`
      ALTER TABLE users ALTER id TYPE bigint, ALTER price TYPE numeric(12, 4), ALTER code TYPE text, ALTER doc TYPE jsonb;
      CREATE TABLE copy AS SELECT * FROM words ORDER BY md5(word); TRUNCATE words; INSERT INTO words SELECT * FROM copy`)
    expect(differing(tables)).toEqual([])
  })
  test('with JSON that jsonb cannot hold', async () => {
    const strange = `UPDATE users SET doc = '{"a": "x\\u0000y"}' WHERE id = 3`
    await before.query(strange)
    try {
      expect(differing(await against(strange))).toEqual([])
      expect(differing(await against('SELECT 1'))).toMatchObject([{ table: 'users', changed: 1 }])
    } finally {
      await before.query(`UPDATE users SET doc = json_build_object('b', id, 'a', 1) WHERE id = 3`)
    }
  })
  test('split in two, by a query', async () => {
    const migration = `CREATE TABLE a AS SELECT id, email, price, code FROM users; CREATE TABLE b AS SELECT id, doc, seen FROM users; DROP TABLE users`
    const mapping = { users: 'SELECT * FROM a JOIN b USING (id)' }
    expect(differing(await against(migration, { mapping }))).toEqual([])
  })
  test('though JSON of whole rows has the columns that tables have gained, and says so', async () => {
    const audit = `CREATE TABLE audit (id int PRIMARY KEY, row jsonb);
      INSERT INTO audit SELECT id, to_jsonb(users) FROM users WHERE id <= 200`
    await before.query(audit)
    try {
      const gain = 'ALTER TABLE users ADD archived boolean NOT NULL DEFAULT false'
      const tables = await against(`${gain}; ${audit}`)
      expect(differing(tables)).toEqual([])
      expect(tables.find(({ table }) => table === 'audit')?.columns).toMatchObject([{ column: 'row', gained: true }])
      // Another key, or another value besides, is not what a new column brings.
      for (const wrong of [`'{"other": 1}'`, `'{"price": 5}'`])
        expect(differing(await against(`${gain}; ${audit}; UPDATE audit SET row = row || ${wrong}`))).toMatchObject([
          { table: 'audit', verdict: 'differs' },
        ])
    } finally {
      await before.query('DROP TABLE audit')
    }
  })
  test('but for what the replays made', async () => {
    const startedAtMs = { before: Date.now() - 1000, after: Date.now() - 1000 }
    const migration = 'UPDATE users SET seen = now() WHERE id = 7'
    expect(differing(await against(migration, { startedAtMs }))).toMatchObject([{ table: 'users', changed: 1 }])
    await before.query('UPDATE users SET seen = now() WHERE id = 7')
    expect(differing(await against(migration, { startedAtMs }))).toEqual([])
    await before.query("UPDATE users SET seen = '2024-01-01 10:00+00' WHERE id = 7")
  })
})

describe('tables that differ, narrowed to the rows', () => {
  test('one value of 3,000 rows, with its cause', async () => {
    const [users, ...rest] = differing(await against('UPDATE users SET email = left(email, 8) WHERE id = 2345'))
    expect(rest).toEqual([])
    expect(users).toMatchObject({
      table: 'users',
      changed: 1,
      missing: 0,
      extra: 0,
      columns: [{ column: 'email', rows: 1, cause: 'users.email is cut to 8 characters' }],
    })
    expect(users!.examples!.before).toHaveLength(1)
    expect(users!.examples!.after[0]![1]).toBe('user2345')
  })
  test('rows missing, rows extra', async () => {
    const [users] = differing(
      await against("DELETE FROM users WHERE id IN (5, 2999); INSERT INTO users (id, email) VALUES (-3, 'x')"),
    )
    expect(users).toMatchObject({ rowsBefore: 3000, rowsAfter: 2999, missing: 2, extra: 1, changed: 0 })
  })
  test('a key of several columns of any type', async () => {
    const [words] = differing(
      await against("DELETE FROM words WHERE word = 'w1234'; UPDATE words SET word = 'W77' WHERE word = 'w77'"),
    )
    expect(words).toMatchObject({ table: 'words', missing: 2, extra: 1 })
  })
  test('no key at all', async () => {
    const [log] = differing(await against('UPDATE log SET level = 9 WHERE ctid = (SELECT min(ctid) FROM log)'))
    expect(log).toMatchObject({ table: 'log', missing: 0, extra: 0, changed: 1, columns: [{ column: 'level' }] })
  })
  test('a column or a table that is gone', async () => {
    const tables = differing(await against('ALTER TABLE users DROP COLUMN code; DROP TABLE log'))
    expect(tables).toMatchObject([
      { table: 'log', verdict: 'missing' },
      { table: 'users', verdict: 'differs', columnsMissing: ['code'], changed: 0 },
    ])
  })
  test('not where the user says so', async () => {
    expect(differing(await against("UPDATE users SET email = 'x'", { ignore: ['users.email'] }))).toEqual([])
  })
})
