/**
 * The tap: listens, joins each client with the server, and keeps the list of what is open, so that recording can pause,
 * resume and end without touching a connection.
 */
import { X509Certificate } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { type ClientTls, secureContextOf } from './client-tls.js'
import { Connection, type ConnectionHost, type TimeLimits } from './connection.js'
import { RECORD, type RingProducer } from './ring.js'
import { SessionTap } from './session-tap.js'
import { Stopwatch } from './stopwatch.js'
import { PASSING, type PassingReason, type Tally } from './tally.js'
import type { Upstream } from './upstream.js'

/** A port, or the path of a Unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string }

export type TapOptions = {
  readonly listen: readonly ListenAddress[]
  readonly upstream: Upstream
  /** Offered to clients that ask for TLS; without it they are told that there is none. */
  readonly tls?: ClientTls
  readonly limits: TimeLimits
  /** Whether the session with this number is one to record. */
  readonly chooses: (session: number, parameters: Readonly<Record<string, string>>) => boolean
  readonly ring: RingProducer
  readonly tally: Tally
  /** Monotonic microseconds since the recording began. */
  readonly nowUs: () => number
  readonly onUpstreamFailed: (error: Error) => void
  readonly onBindingRefused: () => void
}

const BACKLOG = 1024

export class Tap {
  readonly #options: TapOptions
  readonly #servers: readonly Server[]
  readonly #connections = new Set<Connection>()
  /** Closed sessions the ring had no room to hear about yet. */
  #unheard: SessionTap[] = []
  #sessions = 0
  #recording = true
  /** Why nothing is recorded for now. */
  #held: PassingReason | null = null
  readonly stopwatch = new Stopwatch()

  constructor(options: TapOptions) {
    this.#options = options
    const host: ConnectionHost = {
      upstream: options.upstream,
      limits: options.limits,
      stopwatch: this.stopwatch,
      certificate: options.tls === undefined ? null : certificateOf(options.tls),
      nowUs: options.nowUs,
      tapFor: (startup, parameters) => this.#tapFor(startup, parameters),
      cancelled: (backendPid) => {
        if (this.#recording) options.ring.offer(RECORD.cancel, 0, options.nowUs(), backendPid)
      },
      upstreamFailed: options.onUpstreamFailed,
      bindingRefused: options.onBindingRefused,
      closed: (connection) => this.#closed(connection),
    }
    this.#servers = options.listen.map(() =>
      createServer({ allowHalfOpen: true, noDelay: true }, (client: Socket) => {
        this.#connections.add(new Connection(client, host))
      }),
    )
  }

  get connections(): number {
    return this.#connections.size
  }

  /** Where it listens, with the ports it was given for port 0. */
  get addresses(): readonly ListenAddress[] {
    return this.#options.listen.map((asked, i) => {
      const bound = this.#servers[i]!.address()
      return 'path' in asked || bound === null || typeof bound === 'string' ? asked : { ...asked, port: bound.port }
    })
  }

  /** Of the first address that has one. */
  get port(): number {
    for (const address of this.addresses) if ('port' in address) return address.port
    return 0
  }

  /** Sessions whose recording has not ended yet, or of whose end the drain has not heard. */
  get recording(): number {
    let open = this.#unheard.length
    for (const { tap } of this.#connections) if (tap !== null && tap.phase !== 'ended') open += 1
    return open
  }

  /** At all addresses, or at none. */
  async listen(): Promise<void> {
    const { listen } = this.#options
    try {
      for (const [i, server] of this.#servers.entries()) await listenAt(server, listen[i]!)
    } catch (error) {
      this.stopListening()
      throw error
    }
  }

  pause(): void {
    this.#held = PASSING.paused
    for (const { tap } of this.#connections) tap?.hold(PASSING.paused, this.#options.nowUs())
  }

  /** As pause(), but at once: what is open is dropped. */
  trip(): void {
    this.#held = PASSING.breaker
    for (const { tap } of this.#connections) tap?.cut(PASSING.breaker, this.#options.nowUs())
  }

  resume(): void {
    this.#held = null
    for (const { tap } of this.#connections) tap?.release(this.#options.nowUs())
  }

  /** From now on nothing new is recorded; open transactions are followed to their end. */
  endAtBoundaries(): void {
    this.#recording = false
    for (const { tap } of this.#connections) tap?.endAtBoundary(this.#options.nowUs())
    this.tellUnheard()
  }

  /** Ends recording now, whatever is open. */
  end(): void {
    this.#recording = false
    for (const { tap } of this.#connections) tap?.end()
    this.#unheard = []
  }

  /** Tries again to tell the drain about sessions that closed while the ring was full. Call it now and then. */
  tellUnheard(): void {
    if (this.#unheard.length === 0) return
    this.#unheard = this.#unheard.filter((tap) => !tap.close(this.#options.nowUs()))
  }

  /** No new connections. */
  stopListening(): void {
    for (const server of this.#servers) server.close()
  }

  /** Says goodbye to those that are between transactions; returns how many are left. */
  dismissIdle(): number {
    for (const connection of [...this.#connections]) {
      connection.dismiss('57P01', 'terminating connection because the pgrehearse proxy is shutting down')
    }
    return this.#connections.size
  }

  destroyConnections(): void {
    for (const connection of [...this.#connections]) connection.destroy()
  }

  #tapFor(startup: Uint8Array, parameters: Readonly<Record<string, string>>): SessionTap | null {
    const replicates = parameters.replication !== undefined && !/^(off|false|no|0)$/i.test(parameters.replication)
    if (!this.#recording || replicates) return null
    this.#sessions += 1
    const { ring, tally, chooses, nowUs } = this.#options
    const chosen = chooses(this.#sessions, parameters)
    const tap = new SessionTap(this.#sessions, Uint8Array.from(startup), ring, tally, chosen)
    if (this.#held !== null) tap.hold(this.#held, nowUs())
    return tap
  }

  #closed(connection: Connection): void {
    this.#connections.delete(connection)
    const tap = connection.tap
    if (tap === null) return
    this.tellUnheard()
    if (!tap.close(this.#options.nowUs())) this.#unheard.push(tap)
  }
}

function listenAt(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) => reject(new ListenFailed(address, cause))
    server.once('error', failed)
    // Whoever may enter the folder may connect, as with PostgreSQL's own socket; the server asks who they are.
    server.listen({ ...address, backlog: BACKLOG, readableAll: true, writableAll: true }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

export class ListenFailed extends Error {
  readonly address: ListenAddress

  constructor(address: ListenAddress, cause: Error) {
    super('cannot listen', { cause })
    this.address = address
  }
}

function certificateOf(tls: ClientTls): ConnectionHost['certificate'] {
  return { context: secureContextOf(tls), raw: new X509Certificate(tls.certificate).raw }
}
