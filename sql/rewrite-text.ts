/**
 * A text as tokens, with replacements laid over it: what no replacement touches comes out byte for byte as it went in.
 *
 * The parser's locations are byte offsets, so everything here is a string of bytes (one character each); `encoded` brings our own names
 * into that form and `decoded` turns the result back. The first byte of every literal is a mark that names the literal, so that a text
 * that was rewritten once serves all texts of its shape with other literals in it.
 */
import { scanSync } from 'libpg-query'
import type { Lexed } from './lex.js'

type Edit = { readonly from: number; readonly to: number; readonly text: string }

type Token = { readonly start: number; readonly end: number; readonly word: string }

/** First of the private characters that stand for a literal's first byte. */
const MARK = 0xe000
const MARKS_MAX = 6000

/** A rewritten text: constant pieces, and numbers of literals that stand where they stood. */
export type Template = readonly (string | number)[]

export class SqlText {
  readonly #source: string
  readonly #literals: readonly { readonly start: number; readonly end: number }[]
  readonly #tokens: readonly Token[]
  /** Position of the bracket that closes the one at this position. */
  readonly #closes = new Map<number, number>()
  readonly #edits = new Map<number, Edit>()

  constructor(sql: string, lexed: Lexed) {
    const bytes = encoded(sql)
    const offset =
      bytes.length === sql.length ? (at: number) => at : (at: number) => Buffer.byteLength(sql.slice(0, at))
    this.#literals = lexed.starts
      .slice(0, MARKS_MAX)
      .map((start, i) => ({ start: offset(start), end: offset(lexed.ends[i]!) }))
    let marked = ''
    let from = 0
    for (const [i, { start }] of this.#literals.entries()) {
      marked += bytes.slice(from, start) + String.fromCharCode(MARK + i)
      from = start + 1
    }
    this.#source = marked + bytes.slice(from)
    this.#tokens = scanSync(sql)
      .tokens.filter(({ tokenName }) => !tokenName.endsWith('COMMENT'))
      .map(({ start, end, text }) => ({ start, end, word: text.toUpperCase() }))
    const open: number[] = []
    for (const [i, { word }] of this.#tokens.entries()) {
      if (word === '(' || word === '[') open.push(i)
      else if ((word === ')' || word === ']') && open.length > 0) this.#closes.set(open.pop()!, i)
    }
  }

  get count(): number {
    return this.#tokens.length
  }

  get isChanged(): boolean {
    return this.#edits.size > 0
  }

  /** The token that starts at, or first after, a location of the tree. */
  at(location: number | undefined): number {
    const wanted = location ?? 0
    let low = 0
    let high = this.#tokens.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#tokens[middle]!.start < wanted) low = middle + 1
      else high = middle
    }
    return low
  }

  /** In capitals; a quoted name keeps its quotes and so equals no keyword. */
  word(at: number): string {
    return this.#tokens[at]?.word ?? ''
  }

  /** Where the brackets around a position, or its statement, end. */
  endFrom(at: number): number {
    for (let i = at; i < this.count; i++) {
      const word = this.word(i)
      if (word === ')' || word === ']' || word === ';') return i
      i = this.#closes.get(i) ?? i
    }
    return this.count
  }

  closeOf(at: number): number {
    return this.#closes.get(at) ?? this.count
  }

  /** A keyword outside of brackets; -1: there is none. `IS DISTINCT FROM` is no FROM. */
  find(keyword: string, from: number, to: number): number {
    for (let i = from; i < to; i++) {
      if (this.word(i) === keyword && this.word(i - 1) !== 'DISTINCT') return i
      i = this.#closes.get(i) ?? i
    }
    return -1
  }

  /** Ranges between the commas outside of brackets. */
  split(from: number, to: number): readonly (readonly [number, number])[] {
    if (from >= to) return []
    const ranges: [number, number][] = []
    let start = from
    for (let i = from; i < to; i++) {
      if (this.word(i) === ',') {
        ranges.push([start, i])
        start = i + 1
      }
      i = this.#closes.get(i) ?? i
    }
    ranges.push([start, to])
    return ranges
  }

  /** After a name of one to three parts that starts here. */
  afterName(at: number): number {
    let end = at + 1
    while (this.word(end) === '.') end += 2
    return end
  }

  /** The last replacement of a place counts; one around others swallows them, and shows them where it renders its inside. */
  replace(from: number, to: number, text: string): void {
    this.#edits.set(from, { from, to, text })
  }

  /** Tokens `from` to `to`, with what was replaced in them. */
  render(from: number, to: number): string {
    if (from >= to) return ''
    return this.#between(this.#tokens[from]!.start, this.#tokens[to - 1]!.end, from, to)
  }

  /** The whole text. */
  result(): string {
    return this.#between(0, this.#source.length, 0, this.count)
  }

  template(text: string): Template {
    const pieces: (string | number)[] = []
    let from = 0
    for (let i = 0; i < text.length; i++) {
      const slot = text.charCodeAt(i) - MARK
      if (slot < 0) continue
      const literal = this.#literals[slot]!
      pieces.push(decoded(text.slice(from, i)), slot)
      i += literal.end - literal.start - 1
      from = i + 1
    }
    return [...pieces, decoded(text.slice(from))]
  }

  #between(start: number, end: number, from: number, to: number): string {
    const edits = [...this.#edits.values()]
      .filter((edit) => edit.from >= from && edit.to <= to)
      .sort((a, b) => a.from - b.from || b.to - a.to)
    let out = ''
    let at = start
    let done = from
    for (const edit of edits) {
      if (edit.from < done) continue
      out += this.#source.slice(at, this.#tokens[edit.from]!.start) + edit.text
      at = this.#tokens[edit.to - 1]!.end
      done = edit.to
    }
    return out + this.#source.slice(at, end)
  }
}

/** A template with the literals of a text in it. */
export function fillTemplate(template: Template, sql: string, { starts, ends }: Lexed): string {
  return template.map((piece) => (typeof piece === 'string' ? piece : sql.slice(starts[piece], ends[piece]))).join('')
}

export function encoded(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

export function decoded(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
