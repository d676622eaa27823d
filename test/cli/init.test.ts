/** `pgrehearse init`: the file it writes is one that `run` takes, and says what the two servers said. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { starterFile } from '../../cli/run/starter-file.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { run, scratch } from './command.js'

let v1: TestDatabase
let v2: TestDatabase
beforeAll(async () => {
  v1 = await createDatabase('CREATE TABLE users (id int)', 'CREATE TABLE "odd\ntable" (id int)')
  v2 = await createDatabase('CREATE TABLE people (id int)')
})
afterAll(async () => {
  await v1.drop()
  await v2.drop()
})

test('writes a file that run reads, without a password, and never replaces one', async () => {
  const folder = scratch()
  const out = join(folder, 'pgrehearse.yaml')
  const first = await run('init', '--from', v1.url, '--to', v2.url, '--out', out)
  expect([first.code, first.stderr]).toEqual([0, expect.stringContaining('the same server')])
  const text = readFileSync(out, 'utf8')
  expect(text).toContain('V2 does not have odd?table, users. A mapping says what they became:')
  expect(text).not.toContain(new URL(v1.url).password)
  expect(text).toContain('server: embedded')
  // Every option of it is read, down to the first thing that is not there yet.
  const dry = await run('run', '-c', out, '--dry-run')
  expect([dry.code, dry.stderr]).toEqual([2, expect.stringContaining('there is no recording at')])
  expect(existsSync(join(folder, 'rehearsal'))).toBe(false)
  writeFileSync(out, 'mine')
  expect((await run('init', '--from', v1.url, '--to', v2.url, '--out', out)).code).toBe(2)
  expect(readFileSync(out, 'utf8')).toBe('mine')
})

test('another server is where the shadows go; another version of V1 is pointed out', () => {
  const words = { version: 'PostgreSQL 18.4', major: 18, database: 'shop', tables: ['users'] }
  const text = starterFile(
    { ...words, url: 'postgres://prod/shop', version: 'PostgreSQL 15.1', major: 15 },
    { ...words, url: "postgres://ci@shadows/x'y", tables: [] },
    false,
  )
  expect(text).toContain('\nserver: "postgres://ci@shadows/x\'y"\n')
  expect(text).toContain('V1 runs another major version.')
  expect(text).not.toContain('A mapping says')
})
