/**
 * A shape of SQL, understood once: what happens to each of its literals, parameters and result columns.
 */
import type { RawStmt } from 'libpg-query'
import type { SafeSql } from '../segment/statement.js'
import type { ColumnRef, ColumnResolver, SlotFacts, StatementColumns, Use } from '../sql/columns.js'
import { type Lexed, LITERAL, type LiteralForm } from '../sql/lex.js'
import { literalOf, literalValue } from '../sql/literal.js'
import { fingerprint, parse } from '../sql/parse.js'
import { unwrap, walk } from '../sql/tree-walk.js'
import { FOLDS_CASE, KEEPS_ORDER, type Kind } from './kinds.js'
import type { Mask, Masks } from './masks/index.js'
import { unknownNames } from './names.js'
import { createBodyMask, refusedText } from './refused.js'
import type { Vocabulary } from './vocabulary.js'

/** A masked column used in a way its tokens may not stand for: a difference there is labelled, never a finding. */
export type MaskingCaution = {
  readonly column: ColumnRef
  /** `public.users.email` */
  readonly name: string
  readonly kind: Kind
  readonly use: Exclude<Use, 'equal' | 'store'>
}

/** A value whose column nobody could tell, so that the policy can be completed. */
export type Unresolved = {
  /** `$1`, or `literal 2`. */
  readonly slot: string
  readonly why: string
}

export type CopyFacts = {
  readonly direction: 'in' | 'out'
  readonly format: 'text' | 'csv' | 'binary'
  /** Columns in the order of the data; null: those of a query, in `results`. */
  readonly columns: readonly ColumnRef[] | null
  readonly delimiter: string
  readonly quote: string
  readonly escape: string
  readonly nullText: string
  readonly header: boolean
}

export type StatementFacts = StatementColumns & {
  readonly fingerprint: string
  readonly cautions: readonly MaskingCaution[]
  readonly copy: CopyFacts | null
}

/** What all texts of one shape have in common. Shared by many statements: never changed. */
export type SqlFacts = {
  /** False: PostgreSQL's grammar refuses the text. */
  readonly parsed: boolean
  /** 16 hex digits of the whole text; empty when refused. */
  readonly fingerprint: string
  readonly writes: boolean
  readonly parameters: ReadonlyMap<number, SlotFacts>
  readonly statements: readonly StatementFacts[]
  readonly cautions: readonly MaskingCaution[]
  readonly unresolved: readonly Unresolved[]
}

export type MaskedSql = {
  readonly sql: SafeSql
  readonly fingerprint: string
  readonly facts: SqlFacts
  /** The statements of the text, one by one, without the semicolons between; empty ones are left out. */
  readonly statements: readonly SafeSql[]
}

/** A literal's new text; null keeps the old one. */
type SlotMask = ((raw: string, form: LiteralForm) => string) | null

export type Shape = {
  readonly facts: SqlFacts
  /** Literals whose value decides what the others mean: texts of one shape that differ there are understood apart. */
  readonly keys: readonly number[]
  apply(sql: string, lexed: Lexed): MaskedSql
}

export type Understanding = {
  readonly masks: Masks
  readonly resolver: ColumnResolver
  readonly vocabulary: Vocabulary
  readonly describe: (column: ColumnRef) => string
}

export function understand(with_: Understanding, sql: string, lexed: Lexed): Shape | null {
  const parsed = lexed.sound ? parse(sql) : null
  if (parsed === null) return null
  const resolved = with_.resolver.resolve(parsed)
  const slots = slotMasks(with_, sql, lexed, parsed, resolved.literals)
  const pieces = piecesOf(sql, lexed, unknownNames(parsed, with_.resolver.index, with_.vocabulary), with_.masks.text)
  const apply = (text: string, its: Lexed): { sql: SafeSql; statements: SafeSql[] } =>
    assemble(text, its, pieces, slots)
  const first = apply(sql, lexed)
  const cautions = resolved.statements.map((statement) => cautionsOf(with_, statement))
  const nonEmpty = parsed.length === resolved.statements.length ? first.statements : []
  const statements = resolved.statements.map((statement, at): StatementFacts => {
    const own = nonEmpty.length === parsed.length ? (nonEmpty[at] ?? first.sql) : first.sql
    return {
      ...statement,
      cautions: cautions[at] ?? [],
      fingerprint: parsed.length === 1 ? '' : fingerprint(own),
      copy: copyFacts(with_, parsed[at]!),
    }
  })
  const whole = fingerprint(first.sql)
  const facts: SqlFacts = {
    parsed: true,
    fingerprint: whole,
    writes: statements.some((statement) => statement.writes),
    parameters: resolved.parameters,
    statements: statements.map((one) => (one.fingerprint === '' ? { ...one, fingerprint: whole } : one)),
    cautions: cautions.flat(),
    unresolved: unresolvedSlots(resolved.parameters, resolved.literals, lexed, slots),
  }
  const offsets = byteOffsets(sql, lexed.starts)
  const keys = offsets.flatMap((offset, slot) => (resolved.literals.get(offset)?.harmless === 'key' ? [slot] : []))
  return { facts, keys, apply: (text, its) => ({ ...apply(text, its), fingerprint: whole, facts }) }
}

const REFUSED: SqlFacts = {
  parsed: false,
  fingerprint: '',
  writes: true,
  parameters: new Map(),
  statements: [],
  cautions: [],
  unresolved: [],
}

/** A text the parser refuses is recorded too: its error is an outcome. Nothing of it is trusted but words of the language and the schema. */
export function refuse({ masks, vocabulary }: Understanding, sql: string, lexed: Lexed): MaskedSql {
  const safe = refusedText(sql, lexed, masks, vocabulary) as SafeSql
  return { sql: safe, fingerprint: '', facts: REFUSED, statements: [safe] }
}

/** Text between literals, cut at semicolons: `pieces[i]` comes before literal i. */
type Pieces = readonly { readonly text: string; readonly endsStatement: boolean }[][]

function piecesOf(sql: string, lexed: Lexed, unknown: ReadonlySet<string>, text: Mask): Pieces {
  const pieces: { text: string; endsStatement: boolean }[][] = []
  let from = 0
  for (let slot = 0; slot <= lexed.starts.length; slot++) {
    const to = lexed.starts[slot] ?? sql.length
    const own: { text: string; endsStatement: boolean }[] = []
    let start = from
    for (const semicolon of lexed.semicolons) {
      if (semicolon < start || semicolon >= to) continue
      own.push({ text: without(sql, start, semicolon, lexed.comments, unknown, text), endsStatement: true })
      start = semicolon + 1
    }
    own.push({ text: without(sql, start, to, lexed.comments, unknown, text), endsStatement: false })
    pieces.push(own)
    from = lexed.ends[slot] ?? sql.length
  }
  return pieces
}

/** A part of the text, each comment become one blank, names that are none of the schema's become tokens. */
function without(
  sql: string,
  from: number,
  to: number,
  comments: readonly number[],
  unknown: ReadonlySet<string>,
  text: Mask,
): string {
  let out = ''
  let at = from
  for (let pair = 0; pair < comments.length; pair += 2) {
    const [start, end] = [comments[pair]!, comments[pair + 1]!]
    if (end <= at || start >= to) continue
    out += `${sql.slice(at, start)} `
    at = end
  }
  out += sql.slice(Math.min(at, to), to)
  if (unknown.size === 0) return out
  return out.replace(/"((?:[^"]|"")*)"|[\p{L}_][\p{L}\p{N}_$]*/gu, (word: string, inQuotes?: string) => {
    const name = inQuotes?.replaceAll('""', '"') ?? word.toLowerCase()
    if (!unknown.has(name)) return word
    return inQuotes === undefined ? text(name) : `"${text(name).replaceAll('"', '""')}"`
  })
}

function assemble(
  sql: string,
  lexed: Lexed,
  pieces: Pieces,
  slots: readonly SlotMask[],
): { sql: SafeSql; statements: SafeSql[] } {
  let whole = ''
  let statement = ''
  const statements: SafeSql[] = []
  const several = lexed.semicolons.length > 0
  for (let slot = 0; slot < pieces.length; slot++) {
    for (const piece of pieces[slot]!) {
      whole += piece.text
      if (!several) continue
      statement += piece.text
      if (!piece.endsStatement) continue
      whole += ';'
      if (statement.trim() !== '') statements.push(statement.trim() as SafeSql)
      statement = ''
    }
    if (slot === slots.length) break
    const raw = sql.slice(lexed.starts[slot], lexed.ends[slot])
    const mask = slots[slot]
    const literal = mask === null || mask === undefined ? raw : mask(raw, lexed.forms[slot]!)
    whole += literal
    if (several) statement += literal
  }
  if (!several) return { sql: whole as SafeSql, statements: [whole as SafeSql] }
  if (statement.trim() !== '') statements.push(statement.trim() as SafeSql)
  return { sql: whole as SafeSql, statements }
}

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
const DML = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

function slotMasks(
  with_: Understanding,
  sql: string,
  lexed: Lexed,
  parsed: readonly RawStmt[],
  literals: ReadonlyMap<number, SlotFacts>,
): readonly SlotMask[] {
  const offsets = byteOffsets(sql, lexed.starts)
  const ends = parsed.map(
    (statement) => (statement.stmt_location ?? 0) + (statement.stmt_len ?? Number.POSITIVE_INFINITY),
  )
  const kinds = parsed.map((statement) => unwrap(statement.stmt)?.kind ?? '')
  const body = createBodyMask(with_.masks)
  return lexed.starts.map((start, slot): SlotMask => {
    const form = lexed.forms[slot]!
    if (isEscapeOf(sql, lexed, slot)) return null
    const facts = literals.get(offsets[slot]!) ?? signedFacts(sql, start, offsets[slot]!, literals)
    if (facts !== undefined) return slotMask(with_, facts, form)
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

function slotMask(with_: Understanding, facts: SlotFacts, form: LiteralForm): SlotMask {
  const mask = factsMask(with_, facts)
  if (mask === null) return null
  if (form === LITERAL.bits || form === LITERAL.hex) return facts.bindings.length === 0 ? null : textSlot(mask)
  if (form !== LITERAL.number) return textSlot(mask)
  const column = facts.bindings[0]?.column
  if (column === undefined) return null
  const kind = with_.masks.kindOf(column)
  if (kind === 'keep' || (kind === 'json' && column.path !== undefined)) return null
  return (raw) => {
    const value = raw.replaceAll('_', '')
    const masked = mask(value)
    return masked === value ? raw : kind === 'digits' ? masked : literalOf(masked, LITERAL.string)
  }
}

/** What a slot is masked with, whether it is a literal or a parameter. null: it stays as it is. */
export function factsMask({ masks }: Understanding, facts: SlotFacts): Mask | null {
  if (facts.secret) return secret
  if (facts.bindings.length > 0) {
    // Several columns: the one that is masked decides, and equal kinds agree anyway.
    const bound = facts.bindings.find((one) => masks.kindOf(one.column) !== 'keep') ?? facts.bindings[0]!
    return masks.input(bound.column, bound.use, facts.array)
  }
  if (facts.harmless === 'word' || facts.harmless === 'key') return masks.detected
  if (facts.harmless === 'jsonpath') return (value) => maskJsonPath(value, masks.text)
  return masks.unresolved(facts.type)
}

/** Strings of a jsonpath are values, except after a dot, where they are keys. */
function maskJsonPath(path: string, text: Mask): string {
  return path.replace(/(\.\s*)?"((?:[^"\\]|\\.)*)"/g, (all: string, dot: string | undefined, inner: string) =>
    dot === undefined ? `"${text(inner)}"` : all,
  )
}

function byteOffsets(sql: string, starts: readonly number[]): readonly number[] {
  let at = 0
  let bytes = 0
  return starts.map((start) => {
    bytes += Buffer.byteLength(sql.slice(at, start), 'utf8')
    at = start
    return bytes
  })
}

function cautionsOf(
  { masks, describe, resolver }: Understanding,
  statement: StatementColumns,
): readonly MaskingCaution[] {
  const found = new Map<string, MaskingCaution>()
  for (const { column, use } of statement.cautions) {
    const rule = masks.ruleOf(column)
    if (rule === null || rule.kind === 'keep') continue
    const own = resolver.index.byOid(column.tableOid)?.columns.find((one) => one.attnum === column.attnum)
    if (use === 'fold' && (FOLDS_CASE.has(rule.kind) || own?.type === 'citext')) continue
    if (use === 'json_text' && masks.namesPath(column)) continue
    if (use === 'order' && KEEPS_ORDER.has(rule.kind)) continue
    const name = [describe(column), ...(column.path ?? [])].join('.')
    found.set(`${name} ${use}`, { column, name, kind: rule.kind, use })
  }
  return [...found.values()]
}

function unresolvedSlots(
  parameters: ReadonlyMap<number, SlotFacts>,
  literals: ReadonlyMap<number, SlotFacts>,
  lexed: Lexed,
  slots: readonly SlotMask[],
): readonly Unresolved[] {
  const open = (facts: SlotFacts): boolean => facts.bindings.length === 0 && facts.harmless === null
  const why = (facts: SlotFacts): string =>
    facts.argumentOf === null ? 'meets no column' : `argument of ${facts.argumentOf}()`
  const found: Unresolved[] = []
  for (const [number, facts] of parameters) if (open(facts)) found.push({ slot: `$${number}`, why: why(facts) })
  const strings = lexed.forms.flatMap((form, slot) => (form !== LITERAL.number && slots[slot] !== null ? [slot] : []))
  if (strings.length === 0) return found
  let count = 0
  for (const facts of literals.values()) {
    if (!open(facts) || facts.type !== null) continue
    count += 1
  }
  if (count > 0) found.push({ slot: count === 1 ? 'a literal' : `${count} literals`, why: 'meets no column' })
  return found
}

function copyFacts({ resolver }: Understanding, statement: RawStmt): CopyFacts | null {
  const node = unwrap(statement.stmt)
  if (node?.kind !== 'CopyStmt') return null
  const { body } = node
  const relation = body.relation as { schemaname?: string; relname?: string } | undefined
  const table = relation === undefined ? undefined : resolver.index.byName(relation.schemaname, relation.relname ?? '')
  const names: string[] = []
  for (const item of (body.attlist as unknown[] | undefined) ?? []) {
    const name = unwrap(item)?.body.sval
    if (typeof name === 'string') names.push(name)
  }
  const options = new Map<string, string>()
  for (const item of (body.options as unknown[] | undefined) ?? []) {
    const option = unwrap(item)?.body ?? {}
    let value = ''
    walk(option.arg, (inner) => {
      if (inner.kind === 'String') value = String(inner.body.sval ?? '')
      if (inner.kind === 'Boolean') value = String(inner.body.boolval ?? false)
      return true
    })
    options.set(String(option.defname), value)
  }
  const format = options.get('format') ?? 'text'
  const csv = format === 'csv'
  const header = options.get('header')
  const columns =
    table === undefined
      ? relation === undefined
        ? null
        : []
      : (names.length > 0
          ? names.map((name) => table.columns.find((column) => column.name === name)?.attnum ?? 0)
          : table.columns.filter((column) => column.generated === '').map((column) => column.attnum)
        ).map((attnum) => ({ tableOid: table.oid, attnum }))
  return {
    direction: body.is_from === true ? 'in' : 'out',
    format: format === 'csv' || format === 'binary' ? format : 'text',
    columns,
    delimiter: options.get('delimiter') ?? (csv ? ',' : '\t'),
    quote: options.get('quote') ?? '"',
    escape: options.get('escape') ?? options.get('quote') ?? '"',
    nullText: options.get('null') ?? (csv ? '' : '\\N'),
    header: header !== undefined && header !== 'false',
  }
}
