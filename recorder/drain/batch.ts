/** Transactions that are gathered, to be written in one go. */
import type { Count } from '../../segment/ledger.js'
import type { RecordedTransaction } from '../../segment/segment-writer.js'
import type { Statement } from '../../segment/statement.js'

export class Batch {
  #transactions: RecordedTransaction[] = []
  #statements = 0
  /** What it costs to remember it, roughly. */
  #bytes = 0

  get transactions(): readonly RecordedTransaction[] {
    return this.#transactions
  }

  get empty(): boolean {
    return this.#transactions.length === 0
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): Count {
    return { statements: this.#statements, transactions: this.#transactions.length }
  }

  get statements(): number {
    return this.#statements
  }

  add(statements: readonly Statement[], writes: boolean, bytes: number): void {
    this.#transactions.push({ scope: writes ? 'READ_WRITE' : 'READ_ONLY', statements })
    this.#statements += statements.length
    this.#bytes += bytes
  }

  clear(): void {
    this.#transactions = []
    this.#statements = 0
    this.#bytes = 0
  }
}
