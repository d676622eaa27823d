/**
 * A run on disk: one SQLite file with an outcome per statement.
 *
 * The writer lives in one thread and takes rows as objects, or as the buffers that encodeRunRows makes in the replay's workers; those
 * are spooled (./spool.ts) and become rows when the run is closed. It grows as `PATH.open` and `PATH.spool` and gets its name when it
 * is complete; a run that was interrupted is never mistaken for a whole one.
 */
import { existsSync, renameSync, rmSync } from 'node:fs'
import { EXIT, HarnessError } from '../base/errors.js'
import { claimFile } from './files.js'
import {
  COLUMN_SETS_SCHEMA,
  OUTCOME_COLUMNS,
  OUTCOME_SCHEMA,
  OutcomeDecoder,
  OutcomeEncoder,
} from './outcome-columns.js'
import {
  type MappedValue,
  type RewrittenText,
  RUN_FORMAT_VERSION,
  type RunFacts,
  type RunRow,
  type SkippedStatement,
} from './run.js'
import { decodeRunRows } from './run-codec.js'
import type { RunSource } from './run-source.js'
import { Spool } from './spool.js'
import { createDb, type Db, type Insert, type Kind, openDb, pagesOf, sealDb } from './sqlite.js'

export const RUN: Kind = {
  noun: 'run',
  applicationId: 0x70677252, // pgrR
  formatVersion: RUN_FORMAT_VERSION,
  tooNewCode: 'RUN_TOO_NEW',
  damagedCode: 'RUN_DAMAGED',
  notOneCode: 'NOT_A_RUN',
}

/** Order matters: writer and reader go by position. */
const ROW_COLUMNS = [
  'seq',
  'due_us',
  'sent_us',
  'done_us',
  'wait_order_us',
  'wait_session_us',
  'wait_worker_us',
  'order_relaxed',
  ...OUTCOME_COLUMNS,
] as const

const ROWS_PER_PAGE = 256
const BUFFERS_PER_TRANSACTION = 32

const OUTCOME_AT = ROW_COLUMNS.indexOf('error')

const RUN_SCHEMA = `
CREATE TABLE facts (value TEXT NOT NULL);
${COLUMN_SETS_SCHEMA}
CREATE TABLE outcomes (
  seq INTEGER PRIMARY KEY,
  due_us INTEGER NOT NULL,
  sent_us INTEGER NOT NULL,
  done_us INTEGER NOT NULL,
  wait_order_us INTEGER NOT NULL,
  wait_session_us INTEGER NOT NULL,
  wait_worker_us INTEGER NOT NULL,
  order_relaxed INTEGER NOT NULL,${OUTCOME_SCHEMA}
);
CREATE TABLE skipped (seq INTEGER PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE mapped (id INTEGER PRIMARY KEY, domain TEXT NOT NULL, recorded TEXT NOT NULL, actual TEXT NOT NULL);
CREATE TABLE rewritten (recorded TEXT PRIMARY KEY, sent TEXT NOT NULL, rule TEXT NOT NULL, answers INTEGER) WITHOUT ROWID;
`

export function createRun(path: string, options: { readonly force?: boolean } = {}): RunWriter {
  claimFile(path, options.force ?? false)
  return new RunWriter(path)
}

/** A run that goes on where an interrupted one stopped, and takes its place when it is complete. */
export function goOnWithRun(path: string): RunWriter {
  const before = `${path}.before`
  renameSync(path, before)
  try {
    claimFile(path, true)
    return new RunWriter(path, before)
  } catch (error) {
    renameSync(before, path)
    throw error
  }
}

export class RunWriter {
  readonly path: string
  /** The interrupted run that it goes on with. */
  readonly #before: string | null
  readonly #openPath: string
  readonly #db: Db
  readonly #spool: Spool
  readonly #outcomes: OutcomeEncoder
  readonly #insertRow: Insert
  readonly #insertSkipped: Insert
  readonly #insertMapped: Insert
  readonly #insertRewritten: Insert
  #settled = false

  constructor(path: string, before: string | null = null) {
    this.path = path
    this.#before = before
    this.#openPath = `${path}.open`
    this.#db = createDb(this.#openPath, RUN, RUN_SCHEMA)
    this.#spool = new Spool(`${path}.spool`)
    this.#outcomes = new OutcomeEncoder(this.#db)
    const places = ROW_COLUMNS.map(() => '?').join(', ')
    this.#insertRow = this.#db.prepare(`INSERT INTO outcomes (${ROW_COLUMNS.join(', ')}) VALUES (${places})`)
    this.#insertSkipped = this.#db.prepare('INSERT OR IGNORE INTO skipped (seq, reason) VALUES (?, ?)')
    this.#insertMapped = this.#db.prepare('INSERT INTO mapped (domain, recorded, actual) VALUES (?, ?, ?)')
    this.#insertRewritten = this.#db.prepare('INSERT OR IGNORE INTO rewritten VALUES (?, ?, ?, ?)')
    if (before !== null) this.#takeOver(before)
  }

  #takeOver(path: string): void {
    this.#db.prepare('ATTACH ? AS earlier').run(path)
    try {
      this.#atomically(() => {
        for (const table of ['column_sets', 'outcomes', 'skipped', 'rewritten'])
          this.#db.exec(`INSERT INTO main.${table} SELECT * FROM earlier.${table}`)
        // What was lost with the interruption is not lost any more.
        this.#db.exec(`DELETE FROM skipped WHERE reason LIKE 'interrupted%'`)
      })
    } finally {
      this.#db.exec('DETACH earlier')
    }
    this.#outcomes.reload()
  }

  /** In any order of seq; each seq once. */
  write(rows: readonly RunRow[]): void {
    this.#atomically(() => this.#insert(rows))
  }

  /** The same, while a replay is on: the rows are put in their places when the run is closed. */
  writeEncoded(buffer: ArrayBuffer): void {
    this.#spool.append(buffer)
  }

  skip(statements: readonly SkippedStatement[]): void {
    this.#atomically(() => {
      for (const { seq, reason } of statements) this.#insertSkipped.run(seq, reason)
    })
  }

  mapped(values: readonly MappedValue[]): void {
    this.#atomically(() => {
      for (const { domain, recorded, actual } of values) this.#insertMapped.run(domain, recorded, actual)
    })
  }

  /** Once for each shape and worker; the first one stays. */
  rewritten({ recorded, sent, by, answers }: RewrittenText): void {
    this.#insertRewritten.run(recorded, JSON.stringify(sent), by, answers ?? null)
  }

  /** Puts what was spooled in its place. How many statements have an outcome is counted in the file, whatever anybody believes to have written. */
  settle(): number {
    if (!this.#settled) this.#unspool()
    this.#settled = true
    return this.#db.prepare<[], number>('SELECT count(*) FROM outcomes').pluck().get() ?? 0
  }

  /** When each statement was sent and answered, once everything is in its place. */
  *served(): Generator<{ readonly sentUs: number; readonly doneUs: number; readonly failed: boolean }> {
    const select = this.#db
      .prepare<[], [number, number, number]>('SELECT sent_us, done_us, error IS NOT NULL FROM outcomes')
      .raw()
    for (const [sentUs, doneUs, failed] of select.iterate()) yield { sentUs, doneUs, failed: failed === 1 }
  }

  /** The facts are known when the replay is over; the file gets its name here. */
  close(facts: RunFacts): void {
    this.settle()
    this.#db.prepare<unknown[]>('INSERT INTO facts VALUES (?)').run(JSON.stringify(facts))
    sealDb(this.#db, this.#openPath, this.path)
    if (this.#before !== null) rmSync(this.#before, { force: true })
  }

  /** Gives up: the unfinished files stay as `PATH.open` and `PATH.spool`; the run that it went on with is what it was. */
  abandon(): void {
    this.#spool.close()
    this.#db.close()
    if (this.#before !== null) renameSync(this.#before, this.path)
  }

  #unspool(): void {
    const buffers = this.#spool.buffers()
    for (let next = buffers.next(); next.done !== true; ) {
      this.#atomically(() => {
        for (let i = 0; i < BUFFERS_PER_TRANSACTION && next.done !== true; i++) {
          this.#insert(decodeRunRows(next.value))
          next = buffers.next()
        }
      })
    }
    this.#spool.remove()
  }

  #insert(rows: readonly RunRow[]): void {
    for (const row of rows) this.#insertRow.run(this.#cellsOf(row))
  }

  #cellsOf(row: RunRow): unknown[] {
    const { timing } = row
    return [
      row.seq,
      timing.dueUs,
      timing.sentUs,
      timing.doneUs,
      timing.waitOrderUs,
      timing.waitSessionUs,
      timing.waitWorkerUs,
      row.orderRelaxed ? 1 : 0,
      ...this.#outcomes.cellsOf(row.outcome),
    ]
  }

  #atomically(write: () => void): void {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      write()
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      this.#outcomes.reload()
      throw error
    }
  }
}

export function openRun(path: string): RunReader {
  if (!existsSync(path)) {
    const interrupted = existsSync(`${path}.open`)
    throw new HarnessError({
      code: 'RUN_MISSING',
      message: `there is no run at ${path}`,
      ...(interrupted ? { detail: 'a replay to that path was interrupted; what it left is not a whole run.' } : {}),
      hint: interrupted ? 'Replay again.' : 'Check the path; `pgrehearse replay … --out` makes a run.',
      exit: EXIT.usage,
    })
  }
  return new RunReader(openDb(path, RUN))
}

export class RunReader implements RunSource {
  readonly facts: RunFacts
  readonly count: number
  readonly #db: Db
  readonly #outcomes: OutcomeDecoder

  constructor(db: Db) {
    this.#db = db
    this.facts = JSON.parse(db.prepare<[], string>('SELECT value FROM facts').pluck().get() ?? 'null') as RunFacts
    this.count = db.prepare<[], number>('SELECT count(*) FROM outcomes').pluck().get() ?? 0
    this.#outcomes = new OutcomeDecoder(db)
  }

  *rows(fromSeq = 0): Generator<RunRow> {
    const select = this.#db
      .prepare<[number, number], unknown[]>(
        `SELECT ${ROW_COLUMNS.join(', ')} FROM outcomes WHERE seq >= ? ORDER BY seq LIMIT ?`,
      )
      .raw()
    for (const row of pagesOf(select, fromSeq, ROWS_PER_PAGE)) yield this.#rowOf(row)
  }

  row(seq: number): RunRow | undefined {
    const row = this.#db
      .prepare<[number], unknown[]>(`SELECT ${ROW_COLUMNS.join(', ')} FROM outcomes WHERE seq = ?`)
      .raw()
      .get(seq)
    return row === undefined ? undefined : this.#rowOf(row)
  }

  /** How long each statement took; the outcomes stay on disk. */
  *durations(): Generator<{ readonly seq: number; readonly us: number; readonly failed: boolean }> {
    const select = this.#db
      .prepare<[], [number, number, number]>(
        'SELECT seq, done_us - sent_us, error IS NOT NULL FROM outcomes ORDER BY seq',
      )
      .raw()
    for (const [seq, us, failed] of select.iterate()) yield { seq, us, failed: failed === 1 }
  }

  /** How often each SQLSTATE came. */
  errors(): Readonly<Record<string, number>> {
    const rows = this.#db
      .prepare<[], [string, number]>(
        `SELECT error ->> 'sqlstate' AS sqlstate, count(*) FROM outcomes WHERE error IS NOT NULL GROUP BY 1 ORDER BY 2 DESC`,
      )
      .raw()
      .all()
    return Object.fromEntries(rows)
  }

  mapped(): Iterable<MappedValue> {
    return this.#db.prepare<[], MappedValue>('SELECT domain, recorded, actual FROM mapped ORDER BY id').iterate()
  }

  /** Empty for a run that was made before texts were rewritten. */
  rewritten(): RewrittenText[] {
    const exists = this.#db.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'rewritten'`).get() !== undefined
    if (!exists) return []
    return this.#db
      .prepare<[], { recorded: string; sent: string; rule: string; answers?: number | null }>('SELECT * FROM rewritten')
      .all()
      .map(({ recorded, sent, rule, answers }) => ({
        recorded,
        sent: JSON.parse(sent) as RewrittenText['sent'],
        by: rule,
        // Runs of older builds do not say.
        ...(answers == null ? {} : { answers }),
      }))
  }

  skipped(): Iterable<SkippedStatement> {
    return this.#db.prepare<[], SkippedStatement>('SELECT seq, reason FROM skipped ORDER BY seq').iterate()
  }

  close(): void {
    this.#db.close()
  }

  #rowOf(row: readonly unknown[]): RunRow {
    const [seq, dueUs, sentUs, doneUs, waitOrderUs, waitSessionUs, waitWorkerUs, relaxed] = row as number[] as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    return {
      seq,
      timing: { dueUs, sentUs, doneUs, waitOrderUs, waitSessionUs, waitWorkerUs },
      outcome: this.#outcomes.outcomeOf(row, OUTCOME_AT),
      orderRelaxed: relaxed === 1,
    }
  }
}
