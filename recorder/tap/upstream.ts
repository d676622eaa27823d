/**
 * A connection to the server, with TLS where asked for, ready for its first protocol message.
 *
 * sslmode means what it means to libpq. `allow` is treated as `prefer`: nobody wants to connect twice.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { buildSslRequest } from '../../wire/startup.js'

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

export type Upstream = {
  /** A path means a Unix socket's folder. */
  readonly host: string
  readonly port: number
  readonly sslMode: SslMode
  /** PEM of the authority that signed the server's certificate; the system's authorities without it. */
  readonly rootCertificate?: string
}

const YES = 'S'.charCodeAt(0)

export function connectUpstream(
  upstream: Upstream,
  { connectMs, keepAliveMs }: { readonly connectMs: number; readonly keepAliveMs: number },
  ready: (error: Error | null, socket: Socket) => void,
): Socket {
  const local = upstream.host.startsWith('/')
  const socket = local
    ? connectTcp({ path: `${upstream.host}/.s.PGSQL.${upstream.port}`, allowHalfOpen: true })
    : connectTcp({
        host: upstream.host,
        port: upstream.port,
        noDelay: true,
        keepAlive: keepAliveMs > 0,
        keepAliveInitialDelay: keepAliveMs,
        allowHalfOpen: true,
      })
  let settled = false
  const settle = (error: Error | null, connection: Socket) => {
    if (settled) return
    settled = true
    socket.removeListener('error', failed)
    socket.setTimeout(0)
    ready(error, connection)
  }
  const failed = (error: Error) => settle(error, socket)
  socket.once('error', failed)
  socket.setTimeout(connectMs, () => socket.destroy(new Error('no answer in time')))
  socket.once('close', () => settle(new Error('the server closed the connection'), socket))
  socket.once('connect', () => {
    if (local || upstream.sslMode === 'disable') settle(null, socket)
    else askForTls(socket, upstream, settle)
  })
  return socket
}

function askForTls(socket: Socket, upstream: Upstream, settle: (error: Error | null, socket: Socket) => void): void {
  socket.write(buildSslRequest())
  socket.once('data', (answer: Buffer) => {
    socket.pause()
    // One byte and no more: anything behind it was injected before encryption began (CVE-2021-23222).
    if (answer.length !== 1) settle(new Error('the server sent more than an answer to SSLRequest'), socket)
    else if (answer[0] === YES) startTls(socket, upstream, settle)
    else if (upstream.sslMode === 'prefer' || upstream.sslMode === 'allow') settle(null, socket)
    else settle(new Error(`the server does not offer TLS, and sslmode is ${upstream.sslMode}`), socket)
  })
}

function startTls(socket: Socket, upstream: Upstream, settle: (error: Error | null, socket: Socket) => void): void {
  const verifies = upstream.sslMode === 'verify-ca' || upstream.sslMode === 'verify-full'
  const options: ConnectionOptions = {
    socket,
    // What the certificate is checked against; the name is sent ahead only where there is one.
    host: upstream.host,
    ...(isIP(upstream.host) === 0 ? { servername: upstream.host } : {}),
    ALPNProtocols: ['postgresql'],
    rejectUnauthorized: verifies,
    ...(upstream.rootCertificate === undefined ? {} : { ca: upstream.rootCertificate }),
    ...(upstream.sslMode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  }
  const secure = connectTls(options, () => {
    secure.removeListener('error', failed)
    settle(null, secure)
  })
  const failed = (error: Error) => settle(error, secure)
  secure.once('error', failed)
}
