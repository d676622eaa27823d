/**
 * What two digests of results of one shape disagree about.
 */
import { digestColumns, equalIgnoringOrder, equalOrdered } from '../../segment/digest.js'
import type { Outcome } from '../../segment/outcome.js'

export type DigestDifference = {
  /** Columns whose values differ at their places. */
  readonly ordered: ReadonlySet<number>
  /** Columns that do not hold the same values in any order. */
  readonly unordered: ReadonlySet<number>
  /** The rows are not the same in any order: the values may be, in other combinations. */
  readonly rows: boolean
}

export function digestDifference(before: Outcome, after: Outcome): DigestDifference {
  const a = before.digest
  const b = after.digest
  const all = (before.columns ?? []).map((_, at) => at)
  if (a === null || b === null || digestColumns(a) !== all.length || digestColumns(b) !== all.length)
    return { ordered: new Set(all), unordered: new Set(all), rows: true }
  return {
    ordered: new Set(all.filter((at) => !equalOrdered(a, b, at))),
    unordered: new Set(all.filter((at) => !equalIgnoringOrder(a, b, at))),
    rows: !equalIgnoringOrder(a, b),
  }
}
