/**
 * The questions that comparing tables asks the databases: sums of row hashes, narrowed slice by slice to the rows that differ.
 *
 * A row's hash is the first 64 bits of MD5 of its canonical text; a slice's checksum is their sum, so the order of rows does not
 * matter and both sides may compute it on their own. MD5 because every version and build of PostgreSQL has the same.
 *
 * Slices are ranges of an integer key, which an index serves; any other key is sliced by its hash, which is the same on both
 * sides whatever their collations and types.
 */
import { OID } from '../../segment/values/oids.js'

export type SourceColumn = {
  readonly name: string
  readonly typeOid: number
  /** Names of its fields, where it is of a composite type. */
  readonly fields?: readonly string[]
}

export type TableSource = {
  /** What stands in FROM. */
  readonly from: string
  readonly columns: readonly SourceColumn[]
  /** Moments from here on were made by the replay and are not compared; null: all are. */
  readonly madeFromMs: number | null
}

export type Slice =
  | { readonly kind: 'all' }
  | { readonly kind: 'range'; readonly low: bigint; readonly high: bigint }
  | { readonly kind: 'hash'; readonly prefix: string }

export const RANGES = 64n
const HASH_DIGITS = 2
const INTEGERS: ReadonlySet<number> = new Set([OID.int2, OID.int4, OID.int8])
/** A timestamp without a zone may be this far from UTC. */
const ZONE_MAX_MS = 14 * 3_600_000

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** How the slices of a key are cut; `key` may be of any number of columns. */
export function isRangeKey(key: readonly SourceColumn[]): boolean {
  return key.length === 1 && INTEGERS.has(key[0]!.typeOid)
}

export function extentSql({ from }: TableSource, key: string): string {
  return `SELECT min(${quoted(key)})::text AS low, max(${quoted(key)})::text AS high FROM ${from}`
}

/** `columns` and `key` are names; both sides have them. */
export function checksumSql(
  source: TableSource,
  columns: readonly string[],
  key: readonly string[],
  slice: Slice,
): string {
  return `SELECT count(*)::text AS rows, ${sum(source, columns)} AS sum FROM ${source.from}${where(source, key, slice)}`
}

export function slicesSql(
  source: TableSource,
  columns: readonly string[],
  key: readonly string[],
  slice: Slice,
): string {
  return `SELECT ${part(source, key, slice)} AS part, count(*)::text AS rows, ${sum(source, columns)} AS sum
    FROM ${source.from}${where(source, key, slice)} GROUP BY 1`
}

export function rowsSql(
  source: TableSource,
  columns: readonly string[],
  key: readonly string[],
  slice: Slice,
  rowsMax: number,
): string {
  const shown = columns.map((name) => `${canonical(source, name)} AS ${quoted(name)}`).join(', ')
  return `SELECT ${shown} FROM ${source.from}${where(source, key, slice)} LIMIT ${rowsMax}`
}

/** The slice that a part of another stands for. */
export function narrower(slice: Slice, part: string): Slice {
  if (slice.kind !== 'range') return { kind: 'hash', prefix: part }
  const width = rangeWidth(slice)
  const low = slice.low + BigInt(part) * width
  const high = low + width - 1n
  return { kind: 'range', low, high: high < slice.high ? high : slice.high }
}

export function isSingle(slice: Slice): boolean {
  return slice.kind === 'range' ? slice.low === slice.high : slice.kind === 'hash' && slice.prefix.length >= 16
}

function rangeWidth({ low, high }: { readonly low: bigint; readonly high: bigint }): bigint {
  return (high - low + RANGES) / RANGES
}

function part(source: TableSource, key: readonly string[], slice: Slice): string {
  if (slice.kind === 'range') return `floor((${quoted(key[0]!)}::numeric - ${slice.low}) / ${rangeWidth(slice)})::text`
  const digits = (slice.kind === 'hash' ? slice.prefix.length : 0) + HASH_DIGITS
  return `substr(md5(${rowText(source, key)}), 1, ${digits})`
}

function where(source: TableSource, key: readonly string[], slice: Slice): string {
  if (slice.kind === 'all') return ''
  if (slice.kind === 'range') return ` WHERE ${quoted(key[0]!)} BETWEEN ${slice.low} AND ${slice.high}`
  return ` WHERE substr(md5(${rowText(source, key)}), 1, ${slice.prefix.length}) = '${slice.prefix}'`
}

function sum(source: TableSource, columns: readonly string[]): string {
  return `coalesce(sum(('x' || substr(md5(${rowText(source, columns)}), 1, 16))::bit(64)::bigint::numeric), 0)::text`
}

/** The text of a record quotes its cells, so (a, bc) and (ab, c) differ, and NULL is not the empty text. */
function rowText(source: TableSource, columns: readonly string[]): string {
  return `ROW(${columns.map((name) => canonical(source, name)).join(', ')})::text`
}

/** As text, so that a change of type alone is no difference. */
function canonical({ columns, madeFromMs }: TableSource, name: string): string {
  const column = quoted(name)
  switch (columns.find((one) => one.name === name)?.typeOid) {
    case OID.numeric:
      return `trim_scale(${column})::text`
    case OID.bpchar:
      return `rtrim(${column}::text)`
    case OID.json:
      // jsonb has no place for \u0000; such a value is compared as it was written.
      return `CASE WHEN ${column}::text LIKE '%\\\\u0000%' THEN ${column}::text ELSE ${column}::jsonb::text END`
    case OID.timestamptz:
      return masked(`(${column} AT TIME ZONE 'UTC')`, column, madeFromMs, 0)
    case OID.timestamp:
      return masked(column, `(${column} AT TIME ZONE 'UTC')`, madeFromMs, ZONE_MAX_MS)
    default:
      return `${column}::text`
  }
}

function masked(value: string, moment: string, madeFromMs: number | null, earlierMs: number): string {
  if (madeFromMs === null) return `${value}::text`
  const from = new Date(madeFromMs - earlierMs).toISOString()
  return `CASE WHEN ${moment} >= '${from}' THEN 'made in the replay' ELSE ${value}::text END`
}
