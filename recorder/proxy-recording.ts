/**
 * A recording that runs: the handles an operator has on it, and what ends it by itself (a limit, the circuit breaker, the death of
 * the drain). Whatever happens to it, connections live on.
 */
import type { EventEmitter } from 'node:events'
import type { Manifest } from '../segment/manifest.js'
import type { Incident } from '../segment/segment-writer.js'
import { CountNews, NOT_FOLLOWED, RING_FULL } from './count-news.js'
import { type DrainThread, finishInterrupted } from './drain/thread.js'
import type { Decision } from './guard/breaker.js'
import { Guard } from './guard/guard.js'
import { type Thresholds, USUAL_THRESHOLDS } from './guard/vitals.js'
import { addressText } from './listen.js'
import { RateMeter, type Totals } from './rates.js'
import type { ProxyState, ProxyStatus } from './status.js'
import type { Tap } from './tap/listener.js'
import type { RingProducer } from './tap/ring.js'
import { CELL, CHOSEN, PASSING, PASSING_WORDS, type Tally } from './tap/tally.js'
import type { connectOwn } from './upstream-url.js'

/** What a recording that runs has to know of how it was asked for. */
export type RunOptions = {
  /** Folder of the recording. */
  readonly out: string
  /** The recording is sealed when one is reached; connections live on. */
  readonly durationMsMax?: number
  readonly recordingBytesMax?: number
  readonly recordingStatementsMax?: number
  /** When the circuit breaker trips; the usual ones without them. */
  readonly thresholds?: Thresholds
  /** How long all must be well before it closes, the first time. */
  readonly closeAfterMs?: number
}

export type StopOptions = {
  /** Keep forwarding when the recording is sealed. */
  readonly keepConnections?: boolean
  /** How long open transactions may take to end. */
  readonly graceMs?: number
}

export type ProxyEvents = { incident: [Incident]; ended: [ProxyState] }

const GRACE_MS = 5000
const TICK_MS = 100

type Parts = {
  readonly tap: Tap
  readonly ring: RingProducer
  readonly tally: Tally
  readonly drain: DrainThread
  readonly events: EventEmitter<ProxyEvents>
  /** By the clock on the wall, once: it may jump. */
  readonly startedAtMs: number
  readonly nowUs: () => number
  readonly connectOwn: () => ReturnType<typeof connectOwn>
}

export class ProxyRecording {
  readonly path: string
  /** Where it listens: of use when asked for port 0. */
  readonly port: number
  readonly listen: readonly string[]
  readonly #options: RunOptions
  readonly #parts: Parts
  readonly #tick: NodeJS.Timeout
  readonly #rates = new RateMeter()
  readonly #ringNews = new CountNews()
  readonly #brokenNews = new CountNews()
  readonly #guard: Guard
  #state: ProxyState = 'recording'
  #stopped: Promise<Manifest | null> | null = null
  #hurry: () => void = () => {}

  constructor(options: RunOptions, parts: Parts) {
    this.path = options.out
    this.port = parts.tap.port
    this.listen = parts.tap.addresses.map(addressText)
    this.#options = options
    this.#parts = parts
    this.#tick = setInterval(() => this.#look(), TICK_MS)
    this.#tick.unref()
    this.#guard = new Guard(this.#guardHost())
    void parts.drain.ended.then((manifest) => {
      if (manifest === null && this.#state !== 'killed') this.#drainDied()
    })
  }

  /** `incident`: something a person should know. `ended`: nothing is recorded any more. */
  get events(): EventEmitter<ProxyEvents> {
    return this.#parts.events
  }

  status(): ProxyStatus {
    const { tap, ring, tally, drain, nowUs } = this.#parts
    return {
      state: this.#state,
      recordingId: drain.id,
      path: this.path,
      port: this.port,
      listen: this.listen,
      elapsedMs: Math.round(nowUs() / 1000),
      connections: tap.connections,
      statementsSeen: tally.read(CELL.executionsSeen),
      statementsKept: tally.read(CELL.statementsKept),
      statementsLost: tally.read(CELL.statementsLost),
      statementsFiltered: tally.read(CELL.statementsFiltered),
      statementsPassed: tally.executionsPassed(),
      passed: tally.passedByReason(),
      sessionsBroken: tally.read(CELL.sessionsBroken),
      transactionsKept: tally.read(CELL.transactionsKept),
      transactionsLost: tally.read(CELL.transactionsLost),
      recordingBytes: tally.read(CELL.recordingBytes),
      rates: this.#rates.rates(nowUs(), this.#totals()),
      drainLagMs: ring.usedBytes === 0 ? 0 : Math.max(0, Math.round((nowUs() - tally.read(CELL.drainedUs)) / 1000)),
      held: tap.stopwatch.held(),
      breaker: this.#guard.status(),
      ring: { usedBytes: ring.usedBytes, usedBytesMax: ring.usedBytesMax, sizeBytes: ring.sizeBytes },
    }
  }

  /** Each session at its next transaction boundary. */
  pause(): void {
    if (this.#state !== 'recording' && this.#state !== 'tripped') return
    this.#state = 'paused'
    this.#guard.reset()
    this.#parts.tap.pause()
    this.#note('pause', 'asked for')
  }

  /** Also when the circuit breaker would rather not: whoever asks knows better, until it trips again. */
  resume(): void {
    if (this.#state !== 'paused' && this.#state !== 'tripped') return
    this.#state = 'recording'
    this.#guard.reset()
    this.#parts.tap.resume()
    this.#note('resume', 'asked for')
  }

  /** Everything that records ends now; connections live on as a pure pipe. The recording is left as a crash would leave it. */
  async kill(): Promise<void> {
    if (this.#state === 'killed' || this.#state === 'sealed') return
    this.#state = 'killed'
    this.#endWatching()
    this.#parts.tap.end()
    this.#parts.ring.abandon()
    await this.#parts.drain.abandoned()
    this.#parts.events.emit('ended', 'killed')
  }

  /**
   * Follows open transactions to their end, seals the recording, and closes the connections unless told to keep them. Asked
   * again while it goes on, it hurries. A recording that was killed or failed is put in order instead. null: that was not
   * possible either; asked again, it tries again.
   */
  stop(options: StopOptions = {}): Promise<Manifest | null> {
    if (this.#stopped === null) this.#stopped = this.#stop(options)
    else this.#hurry()
    return this.#stopped
  }

  /** No new connections, and an end to those that are open. After stop({ keepConnections: true }), kill() or a failure. */
  close(): void {
    this.#parts.tap.stopListening()
    this.#parts.tap.destroyConnections()
  }

  async #stop({ keepConnections = false, graceMs = GRACE_MS }: StopOptions): Promise<Manifest | null> {
    this.#endWatching()
    const { tap, ring, drain } = this.#parts
    if (!keepConnections) tap.stopListening()
    let manifest: Manifest | null = null
    if (this.#state === 'recording' || this.#state === 'paused' || this.#state === 'tripped') {
      this.#state = 'stopping'
      tap.endAtBoundaries()
      await this.#quiet(graceMs, !keepConnections)
      tap.end()
      ring.close()
      manifest = await drain.ended
      if (manifest !== null) {
        this.#state = 'sealed'
        this.#parts.events.emit('ended', this.#state)
      }
    }
    if (manifest === null) {
      await drain.ended
      manifest = await this.#finish()
    }
    if (!keepConnections) tap.destroyConnections()
    if (manifest === null) this.#stopped = null
    return manifest
  }

  /** After a kill, or the death of the drain: what had been offered and was not written is missing, and counted. */
  #finish(): Promise<Manifest | null> {
    const { tally, nowUs } = this.#parts
    const statements = tally.read(CELL.executionsSeen) - tally.executionsPassed() - tally.read(CELL.executionsDecoded)
    return finishInterrupted({
      path: this.path,
      reason: this.#state === 'killed' ? 'recording was killed' : 'recording failed',
      missing: { statements: Math.max(0, statements), transactions: 0 },
      passed: Object.values(PASSING).map((reason) => ({
        kind: CHOSEN.has(reason) ? 'filtered' : 'lost',
        reason: PASSING_WORDS[reason],
        count: tally.passed(reason),
      })),
      atUs: nowUs(),
      endedAtMs: Math.round(this.#parts.startedAtMs + nowUs() / 1000),
    })
  }

  /**
   * Resolves when no session is inside a transaction, or the time is over, or someone hurries. Whoever has come to the end of theirs
   * is told goodbye, should the connections end as well: they would only begin what is cut off soon.
   */
  #quiet(graceMs: number, dismisses: boolean): Promise<void> {
    return new Promise((resolve) => {
      const { tap } = this.#parts
      const done = () => {
        clearInterval(poll)
        clearTimeout(limit)
        resolve()
      }
      const look = () => {
        tap.tellUnheard()
        if (dismisses) tap.dismissIdle()
        if (tap.recording === 0) done()
      }
      const poll = setInterval(look, 10)
      const limit = setTimeout(done, graceMs)
      this.#hurry = done
      // Who has said goodbye already, a moment ago, needs no answer to it.
      if (!dismisses && tap.recording === 0) done()
    })
  }

  #look(): void {
    this.#parts.tap.tellUnheard()
    this.#rates.sample(this.#parts.nowUs(), this.#totals())
    const { durationMsMax, recordingBytesMax, recordingStatementsMax } = this.#options
    const { nowUs, tally } = this.#parts
    const passed = tally.read(CELL.executionsPassed + PASSING.ringFull)
    const nowMs = nowUs() / 1000
    if (this.#ringNews.look(passed, nowMs)) this.#note(RING_FULL.kind, RING_FULL.detail)
    const broken = tally.read(CELL.sessionsBroken)
    if (this.#brokenNews.look(broken, nowMs)) this.#note(NOT_FOLLOWED.kind, NOT_FOLLOWED.detail)
    if (durationMsMax !== undefined && nowUs() >= durationMsMax * 1000) this.#limitReached('duration')
    else if (recordingBytesMax !== undefined && tally.read(CELL.recordingBytes) >= recordingBytesMax) {
      this.#limitReached('bytes')
    } else if (recordingStatementsMax !== undefined && tally.read(CELL.statementsKept) >= recordingStatementsMax) {
      this.#limitReached('statements')
    }
  }

  #endWatching(): void {
    clearInterval(this.#tick)
    this.#guard.end()
  }

  #guardHost(): ConstructorParameters<typeof Guard>[0] {
    const { ring, tally, connectOwn } = this.#parts
    const { thresholds = USUAL_THRESHOLDS, closeAfterMs } = this.#options
    return {
      thresholds,
      ...(closeAfterMs === undefined ? {} : { closeAfterMs }),
      folder: this.path,
      ring: () => ring.usedBytes / ring.sizeBytes,
      latencyDrift: () => {
        const drift = tally.read(CELL.latencyDrift)
        return drift > 0 ? drift : undefined
      },
      connect: connectOwn,
      decided: (decision) => this.#decided(decision),
      tell: (kind, detail) => this.#note(kind, detail),
    }
  }

  #decided({ kind, detail }: Decision): void {
    if (kind === 'trip' && this.#state === 'recording') {
      this.#state = 'tripped'
      this.#parts.tap.trip()
      this.#note('circuit breaker tripped', detail)
    } else if (kind === 'close' && this.#state === 'tripped') {
      this.#state = 'recording'
      this.#parts.tap.resume()
      this.#note('circuit breaker closed', detail)
    }
  }

  #totals(): Totals {
    const { tally } = this.#parts
    return {
      statements: tally.read(CELL.executionsSeen),
      transactions: tally.read(CELL.transactionsKept),
      bytes: tally.read(CELL.recordingBytes),
    }
  }

  #limitReached(limit: string): void {
    if (this.#stopped !== null) return
    this.#note('limit', limit)
    void this.stop({ keepConnections: true })
  }

  #drainDied(): void {
    this.#state = 'failed'
    this.#endWatching()
    this.#parts.tap.end()
    this.#parts.events.emit('incident', {
      atUs: this.#parts.nowUs(),
      kind: 'recording failed',
      detail: this.#parts.drain.failure(),
    })
    this.#parts.events.emit('ended', 'failed')
  }

  /** Into the manifest, and to whoever listens. */
  #note(kind: string, detail: string): void {
    const incident = { atUs: this.#parts.nowUs(), kind, detail }
    this.#parts.drain.incident(incident)
    this.#parts.events.emit('incident', incident)
  }
}
