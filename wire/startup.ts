/**
 * The startup phase: the first message of a connection has no type byte. It is a StartupMessage, or a request (SSL, GSS
 * encryption, cancel) told apart by a protocol number no version will ever have.
 *
 * Protocol 3.2 made the cancel key up to 256 bytes long; here it is whatever follows the process id.
 */
import { int32, MessageWriter, stringEnd, text } from './bytes.js'

export const CANCEL_REQUEST = 80877102
export const SSL_REQUEST = 80877103
export const GSSENC_REQUEST = 80877104

/** PostgreSQL's own MAX_STARTUP_PACKET_LENGTH. */
export const STARTUP_LENGTH_MAX = 10000

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly backendPid: number; readonly key: Uint8Array }
  | {
      readonly kind: 'startup'
      readonly major: number
      readonly minor: number
      readonly parameters: Readonly<Record<string, string>>
    }

export type StartupStep =
  /** More bytes are needed. */
  | { readonly kind: 'more' }
  /** One packet in `bytes[0, end)`. */
  | { readonly kind: 'packet'; readonly packet: StartupPacket; readonly end: number }
  /** Not PostgreSQL. 0x16 in front is a TLS ClientHello: direct TLS. */
  | { readonly kind: 'foreign'; readonly directTls: boolean }

/** Reads the packet at the front of what has arrived so far. */
export function readStartup(bytes: Uint8Array): StartupStep {
  if (bytes.length > 0 && bytes[0] !== 0) return { kind: 'foreign', directTls: bytes[0] === 0x16 }
  if (bytes.length < 4) return { kind: 'more' }
  const length = int32(bytes, 0)
  if (length < 8 || length > STARTUP_LENGTH_MAX) return { kind: 'foreign', directTls: false }
  if (bytes.length < length) return { kind: 'more' }
  const packet = decodePacket(bytes, length)
  return packet ? { kind: 'packet', packet, end: length } : { kind: 'foreign', directTls: false }
}

function decodePacket(bytes: Uint8Array, end: number): StartupPacket | null {
  const code = int32(bytes, 4)
  if (code === SSL_REQUEST) return end === 8 ? { kind: 'ssl' } : null
  if (code === GSSENC_REQUEST) return end === 8 ? { kind: 'gssenc' } : null
  if (code === CANCEL_REQUEST) {
    return end > 12
      ? { kind: 'cancel', backendPid: int32(bytes, 8), key: Uint8Array.from(bytes.subarray(12, end)) }
      : null
  }
  const parameters = readParameters(bytes, 8, end)
  return parameters && { kind: 'startup', major: code >>> 16, minor: code & 0xffff, parameters }
}

function readParameters(bytes: Uint8Array, start: number, end: number): Record<string, string> | null {
  const parameters: Record<string, string> = {}
  for (let at = start; at < end && bytes[at] !== 0; ) {
    const nameEnd = stringEnd(bytes, at, end)
    const valueEnd = nameEnd < 0 ? -1 : stringEnd(bytes, nameEnd + 1, end)
    if (valueEnd < 0) return null
    parameters[text(bytes, at, nameEnd)] = text(bytes, nameEnd + 1, valueEnd)
    at = valueEnd + 1
  }
  return parameters
}

export function buildStartup(parameters: Readonly<Record<string, string>>, major = 3, minor = 0): Buffer {
  const writer = new MessageWriter().start(0).int32((major << 16) | minor)
  for (const [name, value] of Object.entries(parameters)) writer.string(name).string(value)
  return writer.int8(0).finish().bytes()
}

export function buildSslRequest(): Buffer {
  return new MessageWriter(8).start(0).int32(SSL_REQUEST).finish().bytes()
}

export function buildCancel(backendPid: number, key: Uint8Array): Buffer {
  return new MessageWriter().start(0).int32(CANCEL_REQUEST).int32(backendPid).raw(key).finish().bytes()
}
