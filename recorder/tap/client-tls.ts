/**
 * TLS towards the client, with a certificate of the proxy's own: after SSLRequest, or directly (the connection begins with a
 * ClientHello and must agree on ALPN `postgresql`, as PostgreSQL itself demands).
 */
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'

export type ClientTls = {
  /** PEM; the server's own certificate first, then those that vouch for it. */
  readonly certificate: string
  readonly key: string
}

const ALPN = 'postgresql'

/** Throws what OpenSSL throws when certificate and key do not fit together. */
export function secureContextOf({ certificate, key }: ClientTls): SecureContext {
  return createSecureContext({ cert: certificate, key })
}

/** `raw` must be paused and without listeners for data; what it has read already belongs to the handshake. */
export function encrypt(raw: Socket, secureContext: SecureContext): TLSSocket {
  return new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: [ALPN] })
}

/** Direct TLS without ALPN could be another protocol that was led here (ALPACA); PostgreSQL refuses it as well. */
export function agreedOnPostgres(secure: TLSSocket): boolean {
  return secure.alpnProtocol === ALPN
}
