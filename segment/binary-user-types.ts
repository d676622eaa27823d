/**
 * Binary values of all types, also of those that users and extensions made: enums, domains, composites, ranges, arrays of all of these, citext,
 * ltree and hstore. Their bytes name types by oid, so the catalog of the database they come from is needed.
 *
 * undefined: the catalog does not know the type, or the bytes are no value of it.
 */
import { arrayOfBinary, binaryToText, type Decoder } from './binary-text.js'
import type { CatalogType } from './catalog.js'
import { multirangeOfBinary, rangeOfBinary } from './values/binary-shapes.js'
import { quotedField } from './values/composite-literal.js'
import { ELEMENT_OF, FIRST_USER_OID, OID, RECORDS } from './values/oids.js'

export type BinaryReader = (typeOid: number, bytes: Uint8Array) => string | undefined

/** Types inside of types: nobody nests them deeper, and bytes that claim to would recurse without end. */
const DEPTH_MAX = 16

/** `more`: decoders for system types that ./binary-text.ts leaves alone. */
export function createBinaryReader(
  types: readonly CatalogType[],
  more: ReadonlyMap<number, Decoder> = new Map(),
): BinaryReader {
  const byOid = new Map(types.map((type) => [type.oid, type]))
  const decoderOf = (oid: number, depth: number): Decoder | undefined => {
    if (depth > DEPTH_MAX) return undefined
    const type = byOid.get(oid)
    if (type === undefined) return builtIn(oid, depth)
    const inner = (): Decoder | undefined => decoderOf(type.ofOid, depth + 1)
    const elements: Decoder = (bytes) => arrayOfBinary((element) => decoderOf(element, depth + 1), bytes)
    const composite: Decoder = (bytes) => recordOfBinary((field) => decoderOf(field, depth + 1), bytes)
    switch (type.kind) {
      case 'enum':
        return utf8
      case 'domain':
        return inner()
      case 'array':
        return elements
      case 'composite':
        return composite
      case 'range':
      case 'multirange': {
        const of = inner()
        if (of === undefined) return undefined
        return type.kind === 'range' ? rangeOfBinary(of) : multirangeOfBinary(of)
      }
      default:
        return OF_EXTENSIONS.get(type.name)
    }
  }
  const builtIn = (oid: number, depth: number): Decoder => {
    if (oid === OID.record) return (bytes) => recordOfBinary((field) => decoderOf(field, depth + 1), bytes)
    if (oid === RECORDS) return (bytes) => arrayOfBinary((element) => decoderOf(element, depth + 1), bytes)
    if (more.has(ELEMENT_OF.get(oid) ?? 0)) return (bytes) => arrayOfBinary((element) => more.get(element), bytes)
    return more.get(oid) ?? ((bytes) => binaryToText(oid, bytes))
  }
  const isPlain = (oid: number) =>
    oid < FIRST_USER_OID &&
    oid !== OID.record &&
    oid !== RECORDS &&
    !more.has(oid) &&
    !more.has(ELEMENT_OF.get(oid) ?? 0)
  return (typeOid, bytes) => {
    // Most values are of these, and need nothing of the below.
    if (isPlain(typeOid)) return binaryToText(typeOid, bytes)
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    try {
      return decoderOf(typeOid, 0)?.(buffer)
    } catch (error) {
      // Bytes that end too early; reading them is how we find out.
      if (error instanceof RangeError) return undefined
      throw error
    }
  }
}

const utf8: Decoder = (bytes) => bytes.toString('utf8')

/** A version, and the text. */
const versioned: Decoder = (bytes) => (bytes[0] === 1 ? bytes.toString('utf8', 1) : undefined)

const OF_EXTENSIONS: ReadonlyMap<string, Decoder> = new Map([
  ['citext', utf8],
  ['hstore', pairsOfBinary],
  ['ltree', versioned],
  ['lquery', versioned],
  ['ltxtquery', versioned],
])

/** A number of fields, then each with its type, its length (-1: NULL) and its bytes. */
function recordOfBinary(decoderOf: (typeOid: number) => Decoder | undefined, bytes: Buffer): string | undefined {
  const count = bytes.readInt32BE(0)
  let at = 4
  const texts: string[] = []
  for (let field = 0; field < count; field++) {
    const decode = decoderOf(bytes.readUInt32BE(at))
    const length = bytes.readInt32BE(at + 4)
    at += 8
    if (length < 0) {
      texts.push('')
      continue
    }
    if (decode === undefined || at + length > bytes.byteLength) return undefined
    const text = decode(bytes.subarray(at, at + length))
    if (text === undefined) return undefined
    texts.push(quotedField(text))
    at += length
  }
  return at === bytes.byteLength ? `(${texts.join(',')})` : undefined
}

/** hstore: a number of pairs, then length and bytes of each key and value. */
function pairsOfBinary(bytes: Buffer): string | undefined {
  const count = bytes.readInt32BE(0)
  let at = 4
  const next = (): string | null => {
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < 0) return null
    if (at + length > bytes.byteLength) throw new RangeError('ends too early')
    const text = bytes.toString('utf8', at, at + length)
    at += length
    return text
  }
  const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`
  const pairs: string[] = []
  for (let pair = 0; pair < count; pair++) {
    const [key, value] = [next(), next()]
    if (key === null) return undefined
    pairs.push(`${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`)
  }
  return at === bytes.byteLength ? pairs.join(', ') : undefined
}
