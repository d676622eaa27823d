/**
 * Keys of the rows that broken transactions meant to write: an order whose INSERT was refused on one side is missing there ever after,
 * and that is no second finding.
 */
import type { Outcome, Row } from '../../segment/outcome.js'
import type { ColumnNature } from './nature.js'

const KEYS_MAX = 200_000

export class BrokenRows {
  readonly #keys = new Set<string>()

  /** What a statement returned on the side where it worked. */
  add(outcomes: readonly Outcome[], natures: readonly ColumnNature[]): void {
    for (const { rows } of outcomes)
      for (const row of rows ?? [])
        for (const key of keysOf(row, natures)) if (this.#keys.size < KEYS_MAX) this.#keys.add(key)
  }

  /** All of the rows carry the key of a broken one, their own or by a foreign key. */
  explain(rows: readonly Row[], natures: readonly ColumnNature[]): boolean {
    return rows.length > 0 && rows.every((row) => keysOf(row, natures).some((key) => this.#keys.has(key)))
  }
}

function keysOf(row: Row, natures: readonly ColumnNature[]): readonly string[] {
  return natures.flatMap(({ domain, key, label }, at) => {
    const value = row[at] ?? null
    const name = domain ?? (key ? label : null)
    return value === null || name === null ? [] : [`${name}\0${value}`]
  })
}
