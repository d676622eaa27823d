/** `verify` on migrations that are right: nothing differs, nothing is forgotten. On ones that are not, exit code 1 and what is wrong. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as ledger from '../../fixtures/ledger/ledger.js'
import { runSql } from '../../fixtures/load.js'
import { mappingPath } from '../../fixtures/shop/files.js'
import * as shop from '../../fixtures/shop/shop.js'
import { pgrehearse } from '../reports/command-line.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

describe.each([
  {
    name: 'shop',
    fixture: shop,
    load: (url: string) => shop.loadShop(url, { scale: 0.05, seed: 1 }),
    mapping: mappingPath,
  },
  {
    name: 'ledger',
    fixture: ledger,
    load: (url: string) => ledger.loadLedger(url, { scale: 0.05, seed: 1 }),
    mapping: null,
  },
])('$name', ({ fixture, load, mapping }) => {
  let v1: TestDatabase
  let v2: TestDatabase
  beforeAll(async () => {
    ;[v1, v2] = await Promise.all([createDatabase(), createDatabase()])
    for (const { url } of [v1, v2]) {
      await runSql(url, readFileSync(fixture.v1Path, 'utf8'))
      await load(url)
    }
    await runSql(v2.url, readFileSync(fixture.migratePath, 'utf8'))
  })
  afterAll(() => Promise.all([v1?.drop(), v2?.drop()]))

  const verify = async (...more: string[]) => {
    const { exit, out } = await pgrehearse('.', 'verify', '--from', v1.url, '--to', v2.url, '--json', ...more)
    return { exit, found: JSON.parse(out) as { tables: { table: string; verdict: string }[] } }
  }

  test('a correct migration has nothing to answer for, with and without its mapping', async () => {
    for (const more of [[], ...(mapping === null ? [] : [['--mapping', mapping]])]) {
      const { exit, found } = await verify(...more)
      expect([exit, found.tables.filter(({ verdict }) => verdict !== 'equal')]).toEqual([0, []])
    }
  })

  test('a trigger that it forgot is noticed', async () => {
    const { rows } = await v2.query(
      `SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) AS sql FROM pg_trigger
        WHERE NOT tgisinternal AND tgparentid = 0 AND tgrelid = ANY ($1::regclass[]) ORDER BY tgname LIMIT 1`,
      [await tablesOf(v1)],
    )
    await v2.query(String(rows[0].sql))
    expect((await verify()).exit).toBe(1)
  })
})

/** Names that V1 knows. */
async function tablesOf(database: TestDatabase): Promise<string[]> {
  const { rows } = await database.query(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
      WHERE c.relkind IN ('r', 'p') AND t.tgparentid = 0 AND c.relname <> 'orders'`,
  )
  return rows.map(({ name }) => name)
}
