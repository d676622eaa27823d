/**
 * What executing needs of a plan: for each statement, in the order of seq, which progress of which other sessions must come first.
 * All arrays lie in shared memory, so that every worker reads the same ones.
 */
export type Plan = {
  readonly mode: 'causal' | 'commit' | 'session'
  readonly statementCount: number
  readonly sessionCount: number
  /** Dense session index and ordinal in that session, per statement. */
  readonly session: Int32Array
  readonly ordinal: Int32Array
  /** Waits of statement i: positions waitStart[i] up to waitStart[i + 1] of the three arrays below. */
  readonly waitStart: Uint32Array
  readonly waitSession: Int32Array
  readonly waitOrdinal: Int32Array
  /** 0: until that ordinal has completed; 1: until it has taken its snapshot. */
  readonly waitKind: Uint8Array
  /**
   * Statements that the replay ends as production's server did, instead of leaving it to chance: pairs of a statement and its place
   * in `ENDED`. Absent: none.
   */
  readonly reenacted?: Int32Array
}

/** What a server ends for reasons of timing: victims of a deadlock, transactions that were outrun. */
export const ENDED: readonly string[] = ['40P01', '40001']
