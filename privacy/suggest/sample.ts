/**
 * A look at the values of a live database, for guessing kinds and for finding leaks. They stay in memory.
 */
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import type { CatalogClient } from '../../sql/read-catalog.js'
import { Types } from '../types.js'
import type { Sample } from './kind-of-column.js'

export type Samples = ReadonlyMap<string, Sample>

const VALUES_MAX = 300
const TEXT_MAX = 400
const TABLE_LIMIT = '10s'

export function sampleKey(tableOid: number, attnum: number): string {
  return `${tableOid} ${attnum}`
}

/** In one read-only transaction with a time limit per table; a table that cannot be read is left out. */
export async function sampleColumns(client: CatalogClient, catalog: Catalog): Promise<Samples> {
  const types = new Types(catalog)
  const found = new Map<string, Sample>()
  await client.query('BEGIN READ ONLY')
  try {
    await client.query(`SET LOCAL statement_timeout = '${TABLE_LIMIT}'`)
    const listed = await listedColumns(client)
    for (const relation of catalog.relations) {
      if (relation.kind !== 'table' && relation.kind !== 'partitioned' && relation.kind !== 'matview') continue
      const columns = relation.columns.filter((column) => {
        const type = types.of(column.typeOid)
        return ['text', 'json', 'network'].includes((type.element ?? type).class)
      })
      if (columns.length === 0) continue
      const rows = await sampleTable(client, relation, columns)
      columns.forEach((column, at) => {
        const values = rows.flatMap((row) => (row[`c${at}`] == null ? [] : [String(row[`c${at}`])]))
        const unique = relation.uniques.some((key) => key.columns.length === 1 && key.columns[0] === column.attnum)
        found.set(sampleKey(relation.oid, column.attnum), {
          values,
          unique,
          listed: listed.has(sampleKey(relation.oid, column.attnum)),
        })
      })
    }
  } finally {
    await client.query('ROLLBACK')
  }
  return found
}

async function sampleTable(
  client: CatalogClient,
  relation: Relation,
  columns: readonly CatalogColumn[],
): Promise<readonly Record<string, unknown>[]> {
  const list = columns.map((column, at) => `left(${quoted(column.name)}::text, ${TEXT_MAX}) AS c${at}`)
  await client.query('SAVEPOINT table_sample')
  try {
    const { rows } = await client.query(
      `SELECT ${list.join(', ')} FROM ${quoted(relation.schema)}.${quoted(relation.name)} LIMIT ${VALUES_MAX}`,
    )
    return rows
  } catch {
    // No right to read it, or too slow: the name and the type must do.
    await client.query('ROLLBACK TO SAVEPOINT table_sample')
    return []
  }
}

/** Columns whose CHECK says `IN (…)`: PostgreSQL prints it as `= ANY (ARRAY[…])`. */
async function listedColumns(client: CatalogClient): Promise<ReadonlySet<string>> {
  const { rows } = await client.query(
    `SELECT conrelid::int8::text AS oid, conkey[1]::text AS attnum FROM pg_catalog.pg_constraint
     WHERE contype = 'c' AND cardinality(conkey) = 1 AND pg_catalog.pg_get_constraintdef(oid) ~ '= ANY \\(+ARRAY\\['`,
  )
  return new Set(rows.map((row) => `${row.oid} ${row.attnum}`))
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
