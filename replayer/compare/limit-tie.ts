/**
 * LIMIT cut through rows that tie: which of them came is nobody's promise. But rows that sort before the tie must have come.
 */
import type { Row } from '../../segment/outcome.js'
import type { Alignment } from './align.js'
import type { SortKnowledge } from './sort-knowledge.js'

/** May the rows without a counterpart differ because of the cut? Rows are canonical. */
export function isLimitTie(
  before: readonly Row[],
  after: readonly Row[],
  { onlyBefore, onlyAfter }: Alignment,
  sort: SortKnowledge,
): boolean {
  if (onlyBefore.length === 0 || onlyBefore.length !== onlyAfter.length) return false
  if (!sort.sorted) return true
  if (sort.allShown) {
    const edges = new Set([before.at(-1), after.at(-1)].map((row) => keyOf(row, sort.shown)))
    const all = [...onlyBefore.map((at) => before[at]), ...onlyAfter.map((at) => after[at])]
    return edges.size === 1 && all.every((row) => edges.has(keyOf(row, sort.shown)))
  }
  // The keys are not shown: a tie at the cut leaves the rows before it alone, and a single row may always be one of several.
  return before.length === 1 || Math.min(...onlyBefore, ...onlyAfter) > 0
}

function keyOf(row: Row | undefined, columns: readonly number[]): string {
  return JSON.stringify(columns.map((at) => row?.[at]))
}
