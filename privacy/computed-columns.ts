/**
 * Columns that the server computes of masked ones: a generated column, a text search vector. A snapshot and a replay hold what is computed
 * of tokens, a recording the token of what was computed; the two agree only where the token follows the computation.
 */
import type { RawStmt } from 'libpg-query'
import type { CatalogColumn, Relation } from '../segment/catalog.js'
import type { ColumnRef, ColumnResolver, ResolvedColumns } from '../sql/columns.js'
import { parse } from '../sql/parse.js'
import { FOLDS_CASE } from './kinds.js'
import type { Masks } from './masks/index.js'

export function computedColumns(masks: Masks, resolver: ColumnResolver): (column: ColumnRef) => boolean {
  const known = new Map<string, boolean>()
  const find = ({ tableOid, attnum }: ColumnRef): boolean => {
    const relation = resolver.index.byOid(tableOid)
    const column = relation?.columns.find((one) => one.attnum === attnum)
    if (relation === undefined || column === undefined) return false
    if (column.type === 'tsvector' && masks.kindOf({ tableOid, attnum }) !== 'keep') return true
    return column.generated !== '' && column.default !== null && !followed(relation, column)
  }
  const followed = (relation: Relation, column: CatalogColumn): boolean => {
    const statements = parse(`SELECT ${column.default} FROM ${quoted(relation.schema)}.${quoted(relation.name)}`)
    const result = statements === null ? null : resolve(resolver, statements).statements[0]?.results?.[0]
    if (result === null || result === undefined) return false
    const kind = masks.kindOf({ tableOid: relation.oid, attnum: column.attnum })
    const masked = result.sources.filter((source) => masks.kindOf(source) !== 'keep')
    if (masked.length === 0) return true
    if (result.via === 'derive' || !masked.every((source) => masks.kindOf(source) === kind)) return false
    return result.via === 'exact' || FOLDS_CASE.has(kind)
  }
  return (column) => {
    const key = `${column.tableOid} ${column.attnum}`
    const seen = known.get(key)
    if (seen !== undefined) return seen
    const made = find(column)
    known.set(key, made)
    return made
  }
}

function resolve(resolver: ColumnResolver, statements: readonly RawStmt[]): ResolvedColumns {
  return resolver.resolve(statements)
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
