/**
 * The promise itself: a masked statement on a masked database answers what masking makes of the original's answer.
 */
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answer, Twins } from './twins.js'

const SCHEMA = `
  CREATE TYPE mood AS ENUM ('happy', 'sad');
  CREATE TYPE place AS (street text, house int);
  CREATE DOMAIN mail AS text CHECK (position('@' IN VALUE) > 1);
  CREATE TABLE users (
    id bigint PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name varchar(40) NOT NULL,
    nick varchar(6) UNIQUE,
    phone text,
    born date,
    seen timestamptz,
    ip inet,
    ssn bigint UNIQUE,
    code char(8),
    mood mood NOT NULL DEFAULT 'happy',
    tags text[] NOT NULL DEFAULT '{}',
    data jsonb NOT NULL DEFAULT '{}',
    raw json,
    home place,
    backup mail,
    photo bytea,
    token uuid,
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'old')),
    handle text GENERATED ALWAYS AS (lower(email)) STORED
  );
  CREATE TABLE posts (
    id int PRIMARY KEY,
    author text NOT NULL REFERENCES users (email),
    title text NOT NULL,
    body text,
    made date NOT NULL DEFAULT '2024-01-01'
  );
  CREATE TABLE events (id int, at date NOT NULL, who text) PARTITION BY RANGE (at);
  CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
  CREATE VIEW authors AS SELECT DISTINCT u.email AS mail, u.name AS full_name, p.title FROM users u JOIN posts p ON p.author = u.email;
`

const DATA = `
  INSERT INTO users (id, email, name, nick, phone, born, seen, ip, ssn, code, mood, tags, data, raw, home, backup, photo, token, status) VALUES
  (1, 'alice@corp.example', 'Alice O''Brien', 'ali', '+49 170 1234567', '1980-02-29', '2024-05-01 10:00+00', '10.1.2.3', 123456789, 'AB12', 'happy',
   '{red,"dark blue"}', '{"contact": {"email": "alice@corp.example", "zip": "10115"}, "lang": "de", "n": 7, "list": [{"k": "Foo Bar"}]}',
   '{"a":  "Anna",  "a": 1.50}', '("Rose Lane",12)', 'alice@home.example', '\\xdeadbeef0102030405', '0195f6a2-7f3c-7bbb-8888-3a2f6f1d2c4b', 'new'),
  (2, 'bob@corp.example', 'Bob', 'bob', '0171 7654321', '1990-12-31', '2024-06-01 23:30+02', '192.168.0.0/24', 987654321, 'XY', 'sad',
   '{}', '{"contact": {"email": "bob@corp.example"}, "lang": "en"}', NULL, NULL, NULL, NULL, NULL, 'old'),
  (3, 'zoë@corp.example', 'Zoë Ünder \\ "x"', NULL, NULL, NULL, NULL, '2001:db8::1', NULL, NULL, 'sad', '{red,NULL,""}', '{}', '[]', '(,)', NULL, '', NULL, 'new');
  INSERT INTO posts VALUES (1, 'alice@corp.example', 'Hello there', 'A longer text about Bob and his dog,\nwith lines\tand tabs', '2024-02-03'),
    (2, 'alice@corp.example', 'Again', NULL, '2024-03-04'), (3, 'bob@corp.example', 'Hello there', 'short', '2024-05-06');
  INSERT INTO events VALUES (1, '2024-02-02', 'Alice'), (2, '2024-03-03', 'Bob');
`

const POLICY = `
version: 1
columns:
  public.users.email: email
  public.users.handle: email
  public.users.backup: email
  public.users.name: full_name
  public.users.phone: phone
  public.users.born: date_shift
  public.users.ssn: digits
  public.users.token: uuid
  public.users.status: keep
  public.users.data: { json: { contact.email: email, lang: keep } }
`

let twins: Twins
beforeAll(async () => {
  twins = await Twins.create(SCHEMA, DATA, POLICY, ['users', 'posts', 'events_2024'])
})
afterAll(() => twins.drop())

type Case = readonly [sql: string, ...parameters: (string | null)[]]

/** Everything here compares, joins, groups or hands on: no difference may come from masking. */
const SAME: readonly Case[] = [
  ['SELECT * FROM users ORDER BY id'],
  ['SELECT * FROM posts ORDER BY id'],
  ['SELECT * FROM events ORDER BY id'],
  ["SELECT id, name FROM users WHERE email = 'alice@corp.example'"],
  ['SELECT id, name FROM users WHERE email = $1', 'bob@corp.example'],
  ["SELECT id FROM users WHERE lower(email) = lower('ALICE@corp.example')"],
  ['SELECT id FROM users WHERE lower(email) = $1', 'alice@corp.example'],
  ["SELECT id FROM users u WHERE u.name IN ('Alice O''Brien', E'Bob') ORDER BY 1"],
  ['SELECT id FROM users WHERE name = ANY($1) ORDER BY id', '{"Alice O\'Brien",Bob,Nobody}'],
  ["SELECT id FROM users WHERE name = ANY('{\"Alice O''Brien\",Bob}') ORDER BY id"],
  ["SELECT id FROM users WHERE nick = 'ali'"],
  ['SELECT id FROM users WHERE nick = $1', 'bob'],
  ["SELECT id FROM users WHERE code = 'AB12'"],
  ['SELECT id, ssn FROM users WHERE ssn = 123456789'],
  ['SELECT id FROM users WHERE ssn = $1', '987654321'],
  ['SELECT id FROM users WHERE ssn IN (123456789, 5)'],
  ["SELECT id, born FROM users WHERE born = '1980-02-29'"],
  ["SELECT id FROM users WHERE born BETWEEN '1979-01-01' AND '1985-01-01'"],
  ["SELECT id FROM users WHERE ip = '10.1.2.3'"],
  ["SELECT id FROM users WHERE mood = 'sad' ORDER BY id"],
  ['SELECT id FROM users WHERE mood = $1 ORDER BY id', 'sad'],
  ["SELECT id FROM users WHERE seen > '2024-05-15' AND status = 'old'"],
  ["SELECT id, tags FROM users WHERE 'red' = ANY(tags) ORDER BY id"],
  ['SELECT id FROM users WHERE tags @> \'{"dark blue"}\''],
  ["SELECT id FROM users WHERE tags && ARRAY['red', 'green'] ORDER BY id"],
  ["SELECT id, tags[1] FROM users WHERE tags[1] = 'red' ORDER BY id"],
  ["SELECT data->>'lang', data->'contact', data->'contact'->>'email', data#>>'{contact,zip}' FROM users ORDER BY id"],
  ["SELECT id FROM users WHERE data->'contact'->>'email' = 'alice@corp.example'"],
  ["SELECT id FROM users WHERE data->>'lang' = 'de'"],
  ["SELECT id FROM users WHERE data->>'lang' = $1", 'en'],
  ['SELECT id FROM users WHERE data @> \'{"contact": {"email": "bob@corp.example"}}\''],
  ['SELECT id FROM users WHERE data @> $1', '{"lang": "de"}'],
  ["SELECT id FROM users WHERE data ? 'lang' ORDER BY id"],
  ["SELECT id FROM users WHERE data->'list'->0->>'k' = 'Foo Bar'"],
  ["SELECT raw->>'a' FROM users ORDER BY id"],
  ["SELECT id FROM users WHERE token = '0195F6A2-7f3c-7bbb-8888-3a2f6f1d2c4b'"],
  ["SELECT id FROM users WHERE photo = '\\xdeadbeef0102030405'"],
  ['SELECT (home).street FROM users ORDER BY id'],
  ["SELECT coalesce(nick, 'none'), coalesce(phone, '') FROM users ORDER BY id"],
  ["SELECT CASE WHEN nick IS NULL THEN 'no nick' ELSE nick END FROM users ORDER BY id"],
  ["SELECT nullif(nick, 'ali') FROM users ORDER BY id"],
  ["SELECT 'Just a text' AS greeting, 5, true, '2024-01-01'::date, interval '3 days'"],
  ['SELECT $1::text, $2::int', 'Some Words', '5'],
  [
    "SELECT to_char(seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), date_trunc('month', seen), extract(year FROM seen) FROM users ORDER BY id",
  ],
  ["SELECT id FROM users WHERE seen < now() - interval '1 day' AND seen > timestamptz '2020-01-01' ORDER BY id"],
  ['SELECT count(*), count(DISTINCT author) FROM posts GROUP BY title ORDER BY 1, 2'],
  ['SELECT p.id, u.name FROM posts p JOIN users u ON u.email = p.author ORDER BY p.id'],
  ["SELECT id FROM posts WHERE author IN (SELECT email FROM users WHERE name = 'Bob')"],
  [
    "SELECT p.id FROM posts p, LATERAL (SELECT * FROM users u WHERE u.email = p.author AND u.nick = 'ali') x ORDER BY p.id",
  ],
  [
    "WITH who(mail) AS (SELECT email FROM users WHERE nick = 'bob'), v AS (VALUES ('alice@corp.example')) SELECT p.id FROM posts p JOIN who ON who.mail = p.author UNION SELECT 9 FROM users WHERE email = (SELECT column1 FROM v) ORDER BY 1",
  ],
  [
    "SELECT p.id FROM posts p JOIN (VALUES ('alice@corp.example', 'Again')) v(a, t) ON (p.author, p.title) = (v.a, v.t)",
  ],
  ["SELECT id FROM posts WHERE (author, title) IN (('bob@corp.example', 'Hello there'), ('x', 'y'))"],
  ["SELECT mail, full_name FROM authors WHERE mail = 'bob@corp.example'"],
  ["SELECT u.email FROM users u WHERE EXISTS (SELECT FROM posts WHERE author = u.email AND title = 'Again')"],
  ["SELECT email FROM users WHERE id = 1 UNION ALL SELECT 'nobody@corp.example'"],
  ['SELECT array_agg(email ORDER BY id) FROM users'],
  ['SELECT unnest(tags) FROM users ORDER BY id'],
  ['SELECT u.id FROM unnest($1::text[]) AS wanted(mail) JOIN users u ON u.email = wanted.mail', '{bob@corp.example}'],
  ["SELECT json_build_object('mail', email, 'id', id) FROM users WHERE id < 3 ORDER BY id"],
  ['SELECT json_agg(t) FROM (SELECT id, email, name FROM users WHERE id < 3 ORDER BY id) t'],
  ["SELECT jsonb_agg(jsonb_build_object('n', name, 'data', data)) FROM users WHERE id = 2"],
  ['SELECT name::text, email::varchar(100), trim(name) FROM users ORDER BY id'],
  ['SELECT first_value(title) OVER (PARTITION BY author ORDER BY id) FROM posts ORDER BY id'],
  [
    "INSERT INTO posts (id, author, title, body) VALUES (10, 'bob@corp.example', 'New one', NULL), (11, 'alice@corp.example', 'Other', $1) RETURNING *",
    'with a body',
  ],
  [
    "INSERT INTO posts SELECT id + 100, author, 'Copy', body FROM posts WHERE author = 'bob@corp.example' RETURNING id, author, title",
  ],
  [
    "UPDATE posts SET title = 'Changed', body = $1 WHERE author = $2 AND title = 'Again' RETURNING id, title, body",
    'new body',
    'alice@corp.example',
  ],
  [
    "INSERT INTO users (id, email, name) VALUES (1, 'alice@corp.example', 'Alicia') ON CONFLICT (email) DO UPDATE SET name = excluded.name, nick = 'lic' RETURNING id, name, nick",
  ],
  [
    "DELETE FROM posts p USING users u WHERE p.author = u.email AND u.email = 'bob@corp.example' AND p.title = 'New one' RETURNING p.id, u.name",
  ],
  [
    "MERGE INTO posts p USING (VALUES (2, 'merged title')) v(id, title) ON p.id = v.id WHEN MATCHED THEN UPDATE SET title = v.title WHEN NOT MATCHED THEN DO NOTHING RETURNING p.id, p.title",
  ],
  [
    "UPDATE users SET data = jsonb_set(data, '{contact,email}', '\"other@corp.example\"') WHERE id = 2 RETURNING data->'contact'->>'email'",
  ],
  [
    'UPDATE users SET data = data || \'{"lang": "fr", "town": "Foo Bar"}\', tags = tags || ARRAY[\'red\'] WHERE id = 1 RETURNING data, tags',
  ],
  ['SELECT 100 / 7, coalesce(sum(id), 0) > 5 FROM users'],
  ["UPDATE users SET (name, phone) = ('Robert', '+49 30 5551234') WHERE id = 2 RETURNING name, phone"],
  ["UPDATE users SET home.street = 'Elm Street', tags[2] = 'pink' WHERE id = 2 RETURNING home, tags"],
  ["INSERT INTO events VALUES (3, '2024-04-04', 'Carol') RETURNING who"],
  ["SELECT relname FROM pg_class WHERE relname = 'users' AND relkind = 'r'"],
  [
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'posts' ORDER BY ordinal_position",
  ],
  ["SELECT current_setting('TimeZone') IS NOT NULL, pg_typeof('x'::text)::text, 'users'::regclass::text"],
  ["SELECT set_config('app.who', 'carol@corp.example', false)"],
  ["SELECT 1 WHERE current_setting('app.who') = 'carol@corp.example'"],
]

describe('answers are the same', () => {
  test.each(SAME.map((one) => ({ sql: one[0], parameters: one.slice(1) })))('$sql', async ({ sql, parameters }) => {
    const { recorded, replayed, safe } = await twins.both(sql, parameters)
    expect(replayed).toEqual(recorded)
    expect(personal(safe + JSON.stringify(recorded))).toEqual([])
  })
})

/** What masking cannot keep is said: the statement runs, and carries a caution. */
const CAUTIOUS: readonly (readonly [sql: string, column: string, use: string, ...parameters: string[]])[] = [
  ["SELECT id FROM users WHERE name LIKE 'Ali%'", 'public.users.name', 'pattern'],
  ["SELECT id FROM users WHERE name ILIKE '%' || $1 || '%'", 'public.users.name', 'pattern', 'brien'],
  ["SELECT id FROM users WHERE email ~ '^[a-z]+@corp\\.'", 'public.users.email', 'pattern'],
  ["SELECT id FROM users WHERE name > 'B'", 'public.users.name', 'order'],
  ['SELECT id FROM users ORDER BY name', 'public.users.name', 'order'],
  ['SELECT min(name), max(email) FROM users', 'public.users.email', 'order'],
  [
    "SELECT substring(name, 1, 3), left(email, 2) FROM users WHERE split_part(email, '@', 2) = 'corp.example'",
    'public.users.name',
    'derive',
  ],
  ['SELECT length(name) FROM users', 'public.users.name', 'derive'],
  ["SELECT name || ' <' || email || '>' FROM users", 'public.users.email', 'derive'],
  ["SELECT id FROM users WHERE lower(name) = 'bob'", 'public.users.name', 'fold'],
  [
    "SELECT id FROM posts WHERE to_tsvector('english', body) @@ plainto_tsquery('english', 'dog')",
    'public.posts.body',
    'pattern',
  ],
  [
    'SELECT id FROM users WHERE jsonb_path_exists(data, \'$.contact.email ? (@ like_regex "ali")\')',
    'public.users.data',
    'derive',
  ],
]

describe('what masking cannot keep runs, and says so', () => {
  test.each(CAUTIOUS.map(([sql, column, use, ...parameters]) => ({ sql, column, use, parameters })))(
    '$sql',
    async ({ sql, column, use, parameters }) => {
      const { facts, safe } = await twins.both(sql, parameters)
      expect(facts.cautions.map((one) => `${one.name} ${one.use}`)).toContain(`${column} ${use}`)
      expect(personal(safe)).toEqual([])
    },
  )
  /** `json_text` only says that a number in a document cannot be told from a string once it is taken out. */
  test('and nothing else says so', () => {
    for (const [sql] of SAME)
      expect({
        sql,
        cautions: twins.masker
          .sql(sql)
          .facts.cautions.filter((one) => one.use !== 'json_text')
          .map((one) => `${one.name} ${one.use}`),
      }).toEqual({
        sql,
        cautions: [],
      })
  })
})

describe('errors', () => {
  test.each([
    ["INSERT INTO users (id, email, name) VALUES (8, 'alice@corp.example', 'x')"],
    ["INSERT INTO posts (id, author, title) VALUES (50, 'nobody@corp.example', 'x')"],
    [
      "INSERT INTO users (id, email, name) VALUES (9, 'q@corp.example', 'Alice Brown with a name far too long for the column')",
    ],
    ["SELECT 'alice brown'::int"],
    ["SELECT * FROM users WHERE id = 'Alice Brown'"],
    ['SELECT * FROM users WHERE name = "Alice Brown"'],
    ["SELECT * FROM users WHERE name = 'O'Brien'"],
    ["UPDATE users SET status = 'unheard of' WHERE id = 1"],
    ["UPDATE users SET mood = 'Alice Brown' WHERE id = 1"],
    ['UPDATE users SET name = NULL WHERE id = 1'],
    ["UPDATE users SET backup = 'Alice Brown' WHERE id = 1"],
    ["SELECT born FROM users WHERE born = 'Alice Brown'"],
    ["SELECT '{bad json'::jsonb"],
    ["DO $$ BEGIN RAISE EXCEPTION 'no such user Alice Brown'; END $$"],
  ])('%s', async (sql) => {
    const recorded = twins.masker.error(await failure(twins.original, sql))
    const masked = twins.masker.sql(sql)
    const replayed = await failure(twins.shadow, masked.sql)
    expect(replayed.C).toBe(recorded.sqlstate)
    expect(personal(JSON.stringify(recorded) + masked.sql)).toEqual([])
    expect(twins.masker.error(replayed).constraint).toBe(recorded.constraint)
  })
})

test('the tokenized text keeps the fingerprint', async () => {
  const { fingerprint } = await import('../../sql/parse.js')
  for (const [sql] of SAME) expect([sql, twins.masker.sql(sql).fingerprint]).toEqual([sql, fingerprint(sql)])
})

const PERSONAL =
  /alice|brien|bob\b|zoë|corp\.example|1234567|7654321|123456789|987654321|1980-02-29|rose lane|dark blue|foo bar|brown|deadbeef|10115/gi

function personal(text: string): readonly string[] {
  return text.match(PERSONAL) ?? []
}

async function failure(client: pg.Client, sql: string): Promise<Record<string, string | undefined>> {
  const error = await answer(client, sql).then(
    () => null,
    (cause: pg.DatabaseError) => cause,
  )
  expect(error).not.toBeNull()
  return {
    C: error?.code,
    M: error?.message,
    D: error?.detail,
    s: error?.schema,
    t: error?.table,
    c: error?.column,
    n: error?.constraint,
  }
}
