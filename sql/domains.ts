/**
 * Domains of generated values: a column whose default makes its values, together with the foreign keys that point at it.
 * A value of a domain means the same row everywhere in it, and nothing outside it: 42 in another column stays 42.
 */
import type { Catalog, Relation, SequencePosition } from '../segment/catalog.js'
import { chanceInText } from './nondeterminism.js'

export type Domain = {
  /** The column that generates: `payments.payment_id`, with the schema where the search path finds another table by that name, or none. */
  readonly name: string
  /** The same, as `columnName`. */
  readonly owner: string
  /** Its table. */
  readonly ownerOid: number
  readonly source: 'random' | 'sequence'
  /** Where its sequence stood when the catalog was read; undefined: it has none, or nobody knows. */
  readonly position?: SequencePosition
}

/** By `columnName(tableOid, attnum)`. */
export type Domains = ReadonlyMap<string, Domain>

export function columnName(tableOid: number, attnum: number): string {
  return `${tableOid}.${attnum}`
}

export function domainsOf(catalog: Catalog): Domains {
  const domains = new Map<string, Domain>()
  const found = new Map<string, string>()
  for (const schema of catalog.searchPath)
    for (const relation of catalog.relations)
      if (relation.schema === schema && !found.has(relation.name)) found.set(relation.name, schema)
  const tableName = ({ schema, name }: Relation) => (found.get(name) === schema ? name : `${schema}.${name}`)
  const positions = new Map(catalog.relations.map(({ oid, position }) => [oid, position]))
  for (const relation of catalog.relations) {
    for (const column of relation.columns) {
      const source =
        column.sequenceOid !== 0 ? 'sequence' : chanceInText(column.default ?? '') === 'random' ? 'random' : null
      const position = positions.get(column.sequenceOid)
      const owner = columnName(relation.oid, column.attnum)
      if (source)
        domains.set(owner, {
          name: `${tableName(relation)}.${column.name}`,
          owner,
          ownerOid: relation.oid,
          source,
          ...(position && { position }),
        })
    }
  }
  // Foreign keys may point at foreign keys, so their domain spreads until nothing changes.
  for (let changed = true; changed; ) {
    changed = false
    for (const relation of catalog.relations) {
      for (const key of relation.foreignKeys) {
        key.columns.forEach((attnum, i) => {
          const own = columnName(relation.oid, attnum)
          const referenced = domains.get(columnName(key.referencedOid, key.referencedColumns[i] ?? 0))
          if (!referenced || domains.has(own)) return
          domains.set(own, referenced)
          changed = true
        })
      }
    }
  }
  return domains
}

/** May this value have been drawn since the catalog was read? What the sequence had passed by then was there before. */
export function mayBeDrawn({ position }: Pick<Domain, 'position'>, value: string): boolean {
  if (position === undefined || position.next === null || !/^-?\d+$/.test(value)) return true
  const ahead = BigInt(value) - BigInt(position.next)
  return position.increment < 0 ? ahead <= 0n : ahead >= 0n
}
