/**
 * Latency of one query shape, before and after: percentiles with their ratio and its interval, and the two distributions
 * on shared logarithmic bins. Pure arithmetic on the diff's histograms.
 *
 * The median's interval comes with the diff (the comparer measured it over rounds). For the tails it is computed here:
 * order statistics bound each percentile, and the bounds are combined on the logarithm (MOVER), which is tighter than
 * dividing the extremes.
 */
import { decodeFromCompressedBase64, JsHistogram } from 'hdr-histogram-js'
import type { LatencyRow } from '../segment/diff.js'

export type QuantileMeasure = {
  readonly beforeMs: number
  readonly afterMs: number
  readonly ratio: number
  /** 95 % interval of the ratio; equal to the ratio where it is not known. */
  readonly low: number
  readonly high: number
}

export type Quantile = 'p50' | 'p95' | 'p99'

/** Counts per bin; bin i spans edgesMs[i] to edgesMs[i + 1]. */
export type Distribution = {
  readonly edgesMs: readonly number[]
  readonly before: readonly number[]
  readonly after: readonly number[]
}

export type QueryLatency = {
  /** Empty: all statements together. */
  readonly fingerprint: string
  readonly sql: string
  /** What V2 was asked in its place; absent: the same. */
  readonly sqlAfter?: string
  readonly count: number
  readonly p50: QuantileMeasure
  readonly p95: QuantileMeasure
  readonly p99: QuantileMeasure
  readonly p90Ms: { readonly before: number; readonly after: number }
  readonly maxMs: { readonly before: number; readonly after: number }
  /** All executions together: what the shape costs the server. */
  readonly totalMs: { readonly before: number; readonly after: number }
  /** Service time that V2 adds (negative: saves) in each second of production's traffic; null: a diff of an older build. */
  readonly impactMsPerSecond: number | null
  readonly verdict: LatencyRow['verdict']
  readonly distribution: Distribution | null
}

const BINS = 44
const Z95 = 1.96

export function measureLatency(row: LatencyRow): QueryLatency {
  const before = decode(row.beforeHistogram)
  const after = decode(row.afterHistogram)
  const tail = (quantile: 'p95' | 'p99') =>
    quantileMeasure(row.beforeMs[quantile], row.afterMs[quantile], Number(quantile.slice(1)), before, after)
  return {
    fingerprint: row.fingerprint,
    sql: row.sql,
    ...(row.sqlAfter === undefined ? {} : { sqlAfter: row.sqlAfter }),
    count: row.count,
    p50: {
      beforeMs: row.beforeMs.p50,
      afterMs: row.afterMs.p50,
      ratio: row.ratio,
      low: row.ratioLow,
      high: row.ratioHigh,
    },
    p95: tail('p95'),
    p99: tail('p99'),
    p90Ms: { before: row.beforeMs.p90, after: row.afterMs.p90 },
    maxMs: { before: row.beforeMs.max, after: row.afterMs.max },
    totalMs: { before: totalMs(before, row, 'beforeMs'), after: totalMs(after, row, 'afterMs') },
    impactMsPerSecond: row.impactMsPerSecond ?? null,
    verdict: row.verdict,
    distribution: before && after ? distribution(before, after) : null,
  }
}

function quantileMeasure(
  beforeMs: number,
  afterMs: number,
  percentile: number,
  before: JsHistogram | null,
  after: JsHistogram | null,
): QuantileMeasure {
  const ratio = Math.max(afterMs, 0.001) / Math.max(beforeMs, 0.001)
  if (!before || !after) return { beforeMs, afterMs, ratio, low: ratio, high: ratio }
  const b = logBounds(before, percentile)
  const a = logBounds(after, percentile)
  const down = Math.hypot(a.value - a.low, b.high - b.value)
  const up = Math.hypot(a.high - a.value, b.value - b.low)
  return { beforeMs, afterMs, ratio, low: ratio * Math.exp(-down), high: ratio * Math.exp(up) }
}

/** Where a percentile lies with 95 % confidence: the ranks around it follow a binomial distribution. */
function logBounds(
  histogram: JsHistogram,
  percentile: number,
): { readonly value: number; readonly low: number; readonly high: number } {
  const n = histogram.totalCount
  const share = percentile / 100
  const spread = (Z95 * Math.sqrt(n * share * (1 - share))) / Math.max(n, 1)
  const at = (position: number) =>
    Math.log(Math.max(1, histogram.getValueAtPercentile(100 * Math.min(1, Math.max(0, position)))))
  return { value: at(share), low: at(share - spread), high: at(share + spread) }
}

/** null: a histogram of a measurement that was not made, or that cannot be read. */
function decode(base64: string): JsHistogram | null {
  if (base64 === '') return null
  try {
    const histogram = decodeFromCompressedBase64(base64)
    return histogram instanceof JsHistogram && histogram.totalCount > 0 ? histogram : null
  } catch {
    return null
  }
}

/** Without a histogram the median stands in for the mean. */
function totalMs(histogram: JsHistogram | null, row: LatencyRow, side: 'beforeMs' | 'afterMs'): number {
  return histogram ? (histogram.mean * histogram.totalCount) / 1000 : row[side].p50 * row.count
}

/** Bins reach to the slower 99.9th percentile; what lies beyond is counted in the last one. */
function distribution(before: JsHistogram, after: JsHistogram): Distribution {
  const lowUs = Math.max(1, Math.min(before.getValueAtPercentile(0.1), after.getValueAtPercentile(0.1)))
  const highUs = Math.max(lowUs * 2, before.getValueAtPercentile(99.9), after.getValueAtPercentile(99.9))
  const step = Math.log(highUs / lowUs) / BINS
  const edgesMs = Array.from({ length: BINS + 1 }, (_, i) => (lowUs * Math.exp(step * i)) / 1000)
  const bin = (valueUs: number) =>
    Math.min(BINS - 1, Math.max(0, Math.floor(Math.log(Math.max(valueUs, 1) / lowUs) / step)))
  return { edgesMs, before: binned(before, bin), after: binned(after, bin) }
}

function binned(histogram: JsHistogram, bin: (valueUs: number) => number): number[] {
  const counts = new Array<number>(BINS).fill(0)
  let left = histogram.totalCount
  for (let i = 0; i < histogram.countsArrayLength && left > 0; i += 1) {
    const found = histogram.getCountAtIndex(i)
    if (found === 0) continue
    left -= found
    const at = bin(histogram.medianEquivalentValue(histogram.valueFromIndex(i)))
    counts[at] = (counts[at] ?? 0) + found
  }
  return counts
}
