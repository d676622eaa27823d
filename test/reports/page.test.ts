import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReportModel } from '../../reports/model.js'
import { renderPage } from '../../reports/page/page.js'
import type { StateReport } from '../../segment/state.js'
import type { Vouching } from '../../segment/vouching.js'
import { launchBrowser, type Watched, watch } from './browser.js'
import { modelOf, pageOf } from './build.js'
import {
  countUnpacking,
  elementCount,
  fire,
  focusMatches,
  lowContrast,
  openEverything,
  outline,
  pageWidth,
  paper,
  textBefore,
  tryToEscape,
  unpackedCount,
  violations,
} from './in-page.js'
import { plansOf, sample, stateOf, vouchingOf } from './sample.js'

let browser: Browser
let folder: string
const urls = new Map<string, string>()

function save(name: string, html: string): void {
  const path = join(folder, `${name}.html`)
  writeFileSync(path, html)
  urls.set(name, pathToFileURL(path).href)
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-page-'))
  browser = await launchBrowser()
  save('FAIL', pageOf({ kind: 'FAIL' }))
  save('PASS', pageOf({ kind: 'PASS' }))
  save('INVALID', pageOf({ kind: 'INVALID' }))
})

afterAll(async () => {
  await browser?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Opens a page, does something there, and holds it to its promises: no complaint, no request but for itself. */
async function on(
  name: string,
  work: (watched: Watched) => Promise<void>,
  options: BrowserContextOptions & { readonly hash?: string; readonly before?: () => void } = {},
): Promise<void> {
  const { hash = '', before, ...contextOptions } = options
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...contextOptions })
  try {
    const watched = await watch(await context.newPage())
    if (before) await watched.page.addInitScript(before)
    const url = `${urls.get(name)}${hash}`
    await watched.page.goto(url)
    await work(watched)
    expect(watched.complaints).toEqual([])
    expect(watched.requests.map((request) => request.split('#')[0])).toEqual([url.split('#')[0]])
  } finally {
    await context.close()
  }
}

describe('a page that fails', () => {
  test('says the verdict, why, and each check with its limit and value', () =>
    on('FAIL', async ({ page }) => {
      expect(await page.locator('h1').innerText()).toMatch(/^FAIL\s+V2 is not ready/)
      expect(await page.locator('.why li').count()).toBeGreaterThan(3)
      const check = page.locator('.gate-table tr', { hasText: 'All statements, p95' })
      expect(await check.innerText()).toMatch(/Fail[\s\S]+≤ 1\.25×\s+1\.\d\d×/)
      expect(await page.title()).toBe('FAIL: PostgreSQL 18.4, shop_v2, cutover rehearsal')
    }))

  test('says what was compared: versions, recording, snapshot, when and how long', () =>
    on('FAIL', async ({ page }) => {
      const text = await page.locator('.subject-list').innerText()
      expect(text).toContain('PostgreSQL 16.14, shop_v1')
      expect(text).toContain('baseline run of 20 November 2026, 18:36 UTC, 184,140 statements in 10 min 12 s')
      expect(text).toMatch(/Recording\s+recordings\/2026-11-17-morning\s+17 November 2026, 09:30 UTC/)
      expect(text).toMatch(/Snapshot\s+5b0c8f2e-63d1\s+taken 1:01 into the recording/)
    }))

  test('a finding opens to an example with the changed part of the cell marked', () =>
    on('FAIL', async ({ page }) => {
      const finding = page.locator('.finding', { hasText: 'email is cut to 32 characters' }).first()
      const body = finding.locator('.finding-body')
      expect(await body.isVisible()).toBe(false)
      await finding.locator('summary').first().click()
      expect(await body.isVisible()).toBe(true)
      expect(await finding.locator('del').first().innerText()).toBe('0@mail.example.com')
      expect(await finding.locator('.command').first().innerText()).toMatch(
        /^pgrehearse reproduce out\/shop\.diff \S+$/,
      )
    }))

  test('a finding shows its course over the replay, its share of traffic, and an example with its parameters', () =>
    on('FAIL', async ({ page }) => {
      const finding = page.locator('.finding', { hasText: 'email is cut to 32 characters' }).first()
      const course = finding.locator('.finding-trend svg')
      expect(await course.getAttribute('aria-label')).toMatch(
        /^(Throughout|In parts of) the replay, most around \d+:\d\d$/,
      )
      expect(await course.locator('*').count()).toBeGreaterThan(10)
      expect(await finding.locator('.finding-size').innerText()).toMatch(/1,565 statements\s+0\.9% of traffic/)
      await finding.locator('summary').first().click()
      expect(await finding.locator('.parameters').first().innerText()).toMatch(/^\$1\s+\S+/)
    }))

  test('latency says what V2 costs in each second of production’s traffic', () =>
    on('FAIL', async ({ page }) => {
      expect(await page.locator('#latency .lead').innerText()).toMatch(
        /^A second of this traffic costs the server \d+ ms on V1 and \d+ ms on V2\.$/,
      )
      expect(await page.locator('#queries tbody tr .col-cost').first().innerText()).toMatch(/^\+\d+\.\d ms\/s$/)
    }))

  test('a ratio stands beside its own interval, and is the one that the gate judged', () => {
    const model = modelOf(sample({ kind: 'FAIL' }))
    const overall = model.latency.overall!
    const p50 = { beforeMs: 0.73, afterMs: 0.88, ratio: 1.16, low: 1.14, high: 1.18 }
    const source = sample({ kind: 'FAIL' })
    const paired = { ...model, latency: { ...model.latency, overall: { ...overall, p50 } } }
    save('paired', renderPage(paired, (findingId) => source.discrepancies({ findingId })).join(''))
    return on('paired', async ({ page }) => {
      const row = page.locator('.overall .percentiles tr', { hasText: 'p50' })
      expect(await row.innerText()).toMatch(/^p50\s+0\.73 ms\s+0\.88 ms\s+1\.16×\s+1\.14 – 1\.18$/)
    })
  })

  test('all discrepancies of a finding come out of the page, and open', () =>
    on('FAIL', async ({ page }) => {
      const finding = page.locator('.finding', { hasText: 'email is cut to 32 characters' }).first()
      await finding.locator('summary').first().click()
      await finding.getByRole('button', { name: 'Show all 1,565 discrepancies' }).click()
      await expect.poll(() => finding.locator('.items > li').count()).toBe(100)
      await finding.getByRole('button', { name: 'Show 100 more' }).click()
      await expect.poll(() => finding.locator('.items > li').count()).toBe(200)
      const item = finding.locator('.items > li').nth(150)
      await item.locator('summary').click()
      await expect.poll(() => item.locator('.rows del').count()).toBeGreaterThan(0)
    }))

  test('table state: what differs, row by row, and what the migration forgot', () =>
    on('FAIL', async ({ page }) => {
      const section = page.locator('#state')
      expect(await section.innerText()).toContain('After the replays, 1 of 5 tables holds something else.')
      const rows = section.locator('.finding', { hasText: 'in users: email is cut to 32 characters' })
      expect(await rows.locator('.finding-size').innerText()).toBe('412 rows')
      await rows.locator('summary').first().click()
      expect(await rows.locator('del').first().innerText()).not.toBe('')
      expect(await section.locator('.flat.fails').innerText()).toContain('orders has lost the index')
      expect(await section.locator('.flat.told').innerText()).toContain('no fault')
      expect(await page.locator('.gate-table tr', { hasText: 'Tables that hold something else' }).innerText()).toMatch(
        /Fail[\s\S]+users[\s\S]+≤ 0\s+1/,
      )
      expect(await page.locator('h1').innerText()).toContain('1 table holds something else after the replay')
    }))

  test('what was injected is marked on the charts, and told', () =>
    on('FAIL', async ({ page }) => {
      const section = page.locator('#timeline')
      expect(await section.locator('svg.wide .moment').count()).toBe(6)
      const told = await section.locator('.injections > li').innerText()
      expect(told).toContain('migrations/V7__backfill.sql at 380s: done after 38.00 s, begun at 6:20')
      expect(told).toContain('It held AccessExclusiveLock on public.orders for 1.15 s')
      expect(told).toContain('It held up 2 sessions, 3.00 s in all, the longest 1.14 s (session 12)')
    }))

  test('trust: what made statements late, ways out of the shadow, how values are masked', () =>
    on('FAIL', async ({ page }) => {
      const trust = page.locator('#trust')
      expect(await trust.getByRole('row', { name: 'waiting for the plan’s order' }).innerText()).toMatch(/18\.20 s/)
      expect(await trust.getByRole('row', { name: 'Ended as production had' }).innerText()).toMatch(/\t3\t3/)
      const text = await trust.innerText()
      expect(text).toContain('V2: 3 ways out of the shadow shut.')
      expect(text).toContain('function public.notify_billing(integer): stub, 412 calls answered by it')
      expect(text).toContain('masked under policy a1b2c3d4e5f6')
    }))

  test('trust: how near V1’s replay is to production, and what a look for leaks found', async () => {
    await on('FAIL', async ({ page }) => {
      const fidelity = page.locator('#trust .fidelity')
      expect(await fidelity.locator('h3').innerText()).toMatch(/^Fidelity\s*99\.88/)
      const text = await fidelity.innerText()
      expect(text).toContain('answered 212 of 183,400 statements otherwise than production had')
      expect(text).toMatch(
        /Different for a known reason\s+Production ran a race here, or it rests on one that went another way\s+611/,
      )
      expect(text).toMatch(/Not compared\s+lost: connection lost\s+41/)
      expect(await page.locator('.why li').last().innerText()).toMatch(/^1 personal value stands in what was written/)
      expect(await page.locator('.gate-table tr', { hasText: 'as in production' }).innerText()).toMatch(
        /Pass[\s\S]+≥ 95/,
      )
      const trust = await page.locator('#trust').innerText()
      expect(trust).toContain(
        '9 files (812 MB of text) were searched for personal values by their form: 1 personal value found.',
      )
      expect(trust).toContain('recording/segments/000003.sqlite, statement 4711: email m…m (17 characters)')
    })
    await on('PASS', async ({ page }) => {
      const trust = await page.locator('#trust').innerText()
      expect(trust).toContain('V1’s replay answered all 183,400 statements as production had.')
      expect(trust).toContain('20,000 of them known from a live database: none found.')
    })
    await on('INVALID', async ({ page }) => {
      const trust = await page.locator('#trust').innerText()
      expect(trust).toContain('Nobody compared V1’s replay with production.')
      expect(trust).toContain('Nobody looked for leaks')
    })
  })

  test('why a query shape is slower: the reading, the index that was tried, the plans side by side', () =>
    on('FAIL', async ({ page }) => {
      const why = page.locator('.why-slower')
      expect(await why.innerText()).toContain(
        'Sequential scan of 2.1 M rows where V1 used orders_customer_idx: likely a missing index on orders_v2_core(customer_id)',
      )
      const index = why.locator('.command')
      expect(await index.innerText()).toBe('CREATE INDEX ON orders_v2_core (customer_id)')
      expect(await index.evaluate(textBefore)).toBe('none')
      const command = page.locator('.example-foot .command', { hasText: 'pgrehearse reproduce' }).first()
      expect(await command.evaluate(textBefore)).toBe('"$ "')
      expect(await why.innerText()).toContain('rolled back: 182 ms without it, 0.45 ms with it.')
      await why.getByRole('link').first().click()
      const detail = page.locator('#queries .plan-detail')
      await expect.poll(() => detail.isVisible()).toBe(true)
      expect(await detail.locator('ol[aria-label="Plan of V1"] li').nth(1).innerText()).toMatch(
        /^Index Scan using orders_customer_idx on orders[\s\S]+\(customer_id = 42\)/,
      )
      const slow = await detail.locator('ol[aria-label="Plan of V2"] li').nth(1).innerText()
      expect(slow).toMatch(/^Seq Scan on orders_v2_core[\s\S]+181 ms · 20 rows \(planned 20\) · 31,012 pages, 31,000/)
      expect(slow).toContain('threw 2,099,980 rows away')
    }))

  test('who waited for whose locks, and when', () =>
    on('FAIL', async ({ page }) => {
      const text = await page.locator('#state').innerText()
      expect(text).toContain('V1: nobody was seen to wait for a lock.')
      expect(text).toContain('V2: 31 waits, 8.40 s in all. 2 deadlocks ended by the server.')
      const row = page.locator('table.locks tbody tr')
      expect(await row.innerText()).toMatch(
        /UPDATE stock[\s\S]+UPDATE orders SET status[\s\S]+a row of stock[\s\S]+31\s+8\.40 s\s+910 ms\s+3:32 – 4:20/,
      )
      expect(await page.locator('#locks-over-time svg').first().getAttribute('aria-label')).toContain('V2 5 at most')
    }))

  test('the latency table sorts, and says so to a screen reader', () =>
    on('FAIL', async ({ page }) => {
      const runs = () =>
        page
          .locator('#queries tbody tr')
          .evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('data-runs'))))
      const heading = page.getByRole('columnheader', { name: 'Runs' })
      await heading.getByRole('button').click()
      await expect.poll(() => heading.getAttribute('aria-sort')).toBe('descending')
      expect(await runs()).toEqual((await runs()).toSorted((a, b) => b - a))
      await heading.getByRole('button').click()
      await expect.poll(() => heading.getAttribute('aria-sort')).toBe('ascending')
      expect(await runs()).toEqual((await runs()).toSorted((a, b) => a - b))
      expect(await page.getByRole('columnheader', { name: 'Cost' }).getAttribute('aria-sort')).toBe('none')
    }))

  test('the latency table searches by words of the statement and by fingerprint', () =>
    on('FAIL', async ({ page }) => {
      const visible = page.locator('#queries tbody tr:visible')
      await page.getByLabel('Search').fill('payments INSERT')
      await expect.poll(() => visible.count()).toBe(1)
      expect(await page.locator('#query-count').innerText()).toBe('1 of 24 query shapes')
      const fingerprint = (await visible.first().getAttribute('id'))?.replace('query-', '') ?? ''
      await page.getByLabel('Search').fill(fingerprint.slice(0, 8))
      await expect.poll(() => visible.count()).toBe(1)
      await page.getByLabel('Search').fill('')
      await expect.poll(() => visible.count()).toBe(24)
    }))

  test('a row opens to its distribution, and keeps its place when sorted', () =>
    on('FAIL', async ({ page }) => {
      const row = page.locator('#queries tbody tr').first()
      const id = await row.getAttribute('id')
      await row.locator('.expand').click()
      const detail = page.locator(`[id="${id}-detail"]`)
      await expect.poll(() => detail.locator('svg.wide').count()).toBe(1)
      await page.getByRole('columnheader', { name: 'p50' }).getByRole('button').click()
      await expect.poll(() => detail.evaluate((element) => element.previousElementSibling?.id)).toBe(id)
      await page.locator(`[id="${id}"] .expand`).click()
      await expect.poll(() => detail.count()).toBe(0)
    }))

  test('links lead to a finding and to a query shape', async () => {
    const model = modelOf(sample({ kind: 'FAIL' }))
    const last = model.findings.at(-1)
    await on(
      'FAIL',
      async ({ page }) => {
        const finding = page.locator(`[id="finding-${last?.findingId}"]`)
        await expect.poll(() => finding.evaluate((element) => element.hasAttribute('open'))).toBe(true)
        expect(await finding.isVisible()).toBe(true)
        await finding.locator('.finding-facts a').first().click()
        const detail = page.locator(`[id="query-${last?.fingerprints[0]}-detail"]`)
        await expect.poll(() => detail.isVisible()).toBe(true)
      },
      { hash: `#finding-${last?.findingId}` },
    )
  })

  test('works from the keyboard alone', () =>
    on('FAIL', async ({ page }) => {
      await page.keyboard.press('Tab')
      expect(await page.evaluate(focusMatches, '.skip')).toBe(true)
      const summary = page.locator('.finding').nth(1).locator('summary').first()
      await tabTo(page, '.finding:nth-of-type(2) > summary')
      await page.keyboard.press('Enter')
      expect(await page.locator('.finding').nth(1).getAttribute('open')).not.toBeNull()
      expect(await summary.evaluate(outline)).toBe('solid')
      await page.locator('#query-search').focus()
      await tabTo(page, '#queries thead button')
      await page.keyboard.press('Space')
      await expect
        .poll(() => page.getByRole('columnheader', { name: 'Query shape' }).getAttribute('aria-sort'))
        .toBe('ascending')
      await tabTo(page, '#queries tbody .expand')
      await page.keyboard.press('Enter')
      await expect.poll(() => page.locator('#queries .detail').count()).toBe(1)
    }))

  test('follows the reader’s colours, and lets them choose', () =>
    on(
      'FAIL',
      async ({ page }) => {
        const dark = await page.evaluate(paper)
        await page.getByRole('button', { name: 'Dark' }).click()
        const light = await page.evaluate(paper)
        expect(dark).toBe('rgb(19, 21, 25)')
        expect(light).toBe('rgb(247, 247, 245)')
        expect(await page.getByRole('button', { name: 'Dark' }).getAttribute('aria-pressed')).toBe('false')
      },
      { colorScheme: 'dark' },
    ))

  test('has the landmarks, headings and names that assistive technology needs', () =>
    on('FAIL', async ({ page }) => {
      for (const role of ['banner', 'main', 'navigation', 'contentinfo'] as const) {
        expect(await page.getByRole(role).count()).toBe(1)
      }
      const levels = await page
        .locator('h1, h2, h3, h4, h5')
        .evaluateAll((all) => all.map((one) => Number(one.tagName[1])))
      expect(levels[0]).toBe(1)
      for (const [i, level] of levels.entries()) expect(level - (levels[i - 1] ?? level)).toBeLessThanOrEqual(1)
      const nameless = await page
        .locator('svg[role=img]')
        .evaluateAll((charts) => charts.filter((chart) => !chart.getAttribute('aria-label')).length)
      expect(nameless).toBe(0)
      expect(await page.locator('svg[role=img]').count()).toBeGreaterThan(10)
    }))

  test('fits a small phone', () =>
    on(
      'FAIL',
      async ({ page }) => {
        await page.evaluate(openEverything)
        await page.locator('.expand').first().click()
        await expect.poll(() => page.locator('#queries .detail').count()).toBe(1)
        expect(await page.evaluate(pageWidth)).toBe(360)
        const box = async (of: string) => (await page.locator(`#queries tbody tr ${of}`).first().boundingBox())!
        const [words, times] = [await box('.query-text'), await box('.col-p95 .is')]
        expect(words.width).toBeGreaterThan(100)
        expect(words.x + words.width).toBeLessThanOrEqual(times.x)
      },
      { viewport: { width: 360, height: 740 } },
    ))

  test('prints, with every finding open', () =>
    on('FAIL', async ({ page }) => {
      const path = join(folder, 'report.pdf')
      await page.pdf({ path, format: 'A4' })
      expect(statSync(path).size).toBeGreaterThan(50_000)
      await page.evaluate(fire, 'beforeprint')
      expect(await page.locator('details.finding:not([open])').count()).toBe(0)
      await page.evaluate(fire, 'afterprint')
      expect(await page.locator('#findings .finding:not([open])').count()).toBe(7)
    }))

  test('on paper nothing is crushed: headings and names of rows have room for their words', () =>
    on('FAIL', async ({ page }) => {
      await page.setViewportSize({ width: 718, height: 1000 })
      await page.emulateMedia({ media: 'print' })
      await page.evaluate(fire, 'beforeprint')
      for (const selector of [
        '.finding h3',
        '#state .finding h3',
        '.ledger tbody th',
        '.locks tbody th',
        '.reasons tbody th',
      ]) {
        const all = await page.locator(`${selector}:visible`).all()
        expect([selector, all.length]).not.toEqual([selector, 0])
        for (const one of all) {
          const box = (await one.boundingBox())!
          expect([selector, box.width > 70, box.height < 120]).toEqual([selector, true, true])
        }
      }
      expect(await page.evaluate(pageWidth)).toBe(718)
    }))

  test('text meets the contrast of WCAG AA in both themes', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await on(
        'FAIL',
        async ({ page }) => {
          await page.locator('.finding').nth(2).locator('summary').first().click()
          expect(await page.evaluate(lowContrast)).toEqual([])
        },
        { colorScheme },
      )
    }
  })
})

describe('axe finds nothing to object to', () => {
  const looks = (['PASS', 'FAIL', 'INVALID'] as const).flatMap((kind) =>
    (['light', 'dark'] as const).map((colorScheme) => ({ kind, colorScheme })),
  )
  test.each(looks)('$kind, $colorScheme, closed and with everything open', ({ kind, colorScheme }) =>
    on(
      kind,
      async ({ page }) => {
        await page.evaluate(axe.source)
        expect(await page.evaluate(violations)).toEqual([])
        await page.evaluate(openEverything)
        const more = page.locator('.all > .more').first()
        if ((await more.count()) > 0) await more.click()
        await page.locator('.expand').first().click()
        await expect.poll(() => page.locator('#queries .detail').count()).toBe(1)
        await page.evaluate(openEverything)
        expect(await page.evaluate(violations)).toEqual([])
      },
      // The page's own policy would keep the checker out.
      { colorScheme, bypassCSP: true },
    ),
  )
})

test('a page that passes says what it covers', () =>
  on('PASS', async ({ page }) => {
    expect(await page.locator('h1').innerText()).toMatch(/^PASS\s+V2 answered all 183,950/)
    expect(await page.locator('#findings').innerText()).toContain('None.')
    expect(await page.locator('.why').innerText()).toContain('5 tables compared row by row: all equal')
    expect(await page.locator('#trust').innerText()).toContain('190 were not')
  }))

test('a page that is invalid gives its reasons in the verdict and under Trust', () =>
  on('INVALID', async ({ page }) => {
    expect(await page.locator('h1').innerText()).toMatch(/^INVALID\s+No verdict on V2/)
    expect(await page.locator('#state').innerText()).toContain('Tables were not compared after the replays.')
    expect(await page.locator('#trust').innerText()).toContain('V2: the harness was the bottleneck. worker 2')
    expect(await page.locator('#trust').innerText()).toContain('connection lost: 16 sessions could not go on')
    expect(await page.locator('.invalid-note').innerText()).toContain('The connection to the candidate was lost')
  }))

const HOSTILE = [
  '</script><script>alert(1)</script>',
  '<img src=x onerror=alert(2)>',
  '<!--<script>alert(3)//',
  '"\'`><svg onload=alert(4)>',
  '\u202Egnp.exe\u2066 \u0000 \u200b \ud800',
  ']]>&lt;b&gt;&#x3c;javascript:alert(5)',
  '{{constructor.constructor("alert(6)")()}}',
]

test('captured text of any kind stays text, wherever it stands', async () => {
  const text = HOSTILE.join(' ')
  const source = sample({
    kind: 'FAIL',
    discrepancies: 300,
    plant: (one) => ({
      ...one,
      alertId: `${text}${one.alertId}`,
      traceId: text,
      fingerprint: text,
      sql: text,
      sqlAfter: `${text} after`,
      digestBefore: text,
      digestAfter: text,
      parameters: [text, 'x'.repeat(1_000_000), null],
      columns: [text],
      cause: text,
      errorBefore: { sqlstate: text, message: text },
      errorAfter: { sqlstate: text, message: text },
      rows: { columns: [text, text], before: [[text, 'x'.repeat(1_000_000)]], after: [[`${text}!`, null]] },
    }),
  })
  const findings = [...source.findings()].map((finding) => ({
    ...finding,
    findingId: finding.findingId,
    cause: text,
    explainer: text,
    columns: [text],
    fingerprints: [text],
    exampleAlertIds: finding.exampleAlertIds.map((id) => `${text}${id}`),
  }))
  const latency = [...source.latency()].map((row) =>
    row.fingerprint === ''
      ? row
      : { ...row, sql: text, sqlAfter: `${text} after`, fingerprint: `${text}${row.fingerprint}` },
  )
  const facts = {
    ...source.facts,
    madeBy: text,
    id: text,
    recordingPath: text,
    recordingId: text,
    noise: source.facts.noise && { ...source.facts.noise, target: text, role: text },
    excused: { [text]: 1 },
    uncompared: { [text]: 1 },
    invalid: [text],
    before: {
      ...source.facts.before,
      id: text,
      target: text,
      role: text,
      ledger: { ...source.facts.before.ledger, skipped: { [text]: { statements: 41, transactions: 12 } } },
    },
    privacy: { policyHash: text, keyFingerprint: text },
    after: {
      ...source.facts.after,
      target: text,
      role: text,
      conditions: {
        settings: { speed: 1, order: 'causal' as const, workers: 1, readOnly: true, filter: [text] },
        bottleneck: text,
        isolation: {
          doors: [{ kind: text, name: text, state: 'left open' as const, calls: null }],
          limits: { [text]: text },
        },
        injections: (source.facts.after.conditions?.injections ?? []).map((one) => ({
          ...one,
          at: text,
          what: text,
          outcome: 'failed' as const,
          error: { sqlstate: text, message: text, line: 1 },
          locks: [{ relation: text, mode: text, seenUs: 1 }],
        })),
        incidents: [{ atUs: 1, kind: text, detail: text }],
        locks: {
          ...source.facts.after.conditions!.locks!,
          waits: source.facts.after.conditions!.locks!.waits.map((wait) => ({
            ...wait,
            waiting: { fingerprint: text, sql: text },
            blocking: { fingerprint: text, sql: text, state: text },
            table: text,
            lockType: text,
            mode: text,
            heldMode: text,
          })),
        },
      },
    },
  }
  const honest = stateOf('FAIL')
  const state: StateReport = {
    ...honest,
    tables: honest.tables.map((one) => ({ ...one, table: text, columnsLeftOut: [text] })),
    findings: honest.findings.map((one) => ({
      ...one,
      findingId: `${text}${one.findingId}`,
      object: text,
      sentence: text,
      columns: [text],
      rows: { columns: [text], before: [[text]], after: [[`${text}?`]] },
    })),
    schema: { ...honest.schema, notCompared: [text] },
  }
  const plans = plansOf('FAIL')!.map((plan) => ({
    ...plan,
    fingerprint: latency[1]!.fingerprint,
    reading: text,
    notExplained: text,
    changes: [{ kind: 'scan' as const, sentence: text }],
    suggestion: { ...plan.suggestion!, sql: text },
    after: {
      ...plan.after!,
      root: { ...plan.after!.root, operation: text, relation: text, index: text, condition: text, filter: text },
      triggers: [{ name: text, relation: text, calls: 1, ms: 1 }],
      settings: { [text]: text },
    },
  }))
  const vouching: Vouching = {
    fidelity: {
      ...vouchingOf('FAIL').fidelity!,
      excused: { [text]: 1 },
      uncompared: { [text]: 1 },
      causes: [{ cause: text, mismatch: 'SQL_ERROR', subKind: 'error_new', count: 1 }],
    },
    audit: {
      ...vouchingOf('FAIL').audit!,
      paths: [text],
      hits: [{ file: text, place: text, what: text, excerpt: text }],
      lookalikes: { [text]: 1 },
    },
  }
  const planted = {
    ...source,
    plans: () => plans,
    vouching: () => vouching,
    state: () => state,
    facts,
    findings: () => findings,
    latency: () => latency,
  }
  const model: ReportModel = { ...modelOf(planted), diffPath: text }
  save('hostile', renderPage(model, (findingId) => planted.discrepancies({ findingId })).join(''))
  expect(statSync(join(folder, 'hostile.html')).size).toBeLessThan(8_000_000)
  await on('hostile', async ({ page }) => {
    await page.evaluate(openEverything)
    const more = page.locator('.all > .more:not([disabled])')
    while ((await more.count()) > 0) await more.first().click()
    await expect.poll(() => page.locator('.items > li').count()).toBeGreaterThan(150)
    await page.locator('.items summary').first().click()
    await page.locator('.expand').first().click()
    await expect.poll(() => page.locator('#queries .detail').count()).toBe(1)
    await page.getByLabel('Search').fill('<img')
    expect(await page.locator('img, iframe, object, main script, main style').count()).toBe(0)
    expect(await page.locator('script').count()).toBe(
      2 + (await page.locator('script[type="application/gzip"]').count()),
    )
    expect(await page.locator('h3').first().innerText()).toContain('</script><script>alert(1)</script>')
    for (const [id, kept] of [
      ['.sql', 7],
      ['.example-facts', 3],
    ] as const)
      expect(await page.locator(id, { hasText: 'alert(1)' }).count()).toBeGreaterThan(kept)
    expect(await page.locator('.sql', { hasText: 'alert(6)")()}} after' }).count()).toBeGreaterThan(3)
    expect(await page.locator('h3 .unseen').first().innerText()).toBe('U+202E')
  })
})

test('a page cannot be made to send anything away', () =>
  on('FAIL', async ({ page, requests, complaints }) => {
    const outcome = await page.evaluate(tryToEscape)
    expect(outcome).toEqual({ ran: false, fetched: false })
    expect(complaints.length).toBeGreaterThan(0)
    complaints.length = 0
    expect(requests).toHaveLength(1)
  }))

describe('a page with 100,000 discrepancies', () => {
  let model: ReportModel

  beforeAll(() => {
    const source = sample({ kind: 'FAIL', discrepancies: 100_000, queryShapes: 600 })
    model = modelOf(source)
    save('large', renderPage(model, (findingId) => source.discrepancies({ findingId })).join(''))
  }, 180_000)

  /** How long opening takes is measured by bench/page.ts; what makes it long is counted here. */
  test('is written and parsed as little as one with a few: what is not looked at stays packed', () =>
    on(
      'large',
      async ({ page }) => {
        expect(statSync(join(folder, 'large.html')).size).toBeLessThan(16_000_000)
        expect(await page.evaluate(elementCount)).toBeLessThan(12_000)
        expect(await page.evaluate(unpackedCount)).toBe(0)
        expect(await page.locator('.items > li').count()).toBe(0)
        const finding = page.locator('.finding', { hasText: 'email is cut to 32 characters' }).first()
        await finding.locator('summary').first().click()
        await finding.locator('.all > .more').click()
        await expect.poll(() => page.locator('.items > li').count()).toBe(100)
        expect(await page.evaluate(unpackedCount)).toBe(1)
        await finding.locator('.all > .more').click()
        await expect.poll(() => page.locator('.items > li').count()).toBe(200)
        expect(await page.evaluate(unpackedCount)).toBe(2)
      },
      { before: countUnpacking },
    ))

  test('everything is in it', () =>
    on('large', async ({ page }) => {
      expect(await page.locator('#findings .lead').innerText()).toMatch(
        /8 causes behind (99,99\d|100,00\d) differing statements/,
      )
      expect(await page.locator('#queries tbody tr').count()).toBe(100)
      await page.getByLabel('Search').fill('archive_599')
      await expect.poll(() => page.locator('#queries tbody tr:visible').count()).toBe(1)
      await page.locator('#queries tbody tr:visible .expand').click()
      await expect.poll(() => page.locator('#queries .detail .sql').innerText()).toContain('archive_599')
    }))

  test('a link to a query shape that is not written out finds it', async () => {
    const last = model.latency.queries.at(-1)
    const hash = `#query-${last?.fingerprint}`
    await on(
      'large',
      async ({ page }) => {
        await expect.poll(() => page.locator(`[id="query-${last?.fingerprint}-detail"]`).isVisible()).toBe(true)
      },
      { hash },
    )
  })
})

async function tabTo(page: Watched['page'], selector: string): Promise<void> {
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(focusMatches, selector)) return
  }
  throw new Error(`Tab does not reach ${selector}`)
}
