/**
 * What of one connection is offered to the ring. Bytes in, records out; it knows no socket.
 *
 *   authenticating   nothing is offered, in either direction: passwords and hashes never reach the ring
 *   greeting         from AuthenticationOk to the first ReadyForQuery: kept aside, it becomes the session's `open` record
 *   recording        every chunk of both directions
 *   passing          nothing is offered (ring full, recording paused, session not chosen), until a transaction boundary where there is room again
 *   ended            a pure pipe: nothing is looked at any more
 *
 * Whole transactions are dropped, never pieces: recording resumes only where the session is idle outside a transaction,
 * nothing is in flight and both streams stand between messages. What passes meanwhile is counted, and what it does to the
 * session's own state is kept (./keepsakes.ts), because later transactions will need it.
 */
import { BACKEND } from '../../wire/backend.js'
import { FRONTEND } from '../../wire/frontend.js'
import { BoundaryScanner } from './boundaries.js'
import { Keepsakes } from './keepsakes.js'
import { RECORD, type RingProducer } from './ring.js'
import { PASSING, type PassingReason, type Tally } from './tally.js'

const GREETING_BYTES_MAX = 32 * 1024
const IDLE = 'I'.charCodeAt(0)
/** The first four bytes of the tag ROLLBACK. */
const ROLLBACK = Buffer.from('ROLL').readInt32BE(0)

/** Messages that a Sync must follow. */
const EXTENDED: ReadonlySet<number> = new Set([
  FRONTEND.parse,
  FRONTEND.bind,
  FRONTEND.describe,
  FRONTEND.execute,
  FRONTEND.close,
  FRONTEND.flush,
])

type Phase = 'authenticating' | 'greeting' | 'recording' | 'passing' | 'ended'

export class SessionTap {
  readonly id: number
  readonly #ring: RingProducer
  readonly #tally: Tally
  readonly #fromClient = new BoundaryScanner()
  readonly #fromServer = new BoundaryScanner()
  readonly #clientListener = { boundary: this.#clientMessage.bind(this) }
  readonly #serverListener = { boundary: this.#serverMessage.bind(this) }

  #phase: Phase = 'authenticating'
  #reason: PassingReason = PASSING.early
  /** Payload of the record `open`, until the ring has taken it. */
  #open: Uint8Array | null
  #greeting: Uint8Array[] = []
  #greetingBytes = 0
  /** The drain holds the beginning of a transaction whose rest was not offered, and has not been told. */
  #gapDue = false
  /** What was done to the session's state while nothing was offered. */
  readonly #keepsakes = new Keepsakes()
  /** Why nothing is to be offered for now. */
  #holding: PassingReason | null = null
  #ending = false
  /** Was idle when its recording ended, and nothing was sent since. */
  #endedIdle = false

  /** Requests that each earn one ReadyForQuery and have not got it yet. */
  #unanswered = 0
  /** Messages were sent whose Sync has not been. */
  #halfSent = false
  /** Syncs since the last Execute: the server ignores them should that turn out to be a COPY from the client. */
  #syncsSinceExecute = 0
  #idle = false
  /** Something was executed in the current transaction. */
  #answered = false
  /** Where in the server's chunk the greeting goes on; -1: not in this chunk. */
  #greetingFrom = -1
  /** Chunk being scanned, while the session is not recorded. */
  #passingChunk: Uint8Array | null = null

  constructor(id: number, startup: Uint8Array, ring: RingProducer, tally: Tally, chosen = true) {
    this.id = id
    if (!chosen) this.#reason = PASSING.unchosen
    this.#ring = ring
    this.#tally = tally
    this.#open = startup
  }

  get phase(): Phase {
    return this.#phase
  }

  /** Chunk from the client, already forwarded. */
  client(chunk: Uint8Array, atUs: number): void {
    if (this.#phase === 'ended') {
      this.#endedIdle = false
      return
    }
    if (this.#phase === 'passing') this.#tryResume(atUs)
    if (this.#phase === 'recording' && !this.#ring.offer(RECORD.client, this.id, atUs, 0, chunk)) {
      this.#pass(PASSING.ringFull)
    }
    this.#passingChunk = this.#phase === 'recording' || this.#reason === PASSING.unchosen ? null : chunk
    this.#fromClient.scan(chunk, this.#clientListener)
    this.#passingChunk = null
    if (this.#fromClient.broken) this.#break()
  }

  /** Chunk from the server, already forwarded. */
  server(chunk: Uint8Array, atUs: number): void {
    if (this.#phase === 'ended') return
    if (this.#phase === 'recording' && !this.#ring.offer(RECORD.server, this.id, atUs, 0, chunk)) {
      this.#pass(PASSING.ringFull)
    }
    this.#greetingFrom = this.#phase === 'greeting' ? 0 : -1
    this.#fromServer.scan(chunk, this.#serverListener)
    if (this.#fromServer.broken) this.#break()
    else if (this.#greetingFrom >= 0) this.#greet(chunk)
    this.settle(atUs)
  }

  /** The connection is gone. False: the ring had no room for the news, try again later. */
  close(atUs: number): boolean {
    if (this.#phase === 'ended' || this.#open !== null) return true
    if (this.#phase === 'passing') {
      if (this.#answered || this.#unanswered > 0) this.#transactionPassed()
      this.#unanswered = 0
      if (!this.#offerGap(atUs)) return false
    }
    if (!this.#ring.offer(RECORD.close, this.id, atUs)) return false
    this.#phase = 'ended'
    return true
  }

  /** Stops offering at the next transaction boundary, until release(). */
  hold(reason: PassingReason, atUs: number): void {
    this.#holding = reason
    this.settle(atUs)
  }

  /** Stops offering now, until release(): what is open is dropped. */
  cut(reason: PassingReason, atUs: number): void {
    this.hold(reason, atUs)
    if (this.#phase === 'recording') this.#pass(reason)
  }

  release(atUs: number): void {
    this.#holding = null
    this.settle(atUs)
  }

  /** Between transactions, with nothing on its way: may be told goodbye. */
  get idle(): boolean {
    if (this.#phase === 'ended') return this.#endedIdle
    return (this.#phase === 'recording' || this.#phase === 'passing') && this.#quiet()
  }

  /** Ends recording of this session at the next transaction boundary; the connection goes on. */
  endAtBoundary(atUs: number): void {
    this.#ending = true
    this.settle(atUs)
  }

  /** Ends recording of this session now. */
  end(): void {
    if (this.#phase !== 'ended' && (!this.#idle || this.#unanswered > 0) && this.#open === null) {
      this.#tally.transactionPassed(PASSING.ended)
    }
    this.#phase = 'ended'
    this.#greeting = []
    this.#keepsakes.clear()
  }

  /** Does what waits for a transaction boundary, when this is one. */
  settle(atUs: number): void {
    if (this.#phase === 'recording') {
      if ((this.#holding !== null || this.#ending) && this.#quiet()) {
        this.#phase = this.#ending ? 'ended' : 'passing'
        this.#endedIdle = this.#ending
        this.#reason = this.#holding ?? PASSING.paused
      }
    } else if (this.#phase === 'passing' && this.#quiet()) {
      if (this.#ending && this.#offerGap(atUs)) {
        this.#phase = 'ended'
        this.#endedIdle = true
      } else this.#tryResume(atUs)
    }
  }

  #quiet(): boolean {
    return (
      this.#idle &&
      !this.#halfSent &&
      this.#unanswered === 0 &&
      this.#fromClient.atBoundary &&
      this.#fromServer.atBoundary
    )
  }

  #clientMessage(type: number, _first: number, start: number, end: number): void {
    this.#halfSent = EXTENDED.has(type)
    if (this.#passingChunk !== null) this.#keepsakes.client(type, this.#passingChunk, start, end)
    switch (type) {
      case FRONTEND.query:
      case FRONTEND.functionCall:
        this.#unanswered += 1
        this.#execution()
        break
      case FRONTEND.execute:
        this.#syncsSinceExecute = 0
        this.#execution()
        break
      case FRONTEND.sync:
        this.#unanswered += 1
        this.#syncsSinceExecute += 1
        break
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
        this.#unanswered -= this.#syncsSinceExecute
        this.#syncsSinceExecute = 0
    }
  }

  #execution(): void {
    this.#tally.executionSeen()
    if (this.#phase !== 'recording') this.#tally.executionPassed(this.#reason)
  }

  #serverMessage(type: number, first: number, _start: number, end: number): void {
    switch (type) {
      case BACKEND.error:
        this.#answered = true
        this.#keepsakes.failed()
        break
      case BACKEND.commandComplete:
        this.#answered = true
        if (first === ROLLBACK) this.#keepsakes.rolledBack()
        break
      case BACKEND.emptyQueryResponse:
      case BACKEND.portalSuspended:
      case BACKEND.functionCallResponse:
        this.#answered = true
        break
      case BACKEND.readyForQuery:
        this.#idle = first >>> 24 === IDLE
        if (this.#phase === 'greeting') break
        this.#unanswered = Math.max(0, this.#unanswered - 1)
        if (this.#phase === 'passing') this.#keepsakes.ready(this.#idle, this.#unanswered === 0)
        if (this.#idle && this.#answered) this.#transactionPassed()
        break
      case BACKEND.authentication:
        if (this.#phase !== 'authenticating' || first !== 0) break
        this.#phase = 'greeting'
        this.#greetingFrom = end
    }
  }

  #transactionPassed(): void {
    this.#answered = false
    if (this.#phase === 'passing') this.#tally.transactionPassed(this.#reason)
  }

  /** Collects what the server says between AuthenticationOk and the first ReadyForQuery; with that the session begins. */
  #greet(chunk: Uint8Array): void {
    const piece = chunk.subarray(Math.min(this.#greetingFrom, chunk.length))
    if (this.#greetingBytes + piece.length <= GREETING_BYTES_MAX) {
      this.#greeting.push(Uint8Array.from(piece))
      this.#greetingBytes += piece.length
    }
    if (!this.#idle) return
    this.#open = openPayload(this.#open!, this.#greeting)
    this.#greeting = []
    this.#phase = 'passing'
  }

  #pass(reason: PassingReason): void {
    this.#phase = 'passing'
    this.#reason = reason
    this.#gapDue = true
    this.#keepsakes.begin(this.#unanswered)
  }

  #tryResume(atUs: number): void {
    if (this.#reason === PASSING.broken || this.#reason === PASSING.unchosen) return
    if (this.#holding !== null) this.#reason = this.#holding
    if (this.#holding !== null || !this.#quiet()) return
    if (this.#offerOpen(atUs) && this.#offerGap(atUs) && this.#offerState(atUs)) this.#phase = 'recording'
    else this.#reason = PASSING.ringFull
  }

  #offerOpen(atUs: number): boolean {
    if (this.#open === null) return true
    const payload = Buffer.concat([this.#open, this.#keepsakes.bytes()])
    if (!this.#ring.offer(RECORD.open, this.id, atUs, this.#keepsakes.incomplete ? 1 : 0, payload)) return false
    this.#open = null
    this.#keepsakes.clear()
    return true
  }

  #offerGap(atUs: number): boolean {
    if (!this.#gapDue) return true
    if (!this.#ring.offer(RECORD.gap, this.id, atUs, this.#reason)) return false
    this.#gapDue = false
    return true
  }

  #offerState(atUs: number): boolean {
    if (this.#keepsakes.empty) return true
    const aux = this.#keepsakes.incomplete ? 1 : 0
    if (!this.#ring.offer(RECORD.state, this.id, atUs, aux, this.#keepsakes.bytes())) return false
    this.#keepsakes.clear()
    return true
  }

  /** Bytes that are not PostgreSQL's protocol: forwarded like any other, recorded no further. */
  #break(): void {
    if (this.#reason === PASSING.broken) return
    this.#tally.sessionBroken()
    this.#pass(PASSING.broken)
  }
}

/** `[startup bytes: i32][greeting bytes: i32] startup packet, greeting`; what the session did meanwhile comes behind. */
function openPayload(startup: Uint8Array, greeting: readonly Uint8Array[]): Uint8Array {
  const lengths = Buffer.alloc(8)
  lengths.writeInt32BE(startup.length)
  lengths.writeInt32BE(
    greeting.reduce((sum, piece) => sum + piece.length, 0),
    4,
  )
  return Buffer.concat([lengths, startup, ...greeting])
}
