/** A plan is made once and kept beside its recording; whatever is not exactly that plan is made again. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CachedPlan, PLAN_FILE, planOf } from '../../replayer/plan/cache.js'
import { openRecording } from '../../segment/recording.js'
import { simple, Tape } from '../run/tape.js'

let recording: string
let file: string
beforeEach(() => {
  recording = new Tape()
    .send(1, simple('UPDATE made_later SET n = 1'))
    .send(2, simple('SELECT * FROM made_later'))
    .send(3, simple('DROP TABLE made_later'))
    .write()
  file = join(recording, PLAN_FILE)
})
afterEach(() => rmSync(dirname(recording), { recursive: true, force: true }))

test('the second reader finds the plan of the first', async () => {
  const first = await plan()
  expect(first.reused).toBe(false)
  expect(first.plan.waitKind.length).toBeGreaterThan(0)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const second = await plan()
  expect(second).toEqual({ ...first, reused: true })
  expect(second.plan.waitSession.buffer).toBeInstanceOf(SharedArrayBuffer)
})

test.each([
  { name: 'one bit flipped at its end', harm: () => flip(-1) },
  { name: 'one bit flipped in its arrays', harm: () => flip(Math.floor(headBytes() + 9)) },
  { name: 'one bit flipped in what it says of itself', harm: () => flip(readFileSync(file).indexOf('totalMs') + 9) },
  { name: 'cut short', harm: () => truncateSync(file, statSync(file).size - 1) },
  { name: 'cut to its head', harm: () => truncateSync(file, headBytes()) },
  { name: 'empty', harm: () => truncateSync(file, 0) },
  { name: 'longer', harm: () => writeFileSync(file, 'x', { flag: 'a' }) },
  { name: 'something else', harm: () => writeFileSync(file, '{"key":\n') },
])('a plan that is $name is made again, and replaced', async ({ harm }) => {
  const first = await plan()
  harm()
  expect(await plan()).toEqual(first)
  expect((await plan()).reused).toBe(true)
})

test('another catalog is another plan', async () => {
  await plan()
  const path = join(recording, 'manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  manifest.catalog.searchPath = ['elsewhere']
  writeFileSync(path, JSON.stringify(manifest))
  expect((await plan()).reused).toBe(false)
})

test('where it cannot be kept, it is made each time', async () => {
  mkdirSync(join(file, 'in the way'), { recursive: true })
  expect((await plan()).reused).toBe(false)
  expect((await plan()).reused).toBe(false)
  expect(existsSync(join(file, 'in the way'))).toBe(true)
})

test('a recording that still grows has none', async () => {
  const path = join(recording, 'manifest.json')
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), endedAtMs: null }))
  expect((await plan()).reused).toBe(false)
  expect(existsSync(file)).toBe(false)
})

async function plan(): Promise<CachedPlan> {
  const reader = openRecording(recording)
  try {
    return await planOf(reader)
  } finally {
    reader.close()
  }
}

function headBytes(): number {
  return readFileSync(file).indexOf('\n') + 1
}

function flip(at: number): void {
  const bytes = readFileSync(file)
  const index = at < 0 ? bytes.length + at : at
  bytes[index] = bytes[index]! ^ 1
  writeFileSync(file, bytes)
}
