/**
 * JSON in the one form that equal documents share: no blanks, keys sorted with the last of equals kept, strings unescaped as far
 * as they can be, numbers in plain decimal. That makes `json` and `jsonb` comparable.
 *
 * JSON.parse would read numbers as doubles and so hide the very loss of precision that a comparison must find; numbers stay text
 * here. What is not JSON, or is nested deeper than anyone means, is left as it is.
 */
import { canonicalNumber } from './canonical-number.js'

const DEPTH_MAX = 500

export function canonicalJson(text: string): string {
  try {
    const input: Input = { text, at: 0 }
    const value = readValue(input, 0)
    skipBlanks(input)
    return input.at === text.length ? value : text
  } catch (error) {
    if (error instanceof NotJson || error instanceof SyntaxError) return text
    throw error
  }
}

type Input = { readonly text: string; at: number }

class NotJson extends Error {}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
const STRING = /"(?:[^"\\]|\\.)*"/sy

function readValue(input: Input, depth: number): string {
  if (depth > DEPTH_MAX) throw new NotJson()
  skipBlanks(input)
  const char = input.text[input.at]
  if (char === '{') return readObject(input, depth)
  if (char === '[') return readArray(input, depth)
  if (char === '"') return readString(input)
  return char === 't' || char === 'f' || char === 'n' ? take(input, WORD) : canonicalNumber(take(input, NUMBER))
}

function readObject(input: Input, depth: number): string {
  const entries = new Map<string, string>()
  input.at += 1
  skipBlanks(input)
  if (accept(input, '}')) return '{}'
  do {
    skipBlanks(input)
    const key = readString(input)
    skipBlanks(input)
    if (!accept(input, ':')) throw new NotJson()
    entries.set(key, readValue(input, depth + 1))
    skipBlanks(input)
  } while (accept(input, ','))
  if (!accept(input, '}')) throw new NotJson()
  const keys = [...entries.keys()].sort()
  return `{${keys.map((key) => `${key}:${entries.get(key)}`).join(',')}}`
}

function readArray(input: Input, depth: number): string {
  const items: string[] = []
  input.at += 1
  skipBlanks(input)
  if (accept(input, ']')) return '[]'
  do {
    items.push(readValue(input, depth + 1))
    skipBlanks(input)
  } while (accept(input, ','))
  if (!accept(input, ']')) throw new NotJson()
  return `[${items.join(',')}]`
}

function readString(input: Input): string {
  const raw = take(input, STRING)
  return raw.includes('\\') ? JSON.stringify(JSON.parse(raw)) : raw
}

function take(input: Input, pattern: RegExp): string {
  pattern.lastIndex = input.at
  const found = pattern.exec(input.text)?.[0]
  if (found === undefined) throw new NotJson()
  input.at += found.length
  return found
}

function accept(input: Input, char: string): boolean {
  if (input.text[input.at] !== char) return false
  input.at += 1
  return true
}

function skipBlanks(input: Input): void {
  for (;;) {
    const code = input.text.charCodeAt(input.at)
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return
    input.at += 1
  }
}
