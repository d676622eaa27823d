import { existsSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { balances } from '../../segment/ledger.js'
import { type Bench, bench, read, through } from './recording.js'

let server: OwnedServer
let at: Bench
beforeAll(async () => {
  at = bench()
  server = await startServer()
}, 60_000)
afterAll(async () => {
  at.remove()
  await server.stop()
})

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  return client
}

type Told = { readonly kind: string; readonly detail: string }

/** Resolves with the next incident of a kind. */
function told(recording: ProxyRecording, kind: string): Promise<Told> {
  return new Promise((resolve) => {
    const hear = (incident: Told) => {
      if (incident.kind !== kind) return
      recording.events.off('incident', hear)
      resolve(incident)
    }
    recording.events.on('incident', hear)
  })
}

test('trips inside a transaction: it is dropped whole, connections live on, and recording goes on when somebody says so', async () => {
  const recording = await at.start(server.url(), { thresholds: { rss: 1 } })
  const tripped = told(recording, 'circuit breaker tripped')
  const client = await connect(through(server.url(), recording))
  await client.query('BEGIN')
  await client.query('SELECT 1')
  expect((await tripped).detail).toMatch(/^rss [\d.]+ MB, above 0 MB$/)
  expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }])
  await client.query('COMMIT')
  expect(recording.status()).toMatchObject({ state: 'tripped', breaker: { trips: 1, trippedBy: 'rss' } })
  const again = told(recording, 'circuit breaker tripped')
  recording.resume()
  await client.query('SELECT 3')
  await again
  await client.end()
  const manifest = await recording.stop()
  const { ledger, incidents } = manifest!
  expect(balances(ledger)).toBe(true)
  expect(ledger.kept.statements).toBe(1)
  expect(ledger.lost['circuit breaker']).toEqual({ statements: 4, transactions: 1 })
  expect(incidents.map(({ kind }) => kind)).toEqual(['circuit breaker tripped', 'resume', 'circuit breaker tripped'])
})

test('production: a transaction that stays open trips it, its end closes it', async () => {
  const recording = await at.start(server.url(), { thresholds: { 'oldest-transaction': 300 }, closeAfterMs: 0 })
  const tripped = told(recording, 'circuit breaker tripped')
  const closed = told(recording, 'circuit breaker closed')
  while (recording.status().breaker.readings['oldest-transaction'] === undefined) await turn()
  const other = await connect(server.url())
  await other.query('BEGIN')
  await other.query('SELECT 1')
  expect((await tripped).detail).toContain('oldest-transaction')
  const client = await connect(through(server.url(), recording))
  await client.query('SELECT 1')
  await other.query('ROLLBACK')
  await other.end()
  await closed
  await client.query('SELECT 2')
  await client.end()
  const manifest = await recording.stop()
  expect(manifest!.ledger.lost['circuit breaker']).toMatchObject({ statements: 1 })
  expect(manifest!.ledger.kept.statements).toBe(1)
  expect(balances(manifest!.ledger)).toBe(true)
})

test('production that shows nothing of others is no reading, and the operator hears what to grant', async () => {
  const admin = await connect(server.url())
  await admin.query("CREATE ROLE recorder_small LOGIN PASSWORD 'small'")
  await admin.end()
  const url = Object.assign(new URL(server.url()), { username: 'recorder_small', password: 'small' }).toString()
  const recording = await at.start(url, { thresholds: { 'active-sessions': 0.9 } })
  expect((await told(recording, 'production health')).detail).toContain('grant pg_monitor')
  expect(recording.status().breaker.readings['active-sessions']).toBeUndefined()
  await recording.stop()
})

test('a folder that fills the disk: the free space is read where the recording lies', async () => {
  const recording = await at.start(server.url(), { thresholds: { 'free-disk': Number.MAX_SAFE_INTEGER } })
  expect((await told(recording, 'circuit breaker tripped')).detail).toMatch(/^free-disk [\d.]+ MB, below/)
  expect(existsSync(recording.path)).toBe(true)
  await recording.stop()
})

describe('time limits', () => {
  test('a session that does nothing is ended with a word; one inside a transaction is not', async () => {
    const recording = await at.start(server.url(), { timeLimits: { idleMs: 150 } })
    const url = through(server.url(), recording)
    const busy = await connect(url)
    await busy.query('BEGIN')
    const idle = await connect(url)
    const error = await new Promise<{ code?: string }>((resolve) => idle.once('error', resolve))
    expect(error.code).toBe('57P05')
    expect((await busy.query('SELECT pg_sleep(0.4), 1 AS one')).rows[0].one).toBe(1)
    await busy.query('COMMIT')
    await recording.stop()
  })

  test('silence is counted from the answer, not from the question', async () => {
    const recording = await at.start(server.url(), { timeLimits: { idleMs: 600 } })
    const client = await connect(through(server.url(), recording))
    const ended = new Promise((resolve) => client.once('end', resolve))
    await client.query('SELECT pg_sleep(0.5)')
    await ended
    await recording.stop()
    // By the recorder's own clock: a busy machine only makes it later.
    const { statements, events } = read(recording.path)
    const answeredUs = statements.at(-1)!.doneUs
    const endedUs = events.find(({ kind }) => kind === 'disconnect')!.atUs
    expect(endedUs - answeredUs).toBeGreaterThanOrEqual(595_000)
  })

  test('a client that does not say who it is', async () => {
    const recording = await at.start(server.url(), { timeLimits: { loginMs: 100 } })
    const { connect: tcp } = await import('node:net')
    const socket = tcp({ host: '127.0.0.1', port: recording.port })
    await new Promise((resolve) => socket.once('close', resolve))
    await recording.stop()
  })
})

test('at the end idle sessions are told, and a transaction is let finish first', async () => {
  const recording = await at.start(server.url())
  const url = through(server.url(), recording)
  const idle = await connect(url)
  const open = await connect(url)
  const said = (client: pg.Client) =>
    new Promise<string>((resolve) => client.once('error', (e) => resolve((e as { code?: string }).code!)))
  const [idleSaid, openSaid] = [said(idle), said(open)]
  await open.query('BEGIN')
  const stopped = recording.stop()
  expect(await idleSaid).toBe('57P01')
  expect((await open.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  await open.query('COMMIT')
  expect(await openSaid).toBe('57P01')
  expect((await stopped)!.ledger.kept.statements).toBe(3)
})

test('how long traffic is held is measured', async () => {
  const recording = await at.start(server.url())
  const client = await connect(through(server.url(), recording))
  for (let i = 0; i < 100; i++) await client.query('SELECT 1')
  await client.end()
  const { held } = recording.status()
  expect(held.measured).toBeGreaterThan(3)
  expect(held.p50Us).toBeGreaterThan(0)
  expect(held.p99Us).toBeGreaterThanOrEqual(held.p50Us)
  await recording.stop()
})

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
