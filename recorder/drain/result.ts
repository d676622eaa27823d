/**
 * One result while it streams by: each row is decoded to text, masked, digested, and kept while there is room. Memory does not
 * grow with the result.
 */

import { ResultDigest } from '../../segment/digest.js'
import type { Column, Row } from '../../segment/outcome.js'
import { type DescribedColumn, eachCell } from '../../wire/backend.js'
import { type Format, spreadFormats } from '../../wire/bind.js'
import type { RowSink } from './exchange.js'
import type { Cells } from './masking.js'
import { binaryText } from './values.js'

export type ResultLimits = {
  /** Rows kept per result … */
  readonly rowsMax: number
  /** … and characters. */
  readonly rowsCharsMax: number
}

export type ResultMask = (columns: readonly Column[]) => (cells: (string | null)[]) => Cells

export class Result implements RowSink {
  columns: readonly Column[]
  rows: Row[] = []
  rowsCut = false
  #digest: ResultDigest | null
  #formats: readonly Format[]
  readonly #described: boolean
  readonly #sentFormats: readonly Format[]
  readonly #limits: ResultLimits
  readonly #maskOf: ResultMask
  #mask: (cells: (string | null)[]) => Cells
  #chars = 0
  #cells: (string | null)[] = []

  constructor(
    described: readonly DescribedColumn[] | null,
    formats: readonly Format[] | null,
    maskOf: ResultMask,
    limits: ResultLimits,
  ) {
    this.columns = described?.map(({ format: _, ...column }) => column) ?? []
    this.#described = described !== null
    this.#sentFormats = formats ?? []
    this.#formats =
      formats === null
        ? (described?.map((column) => column.format) ?? [])
        : spreadFormats(formats, described?.length ?? 0)
    this.#limits = limits
    this.#maskOf = maskOf
    this.#mask = maskOf(this.columns)
    this.#digest = new ResultDigest(this.columns)
  }

  /** null: a row went by that could not be looked at. */
  digest(): Uint8Array | null {
    return this.#digest?.finish() ?? null
  }

  row(buffer: Buffer, start: number, end: number): void {
    if (!this.#described) this.#guessColumns(buffer, start)
    const cells = this.#cells
    cells.length = 0
    const whole = eachCell(buffer, start, end, (column, from, to) => {
      cells.push(from < 0 ? null : this.#text(column, buffer, from, to))
    })
    if (!whole || cells.length !== this.columns.length) {
      this.oversized()
      return
    }
    const masked = this.#mask(cells)
    this.#digest?.rowOfText(masked)
    this.#keep(masked)
  }

  oversized(): void {
    this.#digest = null
    this.rowsCut = true
  }

  #keep(cells: Cells): void {
    if (this.rowsCut) return
    for (const cell of cells) this.#chars += cell?.length ?? 4
    if (this.rows.length < this.#limits.rowsMax && this.#chars <= this.#limits.rowsCharsMax) this.rows.push([...cells])
    else this.rowsCut = true
  }

  #text(column: number, buffer: Buffer, from: number, to: number): string {
    if (this.#formats[column] !== 1) return buffer.toString('utf8', from, to)
    return binaryText(this.columns[column]!.typeOid, buffer.subarray(from, to)) ?? hexText(buffer, from, to)
  }

  /** Nobody described these rows: columns without a name or a type, which masking treats as text. */
  #guessColumns(buffer: Buffer, start: number): void {
    if (this.columns.length > 0) return
    const count = buffer.readUInt16BE(start)
    if (count === 0) return
    this.columns = Array.from({ length: count }, () => ({ name: '', typeOid: 0, typmod: -1, tableOid: 0, attnum: 0 }))
    this.#formats = spreadFormats(this.#sentFormats, count)
    this.#mask = this.#maskOf(this.columns)
    this.#digest = new ResultDigest(this.columns)
  }
}

/** A binary value nobody can read: as bytea would show it, so that equal stays equal. */
function hexText(buffer: Buffer, from: number, to: number): string {
  return `\\x${buffer.toString('hex', from, to)}`
}
