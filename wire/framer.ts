/**
 * Framing: chunks as a socket delivers them in, messages out.
 *
 * A message that lies inside one chunk is handed on as a slice of that chunk: nothing is copied, nothing allocated. One
 * that spans chunks is put together up to a bound; beyond it the body passes in parts, so memory stays flat when a
 * gigabyte comes by. A length that cannot be (below 4, beyond what PostgreSQL accepts) is reported once, and the framer
 * ignores the rest of the stream: after it there are no boundaries to find. Nothing here throws.
 */
import { asBuffer, int32 } from './bytes.js'

/** PostgreSQL refuses larger messages itself (MaxAllocSize), in either direction. */
export const LENGTH_MAX = 0x3fffffff + 4

export interface MessageSink {
  /** Body in `buffer[start, end)`; valid during the call only. */
  message(type: number, buffer: Buffer, start: number, end: number): void
  /** Piece of a message above the bound. `offset` counts from the body's start; the last piece reaches `bodyBytes`. */
  part(type: number, buffer: Buffer, start: number, end: number, offset: number, bodyBytes: number): void
  /** The stream cannot be framed from here on. */
  malformed(type: number, declaredLength: number): void
}

export type FramerOptions = {
  /** Longer bodies pass in parts. */
  readonly wholeBytesMax?: number
}

const HEADER_BYTES = 5

export class Framer {
  readonly #sink: MessageSink
  readonly #wholeBytesMax: number
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  /** Body of a message that spans chunks; null while none does. */
  #body: Buffer | null = null
  #type = 0
  /** -1: no message is open. */
  #bodyBytes = -1
  #bodyDone = 0
  #broken = false

  constructor(sink: MessageSink, options: FramerOptions = {}) {
    this.#sink = sink
    this.#wholeBytesMax = options.wholeBytesMax ?? 16 * 1024 * 1024
  }

  /** The stream lied about a length; everything since is ignored. */
  get broken(): boolean {
    return this.#broken
  }

  /** Nothing of a message is pending. */
  get atBoundary(): boolean {
    return this.#headerBytes === 0 && this.#bodyBytes < 0
  }

  /** Forgets a message that is half here: the stream goes on elsewhere, at a boundary. */
  reset(): void {
    this.#headerBytes = 0
    this.#body = null
    this.#bodyBytes = -1
  }

  push(bytes: Uint8Array): void {
    const chunk = asBuffer(bytes)
    let at = 0
    while (at < chunk.length && !this.#broken) {
      if (this.#bodyBytes >= 0) at = this.#continueBody(chunk, at)
      else if (this.#headerBytes > 0 || chunk.length - at < HEADER_BYTES) at = this.#continueHeader(chunk, at)
      else at = this.#open(chunk[at]!, int32(chunk, at + 1), chunk, at + HEADER_BYTES)
    }
  }

  #continueHeader(chunk: Buffer, at: number): number {
    const taken = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at)
    chunk.copy(this.#header, this.#headerBytes, at, at + taken)
    this.#headerBytes += taken
    if (this.#headerBytes < HEADER_BYTES) return at + taken
    this.#headerBytes = 0
    return this.#open(this.#header[0]!, int32(this.#header, 1), chunk, at + taken)
  }

  #open(type: number, length: number, chunk: Buffer, at: number): number {
    if (length < 4 || length > LENGTH_MAX) {
      this.#broken = true
      this.#sink.malformed(type, length)
      return chunk.length
    }
    const bodyBytes = length - 4
    if (at + bodyBytes <= chunk.length && bodyBytes <= this.#wholeBytesMax) {
      this.#sink.message(type, chunk, at, at + bodyBytes)
      return at + bodyBytes
    }
    this.#type = type
    this.#bodyBytes = bodyBytes
    this.#bodyDone = 0
    return this.#continueBody(chunk, at)
  }

  #continueBody(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#bodyBytes - this.#bodyDone)
    if (this.#bodyBytes > this.#wholeBytesMax) this.#passPart(chunk, at, end)
    else this.#collect(chunk, at, end)
    return end
  }

  #passPart(chunk: Buffer, at: number, end: number): void {
    const offset = this.#bodyDone
    const bodyBytes = this.#bodyBytes
    this.#bodyDone += end - at
    if (this.#bodyDone === bodyBytes) this.#bodyBytes = -1
    if (end > at) this.#sink.part(this.#type, chunk, at, end, offset, bodyBytes)
  }

  /** The buffer grows with what really arrives: a declared length alone buys nobody memory. */
  #collect(chunk: Buffer, at: number, end: number): void {
    const done = this.#bodyDone + end - at
    let body = this.#body
    if (body === null || body.length < done) {
      const larger = Buffer.allocUnsafe(Math.min(this.#bodyBytes, Math.max(done * 2, 1024)))
      body?.copy(larger, 0, 0, this.#bodyDone)
      body = larger
    }
    chunk.copy(body, this.#bodyDone, at, end)
    this.#body = body
    this.#bodyDone = done
    if (done < this.#bodyBytes) return
    this.#body = null
    this.#bodyBytes = -1
    this.#sink.message(this.#type, body, 0, done)
  }
}
