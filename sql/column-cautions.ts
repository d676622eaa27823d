/**
 * What a column's use, if its token may not stand for it, can change: which rows qualify, their order, a column of the result, or what is
 * stored.
 */
import { type ColumnRef, columnKey, type Use } from './column-values.js'

export type Affects =
  | { readonly what: 'rows' }
  | { readonly what: 'order' }
  /** Only this column of the result, counted from 0. */
  | { readonly what: 'result'; readonly at: number }
  /** Only what this column holds afterwards. */
  | { readonly what: 'stored'; readonly column: ColumnRef }

/** A column used in a way that its token may not stand for. */
export type Caution = {
  readonly column: ColumnRef
  readonly use: Exclude<Use, 'equal' | 'store'>
  /** The other column, where two meet. */
  readonly other?: ColumnRef
  readonly affects: Affects
  /** Wherever it stands: how many rows there are depends on it. */
  readonly makesRows?: boolean
}

export const ROWS: Affects = { what: 'rows' }
export const ORDER: Affects = { what: 'order' }

type Walk = { readonly cautions: Caution[] }

/** Until somebody knows better, it may change which rows qualify. */
export function caution({ cautions }: Walk, columns: readonly ColumnRef[], use: Use, affects: Affects = ROWS): void {
  if (use === 'equal' || use === 'store') return
  for (const column of columns) cautions.push({ column, use, affects })
}

/** Values of these columns are compared, or stored in each other's place: fine where their tokens are of one kind. */
export function meeting({ cautions }: Walk, some: readonly ColumnRef[], others: readonly ColumnRef[]): void {
  for (const column of some)
    for (const other of others)
      if (columnKey(column) !== columnKey(other)) cautions.push({ column, use: 'meets', other, affects: ROWS })
}

/** What was noted while `look` ran affects only this much. */
export function affecting<Out>({ cautions }: Walk, affects: Affects | null, look: () => Out): Out {
  const from = cautions.length
  const out = look()
  if (affects !== null)
    for (let at = from; at < cautions.length; at++)
      if (cautions[at]!.makesRows !== true) cautions[at] = { ...cautions[at]!, affects }
  return out
}

/** A query inside another: its results and their order are what the outer one works on. What it stores stays stored. */
export function withinQuery<Out>({ cautions }: Walk, look: () => Out): Out {
  const from = cautions.length
  const out = look()
  for (let at = from; at < cautions.length; at++)
    if (cautions[at]!.affects.what !== 'stored') cautions[at] = { ...cautions[at]!, affects: ROWS }
  return out
}

/** The query's results are stored, each in its place. */
export function storing<Out>({ cautions }: Walk, places: readonly (ColumnRef | undefined)[], look: () => Out): Out {
  const from = cautions.length
  const out = look()
  for (let at = from; at < cautions.length; at++) {
    const { affects } = cautions[at]!
    const column = affects.what === 'result' ? places[affects.at] : undefined
    if (column !== undefined) cautions[at] = { ...cautions[at]!, affects: { what: 'stored', column } }
  }
  return out
}
