/**
 * The value of a literal, and a literal of a value: the same form out as came in.
 */
import { type Lexed, LITERAL, type LiteralForm } from './lex.js'

/** What the literal means, as text. */
export function literalValue(raw: string, form: LiteralForm): string {
  switch (form) {
    case LITERAL.string:
      return inner(raw, 1)
    case LITERAL.escape:
      return withoutEscapes(inner(raw, 2))
    case LITERAL.unicode:
      return inner(raw, 3).replace(
        /\\(?:\\|\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))/g,
        (all, six?: string, four?: string) => {
          const hex = six ?? four
          return hex === undefined ? '\\' : fromCode(Number.parseInt(hex, 16), all)
        },
      )
    case LITERAL.bits:
    case LITERAL.hex:
      return inner(raw, 2)
    case LITERAL.dollar: {
      const tag = raw.slice(0, raw.indexOf('$', 1) + 1)
      return raw.slice(tag.length, raw.length - tag.length)
    }
    case LITERAL.number:
      return raw
  }
}

/** A literal of this form that means the value. */
export function literalOf(value: string, form: LiteralForm): string {
  switch (form) {
    case LITERAL.string:
      return `'${value.replaceAll("'", "''")}'`
    case LITERAL.escape:
      return `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    case LITERAL.unicode:
      return `U&'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    case LITERAL.bits:
      return `B'${value}'`
    case LITERAL.hex:
      return `X'${value}'`
    case LITERAL.dollar: {
      let tag = '$$'
      for (let at = 0; `${value}$`.includes(tag); at++) tag = `$q${at}$`
      return `${tag}${value}${tag}`
    }
    case LITERAL.number:
      return value
  }
}

/** The text with strings that go on after a line comment written in one piece. */
export function joinedStrings(sql: string, { starts, ends, forms }: Lexed): string {
  let out = ''
  let at = 0
  for (let slot = 0; slot < starts.length; slot++) {
    const raw = sql.slice(starts[slot], ends[slot])
    const form = forms[slot]!
    if (form > LITERAL.unicode || !/'\s*--/.test(raw) || !/[\n\r]/.test(raw)) continue
    out += sql.slice(at, starts[slot]) + literalOf(literalValue(raw, form), form)
    at = ends[slot]!
  }
  return out + sql.slice(at)
}

/** Between the quotes; doubled quotes become one, pieces on several lines become one. */
function inner(raw: string, prefix: number): string {
  const body = raw.slice(prefix, raw.endsWith("'") ? -1 : undefined)
  if (!body.includes("'")) return body
  const escapes = raw.startsWith('E') || raw.startsWith('e')
  let out = ''
  for (let at = 0; at < body.length; at++) {
    const character = body[at]!
    if (escapes && character === '\\') {
      out += character + (body[at + 1] ?? '')
      at += 1
    } else if (character !== "'") out += character
    else if (body[at + 1] === "'") {
      out += "'"
      at += 1
    } else at = body.indexOf("'", at + 1 + commentLength(body, at + 1)) // the next piece's quote
  }
  return out
}

/** Line comments between two pieces may hold quotes. */
function commentLength(body: string, from: number): number {
  return /^(?:\s|--[^\n\r]*)*/.exec(body.slice(from))![0].length
}

const SIMPLE: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

function withoutEscapes(body: string): string {
  if (!body.includes('\\')) return body
  return body
    .replace(/(?:\\x[89A-Fa-f][0-9A-Fa-f]|\\[2-3][0-7]{2})+/g, bytes)
    .replace(
      /\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]))/g,
      (all, hex?: string, octal?: string, four?: string, eight?: string, plain?: string) => {
        if (hex !== undefined) return fromCode(Number.parseInt(hex, 16), all)
        if (octal !== undefined) return fromCode(Number.parseInt(octal, 8) & 0xff, all)
        if (four !== undefined || eight !== undefined) return fromCode(Number.parseInt((four ?? eight)!, 16), all)
        return SIMPLE[plain!] ?? plain!
      },
    )
}

/** `\xC3\xA9` spells one letter in UTF-8. */
function bytes(run: string): string {
  const values = [...run.matchAll(/\\(?:x([0-9A-Fa-f]{2})|([0-7]{3}))/g)].map((match) =>
    match[1] === undefined ? Number.parseInt(match[2]!, 8) & 0xff : Number.parseInt(match[1], 16),
  )
  return Buffer.from(values).toString('utf8')
}

function fromCode(code: number, otherwise: string): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : otherwise
}
