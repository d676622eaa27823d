/**
 * One client and its server, joined: bytes pass untouched in both directions, with back-pressure, and are offered to the
 * session's tap after they have been written. Nothing here waits for the tap, and nothing it does can fail the path.
 */
import type { Socket } from 'node:net'
import { readStartup } from '../../wire/startup.js'
import { fatalError } from './fatal-error.js'
import type { SessionTap } from './session-tap.js'
import { connectUpstream, type Upstream } from './upstream.js'

/** As long as PostgreSQL itself gives a client to authenticate. */
const STARTUP_MS_MAX = 60_000

const NOT_ENCRYPTED = Buffer.from('N')

export interface ConnectionHost {
  readonly upstream: Upstream
  nowUs(): number
  /** A tap for the connection that begins with this packet; null: it is not recorded. */
  tapFor(startup: Uint8Array, parameters: Readonly<Record<string, string>>): SessionTap | null
  cancelled(backendPid: number): void
  upstreamFailed(error: Error): void
  closed(connection: Connection): void
}

export class Connection {
  readonly #client: Socket
  readonly #host: ConnectionHost
  #server: Socket | null = null
  #tap: SessionTap | null = null
  #startup: Buffer = Buffer.alloc(0)
  #joined = false
  #closed = false

  constructor(client: Socket, host: ConnectionHost) {
    this.#client = client
    this.#host = host
    client.setNoDelay(true)
    client.setKeepAlive(true)
    client.setTimeout(STARTUP_MS_MAX, () => client.destroy())
    client.on('error', () => this.destroy())
    client.on('close', () => this.destroy())
    client.on('end', () => {
      if (this.#joined) this.#server?.end()
      else this.destroy()
    })
    client.on('data', this.#onStartup)
  }

  get tap(): SessionTap | null {
    return this.#tap
  }

  destroy(): void {
    if (this.#closed) return
    this.#closed = true
    this.#client.destroy()
    this.#server?.destroy()
    this.#host.closed(this)
  }

  readonly #onStartup = (chunk: Buffer): void => {
    this.#startup = this.#startup.length === 0 ? chunk : Buffer.concat([this.#startup, chunk])
    for (;;) {
      const step = readStartup(this.#startup)
      if (step.kind === 'more') return
      if (step.kind === 'foreign') {
        this.destroy()
        return
      }
      const { packet, end } = step
      const bytes = this.#startup.subarray(0, end)
      this.#startup = this.#startup.subarray(end)
      switch (packet.kind) {
        case 'ssl':
        case 'gssenc':
          this.#client.write(NOT_ENCRYPTED)
          break
        case 'cancel':
          this.#host.cancelled(packet.backendPid)
          this.#connect(bytes)
          return
        case 'startup':
          this.#tap = this.#host.tapFor(bytes, packet.parameters)
          this.#connect(bytes)
          return
      }
    }
  }

  #connect(startup: Buffer): void {
    const client = this.#client
    client.off('data', this.#onStartup)
    client.pause()
    client.setTimeout(0)
    this.#server = connectUpstream(this.#host.upstream, (error, server) => {
      if (this.#closed) server.destroy()
      else if (error) this.#refuse(error)
      else this.#join(server, startup)
    })
  }

  #refuse(error: Error): void {
    this.#host.upstreamFailed(error)
    this.#server?.destroy()
    this.#client.end(fatalError('08006', 'pgrehearse cannot reach the server behind it'), () => this.destroy())
  }

  #join(server: Socket, startup: Buffer): void {
    const client = this.#client
    this.#server = server
    this.#joined = true
    server.on('error', () => this.destroy())
    server.on('close', () => this.#serverClosed())
    server.write(startup)
    const host = this.#host

    client.on('data', (chunk: Buffer) => {
      const atUs = host.nowUs()
      if (!server.write(chunk)) client.pause()
      this.#tap?.client(chunk, atUs)
    })
    server.on('data', (chunk: Buffer) => {
      if (!client.write(chunk)) server.pause()
      this.#tap?.server(chunk, host.nowUs())
    })
    server.on('drain', () => client.resume())
    client.on('drain', () => server.resume())
    server.on('end', () => client.end())

    // What the client sent behind its startup packet, without waiting for an answer.
    if (this.#startup.length > 0) client.unshift(this.#startup)
    client.resume()
    server.resume()
  }

  /** What the server said last may still be on its way to the client. */
  #serverClosed(): void {
    if (this.#client.writableFinished || this.#client.destroyed) this.destroy()
    else this.#client.end(() => this.destroy())
  }
}
