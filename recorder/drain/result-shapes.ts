/**
 * What results of the same statement and columns have in common: their mask and their digest, made once. An application has a
 * few hundred of them and runs each a million times.
 */

import type { Masker, RowMask, SqlFacts } from '../../privacy/masker.js'
import { ResultDigest } from '../../segment/digest.js'
import type { KnownTypes } from '../../segment/known-types.js'
import type { Column } from '../../segment/outcome.js'
import { type DescribedColumn, decodeRowDescription } from '../../wire/backend.js'

export type ResultShape = {
  readonly columns: readonly Column[]
  readonly mask: RowMask
  readonly types: KnownTypes
  /** Digests that are free to be used again; one result at a time has each. */
  readonly digests: ResultDigest[]
}

/** A statement whose columns differ each time (generated SQL) is not worth remembering. */
const SHAPES_PER_STATEMENT_MAX = 16
const DESCRIPTION_BYTES_MAX = 4096
const DESCRIPTIONS_MAX = 1000

export class ResultShapes {
  readonly #masker: Masker
  readonly #known = new WeakMap<SqlFacts, Map<string, ResultShape>>()
  readonly #descriptions = new Map<string, readonly DescribedColumn[]>()
  /** The last shape of a description: a prepared statement is described once and executed a million times. */
  readonly #last = new WeakMap<readonly DescribedColumn[], { facts: SqlFacts; statement: number; shape: ResultShape }>()

  constructor(masker: Masker) {
    this.#masker = masker
  }

  /**
   * A RowDescription. They repeat, in every session: decoded once, they are also the same object each time, by which they are
   * recognised.
   */
  described(buffer: Buffer, start: number, end: number): readonly DescribedColumn[] | null {
    if (end - start > DESCRIPTION_BYTES_MAX) return decodeRowDescription(buffer, start, end)
    const key = buffer.toString('latin1', start, end)
    const known = this.#descriptions.get(key)
    if (known) return known
    const columns = decodeRowDescription(buffer, start, end)
    if (this.#descriptions.size >= DESCRIPTIONS_MAX) this.#descriptions.clear()
    if (columns) this.#descriptions.set(key, columns)
    return columns
  }

  /** `statement` is the position in a text of several. */
  of(facts: SqlFacts, statement: number, described: readonly DescribedColumn[]): ResultShape {
    const last = this.#last.get(described)
    if (last !== undefined && last.facts === facts && last.statement === statement) return last.shape
    const shape = this.#find(facts, statement, described)
    this.#last.set(described, { facts, statement, shape })
    return shape
  }

  #find(facts: SqlFacts, statement: number, described: readonly DescribedColumn[]): ResultShape {
    let shapes = this.#known.get(facts)
    if (shapes === undefined) {
      shapes = new Map()
      this.#known.set(facts, shapes)
    }
    let key = `${statement}`
    for (const { name, tableOid, attnum, typeOid, typmod } of described) {
      key += `\n${tableOid} ${attnum} ${typeOid} ${typmod} ${name}`
    }
    const known = shapes.get(key)
    if (known !== undefined) return known
    const columns = described.map(({ format: _, ...column }) => column)
    const mask = this.#masker.rowMasker(columns, facts, statement)
    const shape = { columns, mask, types: this.#masker.types, digests: [] }
    if (shapes.size >= SHAPES_PER_STATEMENT_MAX) shapes.clear()
    shapes.set(key, shape)
    return shape
  }
}

export function takeDigest(shape: ResultShape): ResultDigest {
  return shape.digests.pop() ?? new ResultDigest(shape.columns, [], shape.types)
}
