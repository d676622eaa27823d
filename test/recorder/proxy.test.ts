import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startProxyRecording } from '../../recorder/proxy.js'
import { openRecording } from '../../segment/recording.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let db: TestDatabase
let folder: string
beforeEach(async () => {
  db = await createDatabase(
    'CREATE TABLE t (id int primary key, name text)',
    `INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 1000) i`,
  )
  folder = mkdtempSync(join(tmpdir(), 'rec-'))
})
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true })
  await db.drop()
})

test('smoke', async () => {
  const rec = await startProxyRecording({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: db.url,
    out: join(folder, 'rec'),
    masking: { key: new Uint8Array(32) },
    privacy: { policyHash: 'x', keyFingerprint: 'y' },
    madeBy: 'test',
  })
  rec.events.on('incident', (i) => console.log('incident', i))
  const url = Object.assign(new URL(db.url), { port: String(rec.port) }).toString()
  const client = new pg.Client(url)
  await client.connect()
  const r = await client.query('SELECT * FROM t ORDER BY id')
  expect(r.rows.length).toBe(1000)
  await client.query('SELECT * FROM t WHERE id = $1', [5])
  await client.query('BEGIN')
  await client.query({ name: 'upd', text: 'UPDATE t SET name = $2 WHERE id = $1', values: [5, 'abc'] })
  await client.query({ name: 'upd', text: 'UPDATE t SET name = $2 WHERE id = $1', values: [6, null] })
  await client.query('SELECT 1/0').catch(() => {})
  await client.query('ROLLBACK')
  await client.query('SELECT 1; SELECT 2; SELECT 3')
  await client.end()
  const manifest = await rec.stop()
  console.log(manifest?.ledger, rec.status())
  const reader = openRecording(join(folder, 'rec'))
  for (const s of reader.statements()) {
    console.log(
      s.seq,
      s.ordinal,
      s.transaction,
      s.part,
      JSON.stringify(s.frames),
      s.sql,
      s.parameters,
      s.outcome.tag,
      s.outcome.error?.sqlstate,
      s.outcome.rows?.length,
      s.outcome.status,
      s.unreplayable,
      s.doneUs - s.sentUs,
    )
  }
  console.log([...reader.events()], reader.sessions())
  reader.close()
})
