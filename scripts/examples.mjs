/**
 * Makes docs/examples and docs/images anew: records the example shop, rehearses three cutovers of it with `pgrehearse run`, and takes a
 * picture of each page. Real rehearsals, so times want a machine with little else to do; a verdict that is not the wanted one is an error.
 *
 *   npm run build && node scripts/examples.mjs
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const shop = join(root, 'fixtures/shop')
const fault = (name) => join(shop, 'faults', `${name}.sql`)
const migrate = join(shop, 'migrate-v2.sql')

const EXAMPLES = [
  { name: 'pass', exit: 0, file: { v2: { migrate: [migrate] } } },
  {
    name: 'fail',
    exit: 1,
    file: {
      v2: {
        migrate: [
          migrate,
          ...['value-cut-short', 'wrong-time-zone', 'view-drops-rows', 'lost-unique', 'missing-index'].map(fault),
        ],
      },
    },
  },
  // A candidate that was replayed in part only says little about V2.
  { name: 'invalid', exit: 3, file: { v2: { migrate: [migrate] }, candidate: { to: '7s' } } },
]

/** Wider than the default: V2 answers through views, which is slower, and machines have other work to do; the pages say so. */
const GATE =
  'findings: {LATENCY_SPIKE: 5}\nlatency: {overall: {p50: 2, p95: 2, p99: 3}, per_query: {p50: 3, p95: 6}, weighted: 2}\n'

const folder = mkdtempSync(join(tmpdir(), 'pgrehearse-examples-'))
// The embedded server of a root user runs as somebody else.
chmodSync(folder, 0o755)
try {
  writeFileSync(join(folder, 'gate.yaml'), GATE)
  // Its own verdict does not matter here: it leaves a recording and a snapshot.
  pgrehearse(null, 'demo', '--faults', 'none', '--seconds', '12', '--out', 'shop')
  for (const { name, exit, file } of EXAMPLES) {
    const config = {
      recording: 'shop/recording',
      snapshot: 'shop/snapshot',
      out: 'rehearsal',
      gate: 'gate.yaml',
      ...file,
    }
    writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(config))
    pgrehearse(exit, 'run', '-c', `${name}.yaml`)
    cpSync(join(folder, 'rehearsal/report.html'), join(folder, `${name}.html`))
  }
  await pictures()
  for (const { name } of EXAMPLES) {
    cpSync(join(folder, `${name}.html`), join(root, 'docs/examples', `${name}.html`))
    cpSync(join(folder, `${name}.png`), join(root, 'docs/images', `${name}.png`))
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function pgrehearse(exit, ...args) {
  const main = join(root, 'dist/cli/main.js')
  const { status } = spawnSync(process.execPath, [main, ...args], { cwd: folder, stdio: 'inherit' })
  if (exit !== null && status !== exit)
    throw new Error(`pgrehearse ${args.join(' ')} ended with ${status}, not ${exit}`)
}

async function pictures() {
  const executablePath = process.env.PGREHEARSE_CHROMIUM ?? '/usr/bin/chromium'
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } })
    for (const { name } of EXAMPLES) {
      await page.goto(pathToFileURL(join(folder, `${name}.html`)).href)
      await page.screenshot({ path: join(folder, `${name}.png`) })
    }
  } finally {
    await browser.close()
  }
}
