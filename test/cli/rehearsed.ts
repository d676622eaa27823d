/**
 * A small production of one's own, copied and recorded: what `pgrehearse run` starts from.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { readKey } from '../../privacy/key.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { startProxyRecording } from '../../recorder/proxy.js'
import { withAdmin } from '../../replayer/shadow/connect.js'
import { startServer } from '../../replayer/shadow/server.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'

const SCHEMA = `
CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, balance int NOT NULL);
CREATE TABLE moves (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int NOT NULL REFERENCES accounts, amount int NOT NULL);
`
const POLICY = 'version: 1\ncolumns:\n  public.accounts.owner: keep\n'

/** `folder` gets `snapshot/` and `recording/`. */
export async function rehearsed(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
  writeFileSync(join(folder, 'schema.sql'), SCHEMA)
  const masks = { policy: parsePolicy(POLICY, 'policy.yaml'), key: readKey(randomBytes(32).toString('hex')) }
  const production = await startServer()
  try {
    await withAdmin(production.url(), (admin) => admin.query('CREATE DATABASE bank'))
    const url = production.url('bank')
    await onClient(url, async (client) => {
      await client.query(SCHEMA)
      await client.query(`INSERT INTO accounts SELECT n, 'owner ' || n, 1000 FROM generate_series(1, 40) n`)
    })
    const madeBy = 'pgrehearse test'
    await takeSnapshot({ url, out: join(folder, 'snapshot'), masks, schemaFile: join(folder, 'schema.sql'), madeBy })
    const listen = { host: '127.0.0.1', port: 0 }
    const proxy = await startProxyRecording({ listen, upstream: url, out: join(folder, 'recording'), ...masks, madeBy })
    try {
      await onClient(Object.assign(new URL(url), { host: `127.0.0.1:${proxy.port}` }).href, traffic)
    } finally {
      await proxy.stop()
    }
  } finally {
    await production.stop()
  }
}

async function traffic(client: pg.Client): Promise<void> {
  for (let n = 1; n <= 30; n += 1) {
    await client.query('SELECT owner, balance FROM accounts WHERE id = $1', [n])
    await client.query('BEGIN')
    await client.query('UPDATE accounts SET balance = balance - $1 WHERE id = $2', [n, n])
    await client.query('INSERT INTO moves (account, amount) VALUES ($1, $2)', [n, -n])
    await client.query('COMMIT')
  }
}

async function onClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

export type Shadows = {
  readonly url: string
  /** Goldens and shadows, by name. */
  databases(): Promise<string[]>
  drop(name: string): Promise<void>
  /** Of a database: another one of the same name has another. */
  oid(name: string): Promise<string>
  /** Rows; 0 while the database or the table is not there yet. */
  count(name: string, table: string): Promise<number>
  change(name: string, sql: string): Promise<void>
  stop(): Promise<void>
}

/** A server of the test file's own: names of goldens hold their keys, so files side by side would share them. */
export async function shadowServer(): Promise<Shadows> {
  const server = await startServer()
  const url = server.url()
  return {
    url,
    databases: () =>
      withAdmin(url, async (admin) => {
        const { rows } = await admin.query(`SELECT datname FROM pg_database WHERE datname LIKE 'pgr\\_%' ORDER BY 1`)
        return rows.map(({ datname }) => String(datname))
      }),
    drop: (name) =>
      withAdmin(url, async (admin) => {
        await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      }),
    oid: (name) =>
      withAdmin(url, async (admin) => {
        const { rows } = await admin.query('SELECT oid::text AS oid FROM pg_database WHERE datname = $1', [name])
        return String(rows[0]?.oid)
      }),
    count: async (name, table) => {
      let rows = 0
      await onClient(server.url(name), async (client) => {
        rows = (await client.query(`SELECT count(*)::int AS rows FROM ${table}`)).rows[0].rows
      }).catch(() => undefined)
      return rows
    },
    change: (name, sql) => onClient(server.url(name), async (client) => void (await client.query(sql))),
    stop: () => server.stop(),
  }
}
