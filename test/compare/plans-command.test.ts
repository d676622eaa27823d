/**
 * `compare --plans-from --plans-to` as a person would run it: statements recorded through the proxy and replayed on two real databases, of which
 * the second has lost an index. The diff holds both plans, what changed between them, and says so in words.
 */
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replay } from '../../replayer/run/replay.js'
import { openDiff } from '../../segment/diff-file.js'
import { run } from '../cli/command.js'
import { bench, through } from '../recorder/recording.js'
import { planOf } from '../run/support.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const ROWS = 60_000
const SCHEMA = `
  CREATE TABLE stays (stay int PRIMARY KEY, guest int NOT NULL, note text NOT NULL);
  INSERT INTO stays SELECT i, i % 6000, repeat('x', 60) FROM generate_series(1, ${ROWS}) i;`
const LOOK = 'SELECT stay, note FROM stays WHERE guest = $1 ORDER BY stay'
const BY_KEY = 'SELECT note FROM stays WHERE stay = $1'
const ASKED = 40

const at = bench()
const databases: TestDatabase[] = []
let recording: string
let folder: string

beforeAll(async () => {
  folder = at.folder
  const [production, v1, v2] = await Promise.all([
    createDatabase(SCHEMA, 'CREATE INDEX stays_guest_idx ON stays (guest)', 'ANALYZE'),
    createDatabase(SCHEMA, 'CREATE INDEX stays_guest_idx ON stays (guest)', 'ANALYZE'),
    createDatabase(SCHEMA, 'ANALYZE'),
  ])
  databases.push(production, v1, v2)
  const recorded = await at.start(production.url)
  const client = new pg.Client(through(production.url, recorded))
  await client.connect()
  for (let guest = 0; guest < ASKED; guest += 1) {
    await client.query(LOOK, [guest])
    await client.query(BY_KEY, [guest + 1])
  }
  await client.end()
  await recorded.stop()
  recording = recorded.path
  const plan = planOf(recording)
  for (const [name, target] of [
    ['baseline', v1.url],
    ['noise', v1.url],
    ['candidate', v2.url],
  ] as const)
    await replay({ recording, plan, target, out: join(folder, `${name}.run`), role: name, speed: 'max', workers: 1 })
})
afterAll(async () => {
  for (const database of databases) await database.drop()
  at.remove()
})

const compared = (...more: string[]) =>
  run(
    'compare',
    join(folder, 'baseline.run'),
    join(folder, 'candidate.run'),
    `--noise=${join(folder, 'noise.run')}`,
    `--out=${join(folder, 'a.diff')}`,
    '--force',
    ...more,
  )

test('a statement that has lost its index: both plans, what changed, and the index that was tried', async () => {
  const [, v1, v2] = databases
  const ended = await compared(`--plans-from=${v1!.url}`, `--plans-to=${v2!.url}`)
  expect(ended).toMatchObject({ code: 0 })
  const diff = openDiff(join(folder, 'a.diff'))
  const [finding, ...more] = diff.findings()
  expect(more).toEqual([])
  expect(finding!.cause).toMatch(
    /^looking up by stays\.guest is [\d.]+ times slower: median .* ms instead of .* ms; V2 reads all 60,000 rows of stays where V1 used stays_guest_idx: likely a missing index on stays \(guest.*\): tried, and [\d.]+ times faster$/,
  )
  const [plan] = diff.plans() ?? []
  expect(plan).toMatchObject({
    fingerprint: finding!.fingerprints[0],
    notExplained: '',
    suggestion: { tried: 'created', used: true },
  })
  expect(plan!.changes[0]).toMatchObject({ kind: 'scan' })
  expect(JSON.stringify(plan!.before)).toContain('stays_guest_idx')
  expect(JSON.stringify(plan!.after)).toContain('Seq Scan')
  diff.close()
  expect(ended.stdout.replace(/\s+/g, ' ')).toContain('V2 reads all 60,000 rows of stays')
  // Nothing is left of the try.
  const { rows } = await v2!.query(`SELECT indexname FROM pg_indexes WHERE tablename = 'stays'`)
  expect(rows).toEqual([{ indexname: 'stays_pkey' }])
})

test('without them it can only ask', async () => {
  expect(await compared()).toMatchObject({ code: 0 })
  const diff = openDiff(join(folder, 'a.diff'))
  expect(diff.findings()[0]!.cause).toMatch(/\(a missing index\?\)$/)
  expect(diff.plans() ?? []).toEqual([])
  diff.close()
})

test('a database that is not there: what is slower is told without plans, and why', async () => {
  const gone = new URL(databases[1]!.url)
  gone.pathname = '/nowhere'
  const ended = await compared(`--plans-from=${gone.href}`, `--plans-to=${databases[2]!.url}`)
  expect(ended.code).toBe(0)
  expect(`${ended.stdout}${ended.stderr}`).toContain('nowhere')
  expect(`${ended.stdout}${ended.stderr}`).not.toContain(gone.password)
  const diff = openDiff(join(folder, 'a.diff'))
  expect(diff.findings()[0]!.cause).toMatch(/\(a missing index\?\)$/)
  diff.close()
})
