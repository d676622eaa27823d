/**
 * Channel binding, handled honestly. Only a server reached over TLS offers SCRAM-SHA-256-PLUS, which ties the login to the
 * certificate the client sees. What that means behind a proxy depends on the client's side:
 *
 *   none   the client is not encrypted: it cannot bind, and libpq breaks off when it is offered. The offer is taken out; that
 *          is what the server would say to a client without TLS, and the login is no weaker than the client asked for.
 *   same   the proxy shows the server's own certificate: binding works, every byte passes.
 *   other  the proxy shows another certificate: a login that binds to it cannot succeed.
 *
 * A client that binds, or says that it would have if only the server could (which the server takes for the downgrade it is),
 * is refused with words it can act on instead of the server's puzzling ones. All others pass.
 *
 * Looks at the messages up to the first answer of authentication, then never again.
 */
import { BACKEND } from '../../wire/backend.js'
import { int32, MessageWriter, stringEnd, text } from '../../wire/bytes.js'
import { LENGTH_MAX } from '../../wire/framer.js'

export type Binding = 'none' | 'same' | 'other'

const SASL = 10
const PLUS = 'SCRAM-SHA-256-PLUS'
const PASSWORD = 'p'.charCodeAt(0)
/** The first letter of a SCRAM login: the client could bind, and believes that the server could not. */
const WOULD_BIND = 'y'.charCodeAt(0)
const LENGTH_BYTES = 4
const HELD_BYTES_MAX = 64 * 1024

export class SaslGate {
  /** Everything passes from here on. */
  open = false
  readonly #binding: Binding
  #held: Buffer = Buffer.alloc(0)
  /** Of the client's answer, what has come and was passed on. */
  #asked: Buffer = Buffer.alloc(0)
  #offered = false

  constructor(binding: Binding) {
    this.#binding = binding
    this.open = binding === 'same'
  }

  /** What of the server's bytes may pass now. */
  server(chunk: Buffer): Buffer {
    if (this.open || this.#offered) return chunk
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const start = authenticationStart(bytes)
    if (start === 'more' && bytes.length <= HELD_BYTES_MAX) {
      this.#held = Buffer.from(bytes)
      return Buffer.alloc(0)
    }
    this.#held = Buffer.alloc(0)
    if (typeof start === 'string' || int32(bytes, start + 5) !== SASL) {
      this.open = true
      return bytes
    }
    const end = start + 1 + int32(bytes, start + 1)
    this.#offered = bytes.toString('latin1', start + 9, end).includes(`${PLUS}\0`)
    this.open = !this.#offered
    if (this.open || this.#binding === 'other') return bytes
    return Buffer.concat([bytes.subarray(0, start), withoutPlus(bytes, start + 9, end), bytes.subarray(end)])
  }

  /** False: the login cannot succeed, because the client sees another certificate than the server's, or none. */
  client(chunk: Buffer): boolean {
    if (this.open || !this.#offered || chunk.length === 0) return true
    const bytes = this.#asked.length === 0 ? chunk : Buffer.concat([this.#asked, chunk])
    if (bytes[0] === PASSWORD && bytes.length < endOfMessage(bytes) && bytes.length <= HELD_BYTES_MAX) {
      // The chunk may be read into again.
      this.#asked = Buffer.from(bytes)
      return true
    }
    this.#asked = Buffer.alloc(0)
    this.open = true
    const nameEnd = bytes[0] === PASSWORD ? stringEnd(bytes, 5, bytes.length) : -1
    if (nameEnd < 0) return true
    return text(bytes, 5, nameEnd) !== PLUS && bytes[nameEnd + 1 + LENGTH_BYTES] !== WOULD_BIND
  }
}

function endOfMessage(bytes: Buffer): number {
  return bytes.length < 5 ? Number.POSITIVE_INFINITY : 1 + int32(bytes, 1)
}

/** Where the first complete Authentication message begins; nowhere: something else came that ends the waiting. */
function authenticationStart(bytes: Buffer): number | 'more' | 'nowhere' {
  for (let at = 0; ; ) {
    if (at + 5 > bytes.length) return 'more'
    const length = int32(bytes, at + 1)
    if (length < 4 || length > LENGTH_MAX || bytes[at] === BACKEND.error) return 'nowhere'
    const end = at + 1 + length
    if (end > bytes.length) return 'more'
    if (bytes[at] === BACKEND.authentication) return length < 8 ? 'nowhere' : at
    at = end
  }
}

/** AuthenticationSASL with the mechanisms in `bytes[start, end)`, except the one that binds. */
function withoutPlus(bytes: Buffer, start: number, end: number): Buffer {
  const writer = new MessageWriter().start(BACKEND.authentication).int32(SASL)
  for (let at = start; at < end && bytes[at] !== 0; ) {
    const nameEnd = stringEnd(bytes, at, end)
    if (nameEnd < 0) break
    const name = text(bytes, at, nameEnd)
    if (name !== PLUS) writer.string(name)
    at = nameEnd + 1
  }
  return writer.int8(0).finish().bytes()
}
