/**
 * Charts as SVG, drawn when the report is made: nothing has to run to read them. Colours come from classes, so both
 * themes and print agree. Every chart says in words what it shows.
 */
import { scaleLinear, scaleLog } from 'd3-scale'
import { area, curveStep, line } from 'd3-shape'
import { clock, milliseconds } from '../format.js'
import type { Distribution, QuantileMeasure } from '../latency.js'
import { type Child, type Element, h } from './html.js'
import type { Mark } from './injections.js'

/** Text in an SVG scales with it, so each size is drawn for itself and the page shows the one that fits. */
const NARROW = 340
type Size = 'wide' | 'narrow'

export function bothSizes(wide: number, draw: (width: number, size: Size) => Element): Element[] {
  return [draw(wide, 'wide'), draw(NARROW, 'narrow')]
}

function svg(width: number, height: number, name: string, classes: string, ...children: Child[]): Element {
  return h(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, width, height, class: `chart ${classes}`, role: 'img', 'aria-label': name },
    children,
  )
}

function fixed(value: number): number {
  return Math.round(value * 10) / 10
}

/** Bars for a finding's course over the replay. */
export function sparkline(counts: readonly number[], name: string): Element {
  const width = 120
  const height = 28
  const most = Math.max(1, ...counts)
  const step = width / Math.max(1, counts.length)
  const bars = counts.flatMap((value, i) => {
    if (value === 0) return []
    const tall = Math.max(2, (value / most) * (height - 2))
    return [
      h('rect', {
        x: fixed(i * step),
        y: fixed(height - 1 - tall),
        width: fixed(Math.max(1, step - 0.6)),
        height: fixed(tall),
        class: 'bar',
      }),
    ]
  })
  const ground = h('line', { x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5, class: 'axis' })
  return svg(width, height, name, 'spark', ground, bars)
}

/** A ratio with its interval on a logarithmic ruler from a quarter to four times; the middle line is 1×. */
export function intervalMark(measure: QuantileMeasure, verdict: string): Element {
  const width = 96
  const height = 18
  const x = scaleLog()
    .domain([0.25, 4])
    .range([4, width - 4])
    .clamp(true)
  const middle = height / 2
  return h(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, width, height, class: 'interval', 'aria-hidden': 'true' },
    h('line', { x1: x(1), x2: x(1), y1: 0, y2: height, class: 'one' }),
    h('line', {
      x1: fixed(x(measure.low)),
      x2: fixed(x(measure.high)),
      y1: middle,
      y2: middle,
      class: `span ${verdict}`,
    }),
    h('circle', { cx: fixed(x(measure.ratio)), cy: middle, r: 3.2, class: `dot ${verdict}` }),
  )
}

const LABEL_WIDTH = 100

/** Two distributions over one logarithmic axis. Heights are shares, so runs of unequal size compare. */
export function distributionChart(
  data: Distribution,
  p95: QuantileMeasure,
  name: string,
  width: number,
  size: Size,
): Element {
  const height = 190
  const edge = { top: 30, right: 8, bottom: 24, left: 8 }
  const first = data.edgesMs[0] ?? 0.001
  const last = data.edgesMs.at(-1) ?? 1
  const x = scaleLog()
    .domain([first, last])
    .range([edge.left, width - edge.right])
  const share = (counts: readonly number[]) => {
    const all = counts.reduce((sum, one) => sum + one, 0) || 1
    return counts.map((one) => one / all)
  }
  const before = share(data.before)
  const after = share(data.after)
  const y = scaleLinear()
    .domain([0, Math.max(...before, ...after)])
    .range([height - edge.bottom, edge.top])
  const centre = (i: number) => x(Math.sqrt((data.edgesMs[i] ?? first) * (data.edgesMs[i + 1] ?? last)))
  const shape = area<number>()
    .x((_, i) => fixed(centre(i)))
    .y0(y(0))
    .y1((d) => fixed(y(d)))
    .curve(curveStep)
  const outline = line<number>()
    .x((_, i) => fixed(centre(i)))
    .y((d) => fixed(y(d)))
    .curve(curveStep)
  // The labels lean away from each other, so they stay apart also where the two values are close.
  const marker = (ms: number, side: 'before' | 'after', leansLeft: boolean, row: number) => {
    const at = fixed(x(Math.min(last, Math.max(first, ms))))
    const left = leansLeft ? at > LABEL_WIDTH : at > width - LABEL_WIDTH
    return [
      h('line', { x1: at, x2: at, y1: 4 + row * 13, y2: y(0), class: `marker ${side}` }),
      h(
        'text',
        {
          x: left ? at - 5 : at + 5,
          y: 12 + row * 13,
          class: `label ${side}`,
          'text-anchor': left ? 'end' : 'start',
        },
        `${side === 'before' ? 'V1' : 'V2'} p95 ${milliseconds(ms)}`,
      ),
    ]
  }
  const slower = p95.afterMs >= p95.beforeMs
  return svg(
    width,
    height,
    name,
    size,
    logTicks(first, last, width < 400 ? 4 : 8).map((tick) => [
      h('line', { x1: fixed(x(tick)), x2: fixed(x(tick)), y1: edge.top, y2: y(0), class: 'grid' }),
      h('text', { x: fixed(x(tick)), y: height - 8, class: 'tick', 'text-anchor': 'middle' }, tickLabel(tick)),
    ]),
    h('path', { d: shape(before) ?? '', class: 'fill before' }),
    h('path', { d: shape(after) ?? '', class: 'fill after' }),
    h('path', { d: outline(before) ?? '', class: 'stroke before' }),
    h('path', { d: outline(after) ?? '', class: 'stroke after' }),
    h('line', { x1: edge.left, x2: width - edge.right, y1: y(0), y2: y(0), class: 'axis' }),
    marker(p95.beforeMs, 'before', slower, 0),
    marker(p95.afterMs, 'after', !slower, 1),
  )
}

/** 1, 2 and 5 of each decade, thinned until they fit; labels keep clear of both ends. */
function logTicks(first: number, last: number, max: number): number[] {
  const all: number[] = []
  for (let decade = 10 ** Math.floor(Math.log10(first)); decade <= last; decade *= 10) {
    all.push(...[1, 2, 5].map((digit) => digit * decade))
  }
  const inside = all.filter((tick) => tick > first * 1.12 && tick < last / 1.12)
  if (inside.length <= max) return inside
  const tens = inside.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9)
  return tens.length > 1 ? tens : inside.filter((_, i) => i % Math.ceil(inside.length / max) === 0)
}

function tickLabel(ms: number): string {
  const tidy = (value: number) => String(Number(value.toPrecision(2)))
  if (ms < 1) return `${tidy(ms * 1000)} µs`
  return ms < 1000 ? `${tidy(ms)} ms` : `${tidy(ms / 1000)} s`
}

export type Series = {
  readonly side: 'before' | 'after'
  readonly points: readonly { readonly atMs: number; readonly value: number }[]
}

/** One measure over the replay, both runs. */
export function timelineChart(
  series: readonly Series[],
  name: string,
  format: (value: number) => string,
  untilMs: number,
  width: number,
  size: Size,
  marks: readonly Mark[] = [],
): Element {
  const height = 120
  const edge = { top: 8, right: 8, bottom: 22, left: 54 }
  const most = Math.max(...series.flatMap((one) => one.points.map((point) => point.value)), 0)
  const x = scaleLinear()
    .domain([0, Math.max(1, untilMs)])
    .range([edge.left, width - edge.right])
  const y = scaleLinear()
    .domain([0, most || 1])
    .nice(3)
    .range([height - edge.bottom, edge.top])
  const path = line<{ readonly atMs: number; readonly value: number }>()
    .x((point) => fixed(x(point.atMs)))
    .y((point) => fixed(y(point.value)))
  return svg(
    width,
    height,
    name,
    size,
    y.ticks(3).map((tick) => [
      h('line', {
        x1: edge.left,
        x2: width - edge.right,
        y1: fixed(y(tick)),
        y2: fixed(y(tick)),
        class: tick === 0 ? 'axis' : 'grid',
      }),
      h('text', { x: edge.left - 8, y: fixed(y(tick) + 4), class: 'tick', 'text-anchor': 'end' }, format(tick)),
    ]),
    timeTicks(untilMs, width < 400 ? 3 : 6).map((tick) =>
      h(
        'text',
        { x: fixed(x(tick)), y: height - 6, class: 'tick', 'text-anchor': tick === 0 ? 'start' : 'middle' },
        clock(tick),
      ),
    ),
    marks.map(({ side, atMs, untilMs: endMs, label }) => {
      const from = fixed(x(atMs))
      return [
        h('rect', {
          x: from,
          y: edge.top,
          width: fixed(Math.max(1.5, x(endMs) - x(atMs))),
          height: fixed(y(0) - edge.top),
          class: `moment ${side}`,
        }),
        h('text', { x: from + 4, y: edge.top + 8, class: `label ${side}` }, label),
      ]
    }),
    series.map((one) => h('path', { d: path(one.points) ?? '', class: `stroke ${one.side}` })),
  )
}

const TIME_STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200].map((s) => s * 1000)

function timeTicks(untilMs: number, max: number): number[] {
  const step = TIME_STEPS_MS.find((one) => untilMs / one <= max) ?? 86_400_000
  return Array.from({ length: Math.floor((untilMs * 0.98) / step) + 1 }, (_, i) => i * step)
}
