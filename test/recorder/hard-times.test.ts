/** What may befall a recorder while production runs through it: traffic flows on, the operator is told once, the ledger says what is missing. */
import { type ChildProcess, execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import { balances } from '../../segment/ledger.js'
import type { Manifest } from '../../segment/manifest.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, read, through } from './recording.js'
import { BALLAST, OWN_MOUNTS, type Running, seenBy, startOnSmallDisk, startRecorder } from './running.js'

// What is waited for here takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 })

let db: TestDatabase
let at: Bench
let folder: string
const children: ChildProcess[] = []
beforeEach(async () => {
  at = bench()
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-hard-'))
  db = await createDatabase(
    'CREATE TABLE t (id int PRIMARY KEY, filler text)',
    `INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 200) i`,
  )
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  at.remove()
  rmSync(folder, { recursive: true, force: true })
  await db.drop()
})

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  return client
}

const NAMED = { name: 'named', text: 'SELECT filler FROM t WHERE id = $1', values: [7] }

/** A session that has a state of its own: a statement by name, a setting. */
async function session(url: string): Promise<pg.Client> {
  const client = await connect(url)
  await client.query("SET application_name = 'kept'")
  await client.query(NAMED)
  return client
}

/** Whole transactions, each checked, until enough has happened. */
async function traffic(client: pg.Client, enough: () => boolean | Promise<boolean>): Promise<void> {
  do {
    await client.query('BEGIN')
    expect((await client.query('SELECT * FROM t WHERE id <= 40')).rows).toHaveLength(40)
    expect((await client.query(NAMED)).rows).toHaveLength(1)
    await client.query('COMMIT')
  } while (!(await enough()))
}

type Told = { readonly kind: string; readonly detail: string }

function incidents(recording: ProxyRecording): Told[] {
  const told: Told[] = []
  recording.events.on('incident', ({ kind, detail }) => told.push({ kind, detail }))
  return told
}

const count = (told: readonly Told[], kind: string) => told.filter((one) => one.kind === kind).length

/**
 * The books balance, what they call kept is in the recording, whole transactions of it, and wherever the recording goes on after
 * something was lost, the session's state is there before it is used.
 */
function checkBooks(manifest: Manifest, path: string): void {
  expect(balances(manifest.ledger)).toBe(true)
  const { statements } = read(path)
  expect(statements).toHaveLength(manifest.ledger.kept.statements)
  const tags = new Map<number, (string | null)[]>()
  for (const { transaction, outcome, frames } of statements) {
    if (frames.some(([kind]) => kind === 'C')) continue
    tags.set(transaction, [...(tags.get(transaction) ?? []), outcome.tag])
  }
  for (const whole of tags.values()) if (whole.includes('BEGIN')) expect(whole.at(-1)).toBe('COMMIT')
  const prepared = new Set<number>()
  for (const { session, frames } of statements) {
    for (const frame of frames) {
      if (frame[0] === 'P' && frame[1] === NAMED.name) prepared.add(session)
      if (frame[0] === 'B' && frame[2] === NAMED.name) expect(prepared).toContain(session)
    }
  }
}

const segmentsOf = (path: string) => join(path, 'segments')
const openSegment = (path: string) => {
  const name = readdirSync(segmentsOf(path)).find((file) => file.endsWith('.open'))
  return join(segmentsOf(path), name!)
}

describe('the recording cannot be written', () => {
  test('the folder of the segments is taken away: it is made anew, and what was in it is lost', async () => {
    const recording = await at.start(db.url, { segmentBytesMax: 100_000 })
    const told = incidents(recording)
    const client = await session(through(db.url, recording))
    await traffic(client, () => recording.status().statementsKept > 0)
    rmSync(segmentsOf(recording.path), { recursive: true, force: true })
    await traffic(client, () => count(told, 'writing works again') === 1)
    await traffic(client, () => true)
    await client.end()
    const manifest = (await recording.stop())!
    expect(count(told, 'write failed')).toBe(1)
    expect(told[0]!.detail).toContain('folder of the recording was taken away')
    expect(manifest.ledger.lost['segment lost']!.statements).toBeGreaterThan(0)
    expect(manifest.ledger.kept.statements).toBeGreaterThan(0)
    expect(manifest.incidents.map(({ kind }) => kind)).toEqual(['write failed', 'writing works again'])
    checkBooks(manifest, recording.path)
  })

  test('SQLite does not take it: the next segment is begun, and this one is set aside', async () => {
    const recording = await at.start(db.url)
    const told = incidents(recording)
    const client = await session(through(db.url, recording))
    await traffic(client, () => recording.status().statementsKept > 0)
    const other = new Database(openSegment(recording.path))
    other.exec('DROP TABLE statements')
    other.close()
    await traffic(client, () => count(told, 'writing works again') === 1)
    await client.end()
    const manifest = (await recording.stop())!
    expect(count(told, 'write failed')).toBe(1)
    expect(told[0]!.detail).toMatch(/^SQLITE_\w+: .+/)
    expect(manifest.ledger.lost['segment lost']!.statements).toBeGreaterThan(0)
    expect(readdirSync(segmentsOf(recording.path)).some((name) => name.endsWith('.damaged'))).toBe(true)
    checkBooks(manifest, recording.path)
  })

  test('a segment that lost something before it was sealed: only what is in it is called kept', async () => {
    const recording = await at.start(db.url)
    const client = await session(through(db.url, recording))
    await traffic(client, () => recording.status().statementsKept > 20)
    await client.end()
    const other = new Database(openSegment(recording.path))
    other.exec('DELETE FROM statements WHERE txn < 4')
    other.close()
    const manifest = (await recording.stop())!
    expect(manifest.ledger.lost['segment lost']!.statements).toBeGreaterThan(0)
    expect(balances(manifest.ledger)).toBe(true)
    expect(read(recording.path).statements).toHaveLength(manifest.ledger.kept.statements)
  })

  test('a disk that stands still: the ring fills, transactions pass unrecorded, and nobody waits', async () => {
    const recording = await at.start(db.url, { ringBytes: 256 * 1024 })
    const told = incidents(recording)
    const client = await session(through(db.url, recording))
    await traffic(client, () => recording.status().statementsKept > 0)
    // As long as this is open the recorder's own write waits inside of SQLite, as it would for a disk.
    const other = new Database(openSegment(recording.path))
    other.exec('BEGIN IMMEDIATE')
    await traffic(client, () => count(told, 'ring full') === 1)
    other.exec('COMMIT')
    other.close()
    const before = recording.status().statementsKept
    await traffic(client, () => recording.status().statementsKept > before)
    await client.end()
    const manifest = (await recording.stop())!
    expect(told.find(({ kind }) => kind === 'ring full')!.detail).toContain('--ring-bytes')
    expect(manifest.ledger.lost['ring full']!.transactions).toBeGreaterThan(0)
    checkBooks(manifest, recording.path)
  })
})

describe('no room', () => {
  const lines = (recorder: Running, text: string) => recorder.stderr().split(text).length - 1

  /** Traffic until the disk is full and told to be, and on. */
  async function fill(recorder: Running): Promise<pg.Client> {
    const client = await session(recorder.url)
    await traffic(client, () => lines(recorder, 'recorder: write failed:') > 0)
    const { statementsLost } = await recorder.status()
    await traffic(client, async () => (await recorder.status()).statementsLost > statementsLost + 100)
    return client
  }

  async function goOn(recorder: Running, client: pg.Client): Promise<void> {
    await traffic(client, () => lines(recorder, 'recorder: writing works again') > 0)
    const { statementsKept } = await recorder.status()
    await traffic(client, async () => (await recorder.status()).statementsKept > statementsKept)
  }

  /** The sealed recording. It may lie where only the recorder sees it, and goes with it. */
  async function stop(recorder: Running, out: string, state: string): Promise<Manifest> {
    expect((await recorder.ask('stop')).state, recorder.stderr()).toBe(state)
    const path = join(folder, 'sealed')
    cpSync(seenBy(recorder, out), path, { recursive: true })
    recorder.child.kill('SIGTERM')
    expect((await recorder.ended).code, recorder.stderr()).toBe(state === 'sealed' ? 0 : 4)
    expect(lines(recorder, 'recorder: write failed:')).toBe(1)
    const { manifest } = read(path)
    expect(manifest.endedAtMs).not.toBeNull()
    expect(manifest.ledger.kept.statements).toBeGreaterThan(0)
    expect(readdirSync(path).sort()).toEqual(['manifest.json', 'segments'])
    checkBooks(manifest, path)
    return manifest
  }

  const told = ({ incidents: all }: Manifest) => all.map(({ kind }) => kind)
  const NOT_WRITTEN = 'recording could not be written'

  test.runIf(platform() === 'linux')('files may not grow any more (the limit that every user may set)', async () => {
    const recorder = await startRecorder(db.url, { folder, children })
    const limit = (bytes: string) => {
      execFileSync('prlimit', [`--fsize=${bytes}:unlimited`, '--pid', String(recorder.child.pid)])
    }
    limit('300000')
    const client = await fill(recorder)
    limit('unlimited')
    await goOn(recorder, client)
    await client.end()
    const manifest = await stop(recorder, 'rec', 'sealed')
    expect(told(manifest)).toEqual(['write failed', 'writing works again'])
    expect(manifest.ledger.lost[NOT_WRITTEN]!.transactions).toBeGreaterThan(0)
    expect(recorder.stderr()).toMatch(/write failed: \w+: .*traffic passes unrecorded/)
  })

  describe.runIf(OWN_MOUNTS)('a full file system', () => {
    // The breaker would have stopped recording long before.
    const onSmallDisk = () =>
      startOnSmallDisk(
        db.url,
        { folder, children, args: ['--breaker', 'off'] },
        { size: '8m', ballastBytes: 6_800_000 },
      )

    test('that has room again: the recording goes on', async () => {
      const recorder = await onSmallDisk()
      const client = await fill(recorder)
      rmSync(seenBy(recorder, BALLAST))
      await goOn(recorder, client)
      await client.end()
      const manifest = await stop(recorder, 'disk/rec', 'sealed')
      expect(told(manifest)).toEqual(['write failed', 'writing works again'])
      expect(manifest.ledger.lost[NOT_WRITTEN]!.transactions).toBeGreaterThan(0)
      expect(recorder.stderr()).toMatch(/write failed: (SQLITE_FULL|ENOSPC): no room/)
    })

    test('to the end: the recording is sealed in the room that it held for that, and says what is missing', async () => {
      const recorder = await onSmallDisk()
      const client = await fill(recorder)
      await client.end()
      const manifest = await stop(recorder, 'disk/rec', 'sealed')
      expect(told(manifest)).toEqual(['write failed'])
      expect(manifest.ledger.lost[NOT_WRITTEN]!.transactions).toBeGreaterThan(0)
    })

    test('that has not even that room: the operator is told once, connections live on, and asked again it seals', async () => {
      const recorder = await onSmallDisk()
      const client = await fill(recorder)
      rmSync(seenBy(recorder, 'disk/rec/reserve'))
      expect(() => writeFileSync(seenBy(recorder, 'disk/more'), Buffer.alloc(2 << 20))).toThrow('ENOSPC')
      expect((await recorder.ask('stop')).state).toBe('failed')
      expect(lines(recorder, 'recorder: recording failed:')).toBe(1)
      expect(lines(recorder, 'recorder: failed;')).toBe(1)
      expect(recorder.stderr()).toMatch(
        /recording failed: (SQLITE_FULL|ENOSPC): no room .*make some.*pgrehearse inspect/,
      )
      await traffic(client, () => true)
      await client.end()
      rmSync(seenBy(recorder, BALLAST))
      await stop(recorder, 'disk/rec', 'failed')
    })
  })
})

/** For the whole program, its threads too: from the moment the file is there, it is another day. */
const CLOCK = `const { existsSync } = require('node:fs')
const Real = Date
const off = () => (existsSync(process.env.JUMP_FILE) ? Number(process.env.JUMP_MS) : 0)
globalThis.Date = class extends Real {
  constructor(...parts) {
    if (parts.length === 0) super(Real.now() + off())
    else super(...parts)
  }
  static now() {
    return Real.now() + off()
  }
}`

describe('a clock that jumps', () => {
  const DAY_MS = 86_400_000

  test.each([
    { name: 'a day ahead', jumpMs: DAY_MS },
    { name: 'a day back', jumpMs: -DAY_MS },
  ])('$name, and nothing of the recording is moved', async ({ jumpMs }) => {
    writeFileSync(join(folder, 'clock.cjs'), CLOCK)
    const recorder = await startRecorder(db.url, {
      folder,
      children,
      node: ['--require', join(folder, 'clock.cjs')],
      env: { JUMP_FILE: join(folder, 'jump'), JUMP_MS: String(jumpMs) },
    })
    const client = await session(recorder.url)
    await traffic(client, async () => (await recorder.status()).statementsKept > 0)
    writeFileSync(join(folder, 'jump'), '')
    await traffic(client, async () => (await recorder.status()).rates.statementsPerSecond > 0)
    await client.end()
    recorder.child.kill('SIGTERM')
    expect((await recorder.ended).code).toBe(0)
    const { manifest, statements } = read(join(folder, 'rec'))
    checkBooks(manifest, join(folder, 'rec'))
    expect(manifest.incidents).toEqual([])
    expect(manifest.ledger.lost).toEqual({})
    const tookMs = manifest.endedAtMs! - manifest.startedAtMs
    expect(tookMs).toBeGreaterThan(0)
    expect(tookMs).toBeLessThan(DAY_MS / 2)
    for (const { sentUs, doneUs } of statements) {
      expect(doneUs).toBeGreaterThanOrEqual(sentUs)
      expect(doneUs).toBeLessThanOrEqual(tookMs * 1000 + 1000)
    }
  })
})
