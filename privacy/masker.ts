/**
 * The masker: personal values out, tokens in, for everything that may reach a disk. The same value of the same column becomes the same
 * token in SQL texts, parameters, result rows, COPY data, errors and the snapshot.
 *
 * One per thread. What it knows of shapes is bounded and kept in memory only.
 */
import { createBinaryReader } from '../segment/binary-user-types.js'
import type { Catalog } from '../segment/catalog.js'
import { type KnownTypes, knownTypes } from '../segment/known-types.js'
import type { Column, Row, ServerError } from '../segment/outcome.js'
import { FIRST_USER_OID, OID } from '../segment/values/oids.js'
import { textToBinary } from '../segment/values/to-binary.js'
import { mayNameSomebody } from '../sql/column-functions.js'
import { type ColumnRef, createColumnResolver, type SlotFacts } from '../sql/columns.js'
import { lex } from '../sql/lex.js'
import { joinedStrings } from '../sql/literal.js'
import { loadParser } from '../sql/parse.js'
import type { CatalogIndex } from '../sql/relations.js'
import { computedColumns } from './computed-columns.js'
import { type CopyMask, createCopyMask, TEXT_FORMAT } from './copy.js'
import { type BinaryCell, maskBinaryCopy } from './copy-binary.js'
import { createErrorMasks, type ErrorFields, type SafeNotice } from './errors.js'
import type { Key } from './key.js'
import { createMasking, type MaskingOf } from './masking.js'
import { createMasks, type Mask, type Masks } from './masks/index.js'
import { arrayMask } from './masks/structures.js'
import { resolvePolicy } from './policy/columns.js'
import type { Policy } from './policy/policy.js'
import { resultMasks } from './results.js'
import { createShapes, KEPT_LENGTH_MAX, remember, SHAPES_MAX } from './shapes.js'
import { factsMask } from './slots.js'
import { type MaskedSql, refuse, type SqlFacts, understand } from './statement.js'
import { loadDictionary } from './tokens/dictionary.js'
import { createTokens } from './tokens/index.js'
import { hexToken } from './tokens/pattern.js'
import { createPrf } from './tokens/prf.js'
import type { Understanding } from './understanding.js'
import { createVocabulary } from './vocabulary.js'

export type { CopyMask } from './copy.js'
export type { ErrorFields, SafeNotice } from './errors.js'
export type { MaskedSql, SqlFacts } from './statement.js'

export type MaskerSettings = { readonly key: Key; readonly policy: Policy; readonly catalog: Catalog }

export type RowMask = (cells: Row) => Row

export type Masker = {
  sql(text: string): MaskedSql
  /** Parameters as text; `typeOids` as the server resolved them, 0 or absent where unknown. */
  parameters(facts: SqlFacts, values: Row, typeOids: readonly number[]): Row
  /** What a recording keeps about a text's masking; null: nothing to say. */
  readonly masking: MaskingOf
  /** Declared types, those that are 0 or absent filled in with what the text says: the column's, or that of a cast. */
  parameterTypes(facts: SqlFacts, count: number, declared: readonly number[]): readonly number[]
  /** A binary value as its text; null: nobody here can read it. */
  binaryText(typeOid: number, bytes: Uint8Array): string | null
  /** Of the database that is recorded: what results are read and compared with. */
  readonly types: KnownTypes
  /** `statement` says which of the text's statements the rows come from; expressions are then seen through. */
  rowMasker(columns: readonly Column[], facts?: SqlFacts, statement?: number): RowMask
  /** COPY data of a table's columns in text format, as a snapshot reads it: whole lines in, whole lines out. null: all stays. */
  copyLine(tableOid: number, attnums: readonly number[]): ((lines: Buffer) => Buffer) | null
  /** COPY data of a recorded COPY statement; null: it cannot be masked (an unknown table), or is in binary. */
  copy(facts: SqlFacts, statement?: number): CopyMask | null
  /** The same in binary, all of it; null: it cannot be masked. */
  copyBinary(facts: SqlFacts, statement: number, data: Buffer): Buffer | null
  error(fields: ErrorFields): ServerError
  notice(fields: ErrorFields): SafeNotice
  /** Free text of no known column: a notification's payload. */
  loose(value: string): string
  /** What a client said as it connected, without who it is and where to. */
  startup(parameters: Readonly<Record<string, string>>): Readonly<Record<string, string>>
  /** The name of a prepared statement or a portal: kept where it reads like a name. */
  name(name: string): string
}

const TEXTS_MAX = 4_000

/** Of one text, by the types its parameters were given. */
type ParameterMasks = { readonly typeOids: readonly number[]; readonly masks: readonly (Mask | null)[] }
const VARIANTS_MAX = 20

function isSame(some: readonly number[], others: readonly number[]): boolean {
  if (some.length !== others.length) return false
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false
  return true
}

export async function createMasker({ key, policy, catalog }: MaskerSettings): Promise<Masker> {
  await loadParser()
  const tokens = createTokens(key, await loadDictionary(policy.locale))
  const resolved = resolvePolicy(policy, catalog)
  const vocabulary = createVocabulary(catalog)
  const readBinary = createBinaryReader(catalog.types)
  const bytes = createPrf(key, 'bytes')
  const masks = createMasks(resolved, policy.settings, tokens, vocabulary, (hex) => hexToken(bytes, hex))
  const resolver = createColumnResolver(catalog, resolved.index)
  const describe = ({ tableOid, attnum }: ColumnRef): string => {
    const relation = resolved.index.byOid(tableOid)
    return `${relation?.schema}.${relation?.name}.${relation?.columns.find((one) => one.attnum === attnum)?.name}`
  }
  const understanding: Understanding = {
    masks,
    resolver,
    vocabulary,
    computed: computedColumns(masks, resolver),
    describe,
  }
  const { error, notice } = createErrorMasks(masks, resolved, vocabulary)

  const texts = new Map<string, MaskedSql>()
  const shapes = createShapes((text, lexed) => understand(understanding, text, lexed))
  const sql = (text: string): MaskedSql => {
    const seen = texts.get(text)
    if (seen !== undefined) return seen
    const lexed = lex(text)
    const shape = shapes(text, lexed)
    if (shape === null) {
      // The server joins strings across a line comment; the parser does not, so it is given the joined string.
      const joined = joinedStrings(text, lexed)
      return joined === text ? refuse(understanding, text, lexed) : sql(joined)
    }
    const masked = shape.apply(text, lexed)
    // Without literals the text will come again; with them it probably will not.
    if (lexed.starts.length === 0 && text.length <= KEPT_LENGTH_MAX) remember(texts, text, masked, TEXTS_MAX)
    return masked
  }

  const parameterMasks = new WeakMap<SqlFacts, ParameterMasks[]>()
  const masksOfParameters = (facts: SqlFacts, count: number, typeOids: readonly number[]): readonly (Mask | null)[] => {
    let known = parameterMasks.get(facts)
    if (known === undefined) {
      known = []
      parameterMasks.set(facts, known)
    }
    for (const one of known) if (isSame(one.typeOids, typeOids) && one.masks.length === count) return one.masks
    const masks = Array.from({ length: count }, (_, at) => parameterMask(facts, at, typeOids[at] ?? 0))
    if (known.length >= VARIANTS_MAX) known.length = 0
    known.push({ typeOids: [...typeOids], masks })
    return masks
  }
  const parameterMask = (facts: SqlFacts, at: number, typeOid: number): Mask | null => {
    const type = resolved.types.of(typeOid)
    const slot = facts.parameters.get(at + 1)
    if (slot !== undefined && (slot.bindings.length > 0 || slot.harmless !== null || slot.setting !== null)) {
      const mask = factsMask(understanding, type.class === 'array' ? { ...slot, array: true } : slot)
      const column = slot.bindings.find((bound) => masks.kindOf(bound.column) !== 'keep')
      // A number stays one unless its column says `digits`; the number of a LIMIT is nobody's.
      const number = type.class === 'integer' || type.class === 'number' || type.class === 'boolean'
      return number && (column === undefined || masks.kindOf(column.column) !== 'digits') ? null : mask
    }
    if (type.class === 'text' || type.class === 'unknown') {
      const open = masks.unresolved(slot?.type ?? null)
      return slot?.array === true ? arrayMask(open, masks.text) : open
    }
    if (type.element?.class === 'text') return arrayMask(masks.unresolved(null), masks.text)
    return masks.cellOfType(type)
  }

  const rowMasks = new Map<string, RowMask>()
  return {
    sql,
    parameters(facts, values, typeOids) {
      if (values.length === 0) return values
      return applyRow(masksOfParameters(facts, values.length, typeOids), values)
    },
    masking: createMasking(
      (oid) => resolved.types.of(oid),
      (slot) => meantType(resolved.index, slot),
    ),
    parameterTypes(facts, count, declared) {
      if (declared.length >= count && !declared.includes(0)) return declared
      return Array.from(
        { length: count },
        (_, at) => declared[at] || meantType(resolved.index, facts.parameters.get(at + 1)),
      )
    },
    binaryText: (typeOid, bytes) => readBinary(typeOid, bytes) ?? null,
    types: knownTypes(catalog.types),
    rowMasker(columns, facts, statement = 0) {
      const results = facts?.statements[statement]?.results ?? null
      const make = (): RowMask => {
        const ofColumns = resultMasks(understanding, resolved, columns, facts, results)
        return ofColumns.every((mask) => mask === null) ? (cells) => cells : (cells) => applyRow(ofColumns, cells)
      }
      // With the statement's facts the mask belongs to the shape; without, to the columns alone.
      if (facts !== undefined) return make()
      const name = columns.map((one) => `${one.tableOid} ${one.attnum} ${one.typeOid} ${one.name}`).join('\n')
      const known = rowMasks.get(name)
      if (known !== undefined) return known
      const made = make()
      remember(rowMasks, name, made, SHAPES_MAX)
      return made
    },
    copyLine(tableOid, attnums) {
      const ofColumns = attnums.map((attnum) => cellMask({ tableOid, attnum }))
      if (ofColumns.every((mask) => mask === null)) return null
      return createCopyMask(ofColumns, TEXT_FORMAT).lines
    },
    copy(facts, statement = 0) {
      const found = facts.statements[statement]
      if (found?.copy == null || found.copy.format === 'binary') return null
      const { format, columns } = found.copy
      const ofColumns =
        columns === null
          ? (found.results ?? []).map((result) =>
              result.columns[0] === undefined ? masks.text : cellMask(result.columns[0]),
            )
          : columns.map(cellMask)
      return ofColumns.length === 0 ? null : createCopyMask(ofColumns, { ...found.copy, format })
    },
    copyBinary(facts, statement, data) {
      const columns = facts.statements[statement]?.copy?.columns ?? []
      const cells = columns.map(binaryCell)
      return cells.length === 0 || cells.includes(null) ? null : maskBinaryCopy(cells as BinaryCell[], data)
    },
    error,
    notice,
    loose: masks.unresolved(null),
    startup: (parameters) =>
      Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, startupValue(masks, name, value)])),
    name: (name) => (NAME.test(name) ? masks.detected(name) : masks.text(name)),
  }

  /** null: its bytes mean something else in another database, because they name types by oid. */
  function binaryCell(column: ColumnRef): BinaryCell | null {
    const own = resolved.index.byOid(column.tableOid)?.columns.find((one) => one.attnum === column.attnum)
    if (own === undefined) return null
    const baseOid = baseOf(own.typeOid)
    const { class: is } = resolved.types.of(baseOid)
    const users = baseOid >= FIRST_USER_OID
    if (users && is !== 'enum' && is !== 'text') return null
    return {
      mask: cellMask(column),
      read: (bytes) => readBinary(baseOid, bytes),
      write: (text) => textToBinary(users ? OID.text : baseOid, text),
    }
  }

  /** What a domain is made of, in the end. */
  function baseOf(typeOid: number): number {
    const domain = catalog.types.find(({ oid, kind }) => oid === typeOid && kind === 'domain')
    return domain === undefined ? typeOid : baseOf(domain.ofOid)
  }

  function cellMask(column: ColumnRef): Mask | null {
    const own = resolved.index.byOid(column.tableOid)?.columns.find((one) => one.attnum === column.attnum)
    if (own === undefined) return column.tableOid < FIRST_USER_OID && column.tableOid > 1 ? null : masks.text
    return masks.cell(column, resolved.types.of(own.typeOid))
  }
}

/** As drivers and people make them up: `S_12`, `find_user`, `__asyncpg_stmt_4f__`. */
const NAME = /^[\w$.:-]{0,63}$/

/** `options` holds settings: `-c app.user=alice`. */
function startupValue(masks: Masks, name: string, value: string): string {
  if (mayNameSomebody(name)) return masks.setting(name)(value)
  if (name !== 'options') return masks.detected(value)
  return value.replace(
    /(-c\s*|--)([\w.-]+)=((?:\\[\s\S]|\S)*)/g,
    (all: string, before: string, option: string, raw: string) => {
      const setting = option.replaceAll('-', '_').toLowerCase()
      if (!mayNameSomebody(setting)) return all
      const masked = masks.setting(setting)(raw.replace(/\\([\s\S])/g, '$1'))
      return `${before}${option}=${masked.replace(/[\\\s]/g, '\\$&')}`
    },
  )
}

/** 0: nobody knows. */
function meantType(index: CatalogIndex, slot: SlotFacts | undefined): number {
  if (slot === undefined || slot.array) return 0
  if (slot.type !== null) return (OID as Readonly<Record<string, number>>)[slot.type] ?? 0
  for (const { column, use } of slot.bindings) {
    if (column.path !== undefined || (use !== 'equal' && use !== 'store' && use !== 'order')) continue
    const found = index.byOid(column.tableOid)?.columns.find(({ attnum }) => attnum === column.attnum)
    if (found !== undefined) return found.typeOid
  }
  return 0
}

function applyRow(masks: readonly (Mask | null)[], cells: Row): Row {
  const out: (string | null)[] = new Array(cells.length)
  for (let at = 0; at < cells.length; at++) {
    const cell = cells[at]!
    const mask = masks[at]
    out[at] = cell === null || cell === '' || mask === null || mask === undefined ? cell : mask(cell)
  }
  return out
}
