/**
 * What to say, and how long to wait, when the recording cannot be written: once for each kind of trouble, with what to do, and once
 * when it is over. Where it comes and goes, once a minute.
 *
 * Told by codes alone: messages of SQLite and of the file system may quote what they were given.
 */
import type { Trouble } from './drain.js'

const RETRY_AFTER_MS = 1000
const AGAIN_AFTER_MS = 60_000
/** A disk that is full has room for a little now and then: only what goes on so long is the end of the trouble. */
const CALM_MS = 500

export class WriteTrouble {
  readonly #tell: (trouble: Trouble) => void
  readonly #toldAtMs = new Map<string, number>()
  #untilMs = Number.NEGATIVE_INFINITY
  /** The first that could be written since. */
  #wroteAtMs = Number.POSITIVE_INFINITY
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
    this.#wroteAtMs = Number.POSITIVE_INFINITY
    const toldAtMs = this.#toldAtMs.get(code)
    if (toldAtMs !== undefined && nowMs - toldAtMs < AGAIN_AFTER_MS) return
    this.#toldAtMs.set(code, nowMs)
    this.#told = true
    this.#tell({ kind: 'write failed', detail: `${code}: ${adviceFor(code)}` })
  }

  /** The recording ends: one more try, at once, and whatever comes of it is no end of the trouble. */
  ends(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY
    this.#told = false
  }

  /** Nothing failed; `wrote`: there was something to write. */
  worked(wrote: boolean, nowMs: number): void {
    if (wrote) this.#wroteAtMs = Math.min(this.#wroteAtMs, nowMs)
    if (!this.#told || nowMs < this.#wroteAtMs + CALM_MS) return
    this.#told = false
    this.#tell({ kind: 'writing works again', detail: 'what is missing is in the ledger' })
  }
}

type Advice = {
  readonly codes: RegExp
  readonly why: string
  readonly fix: string
  /** Nothing is recorded before it is done. */
  readonly needed: boolean
}

const ADVICE: readonly Advice[] = [
  {
    codes: /^(SQLITE_FULL|ENOSPC|EDQUOT)/,
    why: 'no room where the recording is written',
    fix: 'make some',
    needed: true,
  },
  {
    codes: /^(SEGMENT_GONE|ENOENT|ENOTDIR|SQLITE_CANTOPEN|SQLITE_READONLY_DBMOVED)/,
    why: 'the folder of the recording was taken away, or cannot be made anew',
    fix: 'put it back, or start another recording',
    needed: false,
  },
  {
    codes: /^(SQLITE_BUSY|SQLITE_LOCKED)/,
    why: 'another program holds the segment that is being written',
    fix: 'close it',
    needed: true,
  },
  {
    codes: /^(SQLITE_CORRUPT|SQLITE_NOTADB)/,
    why: 'the segment was damaged from outside',
    fix: 'look for what writes to the folder of the recording',
    needed: false,
  },
  {
    codes: /^(SQLITE_READONLY|EACCES|EPERM|EROFS)/,
    why: 'the folder of the recording may not be written any more',
    fix: 'change its rights',
    needed: true,
  },
  {
    codes: /^ERR_WORKER_OUT_OF_MEMORY/,
    why: 'the recording thread ran out of memory',
    fix: 'record a share (--sample), or on a larger machine',
    needed: true,
  },
  {
    codes: /^(SQLITE_|E[A-Z0-9]+$)/,
    why: 'the disk does not take what is written',
    fix: 'look at its health, and at limits on the size of files',
    needed: true,
  },
]
const DEFECT: Omit<Advice, 'codes'> = {
  why: 'a defect of pgrehearse',
  fix: 'tell its makers what was recorded when it happened',
  needed: false,
}

function adviceFor(code: string): string {
  const { why, fix, needed } = ADVICE.find(({ codes }) => codes.test(code)) ?? DEFECT
  return `${why}; ${fix}${needed ? ': traffic passes unrecorded until then' : ''}`
}

/** What to say when a recording ended by it, and what can be done for what was written. */
export function endedBy(code: string, path: string): string {
  const { why, fix } = ADVICE.find(({ codes }) => codes.test(code)) ?? DEFECT
  return `${code}: ${why}; ${fix}. What was written stays: \`pgrehearse inspect ${path}\` seals it when it can`
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'unknown error'
}
