import { beforeAll, describe, expect, test } from 'vitest'
import { ordering } from '../../sql/order-by.js'
import { loadParser, parse } from '../../sql/parse.js'

beforeAll(loadParser)

const of = (sql: string) => ordering(parse(sql)?.[0]?.stmt)

describe('the order of a result', () => {
  test.each([
    { sql: 'SELECT a FROM t', sorted: false, limited: false },
    { sql: 'SELECT a FROM t ORDER BY a', sorted: true, limited: false },
    { sql: 'SELECT a FROM t ORDER BY a LIMIT 3', sorted: true, limited: true },
    { sql: 'SELECT a FROM t OFFSET 3', sorted: false, limited: true },
    { sql: 'SELECT a FROM t FETCH FIRST 3 ROWS ONLY', sorted: false, limited: true },
    { sql: 'SELECT DISTINCT ON (a) a, b FROM t ORDER BY a', sorted: true, limited: true },
    { sql: 'SELECT DISTINCT a FROM t', sorted: false, limited: false },
    { sql: 'SELECT * FROM (SELECT a FROM t ORDER BY a LIMIT 1) s', sorted: false, limited: false },
    { sql: 'SELECT a FROM t UNION SELECT a FROM u ORDER BY 1', sorted: true, limited: false },
    { sql: 'WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a', sorted: true, limited: false },
    { sql: 'INSERT INTO t (a) VALUES (1) RETURNING a', sorted: false, limited: false },
    { sql: 'DECLARE c CURSOR FOR SELECT a FROM t ORDER BY a', sorted: true, limited: false },
    { sql: 'FETCH 3 FROM c', sorted: false, limited: true },
  ])('$sql', ({ sql, sorted, limited }) => expect(of(sql)).toMatchObject({ sorted, limited }))
})

describe('sort keys', () => {
  test.each([
    { sql: 'SELECT a, b FROM t ORDER BY b', keys: [{ item: 1, column: 'b' }] },
    { sql: 'SELECT a, b AS x FROM t ORDER BY x', keys: [{ item: 1, column: 'x' }] },
    { sql: 'SELECT a, lower(b) FROM t ORDER BY lower(b) DESC', keys: [{ item: 1, column: '' }] },
    {
      sql: 'SELECT a, b FROM t ORDER BY 2, 1',
      keys: [
        { item: 1, column: 'b' },
        { item: 0, column: 'a' },
      ],
    },
    { sql: 'SELECT a FROM t ORDER BY t.created_at', keys: [{ item: -1, column: 'created_at' }] },
    { sql: 'SELECT * FROM t ORDER BY created_at', keys: [{ item: -1, column: 'created_at' }] },
    { sql: 'SELECT *, 1 FROM t ORDER BY 2', keys: [{ item: -1, column: '' }] },
  ])('$sql', ({ sql, keys }) => expect(of(sql).keys).toEqual(keys))
})

describe('an order without ties, by the statement alone', () => {
  test.each([
    { sql: 'SELECT count(*), max(a) FROM t', total: true },
    { sql: 'SELECT count(*) OVER () FROM t ORDER BY a', total: false },
    { sql: 'SELECT a, count(*) FROM t GROUP BY a ORDER BY a', total: true },
    { sql: 'SELECT a, count(*) FROM t GROUP BY 1 ORDER BY 1', total: true },
    { sql: 'SELECT a, count(*) FROM t GROUP BY a ORDER BY 2', total: false },
    { sql: 'SELECT DISTINCT a, b FROM t ORDER BY a, b', total: true },
    { sql: 'SELECT DISTINCT a, b FROM t ORDER BY a', total: false },
    { sql: 'SELECT a FROM t ORDER BY a', total: false },
  ])('$sql: $total', ({ sql, total }) => expect(of(sql).total).toBe(total))

  test.each([
    { sql: 'SELECT a FROM s.t ORDER BY a', relation: { schema: 's', name: 't' } },
    { sql: 'SELECT a FROM t JOIN u USING (id) ORDER BY a', relation: null },
    { sql: 'SELECT a FROM t, u ORDER BY a', relation: null },
    { sql: 'SELECT a FROM t GROUP BY a', relation: null },
  ])('$sql reads the rows of $relation', ({ sql, relation }) => expect(of(sql).relation).toEqual(relation))
})

test.each([
  { sql: 'SELECT a FROM t LIMIT 3', limit: { rows: 3 } },
  { sql: 'SELECT a FROM t LIMIT 0', limit: { rows: 0 } },
  { sql: 'SELECT a FROM t LIMIT $2', limit: { parameter: 2 } },
  { sql: 'SELECT a FROM t LIMIT 3 OFFSET 0', limit: { rows: 3 } },
  { sql: 'SELECT a FROM t LIMIT 3 OFFSET 10', limit: null },
  { sql: 'SELECT a FROM t LIMIT 1 + 2', limit: null },
  { sql: 'SELECT a FROM t', limit: null },
])('the limit of $sql', ({ sql, limit }) => expect(ordering(parse(sql)?.[0]?.stmt).limit).toEqual(limit))
