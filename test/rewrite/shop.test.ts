/** The shop, recorded, and replayed on its version 2 through the mapping alone: no view hides the split, and nothing differs. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Stage, setStage } from '../../bench/stage.js'
import { runSql } from '../../fixtures/load.js'
import { faultsWithoutViews } from '../../fixtures/shop/faults-without-views.js'
import { mappingPath, migrateTablesPath } from '../../fixtures/shop/files.js'
import { loadShop, migratePath, policyPath, runTraffic, v1Path } from '../../fixtures/shop/shop.js'
import { compareRuns } from '../../replayer/compare/compare.js'
import { verifyTables } from '../../replayer/compare/verify.js'
import { buildPlan } from '../../replayer/plan/build.js'
import type { CheckResult } from '../../replayer/rewrite/check.js'
import { replay } from '../../replayer/run/replay.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
import type { RunFacts } from '../../segment/run.js'
import { openRun } from '../../segment/run-file.js'

let stage: Stage
beforeAll(async () => {
  const shop = {
    name: 'shop',
    schemaPath: v1Path,
    policyPath,
    load: (url: string) => loadShop(url, { scale: 0.2, seed: 1 }),
    play: (url: string) => runTraffic({ url, sessions: 6, statements: 2500, seed: 1 }),
  }
  stage = await setStage(shop, () => {})
})
afterAll(() => stage.close())

test('every statement is covered, nothing differs, and the tables are equal', async () => {
  const recording = openRecording(stage.recording)
  const { plan } = await buildPlan(recording)
  const [v1, v2] = [await stage.shadow('v1'), await stage.shadow('v2')]
  for (const path of [migratePath, migrateTablesPath]) await runSql(v2, readFileSync(path, 'utf8'))
  const [outV1, outV2] = [join(stage.folder, 'v1.run'), join(stage.folder, 'v2.run')]
  const baseline = await replay({ recording: stage.recording, plan, target: v1, out: outV1, speed: 'max', workers: 2 })
  const sent = ['--target', v2, '--out', outV2, '--speed', 'max', '--rewrite', mappingPath]
  const candidate = await pgrehearse<RunFacts>('replay', stage.recording, ...sent)
  expect(candidate.settings.rewriteHash).toMatch(/^[0-9a-f]{64}$/)
  expect(candidate.ledger.kept).toEqual(baseline.ledger.kept)

  const [before, after] = [openRun(outV1), openRun(outV2)]
  const path = join(stage.folder, 'v2.diff')
  const { compared } = compareRuns({ before, after, recording, out: createDiff(path), madeBy: 'test' })
  expect(compared).toBe(baseline.ledger.kept.statements)
  const diff = openDiff(path)
  // How fast it was is not this test's business: others run beside it.
  expect(diff.findings().filter(({ subKind }) => subKind !== 'latency')).toEqual([])
  diff.close()

  const tables = await verifyTables({
    beforeUrl: v1,
    afterUrl: v2,
    mapping: { orders: 'SELECT * FROM orders_v2_core JOIN orders_v2_billing USING (order_id)' },
    startedAtMs: { before: baseline.startedAtMs, after: candidate.startedAtMs },
  })
  expect(tables.filter(({ verdict }) => verdict !== 'equal')).toEqual([])

  const { byState } = await pgrehearse<CheckResult>(
    'rewrite',
    'check',
    stage.recording,
    '--mapping',
    mappingPath,
    '--target',
    v2,
  )
  expect(byState.invalid).toBe(0)
  expect(byState.rewritten).toBeGreaterThan(100)
  const { mapping } = await pgrehearse<{ mapping: string }>('rewrite', 'suggest', '--from', v1, '--to', v2)
  expect(mapping).toContain('orders:\n    split: [orders_v2_core, orders_v2_billing]')
  recording.close()
  before.close()
  after.close()
})

test('planted faults are found through the mapping, each by its own cause', async () => {
  const faults = faultsWithoutViews([
    'value-cut-short',
    'wrong-time-zone',
    'lost-unique',
    'rounded-numeric',
    'swapped-columns',
    'lost-cascade',
  ])
  const recording = openRecording(stage.recording)
  const { plan } = await buildPlan(recording)
  const [v1, v2] = [await stage.shadow('faults_v1'), await stage.shadow('faults_v2')]
  for (const path of [migratePath, migrateTablesPath]) await runSql(v2, readFileSync(path, 'utf8'))
  for (const { sql } of faults) await runSql(v2, sql)
  const [outV1, outV2] = [join(stage.folder, 'faults_v1.run'), join(stage.folder, 'faults_v2.run')]
  await replay({ recording: stage.recording, plan, target: v1, out: outV1, speed: 'max', workers: 2 })
  await pgrehearse(
    'replay',
    stage.recording,
    '--target',
    v2,
    '--out',
    outV2,
    '--speed',
    'max',
    '--rewrite',
    mappingPath,
  )
  const [before, after] = [openRun(outV1), openRun(outV2)]
  const path = join(stage.folder, 'faults.diff')
  compareRuns({ before, after, recording, out: createDiff(path), madeBy: 'test' })
  const diff = openDiff(path)
  const causes = diff.findings().map(({ cause }) => cause.toLowerCase())
  for (const { name, expected } of faults)
    expect(
      causes.some((cause) => expected.causeWords.every((word) => cause.includes(word.toLowerCase()))),
      `${name} is not among ${causes.join(' · ')}`,
    ).toBe(true)
  for (const one of [diff, before, after, recording]) one.close()
})

/** The command line as built, asked for JSON. */
async function pgrehearse<T>(...args: string[]): Promise<T> {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, '--json'], {
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(stdout) as T
}
