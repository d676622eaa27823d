/**
 * The ring between tap and drain: a bounded queue of records in shared memory, one producer, one consumer, no locks.
 *
 * The producer never waits: a record either fits or is refused. The consumer copies records out, so a slot is free again
 * before it is decoded. Head and tail only grow (modulo 2³²); everything is aligned to 8 bytes, so a header never wraps,
 * a payload may.
 *
 *   record = [payload bytes: i32][kind: i32] [session: i32][aux: i32] [time: f64 µs] payload … padding to 8
 *
 * The consumer sleeps for its own time and is woken early only when the ring fills up: a wake-up for every record would
 * cost the path a system call each, and the drain would decode in small bites what it can decode in batches.
 */

export const RECORD = {
  /** Session begins: startup packet and greeting, then as for `state`; see ./session-tap.ts. */
  open: 1,
  client: 2,
  server: 3,
  close: 4,
  /** What was offered of the session's current transaction is incomplete; `aux` says why. */
  gap: 5,
  /** A cancel request for the backend whose process id is `aux`. */
  cancel: 6,
  /** What the session did to its own state while nothing was recorded, as its messages; `aux` 1: not all of it. */
  state: 7,
} as const

export type RecordKind = (typeof RECORD)[keyof typeof RECORD]

const HEADER_BYTES = 24
const HEAD = 0
const TAIL = 1
const SIGNAL = 2
const STATE = 3
const CLOSED = 1
const ABANDONED = 2
const CONTROL_BYTES = 64

const padded = (bytes: number) => (bytes + 7) & ~7

/** `dataBytes` is rounded up to a power of two. */
export function createRing(dataBytes: number): SharedArrayBuffer {
  const size = 2 ** Math.ceil(Math.log2(Math.max(4096, Math.min(dataBytes, 2 ** 30))))
  return new SharedArrayBuffer(CONTROL_BYTES + size)
}

class RingView {
  protected readonly control: Int32Array
  protected readonly bytes: Uint8Array
  protected readonly words: Int32Array
  protected readonly times: Float64Array
  protected readonly mask: number
  readonly sizeBytes: number

  constructor(shared: SharedArrayBuffer) {
    this.control = new Int32Array(shared, 0, CONTROL_BYTES / 4)
    this.bytes = new Uint8Array(shared, CONTROL_BYTES)
    this.words = new Int32Array(shared, CONTROL_BYTES)
    this.times = new Float64Array(shared, CONTROL_BYTES)
    this.sizeBytes = this.bytes.length
    this.mask = this.sizeBytes - 1
  }

  get usedBytes(): number {
    return (Atomics.load(this.control, HEAD) - Atomics.load(this.control, TAIL)) >>> 0
  }
}

export class RingProducer extends RingView {
  readonly #wakeAtBytes: number
  /** The highest occupancy seen. */
  usedBytesMax = 0

  constructor(shared: SharedArrayBuffer) {
    super(shared)
    this.#wakeAtBytes = this.sizeBytes >>> 3
  }

  /** False: no room, and nothing was written. Runs between a client and its answer. */
  offer(kind: RecordKind, session: number, atUs: number, aux = 0, payload?: Uint8Array, start = 0): boolean {
    const payloadBytes = payload === undefined ? 0 : payload.length - start
    const head = this.control[HEAD]!
    const used = (head - Atomics.load(this.control, TAIL)) >>> 0
    const total = HEADER_BYTES + padded(payloadBytes)
    if (used + total > this.sizeBytes) return false
    this.#header(head, payloadBytes, kind, session, aux, atUs)
    if (payload !== undefined) this.#copyIn(head + HEADER_BYTES, payload, start, payloadBytes)
    Atomics.store(this.control, HEAD, (head + total) | 0)
    if (used + total > this.usedBytesMax) this.usedBytesMax = used + total
    if (used < this.#wakeAtBytes && used + total >= this.#wakeAtBytes) this.wake()
    return true
  }

  wake(): void {
    Atomics.add(this.control, SIGNAL, 1)
    Atomics.notify(this.control, SIGNAL)
  }

  /** Nothing more will be offered: the consumer ends when it has read the rest. */
  close(): void {
    Atomics.store(this.control, STATE, CLOSED)
    this.wake()
  }

  /** The consumer ends at once and leaves the rest. */
  abandon(): void {
    Atomics.store(this.control, STATE, ABANDONED)
    this.wake()
  }

  #header(head: number, payloadBytes: number, kind: number, session: number, aux: number, atUs: number): void {
    const first = (head & this.mask) >>> 2
    this.words[first] = payloadBytes
    this.words[first + 1] = kind
    const second = ((head + 8) & this.mask) >>> 2
    this.words[second] = session
    this.words[second + 1] = aux
    this.times[((head + 16) & this.mask) >>> 3] = atUs
  }

  #copyIn(position: number, payload: Uint8Array, start: number, payloadBytes: number): void {
    const at = position & this.mask
    const source = start === 0 ? payload : payload.subarray(start)
    const room = this.sizeBytes - at
    if (payloadBytes <= room) {
      this.bytes.set(source, at)
      return
    }
    this.bytes.set(source.subarray(0, room), at)
    this.bytes.set(source.subarray(room), 0)
  }
}

/** One record, valid until the next is read. */
export type RingRecord = {
  kind: number
  session: number
  aux: number
  atUs: number
  payload: Buffer
}

export class RingConsumer extends RingView {
  #scratch = Buffer.alloc(128 * 1024)
  readonly #record: RingRecord = { kind: 0, session: 0, aux: 0, atUs: 0, payload: this.#scratch }

  /** The oldest record, or null when there is none. */
  next(): RingRecord | null {
    const tail = this.control[TAIL]!
    if (tail === Atomics.load(this.control, HEAD)) return null
    const first = (tail & this.mask) >>> 2
    const second = ((tail + 8) & this.mask) >>> 2
    const payloadBytes = this.words[first]!
    const record = this.#record
    record.kind = this.words[first + 1]!
    record.session = this.words[second]!
    record.aux = this.words[second + 1]!
    record.atUs = this.times[((tail + 16) & this.mask) >>> 3]!
    record.payload = this.#copyOut(tail + HEADER_BYTES, payloadBytes)
    Atomics.store(this.control, TAIL, (tail + HEADER_BYTES + padded(payloadBytes)) | 0)
    return record
  }

  /** Blocks this thread until woken or the time is over; never call it where sockets live. */
  sleep(milliseconds: number): void {
    const signal = Atomics.load(this.control, SIGNAL)
    if (this.usedBytes > 0 || this.closed) return
    Atomics.wait(this.control, SIGNAL, signal, milliseconds)
  }

  get closed(): boolean {
    return Atomics.load(this.control, STATE) !== 0
  }

  get abandoned(): boolean {
    return Atomics.load(this.control, STATE) === ABANDONED
  }

  #copyOut(position: number, bytes: number): Buffer {
    if (this.#scratch.length < bytes) this.#scratch = Buffer.alloc(bytes * 2)
    const at = position & this.mask
    const room = this.sizeBytes - at
    if (bytes <= room) this.#scratch.set(this.bytes.subarray(at, at + bytes))
    else {
      this.#scratch.set(this.bytes.subarray(at))
      this.#scratch.set(this.bytes.subarray(0, bytes - room), room)
    }
    return this.#scratch.subarray(0, bytes)
  }
}
