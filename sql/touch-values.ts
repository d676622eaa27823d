/**
 * Which columns of a FROM list a condition binds to values: `a.id = $1 AND b.a_id = a.id AND b.no IN (1, 2)`.
 *
 * Only conditions that every result row must satisfy may come in here (WHERE and inner-join conditions, joined by AND).
 */
import type { Node } from 'libpg-query'
import type { Relation } from '../segment/catalog.js'
import type { RowKey, Value } from './touch.js'

/** A named thing in FROM; `relation` is null for a subquery, a function or a WITH query. */
export type FromItem = { readonly alias: string; readonly relation: Relation | null }

export class Bindings {
  readonly #items: readonly FromItem[]
  /** Columns known to be equal point at one representative. */
  readonly #parent = new Map<string, string>()
  readonly #values = new Map<string, readonly Value[]>()

  constructor(items: readonly FromItem[]) {
    this.#items = items
  }

  condition(node: Node | undefined): void {
    if (!node) return
    if ('BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR') {
      for (const part of node.BoolExpr.args ?? []) this.condition(part)
      return
    }
    if (!('A_Expr' in node)) return
    const { kind, name, lexpr, rexpr } = node.A_Expr
    if (!lexpr || !rexpr || operator(name) !== '=') return
    if (kind === 'AEXPR_OP') this.#equal(lexpr, rexpr)
    else if (kind === 'AEXPR_IN' && 'List' in rexpr) this.#among(lexpr, rexpr.List.items ?? [])
    else if (kind === 'AEXPR_OP_ANY') {
      const array = uncast(rexpr)
      if ('ParamRef' in array) this.#bind(lexpr, [{ kind: 'elements', number: array.ParamRef.number ?? 0 }])
      else if ('A_ArrayExpr' in array) this.#among(lexpr, array.A_ArrayExpr.elements ?? [])
    }
  }

  /** `JOIN … USING (a)` */
  using(left: readonly FromItem[], right: readonly FromItem[], column: string): void {
    const sides = [left, right].map((items) => items.filter((item) => hasColumn(item.relation, column)))
    const [l, r] = [sides[0]![0], sides[1]![0]]
    if (l && r && sides[0]!.length === 1 && sides[1]!.length === 1)
      this.#union(`${l.alias}.${column}`, `${r.alias}.${column}`)
  }

  /** Unique keys of this item whose every column is bound. */
  keys(item: FromItem): RowKey[] {
    const { relation } = item
    if (!relation) return []
    const found: RowKey[] = []
    relation.uniques.forEach((unique, index) => {
      if (unique.predicate !== null || unique.columns.includes(0)) return
      const values = unique.columns.map((attnum) => {
        const name = relation.columns.find((column) => column.attnum === attnum)?.name
        return name === undefined ? undefined : this.#values.get(this.#find(`${item.alias}.${name}`))
      })
      if (values.every((value) => value !== undefined)) found.push({ unique: index, values: values as Value[][] })
    })
    return found
  }

  #equal(left: Node, right: Node): void {
    if ('RowExpr' in left && 'RowExpr' in right) {
      const rights = right.RowExpr.args ?? []
      ;(left.RowExpr.args ?? []).forEach((part, i) => {
        const other = rights[i]
        if (other) this.#equal(part, other)
      })
      return
    }
    const [l, r] = [this.#column(left), this.#column(right)]
    if (l && r) this.#union(l, r)
    else if (l) this.#bind(left, values([right]))
    else if (r) this.#bind(right, values([left]))
  }

  #among(column: Node, nodes: readonly Node[]): void {
    this.#bind(column, values(nodes))
  }

  #bind(column: Node, bound: readonly Value[] | null): void {
    const name = this.#column(column)
    if (!name || !bound) return
    const root = this.#find(name)
    const old = this.#values.get(root)
    if (!old || bound.length < old.length) this.#values.set(root, bound)
  }

  #column(node: Node): string | undefined {
    if (!('ColumnRef' in node)) return undefined
    const names = (node.ColumnRef.fields ?? []).map((field) => ('String' in field ? (field.String.sval ?? '') : null))
    if (names.includes(null)) return undefined
    if (names.length >= 2) {
      const [qualifier, column] = names.slice(-2) as [string, string]
      return this.#items.some((item) => item.alias === qualifier) ? `${qualifier}.${column}` : undefined
    }
    const column = names[0]!
    const owners = this.#items.filter((item) => hasColumn(item.relation, column))
    // A subquery could own the name as well; then we cannot know.
    const opaque = this.#items.some((item) => item.relation === null)
    return owners.length === 1 && !opaque ? `${owners[0]!.alias}.${column}` : undefined
  }

  #union(a: string, b: string): void {
    const [rootA, rootB] = [this.#find(a), this.#find(b)]
    if (rootA === rootB) return
    this.#parent.set(rootA, rootB)
    const value = this.#values.get(rootA)
    if (value && !this.#values.has(rootB)) this.#values.set(rootB, value)
  }

  #find(name: string): string {
    let root = name
    for (let next = this.#parent.get(root); next !== undefined; next = this.#parent.get(root)) root = next
    return root
  }
}

/** All of them as values; null when one is an expression we cannot evaluate. */
export function values(nodes: readonly Node[]): readonly Value[] | null {
  const all = nodes.map(constantOf)
  return all.every((value) => value !== null) ? (all as Value[]) : null
}

export function constantOf(node: Node): Value | null {
  const bare = uncast(node)
  if ('ParamRef' in bare) return { kind: 'parameter', number: bare.ParamRef.number ?? 0 }
  if (!('A_Const' in bare)) return null
  const constant = bare.A_Const
  if (constant.isnull) return { kind: 'null' }
  if (constant.ival) return { kind: 'constant', text: String(constant.ival.ival ?? 0) }
  if (constant.fval) return { kind: 'constant', text: constant.fval.fval ?? '0' }
  if (constant.sval) return { kind: 'constant', text: constant.sval.sval ?? '' }
  if (constant.boolval) return { kind: 'constant', text: constant.boolval.boolval ? 't' : 'f' }
  return null
}

export function operator(name: readonly Node[] | undefined): string {
  const last = name?.at(-1)
  return last && 'String' in last ? (last.String.sval ?? '') : ''
}

function uncast(node: Node): Node {
  // A cast with a length may cut the value.
  const plain = 'TypeCast' in node && (node.TypeCast.typeName?.typmods?.length ?? 0) === 0
  return plain && node.TypeCast.arg ? uncast(node.TypeCast.arg) : node
}

function hasColumn(relation: Relation | null, column: string): boolean {
  return relation?.columns.some((candidate) => candidate.name === column) ?? false
}
