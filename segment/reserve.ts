/**
 * Room on the disk that a recording holds for its end: a disk that is full by then would take the last statements that were written,
 * and the manifest that says what is missing, with it.
 *
 *   REC/reserve    noise, removed when the recording is sealed or put in order
 */
import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const RESERVE_FILE = 'reserve'
/** What SQLite's WAL holds before it goes into the file (8 MB), and a transaction above that. */
const RESERVE_BYTES = 12 << 20
/** On a small disk the recording comes first. */
const SHARE_MAX = 0.5
const CHUNK_BYTES = 1 << 20

/** For a recording in this folder whose manifest has so many bytes. No room for it is no reason not to record. */
export function holdReserve(folder: string, manifestBytes: number): void {
  try {
    const { bavail, bsize } = statfsSync(folder)
    // The manifest is written beside its forerunner, with more in it.
    const bytes = Math.min(RESERVE_BYTES + 2 * manifestBytes, Math.floor(bavail * bsize * SHARE_MAX))
    fill(join(folder, RESERVE_FILE), bytes)
  } catch {
    releaseReserve(folder)
  }
}

export function releaseReserve(folder: string): void {
  rmSync(join(folder, RESERVE_FILE), { force: true })
}

/** With noise: file systems that compress would keep no room for zeros. */
function fill(path: string, bytes: number): void {
  const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(bytes, CHUNK_BYTES)))
  const file = openSync(path, 'w', 0o600)
  try {
    for (let left = bytes; left > 0; left -= chunk.byteLength) {
      writeFileSync(file, left < chunk.byteLength ? chunk.subarray(0, left) : chunk)
    }
  } finally {
    closeSync(file)
  }
}
