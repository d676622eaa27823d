/**
 * What to say, and how long to wait, when the recording cannot be written: once for each kind of trouble, with what to do, and once
 * when it is over. Where it comes and goes, once a minute.
 *
 * Told by codes alone: messages of SQLite and of the file system may quote what they were given.
 */
import type { Trouble } from './drain.js'

const RETRY_AFTER_MS = 1000
const AGAIN_AFTER_MS = 60_000

export class WriteTrouble {
  readonly #tell: (trouble: Trouble) => void
  readonly #toldAtMs = new Map<string, number>()
  #untilMs = Number.NEGATIVE_INFINITY
  /** Told, and not over yet as far as anybody knows. */
  #told = false

  constructor(tell: (trouble: Trouble) => void) {
    this.#tell = tell
  }

  mayTry(nowMs: number): boolean {
    return nowMs >= this.#untilMs
  }

  failed(code: string, nowMs: number): void {
    this.#untilMs = nowMs + RETRY_AFTER_MS
    const toldAtMs = this.#toldAtMs.get(code)
    if (toldAtMs !== undefined && nowMs - toldAtMs < AGAIN_AFTER_MS) return
    this.#toldAtMs.set(code, nowMs)
    this.#told = true
    this.#tell({ kind: 'write failed', detail: `${code}: ${adviceFor(code)}` })
  }

  /** Something was written. */
  worked(): void {
    if (!this.#told) return
    this.#told = false
    this.#tell({ kind: 'writing works again', detail: 'what is missing is in the ledger' })
  }
}

const PASSING = 'traffic passes unrecorded until then'

function adviceFor(code: string): string {
  if (/^(SQLITE_FULL|ENOSPC|EDQUOT)/.test(code)) return `no room where the recording is written; make some: ${PASSING}`
  if (/^(SEGMENT_GONE|ENOENT|ENOTDIR|SQLITE_CANTOPEN|SQLITE_READONLY_DBMOVED)/.test(code))
    return 'the folder of the recording was taken away, or cannot be made anew; put it back, or start another recording'
  if (/^(SQLITE_BUSY|SQLITE_LOCKED)/.test(code))
    return `another program holds the segment that is being written; close it: ${PASSING}`
  if (/^(SQLITE_CORRUPT|SQLITE_NOTADB)/.test(code))
    return 'the segment was damaged from outside; a new one is begun. Look for what writes to the folder of the recording'
  if (/^(SQLITE_READONLY|EACCES|EPERM|EROFS)/.test(code))
    return `the folder of the recording may not be written any more; change its rights: ${PASSING}`
  return `the disk does not take what is written; look at its health, and at limits on the size of files: ${PASSING}`
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'unknown error'
}
