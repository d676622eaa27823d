/** Each vital of the circuit breaker, made bad for real: it trips with its reason, in the log and in the manifest; and otherwise it does not. */
import type { ChildProcess } from 'node:child_process'
import { appendFileSync, cpSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startDrain } from '../../recorder/drain/thread.js'
import { USUAL_THRESHOLDS, type Vital } from '../../recorder/guard/vitals.js'
import type { ProxyOptions } from '../../recorder/proxy.js'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import { createRing } from '../../recorder/tap/ring.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { balances } from '../../segment/ledger.js'
import { standbyOf } from '../support/standby.js'
import { type Bench, bench, read, through } from './recording.js'
import { BALLAST, OWN_MOUNTS, seenBy, startOnSmallDisk } from './running.js'

// What is waited for here takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 })

let server: OwnedServer
let standby: OwnedServer
let at: Bench
beforeAll(async () => {
  at = bench()
  server = await startServer({ settings: { max_connections: '40', wal_keep_size: '512MB' } })
  standby = await standbyOf(server, { delaySeconds: 2, settings: { max_connections: '40' } })
}, 120_000)
afterAll(async () => {
  at.remove()
  await standby?.stop()
  await server.stop()
})

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  return client
}

/**
 * Recorded until the vital trips, with what makes it bad; then traffic still flows, and log and manifest have the same reason.
 * `makeBad` is called again and again.
 */
async function trips(
  vital: Vital,
  limit: number,
  makeBad: (url: string, recording: ProxyRecording) => Promise<unknown>,
  { url = server.url(), ...options }: Partial<ProxyOptions> & { url?: string } = {},
): Promise<string> {
  const recording = await at.start(url, { thresholds: { [vital]: limit }, ...options })
  const log: { kind: string; detail: string }[] = []
  recording.events.on('incident', ({ kind, detail }) => log.push({ kind, detail }))
  const client = await connect(through(url, recording))
  await client.query('SELECT 1')
  while (recording.status().state === 'recording') await makeBad(through(url, recording), recording)
  expect(recording.status()).toMatchObject({ state: 'tripped', breaker: { trippedBy: vital } })
  expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }])
  await client.end()
  if (options.startDrain !== undefined) await recording.kill()
  const manifest = (await recording.stop({ graceMs: 100 }))!
  const [reason] = log.filter(({ kind }) => kind === 'circuit breaker tripped')
  expect(reason!.detail).toMatch(new RegExp(`^${vital} `))
  const told = manifest.incidents.filter(({ kind }) => kind === 'circuit breaker tripped')
  expect(told.map(({ detail }) => detail)).toEqual([reason!.detail])
  expect(manifest.ledger.lost['circuit breaker']!.statements).toBeGreaterThan(0)
  expect(balances(manifest.ledger)).toBe(true)
  return reason!.detail
}

const seconds = (url: string, n: number) =>
  connect(url).then((client) => client.query(`SELECT pg_sleep(${n})`).finally(() => client.end()))

test('event loop: something in the process keeps it from its turns', async () => {
  const busy = setInterval(() => {
    for (const until = performance.now() + 60; performance.now() < until; );
  }, 1)
  const detail = await trips('event-loop', 30, () => seconds(server.url(), 0.1))
  clearInterval(busy)
  expect(detail).toMatch(/^event-loop \d+ ms, above 30 ms$/)
})

test('active sessions: the server is busy with others', async () => {
  const detail = await trips('active-sessions', 0.2, () =>
    Promise.all(Array.from({ length: 12 }, () => seconds(server.url(), 1))),
  )
  expect(detail).toMatch(/^active-sessions \d+ %, above 20 %$/)
})

test.each([
  { whose: 'a standby of the server', url: () => server.url() },
  { whose: 'the server, which is a standby', url: () => standby.url() },
])('replication lag: of $whose', async ({ url }) => {
  const writer = await connect(server.url())
  await writer.query('CREATE TABLE IF NOT EXISTS lagging (n int)')
  let well = false
  const makeBad = (_: string, recording: ProxyRecording) => {
    // Not before it was seen to keep up.
    well ||= (recording.status().breaker.readings['replication-lag'] ?? Number.POSITIVE_INFINITY) < 500
    return writer.query(well ? 'INSERT INTO lagging VALUES (1)' : 'SELECT pg_sleep(0.05)')
  }
  const detail = await trips('replication-lag', 1000, makeBad, { url: url() })
  expect(detail).toMatch(/^replication-lag [\d.]+ s, above 1 s$/)
  await writer.end()
})

test('latency drift: the recorded statements become slower than they were', async () => {
  const knob = await connect(server.url())
  await knob.query('CREATE TABLE knob AS SELECT 0.001::float8 AS seconds')
  let slowed = false
  const slow = 'SELECT pg_sleep(seconds) FROM knob'
  let client: pg.Client | undefined
  const detail = await trips('latency-drift', 3, async (url, recording) => {
    client ??= await connect(url)
    await client.query(slow)
    // Not before it was seen well: what was slow when we came is not the recorder's doing.
    if (slowed || recording.status().breaker.readings['latency-drift'] === undefined) return
    slowed = true
    await knob.query('UPDATE knob SET seconds = 0.03')
  })
  expect(detail).toMatch(/^latency-drift [\d.]+ ×, above 3 ×$/)
  await client!.end()
  await knob.end()
})

test('oldest transaction: somebody leaves one open', async () => {
  const forgetful = await connect(server.url())
  let open = false
  const detail = await trips('oldest-transaction', 2500, async (_, recording) => {
    if (!open && recording.status().breaker.readings['oldest-transaction'] !== undefined) {
      open = true
      await forgetful.query('BEGIN; SELECT 1')
    }
    await seconds(server.url(), 0.05)
  })
  expect(detail).toMatch(/^oldest-transaction [\d.]+ s, above 2.5 s$/)
  await forgetful.end()
})

test('rss: the process grows', async () => {
  const held: Buffer[] = []
  const limit = process.memoryUsage.rss() + 150 * 2 ** 20
  const detail = await trips('rss', limit, (url) => {
    // Written to, or it would be no memory.
    if (held.length < 40) held.push(Buffer.alloc(16 * 2 ** 20, held.length + 1))
    return seconds(url, 0.01)
  })
  expect(held.length).toBeGreaterThan(1)
  expect(detail).toMatch(/^rss [\d.]+ MB, above [\d.]+ MB$/)
})

test.runIf(OWN_MOUNTS)('free disk: something else fills the disk that the recording is written to', async () => {
  const children: ChildProcess[] = []
  const recorder = await startOnSmallDisk(
    server.url(),
    { folder: at.folder, children, args: ['--breaker', 'off', '--breaker', 'free-disk=20MB'] },
    { size: '60m', ballastBytes: 0 },
  )
  const client = await connect(recorder.url)
  const kept = async () => (await recorder.status()).statementsKept
  while ((await kept()) === 0) await client.query('SELECT 1')
  expect((await recorder.status()).state).toBe('recording')
  appendFileSync(seenBy(recorder, BALLAST), Buffer.alloc(30 * 2 ** 20, 1))
  while (!recorder.stderr().includes('circuit breaker tripped')) await client.query('SELECT 2')
  expect(await recorder.status()).toMatchObject({ state: 'tripped', breaker: { trippedBy: 'free-disk' } })
  expect((await client.query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }])
  await client.end()
  await recorder.ask('stop')
  const sealed = join(at.folder, 'small-disk')
  cpSync(seenBy(recorder, 'disk/rec'), sealed, { recursive: true })
  recorder.child.kill('SIGTERM')
  expect((await recorder.ended).code).toBe(0)
  const { manifest } = read(sealed)
  expect(recorder.stderr()).toMatch(/circuit breaker tripped: free-disk [\d.]+ MB, below 20 MB/)
  expect(manifest.incidents).toMatchObject([
    { kind: 'circuit breaker tripped', detail: expect.stringMatching(/^free-disk [\d.]+ MB, below 20 MB$/) },
  ])
  expect(manifest.ledger.lost['circuit breaker']!.statements).toBeGreaterThan(0)
  expect(balances(manifest.ledger)).toBe(true)
})

test('ring: what is offered is not taken', async () => {
  const detail = await trips(
    'ring',
    0.9,
    async (url) => {
      const client = await connect(url)
      await client.query(`SELECT repeat('x', 100) FROM generate_series(1, 1000)`)
      await client.end()
    },
    {
      ringBytes: 256 * 1024,
      // A drain that never comes to its ring, because it listens at another.
      startDrain: (settings, onTrouble) => startDrain({ ...settings, ring: createRing(4096) }, onTrouble),
    },
  )
  expect(detail).toMatch(/^ring \d+ %, above 90 %$/)
})

test('ordinary traffic does not trip it, whatever it looks at', async () => {
  const recording = await at.start(server.url(), { thresholds: { ...USUAL_THRESHOLDS, 'free-disk': 1 } })
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect(through(server.url(), recording))))
  const until = performance.now() + 8000
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < until) await client.query('SELECT count(*) FROM pg_class')
      await client.end()
    }),
  )
  const { breaker } = recording.status()
  expect(breaker.trips).toBe(0)
  expect(Object.keys(breaker.readings)).toEqual(
    expect.arrayContaining(['ring', 'event-loop', 'rss', 'free-disk', 'active-sessions', 'oldest-transaction']),
  )
  const manifest = (await recording.stop())!
  expect(manifest.incidents).toEqual([])
  expect(manifest.ledger.lost).toEqual({})
  expect(read(recording.path).statements.length).toBe(manifest.ledger.kept.statements)
})
