/**
 * What the databases hold after the replays: table state and schema, the two sides side by side. `verify` finds it and may lay it
 * into a diff, beside what comparing answers found: a write that was answered rightly and stored wrongly is only here.
 */
import type { RowDiff } from './diff.js'

export type ChangedColumn = {
  readonly column: string
  readonly rows: number
  readonly cause: string
  /** It only shows that tables have gained columns: an audit's JSON of whole rows. Said, not held against the table. */
  readonly gained?: true
}

export type TableState = {
  readonly table: string
  readonly verdict: 'equal' | 'differs' | 'missing'
  readonly rowsBefore: number
  readonly rowsAfter: number
  /** Of the differing rows that were looked at. */
  readonly missing: number
  readonly extra: number
  readonly changed: number
  /** Differing rows are more than were looked at. */
  readonly more: boolean
  readonly columns: readonly ChangedColumn[]
  /** Columns that the second side lacks, and those left out on purpose. */
  readonly columnsMissing: readonly string[]
  readonly columnsLeftOut: readonly string[]
  /** Of a missing one: what has its name in another schema of the second side. */
  readonly elsewhere?: readonly string[]
  readonly examples: RowDiff | null
}

export type SchemaKind =
  | 'constraint'
  | 'not null'
  | 'index'
  | 'default'
  | 'trigger'
  | 'trigger order'
  | 'collation'
  | 'type'
  | 'view'
  | 'function'
  | 'row security'
  | 'privilege'
  | 'comment'

/** `object` is qualified: a table, a view, a function with its arguments, a sequence, a schema. */
export type SchemaFact = {
  readonly object: string
  readonly kind: SchemaKind
  readonly text: string
  /** Of a constraint, an index or a trigger: its name, which says nothing about what it does. */
  readonly called?: string
}

/** The object is on both sides and says something else. */
export type SchemaChange = {
  readonly object: string
  readonly kind: SchemaKind
  readonly before: string
  readonly after: string
  /** A body or a query, which a migration may well rewrite on purpose: told, and no fault. */
  readonly rewritten: boolean
}

export type SchemaState = {
  readonly missing: readonly SchemaFact[]
  readonly changed: readonly SchemaChange[]
  /** What the second side has beyond the first: told, and no fault. */
  readonly added: readonly SchemaFact[]
  /** Sequences that stand behind those of the first side: the next values have been given away already. */
  readonly behind: readonly { readonly sequence: string; readonly before: string; readonly after: string }[]
  /** What has no counterpart of its own name. */
  readonly notCompared: readonly string[]
}

/** One line for a person: a table whose rows differ, a thing the migration forgot. */
export type StateFinding = {
  readonly findingId: string
  readonly kind: 'table_missing' | 'column_missing' | 'rows' | 'schema_missing' | 'schema_changed' | 'sequence_behind'
  /** `users`, `public.users`: as its side of the comparison names it. */
  readonly object: string
  /** Of `schema_missing` and `schema_changed`. */
  readonly schemaKind?: SchemaKind
  /** false: told, because a migration may well mean it (a view with another query). */
  readonly fault: boolean
  readonly sentence: string
  readonly columns: readonly string[]
  /** Rows, or 1. */
  readonly count: number
  /** `count` is only what was looked at. */
  readonly more: boolean
  readonly rows: RowDiff | null
}

export type StateReport = {
  readonly checkedAtMs: number
  /** Moments that the replays made were left out. */
  readonly momentsLeftOut: boolean
  readonly tables: readonly TableState[]
  readonly schema: SchemaState
  /** Worst first: data, then what the migration forgot. */
  readonly findings: readonly StateFinding[]
}
