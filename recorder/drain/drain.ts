/**
 * The drain: reads the ring, follows each session, and writes what comes of it, in batches. It owns the recording's writer.
 *
 * It may fall behind, fail or stand still: the ring then fills, the tap drops, and nobody waits. A write that fails loses
 * its batch, counted, and is told once, with what to do; for a while nothing more is tried, because a full disk does not empty
 * itself. When writing works again that is told as well, and every session that is open is recorded anew with its state, because
 * what it had said of itself may be among what was lost.
 */

import type { Masker } from '../../privacy/masker.js'
import { type Count, sum } from '../../segment/ledger.js'
import type { RecordingWriter } from '../../segment/recording-writer.js'
import type { Incident } from '../../segment/segment-writer.js'
import type { Session, SessionEvent, Statement } from '../../segment/statement.js'
import { CountNews, NOT_FOLLOWED } from '../count-news.js'
import { RECORD, type RingRecord } from '../tap/ring.js'
import { CELL, PASSING, PASSING_WORDS, type PassingReason, type Tally } from '../tap/tally.js'
import { Batch } from './batch.js'
import { Known } from './known.js'
import { LatencyDrift } from './latency-drift.js'
import { Passed } from './passed.js'
import { DrainSession, type SessionLimits, type SessionStore } from './session.js'
import type { Filtered, TransactionChoice } from './transaction-choice.js'
import { codeOf, WriteTrouble } from './write-trouble.js'

export type DrainLimits = SessionLimits & {
  /** Statements gathered before they are written in one go … */
  readonly batchStatementsMax: number
  /** … or what they cost to remember. */
  readonly batchBytesMax: number
}

export const DRAIN_LIMITS: DrainLimits = {
  rowsMax: 100,
  rowsCharsMax: 64 * 1024,
  messageBytesMax: 16 * 1024 * 1024,
  copyBytesMax: 64 * 1024 * 1024,
  namesMax: 10_000,
  namesBytesMax: 32 * 1024 * 1024,
  pendingBytesMax: 128 * 1024 * 1024,
  transactionStatementsMax: 2000,
  transactionBytesMax: 8 * 1024 * 1024,
  batchStatementsMax: 500,
  batchBytesMax: 8 * 1024 * 1024,
}

const NOT_WRITTEN = 'recording could not be written'
const INCIDENTS_MAX = 1000

export type Trouble = { readonly kind: string; readonly detail: string }

export class Drain implements SessionStore {
  readonly #writer: RecordingWriter
  readonly #masker: Masker
  readonly #known: Known
  readonly #tally: Tally
  readonly #limits: DrainLimits
  readonly #nowMs: () => number
  readonly #tell: (trouble: Trouble) => void
  readonly #choice: TransactionChoice | null
  readonly #drift = new LatencyDrift()
  readonly #sessions = new Map<number, DrainSession>()
  readonly #batch = new Batch()
  #newSessions: Session[] = []
  #events: SessionEvent[] = []
  #incidents: Incident[] = []
  #seq = 0
  #transactions = 0
  #executionsOfClosed = 0
  #atUs = 0
  readonly #trouble: WriteTrouble
  /** Of the writer: how many segments it had given up when the sessions were known last. */
  #losses = 0
  /** Something of the open sessions was not written. */
  #restateDue = false
  readonly #passed: Passed
  /** Sessions that could not be followed, and whether that is news. */
  #unfollowed = 0
  readonly #unfollowedNews = new CountNews()

  constructor(
    writer: RecordingWriter,
    masker: Masker,
    tally: Tally,
    tell: (trouble: Trouble) => void,
    nowMs: () => number,
    limits: DrainLimits = DRAIN_LIMITS,
    choice: TransactionChoice | null = null,
  ) {
    this.#writer = writer
    this.#masker = masker
    this.#known = new Known(masker)
    this.#tally = tally
    this.#passed = new Passed(tally)
    this.#tell = tell
    this.#nowMs = nowMs
    this.#limits = limits
    this.#choice = choice
    this.#trouble = new WriteTrouble((trouble) => {
      this.incident({ atUs: this.#atUs, ...trouble })
      tell(trouble)
    })
  }

  /** A bug in decoding or masking costs its session, never the recording. */
  take(record: RingRecord): void {
    this.#atUs = record.atUs
    try {
      this.#take(record)
    } catch (error) {
      this.#sessions.get(record.session)?.lost(`it could not be decoded (${codeOf(error)})`)
    }
    const { batchStatementsMax, batchBytesMax } = this.#limits
    if (this.#batch.statements >= batchStatementsMax || this.#batch.bytes >= batchBytesMax) this.flush()
  }

  #take(record: RingRecord): void {
    const session = this.#sessions.get(record.session)
    switch (record.kind) {
      case RECORD.open:
        this.#open(record)
        break
      case RECORD.client:
        session?.client(record.payload, record.atUs)
        break
      case RECORD.server:
        session?.server(record.payload, record.atUs)
        break
      case RECORD.gap:
        session?.gap(PASSING_WORDS[record.aux as PassingReason] ?? 'gap', record.atUs)
        session?.event('lost', { why: PASSING_WORDS[record.aux as PassingReason] ?? 'gap' })
        break
      case RECORD.state:
        session?.restore(record.payload, record.atUs, record.aux === 0)
        break
      case RECORD.close:
        this.#close(record)
        break
      case RECORD.cancel:
        this.#cancelled(record.aux)
    }
  }

  /** Writes what has gathered. Call it whenever the ring is empty. */
  flush(): void {
    for (const { kind, reason, count } of this.#passed.news()) this.#account(kind, reason, count)
    if (this.#restateDue || !this.#trouble.mayTry(this.#nowMs())) this.#loseBatch()
    if (this.#trouble.mayTry(this.#nowMs())) this.#write()
    const cells = this.#tally.cells
    const { kept, lost } = this.#writer.ledger
    const allLost = sum(lost)
    cells[CELL.statementsKept] = kept.statements
    cells[CELL.transactionsKept] = kept.transactions
    cells[CELL.statementsLost] = allLost.statements
    cells[CELL.transactionsLost] = allLost.transactions
    cells[CELL.executionsDecoded] = this.#executions()
    cells[CELL.drainedUs] = this.#atUs
    cells[CELL.latencyDrift] = this.#drift.value
  }

  /** The recording is over: what is still open is lost, everything else is sealed. */
  end(): void {
    for (const session of this.#sessions.values()) session.end(PASSING_WORDS[PASSING.ended])
    this.#writer.release()
    this.#trouble.ends()
    if (this.#restateDue) {
      // What its sessions rest on is not known any more, and nothing comes after it.
      this.#restateDue = false
      this.#loseBatch()
    }
    this.flush()
    const missing = this.#tally.read(CELL.executionsSeen) - this.#tally.executionsPassed() - this.#executions()
    if (missing > 0) {
      this.#account('lost', 'unaccounted', { statements: missing, transactions: 0 })
      this.#tell({ kind: 'ledger', detail: `${missing} statements were seen and are not accounted for` })
    }
  }

  nextSeq(statements: number): number {
    const first = this.#seq + 1
    this.#seq += statements
    return first
  }

  nextTransaction(): number {
    this.#transactions += 1
    return this.#transactions
  }

  write(statements: readonly Statement[], writes: boolean, bytes: number): void {
    for (const { part, fingerprint, sentUs, doneUs } of statements) {
      if (part === 0 && fingerprint !== '') this.#drift.add(fingerprint, sentUs, doneUs)
    }
    this.#batch.add(statements, writes, bytes)
  }

  event(event: SessionEvent): void {
    this.#events.push(event)
  }

  /** What befell the recording itself; kept until it can be written. */
  incident(incident: Incident): void {
    if (this.#incidents.length < INCIDENTS_MAX) this.#incidents.push(incident)
  }

  filtered(session: number, transaction: number, statements: readonly Statement[], writes: boolean): Filtered {
    return this.#choice === null ? null : this.#choice.filtered(session, transaction, statements, writes)
  }

  leave(reason: NonNullable<Filtered>, statements: number, transactions: number): void {
    this.#account('filtered', reason, { statements, transactions })
    this.#tally.cells[CELL.statementsFiltered]! += statements
  }

  /** The transaction itself is counted by the tap, which sees its end. */
  lost(reason: string, statements: number, transactions = 0): void {
    this.#account('lost', reason, { statements, transactions })
  }

  notFollowed(why: string): void {
    this.#unfollowed += 1
    if (!this.#unfollowedNews.look(this.#unfollowed, this.#nowMs())) return
    const trouble = {
      kind: NOT_FOLLOWED.kind,
      detail: `${why}; what it does passes on unrecorded, and is in the ledger`,
    }
    this.incident({ atUs: this.#atUs, ...trouble })
    this.#tell(trouble)
  }

  #open(record: RingRecord): void {
    const session = new DrainSession(record.session, this, this.#masker, this.#known, this.#limits)
    this.#sessions.set(record.session, session)
    this.#newSessions.push(session.open(record.payload, record.atUs, record.aux === 0))
  }

  #close(record: RingRecord): void {
    const session = this.#sessions.get(record.session)
    if (!session) return
    session.close(record.atUs)
    this.#executionsOfClosed += session.executions
    this.#sessions.delete(record.session)
  }

  #cancelled(backendPid: number): void {
    for (const session of this.#sessions.values()) {
      if (session.backendPid === backendPid) session.event('cancel', {})
    }
  }

  #executions(): number {
    let executions = this.#executionsOfClosed
    for (const session of this.#sessions.values()) executions += session.executions
    return executions
  }

  #write(): void {
    try {
      this.#look()
      const writes = !this.#batch.empty || this.#newSessions.length + this.#events.length + this.#incidents.length > 0
      for (const session of this.#newSessions) this.#writer.session(session)
      this.#newSessions = []
      if (this.#restateDue) this.#restate()
      if (!this.#batch.empty) this.#writeBatch()
      for (const event of this.#events) this.#writer.event(event)
      this.#events = []
      for (; this.#incidents.length > 0; this.#incidents.shift()) this.#writer.incident(this.#incidents[0]!)
      this.#writer.sealIfDue()
      this.#trouble.worked(writes, this.#nowMs())
    } catch (error) {
      this.#trouble.failed(codeOf(error), this.#nowMs())
      this.#restateDue = true
      this.#loseBatch()
    }
    this.#tally.cells[CELL.recordingBytes] = this.#writer.bytes
  }

  /** A new file, or one that missed something, begins with the sessions that are open. */
  #look(): void {
    if (this.#losses !== this.#writer.losses) this.#restateDue = true
    this.#losses = this.#writer.losses
    if (!this.#restateDue) return
    const open = [...this.#sessions.values()].flatMap(({ facts }) => (facts === null ? [] : [facts]))
    this.#newSessions = open
  }

  #restate(): void {
    this.#restateDue = false
    for (const session of this.#sessions.values()) session.restate(NOT_WRITTEN)
  }

  #writeBatch(): void {
    const { count } = this.#batch
    this.#writer.seen(count)
    try {
      this.#writer.write(this.#batch.transactions)
    } catch (error) {
      this.#writer.account('lost', NOT_WRITTEN, count)
      throw error
    } finally {
      this.#batch.clear()
    }
  }

  #loseBatch(): void {
    if (!this.#batch.empty) this.#account('lost', NOT_WRITTEN, this.#batch.count)
    this.#batch.clear()
    this.#events = []
  }

  #account(kind: 'filtered' | 'lost', reason: string, count: Count): void {
    this.#writer.seen(count)
    this.#writer.account(kind, reason, count)
  }
}
