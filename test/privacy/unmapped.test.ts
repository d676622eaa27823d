/** What `inspect` says of a recording's masking, so that a policy can be completed: which statement, which value, why, what was done with it. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EMPTY_POLICY } from '../../privacy/policy/policy.js'
import { inspectRecording, type RecordingInspection } from '../../segment/inspect.js'
import { run } from '../cli/command.js'
import { bench, through } from '../recorder/recording.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const SAID: readonly (readonly [sql: string, ...values: unknown[]])[] = [
  ['SELECT id FROM people WHERE name = $1', 'Alice'],
  ['SELECT greet($1), greet($1)', 'Alice'],
  ['SELECT greet($1), greet($1)', 'Bob'],
  ['SELECT $1::text, $2::int, $3::jsonb', 'Alice', 7, '{"a": "b"}'],
  ["SELECT set_config('app.who', $1, false)", 'Alice'],
  ["SELECT greet('Alice')"],
  ["SELECT id FROM people WHERE name LIKE 'Al%'"],
  ['CREATE TEMPORARY TABLE seen AS SELECT name FROM people'],
  ['SELECT name FROM seen WHERE name = $1', 'Alice'],
  ['SELECT id FROM people LIMIT $1', 5],
]

const at = bench()
let database: TestDatabase
let path: string
let found: RecordingInspection['masking']
beforeAll(async () => {
  database = await createDatabase(`CREATE TABLE people (id int, name text);
    CREATE FUNCTION greet(whom text) RETURNS text LANGUAGE sql AS 'SELECT $1'`)
  const recording = await at.start(database.url, { policy: EMPTY_POLICY })
  const client = new pg.Client(through(database.url, recording))
  await client.connect()
  for (const [text, ...values] of SAID) await client.query(text, values)
  await client.end()
  await recording.stop()
  path = recording.path
  found = inspectRecording(path, 10).masking
})
afterAll(async () => {
  at.remove()
  await database.drop()
})

const FREE = 'masked as text, unless it is a word of SQL or the schema'

describe('values that no column explains', () => {
  const of = (part: string) => found.unmapped.filter(({ sql }) => sql.includes(part))

  test('are counted by statement, with fingerprint, reason and rule', () => {
    expect(of('greet($1)')).toEqual([
      {
        fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
        sql: 'SELECT greet($1), greet($1)',
        count: 2,
        values: [{ slot: '$1', why: 'argument of greet()', rule: FREE }],
      },
    ])
  })
  test('say which default of their type applied', () => {
    expect(of('::jsonb')[0]!.values).toEqual([
      { slot: '$1', why: 'meets no column', rule: FREE },
      { slot: '$2', why: 'meets no column', rule: 'kept, as every number that no column explains' },
      { slot: '$3', why: 'meets no column', rule: 'masked as json' },
    ])
  })
  test('are literals and settings too', () => {
    expect(of("greet('")[0]!.values).toEqual([{ slot: 'literal 1', why: 'argument of greet()', rule: FREE }])
    expect(of('set_config')[0]!.values).toEqual([{ slot: '$1', why: 'value of the setting app.who', rule: FREE }])
  })
  test('are none where a column, or the language, explains them', () => {
    expect(of('FROM people WHERE name =')).toEqual([])
    expect(of('LIMIT')).toEqual([])
  })
  test('hold no value', () => expect(JSON.stringify(found)).not.toMatch(/alice|bob/i))
})

test('uses that tokens do not stand for are counted by column', () =>
  expect(found.cautions.map(({ name, use, count }) => `${count} ${name} ${use}`).sort()).toEqual([
    '1 public.people.name pattern',
    '1 seen unseen',
    '3 a literal in greet derive',
  ]))

test('the command shows both', async () => {
  const { code, stdout } = await run('inspect', path)
  expect(code).toBe(0)
  expect(stdout).toContain('Values that no column explains')
  expect(stdout).toMatch(
    /2 +[0-9a-f]{16} +SELECT greet\(\$1\), greet\(\$1\)\n +\$1: argument of greet\(\); masked as text/,
  )
  expect(stdout).toMatch(/public\.people\.name \(text\): LIKE, regular expression or text search/)
  expect(stdout).toMatch(/seen \(text\): a table that is not in the catalog/)
})
