/**
 * Two real databases, one of the old schema and one of the new, with the same rows; a statement is asked of both, and so are the tables afterwards.
 */

import pg from 'pg'
import { expect } from 'vitest'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { bindRules } from '../../replayer/rewrite/rules.js'
import { lex } from '../../sql/lex.js'
import { loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { type RuleBook, rewriteSql, TRUNCATED } from '../../sql/rewrite.js'
import { fillTemplate } from '../../sql/rewrite-text.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

export type World = {
  readonly book: RuleBook
  readonly rewrite: (sql: string) => string
  /** The statements, one after the other, on both; then every table of the old schema. Undone afterwards. */
  compare(statements: readonly Asked[], options?: CompareOptions): Promise<void>
  close(): Promise<void>
}

export type CompareOptions = {
  /** Both fail, for whatever reason. */
  readonly anyError?: boolean
  /** Every statement draws its ids from a place of its own. */
  readonly ownNumbers?: boolean
}

export type Asked = string | readonly [sql: string, values: readonly unknown[]]

export type WorldParts = {
  readonly before: string
  readonly after: string
  readonly mapping: string
  /** Table of the old schema to the query that gives its rows in the new one, written by hand. */
  readonly tables: Readonly<Record<string, string>>
}

type Answer =
  | { readonly error: string }
  | { readonly command: string; readonly rows: readonly unknown[]; readonly fields: readonly string[] }

export async function createWorld(parts: WorldParts): Promise<World> {
  await loadParser()
  const databases = [await createDatabase(parts.before), await createDatabase(parts.before, parts.after)] as const
  const clients = await Promise.all(databases.map(connect))
  const [before, after] = await Promise.all(clients.map((client) => readCatalog(client)))
  const book = bindRules(parseMapping(parts.mapping, 'mapping.yaml'), before!, after!)
  const rewrite = (sql: string): string => {
    const found = rewriteSql(sql, book)
    if (found === null) return sql
    return fillTemplate(found.template, sql, lex(sql))
  }
  let executed = 0
  return {
    book,
    rewrite,
    async compare(statements, { anyError = false, ownNumbers = false } = {}) {
      executed += 1
      const [old, now] = clients as [pg.Client, pg.Client]
      await old.query('BEGIN')
      await now.query('BEGIN')
      try {
        for (const [at, asked] of statements.entries()) {
          if (ownNumbers) await Promise.all(clients.map((client) => resetSequences(client, 1000 * (at + 1))))
          const [sql, values] = typeof asked === 'string' ? [asked, undefined] : asked
          const said = rewrite(sql)
          const counted = rewriteSql(sql, book)?.groups[0]?.counted
          const isOrdered = /\border by\b/i.test(sql)
          const [wanted, got] = [
            await ask(old, sql, values, isOrdered),
            await ask(now, said, values, isOrdered, counted?.verb),
          ]
          if (anyError && 'error' in wanted && 'error' in got) continue
          expect(got, `${sql}\n  as\n${said}`).toEqual(wanted)
        }
        for (const [table, query] of Object.entries(parts.tables)) {
          const rows = async (client: pg.Client, sql: string) =>
            (await client.query({ text: `SELECT t::text FROM (${sql}) t ORDER BY 1`, rowMode: 'array' })).rows
          expect(
            await rows(now, query),
            `rows of ${table} after\n${statements.map((one) => rewrite(typeof one === 'string' ? one : one[0])).join('\n')}`,
          ).toEqual(await rows(old, `SELECT * FROM ${table}`))
        }
      } finally {
        await old.query('ROLLBACK')
        await now.query('ROLLBACK')
        await Promise.all(clients.map((client) => resetSequences(client)))
      }
    },
    async close() {
      console.log(`${executed} sequences of statements, each executed on the old and the new schema`)
      await Promise.all(clients.map((client) => client.end()))
      await Promise.all(databases.map((database) => database.drop()))
    },
  }
}

/** A whole row of a table that is gone has no type of its own. */
const RECORD = 2249

async function connect(database: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client(database.url)
  await client.connect()
  return client
}

async function resetSequences(client: pg.Client, to = 1000): Promise<void> {
  await client.query(`SELECT setval(oid::regclass, ${to}) FROM pg_class WHERE relkind = 'S'`)
}

/** An error of both sides is equal by its code; the transaction goes on after it. */
async function ask(
  client: pg.Client,
  sql: string,
  values: readonly unknown[] | undefined,
  isOrdered: boolean,
  verb?: string,
): Promise<Answer> {
  await client.query('SAVEPOINT asked')
  try {
    const result = await client.query({
      text: sql,
      rowMode: 'array',
      ...(values === undefined ? {} : { values: [...values] }),
    })
    const last = Array.isArray(result) ? (result as pg.QueryArrayResult[]).at(-1)! : (result as pg.QueryArrayResult)
    const rows = last.fields.length === 0 ? [] : last.rows.map((row) => JSON.stringify(row))
    return {
      command: verb === TRUNCATED ? 'TRUNCATE null' : `${verb?.replace(' 0', '') ?? last.command} ${last.rowCount}`,
      fields: last.fields.map(({ name, dataTypeID }) =>
        dataTypeID < 16384 && dataTypeID !== RECORD ? `${name} ${dataTypeID}` : name,
      ),
      rows: isOrdered ? rows : rows.sort(),
    }
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    await client.query('ROLLBACK TO SAVEPOINT asked')
    return { error: error.code ?? error.message }
  }
}
