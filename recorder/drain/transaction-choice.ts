/**
 * Which transactions are kept, of those that reach the drain: by table, by fingerprint, by share of reads and writes. Whole
 * transactions only.
 *
 * What later ones rely on is not left to chance: a transaction that does more than read and write rows (a setting, a schema change, a
 * temporary table, LISTEN, an advisory lock of the session) is kept whatever the share.
 */
import type { Catalog } from '../../segment/catalog.js'
import type { Statement } from '../../segment/statement.js'
import { CatalogIndex } from '../../sql/relations.js'
import { TouchReader } from '../../sql/touch-statement.js'
import { admits, type Choice, choosesByShare, choosesTransactions } from '../choice/choice.js'

/** Words of the ledger; null: kept. */
export type Filtered = 'by table or fingerprint' | 'by share' | null

const ROWS_ONLY =
  /^(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/|\()*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|COPY|FETCH|MOVE|EXECUTE|BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SHOW|EXPLAIN|LOCK|SET\s+(LOCAL|TRANSACTION)|NOTIFY|$)/i
const LASTING = /\b(set_config|pg_(try_)?advisory_(lock|unlock)\w*)\s*\(|\bINTO\s+(TEMP|TEMPORARY|UNLOGGED)\b/i

const TEXTS_MAX = 10_000

export class TransactionChoice {
  readonly #choice: Choice
  readonly #reader: TouchReader
  readonly #index: CatalogIndex
  readonly #byTable: boolean
  readonly #tables = new Map<string, readonly string[]>()

  constructor(choice: Choice, catalog: Catalog) {
    this.#choice = choice
    this.#byTable = [...choice.include, ...choice.exclude].some(({ by }) => by === 'table')
    this.#index = new CatalogIndex(catalog)
    this.#reader = new TouchReader(this.#index)
  }

  static of(choice: Choice, catalog: Catalog): TransactionChoice | null {
    return choosesTransactions(choice) ? new TransactionChoice(choice, catalog) : null
  }

  filtered(session: number, transaction: number, statements: readonly Statement[], writes: boolean): Filtered {
    const fingerprint = statements.flatMap((statement) => (statement.fingerprint === '' ? [] : [statement.fingerprint]))
    const table = this.#byTable ? [...new Set(statements.flatMap((one) => this.#tablesOf(one)))] : []
    if (!admits(this.#choice, { table, fingerprint })) return 'by table or fingerprint'
    if (statements.some(({ sql }) => !ROWS_ONLY.test(sql) || LASTING.test(sql))) return null
    return choosesByShare(this.#choice, session, transaction, writes) ? null : 'by share'
  }

  /** Which tables a text names does not depend on its literals. */
  #tablesOf({ fingerprint, sql }: Statement): readonly string[] {
    const key = fingerprint === '' ? sql : fingerprint
    const known = this.#tables.get(key)
    if (known !== undefined) return known
    if (this.#tables.size >= TEXTS_MAX) this.#tables.clear()
    const tables = this.#read(sql)
    this.#tables.set(key, tables)
    return tables
  }

  /** By both names, `orders` and `public.orders`. A foreign key's other end is not what a statement is about. */
  #read(sql: string): string[] {
    const { accesses, strangers } = this.#reader.touch(sql)
    const known = accesses.flatMap(({ relation, mode }) => {
      const found = mode === 'key-share' ? undefined : this.#index.byOid(relation)
      return found ? [found.name, `${found.schema}.${found.name}`] : []
    })
    return [...known, ...strangers.map(({ name }) => name)]
  }
}
