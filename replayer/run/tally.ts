/**
 * A worker's share of the ledger: what became of every statement and transaction it was given.
 *
 * A transaction counts as replayed when all of its statements were; otherwise under the reason of the first that was not.
 */
import { add, type Count, type Ledger, NOTHING, type Reasons } from '../../segment/ledger.js'

export type Fate =
  | { readonly kind: 'kept' }
  | { readonly kind: 'filtered'; readonly reason: string }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string }

const KEPT: Fate = { kind: 'kept' }

export type Accounts = Pick<Ledger, 'kept' | 'filtered' | 'skipped' | 'lost'>

type Counter = { statements: number; transactions: number }

/** Statements of a session's transactions come one transaction after the other. */
type Open = { readonly transaction: number; fate: Fate }

export class Tally {
  readonly #open = new Map<number, Open>()
  readonly #kept: Counter = { statements: 0, transactions: 0 }
  readonly #filtered = new Map<string, Counter>()
  readonly #skipped = new Map<string, Counter>()
  readonly #lost = new Map<string, Counter>()

  statement(session: number, transaction: number, fate: Fate = KEPT, statements = 1): void {
    this.#counter(fate).statements += statements
    const open = this.#open.get(session)
    if (open !== undefined && open.transaction === transaction) {
      if (open.fate.kind === 'kept') open.fate = fate
      return
    }
    if (open !== undefined) this.#counter(open.fate).transactions += 1
    this.#open.set(session, { transaction, fate })
  }

  /** Closes all transactions. */
  accounts(): Accounts {
    for (const { fate } of this.#open.values()) this.#counter(fate).transactions += 1
    this.#open.clear()
    return {
      kept: this.#kept,
      filtered: Object.fromEntries(this.#filtered),
      skipped: Object.fromEntries(this.#skipped),
      lost: Object.fromEntries(this.#lost),
    }
  }

  #counter(fate: Fate): Counter {
    if (fate.kind === 'kept') return this.#kept
    const reasons = { filtered: this.#filtered, skipped: this.#skipped, lost: this.#lost }[fate.kind]
    let counter = reasons.get(fate.reason)
    if (counter === undefined) {
      counter = { statements: 0, transactions: 0 }
      reasons.set(fate.reason, counter)
    }
    return counter
  }
}

/**
 * Everybody's accounts as one ledger. Nothing in it is worked out from the rest, so that it can fail to balance: what there was to
 * replay comes from the recording, what was replayed is counted in the run's file, and what was not by whoever did not send it.
 */
export function ledgerOf(seen: Count, outcomesWritten: number, accounts: readonly Accounts[]): Ledger {
  const { transactions } = accounts.map(({ kept }) => kept).reduce(add, NOTHING)
  return {
    seen,
    kept: { statements: outcomesWritten, transactions },
    filtered: merge(accounts.map(({ filtered }) => filtered)),
    skipped: merge(accounts.map(({ skipped }) => skipped)),
    lost: merge(accounts.map(({ lost }) => lost)),
  }
}

/** In the order of the words: which worker ended first tells nobody anything. */
function merge(all: readonly Reasons[]): Reasons {
  const merged: Record<string, Count> = {}
  for (const reasons of all) {
    for (const [reason, count] of Object.entries(reasons)) merged[reason] = add(merged[reason] ?? NOTHING, count)
  }
  return Object.fromEntries(Object.entries(merged).sort(([a], [b]) => (a < b ? -1 : 1)))
}
