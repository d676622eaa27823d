/**
 * A Bind's values: to text for masking, and back into a Bind.
 *
 * A value that masking leaves alone keeps its bytes. One that it changes is written as text, which PostgreSQL accepts for
 * every type; for text types the binary form is the same bytes, so even the format stays.
 */
import type { Row } from '../../segment/outcome.js'
import { FIRST_USER_OID } from '../../segment/values/oids.js'
import { BINARY, type BindShape, bindShape, buildBindRest, type Format, formatAt, TEXT } from '../../wire/bind.js'
import { text } from '../../wire/bytes.js'
import { binaryText, isTextType } from './values.js'

export type BindText = {
  /** As it was sent. */
  readonly rest: Buffer
  readonly shape: BindShape
  readonly types: readonly number[]
  readonly texts: Row
  /** Types of binary values that cannot be read. */
  readonly unreadable: readonly number[]
}

const NONE: readonly number[] = []

/** `meant` says what types a text means, where the client declared none and never asked: text says itself what it is, bytes do not. */
export function readBind(
  rest: Buffer,
  declared: readonly number[],
  meant: (count: number) => readonly number[],
  decode: (typeOid: number, bytes: Uint8Array) => string | null = binaryText,
): BindText | null {
  const shape = bindShape(rest)
  if (!shape) return null
  const { formats, starts, ends } = shape
  const types = formats.includes(BINARY) ? meant(starts.length) : declared
  const texts: (string | null)[] = []
  let unreadable = NONE
  for (let i = 0; i < starts.length; i++) {
    const [start, end] = [starts[i]!, ends[i]!]
    if (start < 0) texts.push(null)
    else if (formatAt(formats, i) === TEXT) texts.push(text(rest, start, end))
    else {
      const type = types[i] ?? 0
      const decoded = decode(type, rest.subarray(start, end))
      if (decoded === null) unreadable = [...unreadable, type]
      texts.push(decoded)
    }
  }
  return { rest, shape, types, texts, unreadable }
}

export function maskedBind(bind: BindText, masked: Row, types: readonly number[]): Uint8Array {
  if (isSameBind(bind, masked)) return bind.rest
  const { formats: sent, starts, ends, resultFormats } = bind.shape
  const formats: Format[] = []
  const values = bind.texts.map((text, i) => {
    const format = formatAt(sent, i)
    const token = masked[i] ?? null
    const type = types[i] ?? 0
    // Bytes of a composite or an array name types by oid, and a shadow has others.
    const same = token === text && !(type >= FIRST_USER_OID && format === BINARY)
    formats.push(same || isTextType(type) ? format : TEXT)
    if (!same) return token
    return starts[i]! < 0 ? null : bind.rest.subarray(starts[i], ends[i])
  })
  return buildBindRest(values, shortest(formats), resultFormats)
}

/** Nothing was masked in it, and it is written as we would write it: all text, and nothing behind. */
function isSameBind({ rest, shape, texts }: BindText, masked: Row): boolean {
  if (shape.formats.length > 0 || shape.end !== rest.length) return false
  for (let i = 0; i < texts.length; i++) if (masked[i] !== texts[i]) return false
  return true
}

/** As drivers send it: nothing when all is text, one format when all agree. */
function shortest(formats: readonly Format[]): readonly Format[] {
  if (formats.every((format) => format === TEXT)) return []
  return formats.every((format) => format === BINARY) ? [BINARY] : formats
}
