/**
 * Latency: all statements together, then every query shape in a table that sorts and searches.
 */
import { count, counted, impact, milliseconds, ratio } from '../format.js'
import type { QuantileMeasure, QueryLatency } from '../latency.js'
import type { ReportModel } from '../model.js'
import { captured, sqlBlocks, sqlLine } from './captured.js'
import { bothSizes, distributionChart, intervalMark } from './charts.js'
import { anchor, type Child, type Element, h } from './html.js'
import { planDetail, slowerBlock } from './plans.js'

/** Rows written into the page; further ones are unpacked when asked for. */
export const ROWS_SHOWN_MAX = 100

export function latencySection(model: ReportModel): Element {
  const { overall, queries } = model.latency
  return h(
    'section',
    { id: 'latency', 'aria-labelledby': 'latency-title' },
    h('h2', { id: 'latency-title' }, 'Latency'),
    overall ? overallBlock(overall, model) : h('p', { class: 'lead' }, 'Latency was not measured.'),
    slowerBlock(model),
    queries.length > 0 ? queriesBlock(queries, model) : null,
  )
}

function overallBlock(overall: QueryLatency, model: ReportModel): Child {
  const words = costWords(overall, model)
  return [
    h('p', { class: 'lead' }, words),
    h(
      'div',
      { class: 'overall' },
      h('figure', null, h('figcaption', null, 'All statements by service time', legend()), chart(overall)),
      h('div', null, percentileTable(overall, 'All statements'), h('p', { class: 'quiet aside' }, P50_WORDS)),
    ),
  ]
}

function chart(query: QueryLatency): Child {
  if (!query.distribution) return h('p', { class: 'quiet' }, 'No distribution was kept.')
  const data = query.distribution
  return bothSizes(640, (width, size) => distributionChart(data, query.p95, distributionWords(query), width, size))
}

export function legend(): Element {
  return h(
    'span',
    { class: 'legend' },
    h('span', { class: 'key before' }, 'V1'),
    h('span', { class: 'key after' }, 'V2'),
  )
}

function distributionWords(query: QueryLatency): string {
  return (
    `Distribution of service time. V1: half below ${milliseconds(query.p50.beforeMs)}, 95% below ${milliseconds(query.p95.beforeMs)}. ` +
    `V2: half below ${milliseconds(query.p50.afterMs)}, 95% below ${milliseconds(query.p95.afterMs)}.`
  )
}

function costWords(overall: QueryLatency, model: ReportModel): string {
  const seconds = secondsOfTraffic(model)
  const before = overall.totalMs.before / seconds
  const after = overall.totalMs.after / seconds
  return `A second of this traffic costs the server ${milliseconds(before)} on V1 and ${milliseconds(after)} on V2.`
}

const P50_WORDS =
  'V2 / V1 at p50 compares each statement with itself: the median of those ratios, not the ratio of the two medians.'

function percentileTable(query: QueryLatency, name: string): Element {
  // The interval is that of the measured ratio, so that ratio stands beside it.
  const row = (label: string, before: number, after: number, measure: QuantileMeasure | null) =>
    h(
      'tr',
      null,
      h('th', { scope: 'row' }, label),
      h('td', { class: 'number' }, milliseconds(before)),
      h('td', { class: 'number' }, milliseconds(after)),
      h('td', { class: 'number' }, ratio(measure ? measure.ratio : Math.max(after, 0.001) / Math.max(before, 0.001))),
      h('td', { class: 'number quiet' }, measure && measure.low !== measure.high ? interval(measure) : ''),
    )
  const quantile = (label: string, measure: QuantileMeasure) => row(label, measure.beforeMs, measure.afterMs, measure)
  return h(
    'table',
    { class: 'percentiles' },
    h('caption', { class: 'visually-hidden' }, `${name}: percentiles of service time`),
    h(
      'thead',
      null,
      h(
        'tr',
        null,
        h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Percentile')),
        h('th', { scope: 'col', class: 'number' }, 'V1'),
        h('th', { scope: 'col', class: 'number' }, 'V2'),
        h('th', { scope: 'col', class: 'number' }, 'V2 / V1'),
        h('th', { scope: 'col', class: 'number' }, '95% interval'),
      ),
    ),
    h(
      'tbody',
      null,
      quantile('p50', query.p50),
      row('p90', query.p90Ms.before, query.p90Ms.after, null),
      quantile('p95', query.p95),
      quantile('p99', query.p99),
      row('max', query.maxMs.before, query.maxMs.after, null),
    ),
  )
}

function interval(measure: QuantileMeasure): string {
  return `${measure.low.toFixed(2)} – ${measure.high.toFixed(2)}`
}

const COLUMNS = [
  { key: 'sql', title: 'Query shape', number: false },
  { key: 'runs', title: 'Runs', number: true },
  { key: 'p50', title: 'p50', number: true },
  { key: 'p95', title: 'p95', number: true },
  { key: 'ratio', title: 'p95 ratio', number: true },
  { key: 'cost', title: 'Cost', number: true },
] as const

function queriesBlock(queries: readonly QueryLatency[], model: ReportModel): Child {
  const shown = queries.slice(0, ROWS_SHOWN_MAX)
  return [
    h(
      'div',
      { class: 'table-head' },
      h('h3', { id: 'queries-title' }, 'Query shapes'),
      h(
        'label',
        { class: 'search' },
        h('span', null, 'Search'),
        h('input', {
          type: 'search',
          id: 'query-search',
          placeholder: 'table, column, fingerprint',
          autocomplete: 'off',
        }),
      ),
      h('p', { id: 'query-count', class: 'quiet', role: 'status' }, counted(queries.length, 'query shape')),
    ),
    h(
      'p',
      { class: 'quiet' },
      'Each pair of times is V1 above V2.',
      h(
        'span',
        { class: 'not-narrow' },
        ' Cost is what V2 adds to (or saves in) server time per second of traffic. The mark shows the ratio with its 95% interval on a scale from ¼ to 4; its middle line is 1×.',
      ),
    ),
    h(
      'table',
      { id: 'queries', class: 'queries', 'aria-labelledby': 'queries-title' },
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          COLUMNS.map((column) =>
            h(
              'th',
              {
                scope: 'col',
                class: `col-${column.key}${column.number ? ' number' : ''}`,
                'aria-sort': column.key === 'cost' ? 'descending' : 'none',
              },
              h('button', { type: 'button', 'data-sort': column.key }, column.title),
            ),
          ),
        ),
      ),
      h(
        'tbody',
        null,
        shown.map((query, i) => queryRow(query, i, model)),
      ),
    ),
    queries.length > shown.length
      ? h(
          'p',
          null,
          h(
            'button',
            { type: 'button', class: 'more', id: 'query-more' },
            `Show all ${count(queries.length)} query shapes`,
          ),
        )
      : null,
  ]
}

/** Added server time, in ms per second of traffic. A diff of an older build does not say; it is then made from what the diff says. */
function costMs({ impactMsPerSecond, totalMs }: QueryLatency, model: ReportModel): number {
  return impactMsPerSecond ?? (totalMs.after - totalMs.before) / secondsOfTraffic(model)
}

/** Production's own; an older diff knows only how long the replay took. */
function secondsOfTraffic({ productionMs, before }: ReportModel): number {
  return Math.max(0.001, (productionMs ?? before.elapsedMs) / 1000)
}

/** `i`: which part of the page's compressed query details belongs to the row. */
export function queryRow(query: QueryLatency, i: number, model: ReportModel): Element {
  const id = anchor('query', query.fingerprint || 'none')
  const cost = costMs(query, model)
  const judged = query.verdict === 'too few' ? 'few' : query.verdict
  return h(
    'tr',
    {
      id,
      class: judged,
      'data-detail': i,
      'data-sql': query.sql.slice(0, 400).toLowerCase().replace(/\s+/g, ' '),
      'data-runs': query.count,
      'data-p50': query.p50.afterMs,
      'data-p95': query.p95.afterMs,
      'data-ratio': query.p95.ratio,
      'data-cost': Math.abs(cost),
    },
    h(
      'th',
      { scope: 'row', class: 'col-sql' },
      h(
        'div',
        null,
        h(
          'button',
          {
            type: 'button',
            class: 'expand',
            'aria-expanded': 'false',
            'aria-label': `Details of query shape ${query.fingerprint.slice(0, 8)}`,
          },
          h('span', { class: 'chevron', 'aria-hidden': 'true' }),
        ),
        h('span', { class: 'query-text' }, sqlLine(query.sql), h('small', null, captured(query.fingerprint))),
      ),
    ),
    h('td', { class: 'number col-runs' }, count(query.count)),
    beforeAfter('col-p50', query.p50),
    beforeAfter('col-p95', query.p95),
    h(
      'td',
      { class: 'number col-ratio' },
      h('span', { class: 'ratio-text' }, verdictGlyph(query.verdict), ratio(query.p95.ratio)),
      intervalMark(query.p95, judged),
    ),
    h(
      'td',
      { class: 'number col-cost' },
      query.verdict === 'too few' ? h('span', { class: 'quiet' }, 'too few') : impact(cost),
    ),
  )
}

function beforeAfter(cls: string, measure: QuantileMeasure): Element {
  return h(
    'td',
    { class: `number ${cls}` },
    h('span', { class: 'was' }, h('span', { class: 'visually-hidden' }, 'V1 '), milliseconds(measure.beforeMs)),
    h('span', { class: 'is' }, h('span', { class: 'visually-hidden' }, 'V2 '), milliseconds(measure.afterMs)),
  )
}

function verdictGlyph(verdict: QueryLatency['verdict']): Child {
  if (verdict === 'slower') return h('span', { class: 'glyph', role: 'img', 'aria-label': 'slower' }, '▲')
  return verdict === 'faster' ? h('span', { class: 'glyph', role: 'img', 'aria-label': 'faster' }, '▼') : null
}

/** What a row opens to. */
export function queryDetail(query: QueryLatency, model: ReportModel): Element {
  const findings = model.findings.filter((finding) => finding.fingerprints.includes(query.fingerprint))
  return h(
    'div',
    { class: 'query-detail' },
    sqlBlocks(query),
    h(
      'div',
      { class: 'overall' },
      h('figure', null, h('figcaption', null, 'Service time', legend()), chart(query)),
      percentileTable(query, 'This query shape'),
    ),
    planDetail(query, model),
    findings.length > 0
      ? h(
          'p',
          null,
          'Findings: ',
          findings.map((finding, i) => [
            i > 0 ? '; ' : '',
            h('a', { href: `#${anchor('finding', finding.findingId)}` }, captured(finding.cause)),
          ]),
        )
      : h('p', { class: 'quiet' }, 'No findings for this query shape.'),
  )
}
