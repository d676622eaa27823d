/**
 * Replays a recording against a target: plans are given, workers send, this thread writes the run and keeps the accounts.
 *
 * One bad session never ends the replay; a target that is gone does. A replay that is stopped seals what it has, and says so.
 */

import { randomUUID } from 'node:crypto'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { workerFile } from '../../base/worker-file.js'
import type { CatalogType } from '../../segment/catalog.js'
import { openRecording, type RecordingReader } from '../../segment/recording.js'
import type { PassFacts, RunFacts, RunIsolation, RunRole, RunStart } from '../../segment/run.js'
import { createRun, goOnWithRun, type RunWriter } from '../../segment/run-file.js'
import { loadParser } from '../../sql/parse.js'
import type { RewriteSource } from '../rewrite/rewriter.js'
import type { Shut } from '../shadow/doors/keeper.js'
import { type Crew, crewOf } from './crew.js'
import { type Earlier, knowAgain, measuredEarlier } from './earlier.js'
import { domainNames } from './generated.js'
import { Guard } from './guard.js'
import { Injections } from './inject/injections.js'
import type { Prepared } from './inject/injector.js'
import { atRest, donePerSession } from './interruption.js'
import { STOPPED } from './live-session.js'
import { LockSampler } from './lock-sampler.js'
import { latencyFacts, type Measured, mergeMeasured, spreadOf } from './measures.js'
import { dueUs, type Pacing, ramped, rateOf, type Speed } from './pace.js'
import { createPairLog, Pairs } from './pairs.js'
import type { Plan } from './plan-shape.js'
import type { SharedProgress } from './progress.js'
import { factsOf } from './run-facts.js'
import { type Filter, NO_FILTER, type Selection, select } from './selection.js'
import { planSharing, type Sharing } from './sharing.js'
import { type ReplayState, type ReplayStatus, Totals } from './status.js'
import { type Accounts, Tally } from './tally.js'
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
  /** How long it takes to reach full speed. */
  readonly rampMs?: number
  /** Pause between an answer and the session's next statement, as a multiple of the recorded one; null: the recorded schedule. */
  readonly think?: number | null
  /** So many times over. The outcomes of the first are kept, of the others figures only. */
  readonly loop?: number
  /** Sessions share connections where nothing of them is left in one between transactions. */
  readonly maxConnections?: number
  readonly workers?: number
  readonly role?: RunRole
  readonly readOnly?: boolean
  /** What of the recording is sent; without it, everything. */
  readonly filter?: Filter & { readonly words: readonly string[] }
  readonly snapshotId?: string | null
  /** How that snapshot stands to the recording. */
  readonly start?: RunStart
  /** How the recorded statements read on the target. */
  readonly rewrite?: RewriteSource
  /** What is run beside it, and when. */
  readonly injections?: readonly Prepared[]
  /** Stop when one of them fails; otherwise that is only told. */
  readonly injectionsMustSucceed?: boolean
  readonly madeBy?: string
  /** Asked when the last answer is in: what became of the ways out of the shadow. */
  readonly isolation?: () => Promise<RunIsolation>
  /** Shuts ways out of the shadow that were opened by what was injected. */
  readonly shut?: Shut
  /** How long a target that is away may take to come back; then sessions are lost, and the replay with them. */
  readonly patienceMs?: number
  /** Stops it where it can be gone on with. */
  readonly signal?: AbortSignal
  /** Stops it at once. */
  readonly hurry?: AbortSignal
  /** How long transactions that are under way have to end when it is stopped. */
  readonly restMs?: number
  /** What the interrupted run at `out` had done: the replay goes on with it, on the same shadow (../shadow/left-off.ts). */
  readonly resume?: Earlier
  readonly onProgress?: (progress: ReplayProgress) => void
  /** Connect as the URL says, also where a Unix socket leads to the same server. */
  readonly asGiven?: boolean
  /** Is given the means to look at the replay while it runs. */
  readonly onBegin?: (status: () => ReplayStatus) => void
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
  /** Recorded time of the furthest statement, and of all. */
  readonly positionMs: number
  readonly spanMs: number
  /** Until the end, at the present rate or by the schedule; null: not known yet. */
  readonly etaMs: number | null
}

const INCIDENTS_MAX = 1000
/** A restart takes seconds. */
const PATIENCE_MS = 30_000
/** Between "go" and moment zero, so that every worker starts from the same one. */
const START_MS = 5
const REST_MS = 10_000

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
  readonly #pacing: Pacing
  readonly #accounts: Accounts[] = []
  readonly #incidents: { atUs: number; kind: string; detail: string }[] = []
  #ports: MessagePort[] = []
  #measured: Measured[] = []
  readonly #allMeasured: Measured[] = []
  readonly #passFacts: PassFacts[] = []
  /** Outcomes of later passes, which are counted and not written. */
  #repeated = 0
  #writer!: RunWriter
  #workers = 0
  /** By which workers connect. */
  #cancelled = 0
  #sharing: Sharing | null = null
  #url = ''
  #givenUrl = ''
  #types: readonly CatalogType[] = []
  #defaults: Readonly<Record<string, string>> = {}
  #readerRole = false
  #utilisationMax = 0
  #selection: Selection | null = null
  #injections!: Injections
  #stopFor: string | null = null
  /** From the first statement to the last answer, as recorded. */
  #spanUs = 0
  readonly #totals = new Totals()
  #state: ReplayState = 'connecting'
  #currentPass = 1
  #startedMs = 0
  #startedAtMs = 0
  /** When the last statement was over; what was injected may take longer. */
  #endedMs: number | null = null
  #failure: { readonly error: unknown } | null = null
  readonly #id = randomUUID()
  /** Where it came to rest when it was stopped, and the backends it had by then. */
  #leftOff: { readonly done: readonly number[]; readonly pids: readonly number[] } | null = null

  constructor(options: ReplayOptions, recording: RecordingReader, target: Target) {
    this.#options = options
    this.#recording = recording
    this.#target = target
    const { speed = 'max', rampMs = 0, think = null } = options
    this.#pacing = { speed, rampUs: rampMs * 1000, think }
  }

  async run(): Promise<RunFacts> {
    const { out, force = false, signal, filter, plan, target, loop = 1, maxConnections, resume } = this.#options
    const { injections = [], injectionsMustSucceed } = this.#options
    // Before anything is touched: nothing chosen is a mistake.
    if (filter !== undefined || maxConnections !== undefined || resume !== undefined) await loadParser()
    if (filter !== undefined || resume !== undefined)
      this.#selection = select(this.#recording, filter ?? NO_FILTER, resume?.done)
    // Whether the connections are enough does not depend on how many workers have them.
    if (maxConnections !== undefined) this.#share(1, this.#whoSends(), maxConnections)
    this.#injections = new Injections({
      prepared: injections,
      recording: this.#recording,
      plan,
      fates: this.#selection?.fates ?? null,
      passes: loop,
      url: target,
      target: this.#target,
      incident: (kind, detail) => this.#incident(kind, detail),
      failed: () => {
        if (injectionsMustSucceed !== true) return
        this.#stopFor = 'what was injected failed'
        this.#stop()
      },
      ended: () => void this.#readTypes(),
      shut: this.#options.shut ?? (async () => {}),
      open: () => {
        this.#stopFor = 'what was injected opened a way out of the shadow that cannot be shut'
        this.#stop()
      },
    })
    this.#writer = resume === undefined ? createRun(out, { force }) : goOnWithRun(out)
    if (resume !== undefined) this.#goOnWith(resume)
    await this.#target.takeUp()
    await this.#readTypes()
    await this.#chooseWay()
    this.#options.onBegin?.(() => this.#status())
    const sampler = await LockSampler.begin(
      this.#target,
      () => performance.now() - this.#startedMs,
      () => this.#injections.pids,
    )
    try {
      await this.#passes()
    } catch (error) {
      this.#failure ??= { error }
    }
    const locks = await sampler.end()
    if (this.#failure !== null) {
      this.#writer.abandon()
      throw this.#failure.error
    }
    this.#writeMapped()
    const isolation = await this.#isolation()
    if (signal?.aborted) this.#incident('interrupted', 'the replay was stopped before its end')
    else if (this.#stopFor !== null) this.#incident('interrupted', this.#stopFor)
    await this.#leaveOff()
    const found = this.#facts(
      this.#writer.settle(),
      this.#injections.facts(() => this.#writer.served()),
    )
    const facts = { ...found, locks, ...(isolation === undefined ? {} : { isolation }) }
    this.#writer.close(facts)
    return facts
  }

  async #isolation(): Promise<RunIsolation | undefined> {
    try {
      return await this.#options.isolation?.()
    } catch {
      this.#incident('isolation', 'how often the ways out were knocked at could not be read')
      return undefined
    }
  }

  #goOnWith(earlier: Earlier): void {
    this.#incident('resumed', 'the replay went on after an interruption', 0)
    knowAgain(earlier, new Pairs(this.#pairs), domainNames(this.#recording.manifest.catalog))
    this.#totals.statements = earlier.outcomes
    this.#allMeasured.push(...measuredEarlier(earlier))
  }

  /** Only what is whole can be gone on with: the first pass, and nothing that was injected. */
  async #leaveOff(): Promise<void> {
    const { loop = 1, injections = [] } = this.#options
    if (this.#leftOff === null) return
    if (loop > 1 || injections.length > 0 || !(await this.#target.leaveOff(this.#id, this.#leftOff.pids)))
      this.#leftOff = null
  }

  /** Binary values of users' types name types by oid, and the target has its own. */
  async #readTypes(): Promise<void> {
    const types = await this.#target.types()
    if (types === null) return
    this.#types = types
    this.#say({ kind: 'types', types })
  }

  /** As whom, and by which way, workers connect. */
  async #chooseWay(): Promise<void> {
    const { target, readOnly, asGiven } = this.#options
    this.#givenUrl = target
    if (readOnly === true) {
      const reader = await this.#target.readerRole()
      if (typeof reader === 'string') this.#incident('read-only by a setting alone', reader)
      else {
        this.#givenUrl = reader.url
        this.#defaults = reader.defaults
        this.#readerRole = true
      }
    }
    this.#url = asGiven === true ? this.#givenUrl : await this.#target.nearest(this.#givenUrl)
  }

  async #passes(): Promise<void> {
    const { plan, loop = 1, signal } = this.#options
    if (plan.statementCount === 0) {
      this.#begin()
      return
    }
    let pass = 1
    for (; pass <= loop && !this.#isStopped; pass++) await this.#pass(pass)
    for (; pass <= loop; pass++) this.#accounts.push(this.#neverBegun())
    this.#endedMs = performance.now()
    this.#state = 'finishing'
    const stop = (): void => this.#injections.stop()
    signal?.addEventListener('abort', stop, { once: true })
    await this.#injections.end(this.#isStopped)
    signal?.removeEventListener('abort', stop)
    // When the target has gone, every session was lost: that is no run.
    if (!signal?.aborted) await this.#target.stillThere()
  }

  get #isStopped(): boolean {
    return this.#failure !== null || this.#stopFor !== null || this.#options.signal?.aborted === true
  }

  async #pass(pass: number): Promise<void> {
    const { signal, hurry } = this.#options
    this.#currentPass = pass
    this.#state = 'connecting'
    const { tasks, workerOf, sharing } = this.#crew(pass)
    this.#sharing = sharing
    this.#workers = tasks.length
    this.#ports = []
    this.#measured = []
    const pool = new Piscina({
      filename: workerFile(import.meta.url, './replay.worker.js'),
      minThreads: tasks.length,
      maxThreads: tasks.length,
      // A worker that has nothing to do must not block its thread: its sockets live there.
      atomics: 'disabled',
    })
    const stop = (): void => void this.#rest(tasks[0]!.progress)
    const stopNow = (): void => this.#stop()
    let guard: Guard | null = null
    const before = this.#totals.statements
    try {
      const crew = tasks.map((task) => this.#employ(pool, task))
      signal?.addEventListener('abort', stop, { once: true })
      hurry?.addEventListener('abort', stopNow, { once: true })
      if (signal?.aborted) stopNow()
      const working = Promise.all(crew.map(({ finished }) => finished))
      // Whoever fails or is stopped ends the replay, also while others are still getting ready.
      await Promise.race([Promise.all(crew.map(({ ready }) => ready)), working])
      const zeroMs = this.#begin()
      this.#state = 'replaying'
      this.#injections.begin(pass, tasks[0]!.progress, tasks.length, this.#startedMs)
      guard = this.#guard(tasks[0]!.progress, workerOf)
      await working
      this.#passed(pass, performance.now() - zeroMs, this.#totals.statements - before)
    } finally {
      guard?.stop()
      this.#injections.endPass()
      signal?.removeEventListener('abort', stop)
      hurry?.removeEventListener('abort', stopNow)
      for (const port of this.#ports) port.close()
      await pool.destroy()
    }
  }

  #whoSends(): (dense: number) => boolean {
    const { session, statementCount } = this.#options.plan
    const has = new Set(session.subarray(0, statementCount))
    return (dense) => has.has(dense) && this.#selection?.sends[dense] !== 0
  }

  #share(workers: number, sends: (dense: number) => boolean, connections: number): Sharing {
    const sessions = this.#recording.sessions()
    const scripts = this.#recording.scripts(sessions.map(({ session }) => session))
    return planSharing({ sessions, scripts, sends }, connections, workers)
  }

  /** Comes to rest if it can, and stops. */
  async #rest(progress: SharedProgress): Promise<void> {
    const { restMs = REST_MS, hurry, plan } = this.#options
    if (this.#state === 'replaying') {
      this.#say({ kind: 'drain' })
      const isOver = () => this.#failure !== null || hurry?.aborted === true
      if (await atRest(progress, restMs, isOver)) {
        const pids = [...progress.backendPids].filter((pid) => pid !== 0)
        const done = donePerSession(plan, progress)
        this.#leftOff = done && { done, pids }
      }
    }
    this.#stop()
  }

  /** Everybody hangs up, and says what is not over. */
  #stop(): void {
    this.#say({ kind: 'stop' })
    this.#injections.stop()
  }

  #passed(pass: number, elapsedMs: number, statements: number): void {
    const measured = mergeMeasured(this.#measured)
    this.#allMeasured.push(measured)
    if (pass > 1) this.#repeated += statements
    const { service, response } = latencyFacts(measured)
    this.#passFacts.push({
      pass,
      elapsedUs: Math.round(elapsedMs * 1000),
      statements: measured.statements,
      errors: measured.errors,
      service: spreadOf(service),
      response: spreadOf(response),
    })
  }

  /** The accounts of a pass that was stopped before it began: everything is lost, counted in the recording. */
  #neverBegun(): Accounts {
    const tally = new Tally()
    const sessions = this.#recording.sessions().map(({ session }) => session)
    for (const { session, transaction, statements } of this.#recording.transactionsAfter(sessions, -1)) {
      tally.statement(session, transaction, { kind: 'lost', reason: STOPPED }, statements)
    }
    return tally.accounts()
  }

  #crew(pass: number): Crew {
    const { plan, recording, ratePerSecondMax, readOnly, workers, rewrite, patienceMs, maxConnections, resume } =
      this.#options
    return crewOf(
      plan,
      this.#recording.sessions(),
      this.#selection,
      workers,
      {
        recordingPath: recording,
        pairs: pass === 1 ? this.#pairs : createPairLog(),
        originUs: this.#originUs(),
        pacing: this.#pacing,
        keepsOutcomes: pass === 1,
        rate: ratePerSecondMax === undefined ? null : sharedRate(ratePerSecondMax),
        targetUrl: this.#url,
        otherUrl: this.#givenUrl,
        types: this.#types,
        defaults: this.#defaults,
        rewrite: rewrite ?? null,
        parameters: readOnly ? { default_transaction_read_only: 'on' } : {},
        patienceMs: patienceMs ?? PATIENCE_MS,
        earlier: resume === undefined ? null : { elapsedUs: resume.facts.elapsedUs, notSent: resume.notSent },
      },
      maxConnections === undefined ? null : (crew, sends) => this.#share(crew, sends, maxConnections),
    )
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
        else this.#heard(message, port1, task.worker)
      })
    })
    const worked = pool.run({ ...task, port: port2 }, { transferList: [port2] })
    const finished = Promise.all([result, worked]).then(
      ([{ accounts, measured, cancelled, eventLoopUtilisationMax }]) => {
        this.#cancelled += cancelled
        this.#measured.push(measured)
        this.#accounts.push(accounts)
        this.#utilisationMax = Math.max(this.#utilisationMax, eventLoopUtilisationMax)
      },
    )
    return { ready, finished }
  }

  #heard(message: Exclude<FromWorker, { kind: 'ready' | 'finished' }>, port: MessagePort, worker: number): void {
    try {
      switch (message.kind) {
        case 'rows': {
          this.#writer.writeEncoded(message.buffer)
          port.postMessage({ kind: 'written' } satisfies ToWorker)
          this.#take(worker, message.news)
          return
        }
        case 'news':
          this.#take(worker, message.news)
          return
        case 'skipped':
          this.#totals.notSent += message.statements.length
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

  #take(worker: number, news: News): void {
    this.#totals.take(worker, news)
    this.#report()
  }

  /** Returns moment zero of the pass. */
  #begin(): number {
    const zeroMs = performance.now() + START_MS
    if (this.#startedMs === 0) {
      this.#startedMs = zeroMs
      this.#startedAtMs = Date.now() + START_MS
    }
    this.#say({ kind: 'start', zeroNs: process.hrtime.bigint() + BigInt(START_MS * 1e6) })
    return zeroMs
  }

  #guard(progress: SharedProgress, workerOf: readonly number[]): Guard {
    const sessions = this.#recording.sessions()
    return new Guard({
      progress,
      ordinals: this.#options.plan.ordinal,
      workerOf,
      target: this.#target,
      injected: () => this.#injections.pids,
      completed: () => this.#totals.over,
      unscheduled: this.#pacing.speed === 'max',
      released: ({ session, index }, why) => {
        const [id, ordinal] = [sessions[session]!.session, this.#options.plan.ordinal[index]!]
        this.#incident('order relaxed', `statement ${ordinal} of session ${id} was sent early: ${why}`)
      },
      failed: (error) => {
        this.#fail(error)
      },
    })
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#stop()
  }

  #say(message: ToWorker): void {
    for (const port of this.#ports) port.postMessage(message)
  }

  #status(): ReplayStatus {
    const { plan, loop = 1 } = this.#options
    const totals = this.#totals
    return {
      state: this.#state,
      pass: this.#currentPass,
      statements: {
        total: plan.statementCount * loop,
        replayed: totals.statements,
        filtered: totals.filtered,
        notSent: totals.notSent,
      },
      errors: totals.errors,
      orderRelaxed: totals.relaxed,
      perSecond: totals.perSecond(performance.now()),
      positionUs: totals.offsetUs,
      spanUs: this.#spanUs,
      lateUsMax: totals.lateUsMax,
      lateness: totals.lateness,
      service: { counts: totals.counts, sumUs: totals.serviceUs },
      utilisation: totals.utilisation,
      injected: this.#injections.pids.length,
    }
  }

  #report(): void {
    const { onProgress } = this.#options
    if (onProgress === undefined) return
    const status = this.#status()
    const elapsedMs = this.#elapsedMs()
    const { over } = this.#totals
    const overall = elapsedMs > 0 ? (over * 1000) / elapsedMs : 0
    onProgress({
      done: over,
      total: status.statements.total,
      elapsedMs,
      perSecond: status.perSecond || overall,
      errors: status.errors,
      orderRelaxed: status.orderRelaxed,
      lateMsMax: status.lateUsMax / 1000,
      positionMs: status.positionUs / 1000,
      spanMs: status.spanUs / 1000,
      etaMs: this.#etaMs(status.statements.total - over, overall, elapsedMs),
    })
  }

  /** By the schedule where there is one, unless the replay cannot keep up with it. */
  #etaMs(left: number, perSecond: number, elapsedMs: number): number | null {
    const { speed, rampUs, think } = this.#pacing
    const { loop = 1 } = this.#options
    if (perSecond === 0) return null
    if (speed === 'max' || think !== null || loop > 1) return (left * 1000) / perSecond
    const due = (us: number) => ramped(dueUs(us, speed), rampUs) / 1000
    const behindMs = Math.max(0, elapsedMs - due(this.#totals.offsetUs))
    return Math.max(0, due(this.#spanUs) - elapsedMs) + behindMs
  }

  #elapsedMs(): number {
    return this.#startedMs === 0 ? 0 : Math.max(0, (this.#endedMs ?? performance.now()) - this.#startedMs)
  }

  #incident(kind: string, detail: string, atUs = Math.round(this.#elapsedMs() * 1000)): void {
    const beforeUs = this.#options.resume?.facts.elapsedUs ?? 0
    if (this.#incidents.length < INCIDENTS_MAX) this.#incidents.push({ atUs: beforeUs + atUs, kind, detail })
  }

  #facts(outcomesWritten: number, injections: RunFacts['injections']): RunFacts {
    return factsOf({
      id: this.#id,
      options: this.#options,
      pacing: this.#pacing,
      recordingId: this.#recording.manifest.id,
      recordedTransactions: this.#recording.manifest.ledger.kept.transactions,
      target: this.#target.facts,
      types: this.#types,
      workers: this.#workers,
      readerRole: this.#readerRole,
      viaSocket: this.#url !== this.#givenUrl,
      selection: this.#selection,
      sharing: this.#sharing,
      startedAtMs: this.#startedAtMs,
      elapsedUs: Math.round(this.#elapsedMs() * 1000),
      outcomes: outcomesWritten + this.#repeated,
      accounts: this.#accounts,
      measured: this.#allMeasured,
      utilisationMax: this.#utilisationMax,
      orderRelaxed: this.#totals.relaxed,
      incidents: this.#incidents,
      cancelled: this.#cancelled,
      leftOff: this.#leftOff?.done ?? null,
      passes: this.#passFacts,
      injections,
    })
  }
}

function sharedRate(perSecondMax: number): WorkerTask['rate'] {
  return { rate: rateOf(perSecondMax), fullAtNs: new BigInt64Array(new SharedArrayBuffer(8)) }
}
