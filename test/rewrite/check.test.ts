/** What a mapping still lacks, before anything is replayed; and a first mapping from two schemas. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkRewrite } from '../../replayer/rewrite/check.js'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { openRewrite } from '../../replayer/rewrite/open.js'
import { Rewriter } from '../../replayer/rewrite/rewriter.js'
import { bindRules } from '../../replayer/rewrite/rules.js'
import { suggestMapping } from '../../replayer/rewrite/suggest.js'
import { openRecording } from '../../segment/recording.js'
import { fingerprint, loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { simple, Tape, unnamed } from '../run/tape.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { CHANGED } from './changed-world.js'
import { SPLIT } from './split-world.js'

const databases: TestDatabase[] = []
const create = async (...setUp: string[]): Promise<TestDatabase> => {
  const database = await createDatabase(...setUp)
  databases.push(database)
  return database
}
beforeAll(() => loadParser())
afterAll(() => Promise.all(databases.map((database) => database.drop())))

test('every kind of statement with its share and how it fares; nothing is executed', async () => {
  const [before, after] = [await create(SPLIT.before), await create(SPLIT.before, SPLIT.after)]
  const mapping = parseMapping(
    `version: 1\nstatements:\n  - pattern: SELECT note FROM customers\n    sql: SELECT name FROM customers\n`,
    'mapping.yaml',
  )
  const texts = [
    'DELETE FROM customers WHERE customer_id = 6',
    'SELECT note FROM customers',
    'SELECT cents FROM orders WHERE order_id = 1',
    'SELECT cents FROM orders WHERE order_id = 2',
    'BEGIN',
  ]
  const tape = new Tape()
  for (const sql of texts) tape.send(1, { ...simple(sql), fingerprint: fingerprint(sql) })
  const path = tape.write()
  const recording = openRecording(path)
  const client = new pg.Client(after.url)
  await client.connect()
  try {
    const rewriter = new Rewriter(
      mapping,
      bindRules(mapping, await readCatalog(before), await readCatalog(after)),
      null,
    )
    const { fingerprints, byState, statements } = await checkRewrite(recording, rewriter, client)
    expect(statements).toBe(5)
    expect(byState).toEqual({ unchanged: 1, rewritten: 1, invalid: 2, 'refused before': 0, 'not checked': 1 })
    const [invalid, rewritten] = fingerprints
    expect(invalid).toMatchObject({
      state: 'invalid',
      count: 2,
      share: 0.4,
      message: 'relation "orders" does not exist',
    })
    expect(invalid!.suggestion).toContain('orders:')
    expect(rewritten).toMatchObject({
      state: 'rewritten',
      by: 'statement on line 3',
      after: 'SELECT name FROM customers',
    })
    expect((await after.query('SELECT count(*)::int AS n FROM customers')).rows[0].n).toBe(6)
  } finally {
    await client.end()
    recording.close()
    rmSync(dirname(path), { recursive: true })
  }
})

test('a rewritten statement that reads a parameter as another type is invalid', async () => {
  const [before, after] = [await create(SPLIT.before), await create(SPLIT.before, SPLIT.after)]
  const mappingText = `version: 1\nstatements:\n  - pattern: SELECT name FROM customers WHERE customer_id = $1\n    sql: SELECT name FROM customers WHERE name = $1\n`
  const mapping = parseMapping(mappingText, 'mapping.yaml')
  const sql = 'SELECT name FROM customers WHERE customer_id = $1'
  const path = new Tape()
    .send(1, { ...unnamed(sql, ['1']), parameterTypes: [23], fingerprint: fingerprint(sql) })
    .write()
  const recording = openRecording(path)
  const client = new pg.Client(after.url)
  await client.connect()
  try {
    const rewriter = new Rewriter(
      mapping,
      bindRules(mapping, await readCatalog(before), await readCatalog(after)),
      null,
    )
    const file = join(dirname(path), 'mapping.yaml')
    writeFileSync(file, mappingText)
    const catalog = await readCatalog(before)
    await expect(openRewrite(file, catalog, after.url, recording.statements())).rejects.toMatchObject({
      message: `${file}:3: \`sql\` changes the types of its parameters`,
      detail: 'its parameter $1 was read as integer and would be read as text',
      hint: expect.stringMatching(/^Cast the parameter/),
    })
    await expect(openRewrite(file, catalog, after.url)).resolves.toBeDefined()
    const [only] = (await checkRewrite(recording, rewriter, client)).fingerprints
    expect(only).toMatchObject({
      state: 'invalid',
      message: 'mapping.yaml:3: its parameter $1 was read as integer and would be read as text',
    })
  } finally {
    await client.end()
    recording.close()
    rmSync(dirname(path), { recursive: true })
  }
})

test('suggests splits by shared key, new names, moves and conversions, and says where it is unsure', async () => {
  const suggest = async ({ before, after }: typeof SPLIT) =>
    suggestMapping(await readCatalog(await create(before)), await readCatalog(await create(before, after)))
  const split = await suggest(SPLIT)
  expect(split).toContain('orders:\n    split: [order_core, order_billing, { table: order_extra, key: [id] }]')
  expect(split).toMatch(/extra: details/)
  expect(split).not.toContain('customers')
  const changed = await suggest(CHANGED)
  expect(changed).toMatch(/users:.*\n {4}to: people/)
  expect(changed).toMatch(/full_name: display_name/)
  expect(changed).toMatch(/legacy: .*unsure/)
  expect(changed).toMatch(/teams:\n {4}to: crm\.teams/)
  expect(changed).toMatch(/price_cents: .*unsure/)
  expect(() => parseMapping(changed, 'mapping.yaml')).not.toThrow()
})

test('a statement written by hand that the target refuses is named with its line', async () => {
  const [before, after] = [await create(SPLIT.before), await create(SPLIT.before, SPLIT.after)]
  const folder = mkdtempSync(join(tmpdir(), 'pgr-mapping-'))
  const file = join(folder, 'mapping.yaml')
  writeFileSync(file, 'version: 1\nstatements:\n  - pattern: SELECT 1\n    sql: [SELECT 1, SELECT cents FROM orders]\n')
  await expect(openRewrite(file, await readCatalog(before), after.url)).rejects.toMatchObject({
    message: `${file}:3: statement 2 of \`sql\` is not valid on the target`,
    detail: 'relation "orders" does not exist',
  })
  rmSync(folder, { recursive: true })
})

test('a pattern in a file of its own is read beside the mapping; without the file, the line says so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-mapping-'))
  const file = join(folder, 'mapping.yaml')
  const text = 'version: 1\nstatements:\n  - pattern_file: one.sql\n    sql: SELECT 2\n'
  expect(() => parseMapping(text, file)).toThrow(`${file}:3: cannot read the pattern one.sql`)
  writeFileSync(join(folder, 'one.sql'), 'SELECT 1 -- of them\n')
  const one = parseMapping(text, file)
  writeFileSync(join(folder, 'one.sql'), 'SELECT 1, 2')
  const other = parseMapping(text, file)
  expect([one, other].map(({ statements }) => statements[0]!.pattern)).toEqual(['SELECT 1 -- of them', 'SELECT 1, 2'])
  expect(one.hash).not.toBe(other.hash)
  rmSync(folder, { recursive: true })
})

test('what the hook says is checked against what was recorded, before anything is replayed', async () => {
  const [before, after] = [await create(SPLIT.before), await create(SPLIT.before, SPLIT.after)]
  const catalog = await readCatalog(before)
  const folder = mkdtempSync(join(tmpdir(), 'pgr-mapping-'))
  const file = join(folder, 'mapping.yaml')
  const hookThatSays = (name: string, sql: string) => {
    writeFileSync(
      join(folder, name),
      `export const rewrite = ({ sql }) => (sql.includes('FROM customers') ? ${JSON.stringify(sql)} : null)`,
    )
    writeFileSync(file, `version: 1\nhook: ./${name}\n`)
  }
  const sql = 'SELECT name FROM customers WHERE customer_id = $1'
  const recorded = [{ sql, parameterTypes: [23], fingerprint: fingerprint(sql) }]
  const open = () => openRewrite(file, catalog, after.url, recorded)
  hookThatSays('other-type.mjs', 'SELECT name FROM customers WHERE name = $1')
  await expect(open()).rejects.toMatchObject({
    message: `${file}:2: what the hook says to ${fingerprint(sql)} changes the types of its parameters`,
    detail: 'its parameter $1 was read as integer and would be read as text',
  })
  hookThatSays('not-there.mjs', 'SELECT name FROM orders WHERE order_id = $1')
  await expect(open()).rejects.toMatchObject({
    message: `${file}:2: what the hook says to ${fingerprint(sql)} is not valid on the target`,
    detail: 'relation "orders" does not exist',
    exit: 2,
  })
  hookThatSays('right.mjs', 'SELECT upper(name) FROM customers WHERE customer_id = $1')
  await expect(open()).resolves.toBeDefined()
  rmSync(folder, { recursive: true })
})

test('a kind of statement is worked out once, however often it is executed and whatever its literals', async () => {
  const [before, after] = [await create(SPLIT.before), await create(SPLIT.before, SPLIT.after)]
  const mapping = parseMapping(SPLIT.mapping, 'mapping.yaml')
  const heard: string[] = []
  const book = bindRules(mapping, await readCatalog(before), await readCatalog(after))
  const rewriter = new Rewriter(mapping, book, null, ({ recorded }) => heard.push(recorded))
  for (let id = 1; id <= 1000; id += 1) {
    rewriter.of(`UPDATE orders SET cents = ${id} WHERE order_id = ${id} AND status = 'paid'`)
    rewriter.of('SELECT cents FROM orders WHERE order_id = $1')
    rewriter.of(`SELECT name FROM customers WHERE customer_id = ${id}`)
  }
  expect(rewriter.kinds).toBe(3)
  expect(heard).toHaveLength(2)
})
