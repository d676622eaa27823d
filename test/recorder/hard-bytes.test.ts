/** Bytes that nobody should send, and more of them than memory has room for: all pass, none is kept for longer than it takes. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import { balances } from '../../segment/ledger.js'
import type { Manifest } from '../../segment/manifest.js'
import { buildBindRest } from '../../wire/bind.js'
import {
  buildBind,
  buildCopyData,
  buildCopyDone,
  buildExecute,
  buildParse,
  buildQuery,
  buildSync,
} from '../../wire/frontend.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, read, through } from './recording.js'
import { road } from './road.js'
import { type Running, startRecorder } from './running.js'

let db: TestDatabase
let at: Bench
let folder: string
const children: ChildProcess[] = []
beforeEach(async () => {
  at = bench()
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-bytes-'))
  db = await createDatabase('CREATE TABLE t (line text)')
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  at.remove()
  rmSync(folder, { recursive: true, force: true })
  await db.drop()
})

const socketOf = (client: pg.Client) => (client as unknown as { connection: { stream: Socket } }).connection.stream

/** Logged in by pg, then ours. */
async function login(url: string): Promise<Socket> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  const socket = socketOf(client)
  socket.removeAllListeners('data')
  return socket
}

const header = (type: string, length: number) => {
  const bytes = Buffer.alloc(5)
  bytes.write(type, 'latin1')
  bytes.writeUInt32BE(length >>> 0, 1)
  return bytes
}

/** The same noise in every run. */
function noise(seed: number, length: number): Buffer {
  let state = seed + 1
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return state >>> 24
    }),
  )
}

const LIES: readonly { name: string; bytes: Buffer }[] = [
  { name: '2 GB declared', bytes: Buffer.concat([header('Q', 0x7fffffff), Buffer.alloc(100_000, 'x')]) },
  { name: '2 GB of a row declared', bytes: Buffer.concat([header('D', 0x7fffffff), Buffer.alloc(100_000, 'x')]) },
  { name: 'a negative length', bytes: header('D', -1) },
  { name: 'a length that is too small', bytes: Buffer.concat([header('C', 3), Buffer.from('xyz')]) },
  { name: 'a row with more cells than bytes', bytes: Buffer.concat([header('D', 6), Buffer.from([0x7f, 0xff])]) },
  ...Array.from({ length: 12 }, (_, seed) => ({ name: `noise ${seed}`, bytes: noise(seed, 3000) })),
]

/** What the operator hears of it: once, in the log and in the manifest. */
function notFollowed(recording: ProxyRecording): (manifest: Manifest) => void {
  const told: string[] = []
  const kind = 'session not followed'
  recording.events.on('incident', (incident) => {
    if (incident.kind === kind) told.push(incident.detail)
  })
  return (manifest) => {
    // By whoever saw it first: the framing, which is looked at as traffic passes, and the decoding behind the ring.
    expect(told.length).toBeGreaterThan(0)
    expect(told.length).toBeLessThanOrEqual(2)
    for (const detail of told) expect(detail).toMatch(/passes on unrecorded, and is in the ledger/)
    const kept = manifest.incidents.flatMap((incident) => (incident.kind === kind ? [incident.detail] : []))
    expect(kept.sort()).toEqual(told.sort())
  }
}

describe('hostile bytes', () => {
  test('of the server pass as they are, and cost their own session only', async () => {
    const way = await road(db.url)
    const recording = await at.start(way.url)
    const told = notFollowed(recording)
    const good = new pg.Client(through(db.url, recording))
    await good.connect()
    for (const [i, { bytes }] of LIES.entries()) {
      const victim = await login(through(db.url, recording))
      way.say(bytes)
      const arrived: Buffer[] = []
      await new Promise<void>((resolve) => {
        victim.on('data', (chunk: Buffer) => {
          arrived.push(chunk)
          if (arrived.reduce((sum, { length }) => sum + length, 0) >= bytes.length) resolve()
        })
      })
      expect(Buffer.concat(arrived).equals(bytes)).toBe(true)
      expect((await good.query('SELECT $1::int AS n', [i])).rows).toEqual([{ n: i }])
      victim.destroy()
    }
    await good.end()
    const manifest = (await recording.stop())!
    way.close()
    expect(recording.status().sessionsBroken).toBeGreaterThan(0)
    told(manifest)
    expect(manifest.ledger.kept.statements).toBe(LIES.length)
    expect(balances(manifest.ledger)).toBe(true)
  })

  test('of a client: the server answers as it would without us, and others notice nothing', async () => {
    const recording = await at.start(db.url)
    const told = notFollowed(recording)
    const good = new pg.Client(through(db.url, recording))
    await good.connect()
    const answerOf = async (url: string, bytes: Buffer) => {
      const hostile = await login(url)
      const arrived: Buffer[] = []
      hostile.on('data', (chunk: Buffer) => arrived.push(chunk))
      const closed = new Promise((resolve) => hostile.once('close', resolve))
      hostile.end(bytes)
      await closed
      return Buffer.concat(arrived).toString('latin1')
    }
    for (const [i, { bytes }] of LIES.entries()) {
      expect(await answerOf(through(db.url, recording), bytes)).toBe(await answerOf(db.url, bytes))
      expect((await good.query('SELECT $1::int AS n', [i])).rows).toEqual([{ n: i }])
    }
    await good.end()
    const manifest = (await recording.stop())!
    expect(recording.status().sessionsBroken).toBeGreaterThan(0)
    told(manifest)
    expect(balances(manifest.ledger)).toBe(true)
    expect(read(recording.path).statements.filter(({ sql }) => sql === 'SELECT $1::int AS n')).toHaveLength(LIES.length)
  })

  test('a gigabyte that is declared and never comes buys no memory, on either side', async () => {
    const way = await road(db.url)
    const recording = await at.start(way.url)
    const before = process.memoryUsage().rss
    const sockets: Socket[] = []
    for (let i = 0; i < 8; i++) {
      const victim = await login(through(db.url, recording))
      sockets.push(victim)
      const row = Buffer.concat([header('D', 0x3fffffff), Buffer.alloc(100_000)])
      const arrived = new Promise((resolve) => victim.once('data', resolve))
      way.say(row)
      await arrived
      const asker = await login(through(db.url, recording))
      sockets.push(asker)
      await new Promise((resolve) =>
        asker.write(Buffer.concat([header('Q', 0x3fffffff), Buffer.alloc(100_000)]), resolve),
      )
    }
    const good = new pg.Client(through(db.url, recording))
    await good.connect()
    await good.query('SELECT 1')
    await good.end()
    for (const socket of sockets) socket.destroy()
    const manifest = (await recording.stop())!
    way.close()
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20)
    expect(balances(manifest.ledger)).toBe(true)
  })
})

/** The most memory a program ever had. */
function peakBytes({ child }: Running): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))!
  return Number(kilobytes) * 1024
}

const READY = header('Z', 5)

/** Reads and forgets until the server is ready; how many bytes that were. */
function bytesOfAnswer(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    let bytes = 0
    let tail = Buffer.alloc(0)
    const take = (chunk: Buffer) => {
      bytes += chunk.length
      tail = Buffer.concat([tail, chunk]).subarray(-6)
      if (!tail.subarray(0, 5).equals(READY)) return
      socket.off('data', take)
      resolve(bytes)
    }
    socket.on('data', take)
  })
}

/** Generous: the ring is touched from end to end, and what was read is collected when Node finds the time. */
const GROWTH_MAX = 450 * 2 ** 20

describe.runIf(platform() === 'linux')('memory stays flat', { timeout: 300_000 }, () => {
  /** A recorder that has settled, and a client. */
  async function settled(): Promise<{ recorder: Running; socket: Socket; before: number }> {
    const recorder = await startRecorder(db.url, {
      folder,
      children,
      args: ['--breaker', 'off', '--ring-bytes', '16MB'],
    })
    const socket = await login(recorder.url)
    const answered = bytesOfAnswer(socket)
    socket.write(buildQuery(`SELECT repeat('x', 1000) FROM generate_series(1, 20000)`))
    await answered
    return { recorder, socket, before: peakBytes(recorder) }
  }

  async function sealed(recorder: Running): Promise<ReturnType<typeof read>> {
    await recorder.ask('stop')
    return read(join(folder, 'rec'))
  }

  test('a result of a gigabyte, and a row of a quarter of one', async () => {
    const { recorder, socket, before } = await settled()
    for (const [sql, bytes] of [
      [`SELECT repeat('x', 1000000) FROM generate_series(1, 1000)`, 1e9],
      [`SELECT repeat('y', 250000000)`, 2.5e8],
    ] as const) {
      const answered = bytesOfAnswer(socket)
      socket.write(buildQuery(sql))
      expect(await answered).toBeGreaterThan(bytes)
    }
    expect(peakBytes(recorder) - before).toBeLessThan(GROWTH_MAX)
    const { manifest } = await sealed(recorder)
    expect(manifest.ledger.seen.statements).toBe(3)
    expect(balances(manifest.ledger)).toBe(true)
  })

  test('a parameter of a quarter of a gigabyte', async () => {
    const { recorder, socket, before } = await settled()
    const answered = bytesOfAnswer(socket)
    const bind = buildBind('', '', buildBindRest([Buffer.alloc(2.5e8, 'z').toString('latin1')]))
    socket.write(Buffer.concat([buildParse('', 'SELECT length($1)'), bind, buildExecute(''), buildSync()]))
    expect(await answered).toBeLessThan(100)
    expect(peakBytes(recorder) - before).toBeLessThan(GROWTH_MAX)
    const { manifest } = await sealed(recorder)
    expect(manifest.ledger.seen.statements).toBe(2)
    expect(balances(manifest.ledger)).toBe(true)
  })

  test('a server that does not read for a while stops the client, and then takes everything', async () => {
    const { recorder, socket, before } = await settled()
    const other = new pg.Client(db.url)
    await other.connect()
    await other.query('BEGIN; LOCK TABLE t')
    const answered = bytesOfAnswer(socket)
    socket.write(buildQuery('COPY t FROM STDIN'))
    const lines = buildCopyData(Buffer.from(`${'x'.repeat(99_999)}\n`))
    for (let i = 0; i < 4000; i++) socket.write(lines)
    socket.write(buildCopyDone())
    await held(socket)
    expect(socket.writableLength).toBeGreaterThan(300 * 2 ** 20)
    expect(peakBytes(recorder) - before).toBeLessThan(GROWTH_MAX)
    await other.query('COMMIT')
    await answered
    expect(peakBytes(recorder) - before).toBeLessThan(GROWTH_MAX)
    expect((await other.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 4000 }])
    await other.end()
    const { manifest } = await sealed(recorder)
    expect(balances(manifest.ledger)).toBe(true)
  })
})

/** Nobody takes anything from it any more. */
async function held(socket: Socket): Promise<void> {
  for (let same = 0, last = -1; same < 50; ) {
    await db.query('SELECT 1')
    same = socket.writableLength === last ? same + 1 : 0
    last = socket.writableLength
  }
}
