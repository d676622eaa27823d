/**
 * Which index would lead to the rows that a plan finds by reading all of them? From the filter as EXPLAIN writes it: columns that are
 * compared for equality first, then what the rows are sorted by, or one that is compared by range. Pure.
 */
import type { ExplainedPlan, PlanNode } from '../../../segment/explained.js'
import { parse } from '../../../sql/parse.js'
import { type TreeNode, unwrap } from '../../../sql/tree-walk.js'
import { worstScan } from './plan-changes.js'
import { nodesOf } from './plan-tree.js'

export type IndexIdea = { readonly relation: string; readonly keys: readonly string[] }

const COLUMNS_MAX = 4
const RANGE = new Set(['<', '<=', '>', '>='])

/** null: nothing that an index could lead to. */
export function indexFor(plan: ExplainedPlan): IndexIdea | null {
  const scan = worstScan(plan)
  if (scan === null || scan.filter === '') return null
  const { equal, range } = comparedColumns(scan.filter)
  if (equal.length === 0 && range.length === 0) return null
  const keys = [...equal.slice(0, COLUMNS_MAX).map(quoted)]
  const sorted = keys.length > 0 ? sortKeys(plan, scan) : []
  if (sorted.length > 0) keys.push(...sorted.filter((key) => !keys.includes(key)))
  else if (range[0] !== undefined) keys.push(quoted(range[0]))
  return { relation: scan.relation, keys: keys.slice(0, COLUMNS_MAX) }
}

function comparedColumns(filter: string): { readonly equal: readonly string[]; readonly range: readonly string[] } {
  const where = unwrap(parse(`SELECT 1 WHERE ${filter}`)?.[0]?.stmt)?.body.whereClause
  const equal = new Set<string>()
  const range = new Set<string>()
  for (const node of conjuncts(unwrap(where))) {
    if (node.kind !== 'A_Expr') continue
    const column = columnOf(unwrap(node.body.lexpr)) ?? columnOf(unwrap(node.body.rexpr))
    const operator = operatorOf(node)
    if (column === null) continue
    if (operator === '=') equal.add(column)
    else if (RANGE.has(operator)) range.add(column)
  }
  return { equal: [...equal], range: [...range].filter((column) => !equal.has(column)) }
}

function conjuncts(node: TreeNode | null): readonly TreeNode[] {
  if (node === null) return []
  if (node.kind !== 'BoolExpr') return [node]
  if (node.body.boolop !== 'AND_EXPR' || !Array.isArray(node.body.args)) return []
  return node.body.args.flatMap((one) => conjuncts(unwrap(one)))
}

function operatorOf({ body }: TreeNode): string {
  const last = Array.isArray(body.name) ? unwrap(body.name.at(-1)) : null
  return last?.kind === 'String' ? String(last.body.sval ?? '') : ''
}

/** The column itself, also where it is cast to compare it; an expression of it would need an index of its own. */
function columnOf(node: TreeNode | null): string | null {
  if (node?.kind === 'TypeCast') return columnOf(unwrap(node.body.arg))
  if (node?.kind !== 'ColumnRef' || !Array.isArray(node.body.fields)) return null
  const last = unwrap(node.body.fields.at(-1))
  return last?.kind === 'String' ? String(last.body.sval ?? '') : null
}

/** A sort directly above the scan, of plain columns. */
function sortKeys({ root }: ExplainedPlan, scan: PlanNode): readonly string[] {
  const sort = [...nodesOf(root)].find(
    ({ operation, children }) => operation.includes('Sort') && children.includes(scan),
  )
  if (sort === undefined) return []
  const keys = sort.condition.split(', ').map((key) => /^(?:\w+\.)?(\w+)( DESC)?$/.exec(key))
  return keys.every((key) => key !== null) ? keys.map((key) => `${quoted(key![1]!)}${key![2] ?? ''}`) : []
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

export function createIndexSql({ relation, keys }: IndexIdea, name = ''): string {
  const table = relation.split('.').map(quoted).join('.')
  return `CREATE INDEX ${name === '' ? '' : `${quoted(name)} `}ON ${table} (${keys.join(', ')})`
}
