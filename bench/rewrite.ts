/**
 * What does rewriting cost, and does it hide a fault? The shop is recorded once; its statements are rewritten in memory, the first time
 * of each kind and later ones; then it is replayed through the mapping on a version 2 without views: as it should be, and with each fault.
 *
 *     node dist/bench/rewrite.js [--statements 6000] [--scale 4] [--faults all|none|NAME,…] [--keep]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runSql } from '../fixtures/load.js'
import { faultsWithoutViews } from '../fixtures/shop/faults-without-views.js'
import { mappingPath, migrateTablesPath } from '../fixtures/shop/files.js'
import { migratePath } from '../fixtures/shop/shop.js'
import { compareRuns } from '../replayer/compare/compare.js'
import { buildPlan } from '../replayer/plan/build.js'
import { openRewrite } from '../replayer/rewrite/open.js'
import { loadRewriter, type RewriteSource } from '../replayer/rewrite/rewriter.js'
import { replay } from '../replayer/run/replay.js'
import { createDiff, openDiff } from '../segment/diff-file.js'
import { openRecording } from '../segment/recording.js'
import { openRun } from '../segment/run-file.js'
import { setStage } from './stage.js'
import { WORKLOADS } from './workloads.js'

const { values: flags } = parseArgs({
  options: {
    statements: { type: 'string', default: '6000' },
    scale: { type: 'string', default: '4' },
    faults: { type: 'string', default: 'all' },
    keep: { type: 'boolean', default: false },
  },
})
const ROUNDS = 10
const say = (line: string) => console.log(line)

const shop = WORKLOADS.shop!({ statements: Number(flags.statements), sessions: 8, scale: Number(flags.scale), seed: 1 })
const stage = await setStage(shop, say)
try {
  const recording = openRecording(stage.recording)
  const { plan } = await buildPlan(recording)
  const noise = openRun(await replayed('v1_noise', await stage.shadow('v1_noise')))
  const before = openRun(await replayed('v1', await stage.shadow('v1')))

  const correct = await versionTwo('v2', null)
  const rewrite = await openRewrite(mappingPath, recording.manifest.catalog, correct)
  await cost(rewrite)
  const without = await findingsOn('v2', correct, rewrite)
  say(`no fault: ${without.length === 0 ? 'no findings' : without.join(' · ')}`)
  const names = flags.faults === 'all' ? undefined : flags.faults === 'none' ? [] : flags.faults.split(',')
  let [found, extra] = [0, 0]
  const faults = faultsWithoutViews(names)
  for (const { name, sql, expected } of faults) {
    const database = `v2_${name.replaceAll('-', '_')}`
    const target = await versionTwo(database, sql)
    const source = await openRewrite(mappingPath, recording.manifest.catalog, target)
    const said = await findingsOn(database, target, source)
    // The cause has to stand in one finding; every other finding is one too many.
    const telling = said.find((one) =>
      expected.causeWords.every((word) => one.toLowerCase().includes(word.toLowerCase())),
    )
    found += Number(telling !== undefined)
    extra += Math.max(0, said.length - 1)
    say(`${telling === undefined ? 'MISSED' : 'found '}  ${name}: ${telling ?? said[0] ?? 'no findings'}`)
    for (const other of said.filter((one) => one !== telling)) say(`          and ${other.slice(0, 160)}`)
    await stage.drop(database)
  }
  if (faults.length > 0)
    say(`${found} of ${faults.length} faults found through the mapping, without views; ${extra} findings too many`)
  recording.close()

  async function replayed(name: string, target: string, source?: RewriteSource): Promise<string> {
    const out = join(stage.folder, `${name}.run`)
    const how = { speed: 'max', workers: 2, ...(source ? { rewrite: source } : {}) } as const
    await replay({ recording: stage.recording, plan, target, out, ...how })
    return out
  }

  async function versionTwo(name: string, fault: string | null): Promise<string> {
    const target = await stage.shadow(name)
    for (const path of [migratePath, migrateTablesPath]) await runSql(target, readFileSync(path, 'utf8'))
    if (fault !== null) await runSql(target, fault)
    return target
  }

  async function findingsOn(name: string, target: string, source: RewriteSource): Promise<string[]> {
    const after = openRun(await replayed(name, target, source))
    const path = join(stage.folder, `${name}.diff`)
    compareRuns({ before, after, noise, recording, out: createDiff(path), madeBy: 'bench' })
    const diff = openDiff(path)
    const all = diff.findings().map(({ cause, count }) => `${cause} (${count})`)
    for (const one of [diff, after]) one.close()
    return all
  }

  /** A first look parses, rewrites and makes a form; a later one puts literals into it. */
  async function cost(source: RewriteSource): Promise<void> {
    const texts = [...recording.statements()].map(({ sql }) => sql).filter((sql) => sql !== '')
    const rewriter = await loadRewriter(source)
    const kinds = new Set<string>()
    const first = { changed: [] as number[], same: [] as number[] }
    for (const sql of texts) {
      const began = performance.now()
      const said = rewriter.of(sql)
      const tookUs = (performance.now() - began) * 1000
      const count = rewriter.kinds
      if (count === kinds.size) continue
      kinds.add(sql)
      ;(said === null ? first.same : first.changed).push(tookUs)
    }
    const rewritten = texts.filter((sql) => rewriter.of(sql) !== null)
    const later = (some: readonly string[]) => {
      const began = performance.now()
      for (let round = 0; round < ROUNDS; round++) for (const sql of some) rewriter.of(sql)
      return ((performance.now() - began) * 1000) / (ROUNDS * Math.max(1, some.length))
    }
    const kept = texts.filter((sql) => rewriter.of(sql) === null)
    say(`${texts.length} statements of ${rewriter.kinds} kinds, ${rewritten.length} statements are rewritten`)
    say(`first of a kind: ${median(first.changed)} µs rewritten, ${median(first.same)} µs left as it is (medians)`)
    say(`each later one: ${later(rewritten).toFixed(2)} µs rewritten, ${later(kept).toFixed(2)} µs left as it is`)
  }
} finally {
  if (flags.keep) say(`kept: ${stage.folder}`)
  await stage.close({ keep: flags.keep })
}

function median(values: readonly number[]): string {
  return (values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0).toFixed(0)
}
