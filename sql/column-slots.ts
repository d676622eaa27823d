/**
 * What was found out about every literal and parameter of a text.
 */
import { type ColumnRef, columnKey, type Slot, type Use, type Value } from './column-values.js'

export type Binding = { readonly column: ColumnRef; readonly use: Use }

/** Why a literal that meets no column may stay readable. */
export type Harmless =
  /** LIMIT, a format, a unit, a time zone, a key of JSON, the name of a sequence … */
  | 'word'
  /** A key of JSON and the like: it decides which values are meant, so texts with another key are another statement. */
  | 'key'
  /** A pattern of a regular expression or a jsonpath: read by the database, may hold values. */
  | 'jsonpath'
  /** What format() fills in: its words are masked, its signs stay. */
  | 'format'

export type SlotFacts = {
  /** Columns it is compared with or stored in. */
  readonly bindings: readonly Binding[]
  /** Name of the type it is cast to, as written; null without a cast. */
  readonly type: string | null
  /** The slot holds a whole array of what its columns hold. */
  readonly array: boolean
  readonly harmless: Harmless | null
  /** The body of a function: SQL itself. */
  readonly body: boolean
  /** Password and the like: never kept, not even as a token. */
  readonly secret: boolean
  /** The function it is an argument of, when that is all that is known. */
  readonly argumentOf: string | null
  /** The setting it is the value of: `app.user`; of the server's own settings only application_name. */
  readonly setting: string | null
}

type Mutable = { -readonly [Field in keyof SlotFacts]: SlotFacts[Field] }

const UNKNOWN: SlotFacts = {
  bindings: [],
  type: null,
  array: false,
  harmless: null,
  body: false,
  secret: false,
  argumentOf: null,
  setting: null,
}

export class SlotTable {
  readonly #slots = new Map<string, Mutable>()
  readonly #numbers = new Set<number>()

  of(slot: Slot): SlotFacts {
    return this.#slots.get(`${slot.kind} ${slot.at}`) ?? UNKNOWN
  }

  /** All slots of a kind, by offset or number. */
  all(kind: Slot['kind']): ReadonlyMap<number, SlotFacts> {
    const found = new Map<number, SlotFacts>()
    for (const [key, facts] of this.#slots) {
      const [own, at] = key.split(' ')
      if (own === kind) found.set(Number(at), facts)
    }
    return found
  }

  seen(slot: Slot): void {
    this.#facts(slot)
  }

  /** A constant that is no string: nobody's, unless its column says so. */
  seenNumber(slot: Slot): void {
    this.#facts(slot)
    this.#numbers.add(slot.at)
  }

  isNumber(slot: Slot): boolean {
    return slot.kind === 'literal' && this.#numbers.has(slot.at)
  }

  bind(slots: readonly Slot[], columns: readonly ColumnRef[], use: Use): void {
    for (const slot of slots) {
      const facts = this.#facts(slot)
      for (const column of columns) {
        if (facts.bindings.some((bound) => bound.use === use && columnKey(bound.column) === columnKey(column))) continue
        facts.bindings = [...facts.bindings, { column, use }]
      }
    }
  }

  mark(slots: readonly Slot[], facts: Partial<SlotFacts>): void {
    for (const slot of slots) Object.assign(this.#facts(slot), facts)
  }

  /** Only what the value itself is; parts of it stay as they are. */
  harmless(value: Value, why: Harmless = 'word'): void {
    this.mark([...value.slots, ...value.parts], { harmless: why })
  }

  #facts(slot: Slot): Mutable {
    const key = `${slot.kind} ${slot.at}`
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    const made = { ...UNKNOWN }
    this.#slots.set(key, made)
    return made
  }
}
