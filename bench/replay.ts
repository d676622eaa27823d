/**
 * How fast is a replay, and how late? pgbench's look-ups by primary key (named prepared statements) go through the recorder to an
 * embedded server that also logs them, so that the same traffic is there as our recording and as a csvlog. Then, in one run, in rounds
 * one after the other, on an equal server:
 *
 * - `pgbench` with the same script, and a bare loop in Node: what the machine gives without recording, order and digests;
 * - `pgreplay` (Debian's package) from the csvlog, without pauses;
 * - ours at `max`, with the causal plan and digests on;
 * - ours at half of that rate, by the clock: how late statements are sent.
 *
 *     node dist/bench/replay.js [--statements 100000] [--sessions 8] [--workers 2] [--rounds 3]
 *
 * Everybody goes over TCP, as the URL says; ours would take the Unix socket by itself. Everything competes for the same cores; on a busy machine only the ratios within one run mean anything.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Piscina } from 'piscina'
import { workerFile } from '../base/worker-file.js'
import { runSql } from '../fixtures/load.js'
import { readKey } from '../privacy/key.js'
import { EMPTY_POLICY } from '../privacy/policy/policy.js'
import { startProxyRecording } from '../recorder/proxy.js'
import { buildPlan } from '../replayer/plan/build.js'
import type { Plan } from '../replayer/run/plan-shape.js'
import { replay } from '../replayer/run/replay.js'
import { startServer } from '../replayer/shadow/server.js'
import { openRecording } from '../segment/recording.js'
import { openRun } from '../segment/run-file.js'
import type { BareTask } from './bare.worker.js'
import { startLoggedServer } from './logged-server.js'
import { cutLog, logBytes, pgbench, pgreplay, SCHEMA } from './peers.js'

const { values: flags } = parseArgs({
  options: {
    statements: { type: 'string', default: '100000' },
    sessions: { type: 'string', default: '8' },
    workers: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
  },
})
const transactions = Number(flags.statements)
const sessions = Number(flags.sessions)
const workers = Number(flags.workers)
const rounds = Number(flags.rounds)
const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-'))
// As root the server runs as another user, who must be able to enter.
chmodSync(folder, 0o711)
const RESULT = join('bench', 'results', 'replay.json')

type Traffic = { readonly recording: string; readonly csvlog: string }

/** Production with the recorder in front, logging every statement. */
async function record(): Promise<Traffic> {
  const dataDir = join(folder, 'production')
  const production = await startLoggedServer(dataDir, (url) => runSql(url, SCHEMA))
  let fromBytes = 0
  const recording = join(folder, 'recording')
  try {
    const proxy = await startProxyRecording({
      listen: { host: '127.0.0.1', port: 0 },
      upstream: production.url,
      out: recording,
      key: readKey('00'.repeat(32)),
      policy: EMPTY_POLICY,
      madeBy: 'pgrehearse bench',
    })
    fromBytes = logBytes(dataDir)
    const through = Object.assign(new URL(production.url), { port: String(proxy.port) }).href
    await pgbench(through, folder, { sessions, threads: workers, transactions })
    await proxy.stop()
  } finally {
    await production.stop()
  }
  return { recording, csvlog: cutLog(dataDir, fromBytes, folder) }
}

type Round = {
  readonly pgbench: number
  readonly bare: number
  readonly pgreplay: number
  readonly ours: number
  readonly lateP50Ms: number
  readonly lateP99Ms: number
}

async function measure({ recording, csvlog }: Traffic, plan: Plan, url: string): Promise<Round> {
  const ceiling = await pgbench(url, folder, { sessions, threads: workers, transactions })
  const bare = await bareLoop(url)
  const peer = await pgreplay(csvlog, url)
  const fast = await run({ recording, plan, url, speed: 'max' })
  const rate = fast.perSecond / 2
  const recorded = recordedRate(recording)
  const half = await run({ recording, plan, url, speed: rate / recorded })
  return {
    pgbench: ceiling,
    bare,
    pgreplay: peer.perSecond,
    ours: fast.perSecond,
    lateP50Ms: half.lateMs(0.5),
    lateP99Ms: half.lateMs(0.99),
  }
}

async function bareLoop(url: string): Promise<number> {
  const pool = new Piscina({ filename: workerFile(import.meta.url, './bare.worker.js'), maxThreads: workers })
  const task: BareTask = {
    url,
    sql: 'SELECT balance FROM account WHERE id = $1',
    connections: sessions / workers,
    statements: transactions / workers,
  }
  const ms = await Promise.all(Array.from({ length: workers }, () => pool.run(task) as Promise<number>))
  await pool.destroy()
  return (transactions * 1000) / Math.max(...ms)
}

function recordedRate(path: string): number {
  const recording = openRecording(path)
  const { sentUs, doneUs } = recording.timeline()
  recording.close()
  return (sentUs.length * 1e6) / (doneUs.reduce((a, b) => Math.max(a, b), 0) - sentUs[0]!)
}

type Measured = { readonly perSecond: number; readonly lateMs: (quantile: number) => number }

async function run(options: { recording: string; plan: Plan; url: string; speed: number | 'max' }): Promise<Measured> {
  const out = join(folder, 'run')
  const { recording, plan, url, speed } = options
  await replay({ recording, plan, target: url, out, force: true, speed, workers, asGiven: true })
  const made = openRun(out)
  const late: number[] = []
  let doneUsMax = 0
  for (const { timing, outcome } of made.rows()) {
    if (outcome.error !== null) throw new Error(`a statement failed: ${outcome.error.sqlstate}`)
    late.push(timing.sentUs - timing.dueUs)
    doneUsMax = Math.max(doneUsMax, timing.doneUs)
  }
  made.close()
  late.sort((a, b) => a - b)
  return {
    perSecond: (late.length * 1e6) / doneUsMax,
    lateMs: (quantile) => late[Math.min(late.length - 1, Math.floor(late.length * quantile))]! / 1000,
  }
}

function print(round: Round): void {
  const { ours } = round
  console.log(`pgbench -M prepared         ${perSecond(round.pgbench)}`)
  console.log(`bare loop in Node           ${perSecond(round.bare)}`)
  console.log(`pgreplay -j                 ${perSecond(round.pgreplay)}`)
  console.log(
    `ours at max, with digests   ${perSecond(ours)}: ${(ours / round.pgreplay).toFixed(2)} × pgreplay, ` +
      `${(ours / round.pgbench).toFixed(2)} × pgbench, ${(ours / round.bare).toFixed(2)} × bare loop`,
  )
  console.log(
    `ours at half of that        late by ${round.lateP50Ms.toFixed(2)} ms (p50), ${round.lateP99Ms.toFixed(2)} ms (p99)`,
  )
}

const perSecond = (rate: number) => `${Math.round(rate).toLocaleString('en')}/s`

/** Of each figure by itself, and of the ratios within one round. */
function medians(all: readonly Round[]): Record<string, number> {
  const median = (of: (round: Round) => number) => all.map(of).sort((a, b) => a - b)[Math.floor(all.length / 2)]!
  return {
    pgbenchPerSecond: median(({ pgbench: rate }) => rate),
    pgreplayPerSecond: median(({ pgreplay: rate }) => rate),
    oursPerSecond: median(({ ours }) => ours),
    timesPgreplay: median(({ ours, pgreplay: peer }) => ours / peer),
    timesPgbench: median(({ ours, pgbench: peer }) => ours / peer),
    timesBareLoop: median(({ ours, bare }) => ours / bare),
    lateP99Ms: median(({ lateP99Ms }) => lateP99Ms),
  }
}

const shadow = await startServer()
try {
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; ${sessions} sessions, ${workers} workers`,
  )
  await runSql(shadow.url(), SCHEMA)
  await runSql(shadow.url(), 'VACUUM ANALYZE account')
  const traffic = await record()
  const recording = openRecording(traffic.recording)
  const { plan } = await buildPlan(recording)
  console.log(`recorded ${recording.manifest.ledger.kept.statements} statements`)
  recording.close()
  const all: Round[] = []
  for (let i = 0; i < rounds; i++) {
    console.log(`round ${i + 1}`)
    const round = await measure(traffic, plan, shadow.url())
    print(round)
    all.push(round)
  }
  console.log('medians', medians(all))
  mkdirSync(join('bench', 'results'), { recursive: true })
  writeFileSync(RESULT, `${JSON.stringify({ flags, rounds: all, medians: medians(all) }, null, 1)}\n`)
} finally {
  await shadow.stop()
  rmSync(folder, { recursive: true, force: true })
}
