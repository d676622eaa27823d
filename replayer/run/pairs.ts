/**
 * Pairs of generated values (recorded, actual), shared by all workers: an append-only log in shared memory, from which each
 * worker keeps a map of its own.
 *
 * A pair is published before the statement that made it counts as complete, so whoever waits for that statement finds it.
 */

/** A slot: published flag, domain, then twice a length and this many bytes. */
const VALUE_BYTES = 64
const SLOT_BYTES = 16 + 2 * VALUE_BYTES
const HEADER_BYTES = 16
const SLOTS_AT_FIRST = 4096
/** Address space, not memory: it grows as it fills. */
const SLOTS_MAX = 4_000_000

export type PairLog = SharedArrayBuffer

/** `maxByteLength` and `grow` are ES2024; Node 20 has them. */
type Growable = SharedArrayBuffer & { grow(bytes: number): void }
const GrowableBuffer = SharedArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => PairLog

export function createPairLog(): PairLog {
  return new GrowableBuffer(HEADER_BYTES + SLOTS_AT_FIRST * SLOT_BYTES, {
    maxByteLength: HEADER_BYTES + SLOTS_MAX * SLOT_BYTES,
  })
}

export type Pair = { readonly domain: number; readonly recorded: string; readonly actual: string }

export class Pairs {
  readonly #log: PairLog
  readonly #header: Int32Array
  readonly #known = new Map<string, string>()
  /** Filled when somebody asks for the first time: most replays never do. */
  #actual: Set<string> | null = null
  #read = 0
  /** Values too long for a slot, or beyond its end. */
  lost = 0

  constructor(log: PairLog) {
    this.#log = log
    this.#header = new Int32Array(log, 0, HEADER_BYTES / 4)
  }

  publish({ domain, recorded, actual }: Pair): void {
    const [from, to] = [Buffer.from(recorded), Buffer.from(actual)]
    if (this.get(domain, recorded) === actual) return
    if (from.length > VALUE_BYTES || to.length > VALUE_BYTES) {
      this.lost += 1
      return
    }
    const slot = Atomics.add(this.#header, 0, 1)
    if (slot >= SLOTS_MAX) {
      this.lost += 1
      return
    }
    const at = HEADER_BYTES + slot * SLOT_BYTES
    this.#reach(at + SLOT_BYTES)
    const words = new Int32Array(this.#log, at, 4)
    const bytes = new Uint8Array(this.#log, at + 16, 2 * VALUE_BYTES)
    words[1] = domain
    words[2] = from.length
    words[3] = to.length
    bytes.set(from)
    bytes.set(to, VALUE_BYTES)
    Atomics.store(words, 0, 1)
  }

  /** What this run has in place of a recorded value; undefined: nothing was generated for it. */
  get(domain: number, recorded: string): string | undefined {
    this.#catchUp()
    return this.#known.get(`${domain} ${recorded}`)
  }

  /** Something stands for the recorded value, or the actual one stands for something. */
  knowsEither({ domain, recorded, actual }: Pair): boolean {
    if (this.get(domain, recorded) !== undefined) return true
    this.#actual ??= new Set([...this.all()].map((pair) => `${pair.domain} ${pair.actual}`))
    return this.#actual.has(`${domain} ${actual}`)
  }

  *all(): Generator<Pair> {
    this.#catchUp()
    for (const [key, actual] of this.#known) {
      const space = key.indexOf(' ')
      yield { domain: Number(key.slice(0, space)), recorded: key.slice(space + 1), actual }
    }
  }

  #catchUp(): void {
    const end = Math.min(Atomics.load(this.#header, 0), SLOTS_MAX)
    for (; this.#read < end; this.#read += 1) {
      const at = HEADER_BYTES + this.#read * SLOT_BYTES
      this.#reach(at + SLOT_BYTES)
      const words = new Int32Array(this.#log, at, 4)
      // Another thread has taken this slot and is filling it: that takes it a microsecond.
      while (Atomics.load(words, 0) === 0);
      const bytes = Buffer.from(this.#log, at + 16, 2 * VALUE_BYTES)
      const recorded = bytes.toString('utf8', 0, words[2])
      const actual = bytes.toString('utf8', VALUE_BYTES, VALUE_BYTES + words[3]!)
      this.#known.set(`${words[1]} ${recorded}`, actual)
      this.#actual?.add(`${words[1]} ${actual}`)
    }
  }

  #reach(bytes: number): void {
    while (this.#log.byteLength < bytes) {
      const slots = Math.ceil((bytes - HEADER_BYTES) / SLOT_BYTES)
      const wanted = HEADER_BYTES + Math.min(SLOTS_MAX, slots * 2) * SLOT_BYTES
      try {
        ;(this.#log as Growable).grow(wanted)
      } catch {
        // Another thread has grown it further meanwhile.
      }
    }
  }
}
