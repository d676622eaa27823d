/**
 * Canonical bytes of a cell straight from the wire. Ordinary types need no string: their canonical form is a part of the bytes that
 * came, or a few digits written beside them; only the rest goes through text.
 */
import { TEXT_LIKE } from '../binary-text.js'
import type { Canonicalizer } from '../canonical.js'
import { type KnownTypes, SYSTEM_TYPES } from '../known-types.js'
import { OID } from './oids.js'

/** The canonical bytes of the cell read last: `bytes` from `start` to `end`. Reused; read it before the next cell. */
export type CellView = { bytes: Uint8Array; start: number; end: number }

/** Puts the canonical form of the cell at `start`…`end` into the view. */
export type CellReader = (view: CellView, bytes: Uint8Array, start: number, end: number) => void

/** Format 0 is text, 1 is binary. */
export function cellReaderOf(typeOid: number, format: number, types: KnownTypes): CellReader {
  return format === 1 ? binaryReaderOf(typeOid, types) : textReaderOf(typeOid, types)
}

export type TextCellReader = (view: CellView, text: string) => void

/** The same for a cell that was decoded to text before. */
export function textCellReaderOf(typeOid: number, types: KnownTypes): TextCellReader {
  const bytewise = BYTEWISE.get(typeOid)
  if (bytewise !== undefined) {
    return (view, text) => {
      put(view, text)
      bytewise(view, view.bytes, view.start, view.end)
    }
  }
  const canonical = types.canonicalizerOf(typeOid)
  return canonical === undefined ? put : (view, text) => put(view, canonical(text))
}

const SPACE = 0x20
const POINT = 0x2e
const ZERO = 0x30
const MINUS = 0x2d
const PLUS = 0x2b
/** With the bit that tells a small letter from a large one. */
const LETTER_E = 0x65
const SMALL = 0x20

function textReaderOf(typeOid: number, types: KnownTypes): CellReader {
  const canonical = types.canonicalizerOf(typeOid)
  return BYTEWISE.get(typeOid) ?? (canonical === undefined ? asItCame : throughText(canonical, decodeUtf8))
}

function binaryReaderOf(typeOid: number, types: KnownTypes): CellReader {
  if (typeOid === OID.bpchar) return paddedFromText
  const canonical = types.canonicalizerOf(typeOid)
  if (TEXT_LIKE.has(typeOid) && canonical === undefined) return asItCame
  if (typeOid === OID.int4) return int4FromBinary
  if (typeOid === OID.int2) return int2FromBinary
  if (typeOid === OID.bool) return boolFromBinary
  // What nobody can read is compared as bytea would show it; whoever records it as text writes the same.
  return throughText(canonical, (bytes, start, end) => {
    return types.textOf(typeOid, bytes.subarray(start, end)) ?? hexText(bytes, start, end)
  })
}

const asItCame: CellReader = (view, bytes, start, end) => {
  view.bytes = bytes
  view.start = start
  view.end = end
}

const paddedFromText: CellReader = (view, bytes, start, end) => {
  asItCame(view, bytes, start, end)
  while (view.end > start && bytes[view.end - 1] === SPACE) view.end -= 1
}

const numberThroughText = throughText(SYSTEM_TYPES.canonicalizerOf(OID.numeric), decodeUtf8)

const numberFromText: CellReader = (view, bytes, start, end) => {
  let point = -1
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if ((byte | SMALL) === LETTER_E) return numberThroughText(view, bytes, start, end)
    if (byte === POINT) point = at
  }
  asItCame(view, bytes, start, end)
  if (point >= 0) {
    while (bytes[view.end - 1] === ZERO) view.end -= 1
    if (view.end - 1 === point && view.end < end) view.end = point
  }
  // A float may say -0.
  if (view.end - start === 2 && bytes[start] === MINUS && bytes[start + 1] === ZERO) view.start += 1
}

const timestamptzThroughText = throughText(SYSTEM_TYPES.canonicalizerOf(OID.timestamptz), decodeUtf8)

/** In a session whose TimeZone is UTC the zone is all there is to leave out. */
const timestamptzFromText: CellReader = (view, bytes, start, end) => {
  const utc = end - start > 19 && bytes[end - 3] === PLUS && bytes[end - 2] === ZERO && bytes[end - 1] === ZERO
  if (utc) asItCame(view, bytes, start, end - 3)
  else timestamptzThroughText(view, bytes, start, end)
}

/** Types whose canonical text is a part of their text, most of the time. */
const BYTEWISE: ReadonlyMap<number, CellReader> = new Map<number, CellReader>([
  [OID.numeric, numberFromText],
  [OID.float4, numberFromText],
  [OID.float8, numberFromText],
  [OID.timestamptz, timestamptzFromText],
  [OID.bpchar, paddedFromText],
])

const scratch = Buffer.alloc(4096)
const TRUE = Buffer.from('t')
const FALSE = Buffer.from('f')

const boolFromBinary: CellReader = (view, bytes, start, end) => {
  asItCame(view, end > start && bytes[start] !== 0 ? TRUE : FALSE, 0, 1)
}

const int4FromBinary: CellReader = (view, bytes, start, end) => {
  if (end - start !== 4) return asItCame(view, bytes, start, end)
  const high = (bytes[start]! << 24) | (bytes[start + 1]! << 16)
  writeInteger(view, high | (bytes[start + 2]! << 8) | bytes[start + 3]!)
}

const int2FromBinary: CellReader = (view, bytes, start, end) => {
  if (end - start !== 2) return asItCame(view, bytes, start, end)
  writeInteger(view, ((bytes[start]! << 24) >> 16) | bytes[start + 1]!)
}

/** Decimal digits, from the back of the scratch space. */
function writeInteger(view: CellView, value: number): void {
  let at = scratch.length
  let rest = Math.abs(value)
  do {
    const next = Math.floor(rest / 10)
    scratch[--at] = ZERO + (rest - next * 10)
    rest = next
  } while (rest > 0)
  if (value < 0) scratch[--at] = MINUS
  asItCame(view, scratch, at, scratch.length)
}

function throughText(
  canonical: Canonicalizer | undefined,
  decode: (bytes: Uint8Array, start: number, end: number) => string,
): CellReader {
  if (canonical === undefined) return (view, bytes, start, end) => put(view, decode(bytes, start, end))
  return (view, bytes, start, end) => put(view, canonical(decode(bytes, start, end)))
}

function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
}

function hexText(bytes: Uint8Array, start: number, end: number): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('hex')}`
}

/** Short ASCII is copied here; a call of the encoder costs as much as 60 characters. */
const COPY_CHARS_MAX = 48

function put(view: CellView, text: string): void {
  const length = text.length
  if (length <= COPY_CHARS_MAX) {
    let at = 0
    for (; at < length; at++) {
      const code = text.charCodeAt(at)
      if (code > 127) break
      scratch[at] = code
    }
    if (at === length) {
      asItCame(view, scratch, 0, length)
      return
    }
  }
  // UTF-8 needs at most three bytes for a UTF-16 unit.
  const bytes = length * 3 <= scratch.length ? scratch : Buffer.allocUnsafe(length * 3)
  asItCame(view, bytes, 0, bytes.write(text, 0, 'utf8'))
}
