/**
 * Names that are none of the schema's: `WHERE name = "Alice"` parses, and Alice is then the name of a column.
 */
import type { RawStmt } from 'libpg-query'
import { mayNameSomebody } from '../sql/column-functions.js'
import { DML, relationNamed } from '../sql/columns.js'
import type { CatalogIndex } from '../sql/relations.js'
import { list, strings, unwrap } from '../sql/tree-walk.js'
import { detect } from './detect.js'
import type { Understanding } from './understanding.js'

/**
 * Only where every table is known, or a column of a temporary table would lose its name and the statement its meaning. Aliases are
 * the author's words and stay, unless a detector says otherwise.
 */
export function unknownNames(
  parsed: readonly RawStmt[],
  { resolver: { index }, vocabulary, masks }: Understanding,
): ReadonlySet<string> {
  const used = new Set<string>()
  const declared = new Set<string>()
  let sure = true
  for (const statement of parsed) {
    if (!DML.has(unwrap(statement.stmt)?.kind ?? '')) continue
    everyObject(statement.stmt, (node) => {
      for (const field of ['name', 'aliasname', 'ctename', 'colname']) {
        const word = node[field]
        if (typeof word === 'string') declared.add(word)
      }
      for (const field of ['colnames', 'aliascolnames'])
        for (const word of strings(list(node, field))) declared.add(word)
      const fields = unwrap(node)?.kind === 'ColumnRef' ? list(unwrap(node)!.body, 'fields') : []
      for (const word of strings(fields)) used.add(word)
    })
    if (strangers(statement, index).length > 0) sure = false
  }
  const unknown = new Set<string>(
    parsed
      .flatMap(wordsOfSettings)
      .filter(([name, word]) => masks.setting(name)(word) !== word)
      .map(([, word]) => word),
  )
  for (const word of [...declared]) if (detect(word).length > 0) unknown.add(word)
  if (!sure) return unknown
  for (const word of used) if (!declared.has(word) && !vocabulary.knows(word) && !SYSTEM.has(word)) unknown.add(word)
  return unknown
}

/** Tables that a statement names and the catalog does not: temporary ones, or made since. */
export function strangers(statement: RawStmt, index: CatalogIndex): readonly string[] {
  if (!DML.has(unwrap(statement.stmt)?.kind ?? '')) return []
  const ctes = new Set<string>()
  const unknown = new Set<string>()
  everyObject(statement.stmt, (node) => {
    if (typeof node.ctename === 'string') ctes.add(node.ctename)
  })
  everyObject(statement.stmt, (node) => {
    if (typeof node.relname !== 'string') return
    const schema = typeof node.schemaname === 'string' ? node.schemaname : undefined
    if (relationNamed(index, schema, node.relname) !== undefined || (schema === undefined && ctes.has(node.relname)))
      return
    unknown.add(schema === undefined ? node.relname : `${schema}.${node.relname}`)
  })
  return [...unknown]
}

/** `SET app.user TO alice`: a value without quotes. */
function wordsOfSettings(statement: RawStmt): [setting: string, word: string][] {
  const set = unwrap(statement.stmt)
  const name = String(set?.body.name ?? '').toLowerCase()
  if (set?.kind !== 'VariableSetStmt' || !mayNameSomebody(name)) return []
  const words: [string, string][] = []
  everyObject(list(set.body, 'args'), (node) => {
    if (typeof node.sval === 'string') words.push([name, node.sval])
  })
  return words
}

/** Some nodes stand bare in the tree, without the name of their kind: a target table and its alias. */
function everyObject(value: unknown, visit: (node: Readonly<Record<string, unknown>>) => void): void {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) visit(value as Record<string, unknown>)
  for (const child of Object.values(value)) everyObject(child, visit)
}

/** Columns every table has, and what set-returning functions call theirs. */
const SYSTEM = new Set(
  'ctid xmin xmax cmin cmax tableoid unnest generate_series key value ordinality column1 column2 column3'.split(' '),
)
