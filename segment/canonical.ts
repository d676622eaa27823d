/**
 * Canonical values: the one text that all equal values of a type share, so that values compare as text, are hashed as bytes, and a
 * change of type alone (int4 to int8, varchar to text, char(n) padding, json to jsonb, numeric(10,2) to numeric) is no difference.
 *
 * Pure functions of type and text. For most types PostgreSQL's own text is canonical already; what is not understood stays as it
 * is, which can only make equal values look different, never the other way round. Types of the user's own: ./known-types.ts.
 */
import { mapArrayLiteral } from './values/array-literal.js'
import { canonicalBytea } from './values/canonical-bytea.js'
import { canonicalInterval } from './values/canonical-interval.js'
import { canonicalJson } from './values/canonical-json.js'
import { canonicalNumber } from './values/canonical-number.js'
import { canonicalTimestamptz } from './values/canonical-time.js'
import { BOUND_OF, DELIMITED_BY_SEMICOLON, ELEMENT_OF, OID, RANGE_OF } from './values/oids.js'
import { mapMultirangeLiteral, mapRangeLiteral } from './values/range-literal.js'

export type Canonicalizer = (text: string) => string

const SCALARS: ReadonlyMap<number, Canonicalizer> = new Map<number, Canonicalizer>([
  [OID.numeric, canonicalNumber],
  [OID.float4, canonicalNumber],
  [OID.float8, canonicalNumber],
  [OID.timestamptz, canonicalTimestamptz],
  [OID.json, canonicalJson],
  [OID.jsonb, canonicalJson],
  [OID.bytea, canonicalBytea],
  [OID.interval, canonicalInterval],
  [OID.bpchar, (text) => text.replace(/ +$/, '')],
])

/** Numbers within a shape; the frame is the server's own. */
const canonicalShape: Canonicalizer = (text) => text.replace(/-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi, canonicalNumber)

/** As a number, where the locale writes it as most do; another locale's stays as it is. */
const canonicalMoney: Canonicalizer = (text) =>
  /^-?\$\d{1,3}(?:,?\d{3})*(?:\.\d+)?$/.test(text) ? canonicalNumber(text.replace(/[$,]/g, '')) : text

const RANGES: ReadonlyMap<number, Canonicalizer> = new Map(
  [...BOUND_OF].flatMap(([range, bound]): [number, Canonicalizer][] => {
    const canonical = SCALARS.get(bound)
    return canonical === undefined ? [] : [[range, (text) => mapRangeLiteral(text, canonical) ?? text]]
  }),
)
const MULTIRANGES: ReadonlyMap<number, Canonicalizer> = new Map(
  [...RANGE_OF].flatMap(([many, range]): [number, Canonicalizer][] => {
    const canonical = SCALARS.get(BOUND_OF.get(range) ?? 0)
    return canonical === undefined ? [] : [[many, (text) => mapMultirangeLiteral(text, canonical) ?? text]]
  }),
)
const SHAPES = [OID.point, OID.lseg, OID.path, OID.box, OID.polygon, OID.line, OID.circle]
const SINGLE: ReadonlyMap<number, Canonicalizer> = new Map([
  ...SCALARS,
  ...RANGES,
  ...MULTIRANGES,
  ...SHAPES.map((oid): [number, Canonicalizer] => [oid, canonicalShape]),
  [OID.money, canonicalMoney],
])

const ALL: ReadonlyMap<number, Canonicalizer> = new Map([
  ...SINGLE,
  ...[...ELEMENT_OF].flatMap(([array, element]): [number, Canonicalizer][] => {
    const canonical = SINGLE.get(element)
    const delimiter = DELIMITED_BY_SEMICOLON.has(element) ? ';' : ','
    return canonical === undefined
      ? []
      : [[array, (text) => mapArrayLiteral(text, canonical, undefined, delimiter) ?? text]]
  }),
])

/** What makes a type's text canonical; undefined where PostgreSQL's text is. */
export function canonicalizerOf(typeOid: number): Canonicalizer | undefined {
  return ALL.get(typeOid)
}

export function canonicalText(typeOid: number, text: string): string {
  return ALL.get(typeOid)?.(text) ?? text
}
