/**
 * Replays a recording against a target: plans are given, workers send, this thread writes the run and keeps the accounts.
 *
 * One bad session never ends the replay; a target that is gone does. A replay that is stopped seals what it has, and says so.
 */

import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { EXIT, HarnessError } from '../../base/errors.js'
import { workerFile } from '../../base/worker-file.js'
import type { Count } from '../../segment/ledger.js'
import { openRecording, type RecordingReader } from '../../segment/recording.js'
import { type Injection, RUN_FORMAT_VERSION, type RunFacts, type RunRole } from '../../segment/run.js'
import { createRun, type RunWriter } from '../../segment/run-file.js'
import type { Session } from '../../segment/statement.js'
import { loadParser } from '../../sql/parse.js'
import type { RewriteSource } from '../rewrite/rewriter.js'
import { balance } from './balance.js'
import { positionsOf } from './feed.js'
import { domainNames } from './generated.js'
import { Guard } from './guard.js'
import { type Injected, Injector, type Prepared } from './inject/injector.js'
import { latencyAround } from './inject/latency-around.js'
import { type Due, Schedule } from './inject/schedule.js'
import { rateOf, type Speed } from './pace.js'
import { createPairLog, Pairs } from './pairs.js'
import type { Plan } from './plan-shape.js'
import { createProgress, Progress, type SharedProgress } from './progress.js'
import { type Filter, type Selection, select } from './selection.js'
import { type Accounts, ledgerOf } from './tally.js'
import { Target } from './target.js'
import type { FromWorker, News, ToWorker, WorkerResult, WorkerTask } from './task.js'

export type ReplayOptions = {
  readonly recording: string
  readonly plan: Plan
  /** URL of the shadow. Whether it may be dirtied has been asked before. */
  readonly target: string
  readonly out: string
  readonly force?: boolean
  readonly speed?: Speed
  /** Statements per second, over all sessions. */
  readonly ratePerSecondMax?: number
  readonly workers?: number
  readonly role?: RunRole
  readonly readOnly?: boolean
  /** What of the recording is sent; without it, everything. */
  readonly filter?: Filter & { readonly words: readonly string[] }
  readonly snapshotId?: string | null
  /** How the recorded statements read on the target. */
  readonly rewrite?: RewriteSource
  /** What is run beside it, and when. */
  readonly injections?: readonly Prepared[]
  /** Stop when one of them fails; otherwise that is only told. */
  readonly injectionsMustSucceed?: boolean
  readonly madeBy?: string
  /** How long a target that is away may take to come back; then sessions are lost, and the replay with them. */
  readonly patienceMs?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: ReplayProgress) => void
}

export type ReplayProgress = {
  readonly done: number
  readonly total: number
  readonly elapsedMs: number
  readonly perSecond: number
  readonly errors: number
  readonly orderRelaxed: number
  /** Worst of the last moments. */
  readonly lateMsMax: number
  /** Until the end, at the present rate or by the schedule; null: not known yet. */
  readonly etaMs: number | null
}

const INCIDENTS_MAX = 1000
/** A restart takes seconds. */
const PATIENCE_MS = 30_000
/** Between "go" and moment zero, so that every worker starts from the same one. */
const START_MS = 5

export async function replay(options: ReplayOptions): Promise<RunFacts> {
  const target = await Target.connect(options.target, options.patienceMs ?? PATIENCE_MS)
  const recording = openRecording(options.recording)
  try {
    return await new Replay(options, recording, target).run()
  } finally {
    recording.close()
    await target.close()
  }
}

class Replay {
  readonly #options: ReplayOptions
  readonly #recording: RecordingReader
  readonly #target: Target
  readonly #speed: Speed
  readonly #accounts: Accounts[] = []
  readonly #incidents: { atUs: number; kind: string; detail: string }[] = []
  readonly #ports: MessagePort[] = []
  #writer!: RunWriter
  #workers = 0
  /** Of each session, by its dense index. */
  #workerOf: readonly number[] = []
  #utilisationMax = 0
  #selection: Selection | null = null
  #due: readonly { readonly due: Due; readonly item: Prepared }[] = []
  readonly #injected: Injected[] = []
  #stopFor: string | null = null
  #done = 0
  #skipped = 0
  #filtered = 0
  #errors = 0
  #relaxed = 0
  #offsetUs = 0
  /** From the first statement to the last answer, as recorded. */
  #spanUs = 0
  #startedMs = 0
  #startedAtMs = 0
  /** When the last statement was over; what was injected may take longer. */
  #endedMs: number | null = null
  #failure: { readonly error: unknown } | null = null

  constructor(options: ReplayOptions, recording: RecordingReader, target: Target) {
    this.#options = options
    this.#recording = recording
    this.#target = target
    this.#speed = options.speed ?? 'max'
  }

  async run(): Promise<RunFacts> {
    const { out, force = false, signal, filter } = this.#options
    // Before anything is touched: nothing chosen is a mistake.
    if (filter !== undefined) {
      await loadParser()
      this.#selection = select(this.#recording, filter)
    }
    this.#due = this.#dueInjections()
    this.#writer = createRun(out, { force })
    try {
      await this.#replay()
    } catch (error) {
      this.#failure ??= { error }
    }
    if (this.#failure !== null) {
      this.#writer.abandon()
      throw this.#failure.error
    }
    this.#writeMapped()
    if (signal?.aborted) this.#incident('interrupted', 'the replay was stopped before its end')
    else if (this.#stopFor !== null) this.#incident('interrupted', this.#stopFor)
    const facts = this.#facts(this.#writer.settle(), this.#injections())
    this.#writer.close(facts)
    return facts
  }

  async #replay(): Promise<void> {
    const { plan, signal } = this.#options
    if (plan.statementCount === 0) {
      this.#begin()
      return
    }
    const tasks = this.#tasks()
    const pool = new Piscina({
      filename: workerFile(import.meta.url, './replay.worker.js'),
      minThreads: tasks.length,
      maxThreads: tasks.length,
      // A worker that has nothing to do must not block its thread: its sockets live there.
      atomics: 'disabled',
    })
    const stop = (): void => this.#say({ kind: 'stop' })
    const injector = this.#injector(tasks[0]!.progress, stop)
    const stopInjected = (): void => void injector.stop()
    const schedule = new Schedule(new Progress(tasks[0]!.progress, tasks.length), (item: Prepared) =>
      injector.inject(item),
    )
    let guard: Guard | null = null
    try {
      const crew = tasks.map((task) => this.#employ(pool, task))
      signal?.addEventListener('abort', stop, { once: true })
      signal?.addEventListener('abort', stopInjected, { once: true })
      if (signal?.aborted) stop()
      const working = Promise.all(crew.map(({ finished }) => finished))
      // Whoever fails or is stopped ends the replay, also while others are still getting ready.
      await Promise.race([Promise.all(crew.map(({ ready }) => ready)), working])
      this.#begin()
      schedule.start(this.#due, START_MS)
      guard = this.#guard(tasks, stop, injector)
      await working
      this.#endedMs = performance.now()
      for (const missed of schedule.end()) this.#notReached(missed)
      if (signal?.aborted || this.#failure !== null) await injector.stop()
      await injector.settled()
      // When the target has gone, every session was lost: that is no run.
      if (!signal?.aborted) await this.#target.stillThere()
    } finally {
      guard?.stop()
      schedule.end()
      if (this.#failure !== null) stopInjected()
      signal?.removeEventListener('abort', stop)
      signal?.removeEventListener('abort', stopInjected)
      for (const port of this.#ports) port.close()
      await pool.destroy()
    }
  }

  #injector(progress: SharedProgress, stop: () => void): Injector {
    const sessions = this.#recording.sessions()
    return new Injector({
      url: this.#options.target,
      versionNum: this.#target.facts.versionNum,
      nowUs: () => (performance.now() - this.#startedMs) * 1000,
      whose: {
        sessionOf: (pid) => sessions[progress.backendPids.indexOf(pid)]?.session ?? null,
        ours: () => [...progress.backendPids, this.#target.backendPid],
      },
      ended: (injected) => {
        this.#injected.push(injected)
        if (injected.outcome !== 'failed') return
        this.#incident('injection failed', `${injected.what} at ${injected.at}: ${injected.error!.message}`)
        if (this.#options.injectionsMustSucceed !== true) return
        this.#stopFor = 'what was injected failed'
        stop()
      },
    })
  }

  #notReached({ at, what }: Prepared): void {
    const nothing = {
      error: null,
      startedUs: null,
      endedUs: null,
      statements: [],
      locks: [],
      heldUp: [],
      waitedFor: [],
    }
    this.#injected.push({ at, what, outcome: 'not reached', ...nothing })
    this.#incident('injection not reached', `${what} at ${at}: the replay was over before`)
  }

  #dueInjections(): { due: Due; item: Prepared }[] {
    const { plan, injections = [] } = this.#options
    const sent = () => this.#selection?.fates.subarray(0, plan.statementCount)
    return injections.map((item) => {
      const { moment } = item
      if (moment.kind === 'time') return { due: moment, item }
      if (moment.kind === 'statement') return { due: placeOf(moment.seq, this.#recording), item }
      const index = indexAtShare(moment.share, plan.statementCount, sent())
      if (index === null) return { due: { kind: 'time', afterMs: 0 }, item }
      return { due: { kind: 'place', session: plan.session[index]!, ordinal: plan.ordinal[index]! }, item }
    })
  }

  #tasks(): WorkerTask[] {
    const { plan, recording, target, ratePerSecondMax, readOnly } = this.#options
    const positions = positionsOf(plan)
    const sessions = this.#recording.sessions()
    const statements = sessions.map((_, dense) => positions.start[dense + 1]! - positions.start[dense]!)
    const busy = statements.filter((count) => count > 0).length
    const workers = Math.max(1, Math.min(this.#options.workers ?? availableParallelism(), busy))
    this.#workers = workers
    this.#workerOf = balance(statements, workers)
    // The one more is this thread, which may want to know when a statement has completed.
    const progress = createProgress(plan.sessionCount, workers + 1)
    // Nobody waits for what will never come.
    for (let dense = 0; dense < plan.sessionCount; dense++) {
      if (statements[dense] === 0) progress.completed[dense] = progress.snapshots[dense] = 0x7fffffff
    }
    const originUs = this.#originUs()
    const rate = ratePerSecondMax === undefined ? null : sharedRate(ratePerSecondMax)
    return Array.from({ length: workers }, (_, worker) => ({
      worker,
      recordingPath: recording,
      plan,
      positions,
      progress,
      pairs: this.#pairs,
      sessions: sessions.flatMap((session, dense): [number, Session][] =>
        this.#workerOf[dense] === worker && statements[dense]! > 0 ? [[dense, session]] : [],
      ),
      originUs,
      selection: this.#selection && { fates: this.#selection.fates, sends: this.#selection.sends },
      speed: this.#speed,
      rate,
      targetUrl: target,
      rewrite: this.#options.rewrite ?? null,
      parameters: readOnly ? { default_transaction_read_only: 'on' } : {},
      patienceMs: this.#options.patienceMs ?? PATIENCE_MS,
    }))
  }

  readonly #pairs = createPairLog()
  /** What this run has in place of production's generated values. */
  #writeMapped(): void {
    const names = domainNames(this.#recording.manifest.catalog)
    const mapped = [...new Pairs(this.#pairs).all()].map(({ domain, ...pair }) => ({
      domain: names[domain] ?? '',
      ...pair,
    }))
    this.#writer.mapped(mapped)
  }

  /** Moment zero of the schedule: the first statement that was chosen. */
  #originUs(): number {
    if (this.#selection !== null) {
      const { firstUs, lastUs } = this.#selection
      this.#spanUs = lastUs - firstUs
      return firstUs
    }
    for (const { sentUs } of this.#recording.statements()) {
      this.#spanUs = Math.max(0, this.#recording.lastDoneUs - sentUs)
      return sentUs
    }
    return 0
  }

  #employ(pool: Piscina, task: WorkerTask): { ready: Promise<void>; finished: Promise<void> } {
    const { port1, port2 } = new MessageChannel()
    this.#ports.push(port1)
    let onReady = (): void => {}
    const ready = new Promise<void>((resolve) => {
      onReady = resolve
    })
    const result = new Promise<WorkerResult>((resolve) => {
      port1.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') onReady()
        else if (message.kind === 'finished') resolve(message.result)
        else this.#heard(message, port1)
      })
    })
    const worked = pool.run({ ...task, port: port2 }, { transferList: [port2] })
    const finished = Promise.all([result, worked]).then(([{ accounts, eventLoopUtilisationMax }]) => {
      this.#accounts.push(accounts)
      this.#utilisationMax = Math.max(this.#utilisationMax, eventLoopUtilisationMax)
    })
    return { ready, finished }
  }

  #heard(message: Exclude<FromWorker, { kind: 'ready' | 'finished' }>, port: MessagePort): void {
    try {
      switch (message.kind) {
        case 'rows': {
          this.#writer.writeEncoded(message.buffer)
          port.postMessage({ kind: 'written' } satisfies ToWorker)
          this.#take(message.news)
          return
        }
        case 'news':
          this.#take(message.news)
          return
        case 'skipped':
          this.#skipped += message.statements.length
          this.#writer.skip(message.statements)
          return
        case 'rewritten':
          this.#writer.rewritten(message.text)
          return
        case 'incident':
          this.#incident(message.what, message.detail, message.atUs)
          return
      }
    } catch (error) {
      // The run cannot be written: nothing that follows would be kept.
      this.#fail(error)
    }
  }

  #take({ statements, filtered, errors, relaxed, offsetUs, lateUsMax }: News): void {
    this.#done += statements
    this.#filtered += filtered
    this.#errors += errors
    this.#relaxed += relaxed
    this.#offsetUs = Math.max(this.#offsetUs, offsetUs)
    this.#report(lateUsMax)
  }

  /** Statements of which it is known what became of them. */
  get #over(): number {
    return this.#done + this.#skipped + this.#filtered
  }

  #begin(): void {
    this.#startedMs = performance.now() + START_MS
    this.#startedAtMs = Date.now() + START_MS
    this.#say({ kind: 'start', zeroNs: process.hrtime.bigint() + BigInt(START_MS * 1e6) })
  }

  #guard(tasks: readonly WorkerTask[], stop: () => void, injector: Injector): Guard {
    const sessions = this.#recording.sessions()
    return new Guard({
      progress: tasks[0]!.progress,
      ordinals: this.#options.plan.ordinal,
      workerOf: this.#workerOf,
      target: this.#target,
      injected: () => injector.pids,
      completed: () => this.#over,
      unscheduled: this.#speed === 'max',
      released: ({ session, index }, why) => {
        const [id, ordinal] = [sessions[session]!.session, this.#options.plan.ordinal[index]!]
        this.#incident('order relaxed', `statement ${ordinal} of session ${id} was sent early: ${why}`)
      },
      failed: (error) => {
        this.#failure ??= { error }
        stop()
      },
    })
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#say({ kind: 'stop' })
  }

  #say(message: ToWorker): void {
    for (const port of this.#ports) port.postMessage(message)
  }

  #report(lateUs: number): void {
    const { onProgress, plan } = this.#options
    if (onProgress === undefined) return
    const elapsedMs = this.#elapsedMs()
    const done = this.#over
    const perSecond = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0
    onProgress({
      done,
      total: plan.statementCount,
      elapsedMs,
      perSecond,
      errors: this.#errors,
      orderRelaxed: this.#relaxed,
      lateMsMax: lateUs / 1000,
      etaMs: this.#etaMs(plan.statementCount - done, perSecond, elapsedMs),
    })
  }

  /** By the schedule where there is one, unless the replay cannot keep up with it. */
  #etaMs(left: number, perSecond: number, elapsedMs: number): number | null {
    if (perSecond === 0) return null
    if (this.#speed === 'max') return (left * 1000) / perSecond
    const behindMs = Math.max(0, elapsedMs - this.#offsetUs / this.#speed / 1000)
    return Math.max(0, this.#spanUs / this.#speed / 1000 - elapsedMs) + behindMs
  }

  #elapsedMs(): number {
    return this.#startedMs === 0 ? 0 : Math.max(0, (this.#endedMs ?? performance.now()) - this.#startedMs)
  }

  #incident(kind: string, detail: string, atUs = Math.round(this.#elapsedMs() * 1000)): void {
    if (this.#incidents.length < INCIDENTS_MAX) this.#incidents.push({ atUs, kind, detail })
  }

  /** With the latency around each. */
  #injections(): Injection[] {
    if (this.#injected.length === 0) return []
    const latency = latencyAround(this.#injected, this.#writer.served())
    return this.#injected.map((one, i) => ({ ...one, latency: latency[i]! }))
  }

  #facts(outcomesWritten: number, injections: readonly Injection[]): RunFacts {
    const { role, recording, plan, snapshotId, readOnly, madeBy, filter } = this.#options
    return {
      format: 'pgrehearse run',
      formatVersion: RUN_FORMAT_VERSION,
      id: randomUUID(),
      madeBy: madeBy ?? 'pgrehearse',
      role: role ?? 'replay',
      recordingId: this.#recording.manifest.id,
      recordingPath: recording,
      target: this.#target.facts,
      snapshotId: snapshotId ?? null,
      settings: {
        speed: this.#speed,
        order: plan.mode,
        workers: this.#workers,
        readOnly: readOnly ?? false,
        rewriteHash: this.#options.rewrite?.hash ?? null,
        ...(filter === undefined ? {} : { filter: filter.words }),
      },
      startedAtMs: this.#startedAtMs,
      elapsedUs: Math.round(this.#elapsedMs() * 1000),
      ledger: ledgerOf(this.#seen(), outcomesWritten, this.#accounts),
      eventLoopUtilisationMax: this.#utilisationMax,
      orderRelaxed: this.#relaxed,
      incidents: this.#incidents,
      ...(injections.length === 0 ? {} : { injections }),
    }
  }

  /** What there is to replay: the plan's statements, and the transactions that the recorder counted. */
  #seen(): Count {
    const { transactions } = this.#recording.manifest.ledger.kept
    return { statements: this.#options.plan.statementCount, transactions }
  }
}

function sharedRate(perSecondMax: number): WorkerTask['rate'] {
  return { rate: rateOf(perSecondMax), fullAtNs: new BigInt64Array(new SharedArrayBuffer(8)) }
}

/** Where a statement stands in its session. */
function placeOf(seq: number, recording: RecordingReader): Due {
  const statement = recording.statement(seq)
  if (statement === undefined) {
    throw new HarnessError({
      code: 'NO_SUCH_STATEMENT',
      message: `--inject names statement #${seq}, which is not in the recording`,
      exit: EXIT.usage,
    })
  }
  const session = recording.sessions().findIndex((one) => one.session === statement.session)
  return { kind: 'place', session, ordinal: statement.ordinal }
}

/** The statement by which so much of what is sent is over; null: before the first one. */
function indexAtShare(share: number, count: number, fates: Uint8Array | undefined): number | null {
  const all = fates === undefined ? count : fates.reduce((sum, fate) => sum + (fate === 0 ? 1 : 0), 0)
  let left = Math.floor(all * share)
  if (left === 0) return null
  if (fates === undefined) return left - 1
  for (let i = 0; i < count; i++) if (fates[i] === 0 && --left === 0) return i
  return count - 1
}
