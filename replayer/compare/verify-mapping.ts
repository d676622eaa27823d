/** What each table of V1 became on V2, as a query: the mapping asks V2 for all rows and columns in V1's form, as a replay would. */
import type { Catalog } from '../../segment/catalog.js'
import type { Rewriter } from '../rewrite/rewriter.js'
import { quoted } from './verify-sql.js'

/** By the table's name, qualified where V1's search path does not find it. */
export function mappedTables(catalog: Catalog, rewriter: Pick<Rewriter, 'of'>): Readonly<Record<string, string>> {
  const mapped: [string, string][] = []
  for (const { schema, name, kind, columns } of catalog.relations) {
    if (kind !== 'table' && kind !== 'partitioned') continue
    const list = columns.map((column) => quoted(column.name)).join(', ')
    const said = rewriter.of(`SELECT ${list} FROM ${quoted(schema)}.${quoted(name)}`)
    if (said !== null) mapped.push([catalog.searchPath.includes(schema) ? name : `${schema}.${name}`, said.sql])
  }
  return Object.fromEntries(mapped)
}
