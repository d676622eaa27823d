/**
 * A YAML file a person wrote, checked against a schema. Every mistake is named with its line; a name that is not known
 * comes with the one that was probably meant.
 */
import { isMap, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { EXIT, HarnessError } from '../base/errors.js'

const MISTAKES_SHOWN_MAX = 8
const FILE_CHARACTERS_MAX = 1_000_000

type Mistake = { readonly line: number; readonly text: string }

/** `path` only names the file in messages. An empty file is an empty mapping. */
export function readYaml<T>(
  text: string,
  path: string,
  schema: z.ZodType<T>,
  refusal: { readonly code: string; readonly hint: string },
): T {
  const refuse = (mistakes: readonly Mistake[]): never => {
    const shown = mistakes.slice(0, MISTAKES_SHOWN_MAX).map(({ line, text: what }) => `line ${line}: ${what}`)
    const more = mistakes.length - shown.length
    throw new HarnessError({
      code: refusal.code,
      message: `cannot use ${path}`,
      detail: [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n        '),
      hint: refusal.hint,
      exit: EXIT.usage,
    })
  }
  if (text.length > FILE_CHARACTERS_MAX) refuse([{ line: 1, text: 'larger than a configuration can be (1 MB)' }])
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    refuse(document.errors.map((error) => ({ line: lines.linePos(error.pos[0]).line, text: sentence(error.message) })))
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 }) ?? {}
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const at = (keys: readonly PropertyKey[], key?: string) => lines.linePos(offsetOf(document, keys, key)).line
  return refuse(
    result.error.issues
      .flatMap((issue): Mistake[] =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => ({ line: at(issue.path, key), text: unknownName(key, schema, issue.path) }))
          : [{ line: at(issue.path), text: `${nameOf(issue.path)}${sentence(issue.message)}` }],
      )
      .sort((a, b) => a.line - b.line),
  )
}

/** Where in the text a value (or, with `key`, the name of one of its entries) stands. */
function offsetOf(document: ReturnType<typeof parseDocument>, keys: readonly PropertyKey[], key?: string): number {
  for (let depth = keys.length; depth >= 0; depth -= 1) {
    const path = keys.slice(0, depth)
    const node = depth === 0 ? document.contents : document.getIn(path, true)
    const wanted = depth === keys.length ? key : String(keys[depth])
    if (isMap(node) && wanted !== undefined) {
      const pair = node.items.find((item) => String(item.key) === wanted)
      const range = (pair?.key as { range?: readonly number[] } | undefined)?.range
      if (range?.[0] !== undefined) return range[0]
    }
    const range = (node as { range?: readonly number[] | null } | null)?.range
    if (range?.[0] !== undefined) return range[0]
  }
  return 0
}

function unknownName(key: string, schema: z.ZodType, path: readonly PropertyKey[]): string {
  const known = namesAt(schema, path)
  const meant = nearest(key, known)
  const advice = meant ? `; did you mean ${meant}?` : known.length > 0 ? `; known here: ${known.join(', ')}` : ''
  return `${key} is not a setting${advice}`
}

/** Walks optional, array and object schemas down to the object whose names are asked for. */
function namesAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const inner = unwrap(schema)
  const [head, ...rest] = path
  if (inner.def.type === 'array') {
    return namesAt((inner.def as unknown as { element: z.ZodType }).element, rest)
  }
  if (inner.def.type === 'record') return recordNames(inner)
  const shape = (inner.def as unknown as { shape?: Record<string, z.ZodType> }).shape ?? {}
  if (head === undefined) return Object.keys(shape)
  const next = shape[String(head)]
  return next ? namesAt(next, rest) : []
}

function recordNames(record: z.ZodType): string[] {
  const keyType = (record.def as unknown as { keyType: z.ZodType }).keyType
  return Object.keys((keyType.def as unknown as { entries?: Record<string, string> }).entries ?? {})
}

function unwrap(schema: z.ZodType): z.ZodType {
  const inner = (schema.def as unknown as { innerType?: z.ZodType }).innerType
  return inner ? unwrap(inner) : schema
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.length > 0 ? `${path.map(String).join('.')}: ` : ''
}

function sentence(text: string): string {
  return text.length > 0 ? text[0]?.toLowerCase() + text.slice(1) : text
}

/** The known name with the fewest edits, if few enough to be a slip. */
function nearest(name: string, known: readonly string[]): string | null {
  const ranked = known
    .map((candidate) => ({ candidate, edits: edits(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)
  const best = ranked[0]
  return best && best.edits <= Math.max(2, Math.floor(name.length / 3)) ? best.candidate : null
}

/** Levenshtein distance, one row at a time. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substituted))
    }
    row = next
  }
  return row[b.length] ?? 0
}
