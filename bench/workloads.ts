/** What benches play on production: fixtures of our own, and the scripts everybody knows. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as ledger from '../fixtures/ledger/ledger.js'
import { runSql } from '../fixtures/load.js'
import * as shop from '../fixtures/shop/shop.js'
import type { Workload } from './stage.js'

const run = promisify(execFile)

export type Size = {
  readonly statements: number
  readonly sessions: number
  readonly scale: number
  readonly seed: number
}

export const WORKLOADS: Readonly<Record<string, (size: Size) => Workload>> = {
  shop: ({ statements, sessions, scale, seed }) => ({
    name: 'shop',
    schemaPath: shop.v1Path,
    policyPath: shop.policyPath,
    load: (url) => shop.loadShop(url, { scale, seed }),
    play: (url) => shop.runTraffic({ url, sessions, statements, seed }),
  }),
  ledger: ({ statements, sessions, scale, seed }) => ({
    name: 'ledger',
    schemaPath: ledger.v1Path,
    policyPath: ledger.policyPath,
    load: (url) => ledger.loadLedger(url, { scale, seed }),
    play: (url) => ledger.runTraffic({ url, sessions, statements, seed }),
  }),
  tpcb: ({ statements, sessions, scale }) => ({
    name: "pgbench's TPC-B",
    schemaPath: schemaFile('tpcb', PGBENCH_SCHEMA),
    policyPath: null,
    load: (url) => run(pgbench(), ['-i', '-I', 'g', '-q', '-s', String(Math.ceil(scale)), url]),
    // Seven statements a transaction.
    play: (url) =>
      run(pgbench(), [
        '-n',
        '-M',
        'prepared',
        '-c',
        String(sessions),
        '-t',
        String(Math.ceil(statements / sessions / 7)),
        url,
      ]),
  }),
  sysbench: (size) => ({
    name: "sysbench's oltp_read_write",
    schemaPath: schemaFile('sysbench', SYSBENCH_SCHEMA),
    policyPath: null,
    load: (url) => runSql(url, SYSBENCH_FILL),
    play: (url) => playSysbench(url, size),
  }),
}

/** Twenty statements a transaction, on few rows, so that sessions meet. */
const SYSBENCH_ROWS = 2000
const SYSBENCH_STATEMENTS = 20

async function playSysbench(url: string, { statements, sessions, seed }: Size): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(url)
  await run('sysbench', [
    'oltp_read_write',
    '--db-driver=pgsql',
    `--pgsql-host=${hostname}`,
    `--pgsql-port=${port}`,
    `--pgsql-user=${username}`,
    `--pgsql-password=${decodeURIComponent(password)}`,
    `--pgsql-db=${pathname.slice(1)}`,
    `--threads=${sessions}`,
    `--events=${Math.ceil(statements / SYSBENCH_STATEMENTS)}`,
    '--time=0',
    `--table-size=${SYSBENCH_ROWS}`,
    '--rand-type=uniform',
    `--rand-seed=${seed}`,
    'run',
  ])
}

/** As sysbench's own `prepare` makes it, with its rows made by the server. */
const SYSBENCH_SCHEMA = `
  CREATE TABLE sbtest1 (
    id serial PRIMARY KEY, k integer NOT NULL DEFAULT 0, c char(120) NOT NULL DEFAULT '', pad char(60) NOT NULL DEFAULT '');
  CREATE INDEX k_1 ON sbtest1 (k);`

const SYSBENCH_FILL = `
  INSERT INTO sbtest1 (k, c, pad)
    SELECT i * 7919 % ${SYSBENCH_ROWS}, md5(i::text), md5((-i)::text) FROM generate_series(1, ${SYSBENCH_ROWS}) i;`

function schemaFile(name: string, sql: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'pgr-bench-schema-')), `${name}.sql`)
  writeFileSync(path, sql)
  return path
}

/** Client programs are not in the embedded server's package. */
function pgbench(): string {
  const folders = ['/usr/lib/postgresql', '/usr/local/lib/postgresql'].flatMap((root) =>
    existsSync(root) ? readdirSync(root).map((major) => join(root, major, 'bin')) : [],
  )
  const found = [...folders, '/usr/bin', '/usr/local/bin']
    .map((folder) => join(folder, 'pgbench'))
    .find((path) => existsSync(path))
  if (!found) throw new Error('pgbench is not installed (Debian: postgresql-contrib or postgresql-15)')
  return found
}

const PGBENCH_SCHEMA = `
  CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
  CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
  CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
  CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));`
