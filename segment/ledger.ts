/**
 * The ledger: recorded = replayed + filtered + skipped(reason) + lost(reason), by statement and by transaction.
 * A statement is never lost silently: the sums balance, or the verdict is INVALID.
 */

export type Count = { readonly statements: number; readonly transactions: number }

export type Reasons = Readonly<Record<string, Count>>

export type Ledger = {
  /** What came by: everything the source saw (a recording) or was given (a run). */
  readonly seen: Count
  /** What was kept: written to a segment, or replayed. */
  readonly kept: Count
  readonly filtered: Reasons
  readonly skipped: Reasons
  readonly lost: Reasons
}

export const NOTHING: Count = { statements: 0, transactions: 0 }

export function add(a: Count, b: Count): Count {
  return { statements: a.statements + b.statements, transactions: a.transactions + b.transactions }
}

export function subtract(a: Count, b: Count): Count {
  return { statements: a.statements - b.statements, transactions: a.transactions - b.transactions }
}

export function sum(reasons: Reasons): Count {
  return Object.values(reasons).reduce(add, NOTHING)
}

/** What the ledger cannot account for: zero in both when it balances. */
export function imbalance(ledger: Ledger): Count {
  const accounted = [ledger.kept, sum(ledger.filtered), sum(ledger.skipped), sum(ledger.lost)].reduce(add, NOTHING)
  return {
    statements: ledger.seen.statements - accounted.statements,
    transactions: ledger.seen.transactions - accounted.transactions,
  }
}

export function balances(ledger: Ledger): boolean {
  const rest = imbalance(ledger)
  return rest.statements === 0 && rest.transactions === 0
}

/** Closes the books of a recording that did not end by itself: what was seen and is nowhere else is lost. */
export function settled(ledger: Ledger, reason: string): Ledger {
  const rest = imbalance(ledger)
  if (rest.statements <= 0 && rest.transactions <= 0) return ledger
  return { ...ledger, lost: { ...ledger.lost, [reason]: add(ledger.lost[reason] ?? NOTHING, rest) } }
}
