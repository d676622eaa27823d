/**
 * A shape of SQL, understood once: what happens to each of its literals, parameters and result columns.
 */
import type { MaskingCaution } from '../segment/masking.js'
import type { SafeSql } from '../segment/statement.js'
import type { SlotFacts, StatementColumns } from '../sql/columns.js'
import type { Lexed } from '../sql/lex.js'
import { fingerprint, parse } from '../sql/parse.js'
import { cautionsOf } from './cautions.js'
import { type CopyFacts, copyFacts } from './copy-facts.js'
import { strangers, unknownNames } from './names.js'
import { assemble, piecesOf } from './pieces.js'
import { refusedText } from './refused.js'
import { byteOffsets, factsOfLiterals, slotMasks, type Unmapped, unmappedSlots } from './slots.js'
import type { Understanding } from './understanding.js'

export type StatementFacts = Omit<StatementColumns, 'cautions'> & {
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
  readonly unmapped: readonly Unmapped[]
}

export type MaskedSql = {
  readonly sql: SafeSql
  readonly fingerprint: string
  readonly facts: SqlFacts
  /** The statements of the text, one by one, without the semicolons between; empty ones are left out. */
  readonly statements: readonly SafeSql[]
}

export type Shape = {
  readonly facts: SqlFacts
  /** Literals whose value decides what the others mean: texts of one shape that differ there are understood apart. */
  readonly keys: readonly number[]
  apply(sql: string, lexed: Lexed): MaskedSql
}

export function understand(with_: Understanding, sql: string, lexed: Lexed): Shape | null {
  const parsed = lexed.sound ? parse(sql) : null
  if (parsed === null) return null
  const resolved = with_.resolver.resolve(parsed)
  const offsets = byteOffsets(sql, lexed.starts)
  const literals = factsOfLiterals(sql, lexed, offsets, resolved.literals)
  const slots = slotMasks(with_, sql, lexed, parsed, literals, offsets)
  const pieces = piecesOf(sql, lexed, unknownNames(parsed, with_), with_.masks.text)
  const first = assemble(sql, lexed, pieces, slots)
  const whole = fingerprint(first.sql)
  const compared = [...resolved.parameters.values(), ...resolved.literals.values()]
  const statements = resolved.statements.map(
    (statement, at): StatementFacts => ({
      ...statement,
      cautions: [
        ...cautionsOf(with_, statement, compared),
        // Nobody knows what its columns hold, so its values are text where others may be more.
        ...strangers(parsed[at]!, with_.resolver.index)
          .filter((name) => !/^pg_|^information_schema\./.test(name))
          .map((name): MaskingCaution => ({ name, kind: 'text', use: 'unseen', affects: { what: 'rows' } })),
      ],
      fingerprint: parsed.length === 1 ? whole : fingerprint(first.statements[at] ?? ''),
      copy: copyFacts(with_, parsed[at]!),
    }),
  )
  const facts: SqlFacts = {
    parsed: true,
    fingerprint: whole,
    writes: statements.some((statement) => statement.writes),
    parameters: resolved.parameters,
    statements,
    cautions: statements.flatMap((statement) => statement.cautions),
    unmapped: unmappedSlots(resolved.parameters, lexed, literals, with_.masks.namesSetting),
  }
  const keys = literals.flatMap((one, slot) => (one?.harmless === 'key' ? [slot] : []))
  return { facts, keys, apply: (text, its) => ({ ...assemble(text, its, pieces, slots), fingerprint: whole, facts }) }
}

const REFUSED: SqlFacts = {
  parsed: false,
  fingerprint: '',
  writes: true,
  parameters: new Map(),
  statements: [],
  cautions: [],
  unmapped: [],
}

/** A text the parser refuses is recorded too: its error is an outcome. Nothing of it is trusted but words of the language and the schema. */
export function refuse({ masks, vocabulary }: Understanding, sql: string, lexed: Lexed): MaskedSql {
  const safe = refusedText(sql, lexed, masks, vocabulary) as SafeSql
  return { sql: safe, fingerprint: '', facts: REFUSED, statements: [safe] }
}
