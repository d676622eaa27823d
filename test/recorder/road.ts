/** Between the recorder and the server, for tests: a road on which somebody else may speak, or nobody. */
import { connect as connectTcp, createServer, type Socket } from 'node:net'

export type Road = {
  readonly url: string
  /** What the server of the newest connection seems to say. */
  say(bytes: Buffer): void
  /** Who comes from now on is let in, and hears nothing but what say() says. */
  mute(): void
  hangUp(): void
  /** What the newest of those has said, as soon as it is so much. */
  hears(bytes: number): Promise<Buffer>
  close(): void
}

/** A road to the server on which somebody else may speak. */
export function road(url: string): Promise<Road> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let newest: Socket
  let muted = false
  let heard = Buffer.alloc(0)
  let wake = () => {}
  const server = createServer((down) => {
    newest = down
    if (muted) {
      sockets.add(down)
      heard = Buffer.alloc(0)
      down.on('error', () => {})
      down.on('data', (chunk) => {
        heard = Buffer.concat([heard, chunk])
        wake()
      })
      return
    }
    const up = connectTcp({ host: hostname, port: Number(port) })
    for (const [from, to] of [
      [down, up],
      [up, down],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk) => to.write(chunk))
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port: own } = server.address() as { port: number }
      resolve({
        url: Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(own) }).toString(),
        say: (bytes) => newest.write(bytes),
        mute: () => {
          muted = true
          heard = Buffer.alloc(0)
        },
        hangUp: () => newest.end(),
        async hears(bytes) {
          while (heard.length < bytes) {
            await new Promise<void>((resolve) => {
              wake = resolve
            })
          }
          return heard
        },
        close() {
          for (const socket of sockets) socket.destroy()
          server.close()
        },
      })
    })
  })
}
