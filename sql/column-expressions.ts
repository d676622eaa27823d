/**
 * Expressions: where the value of each comes from, and which columns its literals and parameters meet on the way.
 */

import type { CatalogFunction } from '../segment/catalog.js'
import { call } from './column-calls.js'
import { type Caution, caution, meeting } from './column-cautions.js'
import { isOrder, isPattern, operator, taken } from './column-operators.js'
import { lookUp, type Scope, star } from './column-scope.js'
import { selectOutputs } from './column-select.js'
import type { SlotTable } from './column-slots.js'
import {
  columnKey,
  derived,
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

export type Walk = {
  readonly index: CatalogIndex
  readonly slots: SlotTable
  readonly cautions: Caution[]
  /** What is known of a view, found once. */
  readonly view: (viewOid: number) => View | null
  /** What a function of the user's does with columns, apart from its arguments. */
  readonly functionCautions: (of: CatalogFunction) => readonly Caution[]
  readonly depth: { now: number }
}

/** Its columns, and which rows it has, in which order, may depend on more than tokens keep. */
export type View = { readonly outputs: readonly Output[]; readonly cautions: readonly Caution[] }

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
    case 'CurrentOfExpr':
      return NOTHING
    case 'SQLValueFunction':
      return derived([])
    case 'GroupingFunc':
    case 'GroupingSet':
      children(walk, scope, body)
      return NOTHING
    case 'JsonFuncExpr':
      return jsonQuery(walk, scope, body)
    default: {
      const value = derived(children(walk, scope, body))
      caution(walk, value.columns, 'derive')
      return value
    }
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

/** `JSON_VALUE(doc, '$.name')`: a place in the document where the path is plain, else something computed of it. */
function jsonQuery(walk: Walk, scope: Scope, body: Body): Value {
  const context = (body.context_item ?? {}) as { raw_expr?: unknown }
  const document = expression(walk, scope, context.raw_expr)
  walk.slots.mark(expression(walk, scope, body.pathspec).slots, { harmless: 'jsonpath' })
  children(walk, scope, { passing: body.passing, on_empty: body.on_empty, on_error: body.on_error })
  const keys = plainPath(constantText(body.pathspec))
  if (body.op === 'JSON_EXISTS_OP' && keys !== null) return NOTHING
  if (keys === null) {
    caution(walk, document.columns, 'derive')
    return body.op === 'JSON_EXISTS_OP' ? NOTHING : derived([document])
  }
  return body.op === 'JSON_VALUE_OP' ? taken(walk, keys.reduce(inside, document), true) : keys.reduce(inside, document)
}

const PLAIN_PATH = /^\s*(?:(?:lax|strict)\s+)?\$((?:\.[A-Za-z_]\w*|\."[^"\\]+"|\[(?:\*|\d+)\])*)\s*$/

/** null: it filters or computes. */
function plainPath(path: string | null): readonly string[] | null {
  const steps = path === null ? null : PLAIN_PATH.exec(path)?.[1]
  if (steps == null) return null
  return (steps.match(/\.[A-Za-z_]\w*|\."[^"]+"|\[[^\]]+\]/g) ?? []).map((step) =>
    step.startsWith('[') ? '[*]' : step.slice(1).replace(/^"|"$/g, ''),
  )
}

function constant(walk: Walk, body: Body): Value {
  if (body.isnull === true) return NOTHING
  const slot: Slot = { kind: 'literal', at: Number(body.location ?? 0) }
  if (body.sval === undefined) walk.slots.seenNumber(slot)
  else walk.slots.seen(slot)
  return ofSlot(slot)
}

/** The text of a string constant, for keys of JSON. */
export function constantText(node: unknown): string | null {
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
  const fields = compositeFields(walk, left)
  if (fields !== null && right.row !== null && right.row.length === fields.length) {
    for (const [at, field] of fields.entries()) meet(walk, inside(left, field), right.row[at]!.value, use)
    return
  }
  // Built of parts here, kept as a document there: each part is what stands at its place.
  if (right.json !== null && left.json === null && isDocument(walk, left)) {
    for (const { path, value } of right.json) meet(walk, path.reduce(inside, left), value, use)
    return
  }
  // `(a, b) IN ((1, 2), (3, 4))` and `a IN (1, 2)`: the right side lists what the left may be.
  if (right.row !== null && (left.row === null || right.row.some((field) => field.value.row !== null))) {
    for (const field of right.row) meet(walk, left, field.value, use)
    return
  }
  // The length of a name is compared with a number, not with a name.
  if (left.measures === true || right.measures === true) {
    walk.slots.harmless(left.measures === true ? right : left)
    caution(walk, [...left.columns, ...right.columns], 'derive')
    return
  }
  const [one, other] = [stronger(use, left.via), stronger(use, right.via)]
  const computed = use === 'pattern' ? 'pattern' : 'derive'
  walk.slots.bind(right.slots, left.columns, left.via === 'derive' ? computed : one)
  walk.slots.bind(right.parts, left.columns, computed)
  walk.slots.bind(left.slots, right.columns, right.via === 'derive' ? computed : other)
  walk.slots.bind(left.parts, right.columns, computed)
  // `email = lower(email)`: of a value in small letters and of any other the token is one.
  if (left.via !== right.via)
    caution(
      walk,
      left.columns.filter((column) => right.columns.some((its) => columnKey(its) === columnKey(column))),
      'derive',
    )
  caution(walk, left.columns, one)
  caution(walk, right.columns, other)
  meeting(walk, left.columns, right.columns)
  if (isComputed(right)) caution(walk, left.columns, 'derive')
  if (isComputed(left)) caution(walk, right.columns, 'derive')
}

/** `now() - interval '18 years'`, `current_user`: nobody masks that, so it is compared with a token as it is. */
function isComputed(value: Value): boolean {
  return (
    value !== NOTHING &&
    value.columns.length === 0 &&
    value.slots.length === 0 &&
    value.row === null &&
    value.json === null
  )
}

/** Names of the fields, where the value is a column of a composite type. */
function compositeFields({ index }: Walk, { columns, via }: Value): readonly string[] | null {
  const column = columns[0]
  if (column === undefined || columns.length > 1 || via !== 'exact' || column.path !== undefined) return null
  const oid = index.byOid(column.tableOid)?.columns.find(({ attnum }) => attnum === column.attnum)?.typeOid
  const type = index.catalog.types.find((one) => one.oid === oid)
  return type?.kind === 'composite' ? type.attributes.map(({ name }) => name) : null
}

function isDocument({ index }: Walk, { columns, via }: Value): boolean {
  return (
    via === 'exact' &&
    columns.length > 0 &&
    columns.every(({ tableOid, attnum }) =>
      /^jsonb?$/.test(index.byOid(tableOid)?.columns.find((column) => column.attnum === attnum)?.type ?? ''),
    )
  )
}

function stronger(use: Use, via: Value['via']): Use {
  if (use === 'pattern' || use === 'order') return use
  return via === 'exact' ? use : via
}

export function unified(walk: Walk, values: readonly Value[]): Value {
  const value = either(values)
  walk.slots.bind(value.slots, value.columns, stronger('equal', value.via))
  const [first, ...others] = values.filter(({ columns }) => columns.length > 0)
  for (const other of others) meeting(walk, first!.columns, other.columns)
  return value
}

export function ordered(walk: Walk, value: Value): Value {
  caution(walk, value.columns, 'order')
  return value
}

function cast(walk: Walk, scope: Scope, body: Body): Value {
  const value = expression(walk, scope, body.arg)
  const type = (body.typeName as Body | undefined) ?? {}
  const name = strings(list(type, 'names')).at(-1) ?? ''
  const array = list(type, 'arrayBounds').length > 0
  walk.slots.mark(value.slots, array ? { type: name, array: true } : { type: name })
  if (value.columns.length === 0) return value
  // Letters become bytes, or are cut off.
  if (!array && (name === 'bytea' || name === 'char' || cuts(walk, value, name, body))) {
    caution(walk, value.columns, 'derive')
    return derived([value])
  }
  return name === 'citext' && !array ? withVia(value, 'fold') : value
}

/** No token is longer, in a column that is not. */
const LONG = 64

function cuts({ index }: Walk, { columns }: Value, type: string, body: Body): boolean {
  if (type !== 'varchar' && type !== 'bpchar') return false
  const modifier = list((body.typeName as Body | undefined) ?? {}, 'typmods')[0]
  const length = (unwrap(modifier)?.body.ival as { ival?: number } | undefined)?.ival
  if (length === undefined) return false
  return columns.some(({ tableOid, attnum }) => {
    const own = index.byOid(tableOid)?.columns.find((column) => column.attnum === attnum)
    const limit = own !== undefined && own.typmod > 4 && /char/.test(own.type) ? own.typmod - 4 : LONG
    return length < limit
  })
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
      meet(walk, tested, row, isPattern(name) ? 'pattern' : isOrder(name) ? 'order' : 'equal')
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
      walk.slots.harmless(index, constantText(found.body.uidx) === null ? 'word' : 'key')
      walk.slots.harmless(expression(walk, scope, found.body.lidx))
      const key = constantText(found.body.uidx)
      if (key !== null) value = inside(value, key)
    } else value = derived([value])
  }
  return value
}
