/**
 * A connection that speaks in raw messages. node-postgres does the start-up (TLS, SCRAM, md5, password, .pgpass) and the
 * prologue; then the socket belongs to our framer, and nothing builds an object per row.
 */
import { createConnection, Socket } from 'node:net'
import pg from 'pg'
import { Framer, LENGTH_MAX, type MessageSink } from '../../wire/framer.js'
import { buildCancelRequest, buildTerminate } from '../../wire/frontend.js'

export type RawConnection = {
  readonly backendPid: number
  write(bytes: Uint8Array): void
  /** Says goodbye and closes. */
  end(): void
  /** Asks the server to cancel what this connection is at. */
  cancel(): void
  /** Hangs up. */
  destroy(): void
}

export type ConnectOptions = {
  readonly url: string
  /** Start-up parameters besides user and database. */
  readonly parameters: Readonly<Record<string, string>>
  /** Statements that bring the new connection to the state the session had. */
  readonly prologue: readonly string[]
  readonly timeoutMs: number
  readonly sink: MessageSink
  /** After each piece of the stream: what it brought has been handed to the sink. */
  readonly afterChunk: () => void
  /** Once, when the connection is closed, whoever closed it. The server has then let go of everything it held for it. */
  readonly closed: () => void
}

/** The parts of node-postgres that its type declarations leave out. */
type ClientInside = {
  readonly processID: number | null
  readonly secretKey: number | null
  readonly host: string
  readonly port: number
  readonly connection: {
    readonly stream: Socket
    startup(parameters: Record<string, string>): void
  }
}

/** Belong to the target, not to the recorded client. Texts are kept as UTF-8, which node-postgres asks for itself. */
const OURS = /^(user|database|replication|client_encoding|_pq_\..*)$/

/**
 * One buffer for all sockets of a thread: what is read is looked at before the next read. Node's own way (64 KB of fresh memory
 * for every read, mostly given back) costs 4 µs a statement, a third of all that talking to the server costs.
 */
const READ_BYTES = 256 * 1024
let readBuffer: Buffer | null = null

/** Reads into the shared buffer. Not under TLS, which reads for itself. */
class PlainSocket extends Socket {
  consume: (chunk: Buffer) => void = (chunk) => {
    this.emit('data', Buffer.from(chunk))
  }

  constructor() {
    readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES)
    const buffer = readBuffer
    super({
      onread: {
        buffer,
        callback: (bytes: number) => {
          this.consume(buffer.subarray(0, bytes))
          return true
        },
      },
    } as object)
  }
}

export async function connect(options: ConnectOptions): Promise<RawConnection> {
  const client = new pg.Client({
    connectionString: options.url,
    connectionTimeoutMillis: options.timeoutMs,
    stream: ((config: { ssl: unknown }) => (config.ssl ? new Socket() : new PlainSocket())) as never,
  })
  const inside = client as unknown as ClientInside
  const { connection } = inside
  const startup = connection.startup.bind(connection)
  const parameters = Object.fromEntries(Object.entries(options.parameters).filter(([name]) => !OURS.test(name)))
  connection.startup = (own) => startup({ ...own, ...parameters })
  // Later errors show as the end of the connection; without a listener they would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    for (const sql of options.prologue) await client.query(sql)
    if (connection.stream.destroyed) throw new Error('Connection terminated')
  } catch (error) {
    connection.stream.destroy()
    throw error
  }
  return takeOver(inside, options)
}

function takeOver(inside: ClientInside, options: ConnectOptions): RawConnection {
  const { processID, secretKey, host, port } = inside
  const { stream } = inside.connection
  const framer = new Framer(options.sink, { wholeBytesMax: LENGTH_MAX })
  const consume = (chunk: Buffer): void => {
    framer.push(chunk)
    if (framer.broken) stream.destroy()
    options.afterChunk()
  }
  stream.removeAllListeners('data')
  if (stream instanceof PlainSocket) stream.consume = consume
  else stream.on('data', consume)
  stream.once('close', options.closed)
  return {
    backendPid: processID ?? 0,
    write: (bytes) => {
      stream.write(bytes)
    },
    end: () => {
      stream.end(buildTerminate())
    },
    cancel: () => {
      if (processID === null || secretKey === null) return
      const path = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
      const asking = createConnection(path, () => asking.end(buildCancelRequest(processID, secretKey)))
      asking.on('error', () => {})
    },
    destroy: () => {
      stream.destroy()
    },
  }
}
