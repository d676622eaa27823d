/**
 * A snapshot taken while the recording goes on: the replay does what the snapshot does not contain, and nothing twice.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withAdmin, withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import type { RunFacts } from '../../segment/run.js'
import { openRun } from '../../segment/run-file.js'
import { bench, KEEP_ALL, KEY, through } from '../recorder/recording.js'
import { pgrehearse } from '../reports/command-line.js'
import { contents } from './support.js'

const SCHEMA = `
  CREATE TABLE counter (name text PRIMARY KEY, n int NOT NULL);
  CREATE TABLE entry (id int PRIMARY KEY, who text NOT NULL);
  CREATE TABLE numbered (id serial PRIMARY KEY, who text NOT NULL);`
const DATA = "INSERT INTO counter SELECT 'c' || i, 0 FROM generate_series(0, 4) i"

const at = bench()
/** Nobody else's: transaction ids are the server's, and here they are counted. */
let live: OwnedServer
let shadows: OwnedServer
let production: Production
let goldens = 0
beforeAll(async () => {
  const settings = { max_prepared_transactions: '20' }
  ;[live, shadows] = await Promise.all([startServer({ settings }), startServer({ settings })])
  await withAdmin(live.url(), async (admin) => {
    await admin.query('ALTER SYSTEM SET autovacuum = off')
    await admin.query('SELECT pg_reload_conf()')
  })
})
afterAll(async () => {
  await Promise.all([live.stop(), shadows.stop()])
  at.remove()
})

type Rehearsal = { readonly facts: RunFacts; readonly said: string; readonly shadow: Record<string, string[]> }

/** Records `work`, which takes the snapshot when it likes, and replays it on what the snapshot became. */
async function rehearse(
  work: (connect: () => Promise<pg.Client>, snapshot: () => Promise<void>) => Promise<void>,
  ...flags: readonly string[]
): Promise<Rehearsal> {
  goldens += 1
  const out = join(at.folder, `snapshot-${goldens}`)
  const recording = await at.start(production.url)
  await work(
    () => connected(recording),
    () => take(out),
  )
  await recording.stop()
  return replayOn(out, recording.path, ...flags)
}

async function connected(recording: ProxyRecording): Promise<pg.Client> {
  const client = new pg.Client(through(production.url, recording))
  await client.connect()
  return client
}

async function take(out: string): Promise<void> {
  const schemaFile = join(at.folder, 'schema.sql')
  writeFileSync(schemaFile, SCHEMA)
  await takeSnapshot({ url: production.url, out, masks: { policy: KEEP_ALL, key: KEY }, madeBy: 'test', schemaFile })
}

async function replayOn(snapshot: string, recording: string, ...flags: readonly string[]): Promise<Rehearsal> {
  const golden = `golden_${goldens}`
  await restoreSnapshot({ snapshot, target: withDatabase(shadows.url(), golden) })
  const url = await cloneShadow(shadows.url(), golden, `shadow_${goldens}`)
  const out = join(at.folder, `${goldens}.run`)
  const args = ['replay', recording, '--target', url, '--out', out, '--speed', 'max', ...flags]
  const { exit, err } = await pgrehearse(at.folder, ...args)
  expect(exit, err).toBe(0)
  const run = openRun(out)
  const { facts } = run
  run.close()
  return { facts, said: err, shadow: await withClient(url, contents) }
}

async function inProduction(): Promise<Record<string, string[]>> {
  return contents(production)
}

const bump = (client: pg.Client, name: string) => client.query('UPDATE counter SET n = n + 1 WHERE name = $1', [name])

describe('a snapshot taken while recording', () => {
  beforeAll(async () => {
    production = await createProduction()
  })
  afterAll(() => production.drop())

  test('contains what was committed before, and the rest is replayed: also what began before and ended after', async () => {
    const { facts, said, shadow } = await rehearse(async (connect, snapshot) => {
      const [early, across, idle, late] = [await connect(), await connect(), await connect(), await connect()]
      await bump(early, 'c0')
      await early.query("INSERT INTO entry VALUES (1, 'early')")
      await across.query('BEGIN')
      await bump(across, 'c1')
      await across.query("INSERT INTO numbered (who) VALUES ('across')")
      await idle.query('BEGIN')
      await idle.query('SELECT n FROM counter WHERE name = $1', ['c2'])
      await snapshot()
      await bump(across, 'c1')
      await across.query('COMMIT')
      await bump(idle, 'c2')
      await idle.query('COMMIT')
      await bump(late, 'c0')
      await late.query("INSERT INTO entry VALUES (2, 'late')")
      await late.query("INSERT INTO numbered (who) VALUES ('late')")
      for (const client of [early, across, idle, late]) await client.end()
    })
    // Values that were drawn before the snapshot stay drawn: the replay gets others for the same rows.
    const plain = ({ 'public.numbered': numbered, ...others }: Record<string, string[]>) => ({
      ...others,
      numbered: numbered?.map((row) => row.replace(/\d+/, 'id')),
    })
    expect(plain(shadow)).toEqual(plain(await inProduction()))
    expect(facts.start).toMatchObject({ kind: 'within', contained: 2, straddling: 2, undecided: 0 })
    expect(facts.ledger.filtered).toEqual({ 'contained in the snapshot': { statements: 2, transactions: 2 } })
    expect(said).toContain('what it contains is not replayed')
  })

  test('knows that a prepared transaction ends where it is committed, whoever does that', async () => {
    const { facts, shadow } = await rehearse(async (connect, snapshot) => {
      const [one, two] = [await connect(), await connect()]
      const prepare = async (client: pg.Client, name: string, id: number) => {
        await client.query('BEGIN')
        await client.query('INSERT INTO entry VALUES ($1, $2)', [id, name])
        await client.query(`PREPARE TRANSACTION '${name}'`)
      }
      for (const [at, name] of ['before', 'across', 'undone', 'given up', 'open'].entries())
        await prepare(one, name, 100 + at)
      await two.query("COMMIT PREPARED 'before'")
      await two.query("ROLLBACK PREPARED 'undone'")
      await snapshot()
      await two.query("COMMIT PREPARED 'across'")
      await one.query("ROLLBACK PREPARED 'given up'")
      // The name is free again.
      await prepare(two, 'before', 200)
      await one.query("COMMIT PREPARED 'before'")
      for (const client of [one, two]) await client.end()
    })
    expect(facts.start).toMatchObject({ kind: 'within', undecided: 0 })
    expect(shadow['public.entry']).toEqual((await inProduction())['public.entry'])
    expect(shadow['public.entry']!.filter((row) => /,(before|across|undone)|given/.test(row))).toEqual([
      '(100,before)',
      '(101,across)',
      '(200,before)',
    ])
    // Nobody ended it in the recording, and nobody does in the replay.
    const open = await withAdmin(shadows.url(), (admin) => admin.query('SELECT gid FROM pg_prepared_xacts'))
    expect(open.rows).toEqual([{ gid: expect.any(String) }])
    await production.query("ROLLBACK PREPARED 'open'")
  })

  test('of a busy database: every change is there once, save those of the instant itself', async () => {
    const { facts, shadow } = await rehearse(async (connect, snapshot) => {
      const clients = await Promise.all(Array.from({ length: 6 }, connect))
      let taken = false
      const busy = clients.map(async (client, i) => {
        for (let k = 0, after = 0; after < 40; k += 1, after += taken ? 1 : 0) {
          const explicit = k % 3 > 0
          if (explicit) await client.query('BEGIN')
          await bump(client, `c${(i + k) % 5}`)
          await client.query('INSERT INTO entry VALUES ($1, $2)', [1_000_000 * (i + 1) + k, `worker ${i}`])
          if (explicit) await client.query(k % 3 === 1 ? 'COMMIT' : 'ROLLBACK')
        }
        await client.end()
      })
      await snapshot()
      taken = true
      await Promise.all(busy)
    })
    expect(facts.start?.kind).toBe('within')
    const { undecided, contained } = facts.start as Extract<RunFacts['start'], { kind: 'within' }>
    expect(contained).toBeGreaterThan(0)
    const differing = differences(await inProduction(), shadow)
    // Nothing to forgive is the usual case.
    expect(differing.length, differing.join('\n')).toBeLessThanOrEqual(undecided * 6)
    if (undecided === 0) expect(differing).toEqual([])
  })
})

describe('a snapshot that was taken before or after', () => {
  beforeAll(async () => {
    production = await createProduction()
  })
  afterAll(() => production.drop())
  const write = async (recording: ProxyRecording) => {
    const client = await connected(recording)
    await bump(client, 'c0')
    await client.end()
  }

  test('with nothing in between: nothing is said, and everything is replayed', async () => {
    goldens += 1
    const out = join(at.folder, `snapshot-${goldens}`)
    await take(out)
    const recording = await at.start(production.url)
    await write(recording)
    await recording.stop()
    const { facts, said, shadow } = await replayOn(out, recording.path)
    expect(facts.start).toEqual({ kind: 'before', between: 0 })
    expect(said).not.toContain('snapshot')
    expect(shadow).toEqual(await inProduction())
  })

  test('with changes in between: that is said, with how many there may be', async () => {
    goldens += 1
    const out = join(at.folder, `snapshot-${goldens}`)
    await take(out)
    for (const name of ['c1', 'c2']) await production.query('UPDATE counter SET n = n + 1 WHERE name = $1', [name])
    const recording = await at.start(production.url)
    await write(recording)
    await recording.stop()
    const { facts, said } = await replayOn(out, recording.path)
    const { between } = facts.start as Extract<RunFacts['start'], { kind: 'before' }>
    expect(between).toBe(2)
    expect(said).toContain(`up to ${between} transactions that changed data in between are in neither`)
  })

  test('after the recording: there is nothing left to replay, unless all of it is asked for', async () => {
    goldens += 1
    const out = join(at.folder, `snapshot-${goldens}`)
    const recording = await at.start(production.url)
    await write(recording)
    await recording.stop()
    await take(out)
    await restoreSnapshot({ snapshot: out, target: withDatabase(shadows.url(), 'golden_late') })
    const url = await cloneShadow(shadows.url(), 'golden_late', 'shadow_late')
    const args = ['replay', recording.path, '--target', url, '--out', join(at.folder, 'late.run')]
    const refused = await pgrehearse(at.folder, ...args)
    expect([refused.exit, refused.err.includes('SNAPSHOT_TOO_LATE')]).toEqual([2, true])
    const whole = await pgrehearse(at.folder, ...args, '--from', 'start')
    expect(whole.exit).toBe(0)
  })
})

type Production = Pick<pg.Client, 'query'> & { readonly url: string; drop(): Promise<void> }

let productions = 0

async function createProduction(): Promise<Production> {
  productions += 1
  const name = `production_${productions}`
  await withAdmin(live.url(), (admin) => admin.query(`CREATE DATABASE ${name}`))
  const url = withDatabase(live.url(), name)
  const client = new pg.Client(url)
  await client.connect()
  for (const sql of [SCHEMA, DATA]) await client.query(sql)
  return Object.assign(client, { url, drop: () => client.end() })
}

/** Rows that only one of the two has. */
function differences(before: Record<string, string[]>, after: Record<string, string[]>): string[] {
  return Object.keys(before).flatMap((table) => {
    const [a, b] = [new Set(before[table]), new Set(after[table])]
    return [
      ...[...a].filter((row) => !b.has(row)).map((row) => `${table}: only production has ${row}`),
      ...[...b].filter((row) => !a.has(row)).map((row) => `${table}: only the replay has ${row}`),
    ]
  })
}
