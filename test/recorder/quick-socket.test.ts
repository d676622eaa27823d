/** The recorder's own sockets: what is written arrives once, whole and in order, and nothing of it anywhere else. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, connect as dial, type ListenOptions, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { quickSocket, type Taken } from '../../recorder/tap/quick-socket.js'

let folder: string
const open: (Socket | Server)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-quick-'))
})
afterEach(() => {
  for (const one of open.splice(0)) 'destroy' in one ? one.destroy() : one.close()
  rmSync(folder, { recursive: true, force: true })
})

type Pair = { readonly quick: Taken; readonly other: Socket; readonly taken: Buffer[] }

async function listening(address: ListenOptions): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }).listen(address)
  open.push(server)
  await once(server, 'listening')
  return server
}

/** One end of a connection made quick; the other one as Node makes it, and not reading yet. */
async function pair(to: Server): Promise<Pair> {
  const bound = to.address()
  const other = dial(typeof bound === 'string' ? { path: bound } : { port: bound!.port, allowHalfOpen: true })
  const [[accepted]] = await Promise.all([once(to, 'connection') as Promise<[Socket]>, once(other, 'connect')])
  const taken: Buffer[] = []
  const quick = quickSocket(
    accepted,
    (piece) => taken.push(Buffer.from(piece)),
    () => false,
  )!
  open.push(other, quick.socket)
  return { quick, other, taken }
}

function numberOf(socket: Socket | Server): number {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1
}

function all(socket: Socket, bytes: number): Promise<Buffer> {
  const got: Buffer[] = []
  let length = 0
  return new Promise((resolve) => {
    socket.on('data', (chunk) => {
      got.push(chunk)
      length += chunk.length
      if (length >= bytes) resolve(Buffer.concat(got))
    })
  })
}

async function until(done: () => boolean, socket: Socket): Promise<void> {
  while (!done()) await once(socket, 'data')
}

/** More than the system keeps for a reader that does not read. */
function fill({ quick }: Pair): Buffer[] {
  const written: Buffer[] = []
  do written.push(randomBytes(1 + Math.floor(Math.random() * 20_000)))
  while (quick.write(written.at(-1)!))
  return written
}

describe.each([
  ['TCP', () => ({ host: '127.0.0.1', port: 0 })],
  ['a Unix socket', () => ({ path: join(folder, 'socket') })],
])('through %s', (_, address) => {
  test('a piece is with the system when write returns: nothing is queued', async () => {
    const { quick, other } = await pair(await listening(address()))
    const received = all(other, 5)
    expect(quick.write(Buffer.from('hello'))).toBe(true)
    expect(quick.socket.writableLength).toBe(0)
    // Not even the stream knows of it.
    expect(quick.socket.bytesWritten).toBe(0)
    expect((await received).toString()).toBe('hello')
  })

  test('what the system does not take is queued, behind it nothing overtakes, and drain says when to go on', async () => {
    const both = await pair(await listening(address()))
    const { quick, other } = both
    const written = fill(both)
    expect(quick.socket.writableLength).toBeGreaterThan(0)
    // As soon as somebody reads there is room in the system, and still a queue in front of it.
    other.on('data', () => {
      if (written.length > 200 || quick.socket.writableLength === 0) return
      written.push(randomBytes(10))
      quick.write(written.at(-1)!)
    })
    const drained = once(quick.socket, 'drain')
    const got: Buffer[] = []
    other.on('data', (chunk) => got.push(chunk))
    await drained
    const end = randomBytes(10)
    written.push(end)
    quick.write(end)
    await until(() => Buffer.concat(got.slice(-2)).subarray(-10).equals(end), other)
    expect(Buffer.concat(got).equals(Buffer.concat(written))).toBe(true)
    other.removeAllListeners('data')
    const more = all(other, 5)
    expect(quick.write(Buffer.from('again'))).toBe(true)
    expect((await more).toString()).toBe('again')
  })

  test('reads go into one buffer, piece by piece', async () => {
    const { quick, other, taken } = await pair(await listening(address()))
    quick.socket.resume()
    const sent = randomBytes(300_000)
    other.end(sent)
    await once(quick.socket, 'end')
    expect(Buffer.concat(taken).equals(sent)).toBe(true)
  })

  test('the other side is gone: the error is told by the socket, not thrown', async () => {
    const { quick, other } = await pair(await listening(address()))
    other.destroy()
    const failed = once(quick.socket, 'error')
    quick.socket.resume()
    for (let i = 0; i < 3; i++) quick.write(Buffer.from('to nobody'))
    expect(String((await failed)[0].code)).toMatch(/EPIPE|ECONNRESET/)
  })
})

test('after it was closed its number belongs to another connection, which gets nothing of it', async () => {
  const server = await listening({ host: '127.0.0.1', port: 0 })
  const first = await pair(server)
  const fd = numberOf(first.quick.socket)
  for (const socket of [first.quick.socket, first.other]) socket.on('error', () => {})
  first.quick.socket.destroy()
  const others: Pair[] = []
  for (let i = 0; i < 4; i++) others.push(await pair(server))
  expect(others.flatMap(({ quick, other }) => [numberOf(quick.socket), numberOf(other)])).toContain(fd)
  first.quick.write(Buffer.from('stray'))
  for (const { quick, other, taken } of others) {
    const received = all(other, 4)
    quick.write(Buffer.from('mine'))
    expect((await received).toString()).toBe('mine')
    quick.socket.resume()
    other.end('yours')
    await once(quick.socket, 'end')
    expect(Buffer.concat(taken).toString()).toBe('yours')
  }
})

test('behind its end nothing is written', async () => {
  const { quick, other } = await pair(await listening({ host: '127.0.0.1', port: 0 }))
  const received: Buffer[] = []
  other.on('data', (chunk) => received.push(chunk))
  quick.socket.on('error', () => {})
  quick.socket.end('last')
  quick.write(Buffer.from('too late'))
  await once(other, 'end')
  expect(Buffer.concat(received).toString()).toBe('last')
})
