/**
 * A table as gathering meets it, worked out once: its set, what names its rows, how its keys compare.
 */
import type { CatalogColumn, Relation } from '../../segment/catalog.js'
import type { CatalogIndex } from '../../sql/relations.js'
import { identityOf } from '../../sql/touch.js'
import type { Names } from './names.js'

export type Table = {
  readonly relation: Relation
  readonly set: number
  /** Unique key that names a row; -1: nothing does. */
  readonly identity: number
  /** Columns of each unique key; undefined stands for an expression. */
  readonly keyColumns: readonly (readonly (CatalogColumn | undefined)[])[]
  /** The sequence whose values alone name a row; 0: none. */
  readonly identitySequence: number
}

export class Tables {
  readonly #index: CatalogIndex
  readonly #names: Names
  readonly #tables = new Map<number, Table | null>()

  constructor(index: CatalogIndex, names: Names) {
    this.#index = index
    this.#names = names
  }

  get(oid: number): Table | null {
    let table = this.#tables.get(oid)
    if (table === undefined) {
      const relation = this.#index.byOid(oid)
      table = relation ? this.#tableOf(relation) : null
      this.#tables.set(oid, table)
    }
    return table
  }

  /** The set of a unique key's values. */
  keySet(table: Table, unique: number): number {
    return unique === table.identity ? table.set : this.#names.set('key', `${table.relation.oid} ${unique}`)
  }

  /** The sequence a column of some table draws from; 0: none. */
  sequenceOf(tableOid: number, attnum: number): number {
    const relation = tableOid === 0 ? undefined : this.get(tableOid)?.relation
    return relation?.columns.find((column) => column.attnum === attnum)?.sequenceOid ?? 0
  }

  #tableOf(relation: Relation): Table {
    const identity = identityOf(relation)
    const keyColumns = relation.uniques.map(({ columns }) =>
      columns.map((attnum) => relation.columns.find((column) => column.attnum === attnum)),
    )
    const named = identity < 0 ? [] : keyColumns[identity]!
    return {
      relation,
      set: this.#names.set('table', relation.oid),
      identity,
      keyColumns,
      identitySequence: named.length === 1 ? (named[0]?.sequenceOid ?? 0) : 0,
    }
  }
}
