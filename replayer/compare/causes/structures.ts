/**
 * What a migration does to JSON, arrays and booleans.
 */
import { isNumber, type ValueExplainer } from './cause.js'

function parsed(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Paths that one document has and the other lacks; empty when they differ otherwise too. */
function lostPaths(whole: unknown, part: unknown, path = ''): readonly string[] | null {
  if (JSON.stringify(whole) === JSON.stringify(part)) return []
  if (Array.isArray(whole) && Array.isArray(part) && whole.length === part.length)
    return all(whole.map((item, at) => lostPaths(item, part[at], `${path}[]`)))
  if (!isObject(whole) || !isObject(part) || Object.keys(part).some((key) => !(key in whole))) return null
  return all(
    Object.keys(whole).map((key) => {
      const below = path === '' ? key : `${path}.${key}`
      return key in part ? lostPaths(whole[key], part[key], below) : [below]
    }),
  )
}

function all(found: readonly (readonly string[] | null)[]): readonly string[] | null {
  return found.some((paths) => paths === null) ? null : found.flatMap((paths) => paths ?? [])
}

function keyLost(before: string, after: string): string | null {
  const paths = lostPaths(parsed(before) ?? null, parsed(after) ?? null)
  return paths === null || paths.length === 0 ? null : [...new Set(paths)].sort().join(', ')
}

/** Keys at the top of a document that has gained them and nothing else. */
export function newKeys(before: string, after: string): readonly string[] {
  return lostPaths(parsed(after) ?? null, parsed(before) ?? null) ?? []
}

const keysLost: ValueExplainer = {
  name: 'json.keys_lost',
  match: keyLost,
  says: (paths) => (paths === null ? 'has lost keys of its JSON' : `has lost the JSON key ${paths}`),
}

const keysNew: ValueExplainer = {
  name: 'json.keys_new',
  match: (before, after) => keyLost(after, before),
  says: (paths) => (paths === null ? 'has new keys in its JSON' : `has the new JSON key ${paths}`),
}

const jsonNumbers: ValueExplainer = {
  name: 'json.numbers',
  match: (before, after) => {
    if (parsed(before) === undefined || parsed(after) === undefined) return null
    const numbers = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
    return before.replace(numbers, '0') === after.replace(numbers, '0') ? '' : null
  },
  says: () => 'has other numbers in its JSON',
}

/** `{a,b}` or `[1, 2]` with the same elements. */
const elementOrder: ValueExplainer = {
  name: 'list.order',
  match: (before, after) => {
    if (!/^[[{].*[\]}]$/s.test(before) || !/^[[{].*[\]}]$/s.test(after) || before === after) return null
    const sorted = (text: string) => text.slice(1, -1).split(/,\s*/).sort().join()
    return sorted(before) === sorted(after) ? '' : null
  },
  says: () => 'has its elements in another order',
}

const inverted: ValueExplainer = {
  name: 'boolean.inverted',
  match: (before, after, types) =>
    types.before === 16 && ((before === 't' && after === 'f') || (before === 'f' && after === 't'))
      ? after === 't'
        ? 'true'
        : 'false'
      : null,
  says: (value) => (value === null ? 'is inverted' : `is ${value} where it was ${value === 'true' ? 'false' : 'true'}`),
}

const emptied: ValueExplainer = {
  name: 'value.emptied',
  match: (before, after, types) => (!isNumber(types) && before !== '' && after === '' ? '' : null),
  says: () => 'is empty where it had a value',
}

export const STRUCTURE_EXPLAINERS: readonly ValueExplainer[] = [
  inverted,
  emptied,
  keysLost,
  keysNew,
  jsonNumbers,
  elementOrder,
]
