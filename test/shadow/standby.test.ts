/** A snapshot taken of a standby, so that production does not feel it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { withClient } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { caughtUp, standbyOf } from '../support/standby.js'
import { contents, file, NO_MASKS, text } from './support.js'

let primary: OwnedServer
let standby: OwnedServer
let shadows: OwnedServer
let room: string
beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'standby-test-'))
  ;[primary, shadows] = await Promise.all([startServer({ settings: { wal_keep_size: '256MB' } }), startServer()])
  standby = await standbyOf(primary)
  await withClient(primary.url(), async (client) => {
    await client.query(text('hard-types.sql'))
    await client.query(text('hard-rows.sql'))
  })
  await caughtUp(primary, standby)
}, 120_000)
afterAll(async () => {
  await standby?.stop()
  await Promise.all([primary?.stop(), shadows?.stop()])
  rmSync(room, { recursive: true, force: true })
})

test('holds what the primary has, with its identity; what a standby has not is named', async () => {
  const facts = await takeSnapshot({
    url: standby.url(),
    out: join(room, 'snap'),
    masks: () => NO_MASKS,
    madeBy: 'test',
    schemaFile: file('hard-types.sql'),
  })
  const [{ id }] = await withClient(
    primary.url(),
    async (client) => (await client.query('SELECT system_identifier::text AS id FROM pg_control_system()')).rows,
  )
  expect(facts.server.systemIdentifier).toBe(id)
  expect(facts.server.startLsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/)
  expect(facts.notTaken).toEqual([{ what: 'public.scratch', why: 'unlogged table: empty on a standby' }])
  await restoreSnapshot({ snapshot: join(room, 'snap'), target: shadows.url('copy') })
  const { 'public.scratch': unlogged, ...rest } = await withClient(primary.url(), contents)
  expect(unlogged).toHaveLength(3)
  expect(await withClient(shadows.url('copy'), contents)).toEqual({ ...rest, 'public.scratch': [] })
})

test('is of one moment, while the primary is written', async () => {
  await withClient(primary.url(), async (client) => {
    await client.query('CREATE TABLE pairs (n int, a int); CREATE TABLE halves (n int, b int)')
    await client.query('INSERT INTO pairs SELECT i, 0 FROM generate_series(1, 2000) i')
  })
  await caughtUp(primary, standby)
  let writing = true
  let written = 0
  const writer = withClient(primary.url(), async (client) => {
    for (let n = 1; writing; written = n++)
      await client.query(
        `BEGIN; UPDATE pairs SET a = ${n} WHERE n = ${1 + (n % 2000)}; INSERT INTO halves VALUES (${n}, 1); COMMIT`,
      )
  })
  const both = `${text('hard-types.sql')};\nCREATE TABLE pairs (n int, a int); CREATE TABLE halves (n int, b int)`
  writeFileSync(join(room, 'both.sql'), both)
  try {
    await vi.waitUntil(() => written > 50, { interval: 5, timeout: 60_000 })
    await caughtUp(primary, standby)
    await takeSnapshot({
      url: standby.url(),
      out: join(room, 'busy'),
      masks: () => NO_MASKS,
      madeBy: 'test',
      schemaFile: join(room, 'both.sql'),
    })
  } finally {
    writing = false
    await writer
  }
  await restoreSnapshot({ snapshot: join(room, 'busy'), target: shadows.url('busy') })
  const [sums] = await withClient(
    shadows.url('busy'),
    async (client) =>
      (await client.query('SELECT (SELECT max(a) FROM pairs) AS last, (SELECT count(*)::int FROM halves) AS halves'))
        .rows,
  )
  expect(sums.halves).toBeGreaterThan(50)
  expect(sums.halves).toBe(sums.last)
})
