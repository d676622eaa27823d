/** Values in places that are easily taken for words of the language: settings, names, text searches, hstore, ranges of text. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMasker, type Masker } from '../../privacy/masker.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { catalogOf, KEY } from './support.js'

let database: TestDatabase
let masker: Masker
let named: Masker
beforeAll(async () => {
  database = await createDatabase(`
    CREATE EXTENSION hstore;
    CREATE TYPE names AS RANGE (subtype = text);
    CREATE TABLE people (id int, note text, words tsvector, doc jsonb, traits hstore, family names);`)
  const catalog = await catalogOf(database)
  const policy = (text: string) => createMasker({ key: KEY, policy: parsePolicy(text, 'policy.yaml'), catalog })
  masker = await policy('version: 1\n')
  named = await policy('version: 1\nsettings: { app.user: email, App.Tenant: keep, application_name: keep }\n')
})
afterAll(() => database.drop())

const sql = (text: string) => masker.sql(text).sql

describe('settings', () => {
  test.each([
    "SET app.who = 'Alice'",
    'SET app.who TO Alice',
    "SET LOCAL app.who TO 'Alice', 'Bob'",
    "SELECT set_config('app.who', 'Alice', true)",
    "SET application_name = 'psql of Alice'",
  ])('of an application may name somebody: %s', (text) => {
    expect(sql(text)).not.toMatch(/alice|bob/i)
    expect(sql(text).replace(/'[^']*'|\w+$/g, '')).toBe(text.replace(/'[^']*'|\w+$/g, ''))
  })
  test.each([
    "SET search_path = people, 'public'",
    "SET TIME ZONE 'Europe/Berlin'",
    "SELECT set_config('work_mem', '64MB', true)",
    "SET application_name = 'PostgreSQL JDBC Driver'",
    "SET application_name = 'billing-worker-12'",
    'SET LOCAL application_name TO worker_3',
    "SET app.tenant = '42'",
  ])('that are words stay: %s', (text) => expect(sql(text)).toBe(text))
  test('a parameter gets the token that a literal gets', () => {
    const { facts } = masker.sql("SELECT set_config('app.who', $1, false)")
    const literal = sql("SELECT set_config('app.who', 'Alice', false)")
    expect(literal).toContain(`'${masker.parameters(facts, ['Alice'], [25])[0]}'`)
  })
  test('are of the kind that the policy says, and listed until it does', () => {
    const text = "SELECT set_config('app.user', 'alice@corp.example', false), set_config('app.tenant', 'Acme', false)"
    expect(named.sql(text).sql).toMatch(/'[a-z]+\.\w+@example\.\w+'.*'Acme'/)
    expect(named.sql(text).facts.unmapped).toEqual([])
    expect(masker.sql(text).facts.unmapped.map(({ why }) => why)).toEqual([
      'value of the setting app.user',
      'value of the setting app.tenant',
    ])
  })
  test('of a connection are masked as it is opened', () => {
    const options = '-c app.who=Alice\\ Brown -c work_mem=4MB --app.who=Alice'
    const said = masker.startup({ application_name: 'Alice', client_encoding: 'UTF8', 'app.who': 'Alice', options })
    expect(JSON.stringify(said)).not.toMatch(/alice|brown/i)
    expect(said.client_encoding).toBe('UTF8')
    expect(said.options).toMatch(/^-c app\.who=\w+\\ \w+ -c work_mem=4MB --app\.who=\w+$/)
    expect(named.startup({ application_name: 'Alice' })).toEqual({ application_name: 'Alice' })
  })
})

describe('names of prepared statements and portals', () => {
  test.each(['', 'S_1', 'find_user', '__asyncpg_stmt_4f__', '0b9c2f0e-1111'])('%s stays', (name) =>
    expect(masker.name(name)).toBe(name),
  )
  test.each(['find Alice', "SELECT 'Alice'", 'alice@corp.example'])('%s does not', (name) => {
    expect(masker.name(name)).not.toMatch(/alice/i)
    expect(masker.name(name)).toBe(masker.name(name))
  })
})

describe('text search', () => {
  test.each([
    "SELECT 1 FROM people WHERE words @@ 'alice & bob'",
    "SELECT 1 FROM people WHERE words @@ to_tsquery('english', 'alice & bob')",
    "SELECT 1 FROM people WHERE to_tsvector('english', note) @@ websearch_to_tsquery('english', 'alice bob')",
    "SELECT 1 FROM people WHERE note @@ 'alice'",
    'SELECT 1 FROM people WHERE doc @@ \'$.name == "alice"\'',
    'SELECT 1 FROM people WHERE doc @? \'strict $[*] ? (@.name == "alice")\'',
  ])('%s', (text) => {
    expect(sql(text)).not.toMatch(/alice|bob/)
    expect(sql(text)).toHaveLength(text.length)
    expect(masker.sql(text).facts.cautions.map(({ use }) => use)).toContain('pattern')
  })
  test('in parameters', () => {
    const { facts } = masker.sql('SELECT 1 FROM people WHERE words @@ to_tsquery($1, $2)')
    expect(masker.parameters(facts, ['english', 'alice'], [3734, 25])).toEqual([
      'english',
      expect.not.stringMatching(/alice/),
    ])
  })
})

describe('the server takes what is masked for the same', () => {
  const masked = (cast: string, value: string) => {
    const { facts } = masker.sql(`SELECT $1::${cast}`)
    return String(masker.parameters(facts, [value], [0])[0])
  }
  const asked = async (text: string, ...values: string[]) =>
    Object.values((await database.query(text, values)).rows[0])[0] as string

  test.each(['color=>red', '"full name"=>"Alice \\"A\\" Brown", b=>NULL, "n"=>"null"', '"a"=>"x, y=>z"', ''])(
    'hstore: %s keeps its keys, its NULLs and how many there are',
    async (value) => {
      const token = masked('hstore', value)
      expect(token).not.toMatch(/alice|brown|red/i)
      const shape = 'SELECT array_agg(k || (v IS NULL)::text ORDER BY k)::text FROM each($1::hstore) AS e(k, v)'
      expect(await asked(shape, token)).toBe(await asked(shape, value))
    },
  )
  test('hstore: a value taken out is the token that is inside', async () => {
    const { facts } = masker.sql("SELECT 1 FROM people WHERE traits -> 'color' = $1")
    const [value] = masker.parameters(facts, ['Alice'], [25])
    expect(await asked("SELECT $1::hstore -> 'color'", masked('hstore', 'color=>Alice'))).toBe(value)
  })

  test.each(['[alice,bob)', '["a, b","c\\"d"]', '(,zoe]', '[same,same]', 'empty'])(
    'a range of text: %s',
    async (value) => {
      const token = masked('names', value)
      expect(token).not.toMatch(/alice|bob|zoe/)
      const shape =
        'SELECT concat(isempty(r), lower_inf(r), upper_inf(r), lower_inc(r), upper_inc(r)) FROM CAST($1 AS names) AS r'
      expect(await asked(shape, token)).toBe(await asked(shape, value))
    },
  )
  test('ranges of text say that they depend on order', () =>
    expect(masker.sql("SELECT 1 FROM people WHERE family @> 'alice'::text").facts.cautions).toMatchObject([
      { use: 'order' },
    ]))
})

describe('a mistake in settings', () => {
  test.each([
    ['work_mem: text', /policy\.yaml:3: `work_mem` is a setting of the server/],
    ['app.user: emial', /policy\.yaml:3: `emial` is not a kind/],
    ['app.user: json', /policy\.yaml:3: `app\.user` cannot be JSON/],
  ])('%s', (line, says) => expect(() => parsePolicy(`version: 1\nsettings:\n  ${line}\n`, 'policy.yaml')).toThrow(says))
})
