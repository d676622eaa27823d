import { afterAll, beforeAll, expect, test } from 'vitest'
import { CHANGED } from './changed-world.js'
import { type Asked, createWorld, type World } from './world.js'

let world: World
beforeAll(async () => {
  world = await createWorld(CHANGED)
})
afterAll(() => world.close())

const CASES: readonly (readonly Asked[])[] = [
  ['SELECT * FROM teams'],
  ['SELECT teams.title FROM teams ORDER BY teams.title'],
  ["INSERT INTO teams VALUES (4, 'four') RETURNING *"],
  [
    "INSERT INTO teams (team_id, title) VALUES (1, 'x') ON CONFLICT (team_id) DO UPDATE SET title = teams.title || excluded.title RETURNING teams.title",
  ],
  ['UPDATE teams SET title = upper(title) WHERE teams.team_id = 2 RETURNING *'],
  ['UPDATE public.teams SET title = public.teams.title || 1 WHERE team_id = 2'],
  ['DELETE FROM teams WHERE team_id = 3'],
  ['SELECT * FROM users'],
  ['SELECT * FROM users u JOIN teams t USING (team_id) ORDER BY u.id'],
  ['SELECT full_name, "Größe", legacy FROM users WHERE id < 4 ORDER BY full_name'],
  ["SELECT u.full_name AS n, upper(u.full_name) FROM users u WHERE u.legacy IS NULL AND u.full_name LIKE 'User 1%'"],
  ['SELECT count(legacy), count(*) FROM users'],
  ['SELECT team_id, array_agg(full_name ORDER BY id) FROM users GROUP BY team_id ORDER BY team_id'],
  ['SELECT id, full_name FROM users GROUP BY id'],
  [['SELECT id FROM users WHERE lower(email) = lower($1)', ['U3@EXAMPLE.ORG']]],
  ["INSERT INTO users (email) VALUES ('a@b') RETURNING *"],
  [
    [
      'INSERT INTO users (email, full_name, legacy, "Größe") VALUES ($1, $2, $3, $4) RETURNING id, full_name, "Größe"',
      ['a@b', 'A', null, 7],
    ],
  ],
  [
    "INSERT INTO users VALUES (DEFAULT, 'a@b', 'A', 180, 1, NULL), (DEFAULT, 'c@d', DEFAULT, NULL, NULL, NULL) RETURNING id, email, full_name",
  ],
  ["INSERT INTO users (email, full_name) SELECT title, 'T' FROM teams ORDER BY team_id RETURNING id, email, full_name"],
  ["INSERT INTO users (email) VALUES ('u1@example.org')"],
  [
    "INSERT INTO users (email, full_name) VALUES ('u1@example.org', 'again') ON CONFLICT (email) DO UPDATE SET full_name = excluded.full_name || users.full_name RETURNING id, full_name",
  ],
  [
    "INSERT INTO users (email, full_name) VALUES ('u1@example.org', 'again'), ('new@x', 'new') ON CONFLICT DO NOTHING RETURNING id, full_name",
  ],
  ["UPDATE users SET full_name = 'x' WHERE id = 1"],
  [['UPDATE users SET full_name = $1, "Größe" = "Größe" + $2 WHERE full_name = $3 RETURNING *', ['x', 2, 'User 3']]],
  ['UPDATE users SET legacy = NULL, team_id = 2 WHERE id = 1 RETURNING id, team_id'],
  [
    'UPDATE users SET full_name = full_name || (SELECT title FROM teams t WHERE t.team_id = users.team_id) WHERE id < 4 RETURNING id, full_name',
  ],
  [
    "UPDATE users u SET full_name = t.title FROM teams t WHERE t.team_id = u.team_id AND u.full_name > 'User 2' RETURNING u.id, u.full_name, t.title",
  ],
  ['UPDATE users SET full_name = DEFAULT WHERE id = 2 RETURNING full_name'],
  ['UPDATE users SET (full_name, "Größe") = (\'y\', 9) WHERE id = 2 RETURNING full_name, "Größe"'],
  ["UPDATE users SET email = 'u1@example.org' WHERE id = 2"],
  ["DELETE FROM users WHERE full_name = 'User 5' RETURNING id, full_name, legacy"],
  [
    "DELETE FROM users USING teams WHERE teams.team_id = users.team_id AND teams.title = 'team 1' RETURNING users.full_name, title",
  ],
  [
    'WITH u AS (SELECT id, full_name FROM users WHERE "Größe" > 155) DELETE FROM users USING u WHERE u.id = users.id RETURNING users.full_name',
  ],
  ['SELECT * FROM products ORDER BY product_id'],
  ['SELECT sku, price_cents FROM products WHERE price_cents BETWEEN 200 AND 900 ORDER BY price_cents DESC'],
  [['SELECT sku FROM products WHERE price_cents = $1', [300]]],
  [['SELECT sku FROM products WHERE sku = $1 AND $2 = ANY(tags)', ['sku-3', 't0']]],
  ['SELECT active, sum(price_cents), max(sku) FROM products GROUP BY active ORDER BY active'],
  ["INSERT INTO products (product_id, sku, price_cents) VALUES (50, 'n', 199) RETURNING *"],
  [
    [
      'INSERT INTO products (product_id, sku, price_cents, tags) VALUES ($1, $2, $3, $4) RETURNING price_cents, price_cents * 2 AS twice',
      [51, 'n', 45, ['a', 'b']],
    ],
  ],
  ["INSERT INTO products VALUES (1, 'x', 5) ON CONFLICT (product_id) DO NOTHING"],
  ["INSERT INTO products (product_id, sku, price_cents) VALUES (52, 'n', -1)"],
  ["UPDATE products SET price_cents = price_cents + 10 WHERE sku = 'sku-2' RETURNING sku, price_cents"],
  [['UPDATE products SET price_cents = $1, active = false WHERE product_id = $2 RETURNING *', [77, 3]]],
  [['UPDATE products SET price_cents = $2 WHERE price_cents = $1', [150, 160]]],
  ['UPDATE products SET active = NOT active'],
  ['UPDATE products SET price_cents = -5 WHERE product_id = 1'],
  ['DELETE FROM products WHERE price_cents > 700 RETURNING sku, price_cents'],
  ['SELECT * FROM invoices ORDER BY id'],
  ['SELECT count(*), sum(total) FROM receipts'],
  ['SELECT i.title, r.title FROM invoices i JOIN receipts r ON r.id = i.id + 100'],
  ["INSERT INTO invoices VALUES (9, 1.5, 'nine') RETURNING *"],
  ["INSERT INTO receipts (id, title) VALUES (9, 'nine'), (10, 'ten')"],
  ['UPDATE invoices SET total = total + 1'],
  ['UPDATE invoices SET total = 0 WHERE id > 3 OR id = 1 RETURNING id, total'],
  ["UPDATE invoices SET title = 'x' WHERE id = 101"],
  ['DELETE FROM receipts WHERE id < 103'],
  ['DELETE FROM invoices'],
  ['SELECT id FROM invoices WHERE id = 2 FOR UPDATE'],
]

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
