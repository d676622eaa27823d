/** What benches play on production: fixtures of our own, and the scripts everybody knows. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as ledger from '../fixtures/ledger/ledger.js'
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
    schemaPath: pgbenchSchema(),
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

function pgbenchSchema(): string {
  const path = join(mkdtempSync(join(tmpdir(), 'pgr-bench-schema-')), 'tpcb.sql')
  writeFileSync(
    path,
    `CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
     CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
     CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
     CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));`,
  )
  return path
}
