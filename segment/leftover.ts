/**
 * A segment that its writer left unsealed: sealed after the fact, where that is possible.
 *
 * A recording that still runs is left alone: SQLite does not give up a file's WAL while another connection uses it, and that
 * refusal is how we know. No lock file, which a crash would leave behind.
 */
import { existsSync, renameSync, rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { publish } from './files.js'
import { type Count, NOTHING } from './ledger.js'
import type { SealedSegment } from './manifest.js'
import { openSegment } from './segment-reader.js'
import { OPEN_SUFFIX, sealedSegment } from './segment-writer.js'
import { closeAsOneFile, sqliteCode } from './sqlite.js'

const SIDE_FILES = ['', '-wal', '-shm', '-journal']
/** Where people may look at it; readers of the recording do not. */
const DAMAGED_SUFFIX = '.damaged'

/** null: somebody else has it open. */
export function sealLeftover(file: string): SealedSegment | null {
  const finalPath = file.endsWith(OPEN_SUFFIX) ? file.slice(0, -OPEN_SUFFIX.length) : file
  if (finalPath !== file) {
    const db = new Database(file, { timeout: 0, fileMustExist: true })
    try {
      closeAsOneFile(db)
    } catch (error) {
      db.close()
      if (sqliteCode(error).startsWith('SQLITE_BUSY')) return null
      throw error
    }
    publish(file, finalPath)
  }
  const reader = openSegment(finalPath)
  try {
    return sealedSegment(finalPath, reader.extent())
  } finally {
    reader.close()
  }
}

export type Rescued = {
  /** null: it could not be sealed. */
  readonly segment: SealedSegment | null
  /** What readers will find in it, sealed or not. */
  readonly count: Count
}

/** What is left of a segment that could not be written any more. One that cannot be read is set aside. */
export function rescueSegment(path: string): Rescued {
  const file = [path + OPEN_SUFFIX, path].find((name) => existsSync(name))
  if (file === undefined) return { segment: null, count: NOTHING }
  const count = countIn(file)
  if (count === null) {
    setAside(path)
    return { segment: null, count: NOTHING }
  }
  try {
    return { segment: sealLeftover(file), count }
  } catch {
    // No room: it stays as a crash would have left it, for readers and for `recoverRecording`.
    return { segment: null, count }
  }
}

/** null: a page of it is wrong. */
function countIn(file: string): Count | null {
  let db: Database.Database | undefined
  try {
    db = new Database(file, { fileMustExist: true })
    if (db.pragma('quick_check(1)', { simple: true }) !== 'ok') return null
    const count = 'SELECT count(*) AS statements, count(DISTINCT txn) AS transactions FROM statements'
    return db.prepare<[], Count>(count).get()!
  } catch {
    return null
  } finally {
    db?.close()
  }
}

function setAside(path: string): void {
  for (const side of SIDE_FILES) {
    for (const name of [path + OPEN_SUFFIX + side, path + side]) {
      if (existsSync(name)) renameSync(name, path + side + DAMAGED_SUFFIX)
    }
  }
}

export function removeSegment(path: string): void {
  for (const side of SIDE_FILES) rmSync(path + OPEN_SUFFIX + side, { force: true })
}
