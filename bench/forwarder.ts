/** The least a proxy in Node can cost, for bench/recorder: the recorder's own sockets, and not a byte looked at. */
import { connect, createServer, type Socket } from 'node:net'
import { quickSocket, type Taken } from '../recorder/tap/quick-socket.js'

export type Forwarder = { readonly port: number; close(): void }

export function startForwarder(serverPort: number): Promise<Forwarder> {
  const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    const asked = connect({ host: '127.0.0.1', port: serverPort, noDelay: true, allowHalfOpen: true })
    asked.once('connect', () => splice(accepted, asked))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({ port: (server.address() as { port: number }).port, close: () => server.close() })
    })
  })
}

function splice(accepted: Socket, asked: Socket): void {
  const down: Taken = quickSocket(
    accepted,
    (piece) => {
      if (!up.write(piece)) down.socket.pause()
    },
    () => up.socket.writableLength > 0,
  )!
  const up: Taken = quickSocket(
    asked,
    (piece) => {
      if (!down.write(piece)) up.socket.pause()
    },
    () => down.socket.writableLength > 0,
  )!
  for (const [from, to] of [
    [down.socket, up.socket],
    [up.socket, down.socket],
  ] as const) {
    from.on('close', () => to.destroy())
    from.on('end', () => to.end())
    from.on('error', () => to.destroy())
    to.on('drain', () => from.resume())
    from.resume()
  }
}
