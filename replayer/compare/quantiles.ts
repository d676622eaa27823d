/**
 * Quantiles with their uncertainty, from two HDR histograms.
 *
 * The interval of a quantile comes from the ranks around it (the number of values below a quantile is binomial), so it assumes
 * nothing about the distribution. Two of them make the interval of a ratio: their half-widths on a logarithmic scale add up in
 * squares. A bootstrap of the histograms gives the same within a percent, at a thousand times the cost.
 */
import type { Histogram } from 'hdr-histogram-js'
import type { Percentiles } from '../../segment/diff.js'

export type Ratio = { readonly ratio: number; readonly low: number; readonly high: number }

export const Z_95 = 1.959964

/** Two-sided, for so many comparisons at once (Bonferroni), by the tail of the normal distribution. */
export function zForComparisons(comparisons: number): number {
  const tail = 0.025 / Math.max(1, comparisons)
  // Abramowitz and Stegun 26.2.23: error below 4.5e-4
  const t = Math.sqrt(-2 * Math.log(tail))
  return t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3)
}

export function ratioOfQuantiles(before: Histogram, after: Histogram, quantile: number, z: number): Ratio {
  const a = interval(before, quantile, z)
  const b = interval(after, quantile, z)
  const ratio = b.value / a.value
  const low = Math.hypot(Math.log(b.value / b.low), Math.log(a.high / a.value))
  const high = Math.hypot(Math.log(b.high / b.value), Math.log(a.value / a.low))
  return { ratio, low: ratio * Math.exp(-low), high: ratio * Math.exp(high) }
}

function interval(histogram: Histogram, quantile: number, z: number) {
  const half = z * Math.sqrt((quantile * (1 - quantile)) / histogram.totalCount)
  const at = (q: number) => Math.max(1, histogram.getValueAtPercentile(Math.min(1, Math.max(0, q)) * 100))
  return { value: at(quantile), low: at(quantile - half), high: at(quantile + half) }
}

/** The histograms count microseconds. */
export function percentilesMs(histogram: Histogram): Percentiles {
  const at = (percentile: number) =>
    histogram.totalCount === 0 ? 0 : histogram.getValueAtPercentile(percentile) / 1000
  return {
    p50: at(50),
    p90: at(90),
    p95: at(95),
    p99: at(99),
    max: histogram.totalCount === 0 ? 0 : histogram.maxValue / 1000,
  }
}
