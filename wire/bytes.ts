/**
 * Reading and writing the protocol's scalars: big-endian integers, zero-terminated strings, counted values.
 *
 * Readers are plain functions over a buffer and an offset, so that decoding allocates nothing it does not return. They
 * clamp nothing: callers stay inside `end`, and the decoders of this room turn a message that lies about itself into null.
 */

export function int32(buffer: Uint8Array, at: number): number {
  return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!
}

export function uint32(buffer: Uint8Array, at: number): number {
  return int32(buffer, at) >>> 0
}

export function int16(buffer: Uint8Array, at: number): number {
  return ((buffer[at]! << 24) >> 16) | buffer[at + 1]!
}

export function uint16(buffer: Uint8Array, at: number): number {
  return (buffer[at]! << 8) | buffer[at + 1]!
}

const NEAR_BYTES = 32

/** Where the string that starts here has its zero byte; -1 when it has none before `end`. */
export function stringEnd(buffer: Uint8Array, at: number, end: number): number {
  // A call of indexOf costs as much as a short name, and where there is no zero it would look through all that lies behind.
  const near = Math.min(end, at + NEAR_BYTES)
  for (let i = at; i < near; i++) if (buffer[i] === 0) return i
  if (near >= end) return -1
  const zero = buffer.indexOf(0, near)
  return zero >= 0 && zero < end ? zero : -1
}

export function text(buffer: Uint8Array, start: number, end: number): string {
  // Most names are empty.
  return start === end ? '' : asBuffer(buffer).toString('utf8', start, end)
}

/** The same memory as a Buffer, whose decoding of text is many times faster than a TextDecoder's. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A growing message: `new MessageWriter().start(type)….finish()`, as often as wanted, then `bytes()`. */
export class MessageWriter {
  #buffer: Buffer
  #used = 0
  #lengthAt = -1

  constructor(bytesExpected = 256) {
    this.#buffer = Buffer.allocUnsafe(bytesExpected)
  }

  /** Type 0 starts a message of the startup phase, which has none. */
  start(type: number): this {
    if (type !== 0) this.int8(type)
    this.#lengthAt = this.#used
    return this.int32(0)
  }

  finish(): this {
    this.#buffer.writeInt32BE(this.#used - this.#lengthAt, this.#lengthAt)
    return this
  }

  int8(value: number): this {
    this.#room(1)
    this.#buffer[this.#used++] = value
    return this
  }

  int16(value: number): this {
    this.#room(2)
    this.#used = this.#buffer.writeUInt16BE(value & 0xffff, this.#used)
    return this
  }

  int32(value: number): this {
    this.#room(4)
    this.#used = this.#buffer.writeInt32BE(value | 0, this.#used)
    return this
  }

  /** Zero-terminated. */
  string(value: string): this {
    const bytes = Buffer.byteLength(value)
    this.#room(bytes + 1)
    this.#used += this.#buffer.write(value, this.#used, 'utf8')
    return this.int8(0)
  }

  raw(value: Uint8Array): this {
    this.#room(value.byteLength)
    this.#buffer.set(value, this.#used)
    this.#used += value.byteLength
    return this
  }

  /** A value with its length in front; null is length -1. */
  counted(value: Uint8Array | string | null): this {
    if (value === null) return this.int32(-1)
    if (typeof value !== 'string') return this.int32(value.byteLength).raw(value)
    const bytes = Buffer.byteLength(value)
    this.int32(bytes).#room(bytes)
    this.#used += this.#buffer.write(value, this.#used, 'utf8')
    return this
  }

  /** What was written so far, as memory of its own. */
  bytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#used))
  }

  #room(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#used + bytes))
    larger.set(this.#buffer.subarray(0, this.#used))
    this.#buffer = larger
  }
}
