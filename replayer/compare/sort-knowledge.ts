/**
 * What a statement's ORDER BY and LIMIT mean for a result whose columns are known.
 */
import type { Column } from '../../segment/outcome.js'
import type { Ordering } from '../../sql/order-by.js'

export type SortKnowledge = {
  readonly sorted: boolean
  /** No two rows tie, so there is one right order. */
  readonly total: boolean
  /** Leading sort keys that the result shows, by position; the order within rows that agree on them is not known further. */
  readonly shown: readonly number[]
  readonly allShown: boolean
  /** A result of so many rows or more may have been cut; Infinity: never cut. */
  readonly cutFrom: number
}

export const ANY_ORDER: SortKnowledge = { sorted: false, total: false, shown: [], allShown: true, cutFrom: Infinity }

export function sortKnowledge(
  ordering: Ordering,
  columns: readonly Column[],
  parameters: readonly (string | null)[],
  isUniqueKey: (columns: readonly string[]) => boolean,
): SortKnowledge {
  const positions = ordering.keys.map((key) => {
    // Before a star is expanded, positions are those of the list as written.
    const named = key.column === '' ? -1 : columns.findIndex(({ name }) => name === key.column)
    return key.item >= 0 && key.column === '' ? key.item : named >= 0 ? named : key.item
  })
  const hidden = positions.findIndex((at) => at < 0 || at >= columns.length)
  const names = ordering.keys.map(({ column }) => column).filter((name) => name !== '')
  return {
    sorted: ordering.sorted,
    total: ordering.total || (ordering.sorted && ordering.relation !== null && isUniqueKey(names)),
    shown: hidden < 0 ? positions : positions.slice(0, hidden),
    allShown: hidden < 0,
    cutFrom: ordering.limited ? limitRows(ordering, parameters) : Infinity,
  }
}

function limitRows(ordering: Ordering, parameters: readonly (string | null)[]): number {
  if (ordering.limit === null) return 0
  if ('rows' in ordering.limit) return ordering.limit.rows
  const value = parameters[ordering.limit.parameter - 1]
  const rows = Number(value ?? Number.NaN)
  return Number.isFinite(rows) ? rows : 0
}
