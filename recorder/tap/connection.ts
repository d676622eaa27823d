/**
 * One client and its server, joined: bytes pass untouched in both directions, with back-pressure, and are offered to the
 * session's tap after they have been written. Nothing here waits for the tap, and nothing it does can fail the path.
 */
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { readStartup } from '../../wire/startup.js'
import { agreedOnPostgres, encrypt } from './client-tls.js'
import { fatalError } from './fatal-error.js'
import { quickSocket } from './quick-socket.js'
import { type Binding, SaslGate } from './sasl-gate.js'
import type { SessionTap } from './session-tap.js'
import type { Stopwatch } from './stopwatch.js'
import { connectUpstream, type Upstream } from './upstream.js'

const ENCRYPTED = Buffer.from('S')
const NOT_ENCRYPTED = Buffer.from('N')
const NOTHING = Buffer.alloc(0)
const NOWHERE = () => true

const BINDING_REFUSED = 'pgrehearse stands between the two ends of the TLS channel that this login binds to'
const BINDING_HINT = "Connect with channel_binding=disable, or give the proxy the server's own certificate and key."

/** With what clients are answered when they ask for TLS. */
export type Certificate = {
  readonly context: SecureContext
  /** DER of the certificate they see. */
  readonly raw: Buffer
}

export type TimeLimits = {
  /** For the server to be reached and to say its first word. */
  readonly connectMs: number
  /** For a client to say who it is: as long as PostgreSQL itself gives it. */
  readonly loginMs: number
  /** For a client that has nothing to do, between transactions; 0: for ever. */
  readonly idleMs: number
  /** Silence before the system asks whether the other side is still there; 0: never. */
  readonly keepAliveMs: number
}

export const TIME_LIMITS: TimeLimits = { connectMs: 10_000, loginMs: 60_000, idleMs: 0, keepAliveMs: 60_000 }

const TERMINATE = Buffer.from('X\0\0\0\x04', 'latin1')

export interface ConnectionHost {
  readonly upstream: Upstream
  readonly limits: TimeLimits
  readonly stopwatch: Stopwatch
  /** null: TLS is not offered. */
  readonly certificate: Certificate | null
  nowUs(): number
  /** A tap for the connection that begins with this packet; null: it is not recorded. */
  tapFor(startup: Uint8Array, parameters: Readonly<Record<string, string>>): SessionTap | null
  cancelled(backendPid: number): void
  upstreamFailed(error: Error): void
  /** A client insisted on channel binding, which cannot be had here. */
  bindingRefused(): void
  closed(connection: Connection): void
}

export class Connection {
  #client: Socket
  readonly #host: ConnectionHost
  #server: Socket | null = null
  #tap: SessionTap | null = null
  #gate: SaslGate | null = null
  #startup: Buffer = NOTHING
  #joined = false
  /** The server has not said a word yet. */
  #unanswered = true
  /** When the server spoke last. */
  #spokeUs = 0
  #toClient: (piece: Buffer) => boolean = NOWHERE
  #toServer: (piece: Buffer) => boolean = NOWHERE
  #closed = false

  constructor(client: Socket, host: ConnectionHost) {
    this.#client = client
    this.#host = host
    client.setNoDelay(true)
    if (host.limits.keepAliveMs > 0) client.setKeepAlive(true, host.limits.keepAliveMs)
    this.#adopt(client)
  }

  /** From now on this is the client: the socket, or what has been decrypted of it. */
  #adopt(client: Socket): void {
    client.setTimeout(this.#host.limits.loginMs, () => client.destroy())
    this.#follow(client)
    client.on('data', this.#onStartup)
  }

  #follow(client: Socket): void {
    this.#client = client
    client.on('error', () => this.destroy())
    client.on('close', () => this.destroy())
    client.on('end', () => {
      if (client !== this.#client) return
      if (this.#joined) this.#server?.end()
      else this.destroy()
    })
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

  /** With a word to the client, and to the server, where neither is in the middle of something. False: they are. */
  dismiss(sqlstate: string, message: string): boolean {
    if (!this.#joined || this.#tap?.idle !== true) return false
    this.#server?.end(TERMINATE)
    this.#client.end(fatalError(sqlstate, message), () => this.destroy())
    return true
  }

  readonly #onStartup = (chunk: Buffer): void => {
    this.#startup = this.#startup.length === 0 ? chunk : Buffer.concat([this.#startup, chunk])
    for (;;) {
      const step = readStartup(this.#startup)
      if (step.kind === 'more') return
      if (step.kind === 'foreign') {
        if (step.directTls && this.#mayEncrypt) this.#encrypt('direct')
        else this.destroy()
        return
      }
      const { packet, end } = step
      const bytes = this.#startup.subarray(0, end)
      this.#startup = this.#startup.subarray(end)
      switch (packet.kind) {
        case 'ssl':
          if (this.#client instanceof TLSSocket) {
            this.destroy()
            return
          }
          if (this.#mayEncrypt) {
            this.#encrypt('asked')
            return
          }
          this.#client.write(NOT_ENCRYPTED)
          break
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

  get #mayEncrypt(): boolean {
    return this.#host.certificate !== null && !(this.#client instanceof TLSSocket)
  }

  #encrypt(how: 'asked' | 'direct'): void {
    const raw = this.#client
    raw.off('data', this.#onStartup)
    raw.pause()
    raw.setTimeout(0)
    if (how === 'asked') {
      // Bytes behind SSLRequest were sent in the clear, to be taken for what comes encrypted (CVE-2021-23214).
      if (this.#startup.length > 0) {
        this.destroy()
        return
      }
      raw.write(ENCRYPTED)
    } else raw.unshift(this.#startup)
    this.#startup = NOTHING
    const secure = encrypt(raw, this.#host.certificate!.context)
    if (how === 'direct') {
      secure.once('secure', () => {
        if (!agreedOnPostgres(secure)) this.destroy()
      })
    }
    this.#adopt(secure)
  }

  #connect(startup: Buffer): void {
    const client = this.#client
    client.off('data', this.#onStartup)
    client.pause()
    client.setTimeout(0)
    client.removeAllListeners('timeout')
    this.#server = connectUpstream(this.#host.upstream, this.#host.limits, (error, server) => {
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

  #join(upstream: Socket, startup: Buffer): void {
    this.#joined = true
    if (upstream instanceof TLSSocket) this.#gate = new SaslGate(this.#bindingOf(upstream))
    const quickServer = quickSocket(upstream, this.#fromServer, () => this.#client.writableLength > 0)
    const server = quickServer?.socket ?? upstream
    this.#server = server
    this.#toServer = quickServer?.write ?? ((piece) => server.write(piece))
    if (quickServer === null) server.on('data', this.#fromServer)
    server.setTimeout(this.#host.limits.connectMs, () => {
      if (this.#unanswered) this.#refuse(new Error('no answer in time'))
    })
    server.on('error', () => this.destroy())
    server.on('close', () => this.#serverClosed())
    server.on('end', () => this.#client.end())

    const quickClient = quickSocket(this.#client, this.#fromClient, () => server.writableLength > 0)
    if (quickClient === null) this.#client.on('data', this.#fromClient)
    else this.#follow(quickClient.socket)
    const client = this.#client
    this.#toClient = quickClient?.write ?? ((piece) => client.write(piece))
    this.#watchIdle(client)
    server.on('drain', () => client.resume())
    client.on('drain', () => server.resume())
    server.write(startup)

    // What the client sent behind its startup packet, without waiting for an answer.
    if (this.#startup.length > 0) this.#fromClient(this.#startup)
    if (quickClient?.early) this.#fromClient(quickClient.early)
    this.#startup = NOTHING
    if (!server.writableNeedDrain) client.resume()
    server.resume()
  }

  readonly #fromClient = (chunk: Buffer): void => {
    const { stopwatch } = this.#host
    const readMs = stopwatch.due ? performance.now() : 0
    const atUs = this.#host.nowUs()
    if (this.#gate !== null && !this.#gate.client(chunk)) {
      this.#refuseBinding()
      return
    }
    if (!this.#toServer(chunk)) this.#client.pause()
    this.#tap?.client(chunk, atUs)
    if (readMs > 0) stopwatch.add(performance.now() - readMs)
  }

  readonly #fromServer = (bytes: Buffer): void => {
    const { stopwatch } = this.#host
    const readMs = stopwatch.due ? performance.now() : 0
    if (this.#unanswered) this.#answered()
    const chunk = this.#gate === null ? bytes : this.#throughGate(bytes, this.#gate)
    if (!this.#toClient(chunk)) this.#server!.pause()
    this.#spokeUs = this.#host.nowUs()
    this.#tap?.server(chunk, this.#spokeUs)
    if (readMs > 0) stopwatch.add(performance.now() - readMs)
  }

  /** From now on its silence is between it and the client. */
  #answered(): void {
    this.#unanswered = false
    this.#server!.setTimeout(0)
  }

  /** Of a client that waits for an answer, or whose state nobody follows any more, silence says nothing. */
  #watchIdle(client: Socket): void {
    const { idleMs } = this.#host.limits
    if (idleMs === 0) return
    // The socket knows when it was read, not when it was written to.
    const look = () => {
      const leftMs = Math.ceil(idleMs - (this.#host.nowUs() - this.#spokeUs) / 1000)
      if (leftMs > 0) client.setTimeout(leftMs)
      else if (!this.dismiss('57P05', 'terminating connection due to idle-session timeout')) client.setTimeout(idleMs)
    }
    client.on('timeout', look)
    client.setTimeout(idleMs)
  }

  #bindingOf(server: TLSSocket): Binding {
    if (!(this.#client instanceof TLSSocket)) return 'none'
    const shown = this.#host.certificate?.raw
    const own = server.getPeerCertificate().raw
    return shown !== undefined && own !== undefined && shown.equals(own) ? 'same' : 'other'
  }

  #throughGate(bytes: Buffer, gate: SaslGate): Buffer {
    const chunk = gate.server(bytes)
    if (gate.open) this.#gate = null
    return chunk
  }

  #refuseBinding(): void {
    this.#host.bindingRefused()
    this.#server?.destroy()
    this.#client.end(fatalError('28000', BINDING_REFUSED, BINDING_HINT), () => this.destroy())
  }

  /** What the server said last may still be on its way to the client. */
  #serverClosed(): void {
    if (this.#client.writableFinished || this.#client.destroyed) this.destroy()
    else this.#client.end(() => this.destroy())
  }
}
