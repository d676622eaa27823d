/**
 * COPY data in binary, masked: the whole of it in, the whole of it out. Cells that stay keep their bytes.
 *
 *   signature, flags, length of an extension and the extension; then rows: number of cells, each its length (-1: NULL) and its bytes; -1.
 *
 * A cell cannot become text here, as a parameter may, so what masking changes is written in the binary form of its type. null: that
 * is not possible for one of them, or the bytes lie about themselves.
 */
import type { Mask } from './masks/index.js'

export type BinaryCell = {
  /** null: it stays. */
  readonly mask: Mask | null
  readonly read: (bytes: Buffer) => string | undefined
  readonly write: (text: string) => Buffer | undefined
}

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const HEADER_BYTES = SIGNATURE.length + 8
const NULL = -1
const END = -1

export function maskBinaryCopy(cells: readonly BinaryCell[], data: Buffer): Buffer | null {
  if (data.length < HEADER_BYTES || !data.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return null
  const extensionBytes = data.readInt32BE(SIGNATURE.length + 4)
  let at = HEADER_BYTES + extensionBytes
  if (extensionBytes < 0 || at > data.length) return null
  const out: Buffer[] = [data.subarray(0, at)]
  while (at + 2 <= data.length) {
    const count = data.readInt16BE(at)
    const rowAt = at
    at += 2
    if (count === END) {
      out.push(data.subarray(rowAt, at))
      return at === data.length ? Buffer.concat(out) : null
    }
    if (count !== cells.length) return null
    out.push(data.subarray(rowAt, at))
    for (const cell of cells) {
      if (at + 4 > data.length) return null
      const bytes = data.readInt32BE(at)
      const end = at + 4 + Math.max(bytes, 0)
      if (bytes < NULL || end > data.length) return null
      const masked = bytes === NULL ? data.subarray(at, end) : maskedCell(cell, data, at, end)
      if (masked === null) return null
      out.push(masked)
      at = end
    }
  }
  // Without its end the server refuses it as well; it was so sent.
  return at === data.length ? Buffer.concat(out) : null
}

/** With its length in front. */
function maskedCell({ mask, read, write }: BinaryCell, data: Buffer, start: number, end: number): Buffer | null {
  const same = data.subarray(start, end)
  if (mask === null) return same
  const text = read(data.subarray(start + 4, end))
  if (text === undefined) return null
  const masked = mask(text)
  if (masked === text) return same
  const bytes = write(masked)
  if (bytes === undefined) return null
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
