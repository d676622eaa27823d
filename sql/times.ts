/**
 * Columns whose default is the time. Two transactions that begin side by side may write it in either order, and then whoever sorts,
 * compares or groups by such a column may see their rows in either.
 */
import type { Node } from 'libpg-query'
import type { Relation } from '../segment/catalog.js'
import { list, strings, unwrap, walk } from './tree-walk.js'

const TIME =
  /\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\(|\b(current_(timestamp|date|time)|localtime(stamp)?)\b/i

export function isTime(column: Relation['columns'][number]): boolean {
  return column.default !== null && TIME.test(column.default)
}

/** It names such a column elsewhere than in a list of what to return. */
export function looksAtTimes(node: Node, relations: readonly Relation[]): boolean {
  const names = new Set(relations.flatMap(({ columns }) => columns.filter(isTime).map(({ name }) => name)))
  if (names.size === 0) return false
  let found = false
  walk(node, ({ kind, body }) => {
    if (kind === 'ResTarget' && unwrap(body.val)?.kind === 'ColumnRef') return false
    if (kind === 'ColumnRef' && names.has(strings(list(body, 'fields')).at(-1) ?? '')) found = true
    return !found
  })
  return found
}
