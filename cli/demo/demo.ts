/**
 * The whole pipeline on the shop, on PostgreSQL servers of our own: what `pgrehearse demo` does, step by step.
 *
 *     production ─▶ snapshot, recording ─▶ V1 golden ─▶ baseline, noise ─┐
 *                                      └─▶ V2 golden ─▶ candidate ───────┴─▶ diff ─▶ page
 *
 * Everything it starts, it stops, also when the signal comes in between.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import type { Fault } from '../../fixtures/faults.js'
import { runSql } from '../../fixtures/load.js'
import { loadShop, migratePath, policyPath, runTraffic, v1Path } from '../../fixtures/shop/shop.js'
import { readKey } from '../../privacy/key.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { startProxyRecording } from '../../recorder/proxy.js'
import { compareRuns } from '../../replayer/compare/compare.js'
import { planOf } from '../../replayer/plan/cache.js'
import type { Plan } from '../../replayer/run/plan-shape.js'
import { replay } from '../../replayer/run/replay.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { assertShadow } from '../../replayer/shadow/isolation.js'
import { startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { buildModel, DEFAULT_GATE, judgeDiff, type ReportModel, writeReport } from '../../reports/index.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
import type { RunFacts, RunRole } from '../../segment/run.js'
import { openRun } from '../../segment/run-file.js'
import type { Cli, Progress } from '../cli.js'

export type DemoOptions = {
  /** A folder that does not exist yet. */
  readonly out: string
  readonly faults: readonly Fault[]
  readonly seconds: number
  readonly sessions: number
  readonly scale: number
  readonly seed: number
  readonly serverBin?: string
  readonly madeBy: string
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
    await replayAll(options, files, shadows, cli)
    return report(options, files, cli)
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
    madeBy: options.madeBy,
    signal: cli.signal,
  })
  copying.done(`${snapshot.tables.length} tables, personal data replaced by tokens`)

  const recording = cli.progress('record')
  const proxy = await startProxyRecording({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: url,
    out: files.recording,
    ...masks,
    madeBy: options.madeBy,
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

async function replayAll(options: DemoOptions, files: Files, server: Server, cli: Cli): Promise<void> {
  const recording = openRecording(files.recording)
  try {
    const { plan } = await planOf(recording)
    const origin = recording.manifest.server.systemIdentifier
    const one = async (role: RunRole, golden: string, out: string, what: string) => {
      const progress = cli.progress(`replay ${role}`)
      const url = await cloneShadow(server.url(), golden, `shadow_${role}`)
      await withClient(url, (client) => assertShadow(client, { recordingSystemIdentifier: origin }))
      const facts = await replayOnce(options, files, plan, { role, url, out }, progress, cli)
      cli.signal.throwIfAborted()
      progress.done(`${facts.ledger.kept.statements} statements on ${what}${relaxed(facts)}`)
    }
    await one('baseline', 'golden_v1', files.baseline, 'V1')
    await one('noise', 'golden_v1', files.noise, 'V1 again, to learn what differs by itself')
    await one('candidate', 'golden_v2', files.candidate, 'V2')
  } finally {
    recording.close()
  }
}

function replayOnce(
  options: DemoOptions,
  files: Files,
  plan: Plan,
  run: { readonly role: RunRole; readonly url: string; readonly out: string },
  progress: Progress,
  cli: Cli,
): Promise<RunFacts> {
  return replay({
    recording: files.recording,
    plan,
    target: run.url,
    out: run.out,
    role: run.role,
    speed: 1,
    madeBy: options.madeBy,
    signal: cli.signal,
    onProgress: ({ done, total, perSecond }) => progress.update(done, total, `${Math.round(perSecond)}/s`),
  })
}

function relaxed({ orderRelaxed }: RunFacts): string {
  return orderRelaxed === 0 ? '' : `, ${orderRelaxed} waits given up`
}

function report(options: DemoOptions, files: Files, cli: Cli): DemoResult {
  const comparing = cli.progress('compare')
  const recording = openRecording(files.recording)
  const [before, after, noise] = [openRun(files.baseline), openRun(files.candidate), openRun(files.noise)]
  const facts = compareRuns({ before, after, noise, recording, out: createDiff(files.diff), madeBy: options.madeBy })
  recording.close()
  comparing.done(`${facts.compared} statements compared, ${facts.discrepancies} differ`)
  const diff = openDiff(files.diff)
  const judged = judgeDiff(diff, DEFAULT_GATE, Date.now())
  const model = buildModel(diff, judged.facts, judged.gate, files.diff)
  writeReport(model, diff, { html: files.page }, { force: false })
  diff.close()
  return { page: files.page, model, files }
}
