/**
 * What comes of comparing two outcomes of one statement.
 */
import type { MismatchType, RowDiff, SubKind } from '../../segment/diff.js'
import type { Row } from '../../segment/outcome.js'
import type { Excuse } from './excuses.js'

/** A pair of values that differ, of rows that are the same row. */
export type CellPair = {
  readonly column: number
  readonly before: string | null
  readonly after: string | null
  /** The rows they stand in. */
  readonly rowBefore: Row
  readonly rowAfter: Row
}

export type Difference = {
  readonly mismatch: MismatchType
  readonly subKind: SubKind
  /** Positions in the result; empty when it is not about columns. */
  readonly columns: readonly number[]
  readonly cells: readonly CellPair[]
  readonly missing: readonly Row[]
  readonly extra: readonly Row[]
  /** A sentence when the kind alone says why (a column is gone); empty otherwise. */
  readonly note: string
}

export type Judgement =
  | { readonly verdict: 'equal' }
  | { readonly verdict: 'excused'; readonly excuses: readonly Excuse[] }
  | {
      readonly verdict: 'discrepancy'
      readonly excuses: readonly Excuse[]
      readonly differences: readonly Difference[]
      readonly rows: RowDiff | null
    }

export const EQUAL: Judgement = { verdict: 'equal' }

export function excused(...excuses: readonly Excuse[]): Judgement {
  return excuses.length === 0 ? EQUAL : { verdict: 'excused', excuses: [...new Set(excuses)] }
}

export function difference(mismatch: MismatchType, subKind: SubKind, parts: Partial<Difference> = {}): Difference {
  return { mismatch, subKind, columns: [], cells: [], missing: [], extra: [], note: '', ...parts }
}

export function discrepancy(one: Difference, rows: RowDiff | null = null, excuses: readonly Excuse[] = []): Judgement {
  return { verdict: 'discrepancy', differences: [one], rows, excuses }
}
