/** Programs of Debian's packages that benches measure beside ours: pgbench for what a server can take, pgreplay for what a replay was so far. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const OUTPUT_BYTES_MAX = 64 << 20

/** One look-up by primary key, as pgbench's own `-S` does it. */
export const ROWS = 100_000
const SCRIPT = `\\set id random(1, ${ROWS})\nSELECT balance FROM account WHERE id = :id;\n`
export const SCHEMA = `
  CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
  INSERT INTO account SELECT i, i FROM generate_series(1, ${ROWS}) i;`

/** Transactions a second. */
export async function pgbench(
  url: string,
  folder: string,
  options: { readonly sessions: number; readonly threads: number; readonly transactions: number },
): Promise<number> {
  const script = join(folder, 'script.sql')
  writeFileSync(script, SCRIPT)
  const { stdout } = await run('pgbench', [
    ...['-n', '-M', 'prepared', '-f', script],
    ...['-c', `${options.sessions}`, '-j', `${options.threads}`],
    ...['-t', `${Math.ceil(options.transactions / options.sessions)}`, url],
  ])
  return Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
}

/** Statements a second, from a csvlog of the traffic, without the pauses. */
export async function pgreplay(log: string, url: string): Promise<{ readonly statements: number; perSecond: number }> {
  const { hostname, port, password } = new URL(url)
  const { stdout, stderr } = await run(
    'pgreplay',
    ['-c', '-j', '-h', hostname, '-p', port, '-W', decodeURIComponent(password), log],
    { maxBuffer: OUTPUT_BYTES_MAX },
  )
  const said = stdout + stderr
  const statements = Number(/SQL statements executed: (\d+)/.exec(said)?.[1])
  const seconds = Number(/Total run time: *([\d.]+) seconds/i.exec(said)?.[1])
  if (!(statements > 0 && seconds > 0)) throw new Error(`pgreplay said something else than expected:\n${said}`)
  return { statements, perSecond: statements / seconds }
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
