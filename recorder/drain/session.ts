/**
 * One session in the drain: its two streams framed, its conversation followed, its transaction gathered until it ends.
 */

import type { Masker } from '../../privacy/masker.js'
import type { Session, SessionEvent } from '../../segment/statement.js'
import * as backend from '../../wire/backend.js'
import { Framer } from '../../wire/framer.js'
import { Keepsakes } from '../tap/keepsakes.js'
import { NOTED } from '../tap/session-doings.js'
import { Conversation, type ConversationHost } from './conversation.js'
import { CLOSED, type Exchange, hasExecution, isSimple } from './exchange.js'
import type { Known } from './known.js'
import { MissingState } from './missing-state.js'
import { OpenTransaction, type TransactionLimits, type TransactionStore } from './open-transaction.js'
import { readOpening } from './opening.js'
import {
  encodingAfter,
  isPrologue,
  type RepeatableChange,
  restored,
  type StateChange,
  stateChanges,
} from './restore.js'
import { Result, type ResultLimits } from './result.js'
import { statementsOf, writes } from './statements.js'

export type SessionLimits = ResultLimits &
  TransactionLimits & {
    /** Largest message that is looked at whole. */
    readonly messageBytesMax: number
    readonly copyBytesMax: number
    readonly namesMax: number
    readonly namesBytesMax: number
    readonly pendingBytesMax: number
  }

/** Where a session's statements go. */
export interface SessionStore extends TransactionStore {
  nextSeq(statements: number): number
  event(event: SessionEvent): void
  /** The rest of this session will not be kept, and here is why. */
  notFollowed(why: string): void
}

const READABLE: ReadonlySet<string> = new Set(['UTF8', 'SQL_ASCII'])
const IDLE = 'I'.charCodeAt(0)
/** The first four bytes of the tag ROLLBACK. */
const ROLLBACK = Buffer.from('ROLL').readInt32BE(0)
const STATE_LOST = 'more session state than is remembered'
const UNCERTAIN = 'session state was changed in a transaction whose end was not recorded'
const NOT_FOLLOWED = 'session could not be followed'

export class DrainSession implements ConversationHost<Result> {
  readonly id: number
  readonly #store: SessionStore
  readonly #masker: Masker
  readonly #known: Known
  readonly #limits: SessionLimits
  readonly #conversation: Conversation<Result>
  readonly #fromClient: Framer
  readonly #fromServer: Framer
  readonly #transaction: OpenTransaction
  #atUs = 0
  #encoding = 'UTF8'
  /** What it came with. */
  #encodingFirst = 'UTF8'
  #readable = true
  /** What it has done to its own state and would have to do again, should what was written of it be lost. */
  readonly #standing = new Keepsakes()
  /** What it made while nothing was recorded and nobody can make again. */
  readonly #missing = new MissingState()
  /** The recording does not know the session's state any more. */
  #restateDue = false
  backendPid = 0
  facts: Session | null = null

  constructor(id: number, store: SessionStore, masker: Masker, known: Known, limits: SessionLimits) {
    this.id = id
    this.#store = store
    this.#masker = masker
    this.#known = known
    this.#limits = limits
    this.#transaction = new OpenTransaction(id, store, known.frames, limits)
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
    const { user, database, parameters: others, backendPid, settings, before } = readOpening(payload)
    const { application_name: application = '', ...rest } = this.#masker.startup(others)
    this.backendPid = backendPid
    for (const { name, value } of settings) this.parameter(name, value)
    this.#encodingFirst = this.#encoding
    this.#standing.adopt(before)
    const changes = this.#repeatable(stateChanges(before, this.#masker), atUs)
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
    if (this.#standing.uncertain) this.event('lost', { why: UNCERTAIN })
    this.#standing.begin(0)
    const { begun } = this.#transaction
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
    this.#restore(this.#repeatable(stateChanges(payload, this.#masker), atUs), atUs, complete)
  }

  /** Without what cannot be done again, of which is said here that it is missing. */
  #repeatable(changes: readonly StateChange[], atUs: number): RepeatableChange[] {
    this.#atUs = atUs
    return changes.filter((change): change is RepeatableChange => {
      if (change.kind !== 'missing') return true
      this.#missing.add(change)
      this.event('lost', { why: NOTED[change.what] })
      return false
    })
  }

  /**
   * Something that was recorded could not be written: the transaction that is under way goes as well, and before the next one the
   * session's state is recorded anew.
   */
  restate(reason: string): void {
    this.event('lost', { why: reason })
    this.#restateDue = true
    if (this.#transaction.underWay || this.#conversation.pending > 0) this.#transaction.doom(reason)
    else this.#restateNow()
  }

  #restateNow(): void {
    this.#restateDue = false
    if (this.#standing.incomplete) this.event('lost', { why: STATE_LOST })
    const changes = stateChanges(Buffer.from(this.#standing.bytes()), this.#masker)
    this.#record(this.#repeatable(changes, this.#atUs), this.#atUs)
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

  #restore(changes: readonly RepeatableChange[], atUs: number, complete: boolean): void {
    this.#atUs = atUs
    if (!complete) this.event('lost', { why: STATE_LOST })
    const { names } = this.#conversation
    for (const change of changes) {
      if (change.kind === 'prepare') names.prepare(change.name, change.sql, change.parameterTypes)
      else if (change.kind === 'close') names.close('S', change.name)
      else {
        if (change.forgetsStatements) names.unprepareAll()
        const encoding = encodingAfter(change.sql)
        if (encoding !== null) this.parameter('client_encoding', encoding || this.#encodingFirst)
      }
    }
    this.#record(changes, atUs)
  }

  #record(changes: readonly RepeatableChange[], atUs: number): void {
    for (const change of changes) {
      this.#transaction.keep()
      this.finished(restored(change, this.nextSeq(1), atUs))
    }
  }

  /** The connection is gone. What was never answered is kept, marked. */
  close(atUs: number): void {
    this.#atUs = atUs
    for (const exchange of this.#conversation.dropPending()) this.finished(exchange)
    this.#endTransaction()
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
    return this.#known.results.described(buffer, start, end)
  }

  openResult(
    exchange: Exchange<Result>,
    columns: readonly backend.DescribedColumn[] | null,
    formats: readonly (0 | 1)[] | null,
  ): Result {
    const { facts } = this.#masker.sql(exchange.sql)
    const statement = exchange.answers.length - 1
    return new Result(
      columns,
      formats,
      (described) => this.#known.results.of(facts, statement, described),
      this.#limits,
    )
  }

  finished(exchange: Exchange<Result>): void {
    const transaction = this.#transaction
    if (!transaction.writes) transaction.writes = writes(exchange, this.#masker)
    transaction.grow(sizeOf(exchange))
    for (const draft of statementsOf(exchange, this.id, this.#masker)) {
      // Text in another encoding was read as UTF-8: right only where it was ASCII, so it must not be replayed.
      if (!this.#readable) draft.unreplayable ??= `client_encoding ${this.#encoding} is not supported`
      draft.unreplayable ??= this.#missing.reasonFor(draft.sql, draft.outcome.error === null)
      transaction.gather(draft)
    }
    if (exchange.status === 'I') this.#endTransaction()
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
    this.#store.notFollowed(why)
    this.#drop(NOT_FOLLOWED)
  }

  #loseUnfollowed(): void {
    const { unfollowed } = this.#conversation
    if (unfollowed > 0) this.#store.lost(NOT_FOLLOWED, unfollowed)
  }

  #endTransaction(): void {
    if (this.#transaction.end()) this.#breakOff()
    this.#restoreLeft()
    if (this.#restateDue) this.#restateNow()
  }

  /** What a transaction that was left out prepared or closed by name stays so for those that come. */
  #restoreLeft(): void {
    const left = this.#transaction.takeLeft()
    if (left === null) return
    // A name that was closed may have been given anew already, by what comes behind and does so itself.
    const closed = left.filter(([, prepared]) => !prepared)
    const changes = this.#changesOf(left.flatMap(([name, prepared]) => (prepared ? [name] : [])))
    const closes = closed.map(([name]): RepeatableChange => ({ kind: 'close', name }))
    this.#record([...closes, ...changes], this.#atUs)
  }

  #changesOf(changed: readonly string[]): RepeatableChange[] {
    const { names } = this.#conversation
    return changed.map((name): RepeatableChange => {
      const prepared = names.prepared(name)
      return prepared === null ? { kind: 'close', name } : { kind: 'prepare', ...prepared }
    })
  }

  /** Gives up what is gathered and in flight; returns the names of statements it prepared or closed. */
  #drop(reason: string): string[] {
    const pending = this.#conversation.dropPending()
    // Of a request that was only half sent, the tap counts the execution that is still to come.
    const sent = pending.filter((exchange) => exchange.stage === CLOSED || isSimple(exchange) || hasExecution(exchange))
    return this.#transaction.drop(reason, pending, sent.length)
  }
}

/** What it costs to remember it, roughly. */
function sizeOf({ bytes, copyBytes, answers }: Exchange<Result>): number {
  let size = bytes + copyBytes
  for (const { sink } of answers) size += sink?.chars ?? 0
  return size
}
