/**
 * A text split into its shape and its literals, by PostgreSQL's lexical rules only, in a few microseconds.
 *
 * Applications that put literals into the text send a new text each time, and PostgreSQL's parser (27 µs) and scanner (63 µs) are too
 * slow to see each of them. Texts of one shape parse alike, so the parser runs once per shape.
 *
 * The shape is the text with every literal replaced by a mark that tells the literal's form, and every comment by one blank. Case and white
 * space stay as they are: programs repeat themselves to the letter, and leaving them alone is free. The same text without marks is what gets
 * written, so comments never do. Only `/*+ Hint(t) *\/` of pg_hint_plan's form is part of the text.
 *
 * Not covered, on purpose: `standard_conforming_strings = off`, where a backslash escapes in a plain string. Such a text
 * either lexes the same or is one the parser refuses, and then nothing of it is trusted.
 */

export const LITERAL = {
  /** 'text' */
  string: 0,
  /** E'text\n' */
  escape: 1,
  /** U&'\0061' */
  unicode: 2,
  /** B'0101' */
  bits: 3,
  /** X'1F' */
  hex: 4,
  /** $tag$text$tag$ */
  dollar: 5,
  /** 12, 1.5, 1e5, 0x1F, 1_000; a minus before it is an operator */
  number: 6,
} as const
export type LiteralForm = (typeof LITERAL)[keyof typeof LITERAL]

export type Lexed = {
  readonly shape: string
  /** Literals in order: `starts[i]` to `ends[i]` in UTF-16 units, quotes and prefix included. */
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  readonly forms: readonly LiteralForm[]
  /** Where comments were: pairs of start and end. They are not part of the text that is kept. */
  readonly comments: readonly number[]
  /** Where a `;` ends a statement at the top level. */
  readonly semicolons: readonly number[]
  /** False when the text ends inside a literal, comment or quoted name, or holds control characters: nothing of it can be trusted. */
  readonly sound: boolean
}

/** Marks in a shape begin with a character that no sound text holds outside of literals. */
const MARK = '\u0001'
const MARKS: readonly string[] = Object.values(LITERAL).map((form) => MARK + form)

const OTHER = 0
const SPACE = 1
const LETTER = 2
const DIGIT = 3
const CONTROL = 4
const CLASS = new Uint8Array(128)
for (let code = 0; code < 128; code++) {
  const character = String.fromCharCode(code)
  CLASS[code] = /[A-Za-z_]/.test(character)
    ? LETTER
    : /[0-9]/.test(character)
      ? DIGIT
      : /[ \t\n\r\f\v]/.test(character)
        ? SPACE
        : code < 32 || code === 127
          ? CONTROL
          : OTHER
}

function classOf(code: number): number {
  return code < 128 ? CLASS[code]! : LETTER
}

const QUOTE = 39
const DOUBLE = 34
const DOLLAR = 36
const DASH = 45
const DOT = 46
const SLASH = 47
const STAR = 42
const SEMICOLON = 59
const BACKSLASH = 92
const NEWLINE = 10
const RETURN = 13

const HINT = /^\/\*\+\s*(?:\w+\s*\([\w\s.,$#*+-]*\)\s*)+\*\/$/

export function lex(sql: string): Lexed {
  const starts: number[] = []
  const ends: number[] = []
  const forms: LiteralForm[] = []
  const comments: number[] = []
  const semicolons: number[] = []
  const length = sql.length
  const blocks = new AtomicBlocks()
  let shape = ''
  let copied = 0
  let depth = 0
  let sound = true
  let at = 0

  const literal = (from: number, to: number, form: LiteralForm): void => {
    starts.push(from)
    ends.push(to)
    forms.push(form)
    shape += sql.slice(copied, from) + MARKS[form]!
    copied = to
    at = to
  }

  while (at < length) {
    const code = sql.charCodeAt(at)
    const kind = classOf(code)
    if (kind === SPACE) at += 1
    else if (kind === LETTER) {
      const form = prefixForm(sql, at, code)
      if (form !== null) {
        const quote = form === LITERAL.unicode ? at + 2 : at + 1
        const doubles = form !== LITERAL.bits && form !== LITERAL.hex
        const end = endOfString(sql, quote, form === LITERAL.escape, doubles)
        if (end < 0) sound = false
        literal(at, end < 0 ? length : end, form)
        continue
      }
      const from = at
      at = endOfWord(sql, at + 1)
      if (at - from <= 9) blocks.word(sql, from, at)
    } else if (kind === DIGIT) literal(at, endOfNumber(sql, at), LITERAL.number)
    else if (kind === CONTROL) {
      sound = false
      at += 1
    } else if (code === QUOTE) {
      const end = endOfString(sql, at, false)
      if (end < 0) sound = false
      literal(at, end < 0 ? length : end, LITERAL.string)
    } else if (code === DOUBLE) {
      at = endOfName(sql, at)
      if (at < 0) {
        sound = false
        at = length
      }
    } else if (code === DASH && sql.charCodeAt(at + 1) === DASH) {
      const end = endOfLine(sql, at)
      comments.push(at, end)
      shape += `${sql.slice(copied, at)} `
      copied = end
      at = end
    } else if (code === SLASH && sql.charCodeAt(at + 1) === STAR) {
      const end = endOfComment(sql, at)
      if (end < 0) sound = false
      const to = end < 0 ? length : end
      if (end >= 0 && sql.charCodeAt(at + 2) === 43 && HINT.test(sql.slice(at, to))) at = to
      else {
        comments.push(at, to)
        shape += `${sql.slice(copied, at)} `
        copied = to
        at = to
      }
    } else if (code === DOT && sql.charCodeAt(at + 1) === DOT) at += 2
    else if (code === DOT && classOf(sql.charCodeAt(at + 1)) === DIGIT) {
      literal(at, endOfNumber(sql, at), LITERAL.number)
    } else if (code === DOLLAR) {
      if (classOf(sql.charCodeAt(at + 1)) === DIGIT) {
        at += 2
        while (at < length && classOf(sql.charCodeAt(at)) === DIGIT) at += 1
        continue
      }
      const tag = dollarTag(sql, at)
      if (tag === null) {
        at += 1
        continue
      }
      const close = sql.indexOf(tag, at + tag.length)
      if (close < 0) sound = false
      literal(at, close < 0 ? length : close + tag.length, LITERAL.dollar)
    } else {
      if (code === 40) depth += 1
      else if (code === 41) depth -= 1
      else if (code === SEMICOLON && depth <= 0) {
        if (!blocks.inside) {
          semicolons.push(at)
          blocks.reset()
        }
      }
      at += 1
    }
  }
  shape += sql.slice(copied)
  return { shape, starts, ends, forms, comments, semicolons, sound }
}

/**
 * `CREATE FUNCTION … BEGIN ATOMIC …; …; END` holds semicolons of its own. As psql does: only after CREATE and FUNCTION or PROCEDURE,
 * BEGIN and CASE open, END closes.
 */
class AtomicBlocks {
  #words = 0
  #create = false
  #routine = false
  #depth = 0

  get inside(): boolean {
    return this.#depth > 0
  }

  reset(): void {
    this.#words = 0
    this.#create = false
    this.#routine = false
    this.#depth = 0
  }

  word(sql: string, from: number, to: number): void {
    this.#words += 1
    // Most statements are not CREATE: they cost one comparison a word.
    if (this.#words > 1 && !this.#create) return
    const word = sql.slice(from, to).toLowerCase()
    if (this.#words === 1) this.#create = word === 'create'
    else if (this.#words <= 4 && (word === 'function' || word === 'procedure')) this.#routine = true
    else if (this.#routine && (word === 'begin' || (word === 'case' && this.#depth > 0))) this.#depth += 1
    else if (this.#depth > 0 && word === 'end') this.#depth -= 1
  }
}

/** The form of a literal whose prefix is a letter at `at`; null when it is a word. */
function prefixForm(sql: string, at: number, code: number): LiteralForm | null {
  const next = sql.charCodeAt(at + 1)
  if (next === QUOTE) {
    // N'text' is the word NCHAR and then a plain string: the letter stays in the shape.
    if (code === 69 || code === 101) return LITERAL.escape
    if (code === 66 || code === 98) return LITERAL.bits
    if (code === 88 || code === 120) return LITERAL.hex
    return null
  }
  return next === 38 && (code === 85 || code === 117) && sql.charCodeAt(at + 2) === QUOTE ? LITERAL.unicode : null
}

/** After the closing quote; strings that follow on a later line continue it. -1: it does not end. `doubles`: '' stands for one quote. */
function endOfString(sql: string, quote: number, escapes: boolean, doubles = true): number {
  let at = quote + 1
  for (;;) {
    if (escapes) {
      let code = sql.charCodeAt(at)
      while (code !== QUOTE) {
        if (Number.isNaN(code)) return -1
        at += code === BACKSLASH ? 2 : 1
        code = sql.charCodeAt(at)
      }
    } else {
      at = sql.indexOf("'", at)
      if (at < 0) return -1
    }
    at += 1
    if (doubles && sql.charCodeAt(at) === QUOTE) {
      at += 1
      continue
    }
    const next = continuation(sql, at)
    if (next < 0) return at
    at = next + 1
  }
}

/** The quote that continues a string: only blanks, line comments and at least one line break in between. */
function continuation(sql: string, from: number): number {
  let at = from
  let broken = false
  for (;;) {
    const code = sql.charCodeAt(at)
    if (code === NEWLINE || code === RETURN) {
      broken = true
      at += 1
    } else if (code < 128 && CLASS[code] === SPACE) at += 1
    else if (code === DASH && sql.charCodeAt(at + 1) === DASH) at = endOfLine(sql, at)
    else return code === QUOTE && broken ? at : -1
  }
}

function endOfWord(sql: string, from: number): number {
  let at = from
  for (;;) {
    const code = sql.charCodeAt(at)
    if (Number.isNaN(code)) return at
    const kind = classOf(code)
    if (kind !== LETTER && kind !== DIGIT && code !== DOLLAR) return at
    at += 1
  }
}

/** After the closing quote of a name; "" stands for one quote. */
function endOfName(sql: string, from: number): number {
  let at = sql.indexOf('"', from + 1)
  while (at >= 0 && sql.charCodeAt(at + 1) === DOUBLE) at = sql.indexOf('"', at + 2)
  return at < 0 ? -1 : at + 1
}

function endOfLine(sql: string, from: number): number {
  let at = from
  while (at < sql.length && sql.charCodeAt(at) !== NEWLINE && sql.charCodeAt(at) !== RETURN) at += 1
  return at
}

/** Comments nest. */
function endOfComment(sql: string, from: number): number {
  let depth = 1
  let at = from + 2
  while (at < sql.length) {
    const code = sql.charCodeAt(at)
    if (code === STAR && sql.charCodeAt(at + 1) === SLASH) {
      at += 2
      depth -= 1
      if (depth === 0) return at
    } else if (code === SLASH && sql.charCodeAt(at + 1) === STAR) {
      at += 2
      depth += 1
    } else at += 1
  }
  return -1
}

const NUMBER =
  /0[xX](?:_?[0-9A-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*(?:\.(?!\.)(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y

function endOfNumber(sql: string, from: number): number {
  NUMBER.lastIndex = from
  return NUMBER.test(sql) ? NUMBER.lastIndex : from + 1
}

const TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y

function dollarTag(sql: string, from: number): string | null {
  TAG.lastIndex = from
  return TAG.exec(sql)?.[0] ?? null
}
