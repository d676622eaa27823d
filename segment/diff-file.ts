/**
 * A diff on disk: one SQLite file whose table `comparator_discrepancy_log` people and other tools query.
 *
 * Its columns are the contract (alert_id … created_at); what else a report needs of a discrepancy stands in `discrepancy_json`.
 * Discrepancies stream in and out, so ten million of them need no more memory than one.
 */
import { existsSync } from 'node:fs'
import { EXIT, HarnessError } from '../base/errors.js'
import {
  DIFF_FORMAT_VERSION,
  type DiffFacts,
  type Discrepancy,
  type Finding,
  type LatencyRow,
  type MismatchType,
} from './diff.js'
import { getPlans, putPlans, type Reread } from './diff-plans.js'
import { getState, putState } from './diff-state.js'
import { getVouching, putVouching } from './diff-vouching.js'
import type { PlanEvidence } from './explained.js'
import { claimFile } from './files.js'
import { addToDb, createDb, type Db, type Insert, type Kind, openDb, sealDb } from './sqlite.js'
import type { StateReport } from './state.js'
import type { Vouching } from './vouching.js'

export const DIFF: Kind = {
  noun: 'diff',
  applicationId: 0x70677244, // pgrD
  formatVersion: DIFF_FORMAT_VERSION,
  tooNewCode: 'DIFF_TOO_NEW',
  damagedCode: 'DIFF_DAMAGED',
  notOneCode: 'NOT_A_DIFF',
}

const DIFF_SCHEMA = `
CREATE TABLE facts (value TEXT NOT NULL);
CREATE TABLE comparator_discrepancy_log (
  alert_id TEXT PRIMARY KEY,
  trace_id TEXT NOT NULL,
  sql_statement TEXT NOT NULL,
  mismatch_type TEXT NOT NULL CHECK (mismatch_type IN
    ('SEMANTIC_MISMATCH', 'SQL_ERROR', 'SCHEMA_CONSTRAINT_VIOLATION', 'LATENCY_SPIKE')),
  production_response_digest TEXT NOT NULL,
  shadow_response_digest TEXT NOT NULL,
  production_latency_ms REAL NOT NULL,
  shadow_latency_ms REAL NOT NULL,
  discrepancy_json TEXT NOT NULL,
  -- When the statement was sent in the recording, milliseconds since the epoch.
  created_at INTEGER NOT NULL,
  finding_id TEXT NOT NULL,
  seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE findings (finding_id TEXT PRIMARY KEY, position INTEGER NOT NULL, value TEXT NOT NULL);
CREATE TABLE latency (fingerprint TEXT PRIMARY KEY, position INTEGER NOT NULL, value TEXT NOT NULL);
`

/** Made when all rows are in: inserting into four trees at once would take three times as long. */
const DIFF_INDEXES = `
CREATE INDEX discrepancy_by_type_and_time ON comparator_discrepancy_log (mismatch_type, created_at DESC);
CREATE INDEX discrepancy_by_time ON comparator_discrepancy_log (created_at DESC);
CREATE INDEX discrepancy_by_finding ON comparator_discrepancy_log (finding_id, seq);
`

/** What the table's own columns do not already say. */
type DiscrepancyJson = Omit<
  Discrepancy,
  'alertId' | 'findingId' | 'seq' | 'traceId' | 'sql' | 'mismatch' | 'atMs' | 'latencyMsBefore' | 'latencyMsAfter'
>

type DiscrepancyCells = [
  alertId: string,
  traceId: string,
  sql: string,
  mismatch: MismatchType,
  latencyMsBefore: number,
  latencyMsAfter: number,
  json: string,
  atMs: number,
  findingId: string,
  seq: number,
]

const DISCREPANCY_CELLS =
  'alert_id, trace_id, sql_statement, mismatch_type, production_latency_ms, shadow_latency_ms, discrepancy_json, created_at, finding_id, seq'

export function createDiff(path: string, options: { readonly force?: boolean } = {}): DiffWriter {
  claimFile(path, options.force ?? false)
  return new DiffWriter(path)
}

export class DiffWriter {
  readonly path: string
  readonly #openPath: string
  readonly #db: Db
  readonly #insertDiscrepancy: Insert
  readonly #insertFinding: Insert
  readonly #insertLatency: Insert
  #findings = 0
  #latencies = 0

  constructor(path: string) {
    this.path = path
    this.#openPath = `${path}.open`
    this.#db = createDb(this.#openPath, DIFF, DIFF_SCHEMA)
    this.#insertDiscrepancy = this.#db.prepare(
      `INSERT INTO comparator_discrepancy_log (${DISCREPANCY_CELLS}, production_response_digest, shadow_response_digest)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#insertFinding = this.#db.prepare('INSERT INTO findings (finding_id, position, value) VALUES (?, ?, ?)')
    this.#insertLatency = this.#db.prepare('INSERT INTO latency (fingerprint, position, value) VALUES (?, ?, ?)')
    // One transaction for the whole file: it counts only once it is sealed.
    this.#db.exec('BEGIN')
  }

  discrepancy(discrepancy: Discrepancy): void {
    const { alertId, findingId, seq, traceId, sql, mismatch, atMs, latencyMsBefore, latencyMsAfter, ...rest } =
      discrepancy
    const json: DiscrepancyJson = rest
    this.#insertDiscrepancy.run(
      alertId,
      traceId,
      sql,
      mismatch,
      latencyMsBefore,
      latencyMsAfter,
      JSON.stringify(json),
      atMs,
      findingId,
      seq,
      rest.digestBefore,
      rest.digestAfter,
    )
  }

  /** Findings that turned out to follow from others: their discrepancies go to those. */
  moveDiscrepancies(toFinding: ReadonlyMap<string, string>): void {
    if (toFinding.size === 0) return
    this.#db.exec('CREATE TEMP TABLE moved (old TEXT PRIMARY KEY, new TEXT NOT NULL) WITHOUT ROWID')
    const insert = this.#db.prepare<unknown[]>('INSERT INTO moved VALUES (?, ?)')
    for (const pair of toFinding) insert.run(...pair)
    this.#db.exec(`UPDATE comparator_discrepancy_log SET finding_id = moved.new FROM moved WHERE finding_id = moved.old;
      DROP TABLE moved`)
  }

  /** Kept in the order given: worst first. */
  finding(finding: Finding): void {
    this.#insertFinding.run(finding.findingId, this.#findings++, JSON.stringify(finding))
  }

  latency(row: LatencyRow): void {
    this.#insertLatency.run(row.fingerprint, this.#latencies++, JSON.stringify(row))
  }

  close(facts: DiffFacts): void {
    this.#db.prepare<unknown[]>('INSERT INTO facts VALUES (?)').run(JSON.stringify(facts))
    this.#db.exec('COMMIT')
    this.#db.exec(DIFF_INDEXES)
    sealDb(this.#db, this.#openPath, this.path)
  }

  abandon(): void {
    this.#db.close()
  }
}

export type DiscrepancyFilter = {
  readonly findingId?: string
  readonly mismatch?: MismatchType
  readonly limit?: number
}

export function openDiff(path: string): DiffReader {
  if (!existsSync(path)) {
    throw new HarnessError({
      code: 'DIFF_MISSING',
      message: `there is no diff at ${path}`,
      hint: 'Check the path; `pgrehearse compare … --out` makes a diff.',
      exit: EXIT.usage,
    })
  }
  return new DiffReader(openDb(path, DIFF))
}

/** Lays what `verify` found into a diff that is there already. */
export function addState(path: string, state: StateReport): void {
  openDiff(path).close()
  addToDb(path, (db) => putState(db, state))
}

/** Lays plans of what is slower into a diff that is there already. */
export function addPlans(
  path: string,
  plans: readonly PlanEvidence[],
  reread: Reread = { findings: [], joined: new Map() },
): void {
  openDiff(path).close()
  addToDb(path, (db) => putPlans(db, plans, reread))
}

/** Lays what is known about the measurement itself into a diff that is there already. */
export function addVouching<Name extends keyof Vouching>(
  path: string,
  name: Name,
  value: NonNullable<Vouching[Name]>,
): void {
  openDiff(path).close()
  addToDb(path, (db) => putVouching(db, name, value))
}

export class DiffReader {
  readonly facts: DiffFacts
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
    this.facts = JSON.parse(db.prepare<[], string>('SELECT value FROM facts').pluck().get() ?? 'null') as DiffFacts
  }

  findings(): Finding[] {
    const rows = this.#db.prepare<[], string>('SELECT value FROM findings ORDER BY position').pluck().all()
    return rows.map((json) => JSON.parse(json) as Finding)
  }

  latency(): LatencyRow[] {
    const rows = this.#db.prepare<[], string>('SELECT value FROM latency ORDER BY position').pluck().all()
    return rows.map((json) => JSON.parse(json) as LatencyRow)
  }

  /** In the order of the recording, within one finding; newest first otherwise. */
  *discrepancies(filter: DiscrepancyFilter = {}): Generator<Discrepancy> {
    const conditions: string[] = []
    const values: (string | number)[] = []
    if (filter.findingId !== undefined) {
      conditions.push('finding_id = ?')
      values.push(filter.findingId)
    }
    if (filter.mismatch !== undefined) {
      conditions.push('mismatch_type = ?')
      values.push(filter.mismatch)
    }
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const order = filter.findingId === undefined ? 'created_at DESC, seq DESC' : 'seq'
    const select = this.#db
      .prepare<unknown[], DiscrepancyCells>(
        `SELECT ${DISCREPANCY_CELLS} FROM comparator_discrepancy_log ${where} ORDER BY ${order} LIMIT ?`,
      )
      .raw()
    for (const row of select.iterate(...values, filter.limit ?? -1)) yield discrepancyOf(row)
  }

  discrepancy(alertId: string): Discrepancy | undefined {
    const row = this.#db
      .prepare<[string], DiscrepancyCells>(
        `SELECT ${DISCREPANCY_CELLS} FROM comparator_discrepancy_log WHERE alert_id = ?`,
      )
      .raw()
      .get(alertId)
    return row === undefined ? undefined : discrepancyOf(row)
  }

  countByMismatch(): Readonly<Record<MismatchType, number>> {
    const counts: Record<MismatchType, number> = {
      SEMANTIC_MISMATCH: 0,
      SQL_ERROR: 0,
      SCHEMA_CONSTRAINT_VIOLATION: 0,
      LATENCY_SPIKE: 0,
    }
    const rows = this.#db
      .prepare<[], [MismatchType, number]>(
        'SELECT mismatch_type, count(*) FROM comparator_discrepancy_log GROUP BY mismatch_type',
      )
      .raw()
    for (const [mismatch, count] of rows.iterate()) counts[mismatch] = count
    return counts
  }

  /** By finding: how many of its statements end in an error that the other side does not have, whatever the finding itself is about. */
  errorsByFinding(): ReadonlyMap<string, number> {
    const rows = this.#db
      .prepare<[], [string, number]>(
        `SELECT finding_id, count(*) FROM comparator_discrepancy_log
          WHERE mismatch_type IN ('SQL_ERROR', 'SCHEMA_CONSTRAINT_VIOLATION') GROUP BY finding_id`,
      )
      .raw()
    return new Map(rows.iterate())
  }

  /** How near the replay is to production, and what a look for leaks found; null: nobody asked. */
  vouching(): Vouching {
    return getVouching(this.#db)
  }

  /** Table state after the replays; null when `verify --diff` was not asked for it. */
  state(): StateReport | null {
    return getState(this.#db)
  }

  /** How statements that are slower were run on both sides; null when plans were not asked for. */
  plans(): readonly PlanEvidence[] | null {
    return getPlans(this.#db)
  }

  close(): void {
    this.#db.close()
  }
}

function discrepancyOf(row: DiscrepancyCells): Discrepancy {
  const [alertId, traceId, sql, mismatch, latencyMsBefore, latencyMsAfter, json, atMs, findingId, seq] = row
  const rest = JSON.parse(json) as DiscrepancyJson
  return { alertId, findingId, seq, traceId, sql, mismatch, atMs, latencyMsBefore, latencyMsAfter, ...rest }
}
