/** What V2 was asked stands beside what V1 was asked: in the diff, on the page, and in the script that reproduces it. */
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compareRuns } from '../../replayer/compare/compare.js'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { replay } from '../../replayer/run/replay.js'
import { writeMarker } from '../../replayer/shadow/marker.js'
import { renderPage } from '../../reports/page/page.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { fingerprint, loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { modelOf } from '../reports/build.js'
import { pgrehearse } from '../reports/command-line.js'
import { planOf } from '../run/support.js'
import { simple, Tape, unnamed } from '../run/tape.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { SPLIT } from './split-world.js'

let before: TestDatabase
let after: TestDatabase
let folder: string
beforeAll(async () => {
  await loadParser()
  before = await createDatabase(SPLIT.before)
  after = await createDatabase(SPLIT.before, SPLIT.after, 'UPDATE order_billing SET cents = cents + 1')
})
afterAll(async () => {
  await Promise.all([before.drop(), after.drop()])
  rmSync(folder, { recursive: true, force: true })
})

const LITERAL = `SELECT cents, status FROM orders WHERE order_id = 3 AND code <> 'é'`
const PARAMETER = 'SELECT currency, cents FROM orders WHERE order_id = $1'
const BY_HAND = `SELECT cents AS pence FROM orders WHERE order_id = $1`
const FIRST_ANSWERS = `SELECT cents AS pennies, code FROM orders WHERE order_id = $1`

test('in the diff, on the page, and in the script', async () => {
  const text = `${SPLIT.mapping}
statements:
  - pattern: ${BY_HAND}
    sql:
      - SELECT set_config('pgr.probe', 'on', true)
      - SELECT cents AS pence FROM order_billing WHERE order_id = $1
  - pattern: ${FIRST_ANSWERS}
    result: 1
    sql:
      - SELECT cents AS pennies, code FROM order_core JOIN order_billing USING (order_id) WHERE order_id = $1
      - SELECT 'nobody is to see this'
`
  const recording = new Tape()
    .send(1, { ...simple(LITERAL), fingerprint: fingerprint(LITERAL) })
    .send(1, { ...unnamed(PARAMETER, ['4']), fingerprint: fingerprint(PARAMETER) })
    .send(1, { ...unnamed(BY_HAND, ['5']), fingerprint: fingerprint(BY_HAND) })
    .send(1, { ...unnamed(FIRST_ANSWERS, ['6']), fingerprint: fingerprint(FIRST_ANSWERS) })
    .send(1, { ...simple('SELECT count(*) FROM customers'), fingerprint: 'c'.repeat(16) })
    .write()
  folder = dirname(recording)
  const path = (name: string) => join(folder, name)
  const file = 'mapping.yaml'
  const [old, now] = [await readCatalog(before), await readCatalog(after)]
  const rewrite = { text, file, folder, hash: parseMapping(text, file).hash, before: old, after: now }
  const plan = planOf(recording)
  await replay({ recording, plan, target: before.url, out: path('v1.run'), speed: 'max' })
  await replay({ recording, plan, target: after.url, out: path('v2.run'), speed: 'max', workers: 2, rewrite })

  const [v1, v2, reader] = [openRun(path('v1.run')), openRun(path('v2.run')), openRecording(recording)]
  expect(v1.rewritten()).toEqual([])
  expect(
    v2
      .rewritten()
      .map(({ by }) => by)
      .sort(),
  ).toEqual(['statement on line 13', 'statement on line 9', 'table orders', 'table orders'])
  compareRuns({ before: v1, after: v2, recording: reader, out: createDiff(path('v2.diff')), madeBy: 'test' })
  const diff = openDiff(path('v2.diff'))
  const found = [...diff.discrepancies()].sort((a, b) => a.seq - b.seq)
  expect(found.map(({ sql }) => sql)).toEqual([LITERAL, PARAMETER, BY_HAND, FIRST_ANSWERS])
  expect(found[0]!.sqlAfter).toMatch(/FROM order_core AS p0 JOIN order_billing.*order_id = 3 AND code <> 'é'$/)
  expect(found[1]!.sqlAfter).toBe('SELECT currency, cents FROM order_billing AS orders WHERE order_id = $1')
  expect(found[2]!.sqlAfter).toMatch(/^SELECT set_config.*; SELECT cents AS pence FROM order_billing/)
  expect(diff.latency().find(({ sql }) => sql === PARAMETER)?.sqlAfter).toBe(found[1]!.sqlAfter)
  expect(diff.latency().find(({ sql }) => sql.includes('customers'))).not.toHaveProperty('sqlAfter')

  const model = modelOf(diff)
  const examples = model.findings.flatMap((finding) => finding.examples)
  expect(examples.find(({ sql }) => sql === PARAMETER)?.sqlAfter).toBe(found[1]!.sqlAfter)
  const page = renderPage(model, (findingId) => diff.discrepancies({ findingId })).join('')
  expect(page).toContain('V2</span> was asked')

  for (const [at, { alertId }] of found.entries()) {
    const { out } = await pgrehearse(folder, 'reproduce', path('v2.diff'), alertId)
    const [onV1, onV2] = [out.indexOf('=== V1 ==='), out.indexOf('=== V2 ===')]
    expect(out.slice(onV1, onV2)).toContain('FROM orders')
    expect(out.slice(onV2)).toContain('order_billing')
    expect(out.slice(onV2)).not.toContain('FROM orders')
    if (at > 0) expect(out.slice(onV2)).toContain(`EXECUTE pgrehearse${at === 2 ? '_2' : ''}(\n  '${at + 3}'\n)`)
  }
  const marker = { snapshotId: 's', createdAtMs: 0, policyHash: '', keyFingerprint: '', role: 'shadow' } as const
  for (const database of [before, after]) await writeMarker(database, database.name, marker)
  const urls = ['--before', before.url, '--after', after.url]
  const ran = await pgrehearse(folder, 'reproduce', path('v2.diff'), found[2]!.alertId, '--run', ...urls)
  expect(ran.out).toMatch(/V1 {2}answered SELECT, 1 row/)
  expect(ran.out).toMatch(/V2 {2}answered SELECT, 1 row/)
  expect(ran.out).toMatch(/50\[-0-\]|\[-500-\]|\{\+501\+\}|50\{\+1\+\}/)
  expect(found.map(({ answersAfter }) => answersAfter)).toEqual([undefined, undefined, undefined, 0])
  const first = await pgrehearse(folder, 'reproduce', path('v2.diff'), found[3]!.alertId, '--run', ...urls)
  expect(first.out).toContain('pennies')
  expect(first.out).not.toContain('nobody is to see this')
  for (const one of [diff, v1, v2, reader]) one.close()
})
