/**
 * A regression in a sentence. Without plans it can only ask the likely question: kinds of statement that look rows up by the same
 * columns, or write the same table, are slower for the same reason more often than not, so they are one finding.
 */
import type { LatencyRow } from '../../segment/diff.js'
import type { Cause } from './causes/cause.js'

/** What the statement does, as far as its text says. */
export type Access = {
  /** Columns that it compares with given values: `orders.customer_id`. */
  readonly soughtColumns: readonly string[]
  /** The table it writes; empty when it only reads. */
  readonly writtenTable: string
}

export function latencyCause(row: LatencyRow, { soughtColumns, writtenTable }: Access): Cause {
  const by = soughtColumns.join(', ')
  const subject = writtenTable !== '' ? `writing ${writtenTable}` : by !== '' ? `looking up by ${by}` : ''
  const question =
    writtenTable !== '' ? ' (a trigger, a constraint or an index?)' : by !== '' ? ' (a missing index?)' : ''
  return {
    explainer: 'latency',
    subject: subject === '' ? row.fingerprint : subject,
    detail: JSON.stringify([row.ratio, row.beforeMs.p50, row.afterMs.p50]),
    columns: [],
    sentence: (detail) => `${subject === '' ? '' : `${subject} is `}${inWords(detail)}${question}`,
    merge: worse,
  }
}

/** Of two kinds of statement the one that suffers more. */
function worse(a: string, b: string): string {
  return (JSON.parse(a) as number[])[0]! >= (JSON.parse(b) as number[])[0]! ? a : b
}

function inWords(detail: string | null): string {
  if (detail === null) return 'slower'
  const [ratio, before, after] = JSON.parse(detail) as [number, number, number]
  return `${times(ratio)} slower: median ${ms(after)} instead of ${ms(before)}`
}

function times(ratio: number): string {
  return `${ratio >= 10 ? Math.round(ratio) : Math.round(ratio * 10) / 10} times`
}

function ms(value: number): string {
  return `${value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`
}
