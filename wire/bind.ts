/**
 * The Bind message. Its body is two names (portal, statement) and the rest: parameter formats, values, result formats.
 * The rest is what a recording keeps of it, so it can be taken apart and put together on its own.
 */
import { int32, stringEnd, text, uint16 } from './bytes.js'

export type Format = 0 | 1
export const TEXT: Format = 0
export const BINARY: Format = 1

export type BindNames = {
  readonly portal: string
  readonly name: string
  /** Where the rest begins. */
  readonly restStart: number
}

/** null: the message lies about itself. */
export function splitBind(buffer: Uint8Array, start: number, end: number): BindNames | null {
  const portalEnd = stringEnd(buffer, start, end)
  const nameEnd = portalEnd < 0 ? -1 : stringEnd(buffer, portalEnd + 1, end)
  if (nameEnd < 0) return null
  return {
    portal: text(buffer, start, portalEnd),
    name: text(buffer, portalEnd + 1, nameEnd),
    restStart: nameEnd + 1,
  }
}

/** Where everything stands in the rest of a Bind. */
export type BindShape = {
  /** As sent: none (all text), one (for all) or one per value. */
  readonly formats: readonly Format[]
  /** One per value; -1 is NULL. */
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  /** As sent: none (all text), one (for all) or one per column. */
  readonly resultFormats: readonly Format[]
  readonly end: number
}

/** null: the bytes lie about themselves. */
export function bindShape(rest: Uint8Array): BindShape | null {
  return walk(rest, [], [])
}

/** Only the formats that results are asked for in, and nothing made for the values. null: the bytes lie about themselves. */
export function bindResultFormats(rest: Uint8Array): readonly Format[] | null {
  return walk(rest, null, null)?.resultFormats ?? null
}

const NOWHERE: readonly number[] = []

function walk(rest: Uint8Array, starts: number[] | null, ends: number[] | null): BindShape | null {
  const formats = readFormats(rest, 0)
  if (!formats) return null
  const countAt = 2 + formats.length * 2
  if (countAt + 2 > rest.length) return null
  const count = uint16(rest, countAt)
  if (formats.length > 1 && formats.length !== count) return null
  let at = countAt + 2
  for (let i = 0; i < count; i++) {
    if (at + 4 > rest.length) return null
    const bytes = int32(rest, at)
    at += 4
    if (bytes < -1 || at + bytes > rest.length) return null
    starts?.push(bytes < 0 ? -1 : at)
    at += Math.max(bytes, 0)
    ends?.push(at)
  }
  const resultFormats = readFormats(rest, at)
  if (!resultFormats) return null
  const end = at + 2 + resultFormats.length * 2
  return { formats, starts: starts ?? NOWHERE, ends: ends ?? NOWHERE, resultFormats, end }
}

export function formatAt(formats: readonly Format[], at: number): Format {
  return (formats.length === 1 ? formats[0] : formats[at]) ?? TEXT
}

export type BindParameters = {
  readonly formats: readonly Format[]
  /** Slices of the message; null is NULL. As many as `formats`. */
  readonly values: readonly (Uint8Array | null)[]
  readonly resultFormats: readonly Format[]
}

/** The rest of a Bind: formats spread to one per value. null: the bytes lie about themselves. */
export function bindParameters(rest: Uint8Array): BindParameters | null {
  const shape = bindShape(rest)
  if (!shape) return null
  const { formats, starts, ends, resultFormats } = shape
  const values = starts.map((start, i) => (start < 0 ? null : rest.subarray(start, ends[i])))
  return { formats: spreadFormats(formats, values.length), values, resultFormats }
}

/** One format per column or value, from the none, one or all that a message carries. */
export function spreadFormats(formats: readonly Format[], count: number): readonly Format[] {
  if (formats.length === count && count > 1) return formats
  return new Array<Format>(count).fill(formats.length === 1 ? formats[0]! : TEXT)
}

const NO_FORMATS: readonly Format[] = []

function readFormats(buffer: Uint8Array, at: number): readonly Format[] | null {
  if (at + 2 > buffer.length) return null
  const count = uint16(buffer, at)
  if (count === 0) return NO_FORMATS
  const end = at + 2 + count * 2
  if (end > buffer.length) return null
  const formats: Format[] = []
  for (let i = at + 2; i < end; i += 2) formats.push(uint16(buffer, i) === 1 ? BINARY : TEXT)
  return formats
}

/** The rest of a Bind, from one value per parameter. A text value is written as UTF-8. */
export function buildBindRest(
  values: readonly (Uint8Array | string | null)[],
  formats: readonly Format[] = [],
  resultFormats: readonly Format[] = [],
): Buffer {
  const out = Buffer.allocUnsafe(bindRestBytes(values, formats, resultFormats))
  let at = writeFormats(out, 0, formats)
  at = out.writeUInt16BE(values.length & 0xffff, at)
  for (const value of values) {
    const valueAt = at + 4
    if (value === null) {
      at = out.writeInt32BE(-1, at)
    } else if (typeof value === 'string') {
      const bytes = out.write(value, valueAt, 'utf8')
      at = out.writeInt32BE(bytes, at) + bytes
    } else {
      out.set(value, valueAt)
      at = out.writeInt32BE(value.byteLength, at) + value.byteLength
    }
  }
  writeFormats(out, at, resultFormats)
  return out
}

export function bindRestBytes(
  values: readonly (Uint8Array | string | null)[],
  formats: readonly Format[],
  resultFormats: readonly Format[],
): number {
  let bytes = 6 + 2 * (formats.length + resultFormats.length) + 4 * values.length
  for (const value of values) {
    if (value !== null) bytes += typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength
  }
  return bytes
}

function writeFormats(out: Buffer, at: number, formats: readonly Format[]): number {
  let next = out.writeUInt16BE(formats.length & 0xffff, at)
  for (const format of formats) next = out.writeUInt16BE(format, next)
  return next
}
