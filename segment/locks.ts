/**
 * Who waited for whose locks while a replay ran, as it was seen from beside it: the waits are sampled, so short ones may be missing
 * and times are as exact as the interval. Part of a run's facts.
 */

/** A kind of statement on either side of a wait. */
export type Locked = {
  readonly fingerprint: string
  readonly sql: string
  /** Not recorded: what was run into the replay. */
  readonly injected?: true
}

/** Waits of one kind of statement for one kind of statement, by the same table and mode. */
export type LockWait = {
  /** Of who waited, and of who was in the way; empty: what it ran is not known (it may have ended, or was none of the replay's). */
  readonly waiting: Locked
  readonly blocking: Locked & { readonly state: string }
  /** `orders`, or `audit.orders`; empty: a lock on no table. */
  readonly table: string
  /** `relation`, `tuple`, `transactionid`, `advisory` … as pg_locks says. A row's lock is waited for as its owner's `transactionid`. */
  readonly lockType: string
  readonly mode: string
  /** What the one in the way held there; empty: it was itself waiting, or holds it as its transaction. */
  readonly heldMode: string
  /** How often it came up, and how long in all and at most. */
  readonly waits: number
  readonly totalMs: number
  readonly longestMs: number
  /** When it was first and last seen, from the start of the replay. */
  readonly firstMs: number
  readonly lastMs: number
}

export type LockFacts = {
  readonly sampledEveryMs: number
  readonly samples: number
  /** Longest waits first; `more` were not kept. */
  readonly waits: readonly LockWait[]
  readonly more: number
  /** All waits together: who stands behind two others waits once. Absent in runs of older builds. */
  readonly total?: { readonly waits: number; readonly ms: number }
  /** How many sessions waited at most, per second of the replay; seconds without waits are left out. */
  readonly timeline: readonly { readonly atMs: number; readonly waiting: number }[]
  /** That the server ended: as it counts them itself. */
  readonly deadlocks: number
}
