/** Programs of Debian's packages that benches measure beside ours: pgbench for what a server can take, pgreplay for what a replay was so far. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const OUTPUT_BYTES_MAX = 64 << 20
const PATIENCE_MS = 60_000

type Said = { readonly stdout: string; readonly stderr: string; readonly killed?: boolean }

/** What pgbench plays. */
export type Script = {
  readonly name: 'lookups' | 'tpcb'
  readonly schema: string
  /** Tables whose statistics matter. */
  readonly tables: readonly string[]
  readonly statementsPerTransaction: number
  /** Arguments that choose it; a script of our own is written into the folder. */
  readonly choose: (folder: string) => readonly string[]
}

/** One look-up by primary key, as pgbench's own `-S` does it: next to nothing for the server to do, so what is measured is the overhead. */
export const ROWS = 100_000
const LOOKUPS: Script = {
  name: 'lookups',
  schema: `
  CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
  INSERT INTO account SELECT i, i FROM generate_series(1, ${ROWS}) i;`,
  tables: ['account'],
  statementsPerTransaction: 1,
  choose: (folder) => {
    const script = join(folder, 'script.sql')
    writeFileSync(script, `\\set id random(1, ${ROWS})\nSELECT balance FROM account WHERE id = :id;\n`)
    return ['-f', script]
  },
}

/** pgbench's own, the one it plays when it is told nothing: transactions of seven statements, five of which write. */
const SCALE = 10
const TPCB: Script = {
  name: 'tpcb',
  schema: `
  CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor = 50);
  CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor = 50);
  CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
  CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
  INSERT INTO pgbench_branches SELECT i, 0 FROM generate_series(1, ${SCALE}) i;
  INSERT INTO pgbench_tellers SELECT i, (i - 1) / 10 + 1, 0 FROM generate_series(1, ${SCALE * 10}) i;
  INSERT INTO pgbench_accounts SELECT i, (i - 1) / 100000 + 1, 0 FROM generate_series(1, ${SCALE * 100_000}) i;`,
  tables: ['pgbench_branches', 'pgbench_tellers', 'pgbench_accounts'],
  statementsPerTransaction: 7,
  choose: () => ['-b', 'tpcb-like'],
}

export const SCRIPTS: Readonly<Record<string, Script>> = { lookups: LOOKUPS, tpcb: TPCB }

/** Statements a second. With a rate, pgbench sends so many a second, at random moments, and not as many as it can. */
export async function pgbench(
  url: string,
  folder: string,
  script: Script,
  options: {
    readonly sessions: number
    readonly threads: number
    readonly statements: number
    readonly perSecond?: number
  },
): Promise<number> {
  const { statementsPerTransaction: each } = script
  const { sessions, threads, statements, perSecond } = options
  const { stdout } = await run('pgbench', [
    ...['-n', '-M', 'prepared', ...script.choose(folder)],
    ...['-c', `${sessions}`, '-j', `${threads}`],
    ...(perSecond === undefined ? [] : ['-R', `${perSecond / each}`]),
    ...['-t', `${Math.ceil(statements / sessions / each)}`, url],
  ])
  return Number(/tps = ([\d.]+)/.exec(stdout)?.[1]) * each
}

/**
 * Statements a second, from a csvlog of the traffic, without the pauses. It keeps to the order of the log, statement by statement: where
 * sessions wait for each other's locks in another order than they were granted, it waits for ever. null: it did.
 */
export async function pgreplay(log: string, url: string): Promise<number | null> {
  const { hostname, port, password } = new URL(url)
  const { stdout, stderr, killed }: Said = await run(
    'pgreplay',
    ['-c', '-j', '-h', hostname, '-p', port, '-W', decodeURIComponent(password), log],
    { maxBuffer: OUTPUT_BYTES_MAX, timeout: PATIENCE_MS },
  ).catch((error: Said) => error)
  if (killed) return null
  const said = stdout + stderr
  const statements = Number(/SQL statements executed: (\d+)/.exec(said)?.[1])
  const seconds = Number(/Total run time: *([\d.]+) seconds/i.exec(said)?.[1])
  if (!(statements > 0 && seconds > 0)) throw new Error(`pgreplay said something else than expected:\n${said}`)
  return statements / seconds
}

/** How much the csvlog holds by now: what comes later is the traffic. */
export function logBytes(dataDir: string): number {
  return statSync(logOf(dataDir)).size
}

/** The csvlog from a position on, as a file of its own. The server must have stopped: its logger writes late. */
export function cutLog(dataDir: string, fromBytes: number, into: string): string {
  const path = join(into, 'traffic.csv')
  const log = readFileSync(logOf(dataDir)).subarray(fromBytes).toString('utf8')
  // pgreplay knows the wording of servers before PostgreSQL 16.
  writeFileSync(path, log.replaceAll(',"Parameters: ', ',"parameters: '))
  return path
}

function logOf(dataDir: string): string {
  const names = readdirSync(join(dataDir, 'log')).filter((name) => name.endsWith('.csv'))
  if (names.length !== 1) throw new Error(`${names.length} csvlogs in ${dataDir}, one was expected`)
  return join(dataDir, 'log', names[0]!)
}
