/**
 * The replay second by second: what was asked, how long it took, what failed, how late it was sent; both runs.
 */
import type { TimelinePoint } from '../../segment/diff.js'
import { clock, count, milliseconds } from '../format.js'
import type { ReportModel } from '../model.js'
import { bothSizes, type Series, timelineChart } from './charts.js'
import { type Child, type Element, h } from './html.js'
import { injections, type Mark, marksOf } from './injections.js'
import { legend } from './latency.js'
import { everySecond } from './locks.js'

const POINTS_MAX = 240
const TABLE_ROWS_MAX = 30

type Measure = {
  readonly title: string
  readonly of: (point: TimelinePoint) => number
  readonly format: (value: number) => string
  readonly tick: (value: number) => string
}

const MEASURES: readonly Measure[] = [
  { title: 'Statements per second', of: (point) => point.statements, format: perSecond, tick: count },
  { title: 'Median service time', of: (point) => point.p50Ms, format: milliseconds, tick: tickMs },
  { title: '95th percentile of service time', of: (point) => point.p95Ms, format: milliseconds, tick: tickMs },
  { title: 'Errors per second', of: (point) => point.errors, format: perSecond, tick: count },
  { title: 'Lateness of sending', of: (point) => point.latenessMs, format: milliseconds, tick: tickMs },
]

export function timelineSection(model: ReportModel): Element {
  const before = rebased(model.timeline.before)
  const after = rebased(model.timeline.after)
  const marks = shifted(model)
  const untilMs = Math.max(before.at(-1)?.atMs ?? 0, after.at(-1)?.atMs ?? 0)
  return h(
    'section',
    { id: 'timeline', 'aria-labelledby': 'timeline-title' },
    h('h2', { id: 'timeline-title' }, 'Timeline'),
    untilMs === 0
      ? h('p', { class: 'lead' }, 'The replay was too short for a course over time.')
      : [
          h('p', { class: 'lead' }, 'Both replays on one clock.', legend()),
          h(
            'div',
            { class: 'charts' },
            MEASURES.map((measure) => figure(measure, before, after, untilMs, marks)),
            locksFigure(model, untilMs, marks),
          ),
          table(before, after, untilMs),
        ],
    injections(model),
  )
}

function figure(
  measure: Measure,
  before: readonly TimelinePoint[],
  after: readonly TimelinePoint[],
  untilMs: number,
  marks: readonly Mark[],
): Element {
  const quiet = [...before, ...after].every((point) => measure.of(point) === 0)
  const series: Series[] = [
    { side: 'before', points: thinned(before, measure) },
    { side: 'after', points: thinned(after, measure) },
  ]
  return h(
    'figure',
    null,
    h('figcaption', null, measure.title),
    quiet
      ? h('p', { class: 'quiet' }, 'Zero throughout, on both sides.')
      : bothSizes(1072, (width, size) =>
          timelineChart(series, words(measure, before, after), measure.tick, untilMs, width, size, marks),
        ),
  )
}

/** Sampled from beside the replay, so it has points of its own; absent where nobody looked. */
function locksFigure(model: ReportModel, untilMs: number, marks: readonly Mark[]): Child {
  const runs = [model.before, model.after]
  if (runs.every(({ conditions }) => conditions?.locks === undefined)) return null
  const sides = runs.map(({ label, conditions }) => ({ label, points: everySecond(conditions?.locks, untilMs) }))
  const title = 'Sessions waiting for a lock'
  const said = sides.map(({ label, points }) => {
    const most = points.reduce((max, { waiting }) => Math.max(max, waiting), 0)
    return points.length === 0 ? `${label} not sampled.` : `${label} ${count(most)} at most.`
  })
  const series = sides.map(({ points }, i): Series => {
    const size = Math.max(1, Math.ceil(points.length / POINTS_MAX))
    // The most of neighbours, not their mean: a short queue is what one looks for.
    const most = groups(points, size).map((group) => Math.max(...group.map(({ waiting }) => waiting)))
    return {
      side: i === 0 ? 'before' : 'after',
      points: most.map((value, at) => ({ atMs: at * size * 1000, value })),
    }
  })
  const quiet = sides.every(({ points }) => points.every(({ waiting }) => waiting === 0))
  return h(
    'figure',
    { id: 'locks-over-time' },
    h('figcaption', null, title),
    quiet
      ? h('p', { class: 'quiet' }, 'Nobody was seen to wait, on either side.')
      : bothSizes(1072, (width, size) =>
          timelineChart(series, `${title}. ${said.join(' ')}`, count, untilMs, width, size, marks),
        ),
  )
}

function words(measure: Measure, before: readonly TimelinePoint[], after: readonly TimelinePoint[]): string {
  const side = (label: string, points: readonly TimelinePoint[]) => {
    const values = points.map(measure.of)
    const mean = values.reduce((sum, one) => sum + one, 0) / Math.max(1, values.length)
    const most = values.reduce((max, one) => Math.max(max, one), 0)
    return `${label} ${measure.format(mean)} on average, ${measure.format(most)} at most.`
  }
  return `${measure.title}. ${side('V1', before)} ${side('V2', after)}`
}

/** On the clock of their own run's points. */
function shifted(model: ReportModel): Mark[] {
  const first = { before: model.timeline.before[0]?.atMs ?? 0, after: model.timeline.after[0]?.atMs ?? 0 }
  return marksOf(model).map((mark) => ({
    ...mark,
    atMs: Math.max(0, mark.atMs - first[mark.side]),
    untilMs: Math.max(0, mark.untilMs - first[mark.side]),
  }))
}

/** On a clock that begins with the replay. */
function rebased(points: readonly TimelinePoint[]): TimelinePoint[] {
  const first = points[0]?.atMs ?? 0
  return points.map((point) => ({ ...point, atMs: point.atMs - first }))
}

/** Neighbours become their mean when there are more points than pixels. */
function thinned(points: readonly TimelinePoint[], measure: Measure): Series['points'] {
  const size = Math.max(1, Math.ceil(points.length / POINTS_MAX))
  return groups(points, size).map((group) => ({
    atMs: group[0]?.atMs ?? 0,
    value: group.reduce((sum, point) => sum + measure.of(point), 0) / group.length,
  }))
}

function groups<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}

function table(before: readonly TimelinePoint[], after: readonly TimelinePoint[], untilMs: number): Element {
  const stepMs = Math.max(1000, Math.ceil(untilMs / TABLE_ROWS_MAX / 1000) * 1000)
  const rows = Array.from({ length: Math.floor(untilMs / stepMs) + 1 }, (_, i) => i * stepMs)
  const within = (points: readonly TimelinePoint[], fromMs: number) =>
    points.filter((point) => point.atMs >= fromMs && point.atMs < fromMs + stepMs)
  const cell = (points: readonly TimelinePoint[], measure: Measure) => {
    const mean = points.reduce((sum, point) => sum + measure.of(point), 0) / Math.max(1, points.length)
    return h('td', { class: 'number' }, points.length === 0 ? '—' : measure.format(mean))
  }
  const heads: Child = MEASURES.map((measure) => [
    h('th', { scope: 'col', class: 'number' }, `${measure.title}, V1`),
    h('th', { scope: 'col', class: 'number' }, 'V2'),
  ])
  return h(
    'details',
    { class: 'as-table' },
    h('summary', null, 'The same as a table'),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Timeline as a table' },
      h(
        'table',
        null,
        h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'From'), heads)),
        h(
          'tbody',
          null,
          rows.map((fromMs) =>
            h(
              'tr',
              null,
              h('th', { scope: 'row', class: 'number' }, clock(fromMs)),
              MEASURES.map((measure) => [cell(within(before, fromMs), measure), cell(within(after, fromMs), measure)]),
            ),
          ),
        ),
      ),
    ),
  )
}

/** Ticks are round numbers: no digits that say nothing. */
function tickMs(ms: number): string {
  if (ms === 0) return '0'
  return ms >= 1000 ? `${Number((ms / 1000).toPrecision(3))} s` : `${Number(ms.toPrecision(3))} ms`
}

function perSecond(value: number): string {
  return value === 0 || value >= 10 ? count(value) : value.toFixed(1)
}
