/**
 * The client of bench/recorder.ts, in a thread of its own: sends the same prepared statement again and again, one at a time per
 * connection, with as little of its own work as possible. pg logs in; the rest is bytes.
 */
import type { Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'
import pg from 'pg'
import { buildBindRest } from '../wire/bind.js'
import { buildBind, buildExecute, buildSync } from '../wire/frontend.js'

export type Round = { readonly url: string; readonly sql: string; readonly clients: number; readonly ms: number }
export type Measured = { readonly statements: number; readonly p50Us: number; readonly p99Us: number }

const READY = 'Z'.charCodeAt(0)

parentPort!.on('message', async (round: Round) => {
  const latencies: number[] = []
  const clients = await Promise.all(Array.from({ length: round.clients }, () => login(round)))
  const until = performance.now() + round.ms
  await Promise.all(clients.map((client, i) => send(client, i, until, latencies)))
  await Promise.all(clients.map((client) => client.end()))
  latencies.sort((a, b) => a - b)
  const at = (share: number) => Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 1000)
  parentPort!.postMessage({ statements: latencies.length, p50Us: at(0.5), p99Us: at(0.99) } satisfies Measured)
})

async function login({ url, sql }: Round): Promise<pg.Client> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query({ name: 'bench', text: sql, values: ['1'] })
  return client
}

function send(client: pg.Client, first: number, until: number, latencies: number[]): Promise<void> {
  const socket = (client as unknown as { connection: { stream: Socket } }).connection.stream
  const usual = socket.listeners('data') as ((chunk: Buffer) => void)[]
  socket.removeAllListeners('data')
  return new Promise((resolve) => {
    let id = first
    let sentAt = 0
    const next = () => {
      id = (id % 1000) + 1
      const bind = buildBind('', 'bench', buildBindRest([String(id)]))
      sentAt = performance.now()
      socket.write(Buffer.concat([bind, buildExecute(''), buildSync()]))
    }
    socket.on('data', (chunk: Buffer) => {
      // The answers are small: ReadyForQuery is the end of the chunk, or the chunk is not the last.
      if (chunk[chunk.length - 6] !== READY) return
      const now = performance.now()
      latencies.push(now - sentAt)
      if (now < until) next()
      else {
        socket.removeAllListeners('data')
        for (const listener of usual) socket.on('data', listener)
        resolve()
      }
    })
    next()
  })
}
