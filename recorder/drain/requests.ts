/**
 * The client's half of a conversation: each message joins the youngest exchange, or begins a new one.
 */
import { bindResultFormats, splitBind } from '../../wire/bind.js'
import { decodeExecute, decodeParse, decodeString, decodeTarget } from '../../wire/frontend.js'
import { AFTER_QUERY, CLOSED, type Exchange, hasExecution, isSimple, nextStage, type Portal } from './exchange.js'
import type { Names } from './names.js'
import type { Queue } from './queue.js'

export interface Numbers {
  /** Reserves numbers for the statements of an exchange. */
  nextSeq(statements: number): number
  /** How many statements a simple query holds. */
  statementsIn(sql: string): number
}

/** Nobody closes more names in one go; who does, does it in several. */
const FRAMES_MAX = 1000

export class Requests<Sink> {
  /** Exchanges that are not answered yet, oldest first; shared with the other half. */
  readonly #queue: Queue<Exchange<Sink>>
  readonly #names: Names
  readonly #numbers: Numbers
  readonly #copyBytesMax: number

  constructor(queue: Queue<Exchange<Sink>>, names: Names, numbers: Numbers, copyBytesMax: number) {
    this.#queue = queue
    this.#names = names
    this.#numbers = numbers
    this.#copyBytesMax = copyBytesMax
  }

  /** False: the message cannot be decoded. */
  take(message: string, buffer: Buffer, start: number, end: number, atUs: number): boolean {
    switch (message) {
      case 'Q': {
        const sql = decodeString(buffer, start, end)
        if (sql === null) return false
        this.#open('Q', atUs, Math.max(1, this.#numbers.statementsIn(sql))).sql = sql
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
        if (message === 'C') this.#names.close(target.kind, target.name)
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
    exchange.replaced = this.#names.prepared(parse.name)
    exchange.prepared = this.#names.prepare(parse.name, parse.sql, parse.parameterTypes)
    exchange.parsed = exchange.prepared
    return true
  }

  #bind(buffer: Buffer, start: number, end: number, atUs: number): boolean {
    const names = splitBind(buffer, start, end)
    if (!names) return false
    const prepared = this.#names.prepared(names.name)
    const bind = Buffer.from(buffer.subarray(names.restStart, end))
    const formats = bindResultFormats(bind)
    if (!formats) return false
    const tail = this.#tail()
    // One exchange carries one text: a Bind of another statement than the one just parsed begins its own.
    const other = tail?.parsed != null && tail.parsed !== prepared
    const exchange = this.#place('B', atUs, other)
    exchange.frames.push(['B', names.portal, names.name])
    const portal: Portal = { prepared, bind, resultFormats: formats, columns: prepared?.columns }
    this.#names.bind(names.portal, portal)
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
    const portal = this.#names.portal(execute.portal)
    const tail = this.#tail()
    const other = tail !== undefined && (tail.portal ?? portal) !== portal
    const parsedOther = tail?.parsed != null && tail.parsed !== portal?.prepared
    const exchange = this.#place('E', atUs, (other || parsedOther) && tail?.opaque !== true)
    exchange.frames.push(['E', execute.portal, execute.rowLimit])
    if (!exchange.portal) {
      exchange.portal = portal
      exchange.prepared = portal?.prepared ?? null
      exchange.sql = portal?.prepared?.sql ?? exchange.sql
      if (!portal && this.#names.missedSome) exchange.trouble ??= 'its portal was opened while nothing was recorded'
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
    if (data === null || tail.copyBytes > this.#copyBytesMax) {
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

  #tail(): Exchange<Sink> | undefined {
    return this.#queue.last
  }

  /** The exchange a message belongs to: the youngest when it fits there, or a new one. */
  #place(message: string, atUs: number, mustBegin = false): Exchange<Sink> {
    const tail = this.#tail()
    const fits = tail !== undefined && !mustBegin && tail.frames.length < FRAMES_MAX
    const stage = fits ? nextStage(tail.stage, message, isSimple(tail)) : -1
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
      seq: this.#numbers.nextSeq(statements),
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
      trouble: null,
    }
    this.#queue.push(exchange)
    return exchange
  }

  /** A message too large to be held: its kind and place count, its contents are gone. False: it may not be so large. */
  takeOversized(message: string, atUs: number): boolean {
    const trouble = 'its message is too large to be recorded'
    switch (message) {
      case 'd':
        this.#copyData(null)
        return true
      case 'Q':
        this.#open('Q', atUs).trouble = trouble
        return true
      case 'P':
      case 'B': {
        const exchange = this.#place(message, atUs)
        exchange.frames.push(message === 'P' ? ['P', '', []] : ['B', '', ''])
        exchange.trouble = trouble
        exchange.opaque = true
        this.#names.missedSome = true
        return true
      }
      default:
        return false
    }
  }
}
