/**
 * One session in the drain: its two streams framed, its conversation followed, its transaction gathered until it ends.
 */

import type { Masker } from '../../privacy/masker.js'
import type { Session, SessionEvent, Statement } from '../../segment/statement.js'
import * as backend from '../../wire/backend.js'
import { Framer } from '../../wire/framer.js'
import { readStartup } from '../../wire/startup.js'
import { Keepsakes } from '../tap/keepsakes.js'
import { Conversation, type ConversationHost } from './conversation.js'
import { CLOSED, type Exchange, hasExecution, isSimple } from './exchange.js'
import { isPrologue, restored, type StateChange, stateChanges } from './restore.js'
import { Result, type ResultLimits } from './result.js'
import type { ResultShapes } from './result-shapes.js'
import { type Draft, statementsOf, withSafeNames, writes } from './statements.js'
import type { Filtered } from './transaction-choice.js'

export type SessionLimits = ResultLimits & {
  /** Largest message that is looked at whole. */
  readonly messageBytesMax: number
  readonly copyBytesMax: number
  readonly namesMax: number
  readonly namesBytesMax: number
  readonly pendingBytesMax: number
  /** A longer transaction is written in pieces … */
  readonly transactionStatementsMax: number
  /** … and a larger one, roughly. */
  readonly transactionBytesMax: number
}

/** Where a session's statements go. */
export interface SessionStore {
  nextSeq(statements: number): number
  nextTransaction(): number
  /** A transaction, or a piece of a long one. */
  write(statements: readonly Statement[], writes: boolean, bytes: number): void
  event(event: SessionEvent): void
  /** Statements that were offered and will not be kept. */
  lost(reason: string, statements: number, transactions?: number): void
  /** Whether this transaction, the session's n-th, is one that nobody wants. */
  filtered(session: number, transaction: number, statements: readonly Statement[], writes: boolean): Filtered
  /** Statements that were offered and nobody wants. */
  leave(reason: NonNullable<Filtered>, statements: number, transactions: number): void
}

const READABLE: ReadonlySet<string> = new Set(['UTF8', 'SQL_ASCII'])
/** In front of the payload of `open`. */
const LENGTHS_BYTES = 8
const IDLE = 'I'.charCodeAt(0)
/** The first four bytes of the tag ROLLBACK. */
const ROLLBACK = Buffer.from('ROLL').readInt32BE(0)
const STATE_LOST = 'more session state than is remembered'
const NOT_FOLLOWED = 'session could not be followed'

export class DrainSession implements ConversationHost<Result> {
  readonly id: number
  readonly #store: SessionStore
  readonly #masker: Masker
  readonly #shapes: ResultShapes
  readonly #limits: SessionLimits
  readonly #conversation: Conversation<Result>
  readonly #fromClient: Framer
  readonly #fromServer: Framer
  #gathered: Draft[] = []
  #gatheredBytes = 0
  /** Names that transactions which were left out gave or took back: whether they stand for something since. */
  readonly #left = new Map<string, boolean>()
  #transaction = 0
  /** Transactions so far. */
  #transactions = 0
  /** Decided with the first piece of the current transaction; undefined: not yet. */
  #filtered: Filtered | undefined
  #writes = false
  /** Of the current transaction a piece was written already. */
  #begun = false
  #ordinal = 0
  #atUs = 0
  #encoding = 'UTF8'
  #readable = true
  /** What it has done to its own state and would have to do again, should what was written of it be lost. */
  readonly #standing = new Keepsakes()
  /** Why the rest of the current transaction is not kept. */
  #doomed: string | null = null
  /** The recording does not know the session's state any more. */
  #restateDue = false
  backendPid = 0
  facts: Session | null = null

  constructor(id: number, store: SessionStore, masker: Masker, shapes: ResultShapes, limits: SessionLimits) {
    this.id = id
    this.#store = store
    this.#masker = masker
    this.#shapes = shapes
    this.#limits = limits
    const conversation = new Conversation(this, limits)
    this.#conversation = conversation
    const malformed = () => this.lost('its bytes are not the PostgreSQL protocol')
    const options = { wholeBytesMax: limits.messageBytesMax }
    this.#fromClient = new Framer(
      {
        message: (type, buffer, start, end) => {
          this.#standing.message(type, buffer, start, end)
          conversation.client(type, buffer, start, end, this.#atUs)
        },
        part: (type, _buffer, _start, _end, offset) => {
          if (offset === 0) conversation.clientOversized(type, this.#atUs)
        },
        malformed,
      },
      options,
    )
    this.#fromServer = new Framer(
      {
        message: (type, buffer, start, end) => {
          this.#stand(type, buffer, start, end)
          conversation.server(type, buffer, start, end, this.#atUs)
        },
        part: (type, _buffer, _start, _end, offset) => {
          if (offset === 0) conversation.serverOversized(type)
        },
        malformed,
      },
      options,
    )
  }

  /** Queries and Executes decoded so far. */
  get executions(): number {
    return this.#conversation.executions
  }

  /** Payload of the record `open`: startup packet and greeting, and what the session did before it was recorded. */
  open(payload: Buffer, atUs: number, complete: boolean): Session {
    const startupEnd = LENGTHS_BYTES + payload.readInt32BE(0)
    const greetingEnd = startupEnd + payload.readInt32BE(4)
    const step = readStartup(payload.subarray(LENGTHS_BYTES, startupEnd))
    const packet = step.kind === 'packet' && step.packet.kind === 'startup' ? step.packet.parameters : {}
    const { user = '', database = user, ...others } = packet
    const { application_name: application = '', ...rest } = this.#masker.startup(others)
    this.#greet(payload.subarray(startupEnd, greetingEnd))
    this.#standing.adopt(payload.subarray(greetingEnd))
    const changes = stateChanges(payload.subarray(greetingEnd), this.#masker)
    const later = changes.findIndex((change) => !isPrologue(change))
    const prologue = later < 0 ? changes : changes.slice(0, later)
    this.#restore(changes.slice(prologue.length), atUs, complete)
    const parameters = Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('_pq_.')))
    this.facts = {
      session: this.id,
      backendPid: this.backendPid,
      database,
      user,
      application,
      parameters,
      connectedUs: atUs,
      prologue: prologue.flatMap((change) => (change.kind === 'run' ? [change.masked] : [])),
    }
    return this.facts
  }

  client(bytes: Buffer, atUs: number): void {
    this.#atUs = atUs
    this.#fromClient.push(bytes)
  }

  server(bytes: Buffer, atUs: number): void {
    this.#atUs = atUs
    this.#fromServer.push(bytes)
  }

  /** The rest of the transaction was not offered: what is here of it goes as well, except what it did to names. */
  gap(reason: string, atUs: number): void {
    this.#conversation.missedSome()
    this.#fromClient.reset()
    this.#fromServer.reset()
    this.#standing.begin(0)
    const begun = this.#begun
    const changes = this.#changesOf(this.#drop(reason))
    if (begun) this.#breakOff()
    this.#restore(changes, atUs, true)
  }

  /**
   * A transaction too long to be held ends where its rest is missing: without an end, what comes next would run inside of it. So
   * each statement begins in the state that the one before it in its session left, and the first one of a session outside.
   */
  #breakOff(): void {
    const sql = 'ROLLBACK'
    const masked = this.#masker.sql(sql).sql
    this.#record([{ kind: 'run', sql, masked, tag: sql, forgetsStatements: false }], this.#atUs)
  }

  /** What the session did to its own state while nothing was recorded; it is recorded now, as if it had been done now. */
  restore(payload: Buffer, atUs: number, complete: boolean): void {
    this.#standing.adopt(payload)
    this.#restore(stateChanges(payload, this.#masker), atUs, complete)
  }

  /**
   * Something that was recorded could not be written: the transaction that is under way goes as well, and before the next one the
   * session's state is recorded anew.
   */
  restate(reason: string): void {
    this.event('lost', { why: reason })
    this.#restateDue = true
    if (this.#transaction !== 0 || this.#conversation.pending > 0) this.#doomed = reason
    else this.#restateNow()
  }

  #restateNow(): void {
    this.#restateDue = false
    if (this.#standing.incomplete) this.event('lost', { why: STATE_LOST })
    this.#record(stateChanges(Buffer.from(this.#standing.bytes()), this.#masker), this.#atUs)
  }

  #stand(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case backend.BACKEND.error:
        this.#standing.failed()
        break
      case backend.BACKEND.commandComplete:
        if (end - start >= 4 && buffer.readInt32BE(start) === ROLLBACK) this.#standing.rolledBack()
        break
      case backend.BACKEND.readyForQuery:
        // The exchange that this answers is still counted.
        this.#standing.ready(buffer[start] === IDLE, this.#conversation.pending <= 1)
    }
  }

  #restore(changes: readonly StateChange[], atUs: number, complete: boolean): void {
    this.#atUs = atUs
    if (!complete) this.event('lost', { why: STATE_LOST })
    const { names } = this.#conversation
    for (const change of changes) {
      if (change.kind === 'prepare') names.prepare(change.name, change.sql, change.parameterTypes)
      else if (change.kind === 'close') names.close('S', change.name)
      else if (change.forgetsStatements) names.unprepareAll()
    }
    this.#record(changes, atUs)
  }

  #record(changes: readonly StateChange[], atUs: number): void {
    for (const change of changes) {
      // Others rely on it: no matter of choice.
      this.#filtered = null
      this.finished(restored(change, this.nextSeq(1), atUs))
    }
  }

  /** The connection is gone. What was never answered is kept, marked. */
  close(atUs: number): void {
    this.#atUs = atUs
    for (const exchange of this.#conversation.dropPending()) this.finished(exchange)
    this.#flush()
    this.#loseUnfollowed()
    this.event('disconnect', { sqlstate: this.#conversation.farewell })
  }

  /** The recording ends while the session goes on. */
  end(reason: string): void {
    this.#drop(reason)
    this.#loseUnfollowed()
  }

  event(kind: SessionEvent['kind'], detail: SessionEvent['detail']): void {
    this.#store.event({ session: this.id, atUs: this.#atUs, kind, detail })
  }

  nextSeq(statements: number): number {
    return this.#store.nextSeq(statements)
  }

  statementsIn(sql: string): number {
    return this.#masker.sql(sql).statements.length
  }

  describedBy(buffer: Buffer, start: number, end: number): readonly backend.DescribedColumn[] | null {
    return this.#shapes.described(buffer, start, end)
  }

  openResult(
    exchange: Exchange<Result>,
    columns: readonly backend.DescribedColumn[] | null,
    formats: readonly (0 | 1)[] | null,
  ): Result {
    const { facts } = this.#masker.sql(exchange.sql)
    const statement = exchange.answers.length - 1
    return new Result(columns, formats, (described) => this.#shapes.of(facts, statement, described), this.#limits)
  }

  finished(exchange: Exchange<Result>): void {
    if (!this.#writes) this.#writes = writes(exchange, this.#masker)
    this.#gatheredBytes += sizeOf(exchange)
    for (const draft of statementsOf(exchange, this.id, this.#masker)) this.#gather(draft)
    if (exchange.status === 'I') this.#flush()
  }

  notice(fields: Readonly<Record<string, string>>): void {
    this.event('notice', this.#masker.notice(fields))
  }

  notification({ backendPid, channel, payload }: backend.Notification): void {
    this.event('notify', { backendPid, channel, payload: this.#masker.loose(payload) })
  }

  parameter(name: string, value: string): void {
    if (name === 'client_encoding') this.#encoding = value
    this.#readable = READABLE.has(this.#encoding)
  }

  lost(why: string): void {
    this.#conversation.lose()
    this.event('lost', { why })
    this.#drop(NOT_FOLLOWED)
  }

  #loseUnfollowed(): void {
    const { unfollowed } = this.#conversation
    if (unfollowed > 0) this.#store.lost(NOT_FOLLOWED, unfollowed)
  }

  #greet(greeting: Buffer): void {
    new Framer({
      message: (type, buffer, start, end) => {
        if (type === backend.BACKEND.backendKeyData) {
          this.backendPid = backend.decodeBackendPid(buffer, start, end) ?? 0
        } else if (type === backend.BACKEND.parameterStatus) {
          const parameter = backend.decodeParameterStatus(buffer, start, end)
          if (parameter) this.parameter(parameter.name, parameter.value)
        }
      },
      part: () => {},
      malformed: () => {},
    }).push(greeting)
  }

  #gather(draft: Draft): void {
    if (this.#transaction === 0) this.#transaction = this.#store.nextTransaction()
    this.#ordinal += 1
    draft.ordinal = this.#ordinal
    draft.transaction = this.#transaction
    // Text in another encoding was read as UTF-8: right only where it was ASCII, so it must not be replayed.
    if (!this.#readable) draft.unreplayable ??= `client_encoding ${this.#encoding} is not supported`
    this.#gathered.push(draft)
    const { transactionStatementsMax, transactionBytesMax } = this.#limits
    if (this.#gathered.length >= transactionStatementsMax || this.#gatheredBytes >= transactionBytesMax) this.#hand()
  }

  #flush(): void {
    this.#hand()
    const brokenOff = this.#begun && this.#doomed !== null
    // Its first piece was counted as a transaction that was kept.
    if (this.#doomed !== null && !brokenOff) this.#store.lost(this.#doomed, 0, 1)
    else if (this.#filtered) this.#store.leave(this.#filtered, 0, 1)
    this.#begin()
    if (brokenOff) this.#breakOff()
    if (this.#left.size > 0) this.#restoreLeft()
    if (this.#restateDue) this.#restateNow()
  }

  #begin(): void {
    this.#transaction = 0
    this.#begun = false
    this.#doomed = null
    this.#filtered = undefined
    this.#writes = false
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
      this.#transactions += 1
      this.#filtered = this.#store.filtered(this.id, this.#transactions, this.#gathered, this.#writes)
    }
    if (this.#filtered) this.#leave(this.#filtered)
    else {
      for (const draft of this.#gathered) draft.frames = withSafeNames(draft.frames, this.#masker)
      this.#store.write(this.#gathered, this.#writes, this.#gatheredBytes)
      this.#begun = true
    }
    this.#forget()
  }

  #forget(): void {
    this.#gathered = []
    this.#gatheredBytes = 0
  }

  #leave(reason: NonNullable<Filtered>): void {
    this.#store.leave(reason, this.#gathered.length, 0)
    this.#ordinal -= this.#gathered.length
    for (const [name, prepared] of namesIn(this.#gathered)) this.#left.set(name, prepared)
  }

  /** What a transaction that was left out prepared or closed by name stays so for those that come. */
  #restoreLeft(): void {
    // A name that was closed may have been given anew already, by what comes behind and does so itself.
    const closed = [...this.#left].filter(([, prepared]) => !prepared)
    const changes = this.#changesOf([...this.#left].flatMap(([name, prepared]) => (prepared ? [name] : [])))
    this.#left.clear()
    const closes = closed.map(([name]): StateChange => ({ kind: 'close', name }))
    this.#record([...closes, ...changes], this.#atUs)
  }

  #changesOf(changed: readonly string[]): StateChange[] {
    const { names } = this.#conversation
    return changed.map((name): StateChange => {
      const prepared = names.prepared(name)
      return prepared === null ? { kind: 'close', name } : { kind: 'prepare', ...prepared }
    })
  }

  /** Gives up what is gathered and in flight; returns the names of statements it prepared or closed. */
  #drop(reason: string): string[] {
    const pending = this.#conversation.dropPending()
    // Of a request that was only half sent, the tap counts the execution that is still to come.
    const sent = pending.filter((exchange) => exchange.stage === CLOSED || isSimple(exchange) || hasExecution(exchange))
    const dropped = this.#gathered.length + sent.length
    const names = [...new Set([...this.#left.keys(), ...namesIn([...this.#gathered, ...pending]).keys()])]
    this.#left.clear()
    this.#ordinal -= this.#gathered.length
    this.#forget()
    this.#begin()
    if (dropped > 0) this.#store.lost(reason, dropped)
    return names
  }
}

/** What it costs to remember it, roughly. */
function sizeOf({ bytes, copyBytes, answers }: Exchange<Result>): number {
  let size = bytes + copyBytes
  for (const { sink } of answers) size += sink?.chars ?? 0
  return size
}

/** Names of statements that these prepare (true) or close (false), whichever came last. */
function namesIn(statements: readonly Pick<Statement, 'frames'>[]): Map<string, boolean> {
  const names = new Map<string, boolean>()
  for (const frame of statements.flatMap((one) => one.frames)) {
    if (frame[0] === 'P' && frame[1] !== '') names.set(frame[1], true)
    else if (frame[0] === 'C' && frame[1] === 'S' && frame[2] !== '') names.set(frame[2], false)
  }
  return names
}
