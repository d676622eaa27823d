/**
 * Function calls: whose values go where, as far as the name of a function tells.
 */
import { caution } from './column-cautions.js'
import { all, constantText, expression, meet, ordered, unified, type Walk } from './column-expressions.js'
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
  mayNameSomebody,
  SAYS_NOTHING,
} from './column-functions.js'
import { jsonPlace } from './column-operators.js'
import type { Scope } from './column-scope.js'
import { asJson, derived, distinct, inside, NOTHING, type Value, withVia } from './column-values.js'
import { list, strings, unwrap } from './tree-walk.js'

type Body = Readonly<Record<string, unknown>>

export function call(walk: Walk, scope: Scope, body: Body): Value {
  const names = strings(list(body, 'funcname'))
  const name = names.at(-1) ?? ''
  const args = all(walk, scope, list(body, 'args'))
  for (const sort of list(body, 'agg_order')) ordered(walk, expression(walk, scope, unwrap(sort)?.body.node))
  expression(walk, scope, body.agg_filter)
  overWindow(walk, scope, body.over)
  const schema = names.length > 1 ? names[0] : undefined
  const own = schema === 'pg_catalog' ? [] : walk.index.functions(schema, name)
  args.forEach((arg, at) => {
    if (isWord(name, at, args.length)) walk.slots.harmless(arg, isKey(name) ? 'key' : 'word')
    else if (isJsonPath(name, at)) walk.slots.harmless(arg, 'jsonpath')
    else walk.slots.mark(arg.slots, { argumentOf: name })
  })
  // A function of the user's, or of an extension: nobody looks inside.
  if (own.length > 0 && !HANDS_ON.has(name) && !FOLDS.has(name)) return { ...derived(args), clear: false }
  if (name === 'set_config' && args[1] !== undefined) {
    const setting = constantText(list(body, 'args')[0])?.toLowerCase() ?? null
    if (setting === null || mayNameSomebody(setting)) walk.slots.mark(args[1].slots, { setting })
    else walk.slots.harmless(args[1])
  }
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
