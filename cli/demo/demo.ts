/**
 * The whole pipeline on the shop, on PostgreSQL servers of our own: what `pgrehearse demo` does, step by step.
 *
 *     production ─▶ snapshot, recording ─▶ V1 golden ─▶ baseline, noise ─┐
 *                                      └─▶ V2 golden ─▶ candidate ───────┴─▶ diff, plans, tables, leaks ─▶ page
 *
 * Everything it starts, it stops, also when the signal comes in between.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type pg from 'pg'
import type { Fault } from '../../fixtures/faults.js'
import { runSql } from '../../fixtures/load.js'
import { loadShop, migratePath, policyPath, runTraffic, v1Path } from '../../fixtures/shop/shop.js'
import { readKey } from '../../privacy/key.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { startProxyRecording } from '../../recorder/proxy.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { buildModel, DEFAULT_GATE, judgeDiff, type ReportModel, writeReport } from '../../reports/index.js'
import { openDiff } from '../../segment/diff-file.js'
import type { Cli } from '../cli.js'
import { register as compare } from '../commands/compare.js'
import { register as policy } from '../commands/policy.js'
import { register as replay } from '../commands/replay.js'
import { register as verify } from '../commands/verify.js'
import { runInProcess, sayingOnce } from '../run/in-process.js'

export type DemoOptions = {
  /** A folder that does not exist yet. */
  readonly out: string
  readonly faults: readonly Fault[]
  readonly seconds: number
  readonly sessions: number
  readonly scale: number
  readonly seed: number
  readonly serverBin?: string
  readonly version: string
}

export type DemoResult = {
  readonly page: string
  readonly model: ReportModel
  readonly files: Readonly<Record<string, string>>
}

type Server = Awaited<ReturnType<typeof startServer>>
type Files = ReturnType<typeof filesIn>

/** A pause between what an application does, so that latencies are those of a busy database and not of a drowning one. */
const THINK_MS = 40

export async function runDemo(options: DemoOptions, cli: Cli): Promise<DemoResult> {
  mkdirSync(options.out, { recursive: true })
  const files = filesIn(options.out)
  const binaries = options.serverBin === undefined ? {} : { binaries: options.serverBin }
  const servers: Server[] = []
  try {
    const started = cli.progress('PostgreSQL')
    for (const _ of ['production', 'shadows']) {
      servers.push(await startServer(binaries))
      cli.signal.throwIfAborted()
    }
    const [production, shadows] = servers as [Server, Server]
    started.done('two servers: one plays production, one holds the shadows')
    await record(options, files, production, cli)
    await restore(options, files, shadows, cli)
    const within = sayingOnce(cli)
    await replayAll(options, files, shadows, within)
    await judge(options, files, shadows, within)
    return report(files)
  } finally {
    await Promise.allSettled(servers.map((server) => server.stop()))
  }
}

function filesIn(out: string) {
  const file = (name: string) => join(out, name)
  return {
    snapshot: file('snapshot'),
    recording: file('recording'),
    baseline: file('baseline.run'),
    noise: file('noise.run'),
    candidate: file('candidate.run'),
    fidelity: file('fidelity.diff'),
    diff: file('shop.diff'),
    page: file('report.html'),
  }
}

/** V1 plays production: filled, copied for the snapshot, then used by many sessions through the recording proxy. */
async function record(options: DemoOptions, files: Files, server: Server, cli: Cli): Promise<void> {
  const masks = {
    policy: parsePolicy(readFileSync(policyPath, 'utf8'), policyPath),
    key: readKey(randomBytes(32).toString('hex')),
  }
  await withClient(server.url(), (admin: pg.Client) => admin.query('CREATE DATABASE shop'))
  const url = server.url('shop')

  const filling = cli.progress('production')
  await runSql(url, readFileSync(v1Path, 'utf8'))
  const rows = await loadShop(url, { scale: options.scale, seed: options.seed })
  cli.signal.throwIfAborted()
  filling.done(`the shop, V1: ${rows.users} users, ${rows.orders} orders`)

  const copying = cli.progress('snapshot')
  const snapshot = await takeSnapshot({
    url,
    out: files.snapshot,
    masks,
    schemaFile: v1Path,
    madeBy: `pgrehearse ${options.version}`,
    signal: cli.signal,
  })
  copying.done(`${snapshot.tables.length} tables, personal data replaced by tokens`)

  const recording = cli.progress('record')
  const proxy = await startProxyRecording({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: url,
    out: files.recording,
    ...masks,
    madeBy: `pgrehearse ${options.version}`,
  })
  try {
    const through = Object.assign(new URL(url), { host: `127.0.0.1:${proxy.port}` })
    const beganMs = performance.now()
    const traffic = await runTraffic({
      url: through.href,
      sessions: options.sessions,
      seconds: options.seconds,
      seed: options.seed + 1,
      thinkMs: THINK_MS,
      signal: cli.signal,
      onProgress: ({ statements }) =>
        recording.update(
          Math.min(performance.now() - beganMs, options.seconds * 1000),
          options.seconds * 1000,
          `${statements} statements`,
        ),
    })
    cli.signal.throwIfAborted()
    recording.done(
      `${traffic.statements} statements in ${traffic.transactions} transactions of ${options.sessions} sessions`,
    )
  } finally {
    await proxy.stop()
  }
}

/** Two goldens from one snapshot: V1 as it is, V2 migrated and, for the demo, with faults in it. */
async function restore(options: DemoOptions, files: Files, server: Server, cli: Cli): Promise<void> {
  const v1 = cli.progress('restore V1')
  const restored = await restoreSnapshot({
    snapshot: files.snapshot,
    target: server.url('golden_v1'),
    signal: cli.signal,
  })
  v1.done(`${restored.rows} rows of ${restored.tables} tables`)
  const v2 = cli.progress('restore V2')
  const migrations = [migratePath, ...options.faults.map((fault) => fault.path)]
  await restoreSnapshot({ snapshot: files.snapshot, target: server.url('golden_v2'), migrations, signal: cli.signal })
  const planted = options.faults.length === 0 ? 'no fault planted' : `${options.faults.length} faults planted`
  v2.done(`migrated: orders split into orders_v2_core and orders_v2_billing; ${planted}`)
}

/** From here on with the commands that one would use on a database of one's own. */
async function replayAll(options: DemoOptions, files: Files, server: Server, cli: Cli): Promise<void> {
  const one = async (role: (typeof ROLES)[number], golden: string) => {
    const url = await cloneShadow(server.url(), golden, shadowOf(role))
    const args = ['replay', files.recording, `--target=${url}`, `--out=${files[role]}`, `--role=${role}`]
    await command(replay, args, options, cli)
  }
  await one('baseline', 'golden_v1')
  await one('noise', 'golden_v1')
  await one('candidate', 'golden_v2')
}

const ROLES = ['baseline', 'noise', 'candidate'] as const

function shadowOf(role: (typeof ROLES)[number]): string {
  return `shadow_${role}`
}

/** How near V1's replay is to production, where V2 differs, what the tables hold, and whether anything personal was written. */
async function judge(options: DemoOptions, files: Files, server: Server, cli: Cli): Promise<void> {
  const [v1, v2] = [server.url(shadowOf('baseline')), server.url(shadowOf('candidate'))]
  const { recording, baseline, noise, candidate, fidelity, diff } = files
  await command(compare, ['compare', recording, baseline, `--out=${fidelity}`], options, cli)
  const beside = [`--noise=${noise}`, `--fidelity=${fidelity}`, `--plans-from=${v1}`, `--plans-to=${v2}`]
  await command(compare, ['compare', baseline, candidate, ...beside, `--out=${diff}`], options, cli)
  const runs = [`--baseline=${baseline}`, `--candidate=${candidate}`]
  // The servers have nothing else to do.
  await command(verify, ['verify', `--from=${v1}`, `--to=${v2}`, ...runs, `--diff=${diff}`, '--load=100'], options, cli)
  const written = [recording, baseline, noise, candidate, diff].map((path) => relative(cli.cwd, path))
  await command(policy, ['policy', 'audit', ...written, `--diff=${diff}`], options, cli)
}

async function command(
  register: Parameters<typeof runInProcess>[0],
  args: readonly string[],
  { version }: DemoOptions,
  cli: Cli,
): Promise<void> {
  await runInProcess(register, args, version, cli)
  cli.signal.throwIfAborted()
}

function report(files: Files): DemoResult {
  const diff = openDiff(files.diff)
  try {
    const judged = judgeDiff(diff, DEFAULT_GATE, Date.now())
    const model = buildModel(diff, judged.facts, judged.gate, files.diff)
    writeReport(model, diff, { html: files.page }, { force: false })
    return { page: files.page, model, files }
  } finally {
    diff.close()
  }
}
