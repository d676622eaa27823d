/**
 * SQLite, the way every format here uses it: WAL while a file grows, one plain file once it is sealed.
 */
import Database from 'better-sqlite3'
import { EXIT, HarnessError } from '../base/errors.js'
import { createPrivateFile, publish } from './files.js'

export type Db = Database.Database
export type Insert = Database.Statement<unknown[]>

export type Kind = {
  readonly noun: 'segment' | 'run' | 'diff'
  /** Tells our kinds of file apart, for file(1) and for ourselves. */
  readonly applicationId: number
  readonly formatVersion: number
  readonly tooNewCode: string
  readonly damagedCode: string
  readonly notOneCode: string
}

const PAGE_BYTES = 8192
const BUSY_MS_MAX = 2000

/**
 * A new file, readable by its owner only, with the schema in place. `fill` adds what must be there from the first moment: a crash
 * leaves all of it or a file without tables.
 */
export function createDb(path: string, kind: Kind, schema: string, fill: (db: Db) => void = () => {}): Db {
  createPrivateFile(path)
  const db = new Database(path, { timeout: BUSY_MS_MAX })
  try {
    db.pragma(`page_size = ${PAGE_BYTES}`)
    db.pragma('journal_mode = WAL')
    // A killed process loses nothing that was committed; only a power cut may take the last commits, never the order.
    db.pragma('synchronous = NORMAL')
    db.exec('BEGIN')
    db.pragma(`application_id = ${kind.applicationId}`)
    db.pragma(`user_version = ${kind.formatVersion}`)
    db.exec(schema)
    fill(db)
    db.exec('COMMIT')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** A file whose creation a crash cut short: nothing was ever in it. */
export function isUnborn(path: string): boolean {
  let db: Db | undefined
  try {
    db = openToRead(path)
    return tablesIn(db) === 0
  } catch (error) {
    if (isDamage(error)) return false
    throw error
  } finally {
    db?.close()
  }
}

/** A process that was killed in the middle of a change left it to whoever opens the file next to take that back, and a reader may not. */
function openToRead(path: string): Db {
  const open = (readonly: boolean) => new Database(path, { readonly, fileMustExist: true, timeout: BUSY_MS_MAX })
  const db = open(true)
  try {
    tablesIn(db)
    return db
  } catch (error) {
    db.close()
    if (!sqliteCode(error).startsWith('SQLITE_READONLY')) throw error
  }
  const writer = open(false)
  try {
    tablesIn(writer)
  } finally {
    writer.close()
  }
  return open(true)
}

function tablesIn(db: Db): number {
  return db.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get()!
}

/** Folds the WAL into the file and closes it: from here on one self-contained file. */
export function closeAsOneFile(db: Db): void {
  db.pragma('wal_checkpoint(TRUNCATE)')
  // Throws while anyone else has the file open.
  db.pragma('journal_mode = DELETE')
  db.close()
}

export function sealDb(db: Db, openPath: string, finalPath: string): void {
  closeAsOneFile(db)
  publish(openPath, finalPath)
}

/** Opens a sealed file for reading; refuses what is not ours, too new or damaged with an error a person can act on. */
export function openDb(path: string, kind: Kind): Db {
  let db: Db | undefined
  try {
    db = openToRead(path)
    const applicationId = db.pragma('application_id', { simple: true })
    const version = Number(db.pragma('user_version', { simple: true }))
    if (applicationId !== kind.applicationId) throw notOne(path, kind)
    if (version > kind.formatVersion) throw tooNew(path, kind, version)
    return db
  } catch (error) {
    db?.close()
    if (error instanceof HarnessError) throw error
    if (sqliteCode(error) === 'SQLITE_NOTADB') throw notOne(path, kind)
    if (isDamage(error)) throw damaged(path, kind, 'its pages are inconsistent', error)
    throw new HarnessError({
      code: 'CANNOT_OPEN',
      message: `cannot open ${path}`,
      detail: error instanceof Error ? error.message : String(error),
      hint: 'Check that the path is right and that the file and its folder can be read and written.',
      cause: error,
    })
  }
}

/** Adds to a sealed file that `openDb` has looked at; it stays one plain file. */
export function addToDb(path: string, add: (db: Db) => void): void {
  let db: Db | undefined
  try {
    db = new Database(path, { fileMustExist: true, timeout: BUSY_MS_MAX })
    add(db)
  } catch (error) {
    if (sqliteCode(error) === '') throw error
    throw new HarnessError({
      code: 'CANNOT_WRITE',
      message: `cannot write to ${path}`,
      detail: error instanceof Error ? error.message : String(error),
      hint: 'Check that the file and its folder can be written, and that nobody else has it open.',
      cause: error,
    })
  } finally {
    db?.close()
  }
}

export function sqliteCode(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : ''
}

export function damaged(path: string, kind: Kind, why: string, cause?: unknown): HarnessError {
  return new HarnessError({
    code: kind.damagedCode,
    message: `${kind.noun} ${path} is damaged`,
    detail: `${why}.`,
    hint: 'Copy it again from where it was made, or make it anew.',
    cause,
  })
}

/** Whether an error says that the file is broken, rather than that it cannot be reached. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB|ERROR|IOERR_SHORT_READ)/.test(sqliteCode(error))
}

/** Whether the next try may well work with the same file: it is whole, and there was no room, or no turn. */
export function mayPass(error: unknown): boolean {
  return /^SQLITE_(FULL|BUSY|LOCKED)/.test(sqliteCode(error))
}

function tooNew(path: string, kind: Kind, found: number): HarnessError {
  return new HarnessError({
    code: kind.tooNewCode,
    message: `cannot read ${kind.noun} ${path}`,
    detail: `it has format ${found}; this build reads up to ${kind.formatVersion}.`,
    hint: 'Upgrade pgrehearse, or make it again with this version.',
    exit: EXIT.usage,
  })
}

function notOne(path: string, kind: Kind): HarnessError {
  if (kind.notOneCode === kind.damagedCode) return damaged(path, kind, 'it is no SQLite file that pgrehearse wrote')
  return new HarnessError({
    code: kind.notOneCode,
    message: `${path} is not a pgrehearse ${kind.noun}`,
    detail: `a ${kind.noun} is an SQLite file that pgrehearse wrote; this is something else.`,
    hint: 'Check the path.',
    exit: EXIT.usage,
  })
}

/**
 * All rows from a position on, a page at a time: half the cost of stepping from row to row, and nothing stays open in between. The
 * statement takes the first position and the size of a page, and gives raw rows whose first cell is the position.
 */
export function* pagesOf<Row extends readonly unknown[]>(
  select: Database.Statement<[number, number], Row>,
  from: number,
  pageRows: number,
): Generator<Row> {
  for (let next = from; ; ) {
    const rows = select.all(next, pageRows)
    yield* rows
    if (rows.length < pageRows) return
    next = (rows.at(-1)![0] as number) + 1
  }
}
