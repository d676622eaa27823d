import { beforeAll, describe, expect, test } from 'vitest'
import { alignOutputs, chanceInText, nondeterminism } from '../../sql/nondeterminism.js'
import { loadParser, parse } from '../../sql/parse.js'

beforeAll(loadParser)

const of = (sql: string) => nondeterminism(parse(sql)?.[0]?.stmt)

describe('output columns that differ by themselves', () => {
  test.each([
    { sql: 'SELECT a, now() FROM t', chances: ['none', 'time'] },
    { sql: 'SELECT CURRENT_DATE, CURRENT_USER, LOCALTIMESTAMP', chances: ['time', 'session', 'time'] },
    { sql: 'SELECT random() * 6, gen_random_uuid()', chances: ['random', 'random'] },
    { sql: "SELECT nextval('s'), pg_backend_pid(), txid_current()", chances: ['sequence', 'session', 'session'] },
    { sql: 'SELECT age(born), age(born, died) FROM t', chances: ['time', 'none'] },
    { sql: 'SELECT ctid, a FROM t', chances: ['session', 'none'] },
    { sql: 'SELECT x FROM (SELECT random() AS x FROM t) s', chances: ['random'] },
    { sql: 'WITH s AS (SELECT clock_timestamp() AS at) SELECT at, 1 FROM s', chances: ['time', 'none'] },
    { sql: 'UPDATE t SET seen = now() RETURNING id, seen', chances: ['none', 'time'] },
    { sql: 'INSERT INTO t (a) VALUES (1) RETURNING id, random()', chances: ['none', 'random'] },
    { sql: 'SELECT now() UNION ALL SELECT a FROM t', chances: ['time'] },
    { sql: 'SELECT lower(email), md5(email) FROM t', chances: ['none', 'none'] },
    { sql: 'SELECT \'now()\', "now" FROM t', chances: ['none', 'none'] },
  ])('$sql', ({ sql, chances }) => expect(of(sql).items.map(({ chance }) => chance)).toEqual(chances))

  test('says which columns take part', () =>
    expect(of('SELECT now() - created_at FROM t').items[0]).toMatchObject({ chance: 'time', columns: ['created_at'] }))

  test("a function of the database's own", () =>
    expect(
      nondeterminism(parse('SELECT app.ticket(1)')?.[0]?.stmt, (name) => (name === 'ticket' ? 'random' : 'none'))
        .items[0]?.chance,
    ).toBe('random'))

  test.each([
    { sql: 'SELECT array_agg(a) FROM t', inputOrder: true },
    { sql: 'SELECT array_agg(a ORDER BY a) FROM t', inputOrder: false },
    { sql: "SELECT upper(string_agg(a, ',')) FROM t", inputOrder: true },
    { sql: 'SELECT sum(a) FROM t', inputOrder: false },
  ])('$sql depends on the order of its input: $inputOrder', ({ sql, inputOrder }) =>
    expect(of(sql).items[0]?.inputOrder).toBe(inputOrder),
  )
})

describe('chance that decides which rows come', () => {
  test.each([
    { sql: "SELECT a FROM t WHERE at > now() - interval '1 day'", filter: 'time' },
    { sql: 'SELECT a FROM t ORDER BY a LIMIT (random() * 5)::int', filter: 'random' },
    { sql: 'SELECT a FROM t JOIN u ON u.at < now()', filter: 'time' },
    { sql: 'SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d < CURRENT_DATE)', filter: 'time' },
    { sql: 'SELECT a FROM t UNION SELECT a FROM u WHERE at < now()', filter: 'time' },
    { sql: 'DELETE FROM t WHERE expires_at < now()', filter: 'time' },
    { sql: 'SELECT now() FROM t WHERE a = 1', filter: 'none' },
    { sql: 'UPDATE t SET at = now() WHERE id = 1', filter: 'none' },
  ])('$sql', ({ sql, filter }) => expect(of(sql).filter).toBe(filter))
})

test.each([
  { sql: 'EXPLAIN SELECT 1', aboutServer: true },
  { sql: 'SELECT * FROM pg_stat_activity', aboutServer: true },
  { sql: 'SELECT c.relname FROM pg_catalog.pg_class c', aboutServer: true },
  { sql: 'SELECT * FROM t', aboutServer: false },
])('$sql speaks about the server: $aboutServer', ({ sql, aboutServer }) =>
  expect(of(sql).aboutServer).toBe(aboutServer),
)

test.each([
  { text: 'now()', chance: 'time' },
  { text: 'CURRENT_TIMESTAMP', chance: 'time' },
  { text: "nextval('users_id_seq'::regclass)", chance: 'sequence' },
  { text: 'gen_random_uuid()', chance: 'random' },
  { text: "'pending'::text", chance: 'none' },
])('a default of $text is $chance', ({ text, chance }) => expect(chanceInText(text)).toBe(chance))

describe('laying outputs over columns', () => {
  const at = (sql: string, count: number) => alignOutputs(of(sql).items, count).map((item) => item?.chance ?? '?')
  test('without a star, one by one', () => expect(at('SELECT a, now() FROM t', 2)).toEqual(['none', 'time']))
  test('a star stretches', () =>
    expect(at('SELECT now(), *, random() FROM t', 5)).toEqual(['time', '?', '?', '?', 'random']))
  test('between two stars nothing is known', () =>
    expect(at('SELECT t.*, now(), u.*, random() FROM t, u', 6)).toEqual(['?', '?', '?', '?', '?', 'random']))
})
