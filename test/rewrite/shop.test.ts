/** The shop, recorded, and replayed on its version 2 through the mapping alone: no view hides the split, and nothing differs. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Stage, setStage } from '../../bench/stage.js'
import { runSql } from '../../fixtures/load.js'
import { mappingPath, migrateTablesPath } from '../../fixtures/shop/files.js'
import { loadShop, migratePath, policyPath, runTraffic, v1Path } from '../../fixtures/shop/shop.js'
import { compareRuns } from '../../replayer/compare/compare.js'
import { verifyTables } from '../../replayer/compare/verify.js'
import { buildPlan } from '../../replayer/plan/build.js'
import { checkRewrite } from '../../replayer/rewrite/check.js'
import { openRewrite } from '../../replayer/rewrite/open.js'
import { loadRewriter } from '../../replayer/rewrite/rewriter.js'
import { replay } from '../../replayer/run/replay.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
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
  const rewrite = await openRewrite(mappingPath, recording.manifest.catalog, v2)
  const base = { recording: stage.recording, plan, speed: 'max', workers: 2 } as const
  const [outV1, outV2] = [join(stage.folder, 'v1.run'), join(stage.folder, 'v2.run')]
  const baseline = await replay({ ...base, target: v1, out: outV1 })
  const candidate = await replay({ ...base, target: v2, out: outV2, rewrite })
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

  const rewriter = await loadRewriter(rewrite)
  const { byState } = await withClient(v2, (client) => checkRewrite(recording, rewriter, client))
  expect(byState.invalid).toBe(0)
  expect(byState.rewritten).toBeGreaterThan(100)
  recording.close()
  before.close()
  after.close()
})
