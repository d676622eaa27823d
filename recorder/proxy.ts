/**
 * Recording through a proxy: tap, ring and drain put together, and the handles an operator has on them.
 *
 *   clients ⇄ tap ⇄ server          this thread: forwards, and offers bytes to the ring
 *              ↓ ring
 *            drain → recording      its own thread: decodes, tokenizes, writes
 *
 * Traffic never depends on the drain: whatever happens to it becomes an incident, and the connections live on.
 */
import { EventEmitter } from 'node:events'
import { performance } from 'node:perf_hooks'
import { type Key, keyFingerprint } from '../privacy/key.js'
import { type Policy, policyHash } from '../privacy/policy/policy.js'
import type { Manifest } from '../segment/manifest.js'
import type { RecordingFacts } from '../segment/recording-writer.js'
import type { Incident } from '../segment/segment-writer.js'
import { readCatalog, readServerFacts } from '../sql/read-catalog.js'
import type { DrainLimits } from './drain/drain.js'
import { type DrainThread, finishInterrupted, startDrain } from './drain/thread.js'
import { addressText, cannotListen, prepareListen } from './listen.js'
import { RateMeter, type Rates, type Totals } from './rates.js'
import type { ClientTls } from './tap/client-tls.js'
import { type ListenAddress, ListenFailed, Tap } from './tap/listener.js'
import { createRing, RingProducer } from './tap/ring.js'
import { CELL, createTally, Tally } from './tap/tally.js'
import { connectOwn, type Environment, parseUpstream } from './upstream-url.js'

export type ProxyOptions = {
  /** All of them lead to the same server and into the same recording. */
  readonly listen: ListenAddress | readonly ListenAddress[]
  /** What clients that ask for TLS are shown; without it there is none. */
  readonly tls?: ClientTls
  /** `postgresql://…`; its credentials read the catalog, clients bring their own. */
  readonly upstream: string
  /** Folder of the recording. */
  readonly out: string
  readonly force?: boolean
  readonly key: Key
  readonly policy: Policy
  /** Name and version of the program. */
  readonly madeBy: string
  /** PG* variables count as for psql. */
  readonly env?: Environment
  readonly ringBytes?: number
  readonly segmentBytesMax?: number
  readonly drainLimits?: DrainLimits
  /** The recording is sealed when one is reached; connections live on. */
  readonly durationMsMax?: number
  readonly recordingBytesMax?: number
  /** How the drain's thread is started; a test may want to hold it. */
  readonly startDrain?: typeof startDrain
}

export type ProxyState = 'recording' | 'paused' | 'stopping' | 'sealed' | 'killed' | 'failed'

export type ProxyStatus = {
  readonly state: ProxyState
  readonly recordingId: string
  readonly path: string
  /** Of the first address that has one; 0 when it listens at Unix sockets only. */
  readonly port: number
  readonly listen: readonly string[]
  readonly elapsedMs: number
  readonly connections: number
  readonly statementsSeen: number
  readonly statementsKept: number
  readonly statementsLost: number
  readonly statementsPassed: number
  /** The same by reason. */
  readonly passed: Readonly<Record<string, number>>
  readonly sessionsBroken: number
  readonly transactionsKept: number
  readonly transactionsLost: number
  readonly recordingBytes: number
  /** What came by and what was written, over the last ten seconds. */
  readonly rates: Rates
  /** How far the drain is behind the traffic. */
  readonly drainLagMs: number
  readonly ring: { readonly usedBytes: number; readonly usedBytesMax: number; readonly sizeBytes: number }
}

export type StopOptions = {
  /** Keep forwarding when the recording is sealed. */
  readonly keepConnections?: boolean
  /** How long open transactions may take to end. */
  readonly graceMs?: number
}

type Events = { incident: [Incident]; ended: [ProxyState] }

const RING_BYTES = 64 * 1024 * 1024
const GRACE_MS = 5000
const TICK_MS = 100

export async function startProxyRecording(options: ProxyOptions): Promise<ProxyRecording> {
  const target = parseUpstream(options.upstream, options.env ?? {})
  const listen = [options.listen].flat()
  await prepareListen(listen, target.upstream)
  const own = await connectOwn(target)
  const [catalog, server] = await Promise.all([readCatalog(own), readServerFacts(own)]).finally(() => own.end())

  const startedAtMs = Date.now()
  const startedAt = performance.now()
  const shared = { ring: createRing(options.ringBytes ?? RING_BYTES), tally: createTally() }
  const ring = new RingProducer(shared.ring)
  const tally = new Tally(shared.tally)
  const events = new EventEmitter<Events>()
  const nowUs = () => Math.round((performance.now() - startedAt) * 1000)
  const tell = (kind: string, detail: string) => events.emit('incident', { atUs: nowUs(), kind, detail })
  const tap = new Tap({
    listen,
    upstream: target.upstream,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ring,
    tally,
    nowUs,
    onUpstreamFailed: (error) => tell('upstream', codeOf(error)),
    onBindingRefused: () => tell('channel binding', 'a client that insisted on it was refused'),
  })
  await tap.listen().catch((error: unknown) => {
    throw error instanceof ListenFailed ? cannotListen(error) : error
  })
  const facts: RecordingFacts = {
    madeBy: options.madeBy,
    source: 'proxy',
    startedAtMs,
    server,
    catalog,
    privacy: { policyHash: policyHash(options.policy), keyFingerprint: keyFingerprint(options.key) },
  }
  try {
    const drain = await (options.startDrain ?? startDrain)(
      {
        ...shared,
        path: options.out,
        facts,
        options: {
          force: options.force ?? false,
          ...(options.segmentBytesMax === undefined ? {} : { segmentBytesMax: options.segmentBytesMax }),
        },
        masking: { key: options.key, policy: options.policy, catalog },
        ...(options.drainLimits === undefined ? {} : { limits: options.drainLimits }),
      },
      ({ kind, detail }) => tell(kind, detail),
    )
    return new ProxyRecording(options, { tap, ring, tally, drain, events, nowUs })
  } catch (error) {
    tap.stopListening()
    tap.destroyConnections()
    throw error
  }
}

type Parts = {
  readonly tap: Tap
  readonly ring: RingProducer
  readonly tally: Tally
  readonly drain: DrainThread
  readonly events: EventEmitter<Events>
  readonly nowUs: () => number
}

export class ProxyRecording {
  readonly path: string
  /** Where it listens: of use when asked for port 0. */
  readonly port: number
  readonly listen: readonly string[]
  readonly #options: ProxyOptions
  readonly #parts: Parts
  readonly #tick: NodeJS.Timeout
  readonly #rates = new RateMeter()
  #state: ProxyState = 'recording'
  #stopped: Promise<Manifest | null> | null = null
  #hurry: () => void = () => {}

  constructor(options: ProxyOptions, parts: Parts) {
    this.path = options.out
    this.port = parts.tap.port
    this.listen = parts.tap.addresses.map(addressText)
    this.#options = options
    this.#parts = parts
    this.#tick = setInterval(() => this.#look(), TICK_MS)
    this.#tick.unref()
    void parts.drain.ended.then((manifest) => {
      if (manifest === null && this.#state !== 'killed') this.#drainDied()
    })
  }

  /** `incident`: something a person should know. `ended`: nothing is recorded any more. */
  get events(): EventEmitter<Events> {
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
      statementsPassed: tally.executionsPassed(),
      passed: tally.passedByReason(),
      sessionsBroken: tally.read(CELL.sessionsBroken),
      transactionsKept: tally.read(CELL.transactionsKept),
      transactionsLost: tally.read(CELL.transactionsLost),
      recordingBytes: tally.read(CELL.recordingBytes),
      rates: this.#rates.rates(nowUs(), this.#totals()),
      drainLagMs: ring.usedBytes === 0 ? 0 : Math.max(0, Math.round((nowUs() - tally.read(CELL.drainedUs)) / 1000)),
      ring: { usedBytes: ring.usedBytes, usedBytesMax: ring.usedBytesMax, sizeBytes: ring.sizeBytes },
    }
  }

  /** Each session at its next transaction boundary. */
  pause(): void {
    if (this.#state !== 'recording') return
    this.#state = 'paused'
    this.#parts.tap.pause()
    this.#note('pause', 'asked for')
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'recording'
    this.#parts.tap.resume()
    this.#note('resume', 'asked for')
  }

  /** Everything that records ends now; connections live on as a pure pipe. The recording is left as a crash would leave it. */
  async kill(): Promise<void> {
    if (this.#state === 'killed' || this.#state === 'sealed') return
    this.#state = 'killed'
    clearInterval(this.#tick)
    this.#parts.tap.end()
    this.#parts.ring.abandon()
    await this.#parts.drain.abandoned()
    this.#parts.events.emit('ended', 'killed')
  }

  /**
   * Follows open transactions to their end, seals the recording, and closes the connections unless told to keep them. Asked
   * again while it goes on, it hurries. A recording that was killed or failed is put in order instead. null: that was not
   * possible either.
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
    clearInterval(this.#tick)
    const { tap, ring, drain } = this.#parts
    if (!keepConnections) tap.stopListening()
    let manifest: Manifest | null = null
    if (this.#state === 'recording' || this.#state === 'paused') {
      this.#state = 'stopping'
      tap.endAtBoundaries()
      await this.#quiet(graceMs)
      tap.end()
      ring.close()
      manifest = await drain.ended
      if (manifest !== null) this.#state = 'sealed'
      this.#parts.events.emit('ended', this.#state)
    }
    if (manifest === null) {
      await drain.ended
      manifest = await this.#finish()
    }
    if (!keepConnections) tap.destroyConnections()
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
      atUs: nowUs(),
      endedAtMs: Date.now(),
    })
  }

  /** Resolves when no session is inside a transaction, or the time is over, or someone hurries. */
  #quiet(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { tap } = this.#parts
      const done = () => {
        clearInterval(poll)
        clearTimeout(limit)
        resolve()
      }
      const poll = setInterval(() => {
        tap.tellUnheard()
        if (tap.recording === 0) done()
      }, 10)
      const limit = setTimeout(done, graceMs)
      this.#hurry = done
      if (tap.recording === 0) done()
    })
  }

  #look(): void {
    this.#parts.tap.tellUnheard()
    this.#rates.sample(this.#parts.nowUs(), this.#totals())
    const { durationMsMax, recordingBytesMax } = this.#options
    const { nowUs, tally } = this.#parts
    if (durationMsMax !== undefined && nowUs() >= durationMsMax * 1000) this.#limitReached('duration')
    else if (recordingBytesMax !== undefined && tally.read(CELL.recordingBytes) >= recordingBytesMax) {
      this.#limitReached('bytes')
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
    clearInterval(this.#tick)
    this.#parts.tap.end()
    this.#parts.events.emit('incident', {
      atUs: this.#parts.nowUs(),
      kind: 'recording failed',
      detail: 'the recording thread ended; connections live on, unrecorded',
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

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? 'the server cannot be reached'
}
