import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CopyFormat, createCopyMask, TEXT_FORMAT } from '../../privacy/copy.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const CSV: CopyFormat = { format: 'csv', delimiter: ',', quote: '"', escape: '"', nullText: '', header: false }
const shout = (value: string): string => value.toUpperCase()

let database: TestDatabase
let client: pg.Client
beforeAll(async () => {
  database = await createDatabase('CREATE TABLE t (id int, a text, b text)', 'CREATE TABLE u (LIKE t)')
  client = new pg.Client(database.url)
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

const value = fc.option(
  fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc
      .array(fc.constantFrom('\\', '\t', '\n', '\r', ',', '"', "'", '\\N', '\\.', ' ', 'x', 'é', '|', 'NULL'), {
        maxLength: 8,
      })
      .map((all) => all.join('')),
  ),
  { nil: null },
)

describe.each([
  { name: 'text', options: '', format: TEXT_FORMAT },
  {
    name: 'text with options',
    options: "(DELIMITER '|', NULL '<none>')",
    format: { ...TEXT_FORMAT, delimiter: '|', nullText: '<none>' },
  },
  { name: 'csv', options: '(FORMAT csv)', format: CSV },
  { name: 'csv with a header', options: '(FORMAT csv, HEADER)', format: { ...CSV, header: true } },
  {
    name: 'csv with options',
    options: `(FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL '<none>')`,
    format: { ...CSV, delimiter: ';', quote: "'", escape: '\\', nullText: '<none>' },
  },
])('$name', ({ options, format }) => {
  test('what the server writes, masked, is read by the server as the masked values', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 40 }),
        async (rows, cut) => {
          const clean = rows.map((row) => row.map((cell) => cell?.replaceAll('\0', '') ?? null))
          await client.query('TRUNCATE t, u')
          for (const [at, [a, b]] of clean.entries())
            await client.query('INSERT INTO t VALUES ($1, $2, $3)', [at, a, b])
          const bytes = await buffer(client.query(copyTo(`COPY t TO STDOUT ${options}`)))
          const mask = createCopyMask([null, shout, null], format)
          const out: Buffer[] = []
          for (let at = 0; at < bytes.length; at += cut) out.push(Buffer.from(mask.push(bytes.subarray(at, at + cut))))
          out.push(mask.end())
          const sink = client.query(copyFrom(`COPY u FROM STDIN ${options}`))
          Readable.from([Buffer.concat(out)]).pipe(sink)
          await once(sink, 'finish')
          const found = await client.query<{ a: string | null; b: string | null }>('SELECT a, b FROM u ORDER BY id')
          expect(found.rows.map(({ a, b }) => [a, b])).toEqual(
            clean.map(([a, b]) => [a === null ? null : shout(a!), b]),
          )
        },
      ),
      { numRuns: 60 },
    )
  })
})

test('bytes of cells that stay are not touched, valid or not', () => {
  const bytes = Buffer.concat([Buffer.from('1\t'), Buffer.from([0xff, 0xfe, 0x80]), Buffer.from('\tabc\n')])
  expect(createCopyMask([null, null, shout]).lines(bytes)).toEqual(
    Buffer.concat([Buffer.from('1\t'), Buffer.from([0xff, 0xfe, 0x80]), Buffer.from('\tABC\n')]),
  )
})

test('without a mask the bytes are handed on as they are', () => {
  const bytes = Buffer.from('1\ta\n')
  expect(createCopyMask([null, null]).lines(bytes)).toBe(bytes)
})

test('the mark of the end stays', () =>
  expect(createCopyMask([shout]).lines(Buffer.from('a\n\\.\n')).toString()).toBe('A\n\\.\n'))
