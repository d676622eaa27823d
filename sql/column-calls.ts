/**
 * Function calls: whose values go where, as far as the name of a function tells.
 */
import type { CatalogFunction } from '../segment/catalog.js'
import { OID } from '../segment/values/oids.js'
import { caution } from './column-cautions.js'
import { all, constantText, expression, meet, ordered, unified, type Walk } from './column-expressions.js'
import {
  becomesJson,
  buildsObject,
  CHOOSES,
  COMPARES,
  FOLDS,
  HANDS_ON,
  isBuiltIn,
  isJsonPath,
  isKey,
  isWord,
  MEASURES,
  mayNameSomebody,
  PICKS,
  SAYS_NOTHING,
  TELLS,
  TRIMS,
} from './column-functions.js'
import { jsonPlace } from './column-operators.js'
import type { Scope } from './column-scope.js'
import { asJson, derived, distinct, inside, NOTHING, OPAQUE, type Value, withVia } from './column-values.js'
import { list, strings, unwrap } from './tree-walk.js'

type Body = Readonly<Record<string, unknown>>

export function call(walk: Walk, scope: Scope, body: Body): Value {
  const names = strings(list(body, 'funcname'))
  const name = names.at(-1) ?? ''
  const args = all(walk, scope, list(body, 'args'))
  const sorted = list(body, 'agg_order').map((sort) => ordered(walk, expression(walk, scope, unwrap(sort)?.body.node)))
  // Values that differ only in case are one as they are, and two once they are masked.
  if (body.agg_distinct === true)
    for (const { columns, via } of args) if (via === 'fold') caution(walk, columns, 'fold')
  expression(walk, scope, body.agg_filter)
  overWindow(walk, scope, body.over)
  const schema = names.length > 1 ? names[0] : undefined
  const own = ownFunctions(walk, schema, name)
  args.forEach((arg, at) => {
    if (isWord(name, at, args.length)) walk.slots.harmless(arg, isKey(name) ? 'key' : 'word')
    else if (isJsonPath(name, at)) walk.slots.harmless(arg, 'jsonpath')
    else if (name === 'format' && at === 0) walk.slots.mark(arg.slots, { harmless: 'format' })
    else walk.slots.mark(arg.slots, { argumentOf: name })
  })
  if (own.length > 0) return ofUser(walk, own, args)
  if (body.agg_within_group === true)
    return PICKS.has(name) && sorted[0] !== undefined ? sorted[0] : derived([...args, ...sorted])
  if (name === 'set_config' && args[1] !== undefined) {
    const setting = constantText(list(body, 'args')[0])?.toLowerCase() ?? null
    if (setting === null || mayNameSomebody(setting)) walk.slots.mark(args[1].slots, { setting })
    else walk.slots.harmless(args[1])
  }
  return builtIn(walk, name, args, body)
}

/** Of the user, or of an extension that does not only say the same of another type. */
function ownFunctions({ index }: Walk, schema: string | undefined, name: string): readonly CatalogFunction[] {
  if (schema === 'pg_catalog') return []
  const own = index.functions(schema, name)
  return isBuiltIn(name) && own.every(({ language }) => language === 'c') ? [] : own
}

/** What they make of their arguments, and of what they read themselves. */
function ofUser(walk: Walk, own: readonly CatalogFunction[], args: readonly Value[]): Value {
  caution(walk, distinct(args.flatMap((arg) => arg.columns)), 'derive')
  for (const one of own)
    for (const its of walk.functionCautions(one))
      walk.cautions.push(one.returnsSet === false ? its : { ...its, makesRows: true })
  return { ...derived(args), clear: own.every(({ returnsType }) => PLAIN.has(returnsType)) }
}

/** Numbers, truth values, times and UUIDs: nobody's, wherever they come from. */
const PLAIN: ReadonlySet<number> = new Set<number>([
  OID.bool,
  OID.int2,
  OID.int4,
  OID.int8,
  OID.float4,
  OID.float8,
  OID.numeric,
  OID.date,
  OID.time,
  OID.timetz,
  OID.timestamp,
  OID.timestamptz,
  OID.interval,
  OID.uuid,
  OID.void,
])

function builtIn(walk: Walk, name: string, args: readonly Value[], body: Body): Value {
  const first = args[0] ?? NOTHING
  if (COMPARES.has(name))
    for (const other of args.slice(1)) meet(walk, first, other, name === 'starts_with' ? 'pattern' : 'equal')
  if (name === 'unnest') walk.slots.mark(first.slots, { array: true })
  if (HANDS_ON.has(name) && !(TRIMS.has(name) && args.length > 1))
    return /^(lag|lead)$/.test(name) && args[2] !== undefined ? unified(walk, [first, args[2]]) : first
  if (FOLDS.has(name)) return withVia(first, 'fold')
  if (CHOOSES.has(name)) return ordered(walk, first)
  if (SAYS_NOTHING.has(name)) return NOTHING
  if (TELLS.has(name)) return OPAQUE
  if (name === 'set_config') return args[1] ?? NOTHING
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
  return MEASURES.has(name) ? { ...derived(args), measures: true } : derived(args)
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
