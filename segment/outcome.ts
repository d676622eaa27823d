/**
 * What came of one execution. A recording and a run hold the same thing, so any two can be compared.
 */

/** One column of a result, as the server described it. */
export type Column = {
  readonly name: string
  readonly typeOid: number
  readonly typmod: number
  /** 0 when the column is not a plain table column. */
  readonly tableOid: number
  readonly attnum: number
}

/** The parts of an ErrorResponse that are safe to keep: values quoted by the server are tokenized or dropped. */
export type ServerError = {
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly constraint?: string
  readonly dataType?: string
}

/** `I` idle, `T` in a transaction, `E` in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E'

/** A row as text cells; binary cells were decoded to PostgreSQL's text form first. */
export type Row = readonly (string | null)[]

export type Outcome = {
  /** null: it worked. */
  readonly error: ServerError | null
  /** `SELECT 3`, `INSERT 0 1`; empty after an error or for an exchange that executes nothing. */
  readonly tag: string
  readonly rowCount: number
  /** null: the statement returned no result set. */
  readonly columns: readonly Column[] | null
  /** Per column and for whole rows; see ./digest.ts. null when there is no result set. */
  readonly digest: Uint8Array | null
  /** The first rows, up to the bounds of the recording; null when there is no result set. */
  readonly rows: readonly Row[] | null
  /** Rows beyond the kept ones exist only in the digest. */
  readonly rowsCut: boolean
  /** The portal was suspended: more rows were to come (partial Execute). */
  readonly suspended: boolean
  /** State of the session after the exchange; null while a pipeline goes on without a Sync. */
  readonly status: TransactionStatus | null
}
