/**
 * One hash that stands for a whole outcome, for people and for other tools. Comparison uses the digests, which can forget a column.
 */
import { hash } from 'node:crypto'
import type { Column, Outcome } from './outcome.js'

let scratch = Buffer.allocUnsafe(4096)

/** 32 bytes. Names of columns count, their types do not: int4 to int8 is no other answer. */
export function resultSha256Bytes({ error, tag, rowCount, columns, digest }: Outcome): Buffer {
  const sqlstate = JSON.stringify(error?.sqlstate ?? null)
  const head = `[${sqlstate},${JSON.stringify(tag)},${rowCount},${columns === null ? 'null' : namesOf(columns)}]`
  if (digest === null) return hashOfText(head)
  const bytesMax = head.length * 3 + digest.byteLength
  if (scratch.length < bytesMax) scratch = Buffer.allocUnsafe(bytesMax)
  const headBytes = scratch.write(head, 0, 'utf8')
  scratch.set(digest, headBytes)
  // A text of the bytes and a Buffer of that cost two thirds of the Buffer that it can make itself.
  return Buffer.from(hash('sha256', scratch.subarray(0, headBytes + digest.byteLength), 'binary'), 'latin1')
}

const HEADS_MAX = 1000
const hashes = new Map<string, Buffer>()

/** What returns no rows says the same few things: BEGIN, COMMIT, one row inserted. */
function hashOfText(head: string): Buffer {
  let made = hashes.get(head)
  if (made === undefined) {
    made = hash('sha256', head, 'buffer')
    if (hashes.size >= HEADS_MAX) hashes.clear()
    hashes.set(head, made)
  }
  return made
}

const known = new WeakMap<readonly Column[], string>()

/** Results of one statement share their columns. */
function namesOf(columns: readonly Column[]): string {
  let names = known.get(columns)
  if (names === undefined) {
    names = JSON.stringify(columns.map((column) => column.name))
    known.set(columns, names)
  }
  return names
}

/** `sha256_…`, as in `production_result_digest`. */
export function resultSha256(outcome: Outcome): string {
  return `sha256_${resultSha256Bytes(outcome).toString('hex')}`
}
