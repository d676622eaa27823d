/**
 * The server's half of a conversation: each message answers the oldest exchange that still waits for one.
 *
 * After an error the server ignores everything up to the next Sync; those messages keep their place, as exchanges that were
 * sent and never executed.
 */
import * as backend from '../../wire/backend.js'
import type { Format } from '../../wire/bind.js'
import { type Answer, CLOSED, type Exchange, isSimple, type Prepared, type RowSink, reopenForCopy } from './exchange.js'
import type { Names } from './names.js'
import type { Queue } from './queue.js'

export interface AnswerListener<Sink> {
  /** Of a RowDescription; null: it lies about itself. The same object for the same bytes. */
  describedBy(buffer: Buffer, start: number, end: number): readonly backend.DescribedColumn[] | null
  /** A result begins; `columns` null: nobody ever described it. */
  openResult(
    exchange: Exchange<Sink>,
    columns: readonly backend.DescribedColumn[] | null,
    formats: readonly Format[] | null,
  ): Sink
  notice(fields: Readonly<Record<string, string>>): void
  notification(notification: backend.Notification): void
  parameter(name: string, value: string): void
}

export class Answers<Sink extends RowSink> {
  /** Exchanges that are not answered yet, oldest first; shared with the other half. */
  readonly #queue: Queue<Exchange<Sink>>
  readonly #names: Names
  readonly #listener: AnswerListener<Sink>
  /** The server ignores everything up to the next Sync. */
  #skipping = false
  #atUs = 0
  /** SQLSTATE of an error that answered nothing: the server's farewell. */
  farewell: string | null = null

  constructor(queue: Queue<Exchange<Sink>>, names: Names, listener: AnswerListener<Sink>) {
    this.#queue = queue
    this.#names = names
    this.#listener = listener
  }

  /** What was in flight is forgotten. */
  reset(): void {
    this.#skipping = false
  }

  /** A message too large to be held: of a row it is known that it came. */
  takeOversized(type: number): void {
    const front = this.#queue.first
    if (!front || type !== backend.BACKEND.dataRow) return
    const answer = this.#answer(front)
    answer.rows += 1
    this.#sinkOf(front, answer).oversized()
  }

  /** False: it answers nothing that was sent. */
  take(message: string, buffer: Buffer, start: number, end: number, atUs: number): boolean {
    this.#atUs = atUs
    switch (message) {
      case 'N':
        this.#listener.notice(backend.decodeFields(buffer, start, end))
        return true
      case 'A': {
        const notification = backend.decodeNotification(buffer, start, end)
        if (notification) this.#listener.notification(notification)
        return notification !== null
      }
      case 'S': {
        const parameter = backend.decodeParameterStatus(buffer, start, end)
        if (parameter) this.#listener.parameter(parameter.name, parameter.value)
        return parameter !== null
      }
    }
    const front = this.#queue.first
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
        const columns = this.#listener.describedBy(buffer, start, end)
        return columns !== null && this.#described(front, columns)
      }
      case 't': {
        const types = backend.decodeParameterTypes(buffer, start, end)
        const target = types === null ? null : this.#describedStatement(front)
        if (types !== null && target) target.parameterTypes = types
        return types !== null
      }
      case 'G':
        if (front === this.#queue.last) reopenForCopy(front)
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
    if (front.portal && (!statement || front.portal.prepared === statement)) front.portal.columns = columns
    // Whoever executes it later without asking gets the same columns.
    if (front.portal?.prepared) front.portal.prepared.columns ??= columns
    return this.#expected(front, 'D')
  }

  /** The statement that the oldest unanswered Describe of an exchange is about; null when it is about a portal. */
  #describedStatement(front: Exchange<Sink>): Prepared | null {
    const describes = front.frames.filter(([kind]) => kind === 'D')
    const frame = describes[describes.length - front.expects.filter((message) => message === 'D').length]
    if (frame?.[0] !== 'D' || frame[1] !== 'S') return null
    return front.prepared?.name === frame[2] ? front.prepared : this.#names.prepared(frame[2])
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
    answer.sink ??= this.#listener.openResult(front, answer.columns, front.portal?.resultFormats ?? null)
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

  #unparse({ parsed, replaced, expects }: Exchange<Sink>): void {
    if (parsed && expects.includes('P')) this.#names.unprepare(parsed, replaced)
  }

  #ready(status: 'I' | 'T' | 'E' | null): boolean {
    const front = this.#queue.first
    if (status === null || !front) return false
    if (!this.#skipping) {
      const waited = front.expects[0]
      if (waited !== 'S' && waited !== 'Q' && waited !== 'F') return false
      front.expects.shift()
      front.stage = CLOSED
      front.status = status
      if (status === 'I' && this.#queue.length === 1) this.#names.dropPortals()
      return true
    }
    const skipped: Exchange<Sink>[] = []
    for (const exchange of this.#queue) {
      skipped.push(exchange)
      if (exchange.expects.includes('S')) return this.#synced(skipped, status)
    }
    return false
  }

  /** The last of these was the Sync up to which the server ignored everything. */
  #synced(skipped: readonly Exchange<Sink>[], status: 'I' | 'T' | 'E'): boolean {
    for (const exchange of skipped) {
      this.#unparse(exchange)
      exchange.expects = []
      exchange.stage = CLOSED
    }
    skipped.at(-1)!.status = status
    this.#skipping = false
    if (status === 'I' && this.#queue.length === skipped.length) this.#names.dropPortals()
    return true
  }
}
