/**
 * One table: COPY out of the server, masked line by line on the way, into a compressed file. Memory is flat: a chunk of
 * the stream, or the longest row.
 */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { to as copyTo } from 'pg-copy-streams'
import { assert } from '../../../base/errors.js'
import { type Connected, qualified, quoteIdentifier } from '../connect.js'
import type { FileFacts } from './format.js'
import type { Choice } from './sample.js'
import type { SourceTable } from './source.js'

/** Masks whole lines of COPY text. null: nothing in this table is masked, bytes pass as they are. */
export type LineMask = ((lines: Buffer) => Buffer) | null

export async function copyOut(
  client: Connected,
  table: SourceTable,
  columns: readonly string[],
  choice: Choice | null,
  mask: LineMask,
  path: string,
  onProgress: (rows: number, bytes: number) => void,
): Promise<Omit<FileFacts, 'file'> & { readonly rows: number }> {
  const source = client.query(copyTo(copyStatement(table, columns, choice)))
  const lines = new MaskLines(mask, onProgress)
  const seal = new Seal()
  await pipeline(source, lines, createGzip({ level: 1 }), seal, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
  // The stream ends with the data; how many rows the server counted comes after it, at the latest before the next answer.
  await client.query('SELECT')
  assert(lines.rows === source.rowCount, `${lines.rows} lines came of ${source.rowCount} rows`)
  return { rows: lines.rows, bytes: seal.bytes, sha256: seal.sha256() }
}

/** A table without columns is still so many rows: its lines are empty, and COPY wants no list then. */
function copyStatement(table: SourceTable, columns: readonly string[], choice: Choice | null): string {
  const list = columns.map(quoteIdentifier).join(', ')
  if (choice !== null)
    return `COPY (${choice.with}SELECT ${list} FROM ONLY ${qualified(table)} row_ WHERE ${choice.where}) TO STDOUT`
  return table.condition === ''
    ? `COPY ${qualified(table)}${list && ` (${list})`} TO STDOUT`
    : `COPY (SELECT ${list} FROM ONLY ${qualified(table)} ${table.condition}) TO STDOUT`
}

const NEWLINE = 0x0a

/** A newline inside a value is written `\n` by the server, so a byte 0x0a always ends a row. */
export class MaskLines extends Transform {
  rows = 0
  #bytes = 0
  /** The beginning of a line whose end has not come yet. */
  #begun: Buffer[] = []
  readonly #mask: LineMask
  readonly #onProgress: (rows: number, bytes: number) => void

  constructor(mask: LineMask, onProgress: (rows: number, bytes: number) => void = () => {}) {
    super()
    this.#mask = mask
    this.#onProgress = onProgress
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length
    try {
      this.rows += countNewlines(chunk)
      done(null, this.#mask === null ? chunk : this.#masked(chunk, this.#mask))
    } catch (error) {
      done(error as Error)
      return
    }
    this.#onProgress(this.rows, this.#bytes)
  }

  override _flush(done: TransformCallback): void {
    done(this.#begun.length === 0 ? null : new Error('the copy ended inside a row'))
  }

  #masked(chunk: Buffer, mask: (lines: Buffer) => Buffer): Buffer {
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end === 0) {
      if (chunk.length > 0) this.#begun.push(chunk)
      return Buffer.alloc(0)
    }
    const first = chunk.subarray(0, end)
    const lines = this.#begun.length === 0 ? first : Buffer.concat([...this.#begun, first])
    this.#begun = end < chunk.length ? [chunk.subarray(end)] : []
    return mask(lines)
  }
}

function countNewlines(chunk: Buffer): number {
  let count = 0
  for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) count += 1
  return count
}

/** Passes bytes on, and knows their number and checksum. */
export class Seal extends Transform {
  bytes = 0
  readonly #hash = createHash('sha256')

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length
    this.#hash.update(chunk)
    done(null, chunk)
  }

  sha256(): string {
    return this.#hash.digest('hex')
  }
}
