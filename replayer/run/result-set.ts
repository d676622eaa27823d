/**
 * One result set on its way through: digested row by row, the first rows kept, nothing else stored.
 */
import { ResultDigest } from '../../segment/digest.js'
import type { KnownTypes } from '../../segment/known-types.js'
import type { Column, Outcome, Row } from '../../segment/outcome.js'
import { eachCell } from '../../wire/backend.js'
import { type Format, spreadFormats } from '../../wire/bind.js'

export type Kept = Pick<Outcome, 'columns' | 'digest' | 'rows' | 'rowsCut'>

/** As many as a recording keeps, so that a replayed result shows what the recorded one shows. */
const ROWS_MAX = 100
const CHARS_MAX = 64 * 1024

const NOTHING: Kept = { columns: null, digest: null, rows: null, rowsCut: false }

export class ResultSet {
  #columns: readonly Column[] | null
  readonly #sentFormats: readonly Format[]
  #formats: readonly Format[]
  #digest: ResultDigest | null
  readonly #types: KnownTypes
  readonly #rows: Row[] = []
  #rowsCut = false
  #chars = 0
  rowCount = 0

  /** Columns null: nobody ever described it. Formats as a Bind gives them: none, one for all, or one per column. */
  constructor(columns: readonly Column[] | null, formats: readonly Format[], types: KnownTypes) {
    this.#types = types
    this.#columns = columns
    this.#formats = spread(formats, columns?.length ?? 0)
    this.#digest = columns === null ? null : takeDigest(columns, this.#formats, types)
    this.#sentFormats = formats
  }

  row(buffer: Buffer, start: number, end: number): void {
    this.rowCount += 1
    this.#columns ??= this.#guess(buffer.readUInt16BE(start))
    const columns = this.#columns
    this.#digest!.row(buffer, start, end)
    if (this.#rowsCut) return
    const cells: (string | null)[] = []
    eachCell(buffer, start, end, (column, from, to) => {
      cells.push(from < 0 ? null : this.#text(columns[column]?.typeOid ?? 0, column, buffer, from, to))
    })
    this.#keep(cells)
  }

  finish(): Kept {
    if (this.#columns === null || this.#digest === null) return NOTHING
    const digest = this.#digest.finish()
    if (this.#formats === ALL_TEXT) idle.set(this.#columns, this.#digest)
    return { columns: this.#columns, digest, rows: this.#rows, rowsCut: this.#rowsCut }
  }

  #text(typeOid: number, column: number, buffer: Buffer, from: number, to: number): string {
    if (this.#formats[column] !== 1) return buffer.toString('utf8', from, to)
    return this.#types.textOf(typeOid, buffer.subarray(from, to)) ?? `\\x${buffer.toString('hex', from, to)}`
  }

  #keep(cells: Row): void {
    for (const cell of cells) this.#chars += cell?.length ?? 4
    if (this.#rows.length < ROWS_MAX && this.#chars <= CHARS_MAX) this.#rows.push(cells)
    else this.#rowsCut = true
  }

  /** Columns without names and types for rows that nobody described. */
  #guess(count: number): readonly Column[] {
    const columns = Array.from({ length: count }, () => UNKNOWN)
    this.#formats = spread(this.#sentFormats, count)
    this.#digest = new ResultDigest(columns, this.#formats, this.#types)
    return columns
  }
}

const UNKNOWN: Column = { name: '', typeOid: 0, typmod: -1, tableOid: 0, attnum: 0 }

const ALL_TEXT: readonly Format[] = []

function spread(formats: readonly Format[], count: number): readonly Format[] {
  return formats.every((format) => format === 0) ? ALL_TEXT : spreadFormats(formats, count)
}

/** A digest that was used for a result of the same shape, ready for the next: descriptions repeat by identity. */
const idle = new WeakMap<readonly Column[], ResultDigest>()

function takeDigest(columns: readonly Column[], formats: readonly Format[], types: KnownTypes): ResultDigest {
  const used = formats === ALL_TEXT ? idle.get(columns) : undefined
  if (used === undefined) return new ResultDigest(columns, formats, types)
  idle.delete(columns)
  return used
}
