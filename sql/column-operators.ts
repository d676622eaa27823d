/**
 * Operators: which make their two sides meet, and what comes out of the others.
 */
import { caution } from './column-cautions.js'
import { constantText, expression, meet, type Walk } from './column-expressions.js'
import type { Scope } from './column-scope.js'
import { derived, either, inside, NOTHING, type Value } from './column-values.js'
import { list, strings, unwrap } from './tree-walk.js'

type Body = Readonly<Record<string, unknown>>

const EQUALITY = new Set(['=', '<>', '!=', '@>', '<@', '&&'])
/** Networks inside of others are about order as well. */
const ORDER = new Set(['<', '>', '<=', '>=', '<<', '>>', '<<=', '>>='])
const PATTERN = /^!?~/
const PATTERN_KINDS = new Set(['AEXPR_LIKE', 'AEXPR_ILIKE', 'AEXPR_SIMILAR'])

export function isPattern(name: string): boolean {
  return PATTERN.test(name)
}

export function isOrder(name: string): boolean {
  return ORDER.has(name)
}

export function operator(walk: Walk, scope: Scope, body: Body): Value {
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
    case '@@@':
      // A path into JSON, or words to look for. What a function makes them of is data like any other.
      walk.slots.mark(right.slots, { harmless: 'jsonpath' })
      caution(walk, left.columns, 'pattern')
      return NOTHING
    case '||':
      if (holdsElements(walk, left) || holdsElements(walk, right)) {
        meet(walk, left, right, 'equal')
        return either([left, right])
      }
      return computed(walk, name, left, right)
    default:
      return computed(walk, name, left, right)
  }
}

const ARITHMETIC = new Set(['+', '-', '*', '/', '%', '^'])
/** Of pg_trgm and others. */
const DISTANCE = /^<+->+$/

function computed(walk: Walk, name: string, left: Value, right: Value): Value {
  caution(walk, [...left.columns, ...right.columns], 'derive')
  const value = derived([left, right])
  const measures = DISTANCE.test(name) || (ARITHMETIC.has(name) && (left.measures === true || right.measures === true))
  return measures ? { ...value, measures } : value
}

/** Arrays and JSON are joined without touching what is inside. */
function holdsElements({ index }: Walk, { columns, via }: Value): boolean {
  return (
    via === 'exact' &&
    columns.length > 0 &&
    columns.every(({ tableOid, attnum, path }) => {
      const type = index.byOid(tableOid)?.columns.find((column) => column.attnum === attnum)?.type ?? ''
      return path === undefined && /(^|\.)(jsonb|hstore)$|\[\]$/.test(type)
    })
  )
}

export function taken(walk: Walk, value: Value, asText: boolean): Value {
  if (asText) caution(walk, value.columns, 'json_text')
  return value
}

/** `{contact,email}`: a path written as an array. */
export function jsonPlace(value: Value, path: string | null): Value {
  const keys = (path ?? '').replace(/^\{|\}$/g, '').split(',')
  return keys.reduce((at, key) => inside(at, /^-?\d+$/.test(key) ? '[*]' : key.trim().replace(/^"|"$/g, '')), value)
}
