/**
 * One segment, read. Sealed ones are plain files; the unsealed tail of a crash (or of a recording that still runs) is read
 * through its WAL, in place, without changing it.
 */
import { JsonLookup, TextLookup } from './dictionary.js'
import { FACT_COLUMNS, type FactCells, FactsCursor, type StatementFacts } from './facts.js'
import type { Ledger } from './ledger.js'
import type { Column, Outcome } from './outcome.js'
import { OUTCOME_COLUMNS, OutcomeDecoder } from './outcome-columns.js'
import { unpackBytes } from './pack.js'
import { SEGMENT, STATEMENT_COLUMNS } from './segment-schema.js'
import type { Extent, Incident } from './segment-writer.js'
import type { Shape } from './shape-dictionary.js'
import { type Db, openDb, pagesOf } from './sqlite.js'
import type { Session, SessionEvent, Statement, TransactionScope } from './statement.js'
import type { MaskedUse, Usage } from './usage.js'

export type RecordedStatement = Statement & { readonly scope: TransactionScope }

export type StatementHead = {
  readonly seq: number
  readonly session: number
  readonly ordinal: number
  readonly transaction: number
  readonly part: number
  readonly sentUs: number
  readonly doneUs: number
  readonly scope: TransactionScope
  readonly failed: boolean
  readonly sql: Statement['sql']
  readonly fingerprint: string
}

/** What is left of a transaction after some position. */
export type TransactionRest = { readonly session: number; readonly transaction: number; readonly statements: number }

const HEAD_COLUMNS = 'seq, session, ordinal, txn, part, sent_us, done_us, text_id, read_write, error IS NOT NULL'
type HeadCells = [number, number, number, number, number, number, number, number, number, number]

/** What a replay needs of a statement: all that was sent. */
export type StatementScript = Omit<Statement, 'fingerprint' | 'masking' | 'parameters' | 'outcome'>

const SCRIPT_COLUMNS = 'seq, session, ordinal, txn, part, sent_us, done_us, text_id, shape_id, bind, copy, unreplayable'
type ScriptCells = [
  seq: number,
  session: number,
  ordinal: number,
  transaction: number,
  part: number,
  sentUs: number,
  doneUs: number,
  textId: number,
  shapeId: number,
  bind: Buffer | null,
  copy: Buffer | null,
  unreplayable: string | null,
]

const SCRIPTS_PER_PAGE = 128
/** Few, because a statement may carry a megabyte of COPY. */
const STATEMENTS_PER_PAGE = 64
const HEADS_PER_PAGE = 1000
const FACTS_PER_PAGE = 256

const OUTCOME_AT = STATEMENT_COLUMNS.indexOf('error')

type StatementCells = [
  seq: number,
  session: number,
  ordinal: number,
  transaction: number,
  part: number,
  sentUs: number,
  doneUs: number,
  textId: number,
  shapeId: number,
  readWrite: number,
  parameters: string | null,
  bind: Buffer | null,
  copy: Buffer | null,
  unreplayable: string | null,
]

export class SegmentReader {
  readonly #db: Db
  readonly #texts: TextLookup
  readonly #shapes: JsonLookup<Shape>
  readonly #outcomes: OutcomeDecoder
  #selectOutcome: { get(seq: number): unknown[] | undefined } | null = null

  constructor(db: Db) {
    this.#db = db
    this.#texts = new TextLookup(db)
    this.#shapes = new JsonLookup(db, 'shapes')
    this.#outcomes = new OutcomeDecoder(db)
  }

  *statements(fromSeq = 0): Generator<RecordedStatement> {
    const select = this.#db
      .prepare<[number, number], unknown[]>(
        `SELECT ${STATEMENT_COLUMNS.join(', ')} FROM statements WHERE seq >= ? ORDER BY seq LIMIT ?`,
      )
      .raw()
    for (const row of pagesOf(select, fromSeq, STATEMENTS_PER_PAGE)) yield this.#statementOf(row)
  }

  /** What the given sessions sent, without what came of it: page by page, which costs half of stepping from row to row. */
  *scripts(sessions: readonly number[]): Generator<StatementScript> {
    const select = this.#db
      .prepare<[string, number], unknown[]>(
        `SELECT ${SCRIPT_COLUMNS} FROM statements
          WHERE session IN (SELECT value FROM json_each(?)) AND seq > ? ORDER BY seq LIMIT ${SCRIPTS_PER_PAGE}`,
      )
      .raw()
    const wanted = JSON.stringify(sessions)
    for (let after = -1, rows: unknown[][] = []; ; ) {
      rows = select.all(wanted, after)
      for (const row of rows) yield this.#scriptOf(row)
      if (rows.length < SCRIPTS_PER_PAGE) return
      after = rows.at(-1)![0] as number
    }
  }

  /** How many statements each transaction of the given sessions has after a position: what a replay that stops there leaves undone. */
  transactionsAfter(sessions: readonly number[], seq: number): TransactionRest[] {
    return this.#db
      .prepare<[string, number], TransactionRest>(
        `SELECT session, txn AS "transaction", count(*) AS statements FROM statements
          WHERE session IN (SELECT value FROM json_each(?)) AND seq > ? GROUP BY session, txn ORDER BY min(seq)`,
      )
      .all(JSON.stringify(sessions), seq)
  }

  statement(seq: number): RecordedStatement | undefined {
    const row = this.#db
      .prepare<[number], unknown[]>(`SELECT ${STATEMENT_COLUMNS.join(', ')} FROM statements WHERE seq = ?`)
      .raw()
      .get(seq)
    return row === undefined ? undefined : this.#statementOf(row)
  }

  /** What production answered, and nothing else: workers of a replay ask for it all the time. */
  outcome(seq: number): Outcome | undefined {
    this.#selectOutcome ??= this.#db
      .prepare<[number], unknown[]>(`SELECT ${OUTCOME_COLUMNS.join(', ')} FROM statements WHERE seq = ?`)
      .raw()
    const row = this.#selectOutcome.get(seq)
    return row === undefined ? undefined : this.#outcomes.outcomeOf(row, 0)
  }

  *heads(): Generator<StatementHead> {
    const select = this.#db
      .prepare<[number, number], HeadCells>(
        `SELECT ${HEAD_COLUMNS} FROM statements WHERE seq >= ? ORDER BY seq LIMIT ?`,
      )
      .raw()
    for (const row of pagesOf(select, 0, HEADS_PER_PAGE)) {
      const [seq, session, ordinal, transaction, part, sentUs, doneUs, textId, readWrite, failed] = row
      const { sql, fingerprint } = this.#texts.value(textId)
      const scope = scopeOf(readWrite)
      yield { seq, session, ordinal, transaction, part, sentUs, doneUs, scope, failed: failed === 1, sql, fingerprint }
    }
  }

  /** What planning needs; one object that moves from row to row. */
  *facts(): Generator<StatementFacts> {
    const select = this.#db
      .prepare<[number, number], FactCells>(
        `SELECT ${FACT_COLUMNS} FROM statements WHERE seq >= ? ORDER BY seq LIMIT ?`,
      )
      .raw()
    const columnSets = new JsonLookup<readonly Column[]>(this.#db, 'column_sets')
    const cursor = new FactsCursor({ texts: this.#texts, shapes: this.#shapes, columnSets })
    for (const cells of pagesOf(select, 0, FACTS_PER_PAGE)) yield cursor.moveTo(cells)
  }

  sessions(): Session[] {
    const rows = this.#db.prepare<[], string>('SELECT value FROM sessions ORDER BY session').pluck().all()
    return rows.map((json) => JSON.parse(json) as Session)
  }

  *events(): Generator<SessionEvent> {
    const select = this.#db
      .prepare<[], [number, number, SessionEvent['kind'], string]>(
        'SELECT session, at_us, kind, detail FROM events ORDER BY at_us, id',
      )
      .raw()
    for (const [session, atUs, kind, detail] of select.iterate()) {
      yield { session, atUs, kind, detail: JSON.parse(detail) as SessionEvent['detail'] }
    }
  }

  incidents(): Incident[] {
    return this.#db.prepare<[], Incident>('SELECT at_us AS atUs, kind, detail FROM incidents ORDER BY id').all()
  }

  ledger(): Ledger {
    return JSON.parse(this.#db.prepare<[], string>('SELECT ledger FROM segment').pluck().get() ?? 'null') as Ledger
  }

  extent(): Extent {
    return this.#db
      .prepare<[], Extent>(
        `SELECT count(*) AS statements, coalesce(min(seq), 0) AS seqFirst, coalesce(max(seq), 0) AS seqLast,
                coalesce(min(sent_us), 0) AS sentUsFirst, coalesce(max(done_us), 0) AS doneUsLast FROM statements`,
      )
      .get()!
  }

  /** Texts of which masking has something to say, with how often they were sent. */
  *masked(): Generator<MaskedUse> {
    const counts = this.#db
      .prepare<[], [number, number]>('SELECT text_id, count(*) FROM statements GROUP BY text_id')
      .raw()
    for (const [textId, count] of counts.all()) {
      const { sql, fingerprint, masking } = this.#texts.value(textId)
      if (masking !== undefined) yield { sql, fingerprint, masking, count }
    }
  }

  /** What each text cost, counted by SQLite. */
  *usage(): Generator<Usage> {
    const select = this.#db.prepare<[], Usage>(
      `SELECT sql, fingerprint, count(*) AS count, count(error) AS errors, sum(done_us - sent_us) AS totalUs,
              max(done_us - sent_us) AS maxUs
       FROM statements JOIN texts ON texts.id = text_id GROUP BY text_id`,
    )
    yield* select.iterate()
  }

  /** How many statements cannot be replayed as they were sent, by reason. */
  unreplayable(): readonly { readonly reason: string; readonly count: number }[] {
    return this.#db
      .prepare<[], { reason: string; count: number }>(
        'SELECT unreplayable AS reason, count(*) AS count FROM statements WHERE unreplayable IS NOT NULL GROUP BY 1',
      )
      .all()
  }

  close(): void {
    this.#db.close()
  }

  #scriptOf(row: readonly unknown[]): StatementScript {
    const cells = row as unknown as ScriptCells
    const [seq, session, ordinal, transaction, part, sentUs, doneUs, textId, shapeId, bind, copy, unreplayable] = cells
    const { frames, parameterTypes } = this.#shapes.value(shapeId)
    return {
      seq,
      session,
      ordinal,
      transaction,
      part,
      sentUs,
      doneUs,
      frames,
      sql: this.#texts.value(textId).sql,
      parameterTypes,
      bind,
      copy: unpackBytes(copy),
      unreplayable,
    }
  }

  #statementOf(row: readonly unknown[]): RecordedStatement {
    const [seq, session, ordinal, transaction, part, sentUs, doneUs, textId, shapeId, readWrite, ...rest] =
      row as unknown as StatementCells
    const [parameters, bind, copy, unreplayable] = rest
    const { sql, fingerprint, masking } = this.#texts.value(textId)
    const { frames, parameterTypes } = this.#shapes.value(shapeId)
    const outcome: Outcome = this.#outcomes.outcomeOf(row, OUTCOME_AT)
    return {
      seq,
      session,
      ordinal,
      transaction,
      part,
      sentUs,
      doneUs,
      frames,
      sql,
      fingerprint,
      ...(masking === undefined ? {} : { masking }),
      parameters: parameters === null ? [] : (JSON.parse(parameters) as (string | null)[]),
      parameterTypes,
      bind,
      copy: unpackBytes(copy),
      unreplayable,
      outcome,
      scope: scopeOf(readWrite),
    }
  }
}

function scopeOf(readWrite: number): TransactionScope {
  return readWrite === 0 ? 'READ_ONLY' : 'READ_WRITE'
}

/** Sealed or still growing: SQLite reads through the WAL of one that was not closed. */
export function openSegment(path: string): SegmentReader {
  return new SegmentReader(openDb(path, SEGMENT))
}
