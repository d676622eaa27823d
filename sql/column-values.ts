/**
 * What is known of an expression's value while its columns are sought: where it comes from, and which literals and parameters it may be.
 */

/** A column of a table, or a place inside its JSON. */
export type ColumnRef = {
  readonly tableOid: number
  readonly attnum: number
  /** Keys and `[*]` down to the value: `['contact', 'email']`. */
  readonly path?: readonly string[]
}

/** Stands for any column of the system catalog. */
export const SYSTEM_COLUMN: ColumnRef = { tableOid: 1, attnum: 0 }

/**
 * How a value meets a column. Under the first two a token does what the value did; the others deserve a caution. `json_text`: what `->>`
 * takes out may have been a number or a string, and only the document knows. `meets`: another column, whose tokens may be of another kind.
 */
export type Use = 'equal' | 'store' | 'fold' | 'order' | 'pattern' | 'derive' | 'json_text' | 'meets'

/** A literal by its byte offset, or a parameter by its number. */
export type Slot = { readonly kind: 'literal' | 'parameter'; readonly at: number }

/** How directly a value is the column's: itself, itself but for case, or something computed from it. */
export type Via = 'exact' | 'fold' | 'derive'

export type Value = {
  /** Columns the value is taken from, unchanged up to `via`. */
  readonly columns: readonly ColumnRef[]
  readonly via: Via
  /** Literals and parameters whose own value this may be. */
  readonly slots: readonly Slot[]
  /** Literals and parameters that are a part of it: `'%' || $1`. */
  readonly parts: readonly Slot[]
  /** Every column it depends on. */
  readonly sources: readonly ColumnRef[]
  /** Fields of a row value, in order, with their names where known. */
  readonly row: readonly Output[] | null
  /** What lies inside a JSON value that the statement itself builds; null for other values. */
  readonly json: readonly JsonField[] | null
  /** False: it depends on something that cannot be seen through (a user's function, a table that is not in the catalog). */
  readonly clear: boolean
  /** A number about the value (its length, a distance): what it is compared with is no value of the column. */
  readonly measures?: boolean
}

export type JsonField = { readonly path: readonly string[]; readonly value: Value }

export type Output = { readonly name: string; readonly value: Value }

export const NOTHING: Value = {
  columns: [],
  via: 'exact',
  slots: [],
  parts: [],
  sources: [],
  row: null,
  json: null,
  clear: true,
}

export const OPAQUE: Value = { ...NOTHING, clear: false }

export function ofColumn(column: ColumnRef): Value {
  return { ...NOTHING, columns: [column], sources: [column] }
}

export function ofSlot(slot: Slot): Value {
  return { ...NOTHING, slots: [slot] }
}

/** One of several: COALESCE, CASE, UNION, the elements of an array. */
export function either(values: readonly Value[]): Value {
  const first = values[0]
  if (first === undefined) return NOTHING
  if (values.length === 1) return first
  const withColumns = values.filter((value) => value.columns.length > 0)
  return {
    columns: distinct(values.flatMap((value) => value.columns)),
    via: withColumns.some((value) => value.via === 'derive')
      ? 'derive'
      : withColumns.some((value) => value.via === 'fold')
        ? 'fold'
        : 'exact',
    slots: values.flatMap((value) => value.slots),
    parts: values.flatMap((value) => value.parts),
    sources: distinct(values.flatMap((value) => value.sources)),
    row: mergeRows(values),
    json: values.some((value) => value.json !== null) ? values.flatMap((value) => value.json ?? []) : null,
    clear: values.every((value) => value.clear),
  }
}

/** Something computed from the values. */
export function derived(values: readonly Value[]): Value {
  const all = either(values)
  return { ...all, via: 'derive', slots: [], parts: [...all.slots, ...all.parts], row: null, json: null }
}

export function withVia(value: Value, via: Via): Value {
  return value.via === 'derive' ? value : { ...value, via }
}

/** Seen from another text: its literals and parameters stand elsewhere. */
export function withoutSlots(value: Value): Value {
  return {
    ...value,
    slots: [],
    parts: [],
    row: value.row?.map(({ name, value: field }) => ({ name, value: withoutSlots(field) })) ?? null,
    json: value.json?.map(({ path, value: field }) => ({ path, value: withoutSlots(field) })) ?? null,
  }
}

/** JSON made of a value: of a row, an object with its fields; of anything else, the value itself. */
export function asJson(value: Value, under: readonly string[] = []): readonly JsonField[] {
  if (value.json !== null) return value.json.map((field) => ({ ...field, path: [...under, ...field.path] }))
  if (value.row !== null) return value.row.flatMap((field) => asJson(field.value, [...under, field.name]))
  return [{ path: under, value }]
}

/** The value under a key, a JSON path step, or an index (`[*]`). */
export function inside(value: Value, step: string): Value {
  const deeper = (column: ColumnRef): ColumnRef => ({ ...column, path: [...(column.path ?? []), step] })
  return { ...value, columns: value.columns.map(deeper), slots: [], parts: [...value.parts, ...value.slots], row: null }
}

function mergeRows(values: readonly Value[]): readonly Output[] | null {
  const rows = values.flatMap((value) => (value.row === null ? [] : [value.row]))
  const first = rows[0]
  if (first === undefined || rows.length !== values.length || rows.some((row) => row.length !== first.length))
    return null
  return first.map((field, at) => ({ name: field.name, value: either(rows.map((row) => row[at]!.value)) }))
}

export function distinct(columns: readonly ColumnRef[]): readonly ColumnRef[] {
  if (columns.length < 2) return columns
  return [...new Map(columns.map((column) => [columnKey(column), column])).values()]
}

export function columnKey(column: ColumnRef): string {
  return `${column.tableOid} ${column.attnum} ${column.path?.join('.') ?? ''}`
}
