/**
 * What a migration does to JSON, arrays and booleans.
 */
import { arrayElements } from '../../../segment/values/array-literal.js'
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

/** A value within a document that is another one now; what is gone or new is told by its keys. */
export type ChangedPlace = {
  readonly path: string
  readonly before: string | null
  readonly after: string | null
  readonly numbers: boolean
}

const PLACES_MAX = 100

/** null: they differ in their shape too, or are no JSON objects or arrays. */
export function changedPlaces(before: string, after: string): readonly ChangedPlace[] | null {
  const [a, b] = [parsed(before), parsed(after)]
  if (a === undefined || b === undefined) return null
  const places: ChangedPlace[] = []
  return collect(a, b, '', places) && places.length <= PLACES_MAX ? places : null
}

function collect(a: unknown, b: unknown, path: string, into: ChangedPlace[]): boolean {
  if (into.length > PLACES_MAX) return false
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => collect(item, b[at], `${path}[]`, into))
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a)
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => key in b && collect(a[key], b[key], path === '' ? key : `${path}.${key}`, into))
    )
  }
  if (JSON.stringify(a) === JSON.stringify(b)) return true
  if (typeof a === 'object' && a !== null) return false
  if (typeof b === 'object' && b !== null) return false
  into.push({ path, before: textOf(a), after: textOf(b), numbers: typeof a === 'number' && typeof b === 'number' })
  return path !== ''
}

function textOf(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value)
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

function elementsOf(text: string): readonly string[] | undefined {
  const json = text.startsWith('[') ? parsed(text) : undefined
  if (Array.isArray(json)) return json.map((item) => JSON.stringify(item))
  return arrayElements(text)?.map((element) => JSON.stringify(element))
}

function isBeginning(part: readonly string[], whole: readonly string[]): boolean {
  return part.every((element, at) => element === whole[at])
}

/** Are all of `part` in `whole`, in this order? */
function isWithin(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0
  for (const element of whole) if (at < part.length && part[at] === element) at += 1
  return at === part.length
}

function elementsLost(before: string, after: string): string | null {
  const [whole, part] = [elementsOf(before), elementsOf(after)]
  if (whole === undefined || part === undefined || part.length >= whole.length) return null
  if (part.length > 0 && isBeginning(part, whole)) return `is cut to its first ${part.length}`
  return isWithin(part, whole) ? 'lost' : null
}

const listCut: ValueExplainer = {
  name: 'list.cut',
  match: elementsLost,
  says: (detail) =>
    detail === null || detail === 'lost'
      ? 'has lost elements of its array'
      : `${detail} ${detail.endsWith(' 1') ? 'element' : 'elements'} (an array)`,
}

const listNew: ValueExplainer = {
  name: 'list.new',
  match: (before, after) => (elementsLost(after, before) === null ? null : ''),
  says: () => 'has new elements in its array',
}

const listRepeated: ValueExplainer = {
  name: 'list.repeated',
  match: (before, after) => {
    const [was, is] = [elementsOf(before), elementsOf(after)]
    if (was === undefined || is === undefined || is.length === was.length) return null
    const once = (list: readonly string[]) => [...new Set(list)].join()
    if (once(was) !== once(is)) return null
    return is.length > was.length ? 'repeated' : 'once'
  },
  says: (how) =>
    how === null
      ? 'has its elements in another number'
      : how === 'once'
        ? 'has lost repeated elements of its array'
        : 'has elements of its array repeated',
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
  listRepeated,
  listCut,
  listNew,
  elementOrder,
]
