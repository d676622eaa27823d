/**
 * Values of all types that a database knows, its users' own among them: as text from binary, and in the one form that equal values share.
 * Oids of users' types differ from database to database, and their bytes hold such oids: what is compared is text, made with the catalog of
 * the database that sent it.
 */
import type { Decoder } from './binary-text.js'
import { type BinaryReader, createBinaryReader } from './binary-user-types.js'
import { type Canonicalizer, canonicalizerOf } from './canonical.js'
import type { CatalogType } from './catalog.js'
import { mapArrayLiteral } from './values/array-literal.js'
import { mapCompositeLiteral } from './values/composite-literal.js'
import { OID } from './values/oids.js'
import { mapMultirangeLiteral, mapRangeLiteral } from './values/range-literal.js'

export type KnownTypes = {
  /** undefined: nobody here can read it. */
  readonly textOf: BinaryReader
  /** undefined: the text is canonical as it is. */
  readonly canonicalizerOf: (typeOid: number) => Canonicalizer | undefined
}

/** Types inside of types: nobody nests them deeper. */
const DEPTH_MAX = 16

/**
 * As a server prints it whose lc_monetary is C or en_US. How another one does is not in the bytes: good enough to compare with, and no text to
 * send to a server.
 */
const money: Decoder = (bytes) => {
  if (bytes.byteLength !== 8) return undefined
  const cents = bytes.readBigInt64BE(0)
  const digits = String(cents < 0n ? -cents : cents).padStart(3, '0')
  const whole = digits.slice(0, -2).replace(/\B(?=(?:\d{3})+$)/g, ',')
  return `${cents < 0n ? '-' : ''}$${whole}.${digits.slice(-2)}`
}
const ONLY_TO_COMPARE: ReadonlyMap<number, Decoder> = new Map([[OID.money, money]])

export function knownTypes(types: readonly CatalogType[]): KnownTypes {
  const byOid = new Map(types.map((type) => [type.oid, type]))
  const canonicalOf = (oid: number, depth: number): Canonicalizer | undefined => {
    const type = byOid.get(oid)
    if (type === undefined || depth > DEPTH_MAX) return canonicalizerOf(oid)
    const inner = canonicalOf(type.ofOid, depth + 1)
    switch (type.kind) {
      case 'domain':
        return inner
      case 'array':
        return inner && ((text) => mapArrayLiteral(text, inner) ?? text)
      case 'range':
        return inner && ((text) => mapRangeLiteral(text, inner) ?? text)
      case 'multirange': {
        // Of a multirange the catalog names the range.
        const bound = canonicalOf(byOid.get(type.ofOid)?.ofOid ?? 0, depth + 1)
        return bound && ((text) => mapMultirangeLiteral(text, bound) ?? text)
      }
      case 'composite': {
        const fields = type.attributes.map(({ typeOid }) => canonicalOf(typeOid, depth + 1))
        if (fields.every((field) => field === undefined)) return undefined
        return (text) => mapCompositeLiteral(text, fields) ?? text
      }
      default:
        return undefined
    }
  }
  const known = new Map<number, Canonicalizer | undefined>()
  return {
    textOf: createBinaryReader(types, ONLY_TO_COMPARE),
    canonicalizerOf: (oid) => {
      if (!known.has(oid)) known.set(oid, canonicalOf(oid, 0))
      return known.get(oid)
    },
  }
}

/** Of a database of which no more is known than that it is PostgreSQL's. */
export const SYSTEM_TYPES = knownTypes([])
