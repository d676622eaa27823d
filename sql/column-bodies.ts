/**
 * Queries behind a name: views, and functions of the user's. Whoever uses them depends on what they do with columns, and does not say so.
 */
import type { CatalogFunction } from '../segment/catalog.js'
import { type Caution, ROWS } from './column-cautions.js'
import type { View, Walk } from './column-expressions.js'
import { statementQuery } from './column-select.js'
import { type ColumnRef, derived, distinct, NOTHING, type Output } from './column-values.js'
import { parse } from './parse.js'
import type { CatalogIndex } from './relations.js'

/** What a view's own query says of its rows and their order is said of whoever reads it; of one column, only of that column. */
export function seenFromOutside(outputs: readonly Output[], cautions: readonly Caution[]): View {
  const columnsAt = (at: number): readonly ColumnRef[] =>
    cautions.flatMap(({ affects, column }) => (affects.what === 'result' && affects.at === at ? [column] : []))
  return {
    outputs: outputs.map((output, at) => {
      const columns = columnsAt(at)
      if (columns.length === 0 || output.value.via === 'derive') return output
      const own = distinct([...output.value.columns, ...columns])
      return { ...output, value: derived([{ ...NOTHING, columns: own, sources: own, clear: output.value.clear }]) }
    }),
    cautions: cautions.filter(({ affects }) => affects.what === 'rows' || affects.what === 'order'),
  }
}

const BODIES_PARSED = new Set(['sql'])
/** Their text tells which tables they work on; more of it nobody reads here. */
const BODIES_READ = new Set(['sql', 'plpgsql'])

/**
 * Of a function in SQL its statements are understood. What one in another language does with the tables that it names nobody knows: all of
 * their columns may matter.
 */
export function cautionsOfBody(of: CatalogFunction, index: CatalogIndex, newWalk: () => Walk): readonly Caution[] {
  const { source, language } = of
  if (source === null || !BODIES_READ.has(language)) return []
  const statements = BODIES_PARSED.has(language) ? parse(source) : null
  if (statements === null) return mentioned(source, index, new Set([of.oid]))
  const walk = newWalk()
  const found: Caution[] = []
  // What it hands out is masked by its type alone.
  for (const { stmt } of statements)
    for (const { value } of statementQuery(walk, null, stmt))
      for (const column of distinct([...value.columns, ...value.sources]))
        found.push({ column, use: 'derive', affects: ROWS })
  return [...walk.cautions.map((caution) => ({ ...caution, affects: ROWS })), ...found]
}

function mentioned(source: string, index: CatalogIndex, seen: Set<number>): readonly Caution[] {
  const words = new Set(source.match(/[\p{L}_][\p{L}\p{N}_$]*/gu)?.flatMap((word) => [word, word.toLowerCase()]))
  const found: Caution[] = []
  for (const relation of index.catalog.relations)
    if (words.has(relation.name) && relation.columns.length > 0 && relation.kind !== 'sequence')
      for (const { attnum } of relation.columns)
        found.push({ column: { tableOid: relation.oid, attnum }, use: 'derive', affects: ROWS })
  for (const other of index.catalog.functions) {
    if (!words.has(other.name) || other.source === null || seen.has(other.oid)) continue
    seen.add(other.oid)
    found.push(...mentioned(other.source, index, seen))
  }
  return found
}
