/**
 * What the first pass over a recording leaves: per statement its place, times and operations, per transaction its ends, and the
 * evidence that the outcomes give about who really came first. Flat arrays; the texts and rows are not needed any more.
 */
import type { Evidence } from './evidence/evidence.js'
import type { Names } from './names.js'
import type { Operations } from './operations.js'

export type Gathered = Operations & {
  readonly count: number
  readonly sessionCount: number
  readonly names: Names
  /** Per statement, in the order of seq. */
  readonly seq: Float64Array
  readonly session: Int32Array
  readonly ordinal: Int32Array
  /** The statement whose sending sends this one too (a further part of a simple query); itself otherwise. */
  readonly sentWith: Int32Array
  /** Ordinal that is complete when all parts sent with it are. */
  readonly lastOrdinal: Int32Array
  readonly sentUs: Float64Array
  readonly doneUs: Float64Array
  readonly transaction: Int32Array
  /** Must be taken to touch everything. */
  readonly barrier: Uint8Array
  /** A plain read whose snapshot is known to be taken at Bind. */
  readonly snapshotAtBind: Uint8Array
  /** It may have waited for locks, also when it found nothing to change: it took effect near its end. */
  readonly mayWait: Uint8Array
  /** The statement that let go of its locks, before the end of the transaction: one that failed, ROLLBACK TO; -1: none did. */
  readonly releasedAt: Int32Array
  /** It takes rows that nobody holds (SKIP LOCKED). */
  readonly picks: Uint8Array
  /** It named no rows and changed none, and took long: it looked when it began, and then stood at a lock. */
  readonly stood: Uint8Array
  /** It was to change rows and found none, in a table of which it named no row: what it would have changed it has only locked. */
  readonly inVain: Uint8Array
  /** It asked for rows by their key, and none was there: it stood at no lock of whoever was making them. */
  readonly missed: Uint8Array
  /** The statement whose snapshot it reads by: a cursor's DECLARE, the first of a REPEATABLE READ transaction; -1: its own. */
  readonly seesAs: Int32Array
  /** It sorts, compares or groups by times that defaults wrote. */
  readonly looksAtTimes: Uint8Array
  /** Why the server refused it, where that says something about who came first (`REFUSAL`). */
  readonly refusal: Uint8Array
  readonly transactions: Transactions
  /** Statements that the replay ends itself, as production's server did, so they touch nothing: pairs of statement and `ENDED`. */
  readonly reenacted: readonly number[]
  readonly evidence: Evidence
  /** Texts of barriers, by statement: why it touches everything. */
  readonly why: ReadonlyMap<number, string>
}

export const REFUSAL = {
  none: 0,
  /** Another transaction had changed the row since the snapshot (40001). */
  outrun: 1,
  /** Another transaction held the lock at that moment (55P03). */
  locked: 2,
  /** It was given up before it had what it wanted: deadlock, cancelled, not understood, or after an error. */
  unserved: 3,
} as const

/** Per transaction; a lone statement is one as well. */
export type Transactions = {
  readonly count: number
  readonly first: Int32Array
  readonly last: Int32Array
  /** 1: it has a COMMIT or ROLLBACK of its own. */
  readonly explicit: Uint8Array
  readonly committed: Uint8Array
  /** 1: it committed, or would have but for an error that the replay need not meet. */
  readonly mayCommit: Uint8Array
  /** Statement whose snapshot all its reads share (REPEATABLE READ and above); -1: each has its own. */
  readonly snapshot: Int32Array
}
