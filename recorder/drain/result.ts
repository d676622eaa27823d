/**
 * One result while it streams by: each row is decoded to text, masked, digested, and kept while there is room. Memory does not
 * grow with the result.
 */

import type { ResultDigest } from '../../segment/digest.js'
import type { Column, Row } from '../../segment/outcome.js'
import { type DescribedColumn, eachCell } from '../../wire/backend.js'
import { type Format, spreadFormats } from '../../wire/bind.js'
import { uint16 } from '../../wire/bytes.js'
import type { RowSink } from './exchange.js'
import { type ResultShape, takeDigest } from './result-shapes.js'

export type ResultLimits = {
  /** Rows kept per result … */
  readonly rowsMax: number
  /** … and characters. */
  readonly rowsCharsMax: number
}

const CELL_BYTES_MIN = 4

export type ShapeOf = (described: readonly DescribedColumn[]) => ResultShape

export class Result implements RowSink {
  readonly rows: Row[] = []
  rowsCut = false
  readonly #limits: ResultLimits
  readonly #shapeOf: ShapeOf
  readonly #sentFormats: readonly Format[] | null
  #shape: ResultShape
  #digest: ResultDigest | null
  #formats: readonly Format[]
  #described: boolean
  /** Characters of the rows kept. */
  chars = 0
  #cells: (string | null)[] = []

  constructor(
    described: readonly DescribedColumn[] | null,
    formats: readonly Format[] | null,
    shapeOf: ShapeOf,
    limits: ResultLimits,
  ) {
    this.#limits = limits
    this.#shapeOf = shapeOf
    this.#sentFormats = formats
    this.#described = described !== null
    this.#shape = shapeOf(described ?? [])
    this.#digest = takeDigest(this.#shape)
    this.#formats = this.#formatsOf(described ?? [])
  }

  get columns(): readonly Column[] {
    return this.#shape.columns
  }

  /** Ends the result. null: a row went by that could not be looked at. */
  finish(): Uint8Array | null {
    const digest = this.#digest
    this.#digest = null
    if (digest === null) return null
    const bytes = digest.finish()
    this.#shape.digests.push(digest)
    return bytes
  }

  row(buffer: Buffer, start: number, end: number): void {
    if (!this.#described) this.#guessColumns(buffer, start, end)
    const cells = this.#cells
    cells.length = 0
    const whole = eachCell(buffer, start, end, (column, from, to) => {
      cells.push(from < 0 ? null : this.#text(column, buffer, from, to))
    })
    if (!whole || cells.length !== this.columns.length) {
      this.oversized()
      return
    }
    const masked = this.#shape.mask(cells)
    this.#digest?.rowOfText(masked)
    this.#keep(masked)
  }

  oversized(): void {
    // What it was given so far must not show in the next result that uses it.
    this.#digest = null
    this.rowsCut = true
  }

  #keep(cells: Row): void {
    if (this.rowsCut) return
    for (const cell of cells) this.chars += cell?.length ?? 4
    if (this.rows.length < this.#limits.rowsMax && this.chars <= this.#limits.rowsCharsMax)
      this.rows.push(cells === this.#cells ? [...cells] : cells)
    else this.rowsCut = true
  }

  #text(column: number, buffer: Buffer, from: number, to: number): string {
    if (this.#formats[column] !== 1) return buffer.toString('utf8', from, to)
    const typeOid = this.columns[column]?.typeOid ?? 0
    return this.#shape.types.textOf(typeOid, buffer.subarray(from, to)) ?? hexText(buffer, from, to)
  }

  /** Formats are the Bind's; a simple query has none, and its description tells. */
  #formatsOf(described: readonly DescribedColumn[]): readonly Format[] {
    return this.#sentFormats === null
      ? described.map((column) => column.format)
      : spreadFormats(this.#sentFormats, described.length)
  }

  /** Nobody described these rows: columns without a name or a type, which masking treats as text. */
  #guessColumns(buffer: Buffer, start: number, end: number): void {
    this.#described = true
    const claimed = end - start < 2 ? 0 : uint16(buffer, start)
    // Each cell has four bytes of length; what lies about that is not a row.
    const count = claimed * CELL_BYTES_MIN <= end - start - 2 ? claimed : 0
    const unknown = { name: '', typeOid: 0, typmod: -1, tableOid: 0, attnum: 0, format: 0 as const }
    const described = Array.from({ length: count }, () => unknown)
    this.#shape = this.#shapeOf(described)
    this.#digest = takeDigest(this.#shape)
    this.#formats = this.#formatsOf(described)
  }
}

/** A binary value nobody can read: as bytea would show it, so that equal stays equal. */
function hexText(buffer: Buffer, from: number, to: number): string {
  return `\\x${buffer.toString('hex', from, to)}`
}
