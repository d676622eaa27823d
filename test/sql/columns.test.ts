import { beforeAll, describe, expect, test } from 'vitest'
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import { type ColumnRef, createColumnResolver, type ResolvedColumns } from '../../sql/columns.js'
import { loadParser, parse } from '../../sql/parse.js'

beforeAll(() => loadParser())

const column = (name: string, at: number): CatalogColumn => ({
  attnum: at + 1,
  name,
  typeOid: 25,
  type: 'text',
  typmod: -1,
  notNull: false,
  default: null,
  identity: '',
  generated: '',
  sequenceOid: 0,
  comment: '',
})
const relation = (oid: number, name: string, columns: string, viewSql: string | null = null): Relation => ({
  oid,
  schema: 'public',
  name,
  kind: viewSql === null ? 'table' : 'view',
  persistence: 'p',
  columns: columns.split(' ').map(column),
  uniques: [],
  foreignKeys: [],
  triggers: [],
  rules: [],
  parents: [],
  viewSql,
  rowSecurity: false,
})
const catalog: Catalog = {
  database: 'test',
  serverVersionNum: 180_000,
  searchPath: ['public'],
  relations: [
    relation(20_000, 'users', 'id email name data tags'),
    relation(20_001, 'posts', 'id author title body'),
    relation(20_002, 'writers', 'mail shown', 'SELECT u.email AS mail, upper(u.name) AS shown FROM public.users u'),
    relation(20_004, 'plans', 'id plan', "SELECT u.id, coalesce(u.name, 'none') AS plan FROM public.users u"),
    relation(20_003, 'best', 'm', 'SELECT w.mail AS m FROM public.writers w'),
  ],
  types: [],
  functions: [
    {
      oid: 1,
      schema: 'public',
      name: 'greet',
      argumentTypes: [25],
      returnsType: 25,
      volatility: 'volatile',
      language: 'sql',
      source: '',
    },
  ],
}

function resolve(sql: string): ResolvedColumns {
  return createColumnResolver(catalog).resolve(parse(sql)!)
}

function named({ tableOid, attnum, path }: ColumnRef): string {
  const table = catalog.relations.find((one) => one.oid === tableOid)
  return [`${table?.name}.${table?.columns[attnum - 1]?.name}`, ...(path ?? [])].join('/')
}

/** `$1 users.email equal`, and literals as they stand in the text. */
function slots(sql: string): string[] {
  const { parameters, literals } = resolve(sql)
  const bytes = Buffer.from(sql)
  const shown = (label: string, facts: { bindings: readonly { column: ColumnRef; use: string }[] }): string[] =>
    facts.bindings.map(({ column, use }) => `${label} ${named(column)}${use === 'equal' ? '' : ` ${use}`}`)
  return [
    ...[...parameters].flatMap(([number, facts]) => shown(`$${number}`, facts)),
    ...[...literals].flatMap(([at, facts]) =>
      shown(/^(?:'[^']*'|[\d.]+)/.exec(bytes.subarray(at).toString())?.[0] ?? '?', facts),
    ),
  ].sort()
}

describe('which column does a value belong to', () => {
  test.each([
    ['a comparison', "SELECT * FROM users WHERE email = 'a' AND 'b' <> name", ["'a' users.email", "'b' users.name"]],
    ['an alias', 'SELECT * FROM users u WHERE u.email = $1', ['$1 users.email']],
    ['a schema', 'SELECT * FROM public.users WHERE users.email = $1', ['$1 users.email']],
    ['a join', 'SELECT * FROM users u JOIN posts p ON p.author = u.email AND p.title = $1', ['$1 posts.title']],
    [
      'USING',
      "SELECT * FROM users JOIN posts USING (id) WHERE id = 'x' AND title = 'y'",
      ["'x' posts.id", "'x' users.id", "'y' posts.title"],
    ],
    ['an alias of columns', 'SELECT * FROM users AS u(a, b) WHERE b = $1', ['$1 users.email']],
    ['IN', "SELECT 1 FROM users WHERE email IN ('a', $1)", ['$1 users.email', "'a' users.email"]],
    [
      'rows',
      "SELECT 1 FROM users WHERE (email, name) IN (('a', 'b'), ('c', 'd'))",
      ["'a' users.email", "'b' users.name", "'c' users.email", "'d' users.name"],
    ],
    ['ANY', 'SELECT 1 FROM users WHERE email = ANY($1)', ['$1 users.email']],
    ['ANY of a list', "SELECT 1 FROM users WHERE email = ANY(ARRAY['a', $1])", ['$1 users.email', "'a' users.email"]],
    ['BETWEEN', "SELECT 1 FROM users WHERE name BETWEEN 'a' AND $1", ['$1 users.name order', "'a' users.name order"]],
    [
      'LIKE',
      "SELECT 1 FROM users WHERE name LIKE 'a%' OR name ILIKE '%' || $1",
      ['$1 users.name pattern', "'%' users.name pattern", "'a%' users.name pattern"],
    ],
    [
      'a cast',
      "SELECT 1 FROM users WHERE email = $1::varchar AND name::text = 'b'",
      ['$1 users.email', "'b' users.name"],
    ],
    [
      'COALESCE',
      "SELECT coalesce(name, 'none') FROM users WHERE coalesce(email, $1) = $2",
      ['$1 users.email', '$2 users.email', "'none' users.name"],
    ],
    ['lower()', 'SELECT 1 FROM users WHERE lower(email) = lower($1)', ['$1 users.email fold']],
    ['NULLIF', "SELECT nullif(name, 'x') FROM users", ["'x' users.name"]],
    ['CASE', "SELECT CASE name WHEN 'a' THEN 'b' ELSE email END FROM users", ["'a' users.name", "'b' users.email"]],
    ['IS DISTINCT FROM', 'SELECT 1 FROM users WHERE email IS DISTINCT FROM $1', ['$1 users.email']],
    [
      'INSERT',
      "INSERT INTO users (name, email) VALUES ($1, 'a'), ('b', $2)",
      ['$1 users.name store', '$2 users.email store', "'a' users.email store", "'b' users.name store"],
    ],
    ['INSERT without names', "INSERT INTO posts VALUES ('1', 'a')", ["'1' posts.id store", "'a' posts.author store"]],
    [
      'INSERT of a SELECT',
      "INSERT INTO posts (title, author) SELECT 'a', email FROM users WHERE name = 'b'",
      ["'a' posts.title store", "'b' users.name"],
    ],
    [
      'ON CONFLICT',
      "INSERT INTO users (id, name) VALUES ('1', 'a') ON CONFLICT (id) DO UPDATE SET name = 'b' WHERE users.email = 'c' AND excluded.name = 'd'",
      ["'1' users.id store", "'a' users.name store", "'b' users.name store", "'c' users.email", "'d' users.name"],
    ],
    [
      'UPDATE',
      "UPDATE users SET name = $1, (id, email) = ('a', 'b') WHERE email = $2",
      ['$1 users.name store', '$2 users.email', "'a' users.id store", "'b' users.email store"],
    ],
    ['UPDATE FROM', 'UPDATE users u SET name = p.title FROM posts p WHERE p.author = $1', ['$1 posts.author']],
    ['DELETE USING', 'DELETE FROM posts p USING users u WHERE u.email = p.author AND u.name = $1', ['$1 users.name']],
    [
      'MERGE',
      "MERGE INTO users u USING (VALUES ('a', 'b')) v(mail, n) ON u.email = v.mail WHEN NOT MATCHED THEN INSERT (email, name) VALUES (v.mail, v.n)",
      ["'a' users.email", "'a' users.email store", "'b' users.name store"],
    ],
    [
      'a subquery',
      "SELECT 1 FROM posts WHERE author IN (SELECT email FROM users WHERE name = 'a')",
      ["'a' users.name"],
    ],
    ['a subquery that meets a literal', "SELECT 1 WHERE 'a' = (SELECT email FROM users LIMIT 1)", ["'a' users.email"]],
    [
      'an outer reference',
      'SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM posts WHERE author = u.email AND u.name = $1)',
      ['$1 users.name'],
    ],
    [
      'LATERAL',
      'SELECT 1 FROM users u, LATERAL (SELECT * FROM posts WHERE author = u.email) p WHERE p.title = $1',
      ['$1 posts.title'],
    ],
    ['a derived table', 'SELECT 1 FROM (SELECT email AS e FROM users) x WHERE x.e = $1', ['$1 users.email']],
    ['a CTE', "WITH x(m) AS (SELECT email FROM users) SELECT 1 FROM x WHERE m = 'a'", ["'a' users.email"]],
    [
      'values that a CTE carries',
      "WITH x(m) AS (VALUES ('a')) SELECT 1 FROM x JOIN users u ON u.email = x.m",
      ["'a' users.email"],
    ],
    [
      'a recursive CTE',
      "WITH RECURSIVE x AS (SELECT email AS m FROM users UNION SELECT p.title FROM x JOIN posts p ON p.author = x.m) SELECT 1 FROM x WHERE m = 'a'",
      ["'a' posts.title", "'a' users.email"],
    ],
    [
      'a writing CTE',
      "WITH x AS (UPDATE users SET name = 'a' RETURNING email) SELECT 1 FROM x WHERE email = 'b'",
      ["'a' users.name store", "'b' users.email"],
    ],
    ['UNION', "SELECT email FROM users UNION ALL SELECT 'a'", ["'a' users.email"]],
    ['unnest', 'SELECT 1 FROM unnest($1::text[]) AS w(m) JOIN users u ON u.email = w.m', ['$1 users.email']],
    ['a view', "SELECT 1 FROM writers WHERE mail = 'a' AND shown = 'b'", ["'a' users.email", "'b' users.name fold"]],
    [
      'a literal of a view is not one of the text',
      "SELECT 'aaaaaaaaaaaaaaaaa', plan FROM plans WHERE id = 'b'",
      ["'b' users.id"],
    ],
    ['a view of a view', 'SELECT 1 FROM best WHERE m = $1', ['$1 users.email']],
    [
      'JSON by key',
      "SELECT 1 FROM users WHERE data->'contact'->>'email' = $1 AND data#>>'{a,0,b}' = 'x'",
      ['$1 users.data/contact/email', "'x' users.data/a/[*]/b"],
    ],
    ['JSON by subscript', "SELECT 1 FROM users WHERE data['lang'] = $1", ['$1 users.data/lang']],
    [
      'containment',
      "SELECT 1 FROM users WHERE tags @> ARRAY['a'] AND 'b' = ANY(tags)",
      ["'a' users.tags", "'b' users.tags"],
    ],
    ['EXPLAIN', 'EXPLAIN SELECT 1 FROM users WHERE email = $1', ['$1 users.email']],
    ['PREPARE', 'PREPARE p AS SELECT 1 FROM users WHERE email = $1', ['$1 users.email']],
    ['COPY of a query', "COPY (SELECT 1 FROM users WHERE email = 'a') TO STDOUT", ["'a' users.email"]],
    ['LIMIT is no value', 'SELECT 1 FROM users ORDER BY 1 LIMIT 5 OFFSET $1', []],
    ['a negative number', "SELECT 1 FROM users WHERE id = - 5 AND name = 'a'", ["'a' users.name", '? users.id']],
    [
      'words beyond ASCII before it',
      "SELECT 'ä', 1 FROM users WHERE email = 'ü' AND name = 'x'",
      ["'x' users.name", "'ü' users.email"],
    ],
  ] as const)('%s', (_, sql, expected) => expect(slots(sql)).toEqual([...expected].sort()))
})

describe('result columns', () => {
  const results = (sql: string) =>
    resolve(sql).statements[0]!.results?.map(({ name, columns, via, clear }) =>
      [name, columns.map(named).join('|') || '-', via, clear ? '' : 'unclear'].join(' ').trim(),
    )
  test.each([
    ['SELECT email, lower(name) AS n FROM users', ['email users.email exact', 'n users.name fold']],
    [
      'SELECT u.* FROM posts, users u',
      [
        'id users.id exact',
        'email users.email exact',
        'name users.name exact',
        'data users.data exact',
        'tags users.tags exact',
      ],
    ],
    ['SELECT name || email AS both FROM users', ['both users.name|users.email derive']],
    ['SELECT email FROM users UNION SELECT title FROM posts', ['email users.email|posts.title exact']],
    ['SELECT greet(name) FROM users', ['greet users.name derive unclear']],
    ['SELECT 1, now()', ['?column? - exact', 'now - derive']],
    ['INSERT INTO posts (title) VALUES ($1) RETURNING id, title AS t', ['id posts.id exact', 't posts.title exact']],
    ['SELECT * FROM writers', ['mail users.email exact', 'shown users.name fold']],
  ])('%s', (sql, expected) => expect(results(sql)).toEqual(expected))
  test('nobody knows what an unknown table holds', () => expect(results('SELECT * FROM nowhere')).toBeUndefined())
})

describe('writes', () => {
  test.each([
    ['SELECT 1', false],
    ['WITH x AS (DELETE FROM users RETURNING 1) SELECT * FROM x', true],
    ['SELECT * INTO copy FROM users', true],
    ["SELECT nextval('s')", true],
    ['EXPLAIN DELETE FROM users', false],
    ['EXPLAIN ANALYZE DELETE FROM users', true],
    ['COPY users TO STDOUT', false],
    ['COPY users FROM STDIN', true],
    ['SET search_path = public', false],
    ['BEGIN', false],
    ['CREATE TABLE x ()', true],
  ])('%s', (sql, expected) => expect(resolve(sql).statements[0]!.writes).toBe(expected))
})

test('deep nesting neither hangs nor throws', () => {
  const sql = `SELECT ${'('.repeat(300)}1${')'.repeat(300)} FROM users WHERE ${Array(2000).fill("email = 'a'").join(' OR ')}`
  expect(slots(sql)).toHaveLength(2000)
})
