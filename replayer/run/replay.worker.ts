/**
 * A worker of the replay: its share of the sessions, their connections and their agenda, in one thread.
 *
 * Everything is driven by events (a piece of an answer, a timer, another worker's wake-up), each of which ends in pump(): look what
 * may be sent now, send it, and make sure somebody calls again.
 */
import type { MessagePort } from 'node:worker_threads'
import { type KnownTypes, knownTypes } from '../../segment/known-types.js'
import { openRecording } from '../../segment/recording.js'
import { loadParser } from '../../sql/parse.js'
import { loadRewriter } from '../rewrite/rewriter.js'
import { Agenda, createLane, type Lane } from './agenda.js'
import { Books } from './books.js'
import { type Cancels, cancelsOf } from './cancels.js'
import { ConnectionPool, type SharedSink } from './connection-pool.js'
import { Feed } from './feed.js'
import { createGenerated } from './generated.js'
import { LiveSession, LOST_CONNECTION, openShared, type SessionHost, STOPPED } from './live-session.js'
import { Outbox } from './outbox.js'
import { dueUs, ramped, sharedTurns } from './pace.js'
import { Pairs } from './pairs.js'
import { Progress } from './progress.js'
import { IDENTITY, type Remap } from './remap.js'
import { AS_RECORDED, type Rewrite } from './rewriting.js'
import type { Fate } from './tally.js'
import type { FromWorker, ToWorker, WorkerTask } from './task.js'
import { utilisationSampler } from './utilisation.js'
import { warmUp, warmUpStatements } from './warm-up.js'

/** Jobs read ahead; a few hundred statements for each of a few sessions. */
const AHEAD_MIN = 1024
/** Read at a time: a millisecond or less. */
const AHEAD_CHUNK = 64
/** Handshakes at the same time; each costs the server a process and both sides a key derivation. */
const OPENING_MAX = 8
/** Connections are opened a little before production opened them, so that the handshake is no lateness. */
const OPEN_AHEAD_US = 100_000
const CONNECT_MS_MAX = 15_000
const TICK_MS = 100

export default function replay(task: WorkerTask & { readonly port: MessagePort }): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new ReplayWorker(task, task.port, resolve)
    worker.prepare().catch(reject)
  })
}

class ReplayWorker {
  readonly #task: WorkerTask
  readonly #port: MessagePort
  readonly #finished: () => void
  readonly #progress: Progress
  readonly #agenda: Agenda
  readonly #feed: Feed
  readonly #outbox: Outbox
  readonly #books: Books
  readonly #sessions = new Map<number, LiveSession>()
  readonly #stop = new AbortController()
  readonly #utilisation = utilisationSampler()
  readonly #flushing: NodeJS.Timeout
  readonly #recording: ReturnType<typeof openRecording>
  readonly #scripts: ReturnType<ReturnType<typeof openRecording>['scripts']>
  readonly #remap: Remap
  readonly #host: SessionHost
  #rewrite: Rewrite = AS_RECORDED
  #types: KnownTypes
  /** Sessions in the order in which they are to be opened; those before `#openAt` have had their turn. */
  readonly #toOpen: { readonly atUs: number; readonly session: LiveSession }[] = []
  readonly #poolOf = new Map<number, { readonly number: number; readonly pool: ConnectionPool }>()
  #openAt = 0
  #cancelled = 0
  #opening = 0
  /** Read and not sent yet. */
  #ahead = 0
  #sent = 0
  #sentBefore = 0
  #zeroMs = performance.now()
  #started = false
  #timer: NodeJS.Timeout | null = null
  #timerUs = Number.POSITIVE_INFINITY
  #reading = false

  constructor(task: WorkerTask, port: MessagePort, finished: () => void) {
    this.#task = task
    this.#port = port
    this.#finished = finished
    this.#types = knownTypes(task.types)
    this.#progress = new Progress(task.progress, task.worker)
    this.#outbox = new Outbox(
      port,
      task.keepsOutcomes,
      () => this.#utilisation.latest,
      () => this.#pump(),
    )
    this.#books = new Books(this.#outbox, task.pacing.speed, task.earlier?.elapsedUs)
    this.#agenda = new Agenda({
      plan: task.plan,
      progress: this.#progress,
      pacing: task.pacing,
      takeTurn: task.rate && sharedTurns(task.rate.fullAtNs, task.rate.rate),
      nowUs: this.#nowUs,
      send: (lane, job) => {
        this.#ahead -= 1
        this.#sent += 1
        this.#sessions.get(lane.session)!.send(job)
      },
      isIdle: (lane) => this.#sessions.get(lane.session)!.isIdle,
      ...(task.pools.length === 0 ? {} : { acquire: (lane: Lane) => this.#sessions.get(lane.session)!.acquire() }),
      flush: (lane) => this.#sessions.get(lane.session)!.flush(),
      finished: (lane) => this.#sessions.get(lane.session)!.close(),
    })
    this.#recording = openRecording(task.recordingPath, { verify: 'size' })
    this.#scripts = this.#recording.scripts(task.sessions.map(([, { session }]) => session))
    this.#remap =
      createGenerated({
        catalog: this.#recording.manifest.catalog,
        pairs: new Pairs(task.pairs),
        recorded: (seq) => this.#recording.outcome(seq),
      }) ?? IDENTITY
    this.#host = this.#sessionHost()
    this.#addSessions()
    this.#feed = new Feed({
      source: this.#scripts,
      plan: task.plan,
      positions: task.positions,
      own: new Map(task.sessions.map(([dense, session]) => [session.session, dense])),
      originUs: task.originUs,
      fates: task.selection?.fates ?? null,
      offer: (session, job, { isFirst, isLast }) => {
        const live = this.#sessions.get(session)!
        this.#ahead += 1
        live.lane.ended = isLast
        this.#agenda.offer(live.lane, job)
        if (isFirst && task.pacing.speed === 'max' && !live.isDormant) this.#openAtTurn(live)
      },
      ...this.#cancels(),
      ended: () => {
        for (const { lane } of this.#sessions.values()) this.#agenda.end(lane)
      },
    })
    this.#flushing = setInterval(() => this.#tick(), TICK_MS)
    port.on('message', (message: ToWorker) => this.#told(message))
  }

  readonly #nowUs = (): number => (performance.now() - this.#zeroMs) * 1000

  /** Opens the first connections before the clock starts, or the replay would begin with being late. */
  async prepare(): Promise<void> {
    await loadParser()
    if (this.#task.rewrite !== null) {
      const rewriter = await loadRewriter(this.#task.rewrite, (text) => this.#tell({ kind: 'rewritten', text }))
      this.#rewrite = (sql) => rewriter.of(sql)
    }
    await warmUp(this.#host, warmUpStatements(this.#toSend()))
    if (this.#stop.signal.aborted) return
    this.#feed.pull(AHEAD_MIN)
    const first = this.#toOpen.filter(({ atUs }) => atUs <= 0)
    await Promise.all(first.slice(0, FIRST_MAX).map(() => this.#openNext()))
    this.#tell({ kind: 'ready' })
  }

  /** How many statements it will send. */
  #toSend(): number {
    const { sessions, positions, selection } = this.#task
    return sessions.reduce((sum, [dense]) => {
      const sends = selection?.sends[dense] !== 0
      return sends ? sum + positions.start[dense + 1]! - positions.start[dense]! : sum
    }, 0)
  }

  #cancels(): { cancelledAfterUs?: Cancels } {
    const cancels = cancelsOf(this.#recording.events(), (seq) => this.#recording.outcome(seq))
    return cancels === undefined ? {} : { cancelledAfterUs: cancels }
  }

  #makePools(host: SessionHost): void {
    const parameters = new Map(this.#task.sessions.map(([dense, session]) => [dense, session.parameters]))
    for (const { number, connections, sessions } of this.#task.pools) {
      const open = (sink: SharedSink, closed: () => void) =>
        openShared(host, parameters.get(sessions[0]!) ?? {}, sink, closed, this.#stop.signal)
      const pool = new ConnectionPool({ connections, open })
      for (const session of sessions) this.#poolOf.set(session, { number, pool })
    }
  }

  #sessionHost(): SessionHost {
    const { earlier } = this.#task
    return {
      agenda: this.#agenda,
      remap: this.#remap,
      rewrite: (sql) => this.#rewrite(sql),
      nowUs: this.#nowUs,
      types: {
        textOf: (typeOid, bytes) => this.#types.textOf(typeOid, bytes),
        canonicalizerOf: (typeOid) => this.#types.canonicalizerOf(typeOid),
      },
      connectOptions: { url: this.#task.targetUrl, timeoutMs: CONNECT_MS_MAX, parameters: this.#task.parameters },
      otherUrl: this.#task.otherUrl,
      defaults: this.#task.defaults,
      patienceMs: this.#task.patienceMs,
      outcomes: (lane, job, outcomes, doneUs) => this.#books.outcomes(lane, job, outcomes, doneUs),
      accounted: (script, fate) => this.#books.accounted(script, fate),
      incident: (what, detail) => this.#tell({ kind: 'incident', atUs: Math.round(this.#nowUs()), what, detail }),
      connected: (lane, backendPid) => {
        lane.openedUs = this.#started ? this.#nowUs() : 0
        Atomics.store(this.#task.progress.backendPids, lane.session, backendPid)
        const pool = this.#poolOf.get(lane.session)
        if (pool === undefined) return
        Atomics.store(this.#task.progress.wantsOf, lane.session, 0)
        Atomics.store(this.#task.progress.holdsOf, lane.session, 1 + pool.number)
      },
      wants: (lane) =>
        Atomics.store(this.#task.progress.wantsOf, lane.session, 1 + this.#poolOf.get(lane.session)!.number),
      letGo: (lane) => {
        Atomics.store(this.#task.progress.holdsOf, lane.session, 0)
        Atomics.store(this.#task.progress.backendPids, lane.session, 0)
      },
      cancelled: () => {
        this.#cancelled += 1
      },
      before: (seq) => fateOf(earlier?.notSent.get(seq)),
      afterChunk: () => this.#pump(),
    }
  }

  #addSessions(): void {
    const { sessions, originUs, pacing, startsUs } = this.#task
    const { speed } = pacing
    this.#makePools(this.#host)
    for (const [dense, session] of sessions) {
      const isDormant = this.#task.selection?.sends[dense] === 0
      const live = new LiveSession(
        createLane(dense, startsUs[dense]),
        session,
        this.#host,
        isDormant,
        this.#poolOf.get(dense)?.pool,
      )
      this.#sessions.set(dense, live)
      this.#agenda.add(live.lane)
      if (speed === 'max' || isDormant) continue
      const connectsUs = ramped(dueUs(Math.max(0, session.connectedUs - originUs), speed), pacing.rampUs)
      const atUs = connectsUs - OPEN_AHEAD_US
      this.#toOpen.push({ atUs, session: live })
    }
    this.#toOpen.sort((a, b) => a.atUs - b.atUs)
  }

  /** Without a schedule: in the order in which they come up, or in which the ramp lets them begin. */
  #openAtTurn(session: LiveSession): void {
    this.#toOpen.push({ atUs: session.lane.startUs - OPEN_AHEAD_US, session })
    if (this.#task.pacing.rampUs === 0) return
    const rest = this.#toOpen.splice(this.#openAt).sort((a, b) => a.atUs - b.atUs)
    this.#toOpen.push(...rest)
  }

  #told(message: ToWorker): void {
    switch (message.kind) {
      case 'start': {
        const sinceMs = Number(process.hrtime.bigint() - message.zeroNs) / 1e6
        this.#zeroMs = performance.now() - sinceMs
        this.#started = true
        this.#progress.onWake(() => this.#pump(true), this.#stop.signal)
        this.#pump()
        return
      }
      case 'written':
        this.#outbox.written()
        return
      case 'drain':
        this.#agenda.drain()
        this.#pump()
        return
      case 'types':
        this.#types = knownTypes(message.types)
        return
      case 'stop':
        if (this.#stop.signal.aborted) return
        for (const session of this.#sessions.values()) session.destroy()
        this.#loseUnread()
        this.#end()
        return
    }
  }

  /** What a replay that is stopped had not even read yet. */
  #loseUnread(): void {
    const lost = { kind: 'lost', reason: STOPPED } as const
    for (const { session, transaction } of this.#feed.begun) this.#books.tally.statement(session, transaction, lost)
    const sessions = this.#task.sessions.map(([, { session }]) => session)
    for (const rest of this.#recording.transactionsAfter(sessions, this.#feed.lastSeq)) {
      this.#books.tally.statement(rest.session, rest.transaction, lost, rest.statements)
    }
  }

  #pump(woken = false): void {
    if (!this.#started || this.#stop.signal.aborted) return
    if (this.#progress.pollWake() || woken) this.#agenda.woken()
    this.#agenda.paused = this.#outbox.isFull
    this.#agenda.run()
    this.#openDue()
    if (this.#agenda.isDone) {
      this.#end()
      return
    }
    if (!this.#reading && !this.#feed.hasEnded && this.#ahead < AHEAD_MIN) {
      this.#reading = true
      setImmediate(() => this.#read())
    }
    this.#arm()
  }

  #read(): void {
    this.#reading = false
    if (this.#stop.signal.aborted) return
    this.#feed.pull(AHEAD_CHUNK)
    this.#pump()
  }

  /** What waits for company goes out; and when nothing was sent since the last tick, a little more is read than usual. */
  #tick(): void {
    this.#outbox.flush()
    const stuck = this.#sent === this.#sentBefore && this.#ahead >= AHEAD_MIN && !this.#agenda.paused
    this.#sentBefore = this.#sent
    // What everybody waits for may stand further on in the recording than we have read.
    if (this.#started && stuck && !this.#feed.hasEnded) this.#read()
  }

  #openDue(): void {
    const now = this.#nowUs()
    while (this.#opening < OPENING_MAX && (this.#toOpen[this.#openAt]?.atUs ?? Number.POSITIVE_INFINITY) <= now) {
      void this.#openNext()
    }
  }

  async #openNext(): Promise<void> {
    const next = this.#toOpen[this.#openAt++]
    if (next === undefined) return
    this.#opening += 1
    await next.session.open()
    this.#opening -= 1
    this.#pump()
  }

  #arm(): void {
    const openUs = this.#opening < OPENING_MAX ? this.#toOpen[this.#openAt]?.atUs : undefined
    const nextUs = Math.min(this.#agenda.nextDueUs, openUs ?? Number.POSITIVE_INFINITY)
    // One that goes off too early costs less than setting it anew for every answer.
    if (nextUs >= this.#timerUs) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#timerUs = nextUs
    const waitMs = Math.max(0, (nextUs - this.#nowUs()) / 1000)
    this.#timer = setTimeout(
      () => {
        this.#timer = null
        this.#timerUs = Number.POSITIVE_INFINITY
        this.#pump()
      },
      Math.min(waitMs, TIMER_MS_MAX),
    )
  }

  #end(): void {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    if (this.#timer !== null) clearTimeout(this.#timer)
    clearInterval(this.#flushing)
    for (const { pool } of this.#poolOf.values()) pool.end()
    this.#scripts.return(undefined)
    this.#recording.close()
    this.#outbox.flush()
    this.#tell({
      kind: 'finished',
      result: {
        accounts: this.#books.tally.accounts(),
        cancelled: this.#cancelled,
        measured: this.#books.measures.result(),
        eventLoopUtilisationMax: this.#utilisation.stop(),
      },
    })
    this.#finished()
  }

  #tell(message: FromWorker): void {
    this.#port.postMessage(message)
  }
}

/** As it is kept in the run. */
function fateOf(reason: string | undefined): Fate | undefined {
  if (reason === undefined) return undefined
  return { kind: reason === LOST_CONNECTION ? 'lost' : 'skipped', reason }
}

/** Connections awaited before the start; a recording with thousands of sessions opens the rest as it goes. */
const FIRST_MAX = 64
/** Timers beyond 2^31 ms fire at once. */
const TIMER_MS_MAX = 3_600_000
