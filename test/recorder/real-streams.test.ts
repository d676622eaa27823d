/** What real drivers really sent and were answered, damaged in every way: never throws, never hangs, keeps no more than it may. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Masker } from '../../privacy/masker.js'
import type { DrainThread, startDrain } from '../../recorder/drain/thread.js'
import { RECORD, RingConsumer } from '../../recorder/tap/ring.js'
import type { Statement } from '../../segment/statement.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, through } from './recording.js'
import { anyMasker, type Piece, WholePath } from './whole-path.js'
import { onPath, run, SCHEMA, WORK } from './work.js'

type Stream = { readonly name: string; readonly startup: Buffer; readonly greeting: Buffer; readonly pieces: Piece[] }

const streams: Stream[] = []
let masker: Masker
let db: TestDatabase
let at: Bench

beforeAll(async () => {
  masker = await anyMasker()
  db = await createDatabase(...SCHEMA)
  at = bench()
  const pgbench = async (url: string) => {
    await run('pgbench', ['-i', '-q', url])
    await run('pgbench', ['-n', '-M', 'prepared', '-c', '2', '-t', '10', url])
    return []
  }
  const works = [...WORK, { name: 'pgbench', work: pgbench, runs: onPath('pgbench') }]
  for (const { name, work, runs = true } of works) if (runs) streams.push(...(await streamsOf(name, work)))
})
afterAll(async () => {
  at.remove()
  await db.drop()
})

/** What the tap offers of some work's sessions, taken from the ring in the place of the drain. */
async function streamsOf(name: string, work: (url: string) => Promise<unknown>): Promise<Stream[]> {
  let ring: SharedArrayBuffer | undefined
  const capture: typeof startDrain = async (settings) => {
    ring = settings.ring
    return {
      id: name,
      ended: new Promise(() => {}),
      failure: () => '',
      incident() {},
      abandoned: async () => {},
      terminate: async () => {},
    } satisfies DrainThread
  }
  const recording = await at.start(db.url, { startDrain: capture })
  await work(through(db.url, recording))
  const sessions = new Map<number, Stream>()
  const consumer = new RingConsumer(ring!)
  for (let record = consumer.next(); record !== null; record = consumer.next()) {
    const { kind, session, payload } = record
    if (kind === RECORD.open) {
      const startupEnd = 8 + payload.readInt32BE(0)
      const greetingEnd = startupEnd + payload.readInt32BE(4)
      const [startup, greeting] = [payload.subarray(8, startupEnd), payload.subarray(startupEnd, greetingEnd)]
      sessions.set(session, { name, startup: Buffer.from(startup), greeting: Buffer.from(greeting), pieces: [] })
    } else if (kind === RECORD.client || kind === RECORD.server) {
      sessions.get(session)!.pieces.push({ fromClient: kind === RECORD.client, bytes: Buffer.from(payload) })
    }
  }
  await recording.kill()
  recording.close()
  return [...sessions.values()]
}

/** The same in every run. */
function dice(seed: number): (below: number) => number {
  let state = (seed * 2654435761 + 1) >>> 0
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0
    return (state >>> 7) % below
  }
}

/** One of the things that may go wrong with a stream. */
function damaged(pieces: readonly Piece[], roll: (below: number) => number): Piece[] {
  const result = pieces.map(({ fromClient, bytes }) => ({ fromClient, bytes: Buffer.from(bytes) }))
  for (let times = 1 + roll(4); times > 0 && result.length > 0; times--) {
    const i = roll(result.length)
    const { fromClient, bytes } = result[i]!
    const place = roll(bytes.length + 1)
    switch (roll(7)) {
      case 0:
        if (place < bytes.length) bytes[place] = roll(256)
        break
      case 1:
        // Where lengths live.
        for (let n = 0; n < 4 && place + n < bytes.length; n++) bytes[place + n] = roll(3) === 0 ? 255 : roll(256)
        break
      case 2:
        result[i] = { fromClient, bytes: bytes.subarray(0, place) }
        break
      case 3:
        result.splice(i, 1)
        break
      case 4:
        result.splice(i, 0, { fromClient, bytes: Buffer.from(bytes) })
        break
      case 5:
        result[i] = { fromClient: !fromClient, bytes }
        break
      case 6:
        result[i] = {
          fromClient,
          bytes: Buffer.concat([bytes.subarray(0, place), Buffer.alloc(roll(40), roll(256)), bytes.subarray(place)]),
        }
    }
  }
  return result
}

function cut(pieces: readonly Piece[], roll: (below: number) => number): Piece[] {
  return pieces.flatMap(({ fromClient, bytes }) => {
    const cuts: Piece[] = []
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + 1 + roll(200))
      cuts.push({ fromClient, bytes: bytes.subarray(from, to) })
      from = to
    }
    return cuts
  })
}

/** What is kept of the stream. */
function throughAll({ startup, greeting }: Stream, pieces: readonly Piece[], ringBytes = 1 << 20): Statement[] {
  const path = new WholePath(masker, startup, ringBytes).greet(greeting)
  for (const [i, piece] of pieces.entries()) {
    path.pass(piece)
    // Now and then it is late, and the ring fills.
    if (i % 7 === 0) path.drain()
  }
  return path.close().statements
}

test('the streams are those of drivers that speak differently', () => {
  expect(new Set(streams.map(({ name }) => name)).size).toBeGreaterThanOrEqual(5)
  for (const stream of streams) expect(throughAll(stream, stream.pieces).length).toBeGreaterThan(0)
})

test('the cuts of a stream do not matter', () => {
  const essence = (statements: readonly Statement[]) =>
    statements.map(({ sql, frames, parameters, outcome }) => [sql, frames, parameters, outcome])
  for (const [i, stream] of streams.entries()) {
    const whole = essence(throughAll(stream, stream.pieces))
    for (let seed = 0; seed < 5; seed++) {
      expect(essence(throughAll(stream, cut(stream.pieces, dice(i * 10 + seed))))).toEqual(whole)
    }
  }
})

test('damaged, cut, and through a ring that is too small: never throws, and what is kept stays in order', {
  timeout: 180_000,
}, () => {
  for (const [i, stream] of streams.entries()) {
    for (let seed = 0; seed < 40; seed++) {
      const roll = dice(i * 1000 + seed)
      const pieces = damaged(stream.pieces, roll)
      const statements = throughAll(
        stream,
        seed % 2 === 0 ? cut(pieces, roll) : pieces,
        seed % 3 === 0 ? 4096 : 1 << 20,
      )
      const ordinals = statements.map(({ ordinal }) => ordinal)
      expect(ordinals).toEqual(ordinals.map((_, n) => n + 1))
    }
  }
})

test('damage does not add up to memory', () => {
  const [stream] = streams
  const kept = () => {
    for (let seed = 0; seed < 40; seed++) throughAll(stream!, damaged(stream!.pieces, dice(seed)))
    global.gc?.()
    return process.memoryUsage().heapUsed
  }
  kept()
  const before = kept()
  for (let times = 0; times < 5; times++) kept()
  expect(kept() - before).toBeLessThan(60 * 2 ** 20)
})
