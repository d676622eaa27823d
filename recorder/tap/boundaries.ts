/**
 * Finds message boundaries in a stream without keeping any of it: for each message its type, its length and the first
 * four bytes of its body (the status of ReadyForQuery, the code of Authentication). Everything else is skipped by length.
 *
 * Runs for every chunk on the hot path. Nothing is allocated; a length that cannot be stops it for good.
 */
import { LENGTH_MAX } from '../../wire/framer.js'

export interface BoundaryListener {
  /**
   * `first` holds the first (up to) four bytes of the body, as a big-endian number aligned left.
   * `start` is where the message began in this chunk (negative: in an earlier one), `end` where it ends (it may lie beyond).
   */
  boundary(type: number, first: number, start: number, end: number): void
}

const HEADER_BYTES = 5
const FIRST_BYTES = 4

export class BoundaryScanner {
  /** The stream lied about a length; there are no boundaries to find any more. */
  broken = false
  readonly #head = new Uint8Array(HEADER_BYTES + FIRST_BYTES)
  #headBytes = 0
  #skipBytes = 0

  /** The stream stands between two messages. */
  get atBoundary(): boolean {
    return this.#headBytes === 0 && this.#skipBytes === 0
  }

  scan(chunk: Uint8Array, listener: BoundaryListener): void {
    const length = chunk.length
    let at = 0
    while (at < length && !this.broken) {
      if (this.#skipBytes > 0) {
        const skipped = Math.min(this.#skipBytes, length - at)
        this.#skipBytes -= skipped
        at += skipped
      } else if (this.#headBytes > 0 || length - at < HEADER_BYTES + FIRST_BYTES) {
        at = this.#gather(chunk, at, listener)
      } else {
        at = this.#message(chunk, at, at, listener)
      }
    }
  }

  /** Header and first body bytes at `from`; the message began at `start` of the chunk. Returns where to go on. */
  #message(from: Uint8Array, at: number, start: number, listener: BoundaryListener): number {
    const declared = (from[at + 1]! << 24) | (from[at + 2]! << 16) | (from[at + 3]! << 8) | from[at + 4]!
    if (declared < 4 || declared > LENGTH_MAX) {
      this.broken = true
      return start
    }
    const first = (from[at + 5]! << 24) | (from[at + 6]! << 16) | (from[at + 7]! << 8) | from[at + 8]!
    const bodyBytes = declared - 4
    const held = Math.min(bodyBytes, FIRST_BYTES)
    this.#skipBytes = bodyBytes - held
    listener.boundary(from[at]!, first, start, start + 1 + declared)
    return start + HEADER_BYTES + held
  }

  /** The slow way, for a header that lies across chunks or near the end of one. */
  #gather(chunk: Uint8Array, at: number, listener: BoundaryListener): number {
    const head = this.#head
    const start = at - this.#headBytes
    let needed = this.#needed()
    while (at < chunk.length && this.#headBytes < needed) {
      head[this.#headBytes++] = chunk[at++]!
      if (this.#headBytes === HEADER_BYTES) needed = this.#needed()
    }
    if (this.#headBytes < needed) return at
    this.#headBytes = 0
    head.fill(0, needed)
    this.#message(head, 0, start, listener)
    return at
  }

  /** Bytes to gather: the header, then as many body bytes as there are, up to four. */
  #needed(): number {
    if (this.#headBytes < HEADER_BYTES) return HEADER_BYTES
    const head = this.#head
    const declared = (head[1]! << 24) | (head[2]! << 16) | (head[3]! << 8) | head[4]!
    return HEADER_BYTES + Math.max(0, Math.min(FIRST_BYTES, declared - 4))
  }
}
