/**
 * An outcome as columns of a table. Recordings and runs keep outcomes the same way, so any two can be compared.
 */
import { JsonDictionary, JsonLookup } from './dictionary.js'
import type { Column, Outcome, Row, ServerError, TransactionStatus } from './outcome.js'
import { type PackedJson, packJson, unpackJson } from './pack.js'
import type { Db } from './sqlite.js'

/** Order matters: cellsOf and outcomeOf go by position. */
export const OUTCOME_COLUMNS = [
  'error',
  'tag',
  'row_count',
  'columns_id',
  'digest',
  'rows',
  'rows_cut',
  'suspended',
  'status',
] as const

export const OUTCOME_SCHEMA = `
  error TEXT,
  tag TEXT NOT NULL,
  row_count INTEGER NOT NULL,
  columns_id INTEGER REFERENCES column_sets (id),
  digest BLOB,
  rows BLOB,
  rows_cut INTEGER NOT NULL,
  suspended INTEGER NOT NULL,
  status TEXT`

export const COLUMN_SETS_SCHEMA = `
CREATE TABLE column_sets (id INTEGER PRIMARY KEY, value TEXT NOT NULL);`

export type OutcomeCells = [
  error: string | null,
  tag: string,
  rowCount: number,
  columnsId: number | null,
  digest: Buffer | null,
  rows: PackedJson,
  rowsCut: number,
  suspended: number,
  status: TransactionStatus | null,
]

export class OutcomeEncoder {
  readonly #columnSets: JsonDictionary<readonly Column[]>

  constructor(db: Db) {
    this.#columnSets = new JsonDictionary(db, 'column_sets')
  }

  cellsOf(outcome: Outcome): OutcomeCells {
    return [
      outcome.error === null ? null : JSON.stringify(outcome.error),
      outcome.tag,
      outcome.rowCount,
      outcome.columns === null ? null : this.#columnSets.id(outcome.columns),
      outcome.digest as Buffer | null,
      packJson(outcome.rows),
      outcome.rowsCut ? 1 : 0,
      outcome.suspended ? 1 : 0,
      outcome.status,
    ]
  }

  reload(): void {
    this.#columnSets.reload()
  }
}

export class OutcomeDecoder {
  readonly #columnSets: JsonLookup<readonly Column[]>

  constructor(db: Db) {
    this.#columnSets = new JsonLookup(db, 'column_sets')
  }

  /** Reads the cells that start at position `at` of a raw row. */
  outcomeOf(row: readonly unknown[], at: number): Outcome {
    const [error, tag, rowCount, columnsId, digest, rows, rowsCut, suspended, status] = row.slice(at) as OutcomeCells
    let parsed: readonly Row[] | null | undefined
    return {
      error: error === null ? null : (JSON.parse(error) as ServerError),
      tag,
      rowCount,
      columns: columnsId === null ? null : this.#columnSets.value(columnsId),
      digest,
      // Digests decide most comparisons; parsing rows that nobody looks at would take half of the reading.
      get rows() {
        if (parsed === undefined) parsed = unpackJson(rows) as readonly Row[] | null
        return parsed
      },
      rowsCut: rowsCut === 1,
      suspended: suspended === 1,
      status,
    }
  }
}
