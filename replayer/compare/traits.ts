/**
 * What a text says about its results: their order, what in them is chance, where their columns come from, which tables take part.
 * Once per text; only statements whose outcomes differ come here.
 */
import type { Relation } from '../../segment/catalog.js'
import type { ColumnRef, ColumnResolver, ResolvedColumns, ResultColumn, SlotFacts } from '../../sql/columns.js'
import { type Insertion, insertionsOf } from '../../sql/insertions.js'
import { lex } from '../../sql/lex.js'
import { literalValue } from '../../sql/literal.js'
import {
  type Chance,
  chanceInText,
  DETERMINISTIC,
  type Nondeterminism,
  nondeterminism,
} from '../../sql/nondeterminism.js'
import { columnName, type Ordering, ordering, UNORDERED } from '../../sql/order-by.js'
import { parse } from '../../sql/parse.js'
import { isWrite } from '../../sql/touch.js'
import { TouchReader } from '../../sql/touch-statement.js'
import { type TreeNode, unwrap, walk } from '../../sql/tree-walk.js'

export type Traits = {
  readonly ordering: Ordering
  readonly chance: Nondeterminism
  /** null: nobody knows which columns it returns. */
  readonly results: readonly ResultColumn[] | null
  /** Named in the text, and through views. */
  readonly relations: readonly Relation[]
  /** Written by the text itself, and by triggers and cascades on what it writes. */
  readonly written: readonly Relation[]
  /** It has a DELETE. */
  readonly removes: boolean
  /** Names of columns by which the text, or a view it reads, chooses, joins, sorts or computes; not those it only shows. */
  readonly columnNames: ReadonlySet<string>
  /** Rows that it makes, by table. */
  readonly insertions: ReadonlyMap<number, Insertion>
  /** Columns that a parameter is compared with for equality, by its number. */
  readonly sought: readonly { readonly parameter: number; readonly column: ColumnRef }[]
  /** Parameters by number, and values of literals, that the text gives columns that it writes. */
  readonly given: readonly { readonly value: number | string; readonly column: ColumnRef }[]
  /** Columns that a parameter or a literal is compared with. */
  readonly lookedUp: readonly ColumnRef[]
}

const NOTHING: Traits = {
  ordering: UNORDERED,
  chance: DETERMINISTIC,
  results: null,
  relations: [],
  written: [],
  removes: false,
  columnNames: new Set(),
  insertions: new Map(),
  sought: [],
  given: [],
  lookedUp: [],
}

const TEXTS_MAX = 5_000
const WRITES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'CopyStmt'])

export class TraitReader {
  readonly #resolver: ColumnResolver
  readonly #functions: ReadonlyMap<string, Chance>
  readonly #texts = new Map<string, Traits>()
  readonly #touches: TouchReader

  constructor(resolver: ColumnResolver) {
    this.#resolver = resolver
    this.#touches = new TouchReader(resolver.index)
    const { functions } = resolver.index.catalog
    this.#functions = new Map(
      functions.map(({ name, source }) => [name, source === null ? 'none' : chanceInText(source)]),
    )
  }

  of(sql: string): Traits {
    let traits = this.#texts.get(sql)
    if (traits === undefined) {
      traits = this.#read(sql)
      if (this.#texts.size >= TEXTS_MAX) this.#texts.delete(this.#texts.keys().next().value ?? '')
      this.#texts.set(sql, traits)
    }
    return traits
  }

  #read(sql: string): Traits {
    const statements = parse(sql)
    const tree = statements?.[0]?.stmt
    if (statements === null || tree === undefined) return NOTHING
    const found = new Found(this.#resolver)
    found.look(tree)
    // What a function of the schema's own writes stands in its body.
    if (this.#functions.size > 0 && found.calls(this.#functions))
      for (const { relation, mode } of this.#touches.touch(sql).accesses) if (isWrite(mode)) found.writes(relation)
    const resolved = this.#resolver.resolve(statements)
    return {
      ordering: ordering(tree),
      chance: nondeterminism(tree, (name) => this.#functions.get(name) ?? 'none'),
      results: resolved.statements[0]?.results ?? null,
      relations: [...found.relations],
      written: [...found.written],
      removes: found.removes,
      columnNames: found.columnNames,
      insertions: insertionsOf(statements.slice(0, 1), this.#resolver.index),
      sought: soughtColumns(resolved),
      given: givenColumns(sql, resolved),
      lookedUp: [...resolved.parameters.values(), ...resolved.literals.values()].flatMap(comparedWith),
    }
  }
}

function soughtColumns({ parameters }: ResolvedColumns): Traits['sought'] {
  return [...parameters].flatMap(([parameter, { array, bindings }]) =>
    array ? [] : bindings.flatMap(({ column, use }) => (use === 'equal' ? [{ parameter, column }] : [])),
  )
}

function givenColumns(sql: string, { parameters, literals }: ResolvedColumns): Traits['given'] {
  const stores = ({ array, bindings }: SlotFacts) =>
    array ? [] : bindings.flatMap(({ column, use }) => (use === 'store' && column.path === undefined ? [column] : []))
  const { starts, ends, forms } = lex(sql)
  const valueAt = new Map(
    literals.size === 0
      ? []
      : starts.map((start, slot) => [
          Buffer.byteLength(sql.slice(0, start)),
          literalValue(sql.slice(start, ends[slot]), forms[slot]!),
        ]),
  )
  return [
    ...[...parameters].flatMap(([value, facts]) => stores(facts).map((column) => ({ value, column }))),
    ...[...literals].flatMap(([at, facts]) =>
      stores(facts).flatMap((column) => {
        const value = valueAt.get(at)
        return value === undefined ? [] : [{ value, column }]
      }),
    ),
  ]
}

function comparedWith({ bindings }: SlotFacts): readonly ColumnRef[] {
  return bindings.flatMap(({ column, use }) => (use === 'store' || use === 'derive' ? [] : [column]))
}

function lastName(names: unknown): string {
  const last = Array.isArray(names) ? unwrap(names.at(-1)) : null
  return last?.kind === 'String' ? String(last.body.sval ?? '') : ''
}

class Found {
  readonly relations = new Set<Relation>()
  readonly written = new Set<Relation>()
  readonly columnNames = new Set<string>()
  readonly #called = new Set<string>()
  removes = false
  readonly #resolver: ColumnResolver

  constructor(resolver: ColumnResolver) {
    this.#resolver = resolver
  }

  look(tree: unknown): void {
    walk(tree, (node) => {
      const { kind, body } = node
      if (kind === 'RangeVar') this.#note(body)
      if (kind === 'ResTarget' && unwrap(body.val)?.kind === 'ColumnRef') return false
      if (kind === 'ColumnRef') this.columnNames.add(columnName({ ColumnRef: body }))
      if (kind === 'DeleteStmt') this.removes = true
      if (kind === 'FuncCall') this.#called.add(lastName(body.funcname))
      if (WRITES.has(kind)) this.#noteWrite(node)
      return undefined
    })
  }

  calls(functions: ReadonlyMap<string, unknown>): boolean {
    return [...this.#called].some((name) => functions.has(name))
  }

  writes(relationOid: number): void {
    const relation = this.#resolver.index.byOid(relationOid)
    if (relation !== undefined) this.#writes(relation)
  }

  /** The table that a statement writes stands bare in its tree. */
  #noteWrite({ body }: TreeNode): void {
    const target = body.relation
    if (typeof target !== 'object' || target === null) return
    const relation = this.#note(target as TreeNode['body'])
    if (relation !== undefined) this.#writes(relation)
  }

  #note(body: TreeNode['body']): Relation | undefined {
    const relation = this.#resolver.index.byName(body.schemaname as string | undefined, String(body.relname ?? ''))
    if (relation === undefined || this.relations.has(relation)) return relation
    this.relations.add(relation)
    if (relation.viewSql !== null) for (const statement of parse(relation.viewSql) ?? []) this.look(statement.stmt)
    return relation
  }

  #writes(relation: Relation): void {
    if (this.written.has(relation)) return
    this.written.add(relation)
    const { index } = this.#resolver
    for (const { functionOid, enabled } of relation.triggers) {
      const source = enabled ? (index.functionByOid(functionOid)?.source ?? '') : ''
      for (const [word] of source.toLowerCase().matchAll(/[a-z_][a-z0-9_$]*/g)) {
        const named = index.byName(undefined, word)
        if (named !== undefined) this.#writes(named)
      }
    }
    for (const { from, key } of index.referencesTo(relation.oid)) if (key.onDelete === 'cascade') this.#writes(from)
  }
}
