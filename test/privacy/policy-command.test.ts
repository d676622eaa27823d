/** `policy` as a person uses it: a proposal that holds, a mistake with its line, and a look for leaks that fails when there is one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pgrehearse } from '../reports/command-line.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let database: TestDatabase
let room: string
beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'policy-command-'))
  const schema = 'CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE, full_name text, nick text, seen date)'
  writeFileSync(join(room, 'schema.sql'), schema)
  database = await createDatabase(
    schema,
    `INSERT INTO people SELECT n, 'ann' || n || '@corp.example', 'Ann Person ' || n, 'nick ' || n, '2024-01-01' FROM generate_series(1, 50) n`,
  )
})
afterAll(async () => {
  await database?.drop()
  rmSync(room, { recursive: true, force: true })
})

const write = (name: string, text: string) => writeFileSync(join(room, name), text)
const policy = (...args: string[]) => pgrehearse(room, 'policy', ...args)
const take = (out: string, policyFile: string) =>
  pgrehearse(
    room,
    'snapshot',
    'take',
    '--from',
    database.url,
    '--out',
    out,
    '--schema',
    'schema.sql',
    '--policy',
    policyFile,
  )

describe('suggest', () => {
  test('prints a policy that a snapshot can be taken with as it stands; no value is in it, and none is left in the snapshot', async () => {
    const { exit, out } = await policy('suggest', '--from', database.url)
    expect(exit).toBe(0)
    expect(out).toMatch(/^ {2}public\.people\.email: email\b/m)
    expect(out).not.toMatch(/corp\.example|Ann Person|nick \d/)
    write('suggested.yaml', out)
    const taken = await take('by-suggestion', 'suggested.yaml')
    expect(taken.exit, taken.err).toBe(0)
    const audited = await policy('audit', 'by-suggestion', '--from', database.url, '--policy', 'suggested.yaml')
    expect([audited.exit, audited.out]).toEqual([0, expect.stringContaining('nothing personal found')])
  })

  test('of a server that is not there', async () => {
    const { exit, err } = await policy('suggest', '--from', 'postgres://postgres:secret@127.0.0.1:1/x')
    expect([exit, err.includes('[SERVER_UNREACHABLE]'), err.includes('secret')]).toEqual([4, true, false])
  })
})

describe('a mistake in the file', () => {
  test.each([
    ['a kind', 'public.people.email: emial', /bad\.yaml:3: .*`emial`/, /`email`/],
    ['a column', 'public.people.emial: email', /bad\.yaml:3: .*public\.people\.emial/, /public\.people\.email/],
    ['a kind for another type', 'public.people.seen: email', /bad\.yaml:3: /, /date_shift/],
  ])('%s: file, line and what was probably meant, before anything is written', async (_, line, what, fix) => {
    write('bad.yaml', `version: 1\ncolumns:\n  ${line}\n`)
    const { exit, err } = await take('never', 'bad.yaml')
    expect(exit, err).toBe(2)
    expect(err).toMatch(what)
    expect(/fix {3}(.*)/.exec(err)?.[1]).toMatch(fix)
  })

  test('no such file', async () => {
    const { exit, err } = await take('never', 'none.yaml')
    expect([exit, err.includes('[POLICY_UNREADABLE]')]).toEqual([2, true])
  })
})

describe('audit', () => {
  test('finds what a policy lets through, exits 1, and shows hardly any of it', async () => {
    write('keep.yaml', 'version: 1\ncolumns:\n  "*.*.*": keep\n')
    // Kept text is looked at by detectors: addresses are replaced, a nickname is not.
    expect((await take('kept', 'keep.yaml')).exit).toBe(0)
    write('meant.yaml', 'version: 1\ncolumns:\n  public.people.nick: text\n  public.people.full_name: full_name\n')
    const { exit, out } = await policy('audit', 'kept', '--from', database.url, '--policy', 'meant.yaml')
    expect(exit).toBe(1)
    expect(out).toMatch(/kept\/data\/0001\.copy\.gz: value at /)
    expect(out).toMatch(/\d+ personal values found/)
    expect(out).not.toMatch(/Ann Person \d/)
  })

  test('finds an address by its form alone', async () => {
    write('log.txt', 'sent to bob.brown@corp.example.com\n')
    const { exit, out } = await policy('audit', 'log.txt')
    expect([exit, out]).toEqual([1, expect.stringContaining('1 personal values found')])
    expect(out).not.toContain('brown')
  })

  test('refuses a path that is none', async () => {
    const { exit, err } = await policy('audit', 'nowhere')
    expect([exit, err.includes('[AUDIT_NO_SUCH_PATH]')]).toEqual([2, true])
  })
})
