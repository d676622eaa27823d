/**
 * Everything readable in a file: its own bytes, and what is packed inside them (SQLite cells, brotli, gzip).
 *
 * Compressed cells would hide from a scan of the bytes, so they are opened; the bytes of SQLite are scanned all the same, because a
 * freed page still holds what was deleted.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { brotliDecompressSync, createGunzip } from 'node:zlib'
import Database from 'better-sqlite3'

export type FoundText = {
  /** `byte 1024`, `statements.rows`. */
  readonly place: string
  readonly text: string
  /** What ends before this was in the text before, too. */
  readonly freshFrom: number
  /** Pages of SQLite as they lie in the file: a cell goes on on another page, and what was deleted is written over in part. */
  readonly torn: boolean
}

/** A value of several words that lies across two chunks is found in the overlap. */
const OVERLAP = 512
/** Chunks are cut between words: half of an address may look like another. */
const WORD_END = /[^\p{L}\p{N}._%+'@-](?=[\p{L}\p{N}._%+'@-]*$)/u
const CELL_BYTES_MAX = 1 << 28

export async function* textsOf(path: string): AsyncGenerator<FoundText> {
  const kind = kindOf(path)
  const torn = kind === 'sqlite'
  if (kind === 'gzip') yield* chunks(createReadStream(path).pipe(createGunzip()), 'unpacked byte', 'utf8', torn)
  else yield* chunks(createReadStream(path), 'byte', kind === 'text' ? 'utf8' : 'latin1', torn)
  if (kind === 'sqlite') yield* cells(path)
}

function kindOf(path: string): 'sqlite' | 'gzip' | 'text' | 'binary' {
  const head = Buffer.alloc(4096)
  const file = openSync(path, 'r')
  let length: number
  try {
    length = readSync(file, head, 0, head.length, 0)
  } finally {
    closeSync(file)
  }
  if (head.toString('latin1', 0, 15) === 'SQLite format 3') return 'sqlite'
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  return head.subarray(0, length).includes(0) ? 'binary' : 'text'
}

/** Text as UTF-8; of bytes that are none only what is plain ASCII, or every second compressed block would hold an address. */
async function* chunks(
  stream: AsyncIterable<Buffer>,
  noun: string,
  encoding: 'utf8' | 'latin1',
  torn: boolean,
): AsyncGenerator<FoundText> {
  const decoder = new TextDecoder('utf-8')
  let before = ''
  let rest = ''
  let at = 0
  for await (const chunk of stream) {
    const place = `${noun} ${at}`
    at += chunk.length
    rest += encoding === 'utf8' ? decoder.decode(chunk, { stream: true }) : plain(chunk)
    const end = WORD_END.exec(rest.slice(-OVERLAP))
    const cut = end === null ? rest.length : Math.max(0, rest.length - OVERLAP) + end.index + 1
    const text = before + rest.slice(0, cut)
    yield { place, text, freshFrom: before.length, torn }
    before = afterWord(text.slice(-OVERLAP))
    rest = rest.slice(cut)
  }
  yield { place: `${noun} ${at}`, text: before + rest + decoder.decode(), freshFrom: before.length, torn }
}

function plain(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[^\t\n\r -~]+/g, '\n')
}

function afterWord(text: string): string {
  const first = text.search(/[^\p{L}\p{N}._%+'@-]/u)
  return first < 0 ? '' : text.slice(first)
}

function* cells(path: string): Generator<FoundText> {
  const db = new Database(path, { readonly: true })
  try {
    const tables = db.prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    for (const { name } of tables) {
      const quoted = `"${name.replaceAll('"', '""')}"`
      const rows = db.prepare<[], Record<string, unknown>>(`SELECT * FROM ${quoted}`).iterate()
      for (const row of rows)
        for (const [column, cell] of Object.entries(row)) {
          const text = typeof cell === 'string' ? cell : Buffer.isBuffer(cell) ? unpacked(cell) : ''
          if (text.length > 3) yield { place: `${name}.${column}`, text, freshFrom: 0, torn: false }
        }
    }
  } finally {
    db.close()
  }
}

/** Cells are brotli, or one byte that says whether they are and then brotli, or plain bytes. */
function unpacked(cell: Buffer): string {
  for (const bytes of cell[0] === 1 ? [cell.subarray(1), cell] : [cell]) {
    try {
      return brotliDecompressSync(bytes, { maxOutputLength: CELL_BYTES_MAX }).toString('utf8')
    } catch {
      // not brotli
    }
  }
  return plain(cell)
}
