/**
 * How long does the page take to make and to open, with so many discrepancies behind it? Those of a diff are repeated until there are
 * enough; a Chromium opens the page five times, its details still packed.
 *
 *     node dist/bench/page.js [--diff FILE] [--discrepancies 100000]
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { buildModel, judgeDiff } from '../reports/build-model.js'
import { DEFAULT_GATE } from '../reports/gate-config.js'
import { renderPage } from '../reports/page/page.js'
import type { DiffSource } from '../reports/source.js'
import { type DiffReader, openDiff } from '../segment/diff-file.js'

const { values: flags } = parseArgs({
  options: {
    diff: { type: 'string', default: 'fixtures/segments/diff-1.sqlite' },
    discrepancies: { type: 'string', default: '100000' },
    chromium: { type: 'string', default: process.env.PGREHEARSE_CHROMIUM ?? '/usr/bin/chromium' },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'pgrehearse-bench-page-'))
const diff = openDiff(flags.diff)
try {
  const source = repeated(diff, Number(flags.discrepancies))
  const path = join(folder, 'page.html')
  const makingMs = timed(() => {
    const { facts, gate } = judgeDiff(source, DEFAULT_GATE, Date.now())
    const model = buildModel(source, facts, gate, flags.diff)
    writeFileSync(path, renderPage(model, (findingId) => source.discrepancies({ findingId })).join(''))
  })
  const megabytes = (statSync(path).size / 1e6).toFixed(1)
  console.log(`${source.facts.discrepancies} discrepancies: made in ${(makingMs / 1000).toFixed(1)} s, ${megabytes} MB`)
  const opened = await openTimes(path, 5)
  console.log(`opened in ${opened.map((ms) => ms.toFixed(0)).join(', ')} ms (navigation to load event)`)
} finally {
  diff.close()
  rmSync(folder, { recursive: true })
}

function repeated(of: DiffReader, wanted: number): DiffSource {
  const findings = of.findings()
  const all = findings.reduce((sum, finding) => sum + finding.count, 0)
  if (all === 0) throw new Error('the diff has no discrepancies to repeat')
  const rounds = Math.ceil(wanted / all)
  return {
    facts: { ...of.facts, discrepancies: all * rounds, compared: Math.max(of.facts.compared, all * rounds) },
    findings: () => findings.map((finding) => ({ ...finding, count: finding.count * rounds })),
    latency: () => of.latency(),
    state: () => of.state(),
    plans: () => of.plans(),
    vouching: () => of.vouching(),
    errorsByFinding: () => of.errorsByFinding(),
    *discrepancies(filter = {}) {
      for (let round = 0; round < rounds; round += 1) yield* of.discrepancies(filter)
    },
  }
}

function timed(work: () => void): number {
  const from = performance.now()
  work()
  return performance.now() - from
}

async function openTimes(path: string, times: number): Promise<number[]> {
  const browser = await chromium.launch({ executablePath: flags.chromium, args: ['--no-sandbox', '--disable-gpu'] })
  try {
    const found: number[] = []
    for (let i = 0; i < times; i += 1) {
      const page = await browser.newPage()
      await page.goto(pathToFileURL(path).href)
      found.push(await page.evaluate<number>('performance.getEntriesByType("navigation")[0].duration'))
      await page.close()
    }
    return found
  } finally {
    await browser.close()
  }
}
