/**
 * Quantiles and their uncertainty, from HDR histograms.
 *
 * Each statement runs in both replays, so its two times are a pair, and the ratio of a pair does not care that one statement
 * reads ten rows and the next ten thousand. The interval of the median of such ratios comes from their ranks (how many lie
 * above the median is binomial: the sign test), so it assumes nothing about the distribution. Against the interval of two
 * separate medians it needs a fifth of the executions to see the same regression.
 */
import type { Histogram } from 'hdr-histogram-js'
import type { Percentiles } from '../../segment/diff.js'

export type Interval = { readonly median: number; readonly low: number; readonly high: number }

export const Z_95 = 1.959964

/** One comparison of equal runs in a thousand may speak of a regression that is none. */
const FALSE_ALARMS = 0.001

/** Two-sided, for so many kinds of statement at once (Bonferroni), by the tail of the normal distribution. */
export function zForComparisons(comparisons: number): number {
  const tail = FALSE_ALARMS / 2 / Math.max(1, comparisons)
  // Abramowitz and Stegun 26.2.23: error below 4.5e-4
  const t = Math.sqrt(-2 * Math.log(tail))
  return t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3)
}

/** Too few values for the confidence wanted give an interval from the smallest to the largest. */
export function medianInterval(histogram: Histogram, z: number): Interval {
  const half = z / (2 * Math.sqrt(histogram.totalCount))
  const at = (share: number) => histogram.getValueAtPercentile(Math.min(1, Math.max(0, share)) * 100)
  return { median: at(0.5), low: half >= 0.5 ? histogram.minNonZeroValue : at(0.5 - half), high: at(0.5 + half) }
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
