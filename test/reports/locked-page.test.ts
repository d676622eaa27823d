/**
 * Lock waits on the page, of a real run: somebody stays in a transaction, ALTER TABLE waits for them, and everybody else for ALTER TABLE.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReportModel } from '../../reports/model.js'
import { launchBrowser, watch } from './browser.js'
import { lockedRehearsal } from './locked-run.js'

let folder: string
let browser: Browser
let page: Page
let model: ReportModel
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-locked-'))
  const rehearsal = await lockedRehearsal()
  model = rehearsal.model
  writeFileSync(join(folder, 'page.html'), rehearsal.html)
  browser = await launchBrowser()
  page = (await watch(await browser.newPage())).page
  await page.goto(pathToFileURL(join(folder, 'page.html')).href)
}, 120_000)
afterAll(async () => {
  await browser?.close()
  rmSync(folder, { recursive: true, force: true })
})

const waitsOf = (label: string) => page.getByRole('region', { name: `Lock waits of ${label}` }).locator('tbody tr')

test('on V1 one waited, for a row, and for whom', async () => {
  const row = waitsOf('V1').filter({ hasText: 'stock - 2' })
  expect(await row.innerText()).toMatch(
    /UPDATE item SET stock = stock - 2[\s\S]+UPDATE item SET stock = 7[\s\S]+idle in transaction\s+a row of item/,
  )
  expect(await page.locator('.locks-of', { hasText: 'V1:' }).innerText()).not.toContain('nobody')
})

test('on V2 those who looked stood behind the migration, and the migration behind who had looked before', async () => {
  const behind = waitsOf('V2').filter({ has: page.locator('th', { hasText: 'SELECT name FROM item' }) })
  expect(await behind.innerText()).toMatch(
    /ALTER TABLE item ADD COLUMN note text run into the traffic\s+active\s+item AccessShareLock/,
  )
  const migration = waitsOf('V2').filter({ has: page.locator('th', { hasText: 'ALTER TABLE' }) })
  const text = await migration.innerText()
  expect(text).toMatch(/run into the traffic[\s\S]+SELECT sum\(stock\) FROM item[\s\S]+idle in transaction/)
  expect(text).toContain('AccessExclusiveLock, against AccessShareLock')
})

test('every link among the waits leads somewhere, and what was injected has none', async () => {
  const links = page.locator('table.locks a')
  expect(await links.count()).toBeGreaterThan(2)
  for (const href of await links.evaluateAll((all) => all.map((one) => one.getAttribute('href')!)))
    expect(model.latency.queries.map(({ fingerprint }) => `#query-${fingerprint}`)).toContain(href)
  expect(await page.locator('table.locks th', { hasText: 'ALTER TABLE' }).getByRole('link').count()).toBe(0)
})

test('the timeline shows who waited, and the injection whom it held up', async () => {
  const chart = page.locator('#locks-over-time svg').first()
  expect(await chart.getAttribute('aria-label')).toMatch(/V2 [23] at most/)
  const injection = await page.locator('.injections li').first().innerText()
  expect(injection).toMatch(/V7\.sql at 500ms: done after [\d.]+ m?s, begun \d+ ms into the replay/)
  expect(injection).toContain('It held up 2 sessions')
  expect(injection).toMatch(/It waited for 1 session, .+ \(session 1\)/)
})
