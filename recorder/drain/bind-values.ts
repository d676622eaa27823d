/**
 * A Bind's values: to text for masking, and back into a Bind.
 *
 * A value that masking leaves alone keeps its bytes. One that it changes is written as text, which PostgreSQL accepts for
 * every type; for text types the binary form is the same bytes, so even the format stays.
 */
import type { Row } from '../../segment/outcome.js'
import { FIRST_USER_OID } from '../../segment/values/oids.js'
import { BINARY, bindParameters, buildBindRest, type Format, TEXT } from '../../wire/bind.js'
import { binaryText, isTextType } from './values.js'

export type BindText = {
  readonly types: readonly number[]
  readonly values: readonly (Uint8Array | null)[]
  readonly formats: readonly Format[]
  readonly resultFormats: readonly Format[]
  readonly texts: Row
  /** Types of binary values that cannot be read. */
  readonly unreadable: readonly number[]
}

/** `meant` says what types a text means, where the client declared none and never asked: text says itself what it is, bytes do not. */
export function readBind(
  rest: Uint8Array,
  declared: readonly number[],
  meant: (count: number) => readonly number[],
  decode: (typeOid: number, bytes: Uint8Array) => string | null = binaryText,
): BindText | null {
  const parameters = bindParameters(rest)
  if (!parameters) return null
  const types = parameters.formats.includes(BINARY) ? meant(parameters.values.length) : declared
  const unreadable: number[] = []
  const texts = parameters.values.map((value, i) => {
    if (value === null) return null
    const type = types[i] ?? 0
    if (parameters.formats[i] === TEXT) return Buffer.from(value).toString('utf8')
    const text = decode(type, value)
    if (text === null) unreadable.push(type)
    return text
  })
  return { ...parameters, types, texts, unreadable }
}

export function maskedBind(bind: BindText, masked: Row, types: readonly number[]): Uint8Array {
  const formats: Format[] = []
  const values = bind.values.map((value, i) => {
    const text = masked[i] ?? null
    const type = types[i] ?? 0
    // Bytes of a composite or an array name types by oid, and a shadow has others.
    const same = text === bind.texts[i] && !(type >= FIRST_USER_OID && bind.formats[i] === BINARY)
    formats.push(same || isTextType(type) ? (bind.formats[i] ?? TEXT) : TEXT)
    return same ? value : text
  })
  return buildBindRest(values, shortest(formats), bind.resultFormats)
}

/** As drivers send it: nothing when all is text, one format when all agree. */
function shortest(formats: readonly Format[]): readonly Format[] {
  if (formats.every((format) => format === TEXT)) return []
  return formats.every((format) => format === BINARY) ? [BINARY] : formats
}
