/**
 * A road to the server on which every message is late by chance: what a replay's order must not depend on.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Dice } from '../rewrite/dice.js'

export type Road = { readonly url: string; close(): Promise<void> }

export async function jittery(url: string, dice: Dice, delayMsMax: number): Promise<Road> {
  const to = new URL(url)
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(to.port), to.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => socket.destroy())
    }
    delayed(client, upstream, dice, delayMsMax)
    delayed(upstream, client, dice, delayMsMax)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).toString(),
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Chunks keep their order; how long each one takes is chance. */
function delayed(from: Socket, to: Socket, dice: Dice, delayMsMax: number): void {
  let last = Promise.resolve()
  from.on('data', (chunk: Buffer) => {
    const wait = dice.chance(0.5) ? 0 : dice.int(1, delayMsMax)
    last = last.then(
      () =>
        new Promise((done) => {
          setTimeout(() => done(void to.write(chunk)), wait)
        }),
    )
  })
  from.on('close', () => void last.then(() => to.destroy()))
}
