/**
 * What the catalog says about the columns that results come from: their names, what their defaults put there, and which
 * columns hold the same generated values.
 */
import type { CatalogColumn, Relation, SequencePosition } from '../../segment/catalog.js'
import type { ColumnResolver } from '../../sql/columns.js'
import { columnName, type Domains, domainsOf } from '../../sql/domains.js'
import { type Chance, chanceInText } from '../../sql/nondeterminism.js'
import type { CatalogIndex } from '../../sql/relations.js'

export type Origin = {
  readonly relation: Relation
  readonly column: CatalogColumn
  /** `users`, or `audit.users` when the schema is not searched. */
  readonly table: string
  readonly chance: Chance
  readonly domain: string | null
  /** What generates the domain's values. */
  readonly source: 'random' | 'sequence' | null
  /** Where its sequence stood when the recording began; null: it has none, or nobody knows. */
  readonly position: SequencePosition | null
  /** The domain is this column's own: it generates. */
  readonly owns: boolean
  /** Table of the column that generates; 0 without a domain. */
  readonly ownerOid: number
  /** Table that a foreign key of this column points at; empty without one. */
  readonly references: string
}

const VIEWS_DEEP_MAX = 10

export class Origins {
  readonly #index: CatalogIndex
  readonly #resolver: ColumnResolver
  readonly #domains: Domains
  readonly #known = new Map<string, Origin | null>()

  constructor(resolver: ColumnResolver) {
    this.#resolver = resolver
    this.#index = resolver.index
    this.#domains = domainsOf(resolver.index.catalog)
  }

  of(relationOid: number, attnum: number): Origin | null {
    const key = columnName(relationOid, attnum)
    let origin = this.#known.get(key)
    if (origin === undefined) {
      origin = this.#find(relationOid, attnum)
      this.#known.set(key, origin)
    }
    return origin
  }

  /** Columns of tables that this one is made of, through views: `lines.net` for a view's sum; itself, where it is a table's. */
  baseOf(relationOid: number, attnum: number, depth = 0): readonly string[] {
    const made = depth < VIEWS_DEEP_MAX ? this.#resolver.madeOf(relationOid, attnum) : null
    if (made !== null)
      return [...new Set(made.flatMap((column) => this.baseOf(column.tableOid, column.attnum, depth + 1)))]
    const origin = this.of(relationOid, attnum)
    return origin === null ? [] : [`${origin.table}.${origin.column.name}`]
  }

  /** The one column of that name among the relations; null when there are several or none. */
  named(relations: readonly Relation[], name: string): Origin | null {
    const found = relations.flatMap(({ oid, columns }) =>
      columns.filter((column) => column.name === name).map(({ attnum }) => ({ oid, attnum })),
    )
    return found.length === 1 ? this.of(found[0]!.oid, found[0]!.attnum) : null
  }

  tableName({ schema, name }: Relation): string {
    return this.#index.catalog.searchPath.includes(schema) ? name : `${schema}.${name}`
  }

  /** Empty: no view. */
  viewName(relationOid: number): string {
    const relation = this.#index.byOid(relationOid)
    return relation === undefined || relation.viewSql === null ? '' : this.tableName(relation)
  }

  #find(relationOid: number, attnum: number): Origin | null {
    const relation = this.#index.byOid(relationOid)
    const column = relation?.columns.find((one) => one.attnum === attnum)
    if (relation === undefined || column === undefined) return null
    // A view's column is the table's, where it is handed through as it is.
    const below = relation.viewSql === null ? null : this.#resolver.below(relationOid, attnum)
    if (below?.length === 1) return this.of(below[0]!.tableOid, below[0]!.attnum)
    const domain = this.#domains.get(columnName(relationOid, attnum))
    const pointsAt = relation.foreignKeys.find(({ columns }) => columns.includes(attnum))
    const referenced = pointsAt === undefined ? undefined : this.#index.byOid(pointsAt.referencedOid)
    return {
      relation,
      column,
      table: this.tableName(relation),
      chance: chanceOfColumn(column),
      domain: domain?.name ?? null,
      source: domain?.source ?? null,
      position: domain?.position ?? null,
      ownerOid: domain?.ownerOid ?? 0,
      owns: domain?.owner === columnName(relationOid, attnum),
      references: referenced === undefined ? '' : this.tableName(referenced),
    }
  }
}

function chanceOfColumn(column: CatalogColumn): Chance {
  if (column.identity !== '' || column.sequenceOid !== 0) return 'sequence'
  return column.default === null ? 'none' : chanceInText(column.default)
}
