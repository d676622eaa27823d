/**
 * What becomes of each literal and parameter, from what is known about it.
 */
import type { RawStmt } from 'libpg-query'
import { DML, type SlotFacts } from '../sql/columns.js'
import { type Lexed, LITERAL, type LiteralForm } from '../sql/lex.js'
import { literalOf, literalValue } from '../sql/literal.js'
import { unwrap } from '../sql/tree-walk.js'
import { looksLike } from './masks/harmless.js'
import type { Mask } from './masks/index.js'
import { arrayMask } from './masks/structures.js'
import { createBodyMask } from './refused.js'
import type { Understanding } from './understanding.js'

/** A literal's new text; null keeps the old one. */
export type SlotMask = ((raw: string, form: LiteralForm) => string) | null

/** Statements whose literals stand outside of expressions, and what those are. */
const SECRETS = new Set([
  'CreateRoleStmt',
  'AlterRoleStmt',
  'CreateUserMappingStmt',
  'AlterUserMappingStmt',
  'CreateSubscriptionStmt',
  'AlterSubscriptionStmt',
])
const BODIES = new Set(['CreateFunctionStmt', 'DoStmt'])
const DATA = new Set(['NotifyStmt', 'CommentStmt', 'TransactionStmt', 'ExecuteStmt'])

export function slotMasks(
  with_: Understanding,
  sql: string,
  lexed: Lexed,
  parsed: readonly RawStmt[],
  facts: readonly (SlotFacts | undefined)[],
  offsets: readonly number[],
): readonly SlotMask[] {
  const ends = parsed.map(
    (statement) => (statement.stmt_location ?? 0) + (statement.stmt_len ?? Number.POSITIVE_INFINITY),
  )
  const kinds = parsed.map((statement) => unwrap(statement.stmt)?.kind ?? '')
  const body = createBodyMask(with_.masks)
  return lexed.forms.map((form, slot): SlotMask => {
    if (isEscapeOf(sql, lexed, slot)) return null
    const known = facts[slot]
    if (known !== undefined) return slotMask(with_, known, form, hasSign(sql, lexed.starts[slot]!))
    if (form === LITERAL.number) return null
    const kind = kinds[ends.findIndex((end) => offsets[slot]! < end)] ?? ''
    if (SECRETS.has(kind)) return textSlot(secret)
    if (BODIES.has(kind)) return textSlot(body)
    if (DATA.has(kind)) return textSlot(with_.masks.unresolved(null))
    return textSlot(DML.has(kind) ? with_.masks.unresolved(null) : with_.masks.detected)
  })
}

/** `VALID UNTIL` is a date and may stay; whatever else stands in these statements is a secret. */
function secret(value: string): string {
  return /^[\d\s:.+-]+$/.test(value) && /^\d{4}-/.test(value) ? value : '********'
}

/** What is known of each literal, in the order of the text. */
export function factsOfLiterals(
  sql: string,
  lexed: Lexed,
  offsets: readonly number[],
  literals: ReadonlyMap<number, SlotFacts>,
): readonly (SlotFacts | undefined)[] {
  return lexed.starts.map(
    (start, slot) => literals.get(offsets[slot]!) ?? signedFacts(sql, start, offsets[slot]!, literals),
  )
}

/** The parser places a negative number at its sign. */
function signedFacts(
  sql: string,
  start: number,
  offset: number,
  literals: ReadonlyMap<number, SlotFacts>,
): SlotFacts | undefined {
  let back = start - 1
  while (back >= 0 && /\s/.test(sql[back]!)) back -= 1
  return sql[back] === '-' ? literals.get(offset - (start - back)) : undefined
}

/** `U&'…' UESCAPE '!'`: the second string is the first one's escape character. */
function isEscapeOf(sql: string, lexed: Lexed, slot: number): boolean {
  if (slot === 0 || lexed.forms[slot - 1] !== LITERAL.unicode) return false
  return /^\s*uescape\s*$/i.test(sql.slice(lexed.ends[slot - 1], lexed.starts[slot]))
}

function textSlot(mask: Mask): SlotMask {
  return (raw, form) => {
    const value = literalValue(raw, form)
    const masked = mask(value)
    return masked === value ? raw : literalOf(masked, form)
  }
}

/** `0x1F` and `1e3` are 31 and 1000: their digits are not the number's. */
function decimal(number: string): string {
  if (/^0[xob]/i.test(number)) return BigInt(number).toString()
  const value = Number(number)
  return /e/i.test(number) && Number.isSafeInteger(value) ? String(value) : number
}

/** The sign stands outside of the literal: a string in its place would be another expression. */
function hasSign(sql: string, start: number): boolean {
  return /[-+]\s*$/.test(sql.slice(Math.max(0, start - 20), start))
}

function slotMask(with_: Understanding, facts: SlotFacts, form: LiteralForm, signed: boolean): SlotMask {
  const mask = factsMask(with_, facts)
  if (mask === null) return null
  if (form === LITERAL.bits || form === LITERAL.hex) return facts.bindings.length === 0 ? null : textSlot(mask)
  if (form !== LITERAL.number) return textSlot(mask)
  const column = facts.bindings[0]?.column
  if (column === undefined) return null
  const kind = with_.masks.kindOf(column)
  if (kind === 'keep' || (kind === 'json' && column.path !== undefined)) return null
  if (signed && kind !== 'digits') return null
  // `extract(year FROM born) = 1980`: another number, of as many digits.
  const stays = kind === 'digits' || facts.bindings.every(({ use }) => use === 'derive')
  return (raw) => {
    const value = decimal(raw.replaceAll('_', ''))
    const masked = mask(value)
    if (stays && /^\d+(\.\d+)?$/.test(masked)) return masked
    return masked === value ? raw : kind === 'digits' ? masked : literalOf(masked, LITERAL.string)
  }
}

/** What a slot is masked with, whether it is a literal or a parameter. null: it stays as it is. */
export function factsMask({ masks }: Understanding, facts: SlotFacts): Mask | null {
  if (facts.secret) return secret
  if (facts.bindings.length > 0) {
    // Several columns: the one that is masked decides, and equal kinds agree anyway.
    const bound = facts.bindings.find((one) => masks.kindOf(one.column) !== 'keep') ?? facts.bindings[0]!
    // What is computed of a value may be of any type, and a cast says which.
    if (bound.use === 'derive' && facts.type !== null && looksLike(facts.type, '0') !== null)
      return masks.unresolved(facts.type)
    return masks.input(bound.column, bound.use, facts.array)
  }
  if (facts.setting !== null || (facts.argumentOf === 'set_config' && facts.harmless === null))
    return masks.setting(facts.setting)
  if (facts.harmless === 'word' || facts.harmless === 'key') return masks.detected
  if (facts.harmless === 'format') return masks.template
  if (facts.harmless === 'jsonpath')
    return (value) => (JSON_PATH.test(value) ? maskJsonPath(value, masks.text) : masks.words(value))
  // `$1::int4[]`: each element is an int4.
  return facts.array ? arrayMask(masks.unresolved(facts.type), masks.text) : masks.unresolved(facts.type)
}

/** `doc @@ '$.name == "Ann"'` is a path, `words @@ 'ann & bob'` is not. */
const JSON_PATH = /^\s*(?:(?:strict|lax)\b\s*)?[-+!(]*\s*(?:exists\s*\(\s*)?[$@]/i

/** Strings of a jsonpath are values, except after a dot, where they are keys. */
function maskJsonPath(path: string, text: Mask): string {
  return path.replace(/(\.\s*)?"((?:[^"\\]|\\.)*)"/g, (all: string, dot: string | undefined, inner: string) =>
    dot === undefined ? `"${text(inner)}"` : all,
  )
}

export function byteOffsets(sql: string, starts: readonly number[]): readonly number[] {
  let at = 0
  let bytes = 0
  return starts.map((start) => {
    bytes += Buffer.byteLength(sql.slice(at, start), 'utf8')
    at = start
    return bytes
  })
}

/** A value whose column nobody could tell. */
export type Unmapped = {
  /** `$1`, or `literal 2`: the second of the text. */
  readonly slot: string
  readonly why: string
  /** null: a literal. */
  readonly parameter: number | null
}

export function unmappedSlots(
  parameters: ReadonlyMap<number, SlotFacts>,
  lexed: Lexed,
  facts: readonly (SlotFacts | undefined)[],
  isNamed: (setting: string) => boolean,
): readonly Unmapped[] {
  const found: Unmapped[] = []
  const isOpen = (one: SlotFacts): boolean =>
    one.bindings.length === 0 && one.harmless === null && !(one.setting !== null && isNamed(one.setting))
  for (const [number, one] of parameters)
    if (isOpen(one)) found.push({ slot: `$${number}`, why: why(one), parameter: number })
  for (const [at, one] of facts.entries())
    if (one !== undefined && isOpen(one) && one.type === null && lexed.forms[at] !== LITERAL.number)
      found.push({ slot: `literal ${at + 1}`, why: why(one), parameter: null })
  return found
}

function why(facts: SlotFacts): string {
  if (facts.setting !== null) return `value of the setting ${facts.setting}`
  return facts.argumentOf === null ? 'meets no column' : `argument of ${facts.argumentOf}()`
}
