/**
 * What a statement that writes says about an error: which columns it leaves to their defaults, whether it removes rows. An
 * error's own fields name the constraint; this says what may be wrong with it. Hints, with a question mark. Pure.
 */
import type { ForeignKeyAction } from '../../../segment/catalog.js'
import type { ServerError } from '../../../segment/outcome.js'

export type Written = {
  /** Columns that an INSERT does not give, by name: what fills them on the first side. */
  readonly leftOut: ReadonlyMap<string, 'default' | 'sequence'>
  /** Columns of a unique constraint of the recorded schema; null: it has none by that name. */
  readonly uniqueColumns: (constraint: string) => readonly string[] | null
  /** What a foreign key of the recorded schema does when the row it points at goes; null: there is none by that name. */
  readonly onDelete: (constraint: string) => ForeignKeyAction | null
  /** The table that a foreign key of the recorded schema points at; null: there is none by that name. */
  readonly pointsAt: (constraint: string) => string | null
  /** Does the recorded schema find a relation by this name alone? */
  readonly isFound: (relation: string) => boolean
  /** It removes rows. */
  readonly removes: boolean
}

export const NOTHING_KNOWN: Written = {
  leftOut: new Map(),
  uniqueColumns: () => null,
  onDelete: () => null,
  pointsAt: () => null,
  isFound: () => false,
  removes: false,
}

const NOT_NULL = '23502'
const NO_RELATION = '42P01'
const FOREIGN_KEY = '23503'
const UNIQUE = '23505'

/** Of an error that only the second side raises, about this object. Empty: nothing more can be said. */
export function hintOfNew(
  { sqlstate, column, constraint = '' }: ServerError,
  object: string,
  written: Written,
): string {
  if (sqlstate === NO_RELATION && written.isFound(object))
    return ': gone, or in a schema that the search_path does not name?'
  if (sqlstate === NOT_NULL && written.leftOut.has(column ?? '')) return ': a lost default?'
  if (sqlstate === UNIQUE) {
    const drawn = [...written.leftOut].flatMap(([name, by]) => (by === 'sequence' ? [name] : []))
    const columns = written.uniqueColumns(constraint) ?? drawn
    return drawn.some((name) => columns.includes(name)) ? ': a sequence that is behind its table?' : ''
  }
  const cascaded = sqlstate === FOREIGN_KEY && written.removes && written.onDelete(constraint) === 'cascade'
  return cascaded ? ': a lost ON DELETE CASCADE?' : ''
}

/** Of an error that only the first side raised. */
export function hintOfVanished({ sqlstate }: ServerError, written: Written): string {
  return sqlstate === FOREIGN_KEY && written.removes
    ? ' when what they point at goes (lost, or ON DELETE takes them along?)'
    : ''
}
