/**
 * How fast is a replay, and how late? Primary key look-ups by named prepared statements, on an embedded server, all on one machine:
 *
 * - `pgbench` (when it is installed) and a bare loop in Node: what the machine gives without recording, order and digests;
 * - the replay at `max`: statements a second;
 * - the replay at half of that rate, by the clock: how late statements are sent, once the code is warm;
 * - the same at several speeds: how long the whole takes, against what it should.
 *
 *     node dist/bench/replay.js [--statements 200000] [--sessions 8] [--workers 2]
 *
 * Everything competes for the same cores; on a busy machine only the ratios within one run mean anything.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { Piscina } from 'piscina'
import { workerFile } from '../base/worker-file.js'
import { replay } from '../replayer/run/replay.js'
import { sessionPlan } from '../replayer/run/simple-plans.js'
import { startServer } from '../replayer/shadow/server.js'
import type { Outcome } from '../segment/outcome.js'
import { openRecording } from '../segment/recording.js'
import { createRecording } from '../segment/recording-writer.js'
import { openRun } from '../segment/run-file.js'
import type { Frame, SafeSql, Statement } from '../segment/statement.js'
import { buildBindRest } from '../wire/bind.js'
import type { BareTask } from './bare.worker.js'

const { values: flags } = parseArgs({
  options: {
    statements: { type: 'string', default: '200000' },
    sessions: { type: 'string', default: '8' },
    workers: { type: 'string', default: '2' },
  },
})
const statements = Number(flags.statements)
const sessions = Number(flags.sessions)
const workers = Number(flags.workers)
const SQL = 'SELECT balance FROM account WHERE id = $1'
const ROWS = 100_000
/** One recorded statement in so many microseconds: for speed, and for timing. */
const DENSE_GAP_US = 100
const SPARSE_GAP_US = 1000
const SPARSE_STATEMENTS = 3000
/** Before this the code is cold; a recording does not begin with its highest load. */
const WARM_US = 1_000_000
const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-'))

async function measure(url: string): Promise<void> {
  await fill(url)
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; ${sessions} sessions, ${workers} workers`,
  )
  const ceiling = pgbench(url)
  if (ceiling !== null) console.log(`pgbench -M prepared         ${round(ceiling)}/s`)
  const bare = await bareLoop(url)
  console.log(`bare loop in Node           ${round(bare)}/s`)

  const dense = record('dense', statements, DENSE_GAP_US)
  const fast = await run(url, dense, 'max')
  const share = ceiling === null ? '' : `, ${(fast.perSecond / ceiling).toFixed(2)} of pgbench`
  console.log(
    `replay at max, with digests ${round(fast.perSecond)}/s${share}, ${(fast.perSecond / bare).toFixed(2)} of the bare loop`,
  )

  const half = await run(url, dense, (fast.perSecond / 2) * (DENSE_GAP_US / 1e6))
  console.log(
    `replay at half of that      ${round(half.perSecond)}/s, late by p50 ${half.lateMs(0.5)} ms, p99 ${half.lateMs(0.99)} ms, at most ${half.lateMs(1)} ms`,
  )

  const sparse = record('sparse', SPARSE_STATEMENTS, SPARSE_GAP_US)
  for (const speed of [0.5, 1, 1.5, 10]) {
    const { elapsedMs } = await run(url, sparse, speed)
    const dueMs = (SPARSE_STATEMENTS * SPARSE_GAP_US) / 1000 / speed
    console.log(
      `speed ${String(speed).padEnd(4)} ${elapsedMs.toFixed(0)} ms of ${dueMs.toFixed(0)} due: ${percent(elapsedMs / dueMs - 1)}`,
    )
  }
}

async function fill(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)')
  await client.query(`INSERT INTO account SELECT i, i FROM generate_series(1, ${ROWS}) i`)
  await client.query('VACUUM ANALYZE account')
  await client.end()
}

/** null: not installed. */
function pgbench(url: string): number | null {
  const script = join(folder, 'script.sql')
  writeFileSync(script, `\\set id random(1, ${ROWS})\nSELECT balance FROM account WHERE id = :id;\n`)
  try {
    const args = ['-n', '-M', 'prepared', '-c', `${sessions}`, '-j', `${workers}`, '-T', '5', '-f', script, url]
    const out = execFileSync('pgbench', args, { stdio: ['ignore', 'pipe', 'ignore'] }).toString()
    return Number(/tps = ([\d.]+)/.exec(out)?.[1] ?? Number.NaN)
  } catch {
    return null
  }
}

async function bareLoop(url: string): Promise<number> {
  const pool = new Piscina({ filename: workerFile(import.meta.url, './bare.worker.js'), maxThreads: workers })
  const task: BareTask = { url, sql: SQL, connections: sessions / workers, statements: statements / workers }
  const ms = await Promise.all(Array.from({ length: workers }, () => pool.run(task) as Promise<number>))
  await pool.destroy()
  return (statements * 1000) / Math.max(...ms)
}

const NOTHING: Outcome = {
  error: null,
  tag: '',
  rowCount: 0,
  columns: null,
  digest: null,
  rows: null,
  rowsCut: false,
  suspended: false,
  status: null,
}

/** A recording as the proxy would have made it. */
function record(name: string, count: number, gapUs: number): string {
  const path = join(folder, name)
  const writer = createRecording(path, {
    madeBy: 'bench',
    source: 'proxy',
    startedAtMs: 0,
    server: { versionNum: 0, version: '', systemIdentifier: '', database: '', settings: {}, startLsn: '' },
    catalog: { database: '', serverVersionNum: 0, searchPath: [], relations: [], types: [], functions: [] },
    privacy: { policyHash: '', keyFingerprint: '' },
  })
  const prepare: Frame[] = [['P', 's', []], ['D', 'S', 's'], ['S']]
  const execute: Frame[] = [['B', '', 's'], ['D', 'P', ''], ['E', '', 0], ['S']]
  for (let session = 0; session < sessions; session++) {
    const who = { backendPid: 0, database: '', user: '', application: '', parameters: {}, connectedUs: 0, prologue: [] }
    writer.session({ session, ...who })
  }
  const made: Statement[] = []
  for (let i = 0; i < count; i++) {
    const first = i < sessions
    const parameters = first ? [] : [String(1 + ((i * 7919) % ROWS))]
    made.push({
      seq: i + 1,
      session: i % sessions,
      ordinal: Math.floor(i / sessions) + 1,
      transaction: i + 1,
      part: 0,
      sentUs: i * gapUs,
      doneUs: i * gapUs + DENSE_GAP_US,
      frames: first ? prepare : execute,
      sql: SQL as SafeSql,
      fingerprint: '',
      parameters,
      parameterTypes: [],
      bind: first ? null : buildBindRest(parameters),
      copy: null,
      unreplayable: null,
      outcome: NOTHING,
    })
  }
  for (let i = 0; i < made.length; i += 5000) {
    writer.write(made.slice(i, i + 5000).map((statement) => ({ scope: 'READ_ONLY', statements: [statement] })))
  }
  writer.close(0)
  return path
}

type Measured = {
  readonly perSecond: number
  readonly elapsedMs: number
  readonly lateMs: (quantile: number) => string
}

async function run(url: string, path: string, speed: number | 'max'): Promise<Measured> {
  const recording = openRecording(path)
  const plan = sessionPlan(recording.timeline(), recording.sessions())
  recording.close()
  const out = join(folder, 'run')
  await replay({ recording: path, plan, target: url, out, force: true, speed, workers })
  const made = openRun(out)
  const late: number[] = []
  let count = 0
  let doneUsMax = 0
  for (const { timing, outcome } of made.rows()) {
    if (outcome.error !== null) throw new Error(`a statement failed: ${outcome.error.sqlstate}`)
    count += 1
    if (timing.dueUs >= WARM_US) late.push(timing.sentUs - timing.dueUs)
    doneUsMax = Math.max(doneUsMax, timing.doneUs)
  }
  made.close()
  late.sort((a, b) => a - b)
  return {
    perSecond: (count * 1e6) / doneUsMax,
    elapsedMs: doneUsMax / 1000,
    lateMs: (quantile) => (late[Math.min(late.length - 1, Math.floor(late.length * quantile))]! / 1000).toFixed(2),
  }
}

function round(perSecond: number): string {
  return Math.round(perSecond).toLocaleString('en')
}

function percent(share: number): string {
  return `${share >= 0 ? '+' : ''}${(share * 100).toFixed(2)} %`
}

const server = await startServer()
try {
  await measure(server.url())
} finally {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
