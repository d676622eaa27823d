/**
 * What is known about one column of a result: where it comes from and which differences in it mean nothing.
 */
import type { SequencePosition } from '../../segment/catalog.js'
import type { Chance } from '../../sql/nondeterminism.js'
import type { Excuse } from './excuses.js'

export type Tolerance =
  | { readonly kind: 'number'; readonly by: number }
  | { readonly kind: 'time'; readonly byUs: number }

export type ColumnNature = {
  /** `users.email` where the origin is known, else the name in the result. */
  readonly label: string
  /** What a cause speaks of: the one column that the value is made of, else the label. */
  readonly subject: string
  /** Table it comes from; empty for a computed value. */
  readonly table: string
  /** Every column that the value is made of, as far as known: `users.email`. */
  readonly sources: readonly string[]
  /** The same, down to columns of tables: what a view computes is made of what it computes it from. */
  readonly madeOf: readonly string[]
  /** View that shows it; empty: a table does, or nobody knows. */
  readonly view: string
  /** Names of the fields, where it is a composite type's value; empty otherwise. */
  readonly fields: readonly string[]
  /** Not looked at, and why. */
  readonly free: Excuse | null
  /** What puts differing values there: the expression, or the default of the column it comes from. */
  readonly chance: Chance
  /** Values of one domain are renamed together; null: not a generated column. */
  readonly domain: string | null
  /** The runs draw different values of that domain, so rows cannot be told by them. */
  readonly renamed: boolean
  /** Table its foreign key points at; empty without one. */
  readonly references: string
  /** The table fills it in when a statement does not. */
  readonly hasDefault: boolean
  /** The statement may show a renaming for the first time. */
  readonly teaches: boolean
  /** Its row may have been there before, and then its number was: where the sequence stood. null: the row is new, or nobody knows. */
  readonly position: SequencePosition | null
  /** Its value depends on the order in which an aggregate saw its rows. */
  readonly inputOrder: boolean
  /** A key column: rows that agree on it are the same row. */
  readonly key: boolean
  readonly tolerance: Tolerance | null
}

/** Tables that the columns come from, in words. */
export function tablesOf(natures: readonly ColumnNature[]): string {
  return [...new Set(natures.map(({ table }) => table).filter((table) => table !== ''))].sort().join(', ')
}

export function plainColumn(label: string): ColumnNature {
  return {
    label,
    subject: label,
    table: '',
    sources: [],
    madeOf: [],
    view: '',
    fields: [],
    free: null,
    chance: 'none',
    domain: null,
    renamed: false,
    references: '',
    hasDefault: false,
    teaches: false,
    position: null,
    inputOrder: false,
    key: false,
    tolerance: null,
  }
}
