/**
 * The schema, as planning, masking and comparison need it. Part of the manifest: a recording can be planned offline.
 */

export type RelationKind = 'table' | 'partitioned' | 'view' | 'matview' | 'foreign' | 'sequence' | 'composite'

export type CatalogColumn = {
  readonly attnum: number
  readonly name: string
  readonly typeOid: number
  /** As format_type prints it: `character varying(32)`. */
  readonly type: string
  readonly typmod: number
  readonly notNull: boolean
  /** Text of the default expression; null without one. */
  readonly default: string | null
  /** `a` always, `d` by default, empty: not an identity column. */
  readonly identity: 'a' | 'd' | ''
  /** `s` stored, `v` virtual, empty: not generated. */
  readonly generated: 's' | 'v' | ''
  /** Sequence the default or identity draws from. */
  readonly sequenceOid: number
  readonly comment: string
}

export type UniqueKey = {
  readonly name: string
  readonly primary: boolean
  /** Attribute numbers; 0 stands for an expression. */
  readonly columns: readonly number[]
  /** A partial index is unique only among some rows. */
  readonly predicate: string | null
}

export type ForeignKeyAction = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default'

export type ForeignKey = {
  readonly name: string
  readonly columns: readonly number[]
  readonly referencedOid: number
  readonly referencedColumns: readonly number[]
  readonly onUpdate: ForeignKeyAction
  readonly onDelete: ForeignKeyAction
  /** INITIALLY DEFERRED: looked at by COMMIT. Recordings of older builds do not say. */
  readonly deferred?: boolean
}

export type Trigger = {
  readonly name: string
  readonly timing: 'before' | 'after' | 'instead'
  readonly events: readonly ('insert' | 'update' | 'delete' | 'truncate')[]
  readonly functionOid: number
  readonly enabled: boolean
}

export type Relation = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: RelationKind
  /** `p` permanent, `u` unlogged, `t` temporary. */
  readonly persistence: 'p' | 'u' | 't'
  readonly columns: readonly CatalogColumn[]
  readonly uniques: readonly UniqueKey[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly triggers: readonly Trigger[]
  /** Rewrite rules other than a view's own. */
  readonly rules: readonly string[]
  /** Tables it inherits from or is a partition of. */
  readonly parents: readonly number[]
  /** Query of a view; null for others. */
  readonly viewSql: string | null
  readonly rowSecurity: boolean
  /** Of a sequence; recordings made before positions were kept have none. */
  readonly position?: SequencePosition
}

/** Where a sequence stood when the catalog was read. */
export type SequencePosition = {
  /** What the next draw gets; null: it could not be seen, or nobody had drawn yet. */
  readonly next: number | null
  readonly increment: number
}

export type CatalogType = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: 'base' | 'enum' | 'domain' | 'composite' | 'range' | 'multirange' | 'array' | 'pseudo'
  /** Element of an array, base of a domain, subtype of a range; 0 otherwise. */
  readonly ofOid: number
  readonly labels: readonly string[]
  readonly attributes: readonly { readonly name: string; readonly typeOid: number }[]
}

export type CatalogFunction = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly argumentTypes: readonly number[]
  readonly returnsType: number
  /** Rows, not a value; absent where nobody asked. */
  readonly returnsSet?: boolean
  readonly volatility: 'immutable' | 'stable' | 'volatile'
  readonly language: string
  /** Body, for languages whose body can be read (sql, plpgsql); null otherwise. */
  readonly source: string | null
}

/** System types are left out of `types` (their oids are fixed); system functions and relations as well. */
export type Catalog = {
  readonly database: string
  readonly serverVersionNum: number
  readonly searchPath: readonly string[]
  readonly relations: readonly Relation[]
  readonly types: readonly CatalogType[]
  readonly functions: readonly CatalogFunction[]
}
