/**
 * A database of one's own on the shared server, so that test files can run side by side.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'

export type TestDatabase = {
  readonly name: string
  readonly url: string
  query(sql: string, values?: unknown[]): Promise<pg.QueryResult>
  /** Nobody is connected any more, so that it can be copied; `query` is over. */
  rest(): Promise<void>
  drop(): Promise<void>
}

export async function createDatabase(...setUp: string[]): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = new pg.Client(inject('serverUrl'))
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  const url = Object.assign(new URL(inject('serverUrl')), { pathname: `/${name}` }).toString()
  const client = new pg.Client(url)
  await client.connect()
  for (const sql of setUp) await client.query(sql)
  let resting = false
  const rest = async () => {
    if (!resting) await client.end()
    resting = true
  }
  return {
    name,
    url,
    query: (sql, values) => client.query(sql, values),
    rest,
    async drop() {
      await rest()
      const again = new pg.Client(inject('serverUrl'))
      await again.connect()
      await again.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      await again.end()
    },
  }
}
