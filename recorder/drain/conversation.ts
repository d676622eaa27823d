/**
 * The conversation of one session: frontend messages become exchanges, backend messages are answers to the oldest of them.
 *
 * After an error the server ignores everything up to the next Sync; those messages keep their place, as exchanges that were
 * sent and never executed. Whatever cannot be understood loses the session for the recording (`lost`), never more than that:
 * nothing here throws.
 */
import * as backend from '../../wire/backend.js'
import { bindParameters, type Format, splitBind } from '../../wire/bind.js'
import { decodeExecute, decodeParse, decodeString, decodeTarget } from '../../wire/frontend.js'
import {
  AFTER_QUERY,
  type Answer,
  CLOSED,
  type Exchange,
  nextStage,
  type Portal,
  type Prepared,
  type RowSink,
  reopenForCopy,
} from './exchange.js'

export interface ConversationHost<Sink extends RowSink> {
  /** Reserves numbers for the statements of an exchange. */
  nextSeq(statements: number): number
  /** How many statements a simple query holds. */
  statementsIn(sql: string): number
  /** A result begins; `columns` null: nobody ever described it. */
  openResult(
    exchange: Exchange<Sink>,
    columns: readonly backend.DescribedColumn[] | null,
    formats: readonly Format[] | null,
  ): Sink
  /** The exchange is answered, in the order of sending. */
  finished(exchange: Exchange<Sink>): void
  notice(fields: Readonly<Record<string, string>>, atUs: number): void
  notification(notification: backend.Notification, atUs: number): void
  parameter(name: string, value: string): void
  lost(why: string): void
}

export type ConversationLimits = {
  /** COPY data kept per statement; beyond it the statement cannot be replayed. */
  readonly copyBytesMax: number
  /** Named statements and portals remembered per session. */
  readonly namesMax: number
  /** Bytes a client may have sent that the server has not answered; whoever pipelines more is not followed. */
  readonly pendingBytesMax: number
}

const MESSAGE_BYTES = 200
const DESCRIPTION_BYTES_MAX = 4096
const DESCRIPTIONS_MAX = 500

export class Conversation<Sink extends RowSink> {
  readonly #host: ConversationHost<Sink>
  readonly #limits: ConversationLimits
  readonly #prepared = new Map<string, Prepared>()
  readonly #descriptions = new Map<string, readonly backend.DescribedColumn[]>()
  readonly #portals = new Map<string, Portal>()
  #queue: Exchange<Sink>[] = []
  /** The server ignores everything up to the next Sync. */
  #skipping = false
  #pendingBytes = 0
  #lost = false
  #atUs = 0
  /** Statements have passed that nobody saw: an unknown name is no surprise. */
  missedSome = false
  executions = 0
  /** Executions since the conversation was lost. */
  unfollowed = 0
  /** SQLSTATE of an error that answered nothing: the server's farewell. */
  farewell: string | null = null

  constructor(host: ConversationHost<Sink>, limits: ConversationLimits) {
    this.#host = host
    this.#limits = limits
  }

  /** Exchanges that are not answered yet. */
  get pending(): readonly Exchange<Sink>[] {
    return this.#queue
  }

  /** Forgets what is in flight, not what is prepared. */
  dropPending(): readonly Exchange<Sink>[] {
    const dropped = this.#queue
    this.#queue = []
    this.#pendingBytes = 0
    this.#skipping = false
    return dropped
  }

  /** From here on nothing of the session is followed. */
  lose(): void {
    this.#lost = true
    this.#prepared.clear()
    this.#portals.clear()
  }

  client(type: number, buffer: Buffer, start: number, end: number, atUs: number): void {
    const message = String.fromCharCode(type)
    this.#count(message)
    if (this.#lost) return
    this.#atUs = atUs
    if (!this.#frontend(message, buffer, start, end, atUs)) {
      this.#lose(`the client's message ${message} cannot be decoded`)
      return
    }
    const tail = this.#tail()
    // A message costs memory even when it is empty.
    if (tail) tail.bytes += end - start + MESSAGE_BYTES
    this.#pendingBytes += end - start + MESSAGE_BYTES
    if (this.#pendingBytes > this.#limits.pendingBytesMax) this.#lose('too much was sent and not answered')
    else this.#advance()
  }

  /** A message too large to be held: its kind and place count, its contents are gone. */
  clientOversized(type: number, atUs: number): void {
    const message = String.fromCharCode(type)
    this.#count(message)
    if (this.#lost) return
    this.#atUs = atUs
    const trouble = 'its message is too large to be recorded'
    if (message === 'd') this.#copyData(null)
    else if (message === 'Q') this.#open('Q', atUs).trouble = trouble
    else if (message === 'P' || message === 'B') {
      const exchange = this.#place(message, atUs)
      exchange.frames.push(message === 'P' ? ['P', '', []] : ['B', '', ''])
      exchange.trouble = trouble
      exchange.opaque = true
      this.missedSome = true
    } else this.#lose(`the client's message ${message} is too large`)
  }

  server(type: number, buffer: Buffer, start: number, end: number, atUs: number): void {
    if (this.#lost) return
    this.#atUs = atUs
    if (!this.#backend(String.fromCharCode(type), buffer, start, end)) {
      this.#lose(`the server's message ${String.fromCharCode(type)} answers nothing that was sent`)
    } else this.#advance()
  }

  serverOversized(type: number): void {
    if (this.#lost || type !== backend.BACKEND.dataRow) return
    const front = this.#queue[0]
    if (!front) return
    const answer = this.#answer(front)
    answer.rows += 1
    this.#sinkOf(front, answer).oversized()
  }

  /** A Parse that passed while nothing was recorded. */
  remember(buffer: Buffer, start: number, end: number): void {
    const parse = decodeParse(buffer, start, end)
    if (parse) this.#remember(parse.name, parse.sql, parse.parameterTypes)
  }

  #frontend(message: string, buffer: Buffer, start: number, end: number, atUs: number): boolean {
    switch (message) {
      case 'Q': {
        const sql = decodeString(buffer, start, end)
        if (sql === null) return false
        this.#open('Q', atUs, Math.max(1, this.#host.statementsIn(sql))).sql = sql
        return true
      }
      case 'F':
        this.#open('F', atUs).trouble = 'it is a function call of the old protocol'
        return true
      case 'P':
        return this.#parse(buffer, start, end, atUs)
      case 'B':
        return this.#bind(buffer, start, end, atUs)
      case 'D':
      case 'C': {
        const target = decodeTarget(buffer, start, end)
        if (!target) return false
        this.#place(message, atUs).frames.push([message, target.kind, target.name])
        if (message === 'C') (target.kind === 'S' ? this.#prepared : this.#portals).delete(target.name)
        return true
      }
      case 'E':
        return this.#execute(buffer, start, end, atUs)
      case 'd':
        this.#copyData(buffer.subarray(start, end))
        return true
      case 'c':
      case 'f':
        this.#copyEnd(message)
        return true
      case 'H':
      case 'S':
        if (!this.#ignoredInCopy()) this.#place(message, atUs).frames.push([message])
        return true
      default:
        // Terminate, and answers to authentication that the tap has kept away.
        return message === 'X' || message === 'p'
    }
  }

  #parse(buffer: Buffer, start: number, end: number, atUs: number): boolean {
    const parse = decodeParse(buffer, start, end)
    if (!parse) return false
    const exchange = this.#place('P', atUs)
    exchange.frames.push(['P', parse.name, parse.parameterTypes])
    exchange.sql = parse.sql
    exchange.replaced = this.#prepared.get(parse.name) ?? null
    exchange.prepared = this.#remember(parse.name, parse.sql, parse.parameterTypes)
    exchange.parsed = exchange.prepared
    return true
  }

  #bind(buffer: Buffer, start: number, end: number, atUs: number): boolean {
    const names = splitBind(buffer, start, end)
    if (!names) return false
    const prepared = this.#prepared.get(names.name) ?? null
    const bind = Buffer.from(buffer.subarray(names.restStart, end))
    const formats = bindParameters(bind)?.resultFormats
    if (!formats) return false
    const tail = this.#tail()
    // One exchange carries one text: a Bind of another statement than the one just parsed begins its own.
    const other = tail?.parsed != null && tail.parsed !== prepared
    const exchange = this.#place('B', atUs, other)
    exchange.frames.push(['B', names.portal, names.name])
    const portal: Portal = { prepared, bind, resultFormats: formats, columns: prepared?.columns }
    if (this.#portals.size >= this.#limits.namesMax) this.#portals.clear()
    this.#portals.set(names.portal, portal)
    exchange.prepared = prepared
    exchange.portal = portal
    exchange.hasBind = true
    exchange.sql = prepared?.sql ?? ''
    if (!prepared) exchange.trouble ??= 'its statement was prepared while nothing was recorded'
    return true
  }

  #execute(buffer: Buffer, start: number, end: number, atUs: number): boolean {
    const execute = decodeExecute(buffer, start, end)
    if (!execute) return false
    const portal = this.#portals.get(execute.portal) ?? null
    const tail = this.#tail()
    const other = tail !== undefined && (tail.portal ?? portal) !== portal
    const parsedOther = tail?.parsed != null && tail.parsed !== portal?.prepared
    const exchange = this.#place('E', atUs, (other || parsedOther) && tail?.opaque !== true)
    exchange.frames.push(['E', execute.portal, execute.rowLimit])
    if (!exchange.portal) {
      exchange.portal = portal
      exchange.prepared = portal?.prepared ?? null
      exchange.sql = portal?.prepared?.sql ?? exchange.sql
      if (!portal && this.missedSome) exchange.trouble ??= 'its portal was opened while nothing was recorded'
    }
    return true
  }

  #copyData(data: Buffer | null): void {
    const tail = this.#tail()
    const stage = tail ? nextStage(tail.stage, 'd', isSimple(tail)) : -1
    // COPY data nobody asked for (the COPY has failed): the server ignores it as well.
    if (!tail || stage < 0 || !hasExecution(tail)) return
    tail.stage = stage
    if (tail.frames.at(-1)?.[0] !== 'd') tail.frames.push(['d'])
    tail.copyBytes += data?.length ?? 0
    if (data === null || tail.copyBytes > this.#limits.copyBytesMax) {
      tail.trouble = 'its COPY data is too large to be recorded'
      tail.copy = []
    } else if (tail.trouble === null) tail.copy.push(Buffer.from(data))
  }

  #copyEnd(message: 'c' | 'f'): void {
    const tail = this.#tail()
    const stage = tail ? nextStage(tail.stage, message, isSimple(tail)) : -1
    if (!tail || stage < 0 || !hasExecution(tail)) return
    tail.stage = stage
    tail.frames.push([message])
  }

  /** Inside a simple query's COPY the server ignores Flush and Sync. */
  #ignoredInCopy(): boolean {
    const tail = this.#tail()
    return tail !== undefined && isSimple(tail) && tail.frames.at(-1)?.[0] === 'd'
  }

  #remember(name: string, sql: string, parameterTypes: readonly number[]): Prepared {
    const prepared: Prepared = { name, sql, parameterTypes, columns: undefined }
    if (this.#prepared.size >= this.#limits.namesMax) {
      this.#prepared.clear()
      this.missedSome = true
    }
    this.#prepared.set(name, prepared)
    return prepared
  }

  #tail(): Exchange<Sink> | undefined {
    return this.#queue.at(-1)
  }

  /** The exchange a message belongs to: the youngest when it fits there, or a new one. */
  #place(message: string, atUs: number, mustBegin = false): Exchange<Sink> {
    const tail = this.#tail()
    const stage = tail && !mustBegin ? nextStage(tail.stage, message, isSimple(tail)) : -1
    if (!tail || stage < 0) return this.#open(message, atUs)
    tail.stage = stage
    if (message !== 'H') tail.expects.push(message)
    return tail
  }

  #open(message: string, atUs: number, statements = 1): Exchange<Sink> {
    const tail = this.#tail()
    if (tail) tail.stage = CLOSED
    const simple = message === 'Q' || message === 'F'
    const exchange: Exchange<Sink> = {
      seq: this.#host.nextSeq(statements),
      sentUs: atUs,
      doneUs: atUs,
      frames: message === 'Q' ? [['Q']] : message === 'F' ? [['F']] : [],
      expects: message === 'H' ? [] : [message],
      stage: simple ? AFTER_QUERY : nextStage(0, message, false),
      statements,
      sql: '',
      prepared: null,
      parsed: null,
      replaced: null,
      portal: null,
      hasBind: false,
      copy: [],
      copyBytes: 0,
      bytes: 0,
      opaque: false,
      answers: [],
      status: null,
      skipped: false,
      trouble: null,
    }
    this.#queue.push(exchange)
    return exchange
  }

  #backend(message: string, buffer: Buffer, start: number, end: number): boolean {
    switch (message) {
      case 'N':
        this.#host.notice(backend.decodeFields(buffer, start, end), this.#atUs)
        return true
      case 'A': {
        const notification = backend.decodeNotification(buffer, start, end)
        if (notification) this.#host.notification(notification, this.#atUs)
        return notification !== null
      }
      case 'S': {
        const parameter = backend.decodeParameterStatus(buffer, start, end)
        if (parameter) this.#host.parameter(parameter.name, parameter.value)
        return parameter !== null
      }
    }
    const front = this.#queue[0]
    if (!front) {
      if (message === 'E') this.farewell = backend.decodeFields(buffer, start, end).C ?? ''
      return message === 'E'
    }
    return this.#answered(front, message, buffer, start, end)
  }

  #answered(front: Exchange<Sink>, message: string, buffer: Buffer, start: number, end: number): boolean {
    switch (message) {
      case 'D': {
        const answer = this.#answer(front)
        answer.rows += 1
        this.#sinkOf(front, answer).row(buffer, start, end)
        return true
      }
      case 'C': {
        const tag = backend.decodeTag(buffer, start, end)
        return tag !== null && this.#complete(front, { tag })
      }
      case 'I':
        return this.#complete(front, {})
      case 's':
        return this.#complete(front, { suspended: true })
      case 'E':
        return this.#failed(front, backend.decodeFields(buffer, start, end))
      case 'Z':
        return this.#ready(backend.decodeStatus(buffer, start, end))
      case '1':
        return this.#expected(front, 'P')
      case '2':
        return this.#expected(front, 'B')
      case '3':
        return this.#expected(front, 'C')
      case 'n':
        return this.#described(front, null)
      case 'T': {
        const columns = this.#columnsOf(buffer, start, end)
        return columns !== null && this.#described(front, columns)
      }
      case 't': {
        const types = backend.decodeParameterTypes(buffer, start, end)
        const target = types === null ? null : this.#describedStatement(front)
        if (types !== null && target) target.parameterTypes = types
        return types !== null
      }
      case 'G':
        if (front === this.#tail()) reopenForCopy(front)
        return true
      case 'H':
      case 'W':
      case 'd':
      case 'c':
      case 'V':
        return true
      default:
        return false
    }
  }

  /** Descriptions repeat: decoded once, they are also the same object each time, by which others recognise them. */
  #columnsOf(buffer: Buffer, start: number, end: number): readonly backend.DescribedColumn[] | null {
    if (end - start > DESCRIPTION_BYTES_MAX) return backend.decodeRowDescription(buffer, start, end)
    const key = buffer.toString('latin1', start, end)
    const known = this.#descriptions.get(key)
    if (known) return known
    const columns = backend.decodeRowDescription(buffer, start, end)
    if (this.#descriptions.size >= DESCRIPTIONS_MAX) this.#descriptions.clear()
    if (columns) this.#descriptions.set(key, columns)
    return columns
  }

  #expected(front: Exchange<Sink>, message: string): boolean {
    if (front.expects[0] !== message) return false
    front.expects.shift()
    return true
  }

  #described(front: Exchange<Sink>, columns: readonly backend.DescribedColumn[] | null): boolean {
    if (isSimple(front)) {
      if (columns) this.#answer(front).columns = columns
      return columns !== null
    }
    const statement = this.#describedStatement(front)
    if (statement) statement.columns = columns
    else if (front.portal) front.portal.columns = columns
    if (statement && front.portal?.prepared === statement) front.portal.columns = columns
    return this.#expected(front, 'D')
  }

  /** The statement that the oldest unanswered Describe of an exchange is about; null when it is about a portal. */
  #describedStatement(front: Exchange<Sink>): Prepared | null {
    const describes = front.frames.filter(([kind]) => kind === 'D')
    const frame = describes[describes.length - front.expects.filter((message) => message === 'D').length]
    if (frame?.[0] !== 'D' || frame[1] !== 'S') return null
    return front.prepared?.name === frame[2] ? front.prepared : (this.#prepared.get(frame[2]) ?? null)
  }

  /** The answer that is being given: the open one, or a new one. */
  #answer(front: Exchange<Sink>): Answer<Sink> {
    const last = front.answers.at(-1)
    if (last && last.doneUs < 0) return last
    const columns = isSimple(front) ? null : (front.portal?.columns ?? null)
    const answer: Answer<Sink> = { columns, sink: null, rows: 0, tag: '', error: null, suspended: false, doneUs: -1 }
    front.answers.push(answer)
    return answer
  }

  #sinkOf(front: Exchange<Sink>, answer: Answer<Sink>): Sink {
    answer.sink ??= this.#host.openResult(front, answer.columns, front.portal?.resultFormats ?? null)
    return answer.sink
  }

  #complete(front: Exchange<Sink>, end: { tag?: string; suspended?: boolean }): boolean {
    if (!isSimple(front) && front.expects[0] !== 'E') return false
    const answer = this.#answer(front)
    // A result without rows still has columns, and a digest of nothing.
    if (answer.columns) this.#sinkOf(front, answer)
    answer.tag = end.tag ?? ''
    answer.suspended = end.suspended ?? false
    answer.doneUs = this.#atUs
    if (!isSimple(front)) front.expects.shift()
    return true
  }

  #failed(front: Exchange<Sink>, error: Readonly<Record<string, string>>): boolean {
    const answer = this.#answer(front)
    answer.error = error
    answer.doneUs = this.#atUs
    if (!isSimple(front)) this.#skipping = true
    this.#unparse(front)
    return true
  }

  /** A Parse that was refused, or never looked at, leaves the name with what it stood for before. */
  #unparse(exchange: Exchange<Sink>): void {
    const { parsed, replaced } = exchange
    if (!parsed || !exchange.expects.includes('P') || this.#prepared.get(parsed.name) !== parsed) return
    if (replaced) this.#prepared.set(parsed.name, replaced)
    else this.#prepared.delete(parsed.name)
  }

  #ready(status: 'I' | 'T' | 'E' | null): boolean {
    const front = this.#queue[0]
    if (status === null || !front) return false
    if (!this.#skipping) {
      const waited = front.expects[0]
      if (waited !== 'S' && waited !== 'Q' && waited !== 'F') return false
      front.expects.shift()
      front.stage = CLOSED
      front.status = status
      return true
    }
    const sync = this.#queue.findIndex((exchange) => exchange.expects.includes('S'))
    if (sync < 0) return false
    for (const exchange of this.#queue.slice(0, sync + 1)) {
      exchange.skipped = exchange.answers.length === 0 && hasExecution(exchange)
      this.#unparse(exchange)
      exchange.expects = []
      exchange.stage = CLOSED
    }
    this.#queue[sync]!.status = status
    this.#skipping = false
    return true
  }

  /** Hands on what is answered at the front of the queue. */
  #advance(): void {
    let front = this.#queue[0]
    while (front && front.expects.length === 0 && front.stage === CLOSED) {
      front.doneUs = this.#atUs
      this.#queue.shift()
      this.#pendingBytes = this.#queue.length === 0 ? 0 : this.#pendingBytes - front.bytes
      this.#host.finished(front)
      front = this.#queue[0]
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

function isSimple<Sink>(exchange: Exchange<Sink>): boolean {
  const kind = exchange.frames[0]?.[0]
  return kind === 'Q' || kind === 'F'
}

function hasExecution<Sink>(exchange: Exchange<Sink>): boolean {
  return exchange.frames.some(([kind]) => kind === 'E' || kind === 'Q')
}
