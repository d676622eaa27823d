/**
 * Names that are none of the schema's: `WHERE name = "Alice"` parses, and Alice is then the name of a column.
 */
import type { RawStmt } from 'libpg-query'
import type { CatalogIndex } from '../sql/relations.js'
import { list, strings, unwrap, walk } from '../sql/tree-walk.js'
import { detect } from './detect.js'
import type { Vocabulary } from './vocabulary.js'

const DML = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/**
 * Only where every table is known, or a column of a temporary table would lose its name and the statement its meaning. Aliases are
 * the author's words and stay, unless a detector says otherwise.
 */
export function unknownNames(
  parsed: readonly RawStmt[],
  index: CatalogIndex,
  vocabulary: Vocabulary,
): ReadonlySet<string> {
  const used = new Set<string>()
  const declared = new Set<string>()
  const ctes = new Set<string>()
  let sure = true
  for (const statement of parsed) {
    if (!DML.has(unwrap(statement.stmt)?.kind ?? '')) continue
    walk(statement.stmt, ({ kind, body }) => {
      for (const field of ['name', 'aliasname', 'ctename', 'colname']) {
        const word = body[field]
        if (typeof word === 'string') declared.add(word)
      }
      for (const field of ['alias', 'relation']) {
        const inner = body[field] as Readonly<Record<string, unknown>> | undefined
        if (typeof inner?.aliasname === 'string') declared.add(inner.aliasname)
        for (const word of strings(list(inner ?? {}, 'colnames'))) declared.add(word)
      }
      for (const word of strings(list(body, 'aliascolnames'))) declared.add(word)
      if (kind === 'CommonTableExpr' && typeof body.ctename === 'string') ctes.add(body.ctename)
      if (kind === 'ColumnRef') for (const word of strings(list(body, 'fields'))) used.add(word)
      return true
    })
    walk(statement.stmt, ({ kind, body }) => {
      if (kind !== 'RangeVar') return true
      const name = String(body.relname)
      const schema = typeof body.schemaname === 'string' ? body.schemaname : undefined
      if (index.byName(schema, name) === undefined && !(schema === undefined && ctes.has(name))) sure = false
      return true
    })
  }
  const unknown = new Set<string>()
  for (const word of [...declared]) if (detect(word).length > 0) unknown.add(word)
  if (!sure) return unknown
  for (const word of used) if (!declared.has(word) && !vocabulary.knows(word) && !SYSTEM.has(word)) unknown.add(word)
  return unknown
}

/** Columns every table has, and what set-returning functions call theirs. */
const SYSTEM = new Set(
  'ctid xmin xmax cmin cmax tableoid unnest generate_series key value ordinality column1 column2 column3'.split(' '),
)
