/** A client that says exactly the bytes it is told. pg logs it in (SCRAM and all); after that it is ours. */
import type { Socket } from 'node:net'
import pg from 'pg'
import { Framer } from '../../wire/framer.js'

export type Step = {
  readonly send: Buffer
  /** Goes on when so many messages of this type have come. */
  readonly until?: string
  readonly count?: number
}

export class RawSession {
  readonly #client: pg.Client
  readonly #socket: Socket
  #wake: () => void = () => {}
  #pieces: Buffer[] = []
  #types = ''
  #closed = false

  constructor(client: pg.Client) {
    this.#client = client
    this.#socket = (client as unknown as { connection: { stream: Socket } }).connection.stream
    this.#socket.removeAllListeners('data')
    const framer = new Framer({
      message: (type) => {
        this.#types += String.fromCharCode(type)
      },
      part: () => {},
      malformed: () => {},
    })
    this.#socket.on('data', (chunk: Buffer) => {
      this.#pieces.push(chunk)
      framer.push(chunk)
      this.#wake()
    })
    this.#socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  static async connect(url: string): Promise<RawSession> {
    const client = new pg.Client(url)
    client.on('error', () => {})
    await client.connect()
    return new RawSession(client)
  }

  /** Everything the server says until the step is over, or the connection. */
  async ask({ send, until = 'Z', count = 1 }: Step): Promise<Buffer> {
    this.#pieces = []
    this.#types = ''
    this.#socket.write(send)
    while (!this.#closed && this.#types.split(until).length - 1 < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return Buffer.concat(this.#pieces)
  }

  /** Reads nothing any more. */
  pause(): void {
    this.#socket.pause()
  }

  /** Without a farewell. */
  drop(): void {
    this.#socket.destroy()
  }

  close(): Promise<void> {
    return this.#client.end()
  }
}

export async function converse(url: string, steps: readonly Step[]): Promise<Buffer> {
  const session = await RawSession.connect(url)
  const answers: Buffer[] = []
  for (const step of steps) answers.push(await session.ask(step))
  await session.close()
  return Buffer.concat(answers)
}
