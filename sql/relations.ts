/**
 * The catalog, indexed: names to relations as PostgreSQL would resolve them, and what hangs on a relation.
 */
import type { Node, RawStmt } from 'libpg-query'
import type { Catalog, CatalogFunction, ForeignKey, Relation } from '../segment/catalog.js'
import { parse } from './parse.js'
import { bodyOf, columnsAssigned } from './reach.js'

/** A foreign key seen from the table it points at. */
export type Reference = { readonly from: Relation; readonly key: ForeignKey }

export class CatalogIndex {
  readonly catalog: Catalog
  readonly #byOid = new Map<number, Relation>()
  readonly #byName = new Map<string, Relation>()
  readonly #functionsByName = new Map<string, CatalogFunction[]>()
  readonly #functionsByOid = new Map<number, CatalogFunction>()
  readonly #referencing = new Map<number, Reference[]>()
  readonly #children = new Map<number, Relation[]>()
  readonly #parsed = new Map<string, readonly RawStmt[] | null>()
  readonly #bodies = new Map<number, readonly Node[] | null>()
  readonly #assigned = new Map<number, ReadonlySet<string> | null>()

  constructor(catalog: Catalog) {
    this.catalog = catalog
    for (const relation of catalog.relations) {
      this.#byOid.set(relation.oid, relation)
      this.#byName.set(`${relation.schema}.${relation.name}`, relation)
      for (const parent of relation.parents) push(this.#children, parent, relation)
      for (const key of relation.foreignKeys) push(this.#referencing, key.referencedOid, { from: relation, key })
    }
    for (const fn of catalog.functions) {
      push(this.#functionsByName, `${fn.schema}.${fn.name}`, fn)
      this.#functionsByOid.set(fn.oid, fn)
    }
  }

  byOid(oid: number): Relation | undefined {
    return this.#byOid.get(oid)
  }

  /** `schema` undefined: along the search path. */
  byName(schema: string | undefined, name: string): Relation | undefined {
    if (schema !== undefined) return this.#byName.get(`${schema}.${name}`)
    for (const path of this.catalog.searchPath) {
      const found = this.#byName.get(`${path}.${name}`)
      if (found) return found
    }
    return undefined
  }

  /** All overloads of a user's function; empty for a built-in one. */
  functions(schema: string | undefined, name: string): readonly CatalogFunction[] {
    if (schema !== undefined) return this.#functionsByName.get(`${schema}.${name}`) ?? []
    for (const path of this.catalog.searchPath) {
      const found = this.#functionsByName.get(`${path}.${name}`)
      if (found) return found
    }
    return []
  }

  functionByOid(oid: number): CatalogFunction | undefined {
    return this.#functionsByOid.get(oid)
  }

  /** A text of the catalog's own (a view, a default), read once. */
  parsed(sql: string): readonly RawStmt[] | null {
    return once(this.#parsed, sql, () => parse(sql))
  }

  /** What a function's body says, read once; null: it cannot be looked into. */
  body(fn: CatalogFunction): readonly Node[] | null {
    return once(this.#bodies, fn.oid, () => bodyOf(fn))
  }

  /** Columns of its own row that a trigger function gives a value of its own; null: any. */
  assigned(fn: CatalogFunction): ReadonlySet<string> | null {
    return once(this.#assigned, fn.oid, () => columnsAssigned(fn))
  }

  /** Foreign keys that point at this table. */
  referencesTo(oid: number): readonly Reference[] {
    return this.#referencing.get(oid) ?? []
  }

  /** Partitions and inheriting tables, direct ones only. */
  children(oid: number): readonly Relation[] {
    return this.#children.get(oid) ?? []
  }

  /** The table that stands for a whole tree of partitions or inheritance, so that access by parent and by child meet. */
  root(relation: Relation): Relation {
    let top = relation
    for (let parent = top.parents[0]; parent !== undefined; parent = top.parents[0]) {
      const next = this.#byOid.get(parent)
      if (!next) break
      top = next
    }
    return top
  }
}

function once<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  if (!known.has(key)) known.set(key, make())
  return known.get(key) as V
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
