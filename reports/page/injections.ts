/**
 * What was run into the traffic at a moment of the replay (`--inject`): how it went, which locks it held, whom it held up.
 */
import type { Injection, InjectionWait, LatencyStretch } from '../../segment/run.js'
import { clock, counted, milliseconds } from '../format.js'
import type { ReportModel, Side } from '../model.js'
import { captured } from './captured.js'
import { type Child, type Element, h } from './html.js'

const SHOWN_MAX = 6
const SHORT_MS = 10_000

type Placed = { readonly side: 'before' | 'after'; readonly label: string; readonly injection: Injection }

export type Mark = {
  readonly side: 'before' | 'after'
  readonly atMs: number
  readonly untilMs: number
  readonly label: string
}

/** Numbered through both runs, as on the charts. */
function placed({ before, after }: Pick<ReportModel, 'before' | 'after'>): Placed[] {
  const of = (run: Side, side: Placed['side']) =>
    (run.conditions?.injections ?? []).map((injection) => ({ side, injection }))
  return [...of(before, 'before'), ...of(after, 'after')].map((one, i) => ({ ...one, label: String(i + 1) }))
}

/** Moments on the replay's clock; what never began has none. */
export function marksOf(model: ReportModel): Mark[] {
  return placed(model).flatMap(({ side, label, injection: { startedUs, endedUs } }) =>
    startedUs === null
      ? []
      : [{ side, label, atMs: startedUs / 1000, untilMs: Math.max(startedUs, endedUs ?? startedUs) / 1000 }],
  )
}

export function injections(model: ReportModel): Child {
  const all = placed(model)
  if (all.length === 0) return null
  return [
    h('h3', null, 'Run into the traffic'),
    h('ol', { class: 'injections' }, all.map(item)),
    h('p', { class: 'quiet' }, 'Locks are looked at every 50 ms; what is shorter may be missing.'),
  ]
}

function item({ side, injection }: Placed): Element {
  const { what, at, outcome, error, startedUs, endedUs, statements } = injection
  const slowest = [...statements].sort((a, b) => b.us - a.us)[0]
  const how =
    startedUs === null || endedUs === null
      ? 'its moment did not come'
      : `${outcome} after ${time(endedUs - startedUs)}, begun ${beginning(startedUs / 1000)}`
  return h(
    'li',
    { class: outcome === 'failed' ? 'bad' : null },
    h(
      'p',
      null,
      h('span', { class: `tag ${side}` }, side === 'before' ? 'V1' : 'V2'),
      ' ',
      h('code', null, captured(what)),
      captured(` at ${at}: `),
      h('strong', null, how),
      error === null ? null : [': ', captured(`${error.sqlstate ?? ''} ${error.message}${lineOf(error.line)}`)],
    ),
    h(
      'ul',
      { class: 'quiet' },
      [
        ...(slowest && statements.length > 1
          ? [`Slowest of ${counted(statements.length, 'statement')}: line ${slowest.line}, ${time(slowest.us)}`]
          : []),
        ...locks(injection),
        ...(injection.heldUp.length > 0 ? [`It held up ${waits(injection.heldUp)}`] : []),
        ...(injection.waitedFor.length > 0 ? [`It waited for ${waits(injection.waitedFor)}`] : []),
        ...latency(injection),
      ].map((text) => h('li', null, captured(text))),
    ),
  )
}

/** In a short replay a second is much. */
function beginning(ms: number): string {
  return ms < SHORT_MS ? `${milliseconds(ms)} into the replay` : `at ${clock(ms)}`
}

function locks({ locks: all }: Injection): string[] {
  const shown = all
    .slice(0, SHOWN_MAX)
    .map(({ relation, mode, seenUs }) => `${mode} on ${relation} for ${time(seenUs)}`)
  if (shown.length === 0) return []
  const more = all.length > SHOWN_MAX ? `, and ${all.length - SHOWN_MAX} more` : ''
  return [`It held ${shown.join(', ')}${more}`]
}

function waits(all: readonly InjectionWait[]): string {
  const total = all.reduce((sum, { totalUs }) => sum + totalUs, 0)
  const longest = all.reduce((most, one) => (one.longestUs > most.longestUs ? one : most))
  const who = longest.session === null ? 'somebody outside the replay' : `session ${longest.session}`
  return `${counted(all.length, 'session')}, ${time(total)} in all, the longest ${time(longest.longestUs)} (${who})`
}

function latency({ latency: around }: Injection): string[] {
  if (around === null) return []
  const p95 = ({ statements, p95Us }: LatencyStretch) => (statements === 0 ? 'nothing ran' : time(p95Us))
  const { before, during, after } = around
  return [
    `95th percentile of the replay’s statements: ${p95(before)} before, ${p95(during)} while, ${p95(after)} after`,
  ]
}

function lineOf(line: number | null): string {
  return line === null ? '' : ` (line ${line})`
}

function time(us: number): string {
  return milliseconds(us / 1000)
}
