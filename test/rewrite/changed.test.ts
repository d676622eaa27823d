import { afterAll, beforeAll, expect, test } from 'vitest'
import { CASES } from './changed-cases.js'
import { CHANGED } from './changed-world.js'
import { createWorld, type World } from './world.js'

let world: World
beforeAll(async () => {
  world = await createWorld(CHANGED)
})
afterAll(() => world.close())

test.each(
  CASES.map((asked) => ({ sql: asked.map((one) => (typeof one === 'string' ? one : one[0])).join('; '), asked })),
)('$sql', ({ asked }) => world.compare(asked))

test.each([
  ['UPDATE  users SET full_name = $1  WHERE id = $2', 'UPDATE  people AS users SET display_name = $1  WHERE id = $2'],
  ['SELECT  1  FROM teams t -- é', 'SELECT  1  FROM crm.teams t -- é'],
])('keeps what needs no change: %s', (sql, said) => {
  expect(world.rewrite(sql)).toBe(said)
})

test('a change without WHERE stays within its own rows of a merged table, also where it ends in a renamed column', async () => {
  const merged = await createWorld({
    before: `
      CREATE TABLE invoices (id int PRIMARY KEY, title text); CREATE TABLE receipts (id int PRIMARY KEY, title text);
      INSERT INTO invoices SELECT i, 'invoice ' || i FROM generate_series(1, 3) i;
      INSERT INTO receipts SELECT i, 'receipt ' || i FROM generate_series(101, 103) i;`,
    after: `
      CREATE TABLE documents (id int PRIMARY KEY, kind text NOT NULL, heading text);
      INSERT INTO documents SELECT id, 'invoice', title FROM invoices UNION ALL SELECT id, 'receipt', title FROM receipts;
      DROP TABLE invoices, receipts;`,
    mapping: `
version: 1
tables:
  invoices: { to: documents, where: "kind = 'invoice'", added: { kind: "'invoice'" }, columns: { title: heading } }
  receipts: { to: documents, where: "kind = 'receipt'", added: { kind: "'receipt'" }, columns: { title: heading } }
`,
    tables: {
      invoices: "SELECT id, heading FROM documents WHERE kind = 'invoice'",
      receipts: "SELECT id, heading FROM documents WHERE kind = 'receipt'",
    },
  })
  try {
    await merged.compare(["UPDATE invoices SET title = 'all: ' || title"])
    await merged.compare(["UPDATE invoices i SET title = 'all: ' || i.title RETURNING i.id"])
    await merged.compare(['DELETE FROM invoices'])
  } finally {
    await merged.close()
  }
})

test.each([
  ['TRUNCATE invoices, receipts', /shares its new table with other rows/],
  ['TRUNCATE invoices RESTART IDENTITY', /shares its new table with other rows/],
  ['LOCK TABLE invoices', /shares its new table with other rows/],
])('says why it cannot be said: %s', (sql, why) => {
  expect(() => world.rewrite(sql)).toThrow(why)
})
