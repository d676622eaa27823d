/**
 * Policy and tokens put together: the mask of every column, type and place inside JSON.
 *
 * `null` is the mask that keeps: callers skip the cell without looking at it.
 */
import { FIRST_USER_OID } from '../../segment/values/oids.js'
import type { ColumnRef, ResultColumn, Use } from '../../sql/columns.js'
import { replaceDetected } from '../detect.js'
import type { Kind, TokenKind } from '../kinds.js'
import { type ColumnRule, defaultKind, type ResolvedPolicy } from '../policy/columns.js'
import type { JsonRule, Policy } from '../policy/policy.js'
import type { Tokens } from '../tokens/index.js'
import { maskJson } from '../tokens/json.js'
import type { TypeFacts } from '../types.js'
import type { Vocabulary } from '../vocabulary.js'
import { applicationMask } from './application.js'
import { isAmount, isHarmless, isInterval, isNumberLike, looksLike } from './harmless.js'
import { kindAtPath } from './json-paths.js'
import { patternMask } from './like.js'
import { arrayMask, bytesMask, lexemesMask, type Mask, pairsMask, rowMask, spanMask, xmlMask } from './structures.js'

export type { Mask } from './structures.js'

export type Masks = {
  /** For values the server sent: they are of their type, so kept types need no look. */
  cell(column: ColumnRef, type: TypeFacts): Mask | null
  /** For a value the server sent whose column nobody knows. */
  cellOfType(type: TypeFacts): Mask | null
  /** For literals and parameters that meet a column. */
  input(column: ColumnRef, use: Use, array: boolean): Mask
  /** For literals and parameters that meet none; `type` as written in a cast. */
  unresolved(type: string | null): Mask
  /** JSON whose places hold what columns hold. */
  json(fields: ResultColumn['json']): Mask
  /** A text kept, but for what detectors find. */
  readonly detected: Mask
  /** Words of a text, without knowing more. */
  readonly text: Mask
  /** What a text search looks for: its words, its operators stay. */
  readonly words: Mask
  /** For the value of a setting that may name somebody; null: its name is not known. */
  setting(name: string | null): Mask
  /** The policy says what it holds. */
  namesSetting(name: string): boolean
  /** Its values are compared by order only, whatever the operator says. */
  sorts(column: ColumnRef): boolean
  kindOf(column: ColumnRef): Kind
  ruleOf(column: ColumnRef): ColumnRule | null
  /** The same value has the same token in both. */
  agree(one: ColumnRef, other: ColumnRef): boolean
  /** What format() fills in. */
  readonly template: Mask
  /** The policy says what is at this place inside JSON. */
  namesPath(column: ColumnRef): boolean
}

const NO_LIMIT = Number.POSITIVE_INFINITY

export function createMasks(
  policy: ResolvedPolicy,
  settings: Policy['settings'],
  tokens: Tokens,
  vocabulary: Vocabulary,
  hexToken: Mask,
): Masks {
  const text = tokens.of('text')
  const detected: Mask = (value) => replaceDetected(value, (kind, found) => tokens.of(kind)(found))
  const bytes = bytesMask(hexToken)
  const xml = xmlMask(text)
  const lexemes = lexemesMask(text)

  /** An amount stays, as a string and as a number: `->>` does not tell which it was. */
  const jsonText: Mask = (value) => (isAmount(value) ? value : text(value))
  const jsonOf = (rules: readonly JsonRule[], otherwise: Kind, under: readonly string[] = []): Mask => {
    const kindAt = kindAtPath(rules)
    return (value) => {
      const maskAt = (path: readonly string[], number: boolean): Mask | null => {
        const kind = kindAt(path) ?? otherwise
        if (kind === 'keep') return number ? null : detected
        if (!number) return kind === 'text' ? jsonText : tokens.of(kind as TokenKind)
        return kind === 'digits' ? tokens.of('digits') : null
      }
      // What `->>` takes out of a string may look like a number: it is masked like the string it was.
      const document = under.length === 0 || /^\s*["{[]/.test(value)
      const masked = document ? maskJson(value, maskAt, detected, under) : null
      return masked ?? scalarInJson(value, kindAt(under) ?? otherwise)
    }
  }
  /** What `->>` takes out of JSON: the bare string. */
  const scalarInJson = (value: string, kind: Kind): Mask extends (value: string) => infer Out ? Out : never =>
    kind === 'keep' ? detected(value) : kind === 'text' || kind === 'json' ? jsonText(value) : tokens.of(kind)(value)
  const json = jsonOf([], 'text')
  const pairsOf = (rules: readonly JsonRule[]): Mask => {
    const kindAt = kindAtPath(rules)
    return pairsMask(detected, (key) => (value) => scalarInJson(value, kindAt([key]) ?? 'text'), text)
  }
  const span = spanMask(text, text)

  /** The mask of one value of a type, by kind. null keeps. */
  const ofKind = (kind: Kind, rules: readonly JsonRule[], type: TypeFacts, limit: number): Mask | null => {
    if (type.element !== null) {
      const element = ofKind(kind, rules, type.element, limit)
      return element === null ? null : arrayMask(element, element)
    }
    if (type.class === 'composite') {
      if (kind === 'keep') return detected
      const fields = rowOfTable(type) ?? type.fields.map((field) => ofKind(defaultKind(field), [], field, NO_LIMIT))
      return rowMask(
        fields.map((field) => field ?? ((value) => value)),
        text,
      )
    }
    if (type.class === 'json') return kind === 'keep' ? detected : jsonOf(rules, 'text')
    if (type.class === 'pairs') return kind === 'keep' ? detected : pairsOf(rules)
    if (type.class === 'span') return kind === 'keep' ? detected : span
    if (kind === 'keep')
      return type.class === 'text' || type.class === 'unknown' || type.class === 'xml' ? detected : null
    if (kind === 'json') return type.class === 'text' ? jsonOf(rules, 'text') : json
    if (type.class === 'bytes') return kind === 'redact' ? (value) => (value === '' ? value : '\\x') : bytes
    if (type.class === 'xml') return xml
    if (type.class === 'lexemes') return lexemes
    const fitting = tokens.of(kind, type.class === 'integer' ? { max: type.max } : limit === NO_LIMIT ? {} : { limit })
    // What did not fit must not fit afterwards, or its error is lost: the text of the same length.
    const token: Mask = limit === NO_LIMIT ? fitting : (value) => (tooLong(value, limit) ? text(value) : fitting(value))
    if (type.folds) return (value) => token(value.toLowerCase())
    return type.padded ? padded(token) : token
  }

  /** The type of a table's rows has what the table's columns hold. */
  const rowOfTable = ({ oid, fieldNames, fields }: TypeFacts): readonly (Mask | null)[] | null => {
    const type = typesOfRows.get(oid)
    if (type === undefined) return null
    return fields.map((field, at) => {
      const attnum = type.columns.find(({ name }) => name === fieldNames[at])?.attnum
      return attnum === undefined ? text : cell({ tableOid: type.oid, attnum }, field)
    })
  }
  const typesOfRows = new Map(
    policy.catalog.types.flatMap(({ oid, kind, schema, name }) => {
      const table = kind === 'composite' ? policy.index.byName(schema, name) : undefined
      return table === undefined || table.kind === 'composite' ? [] : [[oid, table] as const]
    }),
  )

  const resolved = (column: ColumnRef): { rule: ColumnRule; type: TypeFacts } | null => {
    const rule = policy.ruleOf(column.tableOid, column.attnum)
    const found = policy.index.byOid(column.tableOid)?.columns.find((one) => one.attnum === column.attnum)
    return rule === null || found === undefined ? null : { rule, type: policy.types.of(found.typeOid) }
  }

  /** A place inside JSON, or a field of a composite. */
  const ofPath = (rule: ColumnRule, type: TypeFacts, path: readonly string[], shown?: TypeFacts): Mask | null => {
    if (rule.kind === 'keep') return detected
    const whole = type.element ?? type
    if (whole.class === 'composite') {
      const [name, ...deeper] = path[0] === '[*]' ? path.slice(1) : path
      const field = whole.fields[whole.fieldNames.indexOf(name ?? '')]
      if (field === undefined) return text
      return deeper.length > 0 ? ofPath(rule, field, deeper, shown) : ofKind(defaultKind(field), [], field, NO_LIMIT)
    }
    const mask = jsonOf(rule.json, 'text', path)
    // What `->` takes out is JSON still: a number there is one.
    return shown?.class === 'json' ? (value) => (isNumberLike(value) ? value : mask(value)) : mask
  }

  const known = new Map<string, Mask | null>()
  const cell = (column: ColumnRef, type: TypeFacts): Mask | null => {
    const key = `${column.tableOid} ${column.attnum} ${type.oid} ${column.path?.join('.') ?? ''}`
    const made = known.get(key)
    if (made !== undefined) return made
    const found = resolved(column)
    const mask =
      found === null
        ? cellOfType(type)
        : column.path !== undefined
          ? NUMERIC.has(type.class)
            ? null
            : ofPath(found.rule, found.type, column.path, type)
          : ofKind(found.rule.kind, found.rule.json, type.class === 'unknown' ? found.type : type, found.rule.limit)
    if (known.size < 100_000) known.set(key, mask)
    return mask
  }
  const cellOfType = (type: TypeFacts): Mask | null => ofKind(defaultKind(type), [], type, NO_LIMIT)

  const keptInput = (type: TypeFacts, name: string): Mask => {
    if (type.class === 'enum') return (value) => (type.labels.includes(value) ? value : text(value))
    return (value) => ((looksLike(name, value) ?? true) ? detected(value) : text(value))
  }

  const inputs = new Map<string, Mask>()
  const input = (column: ColumnRef, use: Use, array: boolean): Mask => {
    const key = `${column.tableOid} ${column.attnum} ${column.path?.join('.') ?? ''} ${use} ${array}`
    const made = inputs.get(key)
    if (made !== undefined) return made
    const mask = makeInput(column, use, array)
    if (inputs.size < 100_000) inputs.set(key, mask)
    return mask
  }
  const makeInput = (column: ColumnRef, use: Use, array: boolean): Mask => {
    const found = resolved(column)
    if (found === null) return column.tableOid < FIRST_USER_OID ? detected : unresolved(null)
    const { rule, type } = found
    if (rule.kind === 'keep' && column.path === undefined) {
      const base = type.element ?? type
      const element = keptInput(base, typeName(policy, base))
      return array || type.element !== null ? arrayMask(element, element) : element
    }
    if ((use === 'pattern' || use === 'derive') && !['json', 'pairs', 'span'].includes(type.class)) {
      const whole = ofKind(rule.kind, rule.json, type.element ?? type, rule.limit) ?? detected
      return patternMask(use === 'derive' && rule.kind !== 'digits' ? computedMask(whole) : whole, text)
    }
    const mask =
      column.path === undefined ? ofKind(rule.kind, rule.json, type, rule.limit) : ofPath(rule, type, column.path)
    const scalar = mask ?? detected
    return array && type.element === null ? arrayMask(scalar, scalar) : scalar
  }

  /** What is computed of a value may be of another type: what was a number or a span of time is one afterwards. */
  const computedMask =
    (whole: Mask): Mask =>
    (value) =>
      isNumberLike(value) ? text(value) : isInterval(value) ? value : whole(value)

  const unresolved = (type: string | null): Mask => {
    const labels = type === null ? null : policy.types.named(type)
    if (labels !== null && labels.class === 'enum') return keptInput(labels, '')
    if (labels !== null && labels.class === 'pairs') return pairsOf([])
    if (labels !== null && labels.class === 'span') return span
    const scalar: Mask = (value) => {
      if (type !== null) {
        const looks = looksLike(type, value)
        if (looks !== null) return looks ? value : text(value)
        if (type === 'json' || type === 'jsonb') return json(value)
        if (type === 'bytea') return bytes(value)
        if (type === 'inet' || type === 'cidr') return tokens.of('ip')(value)
      }
      if (isHarmless(value, vocabulary)) return value
      const first = value[0]
      return first === '{' || first === '[' ? (maskedJson(value) ?? arrays(value)) : text(value)
    }
    const maskedJson = (value: string): string | null =>
      maskJson(value, (_, number) => (number ? null : text), detected)
    const arrays = arrayMask((value) => (isHarmless(value, vocabulary) ? value : text(value)), text)
    return scalar
  }

  /** Of the place inside a document or a composite, where there is one. */
  const kindAt = (column: ColumnRef): Kind => {
    const found = resolved(column)
    if (found === null) return 'text'
    const { rule, type } = found
    if (rule.kind === 'keep' || column.path === undefined || column.path.length === 0) return rule.kind
    const whole = type.element ?? type
    if (whole.class !== 'composite') return kindAtPath(rule.json)(column.path) ?? 'text'
    const name = column.path.find((step) => step !== '[*]')
    const field = whole.fields[whole.fieldNames.indexOf(name ?? '')]
    return field === undefined ? 'text' : defaultKind(field)
  }

  return {
    cell,
    cellOfType,
    input,
    unresolved,
    json(fields) {
      return (value) =>
        maskJson(
          value,
          (path, number) => {
            if (number) return null
            const field = fields.find((one) => startsWith(path, one.path))
            const column = field?.columns[0]
            if (field === undefined || column === undefined) return text
            const deeper = path.slice(field.path.length)
            const isJson = resolved(column)?.type.class === 'json' || column.path !== undefined
            const place =
              isJson && deeper.length > 0 ? { ...column, path: [...(column.path ?? []), ...deeper] } : column
            return input(place, 'equal', false)
          },
          fields.some(({ computed }) => computed) ? text : detected,
        ) ?? text(value)
    },
    detected,
    text,
    words: lexemes,
    setting(name) {
      const kind = name === null ? undefined : settings[name]
      if (kind === 'keep') return detected
      if (kind !== undefined) return tokens.of(kind)
      return name === 'application_name' ? applicationMask(text) : unresolved(null)
    },
    namesSetting: (name) => settings[name] !== undefined,
    sorts: (column) => resolved(column)?.type.class === 'span',
    kindOf: (column) => resolved(column)?.rule.kind ?? 'text',
    ruleOf: (column) => resolved(column)?.rule ?? null,
    agree(one, other) {
      const [kind, its] = [kindAt(one), kindAt(other)]
      if (kind === 'redact' || its === 'redact') return false
      // An address is the same token wherever it is seen.
      if (kind !== its) return ADDRESSES.has(kind) && ADDRESSES.has(its)
      if (!FITTED.has(kind)) return true
      const [limit, itsLimit] = [one, other].map((column) => resolved(column)?.rule.limit ?? NO_LIMIT) as [
        number,
        number,
      ]
      return limit === itsLimit || Math.min(limit, itsLimit) >= TOKEN_LENGTH_MAX
    },
    template: (value) =>
      value
        .split(/(%(?:\d+\$)?-?(?:\*(?:\d+\$)?|\d+)?[sIL]|%%)/)
        .map((part, at) => (at % 2 === 1 ? part : text(part)))
        .join(''),
    namesPath: (column) => kindAtPath(resolved(column)?.rule.json ?? [])(column.path ?? []) !== null,
  }
}

const ADDRESSES: ReadonlySet<Kind> = new Set<Kind>(['email', 'text'])
/** Tokens that are shortened where a column is narrow, and longer than what they stand for where it is not. */
const FITTED: ReadonlySet<Kind> = new Set<Kind>(['email', 'full_name', 'first_name', 'address'])
const TOKEN_LENGTH_MAX = 64

const NUMERIC: ReadonlySet<string> = new Set(['integer', 'number', 'boolean', 'time'])

function tooLong(value: string, limit: number): boolean {
  return value.length > limit && Array.from(value.trimEnd()).length > limit
}

function startsWith(path: readonly string[], start: readonly string[]): boolean {
  return path.length >= start.length && start.every((step, at) => step === path[at])
}

/** char(n) pads with blanks that mean nothing: the token of the text, as long as the column shows it. */
function padded(token: Mask): Mask {
  return (value) => {
    const bare = value.replace(/ +$/, '')
    return bare.length === value.length ? token(value) : token(bare).padEnd(value.length, ' ')
  }
}

const NAMES: Readonly<Record<number, string>> = {
  16: 'bool',
  20: 'int8',
  21: 'int2',
  23: 'int4',
  26: 'oid',
  700: 'float4',
  701: 'float8',
  790: 'money',
  1082: 'date',
  1083: 'time',
  1114: 'timestamp',
  1184: 'timestamptz',
  1186: 'interval',
  1266: 'timetz',
  1700: 'numeric',
  2950: 'uuid',
  3904: 'int4range',
  3906: 'numrange',
  3908: 'tsrange',
  3910: 'tstzrange',
  3912: 'daterange',
  3926: 'int8range',
  600: 'point',
}

function typeName(policy: ResolvedPolicy, type: TypeFacts): string {
  return NAMES[type.oid] ?? policy.index.catalog.types.find((one) => one.oid === type.oid)?.name ?? ''
}
