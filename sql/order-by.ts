/**
 * In which order may a statement's rows come, and which rows may come at all?
 *
 * Only the top level counts: an ORDER BY in a subquery promises nothing. Without one, any permutation is right. With one,
 * rows that tie on the sort keys may permute, and a LIMIT may cut through such a tie at any point.
 */
import { list, strings, type TreeNode, unwrap } from './tree-walk.js'

export type SortKey = {
  /** Position in the output list as written (before any `*` is expanded), from 0; -1: not an item of its own. */
  readonly item: number
  /** Last part of the column's name; empty for an expression. */
  readonly column: string
}

export type Ordering = {
  readonly sorted: boolean
  readonly keys: readonly SortKey[]
  /** Not all rows are returned: LIMIT, OFFSET, DISTINCT ON, FETCH. */
  readonly limited: boolean
  /** How many rows LIMIT lets through, or the number of the parameter that says so; null: none, or not to be said (an expression, an OFFSET). */
  readonly limit: { readonly rows: number } | { readonly parameter: number } | null
  /** No two rows can tie, as the statement alone says (it sorts by all it groups by). */
  readonly total: boolean
  /** The one relation read, when rows are its rows (no join, no grouping): a unique key among the sort keys makes the order total. */
  readonly relation: { readonly schema: string; readonly name: string } | null
}

export const UNORDERED: Ordering = {
  sorted: false,
  keys: [],
  limited: false,
  limit: null,
  total: false,
  relation: null,
}

/** `statement` is a wrapped node: `{ SelectStmt: … }`. */
export function ordering(statement: unknown): Ordering {
  const node = unwrap(statement)
  if (node === null) return UNORDERED
  if (node.kind === 'SelectStmt') return ofSelect(node.body)
  if (node.kind === 'FetchStmt') return { ...UNORDERED, limited: true }
  if (node.kind === 'DeclareCursorStmt' || node.kind === 'PrepareStmt' || node.kind === 'CopyStmt')
    return ordering(node.body.query)
  return UNORDERED
}

function ofSelect(select: TreeNode['body']): Ordering {
  const items = list(select, 'targetList').map((item) => unwrap(item)?.body ?? {})
  const keys = list(select, 'sortClause').map((key) => sortKey(unwrap(key)?.body.node, items))
  const distinct = list(select, 'distinctClause')
  // Plain DISTINCT is a list with one empty member; DISTINCT ON names expressions.
  const distinctOn = distinct.length > 0 && unwrap(distinct[0]) !== null
  const limited = select.limitCount !== undefined || select.limitOffset !== undefined || distinctOn
  const groups = list(select, 'groupClause')
  const oneRow = groups.length === 0 && items.length > 0 && items.every((item) => isAggregate(item.val))
  const total =
    oneRow ||
    (keys.length > 0 && groups.length > 0 && groups.every((group) => sortsBy(keys, sortKey(group, items)))) ||
    (keys.length > 0 &&
      distinct.length > 0 &&
      !distinctOn &&
      items.every((_, item) => keys.some((k) => k.item === item)))
  return {
    sorted: keys.length > 0,
    keys,
    limited,
    limit: limitOf(select),
    total,
    relation: groups.length === 0 && select.op === 'SETOP_NONE' ? onlyRelation(select) : null,
  }
}

function limitOf(select: TreeNode['body']): Ordering['limit'] {
  if (select.limitOffset !== undefined && constantOf(select.limitOffset) !== 0) return null
  const node = unwrap(select.limitCount)
  if (node?.kind === 'ParamRef') return { parameter: Number(node.body.number) }
  const rows = constantOf(select.limitCount)
  return rows === null ? null : { rows }
}

function constantOf(expression: unknown): number | null {
  const node = unwrap(expression)
  const value = node?.kind === 'A_Const' ? (node.body.ival as { ival?: number } | undefined) : undefined
  // protobuf leaves a zero out
  return value === undefined ? null : (value.ival ?? 0)
}

function sortsBy(keys: readonly SortKey[], wanted: SortKey): boolean {
  return keys.some(
    (key) => (wanted.item >= 0 && key.item === wanted.item) || (wanted.column !== '' && key.column === wanted.column),
  )
}

function sortKey(expression: unknown, items: readonly TreeNode['body'][]): SortKey {
  const constant = constantOf(expression)
  if (constant !== null) {
    const item = constant - 1
    return { item: items.slice(0, item).some(isStar) ? -1 : item, column: columnName(items[item]?.val) }
  }
  const column = columnName(expression)
  const item = items.findIndex(
    ({ name, val }) =>
      (column !== '' && (name === column || (name === undefined && columnName(val) === column))) ||
      same(val, expression),
  )
  return { item, column }
}

function isStar(item: TreeNode['body']): boolean {
  const node = unwrap(item.val)
  return node?.kind === 'ColumnRef' && list(node.body, 'fields').some((field) => unwrapStar(field))
}

function unwrapStar(field: unknown): boolean {
  return typeof field === 'object' && field !== null && 'A_Star' in field
}

/** Last name of a column reference; empty for anything else. */
export function columnName(expression: unknown): string {
  const node = unwrap(expression)
  return node?.kind === 'ColumnRef' ? (strings(list(node.body, 'fields')).at(-1) ?? '') : ''
}

/** Equal but for where they stand in the text. */
function same(a: unknown, b: unknown): boolean {
  return a !== undefined && b !== undefined && withoutLocations(a) === withoutLocations(b)
}

function withoutLocations(tree: unknown): string {
  return JSON.stringify(tree, (key, value: unknown) => (key === 'location' ? undefined : value))
}

/** The aggregates everyone uses; an unknown one only costs a needless look for ties. */
const AGGREGATES = new Set([
  'count',
  'sum',
  'avg',
  'min',
  'max',
  'bool_and',
  'bool_or',
  'every',
  'array_agg',
  'string_agg',
])

function isAggregate(expression: unknown): boolean {
  const node = unwrap(expression)
  return (
    node?.kind === 'FuncCall' &&
    node.body.over === undefined &&
    AGGREGATES.has(strings(list(node.body, 'funcname')).at(-1) ?? '')
  )
}

function onlyRelation(select: TreeNode['body']): Ordering['relation'] {
  const from = list(select, 'fromClause')
  const node = unwrap(from[0])
  if (from.length !== 1 || node?.kind !== 'RangeVar') return null
  return { schema: String(node.body.schemaname ?? ''), name: String(node.body.relname ?? '') }
}
