/**
 * The tap: listens, joins each client with the server, and keeps the list of what is open, so that recording can pause,
 * resume and end without touching a connection.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { Connection, type ConnectionHost } from './connection.js'
import { RECORD, type RingProducer } from './ring.js'
import { SessionTap } from './session-tap.js'
import type { Tally } from './tally.js'
import type { Upstream } from './upstream.js'

export type TapOptions = {
  readonly listen: { readonly host: string; readonly port: number }
  readonly upstream: Upstream
  readonly ring: RingProducer
  readonly tally: Tally
  /** Monotonic microseconds since the recording began. */
  readonly nowUs: () => number
  readonly onUpstreamFailed: (error: Error) => void
}

const BACKLOG = 1024

export class Tap {
  readonly #options: TapOptions
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  /** Closed sessions the ring had no room to hear about yet. */
  #unheard: SessionTap[] = []
  #sessions = 0
  #recording = true
  #paused = false

  constructor(options: TapOptions) {
    this.#options = options
    const host: ConnectionHost = {
      upstream: options.upstream,
      nowUs: options.nowUs,
      tapFor: (startup, parameters) => this.#tapFor(startup, parameters),
      cancelled: (backendPid) => {
        if (this.#recording) options.ring.offer(RECORD.cancel, 0, options.nowUs(), backendPid)
      },
      upstreamFailed: options.onUpstreamFailed,
      closed: (connection) => this.#closed(connection),
    }
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client: Socket) => {
      this.#connections.add(new Connection(client, host))
    })
  }

  get connections(): number {
    return this.#connections.size
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Sessions whose recording has not ended yet, or of whose end the drain has not heard. */
  get recording(): number {
    let open = this.#unheard.length
    for (const { tap } of this.#connections) if (tap !== null && tap.phase !== 'ended') open += 1
    return open
  }

  listen(): Promise<void> {
    const { host, port } = this.#options.listen
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, backlog: BACKLOG }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  pause(): void {
    this.#paused = true
    for (const { tap } of this.#connections) tap?.pause(this.#options.nowUs())
  }

  resume(): void {
    this.#paused = false
    for (const { tap } of this.#connections) tap?.resume(this.#options.nowUs())
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
    this.#server.close()
  }

  destroyConnections(): void {
    for (const connection of [...this.#connections]) connection.destroy()
  }

  #tapFor(startup: Uint8Array, parameters: Readonly<Record<string, string>>): SessionTap | null {
    const replicates = parameters.replication !== undefined && !/^(off|false|no|0)$/i.test(parameters.replication)
    if (!this.#recording || replicates) return null
    this.#sessions += 1
    const tap = new SessionTap(this.#sessions, Uint8Array.from(startup), this.#options.ring, this.#options.tally)
    if (this.#paused) tap.pause(this.#options.nowUs())
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
