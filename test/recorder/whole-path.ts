/** Tap, ring and the drain's session put together as in the recorder, without sockets and without a disk. */
import { createMasker, type Masker } from '../../privacy/masker.js'
import { DRAIN_LIMITS } from '../../recorder/drain/drain.js'
import { Known } from '../../recorder/drain/known.js'
import { DrainSession, type SessionLimits, type SessionStore } from '../../recorder/drain/session.js'
import { createRing, RECORD, RingConsumer, RingProducer } from '../../recorder/tap/ring.js'
import { SessionTap } from '../../recorder/tap/session-tap.js'
import { createTally, PASSING_WORDS, type PassingReason, Tally } from '../../recorder/tap/tally.js'
import type { Statement } from '../../segment/statement.js'
import { server } from './messages.js'
import { KEEP_ALL, KEY } from './recording.js'

export type Piece = { readonly fromClient: boolean; readonly bytes: Buffer }

export function anyMasker(): Promise<Masker> {
  const catalog = { database: 'd', serverVersionNum: 180_000, searchPath: [], relations: [], types: [], functions: [] }
  return createMasker({ key: KEY, policy: KEEP_ALL, catalog })
}

/** Small, so that a test reaches them. */
export const SMALL_LIMITS: SessionLimits = {
  ...DRAIN_LIMITS,
  messageBytesMax: 64 * 1024,
  copyBytesMax: 64 * 1024,
  pendingBytesMax: 256 * 1024,
  transactionBytesMax: 256 * 1024,
  namesMax: 100,
  namesBytesMax: 64 * 1024,
}

export class WholePath {
  readonly tap: SessionTap
  readonly tally = new Tally(createTally())
  /** Not kept when there is no end to them. */
  readonly statements: Statement[] = []
  readonly lost: string[] = []
  kept = 0
  readonly #consumer: RingConsumer
  readonly #makeSession: () => DrainSession
  #session: DrainSession | null = null
  #atUs = 0

  constructor(
    masker: Masker,
    startup: Uint8Array,
    ringBytes = 1 << 20,
    limits = SMALL_LIMITS,
    remembers = true,
    /** Sessions of one drain share them. */
    known = new Known(masker),
  ) {
    const shared = createRing(ringBytes)
    this.tap = new SessionTap(1, startup, new RingProducer(shared), this.tally)
    this.#consumer = new RingConsumer(shared)
    let seq = 0
    let transaction = 0
    const store: SessionStore = {
      nextSeq: (count) => {
        seq += count
        return seq - count + 1
      },
      nextTransaction: () => ++transaction,
      write: (more) => {
        this.kept += more.length
        if (remembers) for (const statement of more) this.statements.push(statement)
      },
      event: ({ kind, detail }) => {
        if (kind === 'lost') this.lost.push(String((detail as { why: string }).why))
      },
      lost: () => {},
      notFollowed: () => {},
      filtered: () => null,
      leave: () => {},
    }
    this.#makeSession = () => new DrainSession(1, store, masker, known, limits)
  }

  /** Logged in, with what the server says of itself. */
  greet(greeting: Buffer = Buffer.concat([server.key(7), server.ready('I')])): this {
    this.tap.server(Buffer.concat([server.authenticationOk(), greeting]), this.#atUs)
    return this
  }

  client(bytes: Uint8Array): this {
    this.#atUs += 1
    this.tap.client(bytes, this.#atUs)
    return this
  }

  server(bytes: Uint8Array): this {
    this.#atUs += 1
    this.tap.server(bytes, this.#atUs)
    return this
  }

  pass({ fromClient, bytes }: Piece): this {
    return fromClient ? this.client(bytes) : this.server(bytes)
  }

  /** What the drain's thread would do with what is in the ring now. */
  drain(): this {
    for (let record = this.#consumer.next(); record !== null; record = this.#consumer.next()) {
      const { kind, payload, atUs, aux } = record
      if (kind === RECORD.open) {
        this.#session = this.#makeSession()
        this.#session.open(payload, atUs, aux === 0)
        continue
      }
      const session = this.#session!
      if (kind === RECORD.client) session.client(payload, atUs)
      else if (kind === RECORD.server) session.server(payload, atUs)
      else if (kind === RECORD.gap) session.gap(PASSING_WORDS[aux as PassingReason], atUs)
      else if (kind === RECORD.state) session.restore(payload, atUs, aux === 0)
      else if (kind === RECORD.close) session.close(atUs)
    }
    return this
  }

  close(): this {
    this.drain()
    this.tap.close(this.#atUs)
    return this.drain()
  }
}
