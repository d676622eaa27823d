/** COPY in binary: what the server writes, masked, is read by the server as the masked values; what cannot be masked is refused. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readKey } from '../../privacy/key.js'
import { createMasker, type Masker } from '../../privacy/masker.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { binaryToText } from '../../segment/binary-text.js'
import { OID } from '../../segment/values/oids.js'
import { textToBinary } from '../../segment/values/to-binary.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const POLICY = `
version: 1
columns:
  public.person.email: email
  public.person.born: date_shift
`
const COLUMNS = 'id, email, note, born, big, ratio, raw, data, ref, mood, kept, tags, place'
let database: TestDatabase
let client: pg.Client
let masker: Masker
beforeAll(async () => {
  database = await createDatabase(
    `CREATE TYPE mood AS ENUM ('fine', 'bad')`,
    'CREATE DOMAIN note AS text CHECK (length(value) < 1000)',
    'CREATE TYPE place AS (city text, zip text)',
    `CREATE TABLE person (id int, email text, note note, born date, big int8, ratio float8, raw bytea, data jsonb, ref uuid, mood mood,
       kept numeric, tags text[], place place)`,
    `INSERT INTO person SELECT i, 'ann' || i || '@example.org', 'Ann lives in House ' || i, date '1950-01-01' + i * 100, i::int8 << 40, i / 3.0,
       decode(md5(i::text), 'hex'), jsonb_build_object('name', 'Ann ' || i), md5(i::text)::uuid, 'fine', i / 7.0, '{Ann,NULL}', ('Ann''s town', '1')::place
     FROM generate_series(1, 50) i`,
    'INSERT INTO person (id) VALUES (51)',
    'CREATE TABLE copied (LIKE person)',
  )
  client = new pg.Client(database.url)
  await client.connect()
  const catalog = await readCatalog(client)
  masker = await createMasker({ key: readKey('0f'.repeat(32)), policy: parsePolicy(POLICY, 'p.yaml'), catalog })
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

const written = (columns: string) => buffer(client.query(copyTo(`COPY person (${columns}) TO STDOUT (FORMAT binary)`)))
const masked = (columns: string, data: Buffer) => {
  const { facts } = masker.sql(`COPY person (${columns}) FROM STDIN (FORMAT binary)`)
  return masker.copyBinary(facts, 0, data)
}

test('each row as the same data in text would have been masked', async () => {
  const columns = COLUMNS.replace(', tags, place', '')
  const bytes = masked(columns, await written(columns))!
  await client.query('TRUNCATE copied')
  await pipeline(Readable.from([bytes]), client.query(copyFrom(`COPY copied (${columns}) FROM STDIN (FORMAT binary)`)))
  const inText = await buffer(client.query(copyTo(`COPY person (${columns}) TO STDOUT`)))
  const mask = masker.copy(masker.sql(`COPY person (${columns}) FROM STDIN`).facts)!
  const wanted = Buffer.concat([mask.push(inText), mask.end()]).toString()
  expect((await buffer(client.query(copyTo(`COPY copied (${columns}) TO STDOUT`)))).toString()).toBe(wanted)
  expect(wanted).not.toMatch(/Ann|ann\d+@/)
  expect(bytes.toString('latin1')).not.toMatch(/Ann|ann\d+@/)
})

test.each([
  { name: 'an array whose elements change', columns: 'id, tags' },
  { name: 'a composite, which names types by oid', columns: 'id, place' },
])('$name is refused', async ({ columns }) => {
  expect(masked(columns, await written(columns))).toBeNull()
})

test('bytes that lie about themselves are refused, wherever they are cut or changed, and nothing throws', async () => {
  const bytes = await written('id, email')
  for (let end = 0; end < 200; end++) {
    const cut = masked('id, email', bytes.subarray(0, end))
    if (cut !== null) expect(cut.includes('ann')).toBe(false)
  }
  fc.assert(
    fc.property(fc.nat(200), fc.nat(255), (at, byte) => {
      const lie = Buffer.from(bytes.subarray(0, 300))
      lie[at] = byte
      const out = masked('id, email', lie)
      // A length that was changed may make an address part of a number's bytes: then it is no number.
      if (out !== null) expect(out.toString('latin1')).not.toMatch(/ann\d+@/)
    }),
    { numRuns: 500 },
  )
  expect(masked('id', bytes)).toBeNull()
})

test.each([
  { type: 'text', text: 'ü', oid: OID.text },
  { type: 'jsonb', text: '{"a": 1}', oid: OID.jsonb },
  { type: 'bytea', text: '\\x00ff', oid: OID.bytea },
  { type: 'uuid', text: 'c4ca4238-a0b9-2382-0dcc-509a6f75849b', oid: OID.uuid },
  { type: 'bool', text: 't', oid: OID.bool },
  { type: 'int2', text: '-32768', oid: OID.int2 },
  { type: 'int4', text: '2147483647', oid: OID.int4 },
  { type: 'int8', text: '-9223372036854775808', oid: OID.int8 },
  { type: 'date', text: '1900-02-28', oid: OID.date },
  { type: 'date after its epoch', text: '2400-02-29', oid: OID.date },
])('$type is written as it is read', ({ text, oid }) => {
  expect(binaryToText(oid, textToBinary(oid, text)!)).toBe(text)
})

test.each([
  { name: 'an integer that is too large', oid: OID.int2, text: '32768' },
  { name: 'no integer', oid: OID.int4, text: '1.5' },
  { name: 'no date', oid: OID.date, text: 'infinity' },
  { name: 'a type that is not masked', oid: OID.numeric, text: '1' },
])('$name is not written', ({ oid, text }) => expect(textToBinary(oid, text)).toBeUndefined())
