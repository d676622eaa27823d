/**
 * The clients of bench/recorder.ts, in a process of their own: send the same prepared statement again and again, one at a time per
 * connection, with as little work of their own as possible. pg logs in; the rest is bytes.
 */
import type { Socket } from 'node:net'
import pg from 'pg'
import { quickSocket } from '../recorder/tap/quick-socket.js'
import { buildBindRest } from '../wire/bind.js'
import { buildBind, buildExecute, buildSync, buildTerminate } from '../wire/frontend.js'

export type Order =
  | {
      readonly kind: 'open'
      readonly way: string
      readonly url: string
      readonly sql: string
      readonly clients: number
      readonly ids: number
    }
  | { readonly kind: 'run'; readonly way: string; readonly ms: number }
  | { readonly kind: 'close' }

/** Of one turn: how long each statement took, ascending, in microseconds. */
export type Turn = { readonly ms: number; readonly latenciesUs: Float64Array }

const READY = 'Z'.charCodeAt(0)
const NAME = 'bench'

type Client = { run(untilMs: number, latenciesMs: number[]): Promise<void>; end(): void }

const open = new Map<string, readonly Client[]>()
let messages: readonly Buffer[] = []

process.on('message', async (order: Order) => {
  process.send!(await done(order))
})

async function done(order: Order): Promise<Turn | null> {
  switch (order.kind) {
    case 'open': {
      messages = Array.from({ length: order.ids }, (_, i) => message(i + 1))
      const clients = await Promise.all(Array.from({ length: order.clients }, (_, i) => login(order.url, order.sql, i)))
      open.set(order.way, clients)
      return null
    }
    case 'run':
      return turn(open.get(order.way)!, order.ms)
    case 'close':
      for (const client of [...open.values()].flat()) client.end()
      open.clear()
      return null
  }
}

async function turn(clients: readonly Client[], ms: number): Promise<Turn> {
  const latenciesMs: number[] = []
  const began = performance.now()
  await Promise.all(clients.map((client) => client.run(began + ms, latenciesMs)))
  const took = performance.now() - began
  return { ms: took, latenciesUs: Float64Array.from(latenciesMs, (one) => one * 1000).sort() }
}

function message(id: number): Buffer {
  return Buffer.concat([buildBind('', NAME, buildBindRest([String(id)])), buildExecute(''), buildSync()])
}

async function login(url: string, sql: string, first: number): Promise<Client> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query({ name: NAME, text: sql, values: ['1'] })
  const stream = (client as unknown as { connection: { stream: Socket } }).connection.stream
  let answered = () => {}
  const taken = quickSocket(
    stream,
    (piece) => {
      // The answers are small: ReadyForQuery is the end of the piece, or the piece is not the last.
      if (piece[piece.length - 6] === READY) answered()
    },
    () => false,
  )
  if (taken === null) throw new Error('the connection cannot be taken over')
  const { socket, write } = taken
  socket.on('error', (error) => {
    throw error
  })
  socket.resume()
  let at = first
  return {
    run: (untilMs, latenciesMs) =>
      new Promise((resolve) => {
        let sentMs = 0
        const send = () => {
          at = (at + 1) % messages.length
          sentMs = performance.now()
          write(messages[at]!)
        }
        answered = () => {
          const nowMs = performance.now()
          latenciesMs.push(nowMs - sentMs)
          if (nowMs < untilMs) send()
          else resolve()
        }
        send()
      }),
    end: () => socket.end(buildTerminate()),
  }
}
