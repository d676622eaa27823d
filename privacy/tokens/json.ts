/**
 * JSON by path: strings become tokens of what their path holds; keys, numbers, booleans, white space and the order of keys stay.
 *
 * The text is walked, not parsed and printed again: numbers beyond doubles, duplicate keys and the layout of `json` columns come out as they went in.
 */

/** The mask of the strings and numbers at a path; null keeps them. `number` is true for a bare number. */
export type PathMask = (path: readonly string[], number: boolean) => ((value: string) => string) | null

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\]:,]/y

/** null: it is not JSON. */
export function maskJson(
  text: string,
  maskAt: PathMask,
  maskKey: (key: string) => string,
  under: readonly string[] = [],
): string | null {
  let out = ''
  const path: string[] = [...under]
  /** Per open bracket: an object waits for a key or a value; a list has only values. */
  const open: ('key' | 'value' | 'list')[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex
    if (!TOKEN.test(text)) {
      TOKEN.lastIndex = 0
      return null
    }
    const to = TOKEN.lastIndex
    const token = text.slice(from, to)
    const first = token[0]!
    const state = open.at(-1)
    if (first === '{') {
      open.push('key')
      path.push('')
    } else if (first === '[') {
      open.push('list')
      path.push('[*]')
    } else if (first === '}' || first === ']') {
      if (open.pop() === undefined) return null
      path.pop()
    } else if (first === ',' && state === 'value') open[open.length - 1] = 'key'
    else if (first === ':' && state === 'key') open[open.length - 1] = 'value'
    else if (first === '"') {
      if (state === 'key') path[path.length - 1] = stringOf(token)
      out += masked(token, state === 'key' ? maskKey : maskAt(path, false))
      TOKEN.lastIndex = to
      continue
    } else if (first === '-' || (first >= '0' && first <= '9')) {
      const mask = maskAt(path, true)
      out += mask === null ? token : mask(token)
      TOKEN.lastIndex = to
      continue
    }
    out += token
    TOKEN.lastIndex = to
  }
  return open.length === 0 ? out : null
}

function masked(token: string, mask: ((value: string) => string) | null): string {
  if (mask === null) return token
  const value = stringOf(token)
  const made = mask(value)
  return made === value ? token : JSON.stringify(made)
}

function stringOf(token: string): string {
  if (!token.includes('\\')) return token.slice(1, -1)
  try {
    return JSON.parse(token) as string
  } catch {
    return token.slice(1, -1)
  }
}
