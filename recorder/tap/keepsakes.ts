/**
 * What a session does to its own state while it is not recorded: statements prepared and closed, settings changed. Kept as the
 * messages that would do it again, so that what is recorded later finds the state it needs; a session that does the same over and
 * over costs no more than one that does it once.
 *
 *   prepared, closed        by name: the last one counts. They stay whatever becomes of the transaction.
 *   SET                     by what is set, RESET, DISCARD … by text. Undone when the transaction is rolled back.
 *
 * A message counts when its request was answered without an error. Goals: nothing is allocated for messages that are not of this
 * kind. Non-goals: set_config(), temporary tables, advisory locks, SET behind other statements in one text or as the text of a
 * named statement, what a ROLLBACK TO takes back.
 */
import { MessageWriter } from '../../wire/bytes.js'
import { Framer } from '../../wire/framer.js'
import { buildClose, buildQuery, decodeParse, decodeString, decodeTarget, FRONTEND } from '../../wire/frontend.js'

const BYTES_MAX = 256 * 1024
const TEXT_BYTES_MAX = 64 * 1024
/** Under way at once: each answer goes through them. */
const PENDING_MAX = 1000
const HEADER_BYTES = 5

/** Blanks and comments in front, then the word that decides. */
const VERB = /^(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*(SET|RESET|DISCARD|DEALLOCATE|PREPARE)\s+/i
const FOR_A_WHILE = /^(LOCAL|TRANSACTION|CONSTRAINTS)\b/i
const ONE_SETTING = /^(?:SESSION\s+)?([a-z_][\w$.]*)\s*(?:=|TO\s)/i
const ONE_NAME = /^(?:PREPARE\s+)?("(?:[^"]|"")+"|[a-z_][\w$]*)/i
/** First bytes of a text that can be of interest: letters of the verbs, blanks, comments. */
const MAYBE = new Set([...'sSrRdDpP/- \t\r\n'].map((letter) => letter.charCodeAt(0)))

type Keepsake = {
  readonly key: string
  readonly bytes: Uint8Array
  /** A rollback undoes it. */
  readonly undoable: boolean
  /** Keys that mean nothing any more behind this one. */
  readonly ends: string | null
  /** The request it belongs to. */
  readonly request: number
}

const STATEMENT = 'statement '
const SETTING = 'setting '

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
      if (target?.kind === 'S') this.#statement(target.name, whole(type, chunk, body, end))
    } else if (type === FRONTEND.parse && chunk[body] !== 0) {
      const parse = decodeParse(chunk, body, end)
      if (parse !== null) this.#statement(parse.name, whole(type, chunk, body, end))
    } else {
      // A text that is run: of a Query, or of an unnamed Parse, whose name is one zero byte.
      const from = type === FRONTEND.parse ? body + 1 : body
      if (!MAYBE.has(chunk[from]!) || end - from > TEXT_BYTES_MAX) return
      const sql = decodeString(chunk, from, end)
      if (sql !== null) this.#text(sql)
    }
  }

  #text(sql: string): void {
    const match = VERB.exec(sql)
    if (match === null) return
    const rest = sql.slice(match[0].length)
    const name = ONE_NAME.exec(rest)?.[1]
    switch (match[1]!.toUpperCase()) {
      case 'SET':
        if (!FOR_A_WHILE.test(rest)) this.#run(SETTING + settingOf(rest, sql), sql, null, true)
        break
      case 'RESET':
        this.#run(SETTING + sql, sql, /^ALL\b/i.test(rest) ? SETTING : null, true)
        break
      case 'DISCARD':
        if (/^ALL\b/i.test(rest)) this.#run('all', sql, '', false)
        break
      case 'PREPARE':
        if (name !== undefined && !/^TRANSACTION\b/i.test(rest)) this.#statement(folded(name), buildQuery(sql))
        break
      case 'DEALLOCATE':
        if (/^(PREPARE\s+)?ALL\b/i.test(rest)) this.#run('statements', sql, STATEMENT, false)
        // Unlike its SQL, the message does not mind a name that is not there.
        else if (name !== undefined) this.#statement(folded(name), buildClose('S', folded(name)))
    }
  }

  #statement(name: string, bytes: Uint8Array): void {
    this.#add({ key: STATEMENT + name, bytes, undoable: false, ends: null, request: this.#requests })
  }

  #run(key: string, sql: string, ends: string | null, undoable: boolean): void {
    this.#add({ key, bytes: buildQuery(sql), undoable, ends, request: this.#requests })
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

/** What a SET is about, so that the next one of it counts alone; the text where that is not plain to see. */
function settingOf(rest: string, sql: string): string {
  return ONE_SETTING.exec(rest)?.[1]?.toLowerCase() ?? sql
}

/** A name as the server knows it. */
function folded(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()
}
