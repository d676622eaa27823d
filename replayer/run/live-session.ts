/**
 * One session, alive: its connection, what is sent over it, and what becomes of it when the connection is lost.
 *
 * A lost connection is an outcome like any other (`08006` for what was in flight). The rest of that transaction cannot be replayed;
 * after it the session goes on with a new connection where it can be rebuilt (./session-state.ts), and is lost where it cannot.
 */
import type { KnownTypes } from '../../segment/known-types.js'
import type { Outcome, ServerError } from '../../segment/outcome.js'
import type { Frame, Session } from '../../segment/statement.js'
import { reachesOut } from '../../sql/reach-out.js'
import { buildCopyFail } from '../../wire/frontend.js'
import type { Agenda, Lane } from './agenda.js'
import { jobsLeft } from './agenda.js'
import { AnswerReader } from './answers.js'
import { type ConnectOptions, connect, type RawConnection } from './connection.js'
import type { ConnectionPool, Shared, SharedSink } from './connection-pool.js'
import { COPY_FAILED, encode, FLUSH, type Sendable, SYNC } from './encode.js'
import { asksForAnswer, createJob, type Job, type Script } from './job.js'
import type { Remap } from './remap.js'
import { exchangeOf, type Rewrite } from './rewriting.js'
import { DONE_BEFORE, FILTERED } from './selection.js'
import { SessionState } from './session-state.js'
import { Shelf } from './shelf.js'
import type { Fate } from './tally.js'

export type SessionHost = {
  readonly agenda: Agenda
  readonly remap: Remap
  readonly rewrite: Rewrite
  readonly nowUs: () => number
  /** The target's. */
  readonly types: KnownTypes
  readonly connectOptions: Pick<ConnectOptions, 'url' | 'timeoutMs'> & {
    readonly parameters: Readonly<Record<string, string>>
  }
  /** Start-up parameters, unless the session brings its own. */
  readonly defaults: Readonly<Record<string, string>>
  /** Another way to the same server, when the first leads nowhere (a restart may move its socket). */
  readonly otherUrl: string
  /** How long a server that does not let us in is asked again. */
  readonly patienceMs: number
  outcomes(lane: Lane, job: Job, outcomes: readonly Outcome[], doneUs: readonly number[]): void
  accounted(script: Script, fate: Fate): void
  incident(kind: string, detail: string): void
  connected(lane: Lane, backendPid: number): void
  /** It waits for a connection of its pool; it has none any more. */
  wants(lane: Lane): void
  letGo(lane: Lane): void
  /** A statement was asked to be cancelled, as in production. */
  cancelled(): void
  /** Before an interruption, what became of a statement that was not sent then; undefined: it was. */
  before(seq: number): Fate | undefined
  /** What one piece of the stream brought has been taken in. */
  afterChunk(): void
}

export const LOST_CONNECTION = 'connection'
/** A replay that was stopped: what it had not sent, and what the server had not answered. */
export const STOPPED = 'interrupted'
const STOPPED_IN_FLIGHT = 'interrupted while the server was at it'

const FIRST_PAUSE_MS = 50
const OUT_OF_MEMORY = '53200'
const MEMORY_PAUSE_MS = 250
const PAUSE_MS_MAX = 1000

const KEPT: Fate = { kind: 'kept' }
const NOT_SENDABLE: Fate = { kind: 'skipped', reason: 'a function call of the old protocol' }

export class LiveSession {
  readonly lane: Lane
  /** Nothing of it is sent: its statements have their turn, and no connection is needed. */
  readonly isDormant: boolean
  readonly #session: Session
  readonly #host: SessionHost
  readonly #answers: AnswerReader
  #state = new SessionState()
  readonly #shelf = new Shelf()
  #connection: RawConnection | null = null
  /** Where it borrows a connection for each transaction; null: it has one of its own. */
  readonly #pool: ConnectionPool | null
  #borrowed: Shared | null = null
  #opening = false
  #goesOtherWay = false
  /** Everything from here on is lost. */
  #dead = false
  /** Whose statements went down with the connection; the rest of it cannot be replayed. */
  #lostTransaction = -1
  /** Something was sent for which the server owes no answer until the next Sync. */
  #unflushed = false
  #closing = false
  /** The last that was sent while the server had nothing of the session's open, and that is whole in itself. */
  #lone: Job | null = null
  /** It is sent once more after a moment. */
  #waiting: Job | null = null

  constructor(lane: Lane, session: Session, host: SessionHost, isDormant = false, pool: ConnectionPool | null = null) {
    this.lane = lane
    this.isDormant = isDormant
    this.#pool = pool
    lane.open = isDormant || pool !== null
    this.#session = session
    this.#host = host
    this.#answers = new AnswerReader(
      {
        answered: (job, outcomes, doneUs) => this.#answered(job, outcomes, doneUs),
        bound: (job) => {
          if (job.flushAfterBind) host.agenda.snapshotTaken(lane, job)
        },
        copyIn: (job) => this.#copyIn(job),
      },
      host.nowUs,
      host.types,
    )
  }

  /** Connects, unless there is a connection or none will be needed. Resolves when the first try is over; others may follow. */
  async open(): Promise<void> {
    if (this.#pool !== null || this.#opening || this.#connection !== null || this.lane.finished || this.#dead) return
    this.#opening = true
    await this.#tryToConnect(performance.now() + this.#host.patienceMs, FIRST_PAUSE_MS)
  }

  /** Whether it has a connection; otherwise it gets one when it is its turn. */
  acquire(): boolean {
    if (this.#pool === null || this.#connection !== null || this.#dead) return true
    const shared = this.#pool.take(this.#applicant)
    if (shared === null) {
      this.#host.wants(this.lane)
      return false
    }
    this.#borrow(shared)
    return true
  }

  readonly #applicant = {
    granted: (shared: Shared): void => {
      this.#borrow(shared)
      this.#host.agenda.touch(this.lane)
      this.#host.afterChunk()
    },
    refused: (error: unknown): void => {
      this.#giveUp(reasonOf(error))
      this.#host.agenda.touch(this.lane)
      this.#host.afterChunk()
    },
  }

  #borrow(shared: Shared): void {
    const answers = this.#answers
    shared.sink.owner = {
      message: (type, buffer, start, end) => answers.message(type, buffer, start, end),
      part() {},
      malformed() {},
      lost: () => this.#closed(),
    }
    this.#borrowed = shared
    this.#connection = shared.connection
    this.lane.grantedUs = this.#host.nowUs()
    this.#host.connected(this.lane, shared.connection.backendPid)
  }

  /** Between transactions, with nothing under way, somebody else may have it. */
  #giveBack(): void {
    if (this.#borrowed === null || this.#answers.unanswered > 0 || this.#answers.status !== 'I' || this.#unflushed)
      return
    const shared = this.#borrowed
    this.#borrowed = null
    this.#connection = null
    this.#host.letGo(this.lane)
    this.#pool!.give(shared)
  }

  /** Whether the server has no transaction open for it. */
  get isIdle(): boolean {
    return this.#connection === null || this.#answers.status === 'I'
  }

  send(job: Job): void {
    const [script] = job.rows
    const fate = this.#fateOf(job)
    if (fate !== null) {
      if (job.filtered > 0) this.#leaveOut(script)
      this.#skip(job, fate)
      return
    }
    for (const { frame, sql } of this.#shelf.neededBy(script)) this.#prepare(frame, sql)
    this.#lone = this.#answers.unanswered === 0 && this.isIdle && asksForSync(job) ? job : null
    this.#transmit(job)
    if (job.cancelAfterUs >= 0) this.#cancelLater(job)
  }

  #transmit(job: Job): void {
    const [script] = job.rows
    const recorded = this.#host.remap.before(script)
    const { pieces, main, frames, groups } = exchangeOf(recorded, script.parameterTypes, this.#host.rewrite)
    job.groups = groups
    job.frames = frames
    this.#state.sent(main)
    for (const piece of pieces) this.#write(encode(piece, piece.sql === main.sql && job.flushAfterBind).bytes)
    this.#unflushed = !asksForAnswer(job)
    this.#answers.expect(job)
  }

  /** Nothing came of it and nothing else is under way: a server that was out of memory is asked once more. */
  #tryAgain(job: Job, outcomes: readonly Outcome[], doneUs: readonly number[]): boolean {
    const [outcome, ...others] = outcomes
    const isSafe = this.#lone === job && this.#answers.unanswered === 0 && others.length === 0
    if (!isSafe || outcome?.error?.sqlstate !== OUT_OF_MEMORY || outcome.status !== 'I') return false
    this.#lone = null
    this.#waiting = job
    this.#host.incident('out of memory', `session ${this.#session.session}: the statement is tried once more`)
    setTimeout(() => {
      if (this.#waiting !== job) return
      this.#waiting = null
      if (this.#connection === null) this.#take(job, outcomes, doneUs)
      else this.#transmit(job)
      this.#host.afterChunk()
    }, MEMORY_PAUSE_MS)
    return true
  }

  /** As production did, so long after sending: how long a statement takes does not go by the replay's speed. */
  #cancelLater(job: Job): void {
    setTimeout(() => {
      if (this.#closing || !this.#answers.inFlight.includes(job)) return
      this.#connection?.cancel()
      this.#host.cancelled()
    }, job.cancelAfterUs / 1000)
  }

  /** Somebody may be waiting for answers that the server holds back until the next Sync. */
  flush(): void {
    if (!this.#unflushed) return
    this.#unflushed = false
    this.#write(FLUSH)
  }

  /** Says goodbye; the lane is done when the server has let go of everything it held for the session. */
  close(): void {
    this.#closing = true
    if (this.#connection === null) this.#host.agenda.done(this.lane)
    else this.#connection.end()
  }

  /** Hangs up, at the end of a replay that was stopped, and accounts for what is not over. */
  destroy(): void {
    this.#closing = true
    this.#connection?.destroy()
    for (const job of this.#answers.inFlight) if (!own.has(job)) this.#lose(job, STOPPED_IN_FLIGHT)
    if (this.#waiting !== null) this.#lose(this.#waiting, STOPPED_IN_FLIGHT)
    this.#waiting = null
    for (let at = this.lane.queueAt; at < this.lane.queue.length; at++) this.#lose(this.lane.queue[at]!, STOPPED)
  }

  #lose(job: Job, reason: string): void {
    for (const row of job.rows) this.#host.accounted(row, { kind: 'lost', reason })
  }

  #fateOf({ rows: [script], filtered }: Job): Fate | null {
    if (filtered === DONE_BEFORE) return this.#host.before(script.seq) ?? KEPT
    if (filtered > 0) return LEFT_OUT[filtered]!
    if (this.#dead || script.transaction === this.#lostTransaction) return { kind: 'lost', reason: LOST_CONNECTION }
    if (script.unreplayable !== null) return { kind: 'skipped', reason: `unreplayable: ${script.unreplayable}` }
    if (script.frames.some(([kind]) => kind === 'F')) return NOT_SENDABLE
    const reach = script.sql === '' ? null : reachesOut(script.sql)
    return reach === null ? null : { kind: 'skipped', reason: `kept from the shadow: ${reach}` }
  }

  /** What it prepares is kept for whoever needs it; what it closes is closed. */
  #leaveOut(script: Script): void {
    for (const name of this.#shelf.leftOut(script, this.#state.prepared)) {
      this.#state.prepared.delete(name)
      this.#exchange([['C', 'S', name]])
    }
  }

  #prepare(frame: Extract<Frame, readonly ['P', ...unknown[]]>, sql: Script['sql']): void {
    const frames = [frame]
    const { main } = exchangeOf({ frames, sql, bind: null, copy: null }, frame[2], this.#host.rewrite)
    this.#state.sent(main)
    this.#exchange(frames, main.sql)
  }

  /** Something of our own, between what was recorded. A Sync would end what a pipeline has begun. */
  #exchange(frames: readonly Frame[], sql: Script['sql'] = NO_SQL): void {
    if (this.#connection === null) return
    this.#unflushed = false
    const whole = [...frames, (this.#answers.unanswered > 0 ? ['H'] : ['S']) as Frame]
    this.#write(encode({ frames: whole, sql, bind: null, copy: null }).bytes)
    this.#answers.expect(ownJob(whole))
  }

  #skip(job: Job, fate: Fate): void {
    for (const row of job.rows) this.#host.accounted(row, fate)
    // What went out before it in the same pipeline still needs its Sync.
    if (this.#answers.unanswered > 0 && job.rows[0].frames.at(-1)?.[0] === 'S') {
      this.#write(SYNC)
      this.#unflushed = false
      this.#answers.expect(ownJob([['S']], job))
      return
    }
    // Nobody may believe that what went out before it is over.
    if (this.#answers.unanswered > 0) this.#answers.expect(ownJob([], job))
    else this.#host.agenda.answered(this.lane, job)
  }

  #answered(job: Job, outcomes: readonly Outcome[], doneUs: readonly number[]): void {
    if (own.has(job)) {
      const skipped = own.get(job)
      if (skipped) this.#host.agenda.answered(this.lane, skipped)
      return
    }
    if (!this.#tryAgain(job, outcomes, doneUs)) this.#take(job, outcomes, doneUs)
  }

  #take(job: Job, outcomes: readonly Outcome[], doneUs: readonly number[]): void {
    for (let i = 0; i < job.rows.length; i++) {
      const row = job.rows[i]!
      if (this.#host.remap.wantsRows(row.sql)) this.#host.remap.after(row, outcomes[i]!)
      this.#host.accounted(row, { kind: 'kept' })
    }
    if (!job.again) this.#host.outcomes(this.lane, job, outcomes, doneUs)
    this.#host.agenda.answered(this.lane, job)
    if (asksForSync(job)) this.#giveBack()
  }

  #copyIn(job: Job): void {
    const [script] = job.rows
    const { copy } = encode(this.#host.remap.before(script) as Sendable)
    if (copy !== null) {
      this.#write(copy)
      return
    }
    this.#write(buildCopyFail(COPY_FAILED))
    // A Sync that was sent along has been ignored in favour of the data.
    if (script.frames[0]?.[0] !== 'Q' && script.frames.at(-1)?.[0] === 'S') this.#write(SYNC)
  }

  #write(bytes: Uint8Array): void {
    this.#connection?.write(bytes)
  }

  async #tryToConnect(untilMs: number, pauseMs: number): Promise<void> {
    const { connectOptions, agenda, afterChunk } = this.#host
    try {
      const connection = await connect({
        ...connectOptions,
        url: this.#goesOtherWay ? this.#host.otherUrl : connectOptions.url,
        parameters: { ...this.#host.defaults, ...this.#session.parameters, ...connectOptions.parameters },
        prologue: this.#session.prologue.map((sql) => this.#host.rewrite(sql)?.sql ?? sql),
        sink: this.#answers,
        afterChunk,
        closed: () => this.#closed(),
      })
      this.#opened(connection)
    } catch (error) {
      if (LEADS_NOWHERE.test((error as { code?: string }).code ?? '')) this.#goesOtherWay = !this.#goesOtherWay
      if (!this.#closing && isPassing(error) && performance.now() + pauseMs < untilMs) {
        setTimeout(() => void this.#tryToConnect(untilMs, Math.min(pauseMs * 2, PAUSE_MS_MAX)), pauseMs)
        return
      }
      if (!this.#closing) this.#giveUp(reasonOf(error))
    }
    this.#opening = false
    agenda.touch(this.lane)
    afterChunk()
  }

  #opened(connection: RawConnection): void {
    if (this.#closing) {
      connection.destroy()
      return
    }
    this.#connection = connection
    this.#rebuild()
    this.lane.open = true
    this.#host.connected(this.lane, connection.backendPid)
  }

  /** Parses the session's named statements again on its new connection; one that is refused does not keep the others away. */
  #rebuild(): void {
    for (const { frame, sql } of this.#state.prepared.values()) {
      const frames = [frame, ['S'] as const]
      this.#write(encode({ frames, sql, bind: null, copy: null }).bytes)
      this.#answers.expect(ownJob(frames))
    }
  }

  #closed(): void {
    this.#connection = null
    if (this.#borrowed !== null) this.#host.letGo(this.lane)
    this.#borrowed = null
    this.lane.open = this.#pool !== null
    if (this.#closing) {
      this.#host.agenda.done(this.lane)
      this.#host.afterChunk()
      return
    }
    const { lastSent } = this.lane
    if (lastSent !== null) this.#lostTransaction = lastSent.rows[0].transaction
    this.#host.incident('connection lost', `session ${this.#session.session}, ${this.lane.unanswered} in flight`)
    this.#answers.lose(CONNECTION_LOST)
    if (this.#pool !== null || (this.lane.ended && jobsLeft(this.lane) === 0)) this.lane.open = true
    else if (this.#state.rebuildable) void this.open()
    else this.#giveUp('its state cannot be rebuilt')
    this.#host.agenda.touch(this.lane)
    this.#host.afterChunk()
  }

  /** The lane stays open: its jobs pass through as lost, and whoever waits for them goes on. */
  #giveUp(why: string): void {
    this.#dead = true
    this.lane.open = true
    this.#host.incident('session lost', `session ${this.#session.session}: ${why}`)
  }
}

const NO_SQL = '' as Script['sql']

const LEFT_OUT = FILTERED.map((reason): Fate => ({ kind: 'filtered', reason }))

/** It ends with what ReadyForQuery answers. */
function asksForSync({ frames }: Job): boolean {
  return frames.at(-1)?.[0] === 'S' || frames[0]?.[0] === 'Q'
}

const CONNECTION_LOST: ServerError = { sqlstate: '08006', message: 'connection lost' }

/** Exchanges of our own, which no row of the run tells of; and the skipped job that one stands for. */
const own = new WeakMap<Job, Job | null>()

function ownJob(frames: readonly Frame[], standsFor: Job | null = null): Job {
  const job = createJob([{ frames } as unknown as Script], [], 0)
  own.set(job, standsFor)
  return job
}

/** SQLSTATEs and system errors that may pass: too many connections, starting up, shutting down, no route for a moment. */
const PASSING = /^(53300|57P0[123]|08\w{3}|ECONN\w+|ENOENT|EPIPE|ETIMEDOUT|EAGAIN|EADDRNOTAVAIL)$/

const LEADS_NOWHERE = /^(ENOENT|ECONNREFUSED)$/

function isPassing(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string }
  return code === undefined ? /terminated|timeout/i.test(message ?? '') : PASSING.test(code)
}

/** Never the server's words: they may quote what was sent. */
function reasonOf(error: unknown): string {
  const { code } = error as { code?: string }
  return `the target does not let it in (${code ?? 'no answer'})`
}

/** A connection that sessions share; a server that lets nobody in for a moment is asked again. */
export async function openShared(
  host: SessionHost,
  parameters: Readonly<Record<string, string>>,
  sink: SharedSink,
  closed: () => void,
  signal: AbortSignal,
): Promise<RawConnection> {
  const { connectOptions, afterChunk, defaults, patienceMs, otherUrl } = host
  const untilMs = performance.now() + patienceMs
  for (let pauseMs = FIRST_PAUSE_MS, url = connectOptions.url; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    try {
      const all = { ...defaults, ...parameters, ...connectOptions.parameters }
      return await connect({ ...connectOptions, url, parameters: all, prologue: [], sink, afterChunk, closed })
    } catch (error) {
      if (LEADS_NOWHERE.test((error as { code?: string }).code ?? ''))
        url = url === otherUrl ? connectOptions.url : otherUrl
      if (signal.aborted || !isPassing(error) || performance.now() + pauseMs > untilMs) throw error
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
}
