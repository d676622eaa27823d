/**
 * The page: one HTML file, no network, nothing to install, safe against whatever was captured.
 *
 * A policy in the file allows exactly its own script and style, by hash, and no request of any kind. Captured text is
 * escaped text, inert JSON or inert base64 (./html.ts, ./chunks.ts); trusted types close the rest.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Discrepancy } from '../../segment/diff.js'
import type { Clock } from '../build-model.js'
import { instant } from '../format.js'
import type { ReportModel } from '../model.js'
import { plain } from '../text.js'
import { type Carried, carry } from './chunks.js'
import { findingsSection } from './findings.js'
import { type Element, h, toHtml, toInertJson } from './html.js'
import { latencySection } from './latency.js'
import { stateSection } from './state.js'
import { timelineSection } from './timeline.js'
import { trustSection } from './trust.js'
import { verdictSection } from './verdict.js'

/** In pieces, to be written one after the other. `discrepanciesOf` null: a page without the full list. */
export function renderPage(
  model: ReportModel,
  discrepanciesOf: ((findingId: string) => Iterable<Discrepancy>) | null,
): string[] {
  const clock: Clock = {
    offsetMs: (atMs) => Math.max(0, atMs - model.recording.recordedAtMs),
    spanMs: model.spanMs,
  }
  const carried = carry(model, discrepanciesOf ?? (() => []), clock)
  const script = asset('page.browser.js')
  const style = asset('page.css')
  const title = `${model.verdict}: ${plain(model.after.target)}, cutover rehearsal`
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
    toHtml(h('meta', { 'http-equiv': 'Content-Security-Policy', content: policy(script, style) })),
    toHtml(h('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' })),
    toHtml(h('meta', { name: 'color-scheme', content: 'light dark' })),
    toHtml(h('meta', { name: 'referrer', content: 'no-referrer' })),
    toHtml(h('title', null, title)),
    `\n<style>${style}</style>\n</head>\n<body>\n`,
    toHtml(top(model)),
    toHtml(
      h(
        'main',
        { id: 'main' },
        verdictSection(model),
        findingsSection(model, (findingId) => carried.findings.get(findingId)?.count ?? 0),
        latencySection(model),
        timelineSection(model),
        stateSection(model),
        trustSection(model),
      ),
    ),
    toHtml(foot(model)),
    `\n<script type="application/json" id="carried">${toInertJson(index(carried))}</script>\n`,
    ...carried.chunks.map(({ id, base64 }) => `<script type="application/gzip" id="${id}">${base64}</script>\n`),
    `<script>${script}</script>\n</body>\n</html>\n`,
  ]
}

function policy(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src '${hash(script)}'`,
    `style-src '${hash(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

function asset(name: string): string {
  return readFileSync(new URL(`./${name}`, import.meta.url), 'utf8')
}

/** Where the browser finds what; names only. */
function index(carried: Carried): object {
  return {
    findings: Object.fromEntries([...carried.findings].map(([id, { chunkIds }]) => [id, chunkIds])),
    queryRows: carried.queryRows,
    queryDetails: carried.queryDetails,
  }
}

function top(model: ReportModel): Element {
  const link = (id: string, title: string, note = '') =>
    h('li', null, h('a', { href: `#${id}` }, title, note === '' ? null : h('span', { class: 'nav-count' }, note)))
  return h(
    'header',
    { class: 'top' },
    h('a', { href: '#main', class: 'skip' }, 'Skip to the verdict'),
    h(
      'div',
      { class: 'top-inner' },
      h('p', { class: 'brand' }, h('strong', null, 'pgrehearse'), h('span', null, 'Cutover rehearsal')),
      h(
        'nav',
        { 'aria-label': 'Sections' },
        h(
          'ul',
          null,
          link('verdict', 'Verdict'),
          link('findings', 'Findings', String(model.findings.length)),
          link('latency', 'Latency'),
          link('timeline', 'Timeline'),
          link('state', 'Tables'),
          link('trust', 'Trust'),
        ),
      ),
      h('button', { type: 'button', id: 'theme', class: 'theme', 'aria-pressed': 'false' }, 'Dark'),
    ),
  )
}

function foot(model: ReportModel): Element {
  return h(
    'footer',
    null,
    h(
      'p',
      null,
      `Made by ${plain(model.madeBy)} from the diff ${plain(model.diffId)}, compared ${instant(model.comparedAtMs)}.`,
    ),
  )
}
