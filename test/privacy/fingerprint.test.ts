/**
 * A masked text keeps its shape: whatever the literals, its fingerprint is the original's. Statements are put together at random from the
 * grammar's parts; the seed of a failure is printed, and runs again with PGREHEARSE_SEED.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Masker } from '../../privacy/masker.js'
import { fingerprint, parse } from '../../sql/parse.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { maskerOf } from './support.js'

let database: TestDatabase
let masker: Masker
beforeAll(async () => {
  database = await createDatabase(`
    CREATE EXTENSION citext; CREATE EXTENSION hstore;
    CREATE TYPE mood AS ENUM ('happy', 'sad');
    CREATE TYPE place AS (street text, house int);
    CREATE TABLE people (id bigint PRIMARY KEY, email text UNIQUE, name varchar(40), nick citext, ssn bigint, born date, ip inet, doc jsonb, tags text[],
      home place, traits hstore, photo bytea, mood mood, score numeric, bits bit(4));
    CREATE TABLE letters (id int, sender text REFERENCES people (email), body text, at timestamptz);`)
  masker = (
    await maskerOf(
      database,
      'public.people.email: email',
      'public.people.name: full_name',
      'public.people.ssn: digits',
      'public.people.born: date_shift',
      'public.letters.body: text',
    )
  ).masker
})
afterAll(() => database.drop())

const COLUMNS = [
  'id',
  'email',
  'name',
  'nick',
  'ssn',
  'born',
  'ip',
  'doc',
  'tags',
  'home',
  'traits',
  'photo',
  'mood',
  'score',
  'bits',
]
const column = fc.constantFrom(...COLUMNS)

const word = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.constantFrom(
      'alice@corp.example',
      "O'Brien",
      'Ann Smith',
      '4111 1111 1111 1111',
      '+49 170 1234567',
      '{"a": "b"}',
      '{a,"b c"}',
      '(x,1)',
      'a=>b',
      '%ali%',
      '2001-02-03',
      '\\x00ff',
      'happy',
      '',
      '42',
    ),
  )
  .map((text) => text.replaceAll('\0', ''))
const number = fc.oneof(
  fc.integer({ min: -1e9, max: 1e9 }).map(String),
  fc.constantFrom('0', '1.5', '.5', '1e3', '123456789', '0x1F', '1_000'),
)

/** A string in one of PostgreSQL's ways of writing it. */
const literal = fc.tuple(word, fc.nat(4)).map(([text, form]) => {
  const doubled = text.replaceAll("'", "''")
  if (form === 1) return `E'${doubled.replaceAll('\\', '\\\\')}'`
  if (form === 2) return `$q$${text.replaceAll('$', '')}$q$`
  if (form === 3) return `U&'${doubled.replaceAll('\\', '\\\\')}'`
  return `'${doubled}'`
})
const parameter = fc.integer({ min: 1, max: 4 }).map((n) => `$${n}`)
const comment = fc.constantFrom('', '', ' /* trace 17 */', ' -- by hand\n')

const { value, condition, query } = fc.letrec<{ value: string; condition: string; query: string }>((tie) => {
  const many = (one: fc.Arbitrary<string>, max = 4) =>
    fc.array(one, { minLength: 1, maxLength: max }).map((all) => all.join(', '))
  const format = (...parts: (string | fc.Arbitrary<string>)[]) =>
    fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((all) => all.join(''))
  const [v, c, q] = [tie('value'), tie('condition'), tie('query')]
  return {
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      literal,
      number,
      parameter,
      fc.constantFrom('NULL', 'true', 'CURRENT_DATE', "B'1010'", "X'1F'", "INTERVAL '1 day'", "DATE '2001-01-01'"),
      column,
      format(literal, '::', fc.constantFrom('text', 'date', 'jsonb', 'int', 'mood', 'citext', 'bytea', 'inet')),
      format('CAST(', v, ' AS text)'),
      format('COALESCE(', many(v, 3), ')'),
      format('lower(', v, ')'),
      format('concat(', many(v, 3), ')'),
      format("split_part(email, '@', 2)"),
      format('CASE WHEN ', c, ' THEN ', v, ' ELSE ', v, ' END'),
      format('ARRAY[', many(literal), ']'),
      format('ROW(', many(v), ')'),
      format("doc ->> '", fc.constantFrom('a', 'b c'), "'"),
      format('jsonb_build_object(', literal, ', ', v, ')'),
      format('(SELECT ', v, ' FROM letters LIMIT 1)'),
    ),
    condition: fc.oneof(
      { depthSize: 'small' },
      format(column, fc.constantFrom(' = ', ' <> ', ' < ', ' >= ', ' IS DISTINCT FROM '), v),
      format(column, ' IN (', many(v), ')'),
      format(column, ' = ANY (', fc.oneof(parameter, literal), ')'),
      format(column, ' BETWEEN ', v, ' AND ', v),
      format(column, fc.constantFrom(' LIKE ', ' ILIKE ', ' ~ ', ' SIMILAR TO '), literal),
      format('doc @> ', literal, '::jsonb'),
      format('tags && ARRAY[', many(literal), ']'),
      format("to_tsvector('english', name) @@ plainto_tsquery(", literal, ')'),
      format('(email, name) = (', v, ', ', v, ')'),
      format('EXISTS (', q, ')'),
      format('email IN (SELECT sender FROM letters WHERE body = ', v, ')'),
      format('(', c, fc.constantFrom(' AND ', ' OR '), c, ')'),
      format('NOT ', c),
    ),
    query: fc.oneof(
      { depthSize: 'small' },
      format('SELECT ', many(v), comment, ' FROM people WHERE ', c, comment),
      format(
        'SELECT p.* FROM people p JOIN letters l ON l.sender = p.email AND l.body = ',
        v,
        ' WHERE ',
        c,
        ' ORDER BY 1 LIMIT ',
        number,
      ),
      format('WITH w AS (', q, ') SELECT * FROM w WHERE EXISTS (', q, ')'),
      format('SELECT count(*), ', v, ' FROM people GROUP BY ', column, ' HAVING count(*) > ', number),
      format('(', q, ') UNION ALL (', q, ')'),
    ),
  }
})

const tuple = fc.array(value, { minLength: 1, maxLength: 4 }).map((all) => `(${all.join(', ')})`)
const statement = fc.oneof(
  query,
  fc
    .tuple(fc.array(tuple, { minLength: 1, maxLength: 3 }), value, comment)
    .map(
      ([rows, set, said]) =>
        `INSERT INTO people VALUES ${rows.join(', ')}${said} ON CONFLICT (email) DO UPDATE SET name = ${set} RETURNING *`,
    ),
  fc
    .tuple(column, value, query)
    .map(([to, one, from]) => `INSERT INTO letters (sender, body) SELECT ${to}::text, ${one} FROM (${from}) AS s`),
  fc
    .tuple(column, value, condition)
    .map(([to, one, where]) => `UPDATE people SET ${to} = ${one} WHERE ${where} RETURNING ${to}`),
  condition.map((where) => `DELETE FROM people WHERE ${where}`),
  fc
    .tuple(value, value)
    .map(
      ([one, other]) =>
        `MERGE INTO people p USING (VALUES (${one})) AS n(e) ON p.email = n.e WHEN MATCHED THEN UPDATE SET name = ${other} WHEN NOT MATCHED THEN DO NOTHING`,
    ),
  literal.map((text) => `SET app.who = ${text}`),
  literal.map((text) => `SELECT set_config('app.who', ${text}, false)`),
  literal.map((text) => `PREPARE p AS SELECT id FROM people WHERE email = ${text} OR name = $1`),
  literal.map((text) => `EXECUTE p(${text})`),
  condition.map((where) => `DECLARE c CURSOR FOR SELECT * FROM people WHERE ${where}`),
  condition.map((where) => `COPY (SELECT * FROM people WHERE ${where}) TO STDOUT`),
  condition.map((where) => `CREATE TEMPORARY TABLE t AS SELECT * FROM people WHERE ${where}`),
  literal.map((text) => `ALTER TABLE letters ALTER body SET DEFAULT ${text}`),
)
/** COMMENT, NOTIFY, passwords and labels are not here: their fingerprint depends on the literal itself, so only texts of one shape share it. */
const text = fc.array(statement, { minLength: 1, maxLength: 3 }).map((all) => all.join(';\n'))

test.each([
  'SELECT concat(-1) FROM people UNION ALL SELECT name FROM people',
  'SELECT id FROM people WHERE ssn BETWEEN 0x1F AND 1e3 OR ssn IN (-7, 1_000)',
])('of numbers in all their writings: %s', (sql) => {
  expect(fingerprint(masker.sql(sql).sql)).toBe(fingerprint(sql))
})

test('of any text that parses', { timeout: 300_000 }, () => {
  const seed = Number(process.env.PGREHEARSE_SEED ?? Date.now() % 2 ** 31)
  let parsed = 0
  fc.assert(
    fc.property(text, (sql) => {
      if (parse(sql) === null || fingerprint(sql) === '') return
      parsed += 1
      const masked = masker.sql(sql)
      expect(fingerprint(masked.sql)).toBe(fingerprint(sql))
      expect(masked.fingerprint).toBe(fingerprint(sql))
    }),
    { numRuns: 1_500, seed },
  )
  // The grammar above means what PostgreSQL means, or this would show nothing.
  expect(parsed).toBeGreaterThan(1_000)
})
