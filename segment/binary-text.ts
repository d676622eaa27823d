/**
 * Binary wire format to exactly the text PostgreSQL would print for the same value (DateStyle ISO, TimeZone UTC, IntervalStyle
 * postgres, bytea_output hex). undefined when it cannot: a type we do not know, or bytes that are no value of it.
 */
import { type Delimiter, quoteElement } from './values/array-literal.js'
import { inetText, macaddrText } from './values/binary-net.js'
import { numericText } from './values/binary-numeric.js'
import { snapshotText, tidText, tsqueryText, tsvectorText, vectorText } from './values/binary-server.js'
import {
  boxText,
  circleText,
  lineText,
  lsegText,
  multirangeOfBinary,
  pathText,
  pointText,
  polygonText,
  rangeOfBinary,
} from './values/binary-shapes.js'
import {
  dateOfBinary,
  intervalOfBinary,
  timeOfBinary,
  timestampOfBinary,
  timetzOfBinary,
} from './values/binary-time.js'
import { float4Text, float8Text } from './values/float-text.js'
import { BOUND_OF, DELIMITED_BY_SEMICOLON, ELEMENT_OF, OID, RANGE_OF } from './values/oids.js'

export type Decoder = (bytes: Buffer) => string | undefined

const utf8: Decoder = (bytes) => bytes.toString('utf8')

/** Types whose binary form is their text. */
export const TEXT_LIKE: ReadonlySet<number> = new Set([
  OID.text,
  OID.varchar,
  OID.bpchar,
  OID.name,
  OID.json,
  OID.xml,
  OID.unknown,
  OID.cstring,
  OID.refcursor,
  OID.void,
])

const SIMPLE: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  ...[...TEXT_LIKE].map((oid): [number, Decoder] => [oid, utf8]),
  [OID.bool, sized(1, (bytes) => (bytes[0] === 0 ? 'f' : 't'))],
  [OID.char, sized(1, charText)],
  [OID.int2, sized(2, (bytes) => String(bytes.readInt16BE(0)))],
  [OID.int4, sized(4, (bytes) => String(bytes.readInt32BE(0)))],
  [OID.int8, sized(8, (bytes) => String(bytes.readBigInt64BE(0)))],
  ...[OID.oid, OID.xid, OID.cid].map((oid): [number, Decoder] => [
    oid,
    sized(4, (bytes) => String(bytes.readUInt32BE(0))),
  ]),
  [OID.float4, sized(4, (bytes) => float4Text(bytes.readFloatBE(0)))],
  [OID.float8, sized(8, (bytes) => float8Text(bytes.readDoubleBE(0)))],
  [OID.numeric, numericText],
  [OID.bytea, (bytes) => `\\x${bytes.toString('hex')}`],
  [OID.uuid, sized(16, (bytes) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'))],
  [OID.date, sized(4, dateOfBinary)],
  [OID.time, sized(8, timeOfBinary)],
  [OID.timetz, sized(12, timetzOfBinary)],
  [OID.timestamp, sized(8, (bytes) => timestampOfBinary(bytes, ''))],
  [OID.timestamptz, sized(8, (bytes) => timestampOfBinary(bytes, '+00'))],
  [OID.interval, sized(16, intervalOfBinary)],
  [OID.jsonb, versioned],
  [OID.inet, inetText],
  [OID.cidr, inetText],
  [OID.macaddr, sized(6, macaddrText)],
  [OID.bit, bitText],
  [OID.varbit, bitText],
  [OID.macaddr8, sized(8, macaddrText)],
  [OID.pg_lsn, sized(8, lsnText)],
  [OID.xid8, sized(8, (bytes) => String(bytes.readBigUInt64BE(0)))],
  [OID.tid, sized(6, tidText)],
  [OID.jsonpath, versioned],
  [OID.tsvector, tsvectorText],
  [OID.tsquery, tsqueryText],
  [OID.pg_snapshot, snapshotText],
  [OID.txid_snapshot, snapshotText],
  ...[OID.int2vector, OID.oidvector].map((oid): [number, Decoder] => [
    oid,
    (bytes) => vectorText(arrayOfBinary((element) => SIMPLE.get(element), bytes)),
  ]),
  [OID.point, pointText],
  [OID.lseg, lsegText],
  [OID.path, pathText],
  [OID.box, boxText],
  [OID.polygon, polygonText],
  [OID.line, lineText],
  [OID.circle, circleText],
])

const RANGES: ReadonlyMap<number, Decoder> = new Map(
  [...BOUND_OF].map(([range, bound]): [number, Decoder] => [range, rangeOfBinary(SIMPLE.get(bound)!)]),
)
const SCALARS: ReadonlyMap<number, Decoder> = new Map([
  ...SIMPLE,
  ...RANGES,
  ...[...RANGE_OF].map(([many, range]): [number, Decoder] => [many, multirangeOfBinary(RANGES.get(range)!)]),
])
/** `money` is written as the server's locale has it, which its bytes do not say. */
const ELEMENTS = [...ELEMENT_OF].filter(([, element]) => SCALARS.has(element))
const ARRAYS: ReadonlySet<number> = new Set(ELEMENTS.map(([array]) => array))

export function binaryToText(typeOid: number, bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    const scalar = SCALARS.get(typeOid)
    if (scalar !== undefined) return scalar(buffer)
    return ARRAYS.has(typeOid) ? arrayOfBinary((oid) => SCALARS.get(oid), buffer) : undefined
  } catch (error) {
    // Bytes that end too early; reading them is how we find out.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function sized(length: number, decode: Decoder): Decoder {
  return (bytes) => (bytes.byteLength === length ? decode(bytes) : undefined)
}

function versioned(bytes: Buffer): string | undefined {
  return bytes[0] === 1 ? bytes.toString('utf8', 1) : undefined
}

/** The one-byte "char": nothing for zero, octal for what is not ASCII. */
function charText(bytes: Buffer): string {
  const byte = bytes[0]!
  if (byte === 0) return ''
  return byte < 128 ? String.fromCharCode(byte) : `\\${byte.toString(8)}`
}

function bitText(bytes: Buffer): string | undefined {
  const length = bytes.readInt32BE(0)
  if (bytes.byteLength !== 4 + Math.ceil(length / 8)) return undefined
  let bits = ''
  for (const byte of bytes.subarray(4)) bits += byte.toString(2).padStart(8, '0')
  return bits.slice(0, length)
}

function lsnText(bytes: Buffer): string {
  return `${bytes.readUInt32BE(0).toString(16)}/${bytes.readUInt32BE(4).toString(16)}`.toUpperCase()
}

const DIMENSIONS_MAX = 6
const HEADER_BYTES = 12
const DIMENSION_BYTES = 8

/** `decoderOf` knows the element's type, which the bytes name. */
export function arrayOfBinary(decoderOf: (typeOid: number) => Decoder | undefined, bytes: Buffer): string | undefined {
  const dimensions = bytes.readInt32BE(0)
  if (dimensions === 0) return '{}'
  if (dimensions < 0 || dimensions > DIMENSIONS_MAX) return undefined
  const type = bytes.readInt32BE(8)
  const decode = decoderOf(type)
  if (decode === undefined) return undefined
  const delimiter: Delimiter = DELIMITED_BY_SEMICOLON.has(type) ? ';' : ','
  const lengths: number[] = []
  let bounds = ''
  let shifted = false
  for (let i = 0; i < dimensions; i++) {
    const length = bytes.readInt32BE(HEADER_BYTES + i * DIMENSION_BYTES)
    const low = bytes.readInt32BE(HEADER_BYTES + i * DIMENSION_BYTES + 4)
    lengths.push(length)
    bounds += `[${low}:${low + length - 1}]`
    shifted ||= low !== 1
  }
  let at = HEADER_BYTES + dimensions * DIMENSION_BYTES
  const element = (): string | undefined => {
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < 0) return 'NULL'
    if (at + length > bytes.byteLength) return undefined
    const text = decode(bytes.subarray(at, at + length))
    at += length
    return text === undefined ? undefined : quoteElement(text, delimiter)
  }
  const level = (depth: number): string | undefined => {
    const items: string[] = []
    for (let i = 0; i < lengths[depth]!; i++) {
      const item = depth === dimensions - 1 ? element() : level(depth + 1)
      if (item === undefined) return undefined
      items.push(item)
    }
    return `{${items.join(delimiter)}}`
  }
  const text = level(0)
  if (text === undefined || at !== bytes.byteLength) return undefined
  return shifted ? `${bounds}=${text}` : text
}
