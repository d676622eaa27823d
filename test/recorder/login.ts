/**
 * A client that logs in by hand, so that every byte of the server's side can be compared: any protocol version, any encryption, any
 * password method. Its own nonce is fixed; what the server makes up afresh for each login is what remains different.
 */
import { createHash, createHmac, pbkdf2Sync, X509Certificate } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls'
import { int32, MessageWriter } from '../../wire/bytes.js'
import { Framer } from '../../wire/framer.js'
import { buildTerminate } from '../../wire/frontend.js'
import { buildSslRequest, buildStartup } from '../../wire/startup.js'

export type Encryption = 'none' | 'asked' | 'direct'
export type LoginOptions = {
  readonly port: number
  readonly user: string
  readonly password?: string
  readonly encryption?: Encryption
  readonly tls?: ConnectionOptions
  /** Binds a SCRAM login to the certificate that is shown. */
  readonly binds?: boolean
  readonly minor?: number
  readonly parameters?: Readonly<Record<string, string>>
}
export type Said = { readonly type: string; readonly body: Buffer }
/** What was said, by whom, in the order in which it came by here: a message of the server, bytes of the client. */
export type Line = { readonly by: 'server'; readonly message: Said } | { readonly by: 'client'; readonly bytes: Buffer }

const NONCE = 'a-nonce-that-never-changes'
const PASSWORD = 'p'.charCodeAt(0)
const PLUS = 'SCRAM-SHA-256-PLUS'

export class Login {
  readonly said: Said[] = []
  readonly lines: Line[] = []
  readonly socket: Socket
  closed = false
  #heard: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    const framer = new Framer({
      message: (type, buffer, start, end) => {
        const message = { type: String.fromCharCode(type), body: Buffer.from(buffer.subarray(start, end)) }
        this.said.push(message)
        this.lines.push({ by: 'server', message })
      },
      part: () => {},
      malformed: () => {},
    })
    socket.on('data', (chunk: Buffer) => {
      framer.push(chunk)
      this.#heard()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.#heard()
    })
  }

  /** Up to the first ReadyForQuery, or to the end of the connection. */
  static async begin(options: LoginOptions): Promise<Login> {
    return Login.on(await encrypted(options), options)
  }

  static async on(socket: Socket, options: LoginOptions): Promise<Login> {
    const login = new Login(socket)
    const { user, parameters = {}, minor = 0 } = options
    login.say(buildStartup({ user, database: 'postgres', ...parameters }, 3, minor))
    await login.#authenticate(options)
    await login.until('Z')
    return login
  }

  /** Says these bytes and nothing else. */
  static async raw(port: number, bytes: Uint8Array): Promise<Login> {
    const login = new Login(await encrypted({ port, user: '' }))
    login.say(bytes)
    return login
  }

  say(bytes: Uint8Array): void {
    this.lines.push({ by: 'client', bytes: Buffer.from(bytes) })
    this.socket.write(bytes)
  }

  /** Resolves when the connection has ended. */
  async gone(): Promise<void> {
    while (!this.closed) await this.#next()
  }

  /** Resolves when a message of this type has come at or behind a place, with its body; null: the connection ended first. */
  async until(type: string, from = 0): Promise<Buffer | null> {
    for (;;) {
      const found = this.said.slice(from).find((message) => message.type === type)
      if (found !== undefined) return found.body
      if (this.closed) return null
      await this.#next()
    }
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#heard = resolve
    })
  }

  /** Everything the server says to this, up to ReadyForQuery. */
  async ask(bytes: Uint8Array): Promise<Said[]> {
    const from = this.said.length
    this.say(bytes)
    await this.until('Z', from)
    return this.said.slice(from)
  }

  /** Says goodbye; resolves when the server has hung up. */
  async leave(): Promise<void> {
    this.say(buildTerminate())
    await this.gone()
  }

  /** Process id and cancel key, as BackendKeyData has them. */
  get cancelKey(): { readonly pid: number; readonly key: Buffer } {
    const body = this.said.find(({ type }) => type === 'K')!.body
    return { pid: body.readInt32BE(0), key: body.subarray(4) }
  }

  end(): void {
    this.socket.destroy()
  }

  async #authenticate({ user, password = '', binds = false }: LoginOptions): Promise<void> {
    let scram: Scram | null = null
    for (let at = 0; ; at++) {
      while (this.said.length <= at && !this.closed) await this.#next()
      const message = this.said[at]
      if (message === undefined || message.type === 'E') return
      if (message.type !== 'R') continue
      const data = message.body.subarray(4)
      const code = int32(message.body, 0)
      switch (code) {
        case 0:
          return
        case 3:
          this.#answer((w) => w.string(password))
          break
        case 5:
          this.#answer((w) => w.string(`md5${md5(Buffer.concat([Buffer.from(md5(password + user)), data]))}`))
          break
        case 10: {
          scram = new Scram(password, binds && this.socket instanceof TLSSocket ? bindingOf(this.socket) : null)
          const mechanism = binds ? PLUS : 'SCRAM-SHA-256'
          const first = Buffer.from(scram.first)
          this.#answer((w) => w.string(mechanism).counted(first))
          break
        }
        case 11:
          this.#answer((w) => w.raw(Buffer.from(scram!.final(data.toString()))))
          break
        case 7:
        case 8:
        case 9:
          // Nobody here has a ticket to show: any token will do for a server that plays a part.
          this.#answer((w) => w.raw(Buffer.from(`token ${code}`)))
      }
    }
  }

  #answer(write: (writer: MessageWriter) => MessageWriter): void {
    this.say(write(new MessageWriter().start(PASSWORD)).finish().bytes())
  }
}

/** What the server said, with what it makes up for each login taken out; lengths stay. */
export function comparable(said: readonly Said[]): string[] {
  return said.map(({ type, body }) => {
    const code = type === 'R' ? int32(body, 0) : -1
    if (type === 'K' || code === 5 || code === 12) return `${type}${code} ${body.length} bytes`
    // Who notifies is another process each time.
    const text = body.toString('latin1', type === 'A' ? 4 : 0)
    return `${type}${code === 11 ? text.replace(/r=[^,]*/, (nonce) => `r=${nonce.length}`) : text}`
  })
}

function encrypted({ port, encryption = 'none', tls = {} }: LoginOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const raw = connect({ port, host: '127.0.0.1', noDelay: true })
    raw.once('error', reject)
    const begin = () => {
      const options = { rejectUnauthorized: false, servername: 'localhost', ALPNProtocols: ['postgresql'], ...tls }
      const secure = connectTls({ ...options, socket: raw }, () => resolve(secure))
      secure.once('error', reject)
    }
    raw.once('connect', () => {
      if (encryption === 'none') resolve(raw)
      else if (encryption === 'direct') begin()
      else {
        raw.write(buildSslRequest())
        raw.once('data', (answer) => {
          raw.pause()
          if (answer.toString('latin1') === 'S') begin()
          else reject(new Error('no TLS is offered'))
        })
      }
    })
  })
}

/** RFC 5802 and 7677, the client's half. */
class Scram {
  readonly #password: string
  readonly #binding: Buffer | null
  readonly #bare = `n=*,r=${NONCE}`
  readonly #header: string

  constructor(password: string, binding: Buffer | null) {
    this.#password = password
    this.#binding = binding
    this.#header = binding === null ? 'n,,' : 'p=tls-server-end-point,,'
  }

  get first(): string {
    return this.#header + this.#bare
  }

  final(serverFirst: string): string {
    const {
      r: nonce,
      s: salt,
      i: iterations,
    } = Object.fromEntries(serverFirst.split(',').map((field) => [field[0], field.slice(2)]))
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt!, 'base64'), Number(iterations), 32, 'sha256')
    const key = hmac(salted, 'Client Key')
    const channel = Buffer.concat([Buffer.from(this.#header), this.#binding ?? Buffer.alloc(0)]).toString('base64')
    const last = `c=${channel},r=${nonce}`
    const signature = hmac(createHash('sha256').update(key).digest(), `${this.#bare},${serverFirst},${last}`)
    return `${last},p=${Buffer.from(key.map((byte, i) => byte ^ signature[i]!)).toString('base64')}`
  }
}

const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const md5 = (data: string | Uint8Array): string => createHash('md5').update(data).digest('hex')
/** Certificates of these tests are signed with SHA-256. */
const bindingOf = (socket: TLSSocket): Buffer =>
  createHash('sha256').update(new X509Certificate(socket.getPeerCertificate().raw).raw).digest()
