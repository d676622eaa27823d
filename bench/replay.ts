/**
 * How fast is a replay, and how late? pgbench (named prepared statements) goes through the recorder to an embedded server that also logs
 * what it is sent, so that the same traffic is there as our recording and as a csvlog. Then, in one run, in rounds one after the other,
 * on an equal server:
 *
 * - `pgbench` with the same script, and a bare loop in Node: what the machine gives without recording, order and digests;
 * - `pgreplay` (Debian's package) from the csvlog, without pauses;
 * - ours at `max`, with the causal plan and digests on;
 * - ours at 1 ×, of a recording of the same script at half of that rate: how late statements are sent.
 *
 *     node dist/bench/replay.js [--script lookups|tpcb] [--statements 300000] [--sessions 8] [--workers 2] [--rounds 3]
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
import { cutLog, logBytes, pgbench, pgreplay, SCRIPTS, type Script } from './peers.js'

const { values: flags } = parseArgs({
  options: {
    script: { type: 'string', default: 'lookups' },
    statements: { type: 'string', default: '300000' },
    sessions: { type: 'string', default: '8' },
    workers: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
  },
})
const script = scriptOf(flags.script)
const statements = Number(flags.statements)
const sessions = Number(flags.sessions)
const workers = Number(flags.workers)
const rounds = Number(flags.rounds)
const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-'))
// As root the server runs as another user, who must be able to enter.
chmodSync(folder, 0o711)
const RESULT = join('bench', 'results', 'replay.json')

type Traffic = { readonly recording: string; readonly csvlog: string }

/** Production with the recorder in front, logging every statement. */
async function record(name: string, perSecond?: number): Promise<Traffic> {
  const dataDir = join(folder, `production_${name}`)
  const production = await startLoggedServer(dataDir, (url) => runSql(url, script.schema))
  let fromBytes = 0
  const recording = join(folder, `recording_${name}`)
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
    const rate = perSecond === undefined ? {} : { perSecond }
    await pgbench(through, folder, script, { sessions, threads: workers, statements, ...rate })
    await proxy.stop()
  } finally {
    await production.stop()
  }
  return { recording, csvlog: cutLog(dataDir, fromBytes, folder) }
}

type Round = {
  readonly pgbench: number
  /** Of look-ups only. */
  readonly bare: number | null
  /** null: it never ended. */
  readonly pgreplay: number | null
  readonly ours: number
  readonly lateP50Ms: number
  readonly lateP99Ms: number
}

async function measure(
  { recording, csvlog }: Traffic,
  plan: Plan,
  url: string,
): Promise<Omit<Round, 'lateP50Ms' | 'lateP99Ms'>> {
  const ceiling = await pgbench(url, folder, script, { sessions, threads: workers, statements })
  const bare = script.name === 'lookups' ? await bareLoop(url) : null
  const peer = await pgreplay(csvlog, url)
  const fast = await run({ recording, plan, url, speed: 'max' })
  return { pgbench: ceiling, bare, pgreplay: peer, ours: fast.perSecond }
}

async function bareLoop(url: string): Promise<number> {
  const pool = new Piscina({ filename: workerFile(import.meta.url, './bare.worker.js'), maxThreads: workers })
  const task: BareTask = {
    url,
    sql: 'SELECT balance FROM account WHERE id = $1',
    connections: sessions / workers,
    statements: statements / workers,
  }
  const ms = await Promise.all(Array.from({ length: workers }, () => pool.run(task) as Promise<number>))
  await pool.destroy()
  return (statements * 1000) / Math.max(...ms)
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
  const { ours, bare } = round
  console.log(`pgbench -M prepared         ${perSecond(round.pgbench)}`)
  if (bare !== null) console.log(`bare loop in Node           ${perSecond(bare)}`)
  console.log(`pgreplay -j                 ${round.pgreplay === null ? 'stands still' : perSecond(round.pgreplay)}`)
  console.log(
    `ours at max, with digests   ${perSecond(ours)}: ${round.pgreplay === null ? '' : `${(ours / round.pgreplay).toFixed(2)} × pgreplay, `}` +
      `${(ours / round.pgbench).toFixed(2)} × pgbench${bare === null ? '' : `, ${(ours / bare).toFixed(2)} × bare loop`}`,
  )
  console.log(
    `ours at 1 ×, half of that   late by ${round.lateP50Ms.toFixed(2)} ms (p50), ${round.lateP99Ms.toFixed(2)} ms (p99)`,
  )
}

const perSecond = (rate: number) => `${Math.round(rate).toLocaleString('en')}/s`

/** Of each figure by itself, and of the ratios within one round. */
function medians(all: readonly Round[]): Record<string, number> {
  const median = (of: (round: Round) => number) => {
    const known = all
      .map(of)
      .filter(Number.isFinite)
      .sort((a, b) => a - b)
    return known[Math.floor(known.length / 2)]!
  }
  return {
    pgbenchPerSecond: median(({ pgbench: rate }) => rate),
    pgreplayPerSecond: median(({ pgreplay: rate }) => rate ?? Number.NaN),
    oursPerSecond: median(({ ours }) => ours),
    timesPgreplay: median(({ ours, pgreplay: peer }) => ours / (peer ?? Number.NaN)),
    timesPgbench: median(({ ours, pgbench: peer }) => ours / (peer ?? Number.NaN)),
    ...(script.name === 'lookups' ? { timesBareLoop: median(({ ours, bare }) => ours / bare!) } : {}),
    lateP50Ms: median(({ lateP50Ms }) => lateP50Ms),
    lateP99Ms: median(({ lateP99Ms }) => lateP99Ms),
  }
}

const shadow = await startServer()
try {
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; ${script.name}, ${sessions} sessions, ${workers} workers`,
  )
  await runSql(shadow.url(), script.schema)
  for (const table of script.tables) await runSql(shadow.url(), `VACUUM ANALYZE ${table}`)
  const traffic = await record('max')
  const plan = await planOf(traffic)
  const fast: Omit<Round, 'lateP50Ms' | 'lateP99Ms'>[] = []
  for (let i = 0; i < rounds; i++) fast.push(await measure(traffic, plan, shadow.url()))
  const half = fast.map(({ ours }) => ours).sort((a, b) => a - b)[Math.floor(rounds / 2)]! / 2
  const slow = await record('half', half)
  const slowPlan = await planOf(slow)
  const all: Round[] = []
  for (const one of fast) {
    const { lateMs } = await run({ recording: slow.recording, plan: slowPlan, url: shadow.url(), speed: 1 })
    all.push({ ...one, lateP50Ms: lateMs(0.5), lateP99Ms: lateMs(0.99) })
    console.log(`round ${all.length}`)
    print(all.at(-1)!)
  }
  console.log('medians', medians(all))
  mkdirSync(join('bench', 'results'), { recursive: true })
  writeFileSync(RESULT, `${JSON.stringify({ flags, rounds: all, medians: medians(all) }, null, 1)}\n`)
} finally {
  await shadow.stop()
  rmSync(folder, { recursive: true, force: true })
}

function scriptOf(name: string): Script {
  const found = SCRIPTS[name]
  if (found === undefined) throw new Error(`--script is one of ${Object.keys(SCRIPTS).join(', ')}`)
  return found
}

async function planOf({ recording: path }: Traffic): Promise<Plan> {
  const recording = openRecording(path)
  try {
    console.log(`recorded ${recording.manifest.ledger.kept.statements} statements`)
    return (await buildPlan(recording)).plan
  } finally {
    recording.close()
  }
}
