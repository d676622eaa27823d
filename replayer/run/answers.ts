/**
 * What a server says, taken apart into outcomes: one session's unanswered exchanges in order, and the messages as they come.
 *
 * Rows pass through without becoming objects. Exchanges of the extended protocol end with their last confirmation; one with a Sync,
 * and a simple query, with ReadyForQuery. After an error the server skips everything up to the next Sync without a word: what was
 * skipped has, as in a recording, neither a tag nor an error.
 */
import type { KnownTypes } from '../../segment/known-types.js'
import type { Column, Outcome, ServerError, TransactionStatus } from '../../segment/outcome.js'
import { BACKEND, decodeFields, decodeStatus, decodeTag, tagRowCount } from '../../wire/backend.js'
import { bindParameters, type Format } from '../../wire/bind.js'
import type { MessageSink } from '../../wire/framer.js'
import { type Described, describe } from './descriptions.js'
import type { Job } from './job.js'
import { type Replies, repliesTo } from './replies.js'
import { ResultSet } from './result-set.js'
import { isHelper, regroup } from './rewriting.js'

export type AnswerEvents = {
  /** An outcome and a time for each row of the job. */
  answered(job: Job, outcomes: readonly Outcome[], doneUs: readonly number[]): void
  /** The server has bound the job's portal. */
  bound(job: Job): void
  /** A COPY wants data that was not sent along. */
  copyIn(job: Job): void
}

type Expected = {
  readonly job: Job
  readonly shape: Replies
  /** Replies seen. */
  at: number
  error: ServerError | null
  tag: string
  result: ResultSet | null
  suspended: boolean
  readonly outcomes: Outcome[]
  readonly doneUs: number[]
}

type Portal = {
  /** From the prepared statement's description; undefined: never described. */
  readonly statement: string
  readonly columns: readonly Column[] | null | undefined
  readonly bind: Uint8Array | null
  /** Of the portal itself, with its real formats. */
  described: Described | null | undefined
}

export class AnswerReader implements MessageSink {
  readonly #events: AnswerEvents
  readonly #nowUs: () => number
  readonly #types: KnownTypes
  readonly #queue: Expected[] = []
  readonly #statements = new Map<string, readonly Column[] | null>()
  readonly #portals = new Map<string, Portal>()
  /** Everything up to the next Sync is skipped. */
  #failed = false
  status: TransactionStatus = 'I'

  constructor(events: AnswerEvents, nowUs: () => number, types: KnownTypes) {
    this.#events = events
    this.#nowUs = nowUs
    this.#types = types
  }

  get unanswered(): number {
    return this.#queue.length
  }

  /** What was sent and has no answer yet, in order. */
  get inFlight(): readonly Job[] {
    return this.#queue.map(({ job }) => job)
  }

  /** The job has been sent. */
  expect(job: Job): void {
    const shape = repliesTo(job.frames)
    this.#queue.push({
      job,
      shape,
      at: 0,
      error: null,
      tag: '',
      result: null,
      suspended: false,
      outcomes: [],
      doneUs: [],
    })
    if (this.#queue.length === 1) this.#settle()
  }

  message(type: number, buffer: Buffer, start: number, end: number): void {
    if (type === BACKEND.notice || type === BACKEND.parameterStatus || type === BACKEND.notification) return
    const head = this.#queue[0]
    if (head === undefined) return
    switch (type) {
      case BACKEND.dataRow:
        if (!helps(head)) this.#resultOf(head)?.row(buffer, start, end)
        break
      case BACKEND.commandComplete:
        if (!helps(head)) head.tag = decodeTag(buffer, start, end) ?? ''
        this.#executed(head)
        break
      case BACKEND.emptyQueryResponse:
        this.#executed(head)
        break
      case BACKEND.portalSuspended:
        head.suspended = true
        this.#executed(head)
        break
      case BACKEND.readyForQuery:
        this.#ready(head, decodeStatus(buffer, start, end) ?? 'I')
        break
      case BACKEND.rowDescription:
        this.#described(head, describe(buffer, start, end))
        break
      case BACKEND.noData:
        this.#described(head, null)
        break
      case BACKEND.bindComplete:
        this.#bound(head)
        break
      case BACKEND.parseComplete:
        this.#parsed(head)
        break
      case BACKEND.closeComplete:
        this.#closed(head)
        break
      case BACKEND.error:
        this.#errored(head, serverError(decodeFields(buffer, start, end)))
        break
      case BACKEND.copyIn:
        if (head.shape.simple || !head.shape.hasCopy) this.#events.copyIn(head.job)
        break
    }
  }

  part(): void {}

  malformed(): void {}

  /** The connection is gone: whatever is unanswered ends with this error. */
  lose(error: ServerError): void {
    const lost = this.#queue.splice(0)
    for (const expected of lost) {
      expected.error ??= error
      this.#fill(expected, null, error)
      this.#events.answered(expected.job, expected.outcomes, expected.doneUs)
    }
    this.#statements.clear()
    this.#portals.clear()
    this.#failed = false
    this.status = 'I'
  }

  #parsed(head: Expected): void {
    const reply = head.shape.replies[head.at]
    if (reply?.kind === 'parse') this.#statements.delete(reply.name)
    this.#step(head)
  }

  #bound(head: Expected): void {
    const reply = head.shape.replies[head.at]
    if (reply?.kind === 'bind' && !isHelper(reply.portal)) {
      const { bind } = head.job.rows[0]
      const columns = this.#statements.get(reply.name)
      this.#portals.set(reply.portal, { statement: reply.name, columns, bind, described: undefined })
    }
    if (reply?.kind !== 'bind' || !isHelper(reply.portal)) this.#events.bound(head.job)
    this.#step(head)
  }

  #described(head: Expected, described: Described | null): void {
    if (head.shape.simple) {
      head.result = described && new ResultSet(described.columns, described.formats, this.#types)
      return
    }
    const reply = head.shape.replies[head.at]
    if (reply?.kind === 'describe') {
      if (reply.of === 'S') this.#statements.set(reply.name, described?.columns ?? null)
      else {
        const portal = this.#portals.get(reply.name)
        if (portal) {
          portal.described = described
          // Whoever executes it later without asking gets the same columns.
          if (!this.#statements.has(portal.statement))
            this.#statements.set(portal.statement, described?.columns ?? null)
        }
      }
    }
    this.#step(head)
  }

  #closed(head: Expected): void {
    const reply = head.shape.replies[head.at]
    if (reply?.kind === 'close') (reply.of === 'S' ? this.#statements : this.#portals).delete(reply.name)
    this.#step(head)
  }

  /** An Execute, or one statement of a simple query, is over. */
  #executed(head: Expected): void {
    if (head.shape.simple) this.#endPart(head, null)
    else {
      if (!helps(head)) this.#resultOf(head)
      this.#step(head)
    }
  }

  #errored(head: Expected, error: ServerError): void {
    head.error = error
    if (head.shape.simple) this.#endPart(head, null)
    else {
      this.#failed = true
      this.#settle()
    }
  }

  #step(head: Expected): void {
    head.at += 1
    if (head.at >= head.shape.replies.length && !head.shape.ready) this.#settle()
  }

  /** Exchanges at the front that have all they will get. */
  #settle(): void {
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      if (head.shape.ready) return
      const done = head.error !== null || this.#failed || head.at >= head.shape.replies.length
      if (!done) return
      this.#answer(head, null)
    }
  }

  #ready(head: Expected, status: TransactionStatus): void {
    this.status = status
    if (status === 'I') this.#portals.clear()
    this.#failed = false
    // What the server skipped without a word stands before the exchange with the Sync.
    for (let first = this.#queue[0]; first !== undefined && !first.shape.ready; first = this.#queue[0]) {
      this.#answer(first, null)
    }
    this.#answer(this.#queue[0] ?? head, status)
    this.#settle()
  }

  #answer(expected: Expected, status: TransactionStatus | null): void {
    if (this.#queue[0] === expected) this.#queue.shift()
    this.#fill(expected, status, null)
    this.#events.answered(expected.job, expected.outcomes, expected.doneUs)
  }

  /** Closes what is open, and gives every row of the job an outcome, also those the server did not get to. */
  #fill(expected: Expected, status: TransactionStatus | null, missing: ServerError | null): void {
    const rows = expected.job.rows.length
    if (!expected.shape.simple || expected.outcomes.length === 0) this.#endPart(expected, status)
    if (expected.job.groups) regroup(expected.outcomes, expected.doneUs, expected.job.groups)
    while (expected.outcomes.length < rows) {
      expected.error = missing
      this.#endPart(expected, null)
    }
    // More answers than the recording has rows for: the last one stands for the rest.
    if (expected.outcomes.length > rows) {
      expected.outcomes.splice(rows - 1, expected.outcomes.length - rows)
      expected.doneUs.splice(rows - 1, expected.doneUs.length - rows)
    }
    const last = expected.outcomes.at(-1)!
    expected.outcomes[rows - 1] = { ...last, status }
  }

  #endPart(expected: Expected, status: TransactionStatus | null): void {
    const { error, tag, result, suspended } = expected
    // Rows that came before an error were taken back by it.
    const kept = error === null && result !== null ? result.finish() : NO_RESULT
    const rowCount = tag === '' ? (result?.rowCount ?? 0) : tagRowCount(tag)
    expected.outcomes.push({ error, tag, ...kept, rowCount, suspended, status })
    expected.doneUs.push(this.#nowUs())
    expected.error = null
    expected.tag = ''
    expected.result = null
    expected.suspended = false
  }

  /** The result set that the rows of an Execute go to. */
  #resultOf(head: Expected): ResultSet | null {
    if (head.result !== null) return head.result
    const reply = head.shape.replies[head.at]
    const portal = reply?.kind === 'execute' ? this.#portals.get(reply.portal) : undefined
    const columns = portal?.described === undefined ? portal?.columns : (portal.described?.columns ?? null)
    if (columns === null) return null
    const formats = portal?.described?.formats ?? resultFormats(portal?.bind ?? null)
    head.result = new ResultSet(columns ?? null, formats, this.#types)
    return head.result
  }
}

/** The statement that is being executed only stands beside the recorded one. */
function helps({ shape, at }: Expected): boolean {
  const reply = shape.replies[at]
  return reply?.kind === 'execute' && isHelper(reply.portal)
}

const NO_RESULT = { columns: null, digest: null, rows: null, rowsCut: false }

function resultFormats(bind: Uint8Array | null): readonly Format[] {
  return bind === null ? [] : (bindParameters(bind)?.resultFormats ?? [])
}

/** Letters as in the protocol's "Error and Notice Message Fields". */
function serverError(fields: Readonly<Record<string, string>>): ServerError {
  const { C, M, D, s, t, c, n, d } = fields
  return {
    sqlstate: C ?? 'XX000',
    message: M ?? '',
    ...(D === undefined ? {} : { detail: D }),
    ...(s === undefined ? {} : { schema: s }),
    ...(t === undefined ? {} : { table: t }),
    ...(c === undefined ? {} : { column: c }),
    ...(n === undefined ? {} : { constraint: n }),
    ...(d === undefined ? {} : { dataType: d }),
  }
}
