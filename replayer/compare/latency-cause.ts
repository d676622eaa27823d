/**
 * A regression in a sentence.
 */
import type { LatencyRow } from '../../segment/diff.js'
import { type Cause, sameOrNothing } from './causes/cause.js'

export function latencyCause(row: LatencyRow): Cause {
  const words = `${times(row.ratio)} slower: median ${ms(row.afterMs.p50)} instead of ${ms(row.beforeMs.p50)}`
  return {
    explainer: 'latency',
    subject: row.fingerprint,
    detail: '',
    columns: [],
    sentence: () => words,
    merge: sameOrNothing,
  }
}

function times(ratio: number): string {
  return `${ratio >= 10 ? Math.round(ratio) : Math.round(ratio * 10) / 10} times`
}

export function ms(value: number): string {
  return `${value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`
}
