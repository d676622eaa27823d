/**
 * The conversation of one session: frontend messages become exchanges (./requests.ts), backend messages are answers to the
 * oldest of them (./answers.ts), and what is answered is handed on in the order of sending.
 *
 * Whatever cannot be understood loses the session for the recording (`lost`), never more than that: nothing here throws.
 */
import { type AnswerListener, Answers } from './answers.js'
import { CLOSED, type Exchange, type RowSink } from './exchange.js'
import { Names } from './names.js'
import { Queue } from './queue.js'
import { type Numbers, Requests } from './requests.js'

export interface ConversationHost<Sink extends RowSink> extends Numbers, AnswerListener<Sink> {
  /** The exchange is answered, in the order of sending. */
  finished(exchange: Exchange<Sink>): void
  lost(why: string): void
}

export type ConversationLimits = {
  /** COPY data kept per statement; beyond it the statement cannot be replayed. */
  readonly copyBytesMax: number
  /** Named statements and portals remembered per session … */
  readonly namesMax: number
  /** … and what they cost. */
  readonly namesBytesMax: number
  /** Bytes a client may have sent that the server has not answered; whoever pipelines more is not followed. */
  readonly pendingBytesMax: number
}

/** A message costs memory even when it is empty. */
const MESSAGE_BYTES = 200

export class Conversation<Sink extends RowSink> {
  readonly #host: ConversationHost<Sink>
  readonly #limits: ConversationLimits
  readonly #queue = new Queue<Exchange<Sink>>()
  readonly #names: Names
  readonly #requests: Requests<Sink>
  readonly #answers: Answers<Sink>
  #pendingBytes = 0
  #lost = false
  /** Queries, Executes and function calls that came by. */
  executions = 0
  /** Those since the conversation was lost. */
  unfollowed = 0

  constructor(host: ConversationHost<Sink>, limits: ConversationLimits) {
    this.#host = host
    this.#limits = limits
    this.#names = new Names(limits)
    this.#requests = new Requests(this.#queue, this.#names, host, limits.copyBytesMax)
    this.#answers = new Answers(this.#queue, this.#names, host)
  }

  /** SQLSTATE of an error that answered nothing: the server's farewell. */
  get farewell(): string | null {
    return this.#answers.farewell
  }

  client(type: number, buffer: Buffer, start: number, end: number, atUs: number): void {
    const message = String.fromCharCode(type)
    this.#count(message)
    if (this.#lost) return
    if (!this.#requests.take(message, buffer, start, end, atUs)) {
      this.#lose(`the client's message ${message} cannot be decoded`)
      return
    }
    const bytes = end - start + MESSAGE_BYTES
    const tail = this.#queue.last
    if (tail) {
      tail.bytes += bytes
      this.#pendingBytes += bytes
    }
    if (this.#pendingBytes > this.#limits.pendingBytesMax) this.#lose('too much was sent and not answered')
    else this.#advance(atUs)
  }

  clientOversized(type: number, atUs: number): void {
    const message = String.fromCharCode(type)
    this.#count(message)
    if (this.#lost || this.#requests.takeOversized(message, atUs)) return
    this.#lose(`the client's message ${message} is too large`)
  }

  server(type: number, buffer: Buffer, start: number, end: number, atUs: number): void {
    if (this.#lost) return
    const message = String.fromCharCode(type)
    if (this.#answers.take(message, buffer, start, end, atUs)) this.#advance(atUs)
    else this.#lose(`the server's message ${message} answers nothing that was sent`)
  }

  serverOversized(type: number): void {
    if (!this.#lost) this.#answers.takeOversized(type)
  }

  /** Exchanges that are on their way. */
  get pending(): number {
    return this.#queue.length
  }

  /** What the session has given names to. */
  get names(): Names {
    return this.#names
  }

  /** Something passed that was not seen: unknown names may come up from now on. */
  missedSome(): void {
    this.#names.missedSome = true
  }

  /** Forgets what is in flight, not what is prepared. */
  dropPending(): readonly Exchange<Sink>[] {
    this.#pendingBytes = 0
    this.#answers.reset()
    return this.#queue.takeAll()
  }

  /** From here on nothing of the session is followed. */
  lose(): void {
    this.#lost = true
    this.#names.clear()
  }

  /** Hands on what is answered at the front of the queue. */
  #advance(atUs: number): void {
    let front = this.#queue.first
    while (front && front.expects.length === 0 && front.stage === CLOSED) {
      front.doneUs = atUs
      this.#queue.shift()
      this.#pendingBytes = this.#queue.length === 0 ? 0 : this.#pendingBytes - front.bytes
      this.#host.finished(front)
      front = this.#queue.first
    }
  }

  #count(message: string): void {
    if (message !== 'Q' && message !== 'E' && message !== 'F') return
    this.executions += 1
    if (this.#lost) this.unfollowed += 1
  }

  #lose(why: string): void {
    this.lose()
    this.#host.lost(why)
  }
}
