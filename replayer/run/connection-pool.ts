/**
 * Connections that some sessions of a worker share: handed out for a transaction, to whoever has waited longest.
 */
import type { MessageSink } from '../../wire/framer.js'
import type { RawConnection } from './connection.js'

/** What a connection hears goes to the session that has it. */
export class SharedSink implements MessageSink {
  owner: (MessageSink & { lost(): void }) | null = null
  message(type: number, buffer: Buffer, start: number, end: number): void {
    this.owner?.message(type, buffer, start, end)
  }
  part(): void {}
  malformed(): void {}
}

export type Shared = { readonly connection: RawConnection; readonly sink: SharedSink }

/** A session that wants one. */
export type Applicant = {
  granted(shared: Shared): void
  /** The server lets nobody in. */
  refused(error: unknown): void
}

export type PoolOptions = {
  readonly connections: number
  /** Opens one; `closed` is to be called when it is gone. Tries again by itself, as long as it makes sense. */
  readonly open: (sink: SharedSink, closed: () => void) => Promise<RawConnection>
}

export class ConnectionPool {
  readonly #options: PoolOptions
  readonly #idle: Shared[] = []
  readonly #waiting: Applicant[] = []
  #count = 0
  #ended = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** One that is free now; null: the applicant will be told. */
  take(applicant: Applicant): Shared | null {
    const shared = this.#waiting.length === 0 ? this.#idle.pop() : undefined
    if (shared !== undefined) return shared
    if (!this.#waiting.includes(applicant)) this.#waiting.push(applicant)
    this.#grow()
    return null
  }

  give(shared: Shared): void {
    shared.sink.owner = null
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(shared)
    else next.granted(shared)
  }

  leave(applicant: Applicant): void {
    const at = this.#waiting.indexOf(applicant)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  end(): void {
    this.#ended = true
    for (const { connection } of this.#idle.splice(0)) connection.end()
  }

  #grow(): void {
    if (this.#ended || this.#count >= this.#options.connections) return
    this.#count += 1
    const sink = new SharedSink()
    let shared: Shared | null = null
    const closed = (): void => {
      this.#count -= 1
      const at = shared === null ? -1 : this.#idle.indexOf(shared)
      if (at >= 0) this.#idle.splice(at, 1)
      sink.owner?.lost()
      if (this.#waiting.length > 0) this.#grow()
    }
    this.#options.open(sink, closed).then(
      (connection) => {
        shared = { connection, sink }
        if (this.#ended) connection.end()
        else this.give(shared)
      },
      (error: unknown) => {
        this.#count -= 1
        // Others that are open serve those who wait; with none, nobody ever will.
        if (this.#count > 0) return
        for (const applicant of this.#waiting.splice(0)) applicant.refused(error)
      },
    )
  }
}
