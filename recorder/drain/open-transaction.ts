/**
 * The transaction that a session is in: gathered until it ends, then handed on whole, left out by choice, or lost. One that is too
 * long to be held is handed on in pieces, and stays one transaction.
 */
import type { Statement } from '../../segment/statement.js'
import type { SafeFrames } from './safe-frames.js'
import type { Draft } from './statements.js'
import type { Filtered } from './transaction-choice.js'

export type TransactionLimits = {
  /** A longer transaction is written in pieces … */
  readonly transactionStatementsMax: number
  /** … and a larger one, roughly. */
  readonly transactionBytesMax: number
}

/** Where transactions go. */
export interface TransactionStore {
  nextTransaction(): number
  /** A transaction, or a piece of a long one. */
  write(statements: readonly Statement[], writes: boolean, bytes: number): void
  /** Statements that were offered and will not be kept. */
  lost(reason: string, statements: number, transactions?: number): void
  /** Whether this transaction, the session's n-th, is one that nobody wants. */
  filtered(session: number, transaction: number, statements: readonly Statement[], writes: boolean): Filtered
  /** Statements that were offered and nobody wants. */
  leave(reason: NonNullable<Filtered>, statements: number, transactions: number): void
}

type WithFrames = Pick<Statement, 'frames'>

export class OpenTransaction {
  readonly #session: number
  readonly #store: TransactionStore
  readonly #frames: SafeFrames
  readonly #limits: TransactionLimits
  #gathered: Draft[] = []
  #bytes = 0
  /** 0: nothing of it is here yet. */
  #number = 0
  /** Transactions of the session so far. */
  #count = 0
  /** Of the last statement that was kept or is gathered, in its session. */
  #ordinal = 0
  /** Decided with the first piece; undefined: not yet. */
  #filtered: Filtered | undefined
  /** A piece of it was written already. */
  #begun = false
  /** Why the rest of it is not kept. */
  #doomed: string | null = null
  /** Names that transactions which were left out gave or took back: whether they stand for something since. */
  readonly #left = new Map<string, boolean>()
  /** Something in it may have written. */
  writes = false

  constructor(session: number, store: TransactionStore, frames: SafeFrames, limits: TransactionLimits) {
    this.#session = session
    this.#store = store
    this.#frames = frames
    this.#limits = limits
  }

  get underWay(): boolean {
    return this.#number !== 0
  }

  get begun(): boolean {
    return this.#begun
  }

  /** What comes next costs so much to remember, roughly. */
  grow(bytes: number): void {
    this.#bytes += bytes
  }

  gather(draft: Draft): void {
    if (this.#number === 0) this.#number = this.#store.nextTransaction()
    this.#ordinal += 1
    draft.ordinal = this.#ordinal
    draft.transaction = this.#number
    this.#gathered.push(draft)
    const { transactionStatementsMax, transactionBytesMax } = this.#limits
    if (this.#gathered.length >= transactionStatementsMax || this.#bytes >= transactionBytesMax) this.#hand()
  }

  /** Others rely on it: no matter of choice. */
  keep(): void {
    this.#filtered = null
  }

  /** The rest of it is lost. */
  doom(reason: string): void {
    this.#doomed = reason
  }

  /** It has ended, and the next one begins. True: the end of what was written of it is missing. */
  end(): boolean {
    this.#hand()
    const brokenOff = this.#begun && this.#doomed !== null
    // Its first piece was counted as a transaction that was kept.
    if (this.#doomed !== null && !brokenOff) this.#store.lost(this.#doomed, 0, 1)
    else if (this.#filtered) this.#store.leave(this.#filtered, 0, 1)
    this.#begin()
    return brokenOff
  }

  /** Gives up what is gathered and on its way; returns the names of statements it prepared or closed. */
  drop(reason: string, pending: readonly WithFrames[], sent: number): string[] {
    const dropped = this.#gathered.length + sent
    const names = [...new Set([...this.#left.keys(), ...namesIn([...this.#gathered, ...pending]).keys()])]
    this.#left.clear()
    this.#ordinal -= this.#gathered.length
    this.#forget()
    this.#begin()
    if (dropped > 0) this.#store.lost(reason, dropped)
    return names
  }

  /** Names that were given (true) or taken back in what was left out; null: none. They are forgotten with this. */
  takeLeft(): readonly (readonly [name: string, prepared: boolean])[] | null {
    if (this.#left.size === 0) return null
    const left = [...this.#left]
    this.#left.clear()
    return left
  }

  #begin(): void {
    this.#number = 0
    this.#begun = false
    this.#doomed = null
    this.#filtered = undefined
    this.writes = false
  }

  #hand(): void {
    if (this.#gathered.length === 0) return
    if (this.#doomed !== null) {
      this.#store.lost(this.#doomed, this.#gathered.length)
      this.#ordinal -= this.#gathered.length
      this.#forget()
      return
    }
    if (this.#filtered === undefined) {
      this.#count += 1
      this.#filtered = this.#store.filtered(this.#session, this.#count, this.#gathered, this.writes)
    }
    if (this.#filtered) this.#leave(this.#filtered)
    else {
      for (const draft of this.#gathered) draft.frames = this.#frames.of(draft.frames)
      this.#store.write(this.#gathered, this.writes, this.#bytes)
      this.#begun = true
    }
    this.#forget()
  }

  #leave(reason: NonNullable<Filtered>): void {
    this.#store.leave(reason, this.#gathered.length, 0)
    this.#ordinal -= this.#gathered.length
    for (const [name, prepared] of namesIn(this.#gathered)) this.#left.set(name, prepared)
  }

  #forget(): void {
    this.#gathered = []
    this.#bytes = 0
  }
}

/** Names of statements that these prepare (true) or close (false), whichever came last. */
function namesIn(statements: readonly WithFrames[]): Map<string, boolean> {
  const names = new Map<string, boolean>()
  for (const frame of statements.flatMap((one) => one.frames)) {
    if (frame[0] === 'P' && frame[1] !== '') names.set(frame[1], true)
    else if (frame[0] === 'C' && frame[1] === 'S' && frame[2] !== '') names.set(frame[2], false)
  }
  return names
}
