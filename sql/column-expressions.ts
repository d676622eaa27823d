/**
 * Expressions: where the value of each comes from, and which columns its literals and parameters meet on the way.
 */
import {
  becomesJson,
  buildsObject,
  CHOOSES,
  COMPARES,
  FOLDS,
  HANDS_ON,
  isJsonPath,
  isKey,
  isWord,
  SAYS_NOTHING,
} from './column-functions.js'
import { lookUp, type Scope, star } from './column-scope.js'
import { selectOutputs } from './column-select.js'
import type { SlotTable } from './column-slots.js'
import {
  asJson,
  type ColumnRef,
  derived,
  distinct,
  either,
  inside,
  NOTHING,
  OPAQUE,
  type Output,
  ofSlot,
  type Slot,
  type Use,
  type Value,
  withVia,
} from './column-values.js'
import type { CatalogIndex } from './relations.js'
import { list, strings, type TreeNode, unwrap } from './tree-walk.js'

/** A column used in a way that its token may not stand for. */
export type Caution = { readonly column: ColumnRef; readonly use: Exclude<Use, 'equal' | 'store'> }

export type Walk = {
  readonly index: CatalogIndex
  readonly slots: SlotTable
  readonly cautions: Caution[]
  /** Outputs of a view, found once. */
  readonly viewOutputs: (viewOid: number) => readonly Output[] | null
  readonly depth: { now: number }
}

type Body = Readonly<Record<string, unknown>>

export function expression(walk: Walk, scope: Scope, node: unknown): Value {
  const found = unwrap(node)
  if (found === null) return NOTHING
  const { kind, body } = found
  switch (kind) {
    case 'A_Const':
      return constant(walk, body)
    case 'ParamRef': {
      const slot: Slot = { kind: 'parameter', at: Number(body.number ?? 0) }
      walk.slots.seen(slot)
      return ofSlot(slot)
    }
    case 'ColumnRef':
      return columnRef(scope, body)
    case 'A_Expr':
      return operator(walk, scope, body)
    case 'BoolExpr':
      all(walk, scope, list(body, 'args'))
      return NOTHING
    case 'NullTest':
    case 'BooleanTest':
      expression(walk, scope, body.arg)
      return NOTHING
    case 'FuncCall':
      return call(walk, scope, body)
    case 'TypeCast':
      return cast(walk, scope, body)
    case 'CollateClause':
    case 'NamedArgExpr':
      return expression(walk, scope, body.arg)
    case 'CoalesceExpr':
      return unified(walk, all(walk, scope, list(body, 'args')))
    case 'MinMaxExpr':
      return ordered(walk, unified(walk, all(walk, scope, list(body, 'args'))))
    case 'CaseExpr':
      return caseOf(walk, scope, body)
    case 'SubLink':
      return subLink(walk, scope, body)
    case 'RowExpr':
      return rowOf(all(walk, scope, list(body, 'args')))
    case 'List':
      return rowOf(all(walk, scope, list(body, 'items')))
    case 'A_ArrayExpr':
      return unified(walk, all(walk, scope, list(body, 'elements')))
    case 'A_Indirection':
      return indirection(walk, scope, body)
    case 'MultiAssignRef': {
      const source = expression(walk, scope, body.source)
      return source.row?.[Number(body.colno ?? 1) - 1]?.value ?? derived([source])
    }
    case 'SetToDefault':
    case 'SQLValueFunction':
    case 'CurrentOfExpr':
      return NOTHING
    default:
      return derived(children(walk, scope, body))
  }
}

export function all(walk: Walk, scope: Scope, nodes: readonly unknown[]): readonly Value[] {
  return nodes.map((node) => expression(walk, scope, node))
}

/** Nodes without a rule of their own: their parts are looked at, what comes out is computed. */
function children(walk: Walk, scope: Scope, body: Body): readonly Value[] {
  const values: Value[] = []
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const found = unwrap(value)
    if (found?.kind === 'SelectStmt')
      values.push(rowOf(selectOutputs(walk, scope, found.body).map((output) => output.value)))
    else if (found !== null && found.kind !== 'String' && found.kind !== 'TypeName')
      values.push(expression(walk, scope, value))
    else if (found === null) for (const child of Object.values(value)) visit(child)
  }
  for (const [field, child] of Object.entries(body)) if (field !== 'typeName') visit(child)
  return values
}

function constant(walk: Walk, body: Body): Value {
  if (body.isnull === true) return NOTHING
  const slot: Slot = { kind: 'literal', at: Number(body.location ?? 0) }
  walk.slots.seen(slot)
  return ofSlot(slot)
}

/** The text of a string constant, for keys of JSON. */
function constantText(node: unknown): string | null {
  const found = unwrap(node)
  if (found?.kind === 'TypeCast') return constantText(found.body.arg)
  if (found?.kind !== 'A_Const') return null
  const text = (found.body.sval as { sval?: string } | undefined)?.sval
  return text ?? null
}

function columnRef(scope: Scope, body: Body): Value {
  const fields = list(body, 'fields')
  const names = strings(fields)
  if (names.length === fields.length) return lookUp(scope, names)
  const outputs = star(scope, names.at(-1) ?? null)
  return outputs === null
    ? OPAQUE
    : rowOf(
        outputs.map((output) => output.value),
        outputs,
      )
}

export function rowOf(values: readonly Value[], outputs?: readonly Output[]): Value {
  return {
    ...derived(values),
    parts: [],
    row: outputs ?? values.map((value, at) => ({ name: `f${at + 1}`, value })),
  }
}

/** The two meet: literals and parameters of one side are of the other's columns. */
export function meet(walk: Walk, left: Value, right: Value, use: Use): void {
  if (left.row !== null && right.row !== null && left.row.length === right.row.length) {
    for (let at = 0; at < left.row.length; at++) meet(walk, left.row[at]!.value, right.row[at]!.value, use)
    return
  }
  // `(a, b) IN ((1, 2), (3, 4))` and `a IN (1, 2)`: the right side lists what the left may be.
  if (right.row !== null && (left.row === null || right.row.some((field) => field.value.row !== null))) {
    for (const field of right.row) meet(walk, left, field.value, use)
    return
  }
  const [one, other] = [stronger(use, left.via), stronger(use, right.via)]
  walk.slots.bind(right.slots, left.columns, one)
  walk.slots.bind(right.parts, left.columns, stronger(one, 'derive'))
  walk.slots.bind(left.slots, right.columns, other)
  walk.slots.bind(left.parts, right.columns, stronger(other, 'derive'))
  caution(walk, left.columns, one)
  caution(walk, right.columns, other)
}

function stronger(use: Use, via: Value['via']): Use {
  if (use === 'pattern' || use === 'order') return use
  return via === 'exact' ? use : via
}

export function caution(walk: Walk, columns: readonly ColumnRef[], use: Use): void {
  if (use === 'equal' || use === 'store') return
  for (const column of columns) walk.cautions.push({ column, use })
}

function unified(walk: Walk, values: readonly Value[]): Value {
  const value = either(values)
  walk.slots.bind(value.slots, value.columns, stronger('equal', value.via))
  return value
}

function ordered(walk: Walk, value: Value): Value {
  caution(walk, value.columns, 'order')
  return value
}

const EQUALITY = new Set(['=', '<>', '!=', '@>', '<@', '&&', '<<', '>>', '<<=', '>>='])
const ORDER = new Set(['<', '>', '<=', '>='])
const PATTERN = /^!?~/
const PATTERN_KINDS = new Set(['AEXPR_LIKE', 'AEXPR_ILIKE', 'AEXPR_SIMILAR'])

function operator(walk: Walk, scope: Scope, body: Body): Value {
  const kind = String(body.kind)
  const name = strings(list(body, 'name')).at(-1) ?? ''
  const left = expression(walk, scope, body.lexpr)
  if (/^AEXPR_(NOT_)?BETWEEN/.test(kind)) {
    for (const bound of list(unwrap(body.rexpr)?.body ?? {}, 'items'))
      meet(walk, left, expression(walk, scope, bound), 'order')
    return NOTHING
  }
  if (kind === 'AEXPR_IN') {
    for (const item of list(unwrap(body.rexpr)?.body ?? {}, 'items'))
      meet(walk, left, expression(walk, scope, item), 'equal')
    return NOTHING
  }
  const right = expression(walk, scope, body.rexpr)
  if (kind === 'AEXPR_NULLIF') {
    meet(walk, left, right, 'equal')
    return left
  }
  if (kind === 'AEXPR_OP_ANY' || kind === 'AEXPR_OP_ALL') walk.slots.mark(right.slots, { array: true })
  if (PATTERN_KINDS.has(kind) || PATTERN.test(name)) {
    meet(walk, left, right, 'pattern')
    return NOTHING
  }
  if (kind === 'AEXPR_DISTINCT' || kind === 'AEXPR_NOT_DISTINCT' || EQUALITY.has(name)) {
    meet(walk, left, right, 'equal')
    return NOTHING
  }
  if (ORDER.has(name)) {
    meet(walk, left, right, 'order')
    return NOTHING
  }
  return otherOperator(walk, name, left, right, body)
}

function otherOperator(walk: Walk, name: string, left: Value, right: Value, body: Body): Value {
  switch (name) {
    case '->':
    case '->>': {
      walk.slots.harmless(right, 'key')
      return taken(walk, inside(left, constantText(body.rexpr) ?? '[*]'), name === '->>')
    }
    case '#>':
    case '#>>': {
      walk.slots.harmless(right, 'key')
      return taken(walk, jsonPlace(left, constantText(body.rexpr)), name === '#>>')
    }
    case '?':
    case '?|':
    case '?&':
    case '#-':
      walk.slots.harmless(right)
      return left
    case '@?':
    case '@@':
      walk.slots.harmless(right, 'jsonpath')
      caution(walk, left.columns, 'pattern')
      return NOTHING
    default:
      caution(walk, [...left.columns, ...right.columns], 'derive')
      return derived([left, right])
  }
}

function taken(walk: Walk, value: Value, asText: boolean): Value {
  if (asText) caution(walk, value.columns, 'json_text')
  return value
}

/** `{contact,email}`: a path written as an array. */
function jsonPlace(value: Value, path: string | null): Value {
  const keys = (path ?? '').replace(/^\{|\}$/g, '').split(',')
  return keys.reduce((at, key) => inside(at, /^-?\d+$/.test(key) ? '[*]' : key.trim().replace(/^"|"$/g, '')), value)
}

function call(walk: Walk, scope: Scope, body: Body): Value {
  const names = strings(list(body, 'funcname'))
  const name = names.at(-1) ?? ''
  const args = all(walk, scope, list(body, 'args'))
  for (const sort of list(body, 'agg_order')) ordered(walk, expression(walk, scope, unwrap(sort)?.body.node))
  expression(walk, scope, body.agg_filter)
  overWindow(walk, scope, body.over)
  const schema = names.length > 1 ? names[0] : undefined
  const own = schema === 'pg_catalog' ? [] : walk.index.functions(schema, name)
  if (own.length > 0 && !HANDS_ON.has(name) && !FOLDS.has(name)) {
    for (const arg of args) walk.slots.mark(arg.slots, { argumentOf: name })
    return { ...derived(args), clear: false }
  }
  args.forEach((arg, at) => {
    if (isWord(name, at, args.length)) walk.slots.harmless(arg, isKey(name) ? 'key' : 'word')
    else if (isJsonPath(name, at)) walk.slots.harmless(arg, 'jsonpath')
    else walk.slots.mark(arg.slots, { argumentOf: name })
  })
  // The server's own settings are words; the application's may name a person.
  if (name === 'set_config' && !(constantText(list(body, 'args')[0]) ?? '.').includes('.') && args[1] !== undefined)
    walk.slots.harmless(args[1])
  return builtIn(walk, name, args, body)
}

function builtIn(walk: Walk, name: string, args: readonly Value[], body: Body): Value {
  const first = args[0] ?? NOTHING
  if (COMPARES.has(name))
    for (const other of args.slice(1)) meet(walk, first, other, name === 'starts_with' ? 'pattern' : 'equal')
  if (name === 'unnest') walk.slots.mark(first.slots, { array: true })
  if (HANDS_ON.has(name))
    return /^(lag|lead)$/.test(name) && args[2] !== undefined ? unified(walk, [first, args[2]]) : first
  if (FOLDS.has(name)) return withVia(first, 'fold')
  if (CHOOSES.has(name)) return ordered(walk, first)
  if (SAYS_NOTHING.has(name)) return NOTHING
  if (/^jsonb_(set(_lax)?|insert)$/.test(name) && args[2] !== undefined) {
    const place = jsonPlace(first, constantText(list(body, 'args')[1]))
    meet(walk, place, args[2], 'store')
    return { ...first, clear: first.clear && args[2].clear }
  }
  const json = becomesJson(name)
  if (json !== null) return { ...derived(args), parts: [], json: asJson(first, json === 'list' ? ['[*]'] : []) }
  if (buildsObject(name)) return object(walk, args, list(body, 'args'))
  if (/^jsonb?_extract_path(_text)?$/.test(name)) {
    return list(body, 'args')
      .slice(1)
      .reduce<Value>((value, key) => inside(value, constantText(key) ?? '[*]'), first)
  }
  caution(walk, distinct(args.flatMap((arg) => arg.columns)), 'derive')
  return derived(args)
}

function object(walk: Walk, args: readonly Value[], nodes: readonly unknown[]): Value {
  const fields = []
  for (let at = 0; at + 1 < args.length; at += 2) {
    walk.slots.harmless(args[at]!, 'key')
    fields.push(...asJson(args[at + 1]!, [constantText(nodes[at]) ?? '*']))
  }
  return { ...derived(args), parts: [], json: fields }
}

function overWindow(walk: Walk, scope: Scope, over: unknown): void {
  const body = (over as Body | undefined) ?? {}
  all(walk, scope, list(body, 'partitionClause'))
  for (const sort of list(body, 'orderClause')) ordered(walk, expression(walk, scope, unwrap(sort)?.body.node))
  for (const edge of ['startOffset', 'endOffset']) walk.slots.harmless(expression(walk, scope, body[edge]))
}

function cast(walk: Walk, scope: Scope, body: Body): Value {
  const value = expression(walk, scope, body.arg)
  const type = (body.typeName as Body | undefined) ?? {}
  const name = strings(list(type, 'names')).at(-1) ?? ''
  const array = list(type, 'arrayBounds').length > 0
  walk.slots.mark(value.slots, array ? { type: name, array: true } : { type: name })
  return value
}

function caseOf(walk: Walk, scope: Scope, body: Body): Value {
  const tested = body.arg === undefined ? null : expression(walk, scope, body.arg)
  const results: Value[] = []
  for (const branch of list(body, 'args')) {
    const when = unwrap(branch)?.body ?? {}
    const condition = expression(walk, scope, when.expr)
    if (tested !== null) meet(walk, tested, condition, 'equal')
    results.push(expression(walk, scope, when.result))
  }
  results.push(expression(walk, scope, body.defresult))
  return unified(walk, results)
}

function subLink(walk: Walk, scope: Scope, body: Body): Value {
  const select = unwrap(body.subselect) as TreeNode | null
  const outputs = select === null ? [] : selectOutputs(walk, scope, select.body)
  const first = outputs[0]?.value ?? NOTHING
  switch (body.subLinkType) {
    case 'EXISTS_SUBLINK':
      return NOTHING
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const tested = expression(walk, scope, body.testexpr)
      const name = strings(list(body, 'operName')).at(-1) ?? '='
      const row = outputs.length > 1 ? rowOf(outputs.map((output) => output.value)) : first
      meet(walk, tested, row, PATTERN.test(name) ? 'pattern' : ORDER.has(name) ? 'order' : 'equal')
      return NOTHING
    }
    default:
      return outputs.length > 1
        ? rowOf(
            outputs.map((output) => output.value),
            outputs,
          )
        : first
  }
}

/** `a[1]` is an element; `j['key']` a place in JSON; `(row).field` a field. */
function indirection(walk: Walk, scope: Scope, body: Body): Value {
  let value = expression(walk, scope, body.arg)
  for (const step of list(body, 'indirection')) {
    const found = unwrap(step)
    if (found?.kind === 'String') {
      const name = String(found.body.sval)
      value = value.row?.find((field) => field.name === name)?.value ?? inside(value, name)
    } else if (found?.kind === 'A_Indices') {
      const index = expression(walk, scope, found.body.uidx)
      walk.slots.harmless(index, 'key')
      walk.slots.harmless(expression(walk, scope, found.body.lidx))
      const key = constantText(found.body.uidx)
      if (key !== null) value = inside(value, key)
    } else value = derived([value])
  }
  return value
}
