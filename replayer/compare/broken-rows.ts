/**
 * Keys of the rows that broken transactions meant to write: an order whose INSERT was refused on one side is missing there ever after,
 * and that is no second finding.
 */
import type { Outcome, Row } from '../../segment/outcome.js'
import type { ColumnNature } from './nature.js'

const KEYS_MAX = 200_000
/** Long enough, and with a digit: such a value is one row's own, as a token, a number of an invoice or a document is. */
const TELLING_LENGTH_MIN = 8
const VALUE = 'value'
const ALL = 'all'
const GIVEN_MAX = 10_000
const GIVEN_LENGTH_MIN = 4
const GIVEN_LENGTH_MAX = 200
/** Of those that were given it, so many are broken. */
const GIVEN_SHARE = 0.9

export class BrokenRows {
  readonly #keys = new Set<string>()
  /** Of rows that were there, and that it meant to change. */
  readonly #changed = new Set<string>()

  /** How often a value that does not tell by its looks was given at all, and to statements of broken transactions. */
  readonly #given = new Map<string, { all: number; broken: number }>()

  /** For every statement, once there are broken ones: what they alone are given tells as well. */
  sent(parameters: readonly (string | null)[]): void {
    if (this.#given.size === 0) return
    for (const value of parameters) {
      const seen = value === null ? undefined : this.#given.get(squeezed(value))
      if (seen !== undefined) seen.all += 1
    }
  }

  get some(): boolean {
    return this.#keys.size + this.#changed.size + this.#given.size > 0
  }

  /** What a statement that writes was given, and what it returned on the side where it worked. */
  add(parameters: readonly (string | null)[], outcomes: readonly Outcome[], natures: readonly ColumnNature[]): void {
    for (const value of parameters) {
      if (value === null) continue
      if (isTelling(value)) this.#note(`${VALUE}\0${squeezed(value)}`)
      else if (value.length >= GIVEN_LENGTH_MIN && value.length <= GIVEN_LENGTH_MAX) this.#give(squeezed(value))
    }
    for (const { rows } of outcomes)
      for (const row of rows ?? [])
        for (const [at, { key, domain, label }] of natures.entries())
          if (key && row[at] != null) this.#note(rowKey(domain ?? label, row[at]))
  }

  /** What a statement that writes this table was given, all together. */
  give(table: string, parameters: readonly (string | null)[]): void {
    if (parameters.length > 0) this.#note(`${ALL}\0${table}\0${JSON.stringify(parameters)}`)
  }

  gave(table: string, parameters: readonly (string | null)[]): boolean {
    return this.#keys.has(`${ALL}\0${table}\0${JSON.stringify(parameters)}`)
  }

  /** Keys, as `rowKey` makes them, of rows that a statement which writes asked for. */
  change(keys: readonly string[]): void {
    for (const key of keys) if (this.#changed.size < KEYS_MAX) this.#changed.add(key)
  }

  /** The row carries the key of a broken one, its own or by a foreign key, or a value that only a broken one was given. */
  has(row: Row, natures: readonly ColumnNature[]): boolean {
    return row.some((value, at) => {
      if (value === null) return false
      const { domain, key, label, references } = natures[at]!
      const name = domain ?? (key ? label : null)
      return (
        (name !== null && this.#keys.has(rowKey(name, value))) ||
        // Who points at a row that was to be changed is as it was.
        (name !== null && key && references === '' && this.#changed.has(rowKey(name, value))) ||
        (isTelling(value) && this.#keys.has(`${VALUE}\0${squeezed(value)}`)) ||
        this.#onlyGivenToBroken(value)
      )
    })
  }

  /** Keys that a statement asks for, as `rowKey` makes them. */
  hasSome(keys: readonly string[]): boolean {
    return keys.some((key) => this.#keys.has(key) || this.#changed.has(key))
  }

  #give(value: string): void {
    const seen = this.#given.get(value)
    if (seen !== undefined) {
      seen.broken += 1
      seen.all = Math.max(seen.all, seen.broken)
    } else if (this.#given.size < GIVEN_MAX) this.#given.set(value, { all: 1, broken: 1 })
  }

  #onlyGivenToBroken(value: string): boolean {
    if (this.#given.size === 0 || value.length < GIVEN_LENGTH_MIN || value.length > GIVEN_LENGTH_MAX) return false
    const seen = this.#given.get(squeezed(value))
    return seen !== undefined && seen.broken >= seen.all * GIVEN_SHARE
  }

  #note(key: string): void {
    if (this.#keys.size < KEYS_MAX) this.#keys.add(key)
  }
}

function isTelling(value: string): boolean {
  return value.length >= TELLING_LENGTH_MIN && /\d/.test(value)
}

/** JSON comes back with other blanks. */
function squeezed(value: string): string {
  return value.replace(/\s/g, '')
}

/** `name` is a domain of generated values, or a key column. */
export function rowKey(name: string, value: string): string {
  return `${name}\0${value}`
}
