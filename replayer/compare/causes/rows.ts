/**
 * Why rows are missing, extra or repeated.
 */
import type { Column, Row } from '../../../segment/outcome.js'
import type { Difference } from '../judgement.js'
import { type ColumnNature, tablesOf } from '../nature.js'
import { type Cause, sameOrNothing } from './cause.js'
import { orderBehindLimit } from './order.js'

export type RowContext = {
  readonly columns: readonly Column[]
  readonly natures: readonly ColumnNature[]
  readonly before: readonly Row[]
  readonly after: readonly Row[]
  readonly writes: boolean
  /** What the statement asked for, where few of its kind ask for that: `lines.account_no`, `1200`. */
  readonly asked?: readonly { readonly label: string; readonly value: string | null }[]
  /** Where a LIMIT cut the rows: the first column that they are sorted by. */
  readonly cutBy?: number | null
}

const SHARED_SHOWN_MAX = 2
const SHARED_ROWS_MIN = 3
const SHARED_SHARE = 0.8
const CONDITIONS_MAX = 50
const SHARED_LENGTH_MAX = 40
const SHARED_COLUMNS_MAX = 50

export function explainMembership(difference: Difference, context: RowContext): Cause {
  const { missing, extra, note } = difference
  const from = tablesOf(context.natures)
  // Rows that are missing as well were pushed out of a LIMIT or a FETCH.
  if (extra.length > 0 && areRepeats(extra, context.after, context.before, context.natures))
    return rowCause('rows.repeated', from, '', () => `rows${of(from)} are duplicated (a join that fans out)`)
  if (extra.length === 0 && missing.length > 0 && areRepeats(missing, context.before, context.after, context.natures))
    return rowCause('rows.merged', from, '', () => `duplicate rows${of(from)} come only once`)
  if (extra.length === 0 && missing.length > 0)
    return rowCause(
      'rows.missing',
      from,
      shared(missing, context.after, context),
      (detail) => `rows${of(from)}${having(detail)} are missing`,
      inCommon,
    )
  if (missing.length === 0 && extra.length > 0)
    return rowCause(
      'rows.extra',
      from,
      shared(extra, context.before, context),
      (detail) => `rows${of(from)}${having(detail)} come as well`,
      inCommon,
    )
  const sorted = orderBehindLimit(difference, context)
  if (sorted !== null) return sorted
  if (missing.length > 0) return rowCause('rows.other', from, '', () => `other rows${of(from)} come`)
  return rowCause(
    'unexplained',
    from,
    note,
    (detail) => `another number of rows${of(from)}${detail ? `: ${detail}` : ''}`,
  )
}

function rowCause(
  explainer: string,
  subject: string,
  detail: string,
  sentence: Cause['sentence'],
  merge: Cause['merge'] = sameOrNothing,
): Cause {
  return { explainer, subject, detail, columns: [], sentence, merge }
}

function of(from: string): string {
  return from === '' ? '' : ` of ${from}`
}

/** Every one of `rows` stands among `all` once more, by key or as a whole; where the others repeat it too, that tells nothing. */
function areRepeats(
  rows: readonly Row[],
  all: readonly Row[],
  others: readonly Row[],
  natures: readonly ColumnNature[],
): boolean {
  const keys = natures.flatMap(({ key }, at) => (key ? [at] : []))
  const by = keys.length > 0 ? keys : natures.map((_, at) => at)
  const keyOf = (row: Row) => JSON.stringify(by.map((at) => row[at]))
  const counted = (list: readonly Row[]) => {
    const counts = new Map<string, number>()
    for (const row of list) counts.set(keyOf(row), (counts.get(keyOf(row)) ?? 0) + 1)
    return (row: Row) => counts.get(keyOf(row)) ?? 0
  }
  const [here, there] = [counted(all), counted(others)]
  return rows.every((row) => here(row) > 1 && (keys.length > 0 || there(row) <= 1))
}

/** By column: how many of the rows that differ meet which condition; NOTHING counts those that share none. */
type Tally = Readonly<Record<string, Readonly<Record<string, number>>>>

const NOTHING = ''

/** What all of `rows` have in common and none of `others` has, as JSON of a Tally. */
function shared(rows: readonly Row[], others: readonly Row[], { columns, natures, writes, asked }: RowContext): string {
  if (writes) return '{}'
  const tally: Record<string, Record<string, number>> = {}
  for (const { label, value } of asked ?? [])
    tally[label] = { [value === null ? NOTHING : `${nameIn(label)} = '${value}'`]: rows.length }
  for (const [at, { name }] of columns.slice(0, SHARED_COLUMNS_MAX).entries()) {
    const nature = natures[at]
    if (nature === undefined || nature.table === '' || nature.key || nature.free !== null || nature.domain !== null)
      continue
    const value = rows[0]?.[at] ?? null
    const holds = (row: Row) => (row[at] ?? null) === value
    const telling =
      rows.every(holds) &&
      !others.some((row) => !rows.includes(row) && holds(row)) &&
      (value?.length ?? 0) <= SHARED_LENGTH_MAX
    const condition = !telling ? NOTHING : value === null ? `${name} is NULL` : `${name} = '${value}'`
    tally[nature.label] = { [condition]: rows.length }
  }
  return JSON.stringify(tally)
}

function nameIn(label: string): string {
  return label.slice(label.lastIndexOf('.') + 1)
}

function inCommon(a: string, b: string): string {
  const merged: Record<string, Record<string, number>> = { ...(JSON.parse(a) as Tally) }
  for (const [label, counts] of Object.entries(JSON.parse(b) as Tally)) {
    const sum = { ...merged[label] }
    for (const [condition, count] of Object.entries(counts)) {
      const known = condition in sum || Object.keys(sum).length < CONDITIONS_MAX ? condition : NOTHING
      sum[known] = (sum[known] ?? 0) + count
    }
    merged[label] = sum
  }
  return JSON.stringify(merged)
}

function having(detail: string | null): string {
  const conditions = conditionsOf(detail)
  return conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
}

/** Conditions that nearly all rows meet, wherever the column is shown. One row shares everything with itself: that says nothing. */
export function conditionsOf(detail: string | null): readonly string[] {
  const found = metBy(detail, SHARED_ROWS_MIN)
  return found.length > SHARED_SHOWN_MAX ? [] : found
}

/** The same of any number of rows: of few, what is known of them is no reason, but may agree with one. */
export function agreeingOf(detail: string | null): readonly string[] {
  return metBy(detail, 1)
}

function metBy(detail: string | null, rowsMin: number): readonly string[] {
  if (detail === null || detail === '') return []
  return Object.values(JSON.parse(detail) as Tally).flatMap((counts) => {
    const rows = Object.values(counts).reduce((sum, count) => sum + count, 0)
    const [condition, count] = Object.entries(counts).reduce((a, b) => (b[1] > a[1] ? b : a))
    return rows >= rowsMin && condition !== NOTHING && count >= rows * SHARED_SHARE ? [condition] : []
  })
}

/** Labels of the columns that could have held something in common. */
export function shownBy(detail: string | null): ReadonlySet<string> {
  return new Set(detail === null || detail === '' ? [] : Object.keys(JSON.parse(detail) as Tally))
}
