/**
 * Generated values: a random key that production made is another one here, so later statements that name it must name this run's.
 * Sequences give production's own numbers as long as everything goes as it went there. Where it does not (V2 accepts a row that V1
 * refused), every later number is off, and without the exchange one fault would show as a thousand.
 *
 * Type and column decide, never the text alone. A statement's parameters and literals belong to a domain through the columns they
 * meet (sql/columns); what it returned in the recording and what it returns here gives the pairs (./lessons.ts).
 */
import type { Catalog } from '../../segment/catalog.js'
import type { Outcome } from '../../segment/outcome.js'
import type { SafeSql } from '../../segment/statement.js'
import { type ColumnResolver, createColumnResolver, type SlotFacts } from '../../sql/columns.js'
import { columnName, type Domains, domainsOf } from '../../sql/domains.js'
import { type Insertion, insertionsOf } from '../../sql/insertions.js'
import { parse } from '../../sql/parse.js'
import { BINARY, bindParameters, buildBindRest } from '../../wire/bind.js'
import type { Sendable } from './encode.js'
import type { Script } from './job.js'
import { Teacher } from './lessons.js'
import type { Pairs } from './pairs.js'
import type { Remap } from './remap.js'

export type GeneratedOptions = {
  readonly catalog: Catalog
  readonly pairs: Pairs
  /** What the statement answered in the recording. */
  readonly recorded: (seq: number) => Outcome | undefined
}

/** Where in a text values of a domain stand. */
type Places = {
  /** By position, from 0. */
  readonly parameters: ReadonlyMap<number, number>
  /** Byte offset of a literal: its opening quote, or its first digit. */
  readonly literals: readonly { readonly at: number; readonly domain: number }[]
  /** The statement makes or shows values of a domain. */
  readonly answers: boolean
  /** Rows that it makes, by table. */
  readonly insertions: ReadonlyMap<number, Insertion>
}

const TEXTS_MAX = 20_000

/** null: nothing in this schema is generated, so nothing is ever exchanged. */
export function createGenerated(options: GeneratedOptions): Remap | null {
  const domains = domainsOf(options.catalog)
  return domains.size === 0 ? null : new Generated(options, domains)
}

/** Names of the domains in the numbering that pairs use. */
export function domainNames(catalog: Catalog): string[] {
  return numbered(domainsOf(catalog))
}

function numbered(domains: Domains): string[] {
  return [...new Set([...domains.values()].map((domain) => domain.name))].sort()
}

class Generated implements Remap {
  readonly #pairs: Pairs
  readonly #recorded: GeneratedOptions['recorded']
  readonly #resolver: ColumnResolver
  readonly #numbers: ReadonlyMap<string, number>
  readonly #domains: Domains
  readonly #teacher: Teacher
  readonly #places = new Map<string, Places>()

  constructor({ catalog, pairs, recorded }: GeneratedOptions, domains: Domains) {
    this.#pairs = pairs
    this.#recorded = recorded
    this.#resolver = createColumnResolver(catalog)
    this.#domains = domains
    this.#teacher = new Teacher(this.#resolver.index, domains)
    this.#numbers = new Map(numbered(domains).map((name, number) => [name, number]))
  }

  before(statement: Script): Sendable {
    const places = this.#placesOf(statement.sql)
    const bind = statement.bind && places.parameters.size > 0 ? this.#rebound(statement.bind, places) : statement.bind
    const sql = places.literals.length > 0 ? this.#retold(statement.sql, places) : statement.sql
    return bind === statement.bind && sql === statement.sql ? statement : { ...statement, bind, sql }
  }

  wantsRows(sql: string): boolean {
    return this.#placesOf(sql).answers
  }

  after(statement: Script, outcome: Outcome): void {
    const recorded = this.#recorded(statement.seq)
    if (!recorded) return
    const { insertions } = this.#placesOf(statement.sql)
    for (const lesson of this.#teacher.lessons(insertions, recorded, outcome)) {
      const pair = { domain: this.#numbers.get(lesson.domain)!, recorded: lesson.recorded, actual: lesson.actual }
      // That both drew the same is worth a word only where something else was believed.
      const news = pair.recorded !== pair.actual || this.#pairs.get(pair.domain, pair.recorded) !== undefined
      if (news && (lesson.sure || !this.#pairs.knowsEither(pair))) this.#pairs.publish(pair)
    }
  }

  #rebound(rest: Uint8Array, places: Places): Uint8Array {
    const bind = bindParameters(rest)
    if (!bind) return rest
    let changed = false
    const values = bind.values.map((value, i) => {
      const domain = places.parameters.get(i)
      if (domain === undefined || value === null) return value
      const binary = bind.formats[i] === BINARY
      const text = binary ? textOfBinary(value) : Buffer.from(value).toString('utf8')
      const actual = text === null ? undefined : this.#pairs.get(domain, text)
      if (actual === undefined) return value
      changed = true
      return binary ? binaryOfText(actual, value.length) : Buffer.from(actual)
    })
    return changed ? buildBindRest(values, bind.formats, bind.resultFormats) : rest
  }

  #retold(sql: SafeSql, places: Places): SafeSql {
    const bytes = Buffer.from(sql)
    const pieces: Buffer[] = []
    let from = 0
    for (const { at, domain } of places.literals) {
      const quoted = bytes[at] === QUOTE
      const start = quoted ? at + 1 : at
      const end = quoted ? bytes.indexOf(QUOTE, start) : endOfDigits(bytes, start)
      if (end <= start) continue
      const actual = this.#pairs.get(domain, bytes.toString('utf8', start, end))
      if (actual === undefined || !(quoted ? !actual.includes("'") : /^-?\d+$/.test(actual))) continue
      // A minus might make a comment of what stands before it.
      pieces.push(bytes.subarray(from, start), Buffer.from(quoted || !actual.startsWith('-') ? actual : `'${actual}'`))
      from = end
    }
    return pieces.length === 0 ? sql : (Buffer.concat([...pieces, bytes.subarray(from)]).toString('utf8') as SafeSql)
  }

  #placesOf(sql: string): Places {
    const known = this.#places.get(sql)
    if (known) return known
    if (this.#places.size >= TEXTS_MAX) this.#places.clear()
    const places = this.#look(sql)
    this.#places.set(sql, places)
    return places
  }

  #look(sql: string): Places {
    const statements = parse(sql)
    if (!statements) return { parameters: new Map(), literals: [], answers: false, insertions: new Map() }
    const found = this.#resolver.resolve(statements)
    const parameters = new Map<number, number>()
    for (const [number, facts] of found.parameters) {
      const domain = this.#domainOf(facts)
      if (domain !== undefined) parameters.set(number - 1, domain)
    }
    const literals: { at: number; domain: number }[] = []
    for (const [at, facts] of found.literals) {
      const domain = this.#domainOf(facts)
      if (domain !== undefined) literals.push({ at, domain })
    }
    literals.sort((a, b) => a.at - b.at)
    const answers = found.statements.some(({ results }) =>
      results?.some(({ columns }) => columns.some((c) => this.#numberOf(c.tableOid, c.attnum) !== undefined)),
    )
    return { parameters, literals, answers, insertions: insertionsOf(statements, this.#resolver.index) }
  }

  #domainOf(facts: SlotFacts): number | undefined {
    for (const { column, use } of facts.bindings) {
      const domain = use === 'equal' || use === 'store' ? this.#numberOf(column.tableOid, column.attnum) : undefined
      if (domain !== undefined) return domain
    }
    return undefined
  }

  #numberOf(tableOid: number, attnum: number): number | undefined {
    const domain = this.#domains.get(columnName(tableOid, attnum))
    return domain && this.#numbers.get(domain.name)
  }
}

const QUOTE = 0x27

function endOfDigits(bytes: Uint8Array, start: number): number {
  let end = start
  while (end < bytes.length && bytes[end]! >= 0x30 && bytes[end]! <= 0x39) end += 1
  return end
}

/** Keys are uuids or integers of two, four or eight bytes; anything else is left as it was recorded. */
function textOfBinary(value: Uint8Array): string | null {
  if (value.length === 16) return uuidText(value)
  const bytes = Buffer.from(value)
  if (value.length === 8) return bytes.readBigInt64BE().toString()
  return value.length === 4 || value.length === 2 ? String(bytes.readIntBE(0, value.length)) : null
}

function binaryOfText(text: string, length: number): Buffer {
  if (length === 16) return Buffer.from(text.replaceAll('-', ''), 'hex')
  const bytes = Buffer.alloc(length)
  if (length === 8) bytes.writeBigInt64BE(BigInt(text))
  else bytes.writeIntBE(Number(text), 0, length)
  return bytes
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
