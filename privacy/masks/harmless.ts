/**
 * Literals that meet no column and still must mean the same: dates, intervals, numbers of a few digits, truth values, UUIDs, names of the
 * schema. Everything else is personal until somebody says otherwise.
 */
import type { Vocabulary } from '../vocabulary.js'

const BOOLEAN = /^(true|false|t|f|yes|no|y|n|on|off|null)$/i
/** Few digits: a count, a page, a year, a price. Not a phone number, an account, a card. */
const SMALL_NUMBER = /^[+-]?\d{1,6}(\.\d{1,4})?$/
const TIME = /^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?(AM|PM))?(Z|[+-]\d{1,2}(:?\d{2})?)?$/i
const DATE = /^\d{4}-\d{1,2}(-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{1,2}(:?\d{2}){0,2})?( BC)?)?$/i
const MOMENT = /^(-?infinity|epoch|now|today|tomorrow|yesterday)$/i
const UNITS =
  'microseconds?|us|milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w|months?|mons?|quarters?|years?|yrs?|y|decades?|centur(?:y|ies)|millenni(?:um|a)'
const INTERVAL = new RegExp(
  `^@?\\s*([+-]?[\\d.]+\\s*(${UNITS})\\s*|[+-]?\\d+:\\d{2}(:\\d{2}(\\.\\d+)?)?\\s*)+(ago)?$`,
  'i',
)
const ISO_INTERVAL = /^P(?=.)(\d+[YMWD])*(T(\d+(\.\d+)?[HMS])+)?$/
const UNIT = new RegExp(`^(${UNITS}|dow|doy|epoch|isodow|isoyear|timezone)$`, 'i')
const UUID = /^\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?$/i
const ZONE =
  /^(UTC|GMT|Z|(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc|US)\/[A-Za-z_/+-]+\d*)$/

/** Configurations that every server has: `to_tsvector('english', …)`. */
const TEXT_SEARCH: ReadonlySet<string> = new Set(
  'simple arabic armenian basque catalan danish dutch english estonian finnish french german greek hindi hungarian indonesian irish italian lithuanian nepali norwegian portuguese romanian russian serbian spanish swedish tamil turkish yiddish'.split(
    ' ',
  ),
)

export function isHarmless(value: string, vocabulary: Vocabulary): boolean {
  return (
    BOOLEAN.test(value) ||
    SMALL_NUMBER.test(value) ||
    isTimeLike(value) ||
    UNIT.test(value) ||
    UUID.test(value) ||
    ZONE.test(value) ||
    TEXT_SEARCH.has(value) ||
    vocabulary.isSchemaWord(value)
  )
}

export function isTimeLike(value: string): boolean {
  const text = value.trim()
  return DATE.test(text) || TIME.test(text) || MOMENT.test(text) || INTERVAL.test(text) || ISO_INTERVAL.test(text)
}

export function isInterval(value: string): boolean {
  const text = value.trim()
  return INTERVAL.test(text) || ISO_INTERVAL.test(text)
}

/** A number with a fraction is an amount; without one it may be anybody's. */
export function isAmount(value: string): boolean {
  return /^[+-]?\d{1,6}\.\d{1,6}$/.test(value)
}

/** Types whose text form holds no word of anybody: a value cast to one of them may stay when it looks like one. */
const LOOKS: Readonly<Record<string, (value: string) => boolean>> = {
  ...forAll(
    [
      'int2',
      'int4',
      'int8',
      'smallint',
      'integer',
      'int',
      'bigint',
      'oid',
      'numeric',
      'decimal',
      'float4',
      'float8',
      'real',
      'money',
      'xid',
      'xid8',
      'cid',
      'tid',
    ],
    isNumberLike,
  ),
  ...forAll(['bool', 'boolean'], (value) => BOOLEAN.test(value.trim()) || /^[01]$/.test(value.trim())),
  ...forAll(
    ['date', 'timestamp', 'timestamptz', 'time', 'timetz', 'interval'],
    (value) => isTimeLike(value) || /^[\d\s:.,/+-]*$/.test(value) || MONTH.test(value),
  ),
  uuid: (value) => UUID.test(value.trim()),
  ...forAll(
    [
      'int4range',
      'int8range',
      'numrange',
      'tsrange',
      'tstzrange',
      'daterange',
      'point',
      'line',
      'lseg',
      'box',
      'path',
      'polygon',
      'circle',
      'bit',
      'varbit',
      'pg_lsn',
      'vector',
    ],
    (value) => !/[\p{L}]{2,}/u.test(value.replace(/infinity|empty|nan/gi, '')),
  ),
}

const MONTH = /^[\d\s:.,/+-]*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[\d\s:.,/+-]*(am|pm|utc|z)?$/i

/** Types that name things of the schema. */
const NAMING = new Set([
  'regclass',
  'regproc',
  'regprocedure',
  'regtype',
  'regnamespace',
  'regrole',
  'regoper',
  'regconfig',
  'regdictionary',
  'regcollation',
])

/** null: the type says nothing about what its values look like. */
export function looksLike(type: string, value: string): boolean | null {
  if (NAMING.has(type)) return true
  return LOOKS[type]?.(value) ?? null
}

export function isNumberLike(value: string): boolean {
  return /^\s*([+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?0[xob][\da-f]+|nan|[+-]?inf(inity)?|\(\d+,\d+\))\s*$/i.test(
    value,
  )
}

function forAll(
  names: readonly string[],
  looks: (value: string) => boolean,
): Record<string, (value: string) => boolean> {
  return Object.fromEntries(names.map((name) => [name, looks]))
}
