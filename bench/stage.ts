/**
 * A stage for benches: production and shadows on embedded servers of our own, traffic recorded through the proxy, goldens to replay on.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { runSql } from '../fixtures/load.js'
import { readKey } from '../privacy/key.js'
import { EMPTY_POLICY, type Policy, parsePolicy } from '../privacy/policy/policy.js'
import { startProxyRecording } from '../recorder/proxy.js'
import { cloneShadow, dropShadow } from '../replayer/shadow/clone.js'
import { withDatabase } from '../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../replayer/shadow/server.js'
import { restoreSnapshot } from '../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../replayer/shadow/snapshot/take.js'

export type Workload = {
  readonly name: string
  readonly schemaPath: string
  readonly policyPath: string | null
  load(url: string): Promise<unknown>
  play(url: string): Promise<unknown>
}

export type Stage = {
  readonly folder: string
  readonly recording: string
  readonly snapshot: string
  readonly productionUrl: string
  readonly shadows: OwnedServer
  /** A fresh shadow of V1. */
  shadow(name: string): Promise<string>
  drop(name: string): Promise<void>
  close(options?: { readonly keep?: boolean }): Promise<void>
}

export type KeptStage = Omit<Stage, 'productionUrl'>

const MADE_BY = 'pgrehearse bench'

export async function setStage(workload: Workload, say: (line: string) => void): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-'))
  const [production, shadows] = await Promise.all([startServer(), startServer()])
  const key = readKey(randomBytes(32).toString('hex'))
  const policy: Policy =
    workload.policyPath === null
      ? EMPTY_POLICY
      : parsePolicy(readFileSync(workload.policyPath, 'utf8'), workload.policyPath)
  const admin = new pg.Client(production.url())
  await admin.connect()
  await admin.query('CREATE DATABASE production')
  await admin.end()
  const productionUrl = production.url('production')
  await runSql(productionUrl, readFileSync(workload.schemaPath, 'utf8'))
  await workload.load(productionUrl)
  say(`${workload.name}: loaded`)
  const snapshot = join(folder, 'snapshot')
  await takeSnapshot({
    url: productionUrl,
    out: snapshot,
    masks: { policy, key },
    schemaFile: workload.schemaPath,
    madeBy: MADE_BY,
  })
  const recording = join(folder, 'recording')
  const proxy = await startProxyRecording({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: productionUrl,
    out: recording,
    key,
    policy,
    madeBy: MADE_BY,
  })
  const through = new URL(productionUrl)
  through.host = `127.0.0.1:${proxy.port}`
  const began = performance.now()
  await workload.play(through.href)
  const tookMs = performance.now() - began
  await proxy.stop()
  say(`${workload.name}: recorded ${proxy.status().statementsKept} statements in ${(tookMs / 1000).toFixed(1)} s`)
  return { ...(await ready(folder, [production], shadows)), productionUrl }
}

/** What an earlier bench recorded and kept. Production is gone; its recording and snapshot are not. */
export async function setKeptStage(folder: string): Promise<KeptStage> {
  const stage = await ready(folder, [], await startServer())
  return { ...stage, close: () => stage.close({ keep: true }) }
}

async function ready(folder: string, others: readonly OwnedServer[], shadows: OwnedServer): Promise<KeptStage> {
  const [recording, snapshot] = [join(folder, 'recording'), join(folder, 'snapshot')]
  await restoreSnapshot({ snapshot, target: shadows.url('golden_v1') })
  return {
    folder,
    recording,
    snapshot,
    shadows,
    shadow: (name) => cloneShadow(shadows.url(), 'golden_v1', name),
    drop: (name) => dropShadow(withDatabase(shadows.url(), name), name),
    async close({ keep = false } = {}) {
      await Promise.all([...others, shadows].map((server) => server.stop()))
      if (!keep) rmSync(folder, { recursive: true, force: true })
    },
  }
}
