import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Masker } from '../../privacy/masker.js'
import type { Catalog } from '../../segment/catalog.js'
import { LITERAL } from '../../sql/lex.js'
import { literalOf } from '../../sql/literal.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { maskerOf } from './support.js'

let database: TestDatabase
let masker: Masker
let catalog: Catalog
beforeAll(async () => {
  database = await createDatabase(`
    CREATE TYPE mood AS ENUM ('happy', 'sad');
    CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE, name varchar(40), data jsonb, tags text[], mood mood, state text, raw bytea, born date);
    CREATE SCHEMA hidden;
    CREATE TABLE hidden.staff (contact varchar(60));
    CREATE VIEW people AS SELECT email AS mail, name FROM users;
    CREATE FUNCTION complain(who text) RETURNS void LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'customer % has no open order', who; END $$;`)
  ;({ masker, catalog } = await maskerOf(
    database,
    'public.users.email: email',
    'hidden.staff.contact: email',
    'public.users.name: full_name',
    'public.users.state: keep',
    'public.users.born: date_shift',
    'public.users.data: { json: { contact.email: email, lang: keep } }',
  ))
})
afterAll(() => database.drop())

const safe = (sql: string): string => masker.sql(sql).sql
const token = (kind: 'email' | 'name', value: string): string =>
  /'(.*)'/.exec(safe(`SELECT 1 FROM users WHERE ${kind} = '${value}'`))![1]!

describe('SQL texts', () => {
  test('keep everything but literals and comments, letter by letter', () =>
    expect(safe("SELECT  *\nFROM users -- by Alice\nWHERE email = 'a@b.c' /* Bob */  LIMIT 10;")).toBe(
      `SELECT  *\nFROM users  \nWHERE email = '${token('email', 'a@b.c')}'    LIMIT 10;`,
    ))
  test('keep the form of a literal', () => {
    expect(safe("SELECT 1 FROM users WHERE email = E'a@b.c'")).toContain(`E'${token('email', 'a@b.c')}'`)
    expect(safe('SELECT 1 FROM users WHERE email = $x$a@b.c$x$')).toContain(`$$${token('email', 'a@b.c')}$$`)
    expect(safe("SELECT 1 FROM users WHERE email = U&'a\\0040b.c'")).toContain(`U&'${token('email', 'a@b.c')}'`)
    expect(safe("SELECT 1 FROM users WHERE email = 'a@'\n'b.c'")).toContain(`'${token('email', 'a@b.c')}'`)
    expect(safe("SELECT 1 FROM users WHERE email = 'a@' -- Alice\n'b.c'")).toContain(`'${token('email', 'a@b.c')}'`)
  })
  test('one shape, many values: each text gets its own tokens', () => {
    for (const value of ['a@b.c', "o'brien@b.c", 'ü@b.c', ''])
      expect(safe(`SELECT 1 FROM users WHERE email = ${literalOf(value, LITERAL.string)} AND id = 7`)).toBe(
        `SELECT 1 FROM users WHERE email = ${value === '' ? "''" : `'${token('email', value.replaceAll("'", "''"))}'`} AND id = 7`,
      )
  })
  test('a key of JSON is part of the meaning: texts of one shape with other keys are masked otherwise', () => {
    expect(safe("SELECT 1 FROM users WHERE data->>'lang' = 'de'")).toContain("->>'lang' = 'de'")
    expect(safe("SELECT 1 FROM users WHERE data->>'town' = 'de'")).not.toContain("'de'")
    expect(safe("SELECT 1 FROM users WHERE data->>'lang' = 'en'")).toContain("->>'lang' = 'en'")
  })
  test('several statements, each with its own part and fingerprint', () => {
    const found = masker.sql("BEGIN; UPDATE users SET name = 'Alice; Bob' WHERE id = 1 /* ; */;; SELECT 1; ")
    expect(found.statements).toHaveLength(3)
    expect(found.statements[1]).toMatch(/^UPDATE users SET name = '[^']+' WHERE id = 1$/)
    expect(found.facts.statements.map((one) => [one.kind, one.writes])).toEqual([
      ['TransactionStmt', false],
      ['UpdateStmt', true],
      ['SelectStmt', false],
    ])
    expect(new Set(found.facts.statements.map((one) => one.fingerprint)).size).toBe(3)
    expect(found.facts.writes).toBe(true)
  })
  test.each([
    "SELECT date_trunc('month', now()), to_char(now(), 'YYYY-MM'), now() - interval '3 days', now() AT TIME ZONE 'Europe/Berlin'",
    "SELECT '2024-01-31'::date, '12:30', 'yes'::boolean, '42'::int, 'happy'::mood, 'users'::regclass, 'infinity'::timestamptz",
    "SELECT 1 FROM users WHERE state = 'waiting' AND mood = 'sad' AND id = '17'",
    "SET TimeZone = 'Europe/Berlin'",
    "SET search_path = 'public', other",
    "SELECT nextval('users_id_seq'), pg_advisory_lock(17), set_config('work_mem', '64MB', true)",
    "COPY users FROM STDIN (FORMAT csv, DELIMITER ';', NULL 'x')",
    "SELECT generate_series(1, 10), lpad(id::text, 8, '0') FROM users LIMIT 1000 OFFSET 20",
    "SELECT extract(epoch FROM now()), date_part('dow', now())",
    "SELECT 1 FROM information_schema.columns WHERE table_name = 'users' AND data_type = 'text'",
  ])('words of the language stay: %s', (sql) => expect(safe(sql)).toBe(sql))
  test.each([
    ["SELECT 1 FROM users WHERE id = 'Alice Brown'", 'a value that is none of its kept type'],
    ["SELECT 1 FROM users WHERE mood = 'Alice Brown'", 'a label that is none'],
    ["SELECT 'Alice Brown'", 'a literal that meets no column'],
    ["SELECT 'Alice Brown'::text", 'a cast to text'],
    ["SELECT 'Alice Brown'::date", 'a cast to a type it is none of'],
    ["SELECT complain('Alice Brown')", 'an argument of a function'],
    ["SET app.who = 'Alice Brown'", 'a setting of the application'],
    ["NOTIFY channel, 'Alice Brown'", 'a notification'],
    ["COMMENT ON TABLE users IS 'Alice Brown'", 'a comment on a table'],
    ["DO $$ BEGIN PERFORM complain('Alice Brown'); -- Alice Brown\nEND $$", 'the body of a block'],
    [
      "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''Alice Brown'' /* Alice Brown */'",
      'the body of a function',
    ],
    ["EXECUTE p('Alice Brown')", 'an argument of EXECUTE'],
    ['SELECT 1 FROM users WHERE name = "Alice Brown"', 'a name that is no column'],
    ["SELECT 1 FROM users WHERE name = 'Alice Brown", 'a string without end'],
    ["SELCT 'x' FROM users WHERE name = Alice Brown", 'words of a text that is no SQL'],
    ['SELECT 1 FROM users WHERE data @> \'{"x": ["Alice Brown"]}\'', 'JSON'],
    ['SELECT 1 FROM users WHERE data @? \'$.x ? (@ == "Alice Brown")\'', 'a jsonpath'],
    ['SELECT 1 FROM users WHERE tags = \'{"Alice Brown",x}\'', 'an array'],
    ["SELECT 1 FROM users WHERE name ~ '^Alice (Brown)+[[:alpha:]]$'", 'a regular expression'],
    ['SELECT xmlparse(document \'<p who="Alice Brown">Alice Brown</p>\')', 'XML'],
  ])('%s (%s)', (sql) => expect(safe(sql)).not.toMatch(/alice|brown/i))
  test('arguments of EXECUTE belong to the columns of what was prepared', () => {
    safe('PREPARE by_mail (text) AS SELECT 1 FROM users WHERE email = $1')
    expect(safe("EXECUTE by_mail('a@b.c')")).toBe(`EXECUTE by_mail('${token('email', 'a@b.c')}')`)
  })
  test('a schema outside of the search path is found when only it has the name', () =>
    expect(safe("SELECT 1 FROM staff WHERE contact = 'a@b.c'")).toContain(`'${token('email', 'a@b.c')}'`))
  test('a literal made part of a result is said', () =>
    expect(masker.sql("SELECT 'Order ' || id AS title FROM users").facts.cautions).toEqual([
      { name: 'a literal in title', kind: 'text', use: 'derive', affects: { what: 'result', at: 0 } },
    ]))
  test('passwords are never kept, not even as a token', () => {
    expect(safe("ALTER ROLE bob PASSWORD 'hunter22' VALID UNTIL '2030-01-01'")).toBe(
      "ALTER ROLE bob PASSWORD '********' VALID UNTIL '2030-01-01'",
    )
    expect(safe("CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password 'hunter22')")).not.toContain(
      'hunter22',
    )
    expect(safe("CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter22' PUBLICATION p")).not.toContain('hunter22')
  })
  test('detectors look at what is kept', () =>
    expect(safe("SELECT 1 FROM users WHERE state = 'mailed to alice@corp.example'")).toBe(
      `SELECT 1 FROM users WHERE state = 'mailed to ${token('email', 'alice@corp.example')}'`,
    ))
  test('a word put into any place of any text is never seen again', () => {
    const canary = 'Zanzibar Quigley'
    const forms = [LITERAL.string, LITERAL.escape, LITERAL.unicode, LITERAL.dollar].map((form) =>
      literalOf(canary, form),
    )
    const places = fc.constantFrom(
      ...forms.flatMap((one) => [
        `name = ${one}`,
        `upper(${one}) = name`,
        `(data->>'k') = ${one}`,
        `${one} IN (name, email)`,
        `state || ${one} = 'x'`,
        `name LIKE ${one} || '%'`,
        `tags @> ARRAY[${one}]`,
      ]),
      `/* ${canary} */ true`,
      `true -- ${canary}\n`,
    )
    fc.assert(
      fc.property(
        fc.array(places, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(
          'SELECT * FROM users WHERE',
          'DELETE FROM users WHERE',
          "UPDATE users SET name = 'x' WHERE",
          'SELEC users WHERE',
        ),
        (where, verb) => {
          expect(safe(`${verb} ${where.join(' AND ')}`)).not.toMatch(/zanzibar|quigley/i)
        },
      ),
      { numRuns: 500 },
    )
  })
  test('no text makes it throw', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 60 }),
          fc
            .array(fc.constantFrom("'", '"', '$$', '--', '/*', ';', 'SELECT', "E'", '\\', '(', ')', '\0', 'x'), {
              maxLength: 20,
            })
            .map((all) => all.join(' ')),
        ),
        (sql) => {
          expect(typeof masker.sql(sql).sql).toBe('string')
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('parameters', () => {
  const parameters = (sql: string, values: (string | null)[], types: number[] = []) =>
    masker.parameters(masker.sql(sql).facts, values, types)
  test('get the token that a literal gets', () =>
    expect(parameters('SELECT 1 FROM users WHERE email = $1 AND name = $2', ['a@b.c', null])).toEqual([
      token('email', 'a@b.c'),
      null,
    ]))
  test('of number types stay, as LIMIT and ids do', () =>
    expect(parameters('SELECT 1 FROM users WHERE id = $1 LIMIT $2', ['1234567890123', '50'], [20, 20])).toEqual([
      '1234567890123',
      '50',
    ]))
  test('arrays are masked element by element', () => {
    const expected = `{${token('email', 'a@b.c')},NULL}`
    expect(parameters('SELECT 1 FROM users WHERE email = ANY($1)', ['{a@b.c,NULL}'])).toEqual([expected])
    expect(
      parameters('SELECT 1 FROM unnest($1::text[]) w JOIN users ON email = w', ['{"a@b.c",NULL}'], [1009]),
    ).toEqual([expected])
  })
  test('that meet no column are masked by their type, and listed', () => {
    const { facts } = masker.sql('SELECT complain($1), $2::int')
    expect(masker.parameters(facts, ['Alice', '5'], [25, 23])).toEqual([expect.not.stringContaining('Alice'), '5'])
    expect(masker.masking(facts, 0, [25, 23])?.unresolved).toEqual([
      {
        slot: '$1',
        why: 'argument of complain()',
        rule: 'masked as text, unless it is a word of SQL or the schema',
      },
      { slot: '$2', why: 'meets no column', rule: 'kept, as every number that no column explains' },
    ])
  })
})

describe('rows', () => {
  const users = () => catalog.relations.find((one) => one.name === 'users')!
  const column = (name: string, typeOid: number, tableOid = 0, attnum = 0) => ({
    name,
    typeOid,
    typmod: -1,
    tableOid,
    attnum,
  })
  test('of a table are masked without knowing the statement', () =>
    expect(
      masker.rowMasker([column('id', 20, users().oid, 1), column('email', 25, users().oid, 2)])(['1', 'a@b.c']),
    ).toEqual(['1', token('email', 'a@b.c')]))
  test('of a view are those of the table below', () => {
    const view = catalog.relations.find((one) => one.name === 'people')!
    expect(masker.rowMasker([column('mail', 25, view.oid, 1)])(['a@b.c'])).toEqual([token('email', 'a@b.c')])
  })
  test('of an expression nobody knows are masked as text', () =>
    expect(masker.rowMasker([column('x', 25)])(['Alice Brown'])[0]).toMatch(/^[A-Z][a-z]{4} [A-Z][a-z]{4}$/))
  test('that need no mask are handed on as they are', () => {
    const cells = ['1', '2']
    expect(masker.rowMasker([column('a', 20), column('b', 23)])(cells)).toBe(cells)
  })
  test('NULL and empty stay', () =>
    expect(masker.rowMasker([column('x', 25), column('y', 25)])([null, ''])).toEqual([null, '']))
})

describe('errors and notices', () => {
  test('values of a unique key become the tokens of their columns', () =>
    expect(
      masker.error({
        C: '23505',
        M: 'duplicate key value violates unique constraint "users_email_key"',
        D: 'Key (email)=(a@b.c) already exists.',
        s: 'public',
        t: 'users',
        n: 'users_email_key',
      }),
    ).toEqual({
      sqlstate: '23505',
      message: 'duplicate key value violates unique constraint "users_email_key"',
      detail: `Key (email)=(${token('email', 'a@b.c')}) already exists.`,
      schema: 'public',
      table: 'users',
      constraint: 'users_email_key',
    }))
  test('a row in the detail is dropped', () =>
    expect(
      masker.error({
        C: '23502',
        M: 'null value in column "name" of relation "users" violates not-null constraint',
        D: 'Failing row contains (1, a@b.c, null).',
        s: 'public',
        t: 'users',
        c: 'name',
      }).detail,
    ).toBeUndefined())
  test('names of the schema stay in a message, quoted values do not', () => {
    const { message } = masker.error({ C: '22P02', M: 'invalid input syntax for type bigint: "Alice Brown"' })
    expect(message).toMatch(/^invalid input syntax for type bigint: "[A-Z][a-z]{4} [A-Z][a-z]{4}"$/)
  })
  test('what RAISE says stays, what it filled in does not', () => {
    const { message } = masker.error({ C: 'P0001', M: 'customer Alice has no open order' })
    expect(message).toMatch(/^customer [A-Z][a-z]{4} has no open order$/)
    expect(message).not.toContain('Alice')
  })
  test('hint, context and the internal query are never kept', () => {
    const all = JSON.stringify(
      masker.error({
        C: '42601',
        M: 'syntax error',
        H: 'Alice',
        W: 'COPY users, line 1, column email: "alice"',
        q: "SELECT 'Alice'",
      }),
    )
    expect(all).not.toMatch(/alice/i)
  })
  test('names that only this error knows stay', () =>
    expect(
      masker.error({
        C: '23514',
        M: 'new row for relation "users" violates check constraint "users_secret_check"',
        s: 'public',
        t: 'users',
        n: 'users_secret_check',
      }).message,
    ).toContain('"users_secret_check"'))
  test('notices too', () =>
    expect(masker.notice({ V: 'NOTICE', C: '00000', M: 'hello Alice' })).toMatchObject({
      severity: 'NOTICE',
      message: expect.not.stringContaining('Alice'),
    }))
})

describe('COPY', () => {
  test('of a statement, by its own columns and format', () => {
    const { facts } = masker.sql('COPY users (email, id) FROM STDIN (FORMAT csv, HEADER)')
    const mask = masker.copy(facts)!
    expect(mask.push(Buffer.from('email,id\na@b.c,1\n')).toString()).toBe(`email,id\n${token('email', 'a@b.c')},1\n`)
  })
  test('of a query, by what it selects', () => {
    const mask = masker.copy(masker.sql('COPY (SELECT id, email FROM users) TO STDOUT').facts)!
    expect(mask.push(Buffer.from('1\ta@b.c\n')).toString()).toBe(`1\t${token('email', 'a@b.c')}\n`)
  })
  test('in binary cannot be', () =>
    expect(masker.copy(masker.sql('COPY users TO STDOUT (FORMAT binary)').facts)).toBeNull())
  test('into a table nobody knows: everything is text', () => {
    const mask = masker.copy(masker.sql('COPY unheard FROM STDIN').facts)
    expect(mask === null || !mask.push(Buffer.from('Alice\t1\n')).toString().includes('Alice')).toBe(true)
  })
})
