/**
 * Values in binary, of types the user made. Parameters are read, masked as the same values are in a snapshot, and replayed: what the replay
 * leaves in a masked shadow is what a snapshot of production holds afterwards. Results are read and masked as the same results in text are,
 * in the recording and in the replay, whose server numbers the types in its own way.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EMPTY_POLICY } from '../../privacy/policy/policy.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { type BinaryReader, createBinaryReader } from '../../segment/binary-user-types.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRun } from '../../segment/run-file.js'
import { bench, KEY, read, through } from '../recorder/recording.js'
import { pgrehearse } from '../reports/command-line.js'
import { contents } from '../shadow/support.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { catalogOf } from './support.js'

const SCHEMA = `
  CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
  CREATE TYPE mood AS ENUM ('sad', 'so happy');
  CREATE DOMAIN label AS varchar(40);
  CREATE TYPE place AS (street text, number int, moods mood[], since date);
  CREATE TYPE trip AS (who label, stops place[], note citext);
  CREATE TYPE words AS RANGE (subtype = text);
  CREATE DOMAIN homestead AS place;
  CREATE TABLE people (id int PRIMARY KEY, mood mood, moods mood[], label label, labels label[], nick citext, nicks citext[],
    home place, homes place[], trip trip, traits hstore, family words, families words[], estate homestead, path ltree);`

/** SQL of a value, and the function that shows its bytes. */
const VALUES: readonly (readonly [column: string, value: string, send: string])[] = [
  ['mood', `'so happy'::mood`, 'enum_send'],
  ['moods', `'{sad,"so happy",NULL}'::mood[]`, 'array_send'],
  ['label', `'Anna "the" Nametag, so-called'::label`, 'varcharsend'],
  ['labels', `ARRAY['Anna', NULL, 'Bert \\ Nametag']::label[]`, 'array_send'],
  ['nick', `'Annika'::citext`, 'citextsend'],
  ['nicks', `ARRAY['Annika', 'Bo"b']::citext[]`, 'array_send'],
  ['home', `ROW('Rose Lane, "old"', 12, '{sad}', '2001-02-03')::place`, 'record_send'],
  [
    'homes',
    `ARRAY[ROW('Rose (Lane)', NULL, NULL, NULL)::place, NULL, ROW('', 1, '{}', '1999-01-01')::place]`,
    'array_send',
  ],
  ['trip', `ROW('Anna', ARRAY[ROW('Elm Road', 3, NULL, NULL)::place], 'Secret trip')::trip`, 'record_send'],
  ['traits', `'name=>"Anna Lena", "pet "=>NULL, "q"=>"a\\"b"'::hstore`, 'hstore_send'],
  ['family', `'[Adams,Zimmer)'::words`, 'range_send'],
  ['families', `ARRAY['[Baker,Carter]'::words, 'empty']`, 'array_send'],
  ['estate', `ROW('Rose Lane', 12, NULL, NULL)::homestead`, 'record_send'],
  ['path', `'Zimmer.Adams'::ltree`, 'ltree_send'],
]
const PERSONAL = ['Anna', 'Nametag', 'Annika', 'Rose', 'Elm', 'Secret', 'Adams', 'Zimmer', 'Baker', 'Carter', 'Lena']

const at = bench()
let production: TestDatabase
let shadows: OwnedServer
let room: string
beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'binary-types-'))
  writeFileSync(join(room, 'schema.sql'), SCHEMA)
  shadows = await startServer()
  production = await createDatabase(SCHEMA)
})
afterAll(async () => {
  await production?.drop()
  await shadows?.stop()
  at.remove()
  rmSync(room, { recursive: true, force: true })
})

/** As the server sends and as it prints them. */
async function bytesAndText(): Promise<{ name: string; typeOid: number; text: string; bytes: Buffer }[]> {
  const found = []
  for (const [name, value, send] of VALUES) {
    const { rows } = await production.query(
      `SELECT ${send}(${value}) AS bytes, (${value})::text AS text,
         (SELECT atttypid::int FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = '${name}') AS "typeOid"`,
    )
    found.push({ name, ...rows[0] })
  }
  return found
}

describe('read from their bytes', () => {
  test('they are the text that the server prints', async () => {
    const reader = createBinaryReader((await catalogOf(production)).types)
    for (const { name, typeOid, bytes, text } of await bytesAndText())
      expect([name, reader(typeOid, bytes)]).toEqual([name, text])
  })

  test('bytes that are cut off or changed are no value, and end nothing', async () => {
    const reader: BinaryReader = createBinaryReader((await catalogOf(production)).types)
    const all = await bytesAndText()
    for (const { typeOid, bytes } of all.filter(({ name }) => !['mood', 'label', 'nick', 'path'].includes(name)))
      for (let length = 0; length < bytes.length; length++)
        expect(reader(typeOid, bytes.subarray(0, length))).toBeUndefined()
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.uint8Array({ maxLength: 60 }), ({ typeOid }, bytes) => {
        expect(['string', 'undefined']).toContain(typeof reader(typeOid, bytes))
      }),
    )
    expect(reader(99_999_999, Buffer.from('x'))).toBeUndefined()
  })
})

test('recorded, masked and replayed: the shadow holds what a masked snapshot of production holds', async () => {
  const take = (out: string) =>
    takeSnapshot({
      url: production.url,
      out: join(room, out),
      masks: { policy: EMPTY_POLICY, key: KEY },
      madeBy: 'test',
      schemaFile: join(room, 'schema.sql'),
    })
  await take('before')
  const values = (await bytesAndText()).map(({ bytes }) => bytes)
  const proxy = await at.start(production.url, { policy: EMPTY_POLICY })
  const client = new pg.Client(through(production.url, proxy))
  await client.connect()
  const columns = VALUES.map(([name]) => name)
  await client.query(
    `INSERT INTO people (id, ${columns.join(', ')}) VALUES (1, ${columns.map((_, place) => `$${place + 1}`).join(', ')})`,
    values,
  )
  for (const [place, column] of columns.entries())
    await client.query(`UPDATE people SET ${column} = $1 WHERE id = 1`, [values[place]])
  await client.end()
  await proxy.stop()

  const { statements } = read(proxy.path)
  expect(statements.map(({ unreplayable }) => unreplayable).filter(Boolean)).toEqual([])
  const told = JSON.stringify(statements)
  expect(PERSONAL.filter((value) => new RegExp(`\\b${value}\\b`, 'i').test(told))).toEqual([])

  await take('after')
  await restoreSnapshot({ snapshot: join(room, 'before'), target: shadows.url('golden') })
  await restoreSnapshot({ snapshot: join(room, 'after'), target: shadows.url('expected') })
  const shadow = await cloneShadow(shadows.url(), 'golden', 'shadow')
  const { exit, err } = await pgrehearse(
    room,
    'replay',
    proxy.path,
    '--target',
    shadow,
    '--out',
    'a.run',
    '--speed',
    'max',
  )
  expect(exit, err).toBe(0)
  const replayed = await withClient(shadow, contents)
  expect(replayed['public.people']).toHaveLength(1)
  expect(replayed).toEqual(await withClient(shadows.url('expected'), contents))
})

describe('results', () => {
  const COLUMNS = VALUES.map(([name]) => name)
  const QUERIES = [
    ...COLUMNS.map((name) => `SELECT id, ${name} FROM people ORDER BY id`),
    'SELECT p FROM people p WHERE id = 2',
    'SELECT ROW(id, mood, nick, home) FROM people WHERE id = 2',
    'SELECT array_agg(ROW(id, label)) FROM people WHERE id = 2',
    'SELECT array_agg(home), array_agg(nick), max(mood) FROM people WHERE id = 2',
    'SELECT (home).street, (home).moods, (trip).stops FROM people WHERE id = 2',
    'SELECT unnest(homes), unnest(nicks), unnest(moods) FROM people WHERE id = 2',
    `INSERT INTO people (id, home) VALUES (3, ROW('Elm Road', 1, NULL, NULL)) RETURNING home, people`,
    // A type of the built-in ones, inside and out.
    `SELECT ARRAY[ROW(1.50::numeric, '2024-01-01'::date, NULL::jsonb)], ROW(ARRAY[1, 2], true)`,
  ]
  let recorded: { sql: string; binary: Outcome; text: Outcome }[]
  let path: string

  beforeAll(async () => {
    const names = COLUMNS.join(', ')
    await production.query(`INSERT INTO people (id, ${names}) SELECT 2, ${VALUES.map(([, value]) => value).join(', ')}`)
    await takeSnapshot({
      url: production.url,
      out: join(room, 'results'),
      masks: { policy: EMPTY_POLICY, key: KEY },
      madeBy: 'test',
      schemaFile: join(room, 'schema.sql'),
    })
    const proxy = await at.start(production.url, { policy: EMPTY_POLICY })
    path = proxy.path
    const client = new pg.Client(through(production.url, proxy))
    await client.connect()
    for (const text of QUERIES)
      for (const binary of [true, false]) {
        await client.query('BEGIN')
        await client.query({
          text: `${text} `,
          values: [],
          binary,
          name: `${binary} ${text}`.slice(0, 60),
        } as pg.QueryConfig)
        await client.query('ROLLBACK')
      }
    await client.end()
    await proxy.stop()
    const answers = read(path).statements.filter(({ outcome }) => outcome.columns !== null)
    recorded = QUERIES.map((sql, place) => ({
      sql,
      binary: answers[place * 2]!.outcome,
      text: answers[place * 2 + 1]!.outcome,
    }))
  })

  test.each(QUERIES.map((sql, place) => ({ sql, place })))(
    'in binary is masked as it is in text: $sql',
    ({ place }) => {
      const { binary, text } = recorded[place]!
      expect(text.rows!.length).toBeGreaterThan(0)
      expect(binary.rows).toEqual(text.rows)
      expect(binary.digest).toEqual(text.digest)
      const shown = JSON.stringify(binary.rows)
      expect(shown).not.toMatch(/\\\\x/)
      expect(PERSONAL.filter((value) => new RegExp(`\\b${value}\\b`, 'i').test(shown))).toEqual([])
    },
  )

  test('is answered by a masked shadow as production answered, whatever numbers its types have there', async () => {
    await restoreSnapshot({ snapshot: join(room, 'results'), target: shadows.url('results') })
    const shadow = await cloneShadow(shadows.url(), 'results', 'results_shadow')
    const { exit, err } = await pgrehearse(
      room,
      'replay',
      path,
      '--target',
      shadow,
      '--out',
      'results.run',
      '--speed',
      'max',
    )
    expect(exit, err).toBe(0)
    const run = openRun(join(room, 'results.run'))
    const answers = [...run.rows()].map(({ outcome }) => outcome).filter(({ columns }) => columns !== null)
    run.close()
    expect(answers).toHaveLength(QUERIES.length * 2)
    for (const [place, { sql, binary }] of recorded.entries())
      for (const answer of [answers[place * 2]!, answers[place * 2 + 1]!]) {
        expect([sql, answer.rows]).toEqual([sql, binary.rows])
        expect([sql, answer.digest]).toEqual([sql, binary.digest])
      }
    // Numbers of types do differ, or the above would show nothing.
    const oids = (one: Outcome) => one.columns!.map(({ typeOid }) => typeOid)
    expect(oids(answers[0]!)).not.toEqual(oids(recorded[0]!.binary))
  })
})
