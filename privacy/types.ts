/**
 * PostgreSQL's types, as far as masking cares: what a value looks like, and whether it is text-like.
 */
import type { Catalog, CatalogType } from '../segment/catalog.js'
import { FIRST_USER_OID } from '../segment/values/oids.js'

export type TypeClass =
  | 'text'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'time'
  | 'uuid'
  | 'network'
  | 'json'
  | 'bytes'
  | 'xml'
  | 'lexemes'
  | 'enum'
  | 'array'
  | 'composite'
  /** hstore: keys and values. */
  | 'pairs'
  /** A range of text, or several of them. */
  | 'span'
  /** Intervals, other ranges, geometry, bit strings, types of extensions: kept unless named. */
  | 'other'
  /** Not known: a literal or an expression whose type nobody told. */
  | 'unknown'

export type TypeFacts = {
  readonly oid: number
  readonly class: TypeClass
  /** Case does not matter: citext. */
  readonly folds: boolean
  /** Blanks at the end do not matter: char(n). */
  readonly padded: boolean
  /** Largest value of an integer type. */
  readonly max: bigint | null
  /** Element of an array; null otherwise. */
  readonly element: TypeFacts | null
  /** Fields of a composite, in order. */
  readonly fields: readonly TypeFacts[]
  readonly fieldNames: readonly string[]
  /** Labels of an enum. */
  readonly labels: readonly string[]
}

const BUILT_IN: Readonly<Partial<Record<TypeClass, readonly number[]>>> = {
  text: [25, 1043, 1042, 19, 18, 2275],
  integer: [21, 23, 20, 26],
  number: [700, 701, 1700, 790],
  boolean: [16],
  time: [1082, 1114, 1184, 1083, 1266],
  uuid: [2950],
  network: [869, 650],
  json: [114, 3802],
  bytes: [17],
  xml: [142],
  lexemes: [3614, 3615],
  unknown: [0, 705, 2249],
}

const ARRAYS: Readonly<Record<number, number>> = {
  1009: 25,
  1015: 1043,
  1014: 1042,
  1003: 19,
  1002: 18,
  1005: 21,
  1007: 23,
  1016: 20,
  1028: 26,
  1021: 700,
  1022: 701,
  1231: 1700,
  791: 790,
  2287: 2249,
  1000: 16,
  1182: 1082,
  1115: 1114,
  1185: 1184,
  1183: 1083,
  1270: 1266,
  2951: 2950,
  1041: 869,
  651: 650,
  199: 114,
  3807: 3802,
  1001: 17,
  143: 142,
  3643: 3614,
  1187: 1186,
}

const MAX: Readonly<Record<number, bigint>> = {
  21: 32_767n,
  23: 2_147_483_647n,
  20: 9_223_372_036_854_775_807n,
  26: 4_294_967_295n,
}

/** What extensions call their text types. */
const TEXT_TYPES = new Set(['citext', 'ltree', 'lquery', 'isbn', 'email'])

const CLASS_OF = new Map<number, TypeClass>(
  Object.entries(BUILT_IN).flatMap(([name, oids]) => oids.map((oid) => [oid, name as TypeClass] as const)),
)

export class Types {
  readonly #catalog = new Map<number, CatalogType>()
  readonly #facts = new Map<number, TypeFacts>()
  readonly #byName = new Map<string, number>()

  constructor(catalog: Catalog) {
    for (const type of catalog.types) {
      this.#catalog.set(type.oid, type)
      this.#byName.set(type.name, type.oid)
    }
  }

  of(oid: number): TypeFacts {
    const known = this.#facts.get(oid)
    if (known !== undefined) return known
    const facts = this.#make(oid)
    this.#facts.set(oid, facts)
    return facts
  }

  /** A user's type by its name, whatever its schema. */
  named(name: string): TypeFacts | null {
    const oid = this.#byName.get(name)
    return oid === undefined ? null : this.of(oid)
  }

  #make(oid: number): TypeFacts {
    const plain: TypeFacts = {
      oid,
      class: CLASS_OF.get(oid) ?? 'other',
      folds: false,
      padded: oid === 1042,
      max: MAX[oid] ?? null,
      element: null,
      fields: [],
      fieldNames: [],
      labels: [],
    }
    const elementOid = ARRAYS[oid]
    if (elementOid !== undefined) return { ...plain, class: 'array', element: this.of(elementOid) }
    const type = this.#catalog.get(oid)
    // Made while it is recorded, or the row of a temporary table: nobody knows what is inside.
    if (type === undefined) return oid >= FIRST_USER_OID ? { ...plain, class: 'unknown' } : plain
    switch (type.kind) {
      case 'domain':
        return { ...this.of(type.ofOid), oid }
      case 'array':
        return { ...plain, class: 'array', element: this.of(type.ofOid) }
      case 'enum':
        return { ...plain, class: 'enum', labels: type.labels }
      case 'composite':
        return {
          ...plain,
          class: 'composite',
          fields: type.attributes.map((field) => this.of(field.typeOid)),
          fieldNames: type.attributes.map((field) => field.name),
        }
      case 'range':
      case 'multirange': {
        const { class: inside } = this.of(type.ofOid)
        return inside === 'text' || inside === 'span' ? { ...plain, class: 'span' } : plain
      }
      default:
        if (TEXT_TYPES.has(type.name)) return { ...plain, class: 'text', folds: type.name === 'citext' }
        return type.name === 'hstore' ? { ...plain, class: 'pairs' } : plain
    }
  }
}

/** Characters a column of this type modifier holds; Infinity without a bound. */
export function lengthLimit(typmod: number, type: TypeFacts): number {
  const base = type.element ?? type
  return base.class === 'text' && typmod > 4 ? typmod - 4 : Number.POSITIVE_INFINITY
}
