/**
 * Domains of generated values: a column whose default makes its values, together with the foreign keys that point at it.
 * A value of a domain means the same row everywhere in it, and nothing outside it: 42 in another column stays 42.
 */
import type { Catalog } from '../segment/catalog.js'
import { chanceInText } from './nondeterminism.js'

export type Domain = {
  /** `payments.payment_id`: the column that generates. */
  readonly name: string
  readonly source: 'random' | 'sequence'
}

/** By `columnName(tableOid, attnum)`. */
export type Domains = ReadonlyMap<string, Domain>

export function columnName(tableOid: number, attnum: number): string {
  return `${tableOid}.${attnum}`
}

export function domainsOf(catalog: Catalog): Domains {
  const domains = new Map<string, Domain>()
  for (const relation of catalog.relations) {
    for (const column of relation.columns) {
      const source =
        column.sequenceOid !== 0 ? 'sequence' : chanceInText(column.default ?? '') === 'random' ? 'random' : null
      if (source)
        domains.set(columnName(relation.oid, column.attnum), { name: `${relation.name}.${column.name}`, source })
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
