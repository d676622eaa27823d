/**
 * Digests of a result: per column and for whole rows, one that minds the order of rows and one that does not, of canonical values.
 *
 * They stream, so memory does not grow with the result; they are per column, so a column that turns out to be noise can be left
 * out later without the rows, and a difference names its column by itself.
 *
 * Layout, little-endian:
 *
 *   0  u8   version (1)
 *   1  u8   0
 *   2  u16  columns, n
 *   4  u32  rows, modulo 2^32
 *   8  u64  ordered, u64 unordered    whole rows
 *   24 …    ordered, unordered        column 0 … n-1
 *
 * A cell's 64 bits are ./values/cell-hash.ts of its canonical bytes; NULL has bits of its own, so it is not the empty text. A row's
 * bits chain its cells'. Ordered chains rows, unordered adds them (each half modulo 2^32), so that any order gives the same sum.
 */
import { type KnownTypes, SYSTEM_TYPES } from './known-types.js'
import type { Column } from './outcome.js'
import { avalanche, hashBytes, hashed, rotate } from './values/cell-hash.js'
import { type CellReader, type CellView, cellReaderOf, textCellReaderOf } from './values/cell-reader.js'

const DIGEST_VERSION = 1
const HEADER_BYTES = 8
const PART_BYTES = 16

const NULL_LOW = 0x6e756c6c
const NULL_HIGH = 0x1b873593

/** The type is all that a digest needs to know of a column. */
type Typed = Pick<Column, 'typeOid'>

/** Takes rows as they stream by. One instance serves many results of the same shape, one after the other. */
export class ResultDigest {
  readonly #columns: readonly Typed[]
  readonly #formats: readonly number[]
  readonly #types: KnownTypes
  #readers: readonly CellReader[] | null = null
  #textReaders: readonly ((view: CellView, text: string) => void)[] | null = null
  /** Ordered low and high, unordered low and high; for rows, then for each column. */
  readonly #sums: Int32Array
  readonly #view: CellView = { bytes: new Uint8Array(0), start: 0, end: 0 }
  #rows = 0
  #low = 0
  #high = 0

  /** Formats as in Bind: none (all text), one for all columns, or one each. */
  constructor(columns: readonly Typed[], formats: readonly number[] = [], types: KnownTypes = SYSTEM_TYPES) {
    this.#columns = columns
    this.#formats = formats
    this.#types = types
    this.#sums = new Int32Array((columns.length + 1) * 4)
  }

  /** The body of a DataRow message: u16 count, then per cell i32 length (-1: NULL) and bytes. */
  row(body: Uint8Array, offset: number, end: number): void {
    this.#readers ??= this.#columns.map(({ typeOid }, i) =>
      cellReaderOf(typeOid, formatAt(this.#formats, i), this.#types),
    )
    const readers = this.#readers
    const view = this.#view
    let at = offset + 2
    this.#beginRow()
    for (let i = 0; i < readers.length; i++) {
      const length =
        at + 4 <= end ? (body[at]! << 24) | (body[at + 1]! << 16) | (body[at + 2]! << 8) | body[at + 3]! : -1
      at += 4
      if (length < 0 || at + length > end) {
        this.#cell(i, NULL_LOW, NULL_HIGH)
        continue
      }
      readers[i]!(view, body, at, at + length)
      hashBytes(view.bytes, view.start, view.end)
      this.#cell(i, hashed[0]!, hashed[1]!)
      at += length
    }
    this.#endRow()
  }

  /** The same from text, for rows that were decoded already. */
  rowOfText(cells: readonly (string | null)[]): void {
    this.#textReaders ??= this.#columns.map(({ typeOid }) => textCellReaderOf(typeOid, this.#types))
    const readers = this.#textReaders
    const view = this.#view
    this.#beginRow()
    for (let i = 0; i < readers.length; i++) {
      const cell = cells[i] ?? null
      if (cell === null) {
        this.#cell(i, NULL_LOW, NULL_HIGH)
        continue
      }
      readers[i]!(view, cell)
      hashBytes(view.bytes, view.start, view.end)
      this.#cell(i, hashed[0]!, hashed[1]!)
    }
    this.#endRow()
  }

  /** The digest of all rows since the last one; the next row begins a new result. */
  finish(): Uint8Array {
    const columns = this.#columns.length
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + this.#sums.length * 4)
    bytes[0] = DIGEST_VERSION
    bytes[1] = 0
    bytes.writeUInt16LE(columns, 2)
    bytes.writeUInt32LE(this.#rows >>> 0, 4)
    for (let i = 0; i < this.#sums.length; i++) bytes.writeInt32LE(this.#sums[i]!, HEADER_BYTES + i * 4)
    this.#sums.fill(0)
    this.#rows = 0
    return bytes
  }

  #beginRow(): void {
    this.#low = 0
    this.#high = 0
  }

  #cell(column: number, low: number, high: number): void {
    this.#low = (Math.imul(rotate(this.#low ^ low, 15), 0x85ebca6b) + 0x38495ab5) | 0
    this.#high = (Math.imul(rotate(this.#high ^ high, 13), 0xc2b2ae35) + 0x561ccd1b) | 0
    addTo(this.#sums, (column + 1) * 4, low, high)
  }

  #endRow(): void {
    this.#rows += 1
    addTo(this.#sums, 0, avalanche(this.#low ^ rotate(this.#high, 16)), avalanche(this.#high))
  }
}

function addTo(sums: Int32Array, at: number, low: number, high: number): void {
  sums[at] = Math.imul(rotate(sums[at]! ^ low, 15), 0x85ebca6b) + 0x38495ab5
  sums[at + 1] = Math.imul(rotate(sums[at + 1]! ^ high, 13), 0xc2b2ae35) + 0x561ccd1b
  sums[at + 2]! += low
  sums[at + 3]! += high
}

function formatAt(formats: readonly number[], column: number): number {
  return (formats.length === 1 ? formats[0] : formats[column]) ?? 0
}

/** Two 64-bit sums, as hex. */
export type PartDigest = { readonly ordered: string; readonly unordered: string }

export function digestColumns(digest: Uint8Array): number {
  return digest[2]! | (digest[3]! << 8)
}

export function columnDigest(digest: Uint8Array, column: number): PartDigest {
  return partAt(digest, column + 1)
}

export function rowDigest(digest: Uint8Array): PartDigest {
  return partAt(digest, 0)
}

/** Whether all rows, or one column of them, are equal in the same order. */
export function equalOrdered(a: Uint8Array, b: Uint8Array, column?: number): boolean {
  return equalParts(a, b, column, 0)
}

/** Whether the same rows, or the same values of one column, came in any order. */
export function equalIgnoringOrder(a: Uint8Array, b: Uint8Array, column?: number): boolean {
  return equalParts(a, b, column, 8)
}

function equalParts(a: Uint8Array, b: Uint8Array, column: number | undefined, half: number): boolean {
  if (a[0] !== b[0] || !equalRange(a, b, 4, 4)) return false
  const part = column === undefined ? 0 : column + 1
  return equalRange(a, b, HEADER_BYTES + part * PART_BYTES + half, 8)
}

function equalRange(a: Uint8Array, b: Uint8Array, from: number, length: number): boolean {
  for (let i = from; i < from + length; i++) if (a[i] !== b[i]) return false
  return true
}

function partAt(digest: Uint8Array, part: number): PartDigest {
  const at = HEADER_BYTES + part * PART_BYTES
  const bytes = Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength)
  return { ordered: bytes.toString('hex', at, at + 8), unordered: bytes.toString('hex', at + 8, at + 16) }
}
