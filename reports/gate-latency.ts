/**
 * The gate's lines about latency: all statements together, every query shape by itself, and the time of all executions.
 *
 * A ratio fails when the low end of its 95 % interval is above the limit: one slow execution is not a regression.
 */
import { counted, milliseconds, ratio } from './format.js'
import type { ActiveOverrides, GateFacts, GateLine } from './gate.js'
import type { GateConfig } from './gate-config.js'
import type { Quantile, QuantileMeasure, QueryLatency } from './latency.js'

const QUANTILES: readonly Quantile[] = ['p50', 'p95', 'p99']

export function judgeLatency(facts: GateFacts, config: GateConfig, overrides: ActiveOverrides): GateLine[] {
  const lines: GateLine[] = []
  for (const quantile of QUANTILES) {
    const limit = config.latency.overall[quantile]
    if (limit !== undefined) lines.push(overallLine(quantile, limit, facts.overall, config.latency))
  }
  lines.push(weightedLine(facts.overall, config.latency.weighted, config.latency.executionsMin))
  for (const quantile of QUANTILES) {
    const limit = config.latency.perQuery[quantile]
    const overridden = config.overrides.some((one) => one.latency[quantile] !== undefined)
    if (limit !== undefined || overridden) {
      lines.push(queriesLine(quantile, limit ?? Number.POSITIVE_INFINITY, facts.queries, config, overrides))
    }
  }
  return lines
}

function overallLine(
  quantile: Quantile,
  threshold: number,
  overall: QueryLatency | null,
  { executionsMin, differenceMsMin }: GateConfig['latency'],
): GateLine {
  const base = {
    ...ratioLine(`latency.overall.${quantile}`, `All statements, ${quantile}`, threshold),
    actual: overall?.[quantile].ratio ?? null,
    interval: overall ? intervalOf(overall[quantile]) : null,
  }
  if (!overall) return { ...base, outcome: 'not judged', explanation: 'Latency was not measured.' }
  if (overall.count < executionsMin)
    return { ...base, outcome: 'not judged', explanation: tooFew(overall, executionsMin) }
  const measure = overall[quantile]
  return {
    ...base,
    outcome: clearlyAbove(measure, threshold, differenceMsMin) ? 'fail' : 'pass',
    explanation: reading(measure, threshold, differenceMsMin),
  }
}

function weightedLine(overall: QueryLatency | null, threshold: number, executionsMin: number): GateLine {
  const base = ratioLine('latency.weighted', 'Time of all statements together', threshold)
  if (!overall || overall.totalMs.before <= 0) {
    return { ...base, outcome: 'not judged', explanation: 'Latency was not measured.' }
  }
  const actual = overall.totalMs.after / overall.totalMs.before
  if (overall.count < executionsMin) {
    return { ...base, actual, outcome: 'not judged', explanation: tooFew(overall, executionsMin) }
  }
  return {
    ...base,
    actual,
    outcome: actual > threshold ? 'fail' : 'pass',
    explanation: `The same traffic costs the server ${ratio(actual)} the time, at most ${ratio(threshold)} allowed.`,
  }
}

type JudgedQuery = { readonly query: QueryLatency; readonly limit: number }

function queriesLine(
  quantile: Quantile,
  limit: number,
  queries: readonly QueryLatency[],
  config: GateConfig,
  overrides: ActiveOverrides,
): GateLine {
  const judged: JudgedQuery[] = queries
    .filter((query) => query.count >= config.latency.executionsMin && query.verdict !== 'too few')
    .map((query) => {
      const override = overrides.find(query.fingerprint)
      const own = override?.latency[quantile]
      if (override && own !== undefined) overrides.use(override)
      return { query, limit: own ?? limit }
    })
  const excess = (one: JudgedQuery) => one.query[quantile].low / one.limit
  const failing = judged
    .filter((one) => clearlyAbove(one.query[quantile], one.limit, config.latency.differenceMsMin))
    .sort((a, b) => excess(b) - excess(a))
  const worst = failing[0] ?? [...judged].sort((a, b) => b.query[quantile].ratio - a.query[quantile].ratio)[0]
  const base = ratioLine(`latency.per_query.${quantile}`, `Each query shape, ${quantile}`, worst?.limit ?? limit)
  if (!worst) {
    const why = `No query shape ran at least ${config.latency.executionsMin} times.`
    return { ...base, outcome: 'not judged', explanation: why }
  }
  const leftOut = queries.length - judged.length
  return {
    ...base,
    actual: worst.query[quantile].ratio,
    interval: intervalOf(worst.query[quantile]),
    outcome: failing.length > 0 ? 'fail' : 'pass',
    explanation: [
      failing.length > 0
        ? `${failing.length} of ${counted(judged.length, 'query shape')} clearly above the limit; the worst is shown.`
        : `None of ${counted(judged.length, 'query shape')} is clearly above the limit; the highest is shown.`,
      ...(leftOut > 0 ? [`${leftOut} with too few executions not judged.`] : []),
    ].join(' '),
    fingerprints: failing.map((one) => one.query.fingerprint),
  }
}

function ratioLine(id: string, title: string, threshold: number): GateLine {
  return {
    id,
    group: 'latency',
    title,
    unit: 'ratio',
    bound: 'max',
    threshold,
    actual: null,
    interval: null,
    outcome: 'pass',
    explanation: '',
    findingIds: [],
    fingerprints: [],
  }
}

function clearlyAbove(measure: QuantileMeasure, threshold: number, differenceMsMin: number): boolean {
  return measure.low > threshold && measure.afterMs - measure.beforeMs >= differenceMsMin
}

function intervalOf(measure: QuantileMeasure): readonly [number, number] | null {
  return measure.low === measure.high ? null : [measure.low, measure.high]
}

function reading(measure: QuantileMeasure, threshold: number, differenceMsMin: number): string {
  const interval = `95% interval ${ratio(measure.low)} to ${ratio(measure.high)}`
  const clear = clearlyAbove(measure, threshold, differenceMsMin)
  if (measure.ratio > threshold && !clear) {
    return measure.low > threshold
      ? `Above the limit, but by less than ${milliseconds(differenceMsMin)}.`
      : `Above the limit, but not clearly (${interval}).`
  }
  return `V2 takes ${ratio(measure.ratio)} as long as V1 (${interval}).`
}

function tooFew(query: QueryLatency, executionsMin: number): string {
  return `${counted(query.count, 'execution')}; fewer than ${executionsMin} are not judged.`
}
