/**
 * Everything readable in a file: its own bytes, and what is packed inside them (SQLite cells, brotli, gzip).
 *
 * Compressed cells would hide from a scan of the bytes, so they are opened; the bytes are scanned all the same, because a freed page of SQLite
 * still holds what was deleted.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { brotliDecompressSync, createGunzip } from 'node:zlib'
import Database from 'better-sqlite3'

export type FoundText = {
  /** `bytes 1024–`, `statements.rows`. */
  readonly place: string
  readonly text: string
}

/** A hit that lies across two chunks is found in the overlap. */
const OVERLAP = 512
const CELL_BYTES_MAX = 1 << 28

export async function* textsOf(path: string): AsyncGenerator<FoundText> {
  const kind = kindOf(path)
  yield* chunks(createReadStream(path), 'bytes')
  if (kind === 'gzip') yield* chunks(createReadStream(path).pipe(createGunzip()), 'unpacked byte')
  if (kind === 'sqlite') yield* cells(path)
}

function kindOf(path: string): 'sqlite' | 'gzip' | 'other' {
  const head = Buffer.alloc(16)
  const file = openSync(path, 'r')
  try {
    readSync(file, head, 0, 16, 0)
  } finally {
    closeSync(file)
  }
  if (head.toString('latin1').startsWith('SQLite format 3')) return 'sqlite'
  return head[0] === 0x1f && head[1] === 0x8b ? 'gzip' : 'other'
}

async function* chunks(stream: AsyncIterable<Buffer>, noun: string): AsyncGenerator<FoundText> {
  let rest = ''
  let at = 0
  for await (const chunk of stream) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
    // Latin-1 keeps every byte apart; words beyond ASCII are found in what is unpacked.
    const text = rest + bytes.toString('latin1')
    yield { place: `${noun} ${Math.max(0, at - rest.length)}`, text }
    rest = text.slice(-OVERLAP)
    at += bytes.length
  }
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
          const text = typeof cell === 'string' ? cell : Buffer.isBuffer(cell) ? unpacked(cell) : null
          if (text !== null && text.length > 3) yield { place: `${name}.${column}`, text }
        }
    }
  } finally {
    db.close()
  }
}

/** Cells are brotli, or one byte that says whether they are and then brotli, or plain bytes. */
function unpacked(cell: Buffer): string | null {
  for (const bytes of cell[0] === 1 ? [cell.subarray(1), cell] : [cell]) {
    try {
      return brotliDecompressSync(bytes, { maxOutputLength: CELL_BYTES_MAX }).toString('utf8')
    } catch {
      // not brotli
    }
  }
  return cell.toString('utf8')
}
