/**
 * The Bind message. Its body is two names (portal, statement) and the rest: parameter formats, values, result formats.
 * The rest is what a recording keeps of it, so it can be taken apart and put together on its own.
 */
import { int32, MessageWriter, stringEnd, text, uint16 } from './bytes.js'

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

export type BindParameters = {
  readonly formats: readonly Format[]
  /** Slices of the message; null is NULL. As many as `formats`. */
  readonly values: readonly (Uint8Array | null)[]
  /** As sent: none (all text), one (for all) or one per column. */
  readonly resultFormats: readonly Format[]
}

/** The rest of a Bind: formats spread to one per value. null: the bytes lie about themselves. */
export function bindParameters(rest: Uint8Array): BindParameters | null {
  const sent = readFormats(rest, 0)
  if (!sent || sent.end + 2 > rest.length) return null
  const count = uint16(rest, sent.end)
  if (sent.formats.length > 1 && sent.formats.length !== count) return null
  const values: (Uint8Array | null)[] = []
  let at = sent.end + 2
  for (let i = 0; i < count; i++) {
    if (at + 4 > rest.length) return null
    const bytes = int32(rest, at)
    at += 4
    if (bytes < -1 || at + bytes > rest.length) return null
    values.push(bytes < 0 ? null : rest.subarray(at, at + bytes))
    at += Math.max(bytes, 0)
  }
  const results = readFormats(rest, at)
  if (!results) return null
  return { formats: spreadFormats(sent.formats, count), values, resultFormats: results.formats }
}

/** One format per column or value, from the none, one or all that a message carries. */
export function spreadFormats(formats: readonly Format[], count: number): readonly Format[] {
  if (formats.length === count && count > 1) return formats
  return new Array<Format>(count).fill(formats.length === 1 ? formats[0]! : TEXT)
}

function readFormats(buffer: Uint8Array, at: number): { formats: Format[]; end: number } | null {
  if (at + 2 > buffer.length) return null
  const count = uint16(buffer, at)
  const end = at + 2 + count * 2
  if (end > buffer.length) return null
  const formats: Format[] = []
  for (let i = at + 2; i < end; i += 2) formats.push(uint16(buffer, i) === 1 ? BINARY : TEXT)
  return { formats, end }
}

/** The rest of a Bind, from one value per parameter. A text value is written as UTF-8. */
export function buildBindRest(
  values: readonly (Uint8Array | string | null)[],
  formats: readonly Format[] = [],
  resultFormats: readonly Format[] = [],
): Buffer {
  const writer = new MessageWriter()
  writeFormats(writer, formats)
  writer.int16(values.length)
  for (const value of values) writer.counted(value)
  writeFormats(writer, resultFormats)
  return writer.bytes()
}

function writeFormats(writer: MessageWriter, formats: readonly Format[]): void {
  writer.int16(formats.length)
  for (const format of formats) writer.int16(format)
}
