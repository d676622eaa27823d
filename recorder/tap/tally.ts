/**
 * Counts that tap and drain share with whoever asks: one number per cell, one writer per cell, no locks. They let the ledger
 * be checked: what the tap saw must be what the drain decoded plus what passed unrecorded.
 */

/** Why a session passes unrecorded; the record `gap` carries it. */
export const PASSING = { ringFull: 1, paused: 2, early: 3, broken: 4, ended: 5, breaker: 6, unchosen: 7 } as const
export type PassingReason = (typeof PASSING)[keyof typeof PASSING]

/** Words for the ledger. */
export const PASSING_WORDS: Readonly<Record<PassingReason, string>> = {
  1: 'ring full',
  2: 'paused',
  3: 'sent before authentication was over',
  4: 'not the PostgreSQL protocol',
  5: 'recording ended inside the transaction',
  6: 'circuit breaker',
  7: 'session not chosen',
}

/** Somebody wanted it so: filtered, not lost. */
export const CHOSEN: ReadonlySet<PassingReason> = new Set([PASSING.paused, PASSING.unchosen])

const REASONS = 8

/** Cells; those of the tap first, then those of the drain. */
export const CELL = {
  executionsSeen: 0,
  sessionsBroken: 1,
  /** Eight each: by reason. */
  executionsPassed: 8,
  transactionsPassed: 8 + REASONS,
  /** From here on the drain writes. */
  executionsDecoded: 32,
  statementsKept: 33,
  transactionsKept: 34,
  statementsLost: 35,
  transactionsLost: 36,
  recordingBytes: 37,
  /** Time of the record the drain read last: how far it lags. */
  drainedUs: 38,
  /** How many times slower statements are than at first; NaN while that is not known. */
  latencyDrift: 39,
  /** Left out by choice. */
  statementsFiltered: 40,
} as const

export function createTally(): SharedArrayBuffer {
  return new SharedArrayBuffer(64 * Float64Array.BYTES_PER_ELEMENT)
}

export class Tally {
  readonly cells: Float64Array

  constructor(shared: SharedArrayBuffer) {
    this.cells = new Float64Array(shared)
  }

  executionSeen(): void {
    this.cells[CELL.executionsSeen]! += 1
  }

  executionPassed(reason: PassingReason): void {
    this.cells[CELL.executionsPassed + reason]! += 1
  }

  transactionPassed(reason: PassingReason): void {
    this.cells[CELL.transactionsPassed + reason]! += 1
  }

  sessionBroken(): void {
    this.cells[CELL.sessionsBroken]! += 1
  }

  read(cell: number): number {
    return this.cells[cell] ?? 0
  }

  passed(reason: PassingReason): { readonly statements: number; readonly transactions: number } {
    return {
      statements: this.read(CELL.executionsPassed + reason),
      transactions: this.read(CELL.transactionsPassed + reason),
    }
  }

  executionsPassed(): number {
    return this.#sum(CELL.executionsPassed)
  }

  passedByReason(): Record<string, number> {
    return Object.fromEntries(
      Object.values(PASSING).map((reason) => [PASSING_WORDS[reason], this.cells[CELL.executionsPassed + reason]!]),
    )
  }

  transactionsPassed(): number {
    return this.#sum(CELL.transactionsPassed)
  }

  #sum(from: number): number {
    let sum = 0
    for (let i = 0; i < REASONS; i++) sum += this.cells[from + i]!
    return sum
  }
}
