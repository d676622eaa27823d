/**
 * One segment while it grows: `NNNNNN.sqlite.open`, until it is sealed as `NNNNNN.sqlite`.
 *
 * A batch is one SQLite transaction: after a crash it is there whole or not at all. Dictionaries are per segment, so that each
 * file can be read alone.
 */
import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { TextDictionary } from './dictionary.js'
import { sha256OfFile } from './files.js'
import type { Count } from './ledger.js'
import type { SealedSegment } from './manifest.js'
import { SEGMENTS_FOLDER } from './manifest-file.js'
import { OutcomeEncoder } from './outcome-columns.js'
import { packBytes } from './pack.js'
import { resultSha256Bytes } from './result-sha.js'
import { RowInserter } from './row-inserter.js'
import { SEGMENT, SEGMENT_SCHEMA, STATEMENT_COLUMNS, tracePrefix } from './segment-schema.js'
import { ShapeDictionary } from './shape-dictionary.js'
import { createDb, type Db, damaged, type Insert, openDb, sealDb } from './sqlite.js'
import type { Session, SessionEvent, Statement, TransactionScope } from './statement.js'

export const OPEN_SUFFIX = '.open'

/** The statements of one transaction, in order. */
export type RecordedTransaction = {
  readonly scope: TransactionScope
  readonly statements: readonly Statement[]
}

export type Incident = { readonly atUs: number; readonly kind: string; readonly detail: string }

export type SegmentOrigin = { readonly recordingId: string; readonly startedAtMs: number }

/** Where a segment's statements begin and end. */
export type Extent = Omit<SealedSegment, 'file' | 'sha256' | 'bytes'>

/** A sealed file as the manifest lists it. */
export function sealedSegment(path: string, extent: Extent): SealedSegment {
  return {
    file: `${SEGMENTS_FOLDER}/${basename(path)}`,
    sha256: sha256OfFile(path),
    bytes: statSync(path).size,
    ...extent,
  }
}

const NO_EXTENT: Extent = { statements: 0, seqFirst: 0, seqLast: 0, sentUsFirst: 0, doneUsLast: 0 }

export class SegmentWriter {
  readonly path: string
  readonly openedAtMs: number
  readonly #db: Db
  readonly #openPath: string
  readonly #texts: TextDictionary
  readonly #shapes: ShapeDictionary
  readonly #outcomes: OutcomeEncoder
  readonly #statements: RowInserter
  readonly #insertSession: Insert
  readonly #insertEvent: Insert
  readonly #insertIncident: Insert
  readonly #updateLedger: Insert
  readonly #pageCount: () => number
  readonly #pageBytes: number
  #extent: Extent = NO_EXTENT
  #transactions = 0
  #empty = true

  constructor(path: string, origin: SegmentOrigin, ledgerJson: string, openedAtMs: number) {
    this.path = path
    this.openedAtMs = openedAtMs
    this.#openPath = path + OPEN_SUFFIX
    const db = createDb(this.#openPath, SEGMENT, SEGMENT_SCHEMA, (created) => {
      created
        .prepare<unknown[]>('INSERT INTO segment VALUES (?, ?, ?, ?)')
        .run(origin.recordingId, tracePrefix(origin.recordingId), origin.startedAtMs, ledgerJson)
    })
    this.#db = db
    this.#texts = new TextDictionary(db)
    this.#shapes = new ShapeDictionary(db)
    this.#outcomes = new OutcomeEncoder(db)
    this.#statements = new RowInserter(db, 'statements', STATEMENT_COLUMNS)
    this.#insertSession = db.prepare<unknown[]>('INSERT OR REPLACE INTO sessions (session, value) VALUES (?, ?)')
    this.#insertEvent = db.prepare<unknown[]>('INSERT INTO events (session, at_us, kind, detail) VALUES (?, ?, ?, ?)')
    this.#insertIncident = db.prepare<unknown[]>('INSERT INTO incidents (at_us, kind, detail) VALUES (?, ?, ?)')
    this.#updateLedger = db.prepare<unknown[]>('UPDATE segment SET ledger = ?')
    const pages = db.prepare<[], number>('PRAGMA page_count').pluck()
    this.#pageCount = () => pages.get() ?? 0
    this.#pageBytes = Number(db.pragma('page_size', { simple: true }))
  }

  /** Nothing in it is worth keeping. */
  get empty(): boolean {
    return this.#empty
  }

  get count(): Count {
    return { statements: this.#extent.statements, transactions: this.#transactions }
  }

  /** Its name while it grows. */
  get openPath(): string {
    return this.#openPath
  }

  bytes(): number {
    return this.#pageCount() * this.#pageBytes
  }

  write(transactions: readonly RecordedTransaction[], ledgerJson: string): void {
    this.#atomically(() => {
      let extent = this.#extent
      for (const { scope, statements } of transactions) {
        const readWrite = scope === 'READ_WRITE' ? 1 : 0
        for (const statement of statements) {
          this.#statements.add(this.#cellsOf(statement, readWrite))
          extent = extended(extent, statement)
        }
      }
      this.#statements.flush()
      this.#updateLedger.run(ledgerJson)
      this.#extent = extent
    })
    this.#transactions += transactions.length
  }

  session(session: Session): void {
    this.#atomically(() => this.#insertSession.run(session.session, JSON.stringify(session)))
  }

  event(event: SessionEvent): void {
    this.#atomically(() => this.#insertEvent.run(event.session, event.atUs, event.kind, JSON.stringify(event.detail)))
  }

  incident(incident: Incident): void {
    this.#atomically(() => this.#insertIncident.run(incident.atUs, incident.kind, incident.detail))
  }

  /** Closes the file and gives it its final name; it never changes again. */
  seal(ledgerJson: string): SealedSegment {
    this.#updateLedger.run(ledgerJson)
    sealDb(this.#db, this.#openPath, this.path)
    this.#checkSealed()
    return sealedSegment(this.path, this.#extent)
  }

  /** What the disk made of it is not known to whoever wrote it. */
  #checkSealed(): void {
    const db = openDb(this.path, SEGMENT)
    try {
      const found = db.prepare<[], number>('SELECT count(*) FROM statements').pluck().get()
      if (found !== this.#extent.statements) throw damaged(this.path, SEGMENT, 'statements are missing in it')
    } finally {
      db.close()
    }
  }

  /** Leaves the file as a crash would: what was committed can be recovered. */
  abandon(): void {
    this.#db.close()
  }

  #cellsOf(statement: Statement, readWrite: number): unknown[] {
    return [
      statement.seq,
      statement.session,
      statement.ordinal,
      statement.transaction,
      statement.part,
      statement.sentUs,
      statement.doneUs,
      this.#texts.id(statement.sql, statement.fingerprint, statement.masking),
      this.#shapes.id(statement.frames, statement.parameterTypes),
      readWrite,
      statement.parameters.length === 0 ? null : JSON.stringify(statement.parameters),
      statement.bind,
      packBytes(statement.copy),
      statement.unreplayable,
      resultSha256Bytes(statement.outcome),
      ...this.#outcomes.cellsOf(statement.outcome),
    ]
  }

  #atomically(write: () => void): void {
    const extent = this.#extent
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      write()
      this.#db.exec('COMMIT')
      this.#empty = false
    } catch (error) {
      // A full disk may already have rolled back by itself.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      this.#extent = extent
      this.#statements.forget()
      for (const dictionary of [this.#texts, this.#shapes, this.#outcomes]) dictionary.reload()
      throw error
    }
  }
}

function extended(extent: Extent, { seq, sentUs, doneUs }: Statement): Extent {
  const first = extent.statements === 0
  return {
    statements: extent.statements + 1,
    seqFirst: first ? seq : Math.min(extent.seqFirst, seq),
    seqLast: Math.max(extent.seqLast, seq),
    sentUsFirst: first ? sentUs : Math.min(extent.sentUsFirst, sentUs),
    doneUsLast: Math.max(extent.doneUsLast, doneUs),
  }
}
