/**
 * INSERT, UPDATE, DELETE and MERGE: what their values are stored in, and what RETURNING hands back.
 */
import { affecting, storing } from './column-cautions.js'
import { expression, meet, type Walk } from './column-expressions.js'
import { childScope, type Scope, type Source } from './column-scope.js'
import { fromClause, fromItem, ownOutputs, targetList, withClause } from './column-select.js'
import { inside, type Output, type Value } from './column-values.js'
import { list, strings, type TreeNode, unwrap } from './tree-walk.js'

type Body = Readonly<Record<string, unknown>>

/** What RETURNING gives; nothing for anything that is not one of the four. */
export function writeOutputs(walk: Walk, outer: Scope | null, { kind, body }: TreeNode): readonly Output[] {
  const scope = childScope(outer)
  withClause(walk, scope, body.withClause)
  const target = targetOf(walk, scope, body.relation)
  switch (kind) {
    case 'InsertStmt':
      insert(walk, scope, body, target)
      break
    case 'UpdateStmt':
      scope.sources.push(...target)
      fromClause(walk, scope, list(body, 'fromClause'))
      assignments(walk, scope, list(body, 'targetList'), target)
      expression(walk, scope, body.whereClause)
      break
    case 'DeleteStmt':
      scope.sources.push(...target)
      fromClause(walk, scope, list(body, 'usingClause'))
      expression(walk, scope, body.whereClause)
      break
    case 'MergeStmt':
      merge(walk, scope, body, target)
      break
    default:
      return []
  }
  const returning = body.returningClause as Body | undefined
  const returned = returning === undefined ? list(body, 'returningList') : list(returning, 'exprs')
  if (returned.length === 0) return []
  for (const alias of ['old', 'new'])
    scope.sources.push(...target.map((source) => ({ ...source, alias, hidden: true })))
  return targetList(walk, scope, returned)
}

/** Views are written through: their columns are those of the table below. */
function targetOf(walk: Walk, scope: Scope, relation: unknown): readonly Source[] {
  return relation === undefined ? [] : fromItem(walk, childScope(noCtes(scope)), { RangeVar: relation })
}

/** The target of a write is never a CTE. */
function noCtes(scope: Scope): Scope | null {
  return scope.parent === null ? null : { ...scope.parent, ctes: new Map() }
}

function insert(walk: Walk, scope: Scope, body: Body, target: readonly Source[]): void {
  const columns = target[0]?.outputs ?? []
  const named = list(body, 'cols').map((item) => targetColumn(unwrap(item)?.body ?? {}, columns))
  const places = list(body, 'cols').length > 0 ? named : columns.map((output) => output.value)
  const select = unwrap(body.selectStmt)
  if (select !== null) {
    const rows = list(select.body, 'valuesLists')
    if (rows.length > 0 && select.body.withClause === undefined) {
      for (const row of rows) {
        for (const [at, item] of list(unwrap(row)?.body ?? {}, 'items').entries())
          store(walk, places[at], () => expression(walk, scope, item))
      }
    } else {
      const outputs = storing(
        walk,
        places.map((place) => place?.columns[0]),
        () => ownOutputs(walk, scope, select.body),
      )
      for (const [at, output] of outputs.entries()) store(walk, places[at], () => output.value)
    }
  }
  scope.sources.push(...target)
  const conflict = body.onConflictClause as Body | undefined
  if (conflict !== undefined) {
    const onConflict = childScope(scope)
    onConflict.sources.push(...target, ...target.map((source) => ({ ...source, alias: 'excluded', hidden: true })))
    expression(walk, onConflict, (conflict.infer as Body | undefined)?.whereClause)
    assignments(walk, onConflict, list(conflict, 'targetList'), target)
    expression(walk, onConflict, conflict.whereClause)
  }
}

function assignments(walk: Walk, scope: Scope, targets: readonly unknown[], target: readonly Source[]): void {
  const columns = target[0]?.outputs ?? []
  for (const item of targets) {
    const body = unwrap(item)?.body ?? {}
    store(walk, targetColumn(body, columns), () => expression(walk, scope, body.val))
  }
}

function merge(walk: Walk, scope: Scope, body: Body, target: readonly Source[]): void {
  scope.sources.push(...target, ...fromItem(walk, scope, body.sourceRelation))
  expression(walk, scope, body.joinCondition)
  const columns = target[0]?.outputs ?? []
  for (const item of list(body, 'mergeWhenClauses')) {
    const when = unwrap(item)?.body ?? {}
    expression(walk, scope, when.condition)
    const values = list(when, 'values')
    const targets = list(when, 'targetList')
    if (values.length === 0) assignments(walk, scope, targets, target)
    else {
      const places =
        targets.length > 0
          ? targets.map((one) => targetColumn(unwrap(one)?.body ?? {}, columns))
          : columns.map((output) => output.value)
      for (const [at, value] of values.entries()) store(walk, places[at], () => expression(walk, scope, value))
    }
  }
}

/** `SET a = …`, `SET a.field = …`, `SET a[1] = …`. */
function targetColumn(body: Body, columns: readonly Output[]): Value | undefined {
  const name = String(body.name ?? '')
  const found = columns.find((output) => output.name === name)?.value
  return strings(list(body, 'indirection')).reduce<Value | undefined>(
    (value, field) => (value === undefined ? undefined : inside(value, field)),
    found,
  )
}

function store(walk: Walk, place: Value | undefined, look: () => Value): void {
  const column = place?.columns[0]
  affecting(walk, column === undefined ? null : { what: 'stored', column }, () => {
    const value = look()
    if (place !== undefined) meet(walk, place, value, 'store')
  })
}
