/** What operators of a pooler expect of connections that hang, idle, or lost their other side. */
import { readFileSync } from 'node:fs'
import { platform } from 'node:os'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { balances } from '../../segment/ledger.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, through } from './recording.js'
import { type Road, road } from './road.js'

let db: TestDatabase
let at: Bench
let way: Road
beforeEach(async () => {
  at = bench()
  db = await createDatabase()
  way = await road(db.url)
})
afterEach(async () => {
  at.remove()
  way.close()
  await db.drop()
})

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  return client
}

test('a server that takes the connection and says nothing: the client is told, others go on', async () => {
  const recording = await at.start(way.url, { timeLimits: { connectMs: 300 } })
  const told: string[] = []
  recording.events.on('incident', ({ kind }) => told.push(kind))
  const before = await connect(through(db.url, recording))
  way.mute()
  const refused = await connect(through(db.url, recording)).catch((error: { code: string }) => error.code)
  expect(refused).toBe('08006')
  expect(told).toEqual(['upstream'])
  // Its own silence is not held against a server that has spoken.
  expect((await before.query('SELECT pg_sleep(0.7), 1 AS one')).rows[0].one).toBe(1)
  await before.end()
  expect(balances((await recording.stop())!.ledger)).toBe(true)
})

/** Sockets of this machine with an end at a port: which have a keep-alive running? Asked again while one waits for an acknowledgement. */
async function keepAlive(side: 'local' | 'remote', port: number): Promise<boolean[]> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  for (;;) {
    const lines = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1)
    const timers = lines.flatMap((line) => {
      const [, local, remote, state, , timer] = line.trim().split(/\s+/)
      const end = side === 'local' ? local : remote
      return state === '01' && end!.endsWith(`:${hex}`) ? [timer!.slice(0, 2)] : []
    })
    if (!timers.includes('01')) return timers.map((timer) => timer === '02')
    await db.query('SELECT 1')
  }
}

describe.runIf(platform() === 'linux')('keep-alive, on both sides of the recorder', () => {
  test.each([
    { name: 'asked for', keepAliveMs: 60_000, alive: true },
    { name: 'switched off', keepAliveMs: 0, alive: false },
  ])('$name', async ({ keepAliveMs, alive }) => {
    const recording = await at.start(way.url, { timeLimits: { keepAliveMs }, thresholds: {} })
    const client = await connect(through(db.url, recording))
    await client.query('SELECT 1')
    expect(await keepAlive('local', recording.port)).toEqual([alive])
    // Its own question at the start is over; what is left is the client's.
    expect(await keepAlive('remote', Number(new URL(way.url).port))).toEqual([alive])
    await client.end()
    await recording.stop()
  })
})
