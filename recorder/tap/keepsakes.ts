/**
 * What a session does to its own state while it is not recorded: statements prepared and closed, settings changed, channels listened
 * to (./session-doings.ts). Kept as the messages that would do it again, so that what is recorded later finds the state it needs, and as
 * notes of what could not be done again; a session that does the same over and over costs no more than one that does it once.
 *
 *   prepared, closed        by name: the last one counts. They stay whatever becomes of the transaction.
 *   everything else         by what it is about. Undone when the transaction is rolled back.
 *
 * A message counts when its request was answered without an error. Goals: nothing is allocated for messages that are not of this
 * kind. Non-goals: the text of a named statement, what a ROLLBACK TO takes back.
 */
import { MessageWriter } from '../../wire/bytes.js'
import { Framer } from '../../wire/framer.js'
import { decodeParse, decodeString, decodeTarget, FRONTEND } from '../../wire/frontend.js'
import { type Doing, doingOf, NOTE, notedIn, prepared } from './session-doings.js'

const BYTES_MAX = 256 * 1024
const TEXT_BYTES_MAX = 64 * 1024
/** Under way at once: each answer goes through them. */
const PENDING_MAX = 1000
const HEADER_BYTES = 5

type Keepsake = Doing & {
  /** The request it belongs to. */
  readonly request: number
}

export class Keepsakes {
  /** Something was not kept: it was too much, or lay across chunks. */
  incomplete = false
  #kept = new Map<string, Uint8Array>()
  #keptBytes = 0
  /** Of the current transaction. */
  #pending: Keepsake[] = []
  #pendingBytes = 0
  #requests = 0
  #answered = 0
  #rolledBack = false

  get empty(): boolean {
    return this.#kept.size === 0 && !this.incomplete
  }

  /** Something was done that the transaction's end, which is still to come, may undo. */
  get uncertain(): boolean {
    return this.#pending.some(({ undoable }) => undoable)
  }

  /** From now on; so many requests are in flight that came before. */
  begin(unanswered: number): void {
    this.#requests = this.#answered + unanswered
    this.#pending = []
    this.#pendingBytes = 0
    this.#rolledBack = false
  }

  /** A message of the client, in `chunk[start, end)` with its header. */
  client(type: number, chunk: Uint8Array, start: number, end: number): void {
    switch (type) {
      case FRONTEND.query:
      case FRONTEND.parse:
      case FRONTEND.close: {
        if (start >= 0 && end <= chunk.length) this.#consider(type, chunk, start + HEADER_BYTES, end)
        else if (type === FRONTEND.parse) this.incomplete = true
      }
    }
    this.#count(type)
  }

  /** The same, of whoever has messages: the body in `buffer[start, end)`. */
  message(type: number, buffer: Uint8Array, start: number, end: number): void {
    if (type === FRONTEND.query || type === FRONTEND.parse || type === FRONTEND.close) {
      this.#consider(type, buffer, start, end)
    } else if (type === NOTE) {
      const doing = notedIn(buffer, start, end)
      if (doing !== null) this.#remember(doing)
    }
    this.#count(type)
  }

  /** What bytes() of somebody else said is as good as done here. */
  adopt(bytes: Uint8Array): void {
    new Framer({
      message: (type, buffer, start, end) => this.message(type, buffer, start, end),
      part: () => {},
      malformed: () => {},
    }).push(bytes)
    for (const keepsake of this.#pending) this.#keep(keepsake)
    this.#pending = []
    this.#pendingBytes = 0
    this.#answered = this.#requests
  }

  /** The oldest request failed. */
  failed(): void {
    this.#pending = this.#pending.filter(({ request }) => request !== this.#answered)
  }

  rolledBack(): void {
    this.#rolledBack = true
  }

  /** ReadyForQuery. `quiet`: nothing else is in flight. */
  ready(idle: boolean, quiet: boolean): void {
    this.#answered = quiet ? this.#requests : this.#answered + 1
    if (!idle) return
    const settled = this.#pending.filter(({ request }) => request < this.#answered)
    this.#pending = this.#pending.filter(({ request }) => request >= this.#answered)
    this.#pendingBytes = this.#pending.reduce((sum, { bytes }) => sum + bytes.length, 0)
    for (const keepsake of settled) if (!(this.#rolledBack && keepsake.undoable)) this.#keep(keepsake)
    this.#rolledBack = false
  }

  /** As messages of a client, in the order in which they are to be done again. */
  bytes(): Uint8Array {
    return Buffer.concat([...this.#kept.values()])
  }

  clear(): void {
    this.#kept = new Map()
    this.#keptBytes = 0
    this.incomplete = false
  }

  #count(type: number): void {
    if (type === FRONTEND.query || type === FRONTEND.sync || type === FRONTEND.functionCall) this.#requests += 1
  }

  #consider(type: number, chunk: Uint8Array, body: number, end: number): void {
    if (type === FRONTEND.close) {
      const target = decodeTarget(chunk, body, end)
      if (target?.kind === 'S') this.#remember(prepared(target.name, whole(type, chunk, body, end)))
    } else if (type === FRONTEND.parse && chunk[body] !== 0) {
      const parse = decodeParse(chunk, body, end)
      if (parse !== null) this.#remember(prepared(parse.name, whole(type, chunk, body, end)))
    } else {
      // A text that is run: of a Query, or of an unnamed Parse, whose name is one zero byte.
      const from = type === FRONTEND.parse ? body + 1 : body
      if (end - from > TEXT_BYTES_MAX || !maybe(chunk, from, end)) return
      const sql = decodeString(chunk, from, end)
      const doing = sql === null ? null : doingOf(sql)
      if (doing !== null) this.#remember(doing)
    }
  }

  #remember(doing: Doing): void {
    this.#add({ ...doing, request: this.#requests })
  }

  #add(keepsake: Keepsake): void {
    if (this.#pendingBytes + keepsake.bytes.length > BYTES_MAX || this.#pending.length >= PENDING_MAX) {
      this.incomplete = true
    } else {
      this.#pending.push(keepsake)
      this.#pendingBytes += keepsake.bytes.length
    }
  }

  #keep({ key, bytes, ends }: Keepsake): void {
    if (ends !== null) for (const other of [...this.#kept.keys()]) if (other.startsWith(ends)) this.#forget(other)
    this.#forget(key)
    if (bytes.length === 0) return
    if (this.#keptBytes + bytes.length > BYTES_MAX) this.incomplete = true
    else {
      this.#kept.set(key, bytes)
      this.#keptBytes += bytes.length
    }
  }

  #forget(key: string): void {
    this.#keptBytes -= this.#kept.get(key)?.length ?? 0
    this.#kept.delete(key)
  }
}

function whole(type: number, chunk: Uint8Array, body: number, end: number): Uint8Array {
  return new MessageWriter().start(type).raw(chunk.subarray(body, end)).finish().bytes()
}

const SEMICOLON = ';'.charCodeAt(0)
/** First bytes of a text that can be of interest: letters of the verbs, blanks, comments. */
const MAYBE = new Set([...'sSrRdDpPlLcC/- \t\r\n'].map((letter) => letter.charCodeAt(0)))
/** UNLISTEN is of interest, UPDATE is not. */
const isU = (byte: number) => (byte | 0x20) === 0x75
const isN = (byte: number) => (byte | 0x20) === 0x6e

/** Can this text do anything to its session? Most cannot, and need not be decoded. */
function maybe(chunk: Uint8Array, from: number, end: number): boolean {
  const first = chunk[from]!
  if (MAYBE.has(first) || (isU(first) && isN(chunk[from + 1]!))) return true
  // Among several statements, one that is not the first.
  const at = chunk.subarray(from, end).indexOf(SEMICOLON)
  return at >= 0 && at < end - from - 2
}
