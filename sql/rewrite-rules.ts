/**
 * What became of a table: where its columns are now, and how a value is read and written there. Plain data, checked against both
 * catalogs by whoever makes it; the texts in it are encoded for ./rewrite-text.ts.
 */
import type { Node } from 'libpg-query'
import type { CatalogColumn, Relation } from '../segment/catalog.js'
import { isKeyword } from './keywords.js'
import { parse } from './parse.js'
import { encoded } from './rewrite-text.js'
import { list, unwrap, walk } from './tree-walk.js'

/** An expression whose column names are filled in by where it is used. */
export type Expression = readonly (string | { readonly column: string })[]

export type PartRule = {
  readonly relation: Relation
  /** As statements name it. */
  readonly name: string
  /** Its columns that hold the key, in the key's order. */
  readonly key: readonly string[]
}

export type ColumnRule = {
  readonly name: string
  /** What a bare parameter or literal is cast to where its column no longer says it; null: its type is gone. */
  readonly type: string | null
  /** Which part holds it; a column of the key is in all of them; -1: it is gone. */
  readonly part: number
  readonly isKey: boolean
  readonly to: string | null
  /** Over the new columns; null: the column itself. */
  readonly read: Expression | null
  /** Over the old columns; null: the value itself. */
  readonly write: Expression | null
}

export type AddedColumn = { readonly part: number; readonly to: string; readonly value: Expression }

export type TableRule = {
  readonly from: Relation
  readonly label: string
  readonly key: readonly string[]
  /** The first stands for the row: who changes any part locks it first. */
  readonly parts: readonly PartRule[]
  readonly columns: readonly ColumnRule[]
  readonly added: readonly AddedColumn[]
  /** Which rows of a merged table were this table's, over the new columns. */
  readonly where: Expression | null
  /**
   * Rows lie in several tables: a rule for each, whose `where`, over the old columns, says which rows it takes; what none takes is the last
   * one's. Empty: they lie together.
   */
  readonly partitions: readonly TableRule[]
}

export function columnRule(rule: TableRule, name: string): ColumnRule | undefined {
  return rule.columns.find((column) => column.name === name)
}

/** The text with its column names as places; null when it is not one expression. */
export function parseExpression(text: string): Expression | null {
  const select = unwrap(parse(`SELECT ${text}`)?.[0]?.stmt)
  if (select?.kind !== 'SelectStmt' || list(select.body, 'targetList').length !== 1 || select.body.fromClause)
    return null
  if (parse(`SELECT (${text})`) === null) return null
  const places: { at: number; column: string }[] = []
  walk(select.body, (node) => {
    if (node.kind !== 'ColumnRef') return true
    const fields = list(node.body, 'fields') as Node[]
    const only = fields.length === 1 ? fields[0]! : undefined
    if (only && 'String' in only)
      places.push({ at: Number(node.body.location ?? 0) - 7, column: only.String.sval ?? '' })
    return true
  })
  const bytes = encoded(text)
  const pieces: (string | { column: string })[] = []
  let from = 0
  for (const { at, column } of places.sort((a, b) => a.at - b.at)) {
    pieces.push(bytes.slice(from, at), { column })
    const name = /^(?:"(?:[^"]|"")*"|[^\s.,()[\]:;+*/<>=~!@#%^&|`?'-]+)/.exec(bytes.slice(at))
    from = at + (name?.[0].length ?? 0)
  }
  return [...pieces, bytes.slice(from)]
}

export function columnsIn(expression: Expression): string[] {
  return expression.flatMap((piece) => (typeof piece === 'string' ? [] : [piece.column]))
}

export function fill(expression: Expression, columnText: (column: string) => string): string {
  return expression.map((piece) => (typeof piece === 'string' ? piece : columnText(piece.column))).join('')
}

export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) && !isKeyword(name) ? name : encoded(`"${name.replaceAll('"', '""')}"`)
}

/** A type without its length: a cast with a length cuts silently where storing would refuse. */
export function castType({ type }: Pick<CatalogColumn, 'type'>): string {
  const bare = type.replace(/\(\d+(?:,-?\d+)?\)/, '')
  return encoded(
    bare.replace(/^(?:character|bpchar)(?=$|\[)/, 'pg_catalog.bpchar').replace(/^bit(?=$|\[)/, 'pg_catalog.bit'),
  )
}

/** What a column is filled with when a statement leaves it out. */
export function defaultOf(relation: Relation, name: string, sequenceName: (oid: number) => string | undefined): string {
  const column = relation.columns.find((one) => one.name === name)
  if (column?.default != null) return encoded(column.default)
  const sequence = column === undefined || column.identity === '' ? undefined : sequenceName(column.sequenceOid)
  return sequence === undefined ? 'NULL' : `nextval('${encoded(sequence.replaceAll("'", "''"))}')`
}
