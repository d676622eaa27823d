import { afterAll, beforeAll, expect, test } from 'vitest'
import { SPLIT } from './split-world.js'
import { type Asked, createWorld, type World } from './world.js'

let world: World
beforeAll(async () => {
  world = await createWorld(SPLIT)
})
afterAll(() => world.close())

const READS: readonly Asked[] = [
  'SELECT * FROM orders',
  'SELECT * FROM orders ORDER BY order_id DESC LIMIT 3 OFFSET 1',
  'TABLE orders',
  'SELECT orders.* FROM orders WHERE orders.cents > 500',
  'SELECT public.orders.status, orders.cents FROM public.orders WHERE public.orders.order_id = 3',
  'SELECT count(*) FROM orders',
  'SELECT status FROM orders WHERE order_id = 3',
  ['SELECT cents, currency FROM orders WHERE order_id = $1', ['3']],
  ['SELECT order_id, cents FROM orders WHERE status = $1 AND cents BETWEEN $2 AND $3 ORDER BY 1', ['paid', 100, 1500]],
  ['SELECT order_id FROM orders WHERE order_id = ANY($1) ORDER BY order_id', [[1, 2, 99]]],
  'SELECT o.order_id, c.name FROM orders o JOIN customers c USING (customer_id) WHERE o.cents < 900',
  'SELECT * FROM orders JOIN customers USING (customer_id)',
  'SELECT * FROM orders NATURAL JOIN customers',
  'SELECT c.name, o.* FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id',
  'SELECT c.name, o.cents FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.gateway IS NOT NULL ORDER BY 1, 2',
  'SELECT a.order_id, b.order_id FROM orders a, orders b WHERE a.cents = b.cents * 2',
  'SELECT o.order_id, i.line, o.code, i.code FROM orders o JOIN items i ON i.order_id = o.order_id',
  'SELECT status, count(*), sum(cents), avg(cents) FROM orders GROUP BY status ORDER BY status',
  'SELECT status, currency, sum(cents) FROM orders GROUP BY ROLLUP (status, currency)',
  'SELECT o.order_id, o.status, o.cents, count(*) FROM orders o JOIN items i USING (order_id) GROUP BY o.order_id',
  'SELECT o.order_id, o.status, o.cents, count(*) FROM orders o JOIN items i USING (order_id) GROUP BY o.order_id HAVING o.cents > 300 ORDER BY o.created_at DESC',
  'SELECT order_id, gateway, count(*) FROM orders GROUP BY 1 ORDER BY 1',
  'SELECT DISTINCT currency, gateway FROM orders',
  'SELECT DISTINCT ON (customer_id) customer_id, order_id, cents FROM orders ORDER BY customer_id, cents DESC',
  'SELECT order_id, row_number() OVER (PARTITION BY status ORDER BY cents) FROM orders',
  'SELECT order_id, sum(cents) OVER w FROM orders WINDOW w AS (ORDER BY order_id) ORDER BY order_id',
  'SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id AND o.cents > 1500)',
  "SELECT name FROM customers WHERE customer_id IN (SELECT customer_id FROM orders WHERE currency = 'USD')",
  'SELECT name, (SELECT max(cents) FROM orders o WHERE o.customer_id = c.customer_id) FROM customers c',
  'WITH big AS (SELECT * FROM orders WHERE cents > 1000) SELECT status, count(*) FROM big GROUP BY status',
  'WITH orders AS (SELECT 1 AS a) SELECT * FROM orders',
  'WITH RECURSIVE n AS (SELECT min(order_id) AS id FROM orders UNION ALL SELECT o.order_id FROM n JOIN orders o ON o.order_id = n.id + 1 WHERE o.cents < 700) SELECT * FROM n',
  'SELECT order_id FROM orders WHERE cents > 1500 UNION SELECT order_id FROM items UNION ALL SELECT cents FROM orders WHERE order_id = 1',
  '(SELECT order_id, cents FROM orders ORDER BY cents DESC LIMIT 2) UNION ALL (SELECT order_id, cents FROM orders ORDER BY cents LIMIT 1)',
  'SELECT order_id FROM orders EXCEPT SELECT order_id FROM items',
  'SELECT * FROM (SELECT order_id, cents FROM orders) AS s WHERE cents > 1700',
  'SELECT c.name, l.cents FROM customers c CROSS JOIN LATERAL (SELECT cents FROM orders o WHERE o.customer_id = c.customer_id ORDER BY cents DESC LIMIT 1) l',
  "SELECT o.extra ->> 'tag', o.extra FROM orders o WHERE o.extra @> '{\"n\": 3}'",
  'SELECT to_jsonb(o) FROM orders o WHERE order_id = 4',
  'SELECT (o).cents FROM orders o WHERE order_id = 4',
  'SELECT o FROM orders o WHERE order_id = 4',
  'SELECT x.a, x.b FROM orders AS x(a, b) WHERE a < 4',
  'SELECT "order_id" AS "Order Id", cents AS "é" FROM orders WHERE code = \'c3\' -- comment\n ORDER BY 1',
  'SELECT order_id FROM orders WHERE order_id = 5 FOR UPDATE',
  'SELECT order_id, cents FROM orders WHERE order_id = 5 FOR NO KEY UPDATE',
  'SELECT order_id, cents FROM orders o WHERE o.order_id IN (5, 6) ORDER BY order_id FOR UPDATE OF o SKIP LOCKED',
  'SELECT o.order_id, c.name FROM orders o JOIN customers c USING (customer_id) WHERE o.order_id = 1 FOR SHARE OF c NOWAIT',
  "SELECT CASE WHEN cents > 1000 THEN status ELSE 'new' END FROM orders",
  "SELECT coalesce(gateway, 'none') AS g, count(DISTINCT customer_id) FROM orders GROUP BY 1",
  'SELECT array_agg(order_id ORDER BY cents DESC) FROM orders',
  "SELECT string_agg(gateway, ',' ORDER BY order_id) FILTER (WHERE cents > 400) FROM orders",
  'SELECT ctid IS NULL FROM customers',
  'SELECT nothing FROM orders',
  "SELECT * FROM orders WHERE status = 'lost'",
  ['SELECT * FROM orders WHERE order_id = $1', ['12a']],
  'EXPLAIN (COSTS OFF) SELECT 1',
  'SELECT 1',
  'SELECT name FROM customers ORDER BY name',
  'VALUES (1), (2)',
]

test.each(READS.map((asked) => ({ sql: typeof asked === 'string' ? asked : asked[0], asked })))(
  'reads: $sql',
  ({ asked }) => world.compare([asked]),
)

const LOOK = 'SELECT * FROM orders ORDER BY order_id'
const WRITES: readonly (readonly Asked[])[] = [
  [`INSERT INTO orders (customer_id, cents) VALUES (1, 5)`],
  [`INSERT INTO orders (customer_id, cents) VALUES (1, 5) RETURNING order_id`],
  [`INSERT INTO orders (customer_id, cents) VALUES (1, 5) RETURNING *`],
  [`INSERT INTO orders (customer_id, cents, gateway) VALUES (1, 5, 'x') RETURNING order_id, status, currency, gateway`],
  [
    [
      `INSERT INTO orders (customer_id, cents, gateway) VALUES ($1, $2, $3) RETURNING order_id, cents + 1 AS more, upper(gateway)`,
      [1, 7, 'adyen'],
    ],
  ],
  [[`INSERT INTO orders (customer_id, status, cents, currency) VALUES ($1, $2, $3, $4)`, [1, 'paid', 7, 'USD']], LOOK],
  [
    `INSERT INTO orders (customer_id, cents, status) VALUES (1, 5, 'paid'), (2, 6, 'sent'), (3, 7, DEFAULT) RETURNING order_id, customer_id, status, cents`,
  ],
  [`INSERT INTO orders (order_id, customer_id, cents) VALUES (500, 1, 5), (501, 2, 6)`],
  [`INSERT INTO orders VALUES (502, 1, 'paid', '2025-03-01T00:00:00Z', 'x', 9, 'EUR', NULL, '{"a": 1}') RETURNING *`],
  [`INSERT INTO orders VALUES (503, 1, DEFAULT, DEFAULT, NULL, 9)`],
  [`INSERT INTO orders (customer_id, cents, currency, status) VALUES (1, 5, DEFAULT, DEFAULT) RETURNING *`],
  [`INSERT INTO orders AS o (customer_id, cents) VALUES (1, 5) RETURNING o.order_id, o.cents`],
  [`INSERT INTO orders DEFAULT VALUES`],
  [
    `INSERT INTO orders (customer_id, cents) VALUES (1, -5)`,
    `INSERT INTO orders (customer_id, cents) VALUES (1, 5) RETURNING order_id`,
  ],
  [`INSERT INTO orders (customer_id, cents) VALUES (99, 5)`],
  [`INSERT INTO orders (customer_id, cents) VALUES (1, NULL)`],
  [`INSERT INTO orders (order_id, customer_id, cents) VALUES (1, 1, 5)`],
  [`INSERT INTO orders (customer_id, cents, gateway) VALUES (1, 1, 'much too long for it')`],
  [`INSERT INTO orders (customer_id, cents, currency) VALUES (1, 1, 'EURO')`],
  [`INSERT INTO orders (customer_id, cents, nothing) VALUES (1, 1, 1)`],
  [
    `INSERT INTO orders (customer_id, cents, code) SELECT customer_id, cents * 2, 'n' || code FROM orders WHERE order_id < 4 ORDER BY order_id RETURNING order_id, code`,
  ],
  [
    [
      `INSERT INTO orders (customer_id, cents, gateway, currency) SELECT customer_id, $1, 'x', 'USD' FROM customers WHERE customer_id = $2`,
      [50, 3],
    ],
    LOOK,
  ],
  [`INSERT INTO orders (customer_id, cents) SELECT 1, 5 WHERE false RETURNING order_id`],
  [
    `WITH src AS (SELECT 2 AS c) INSERT INTO orders (customer_id, cents) SELECT c, 8 FROM src RETURNING customer_id, cents`,
  ],
  [
    `WITH placed AS (INSERT INTO orders (customer_id, cents) VALUES (1, 5) RETURNING order_id, cents) INSERT INTO items (order_id, line, quantity) SELECT order_id, 1, cents FROM placed RETURNING *`,
  ],
  [`WITH placed AS (INSERT INTO orders (customer_id, cents) VALUES (1, 5) RETURNING *) SELECT * FROM placed`],
  [
    `WITH done AS (UPDATE orders SET cents = cents + 1, status = 'sent' WHERE order_id < 3 RETURNING order_id, cents) SELECT * FROM done ORDER BY 1`,
  ],
  [`WITH gone AS (DELETE FROM orders WHERE order_id = 20 RETURNING order_id, gateway) SELECT * FROM gone`],
  [`INSERT INTO orders (order_id, customer_id, cents) VALUES (1, 1, 5), (600, 1, 6) ON CONFLICT DO NOTHING`],
  [
    `INSERT INTO orders (order_id, customer_id, cents) VALUES (1, 1, 5), (600, 1, 6) ON CONFLICT (order_id) DO NOTHING RETURNING order_id, cents`,
  ],
  [
    `INSERT INTO orders (customer_id, cents, code) VALUES (1, 5, 'c1'), (1, 6, 'fresh') ON CONFLICT (code) DO NOTHING RETURNING order_id, code, cents`,
  ],
  [
    `INSERT INTO orders (order_id, customer_id, cents) VALUES (1, 1, 5), (600, 1, 6) ON CONFLICT (order_id) DO UPDATE SET cents = excluded.cents RETURNING order_id, cents, status`,
  ],
  [
    `INSERT INTO orders (order_id, customer_id, cents) VALUES (1, 2, 5) ON CONFLICT (order_id) DO UPDATE SET cents = orders.cents + excluded.cents, status = 'sent', customer_id = excluded.customer_id RETURNING *`,
  ],
  [
    `INSERT INTO orders (order_id, customer_id, cents) VALUES (1, 2, 5), (2, 2, 6) ON CONFLICT (order_id) DO UPDATE SET status = 'sent' WHERE orders.status = 'paid' RETURNING order_id, cents`,
  ],
  [
    [
      `INSERT INTO orders (customer_id, cents, code) VALUES ($1, $2, $3) ON CONFLICT (code) DO UPDATE SET cents = excluded.cents + 1 RETURNING order_id, cents`,
      [1, 5, 'c7'],
    ],
  ],
  [`UPDATE orders SET status = 'sent'`],
  [`UPDATE orders SET status = 'sent' WHERE order_id = 3`],
  [[`UPDATE orders SET status = $2 WHERE order_id = $1 RETURNING order_id, status, customer_id`, [3, 'new']]],
  [[`UPDATE orders SET cents = cents + $2 WHERE order_id = $1`, [3, 9]]],
  [
    [
      `UPDATE orders SET cents = cents + $2, status = $3, extra = $4 WHERE order_id = $1 RETURNING *`,
      [3, 9, 'sent', '{"b": [1]}'],
    ],
  ],
  [
    `UPDATE orders SET gateway = NULL, currency = 'USD' WHERE cents > 1500 AND status <> 'sent' RETURNING order_id, gateway, status`,
  ],
  [`UPDATE orders o SET cents = o.cents * 2 WHERE o.status = 'paid' RETURNING o.order_id, o.cents / 2 AS half`],
  [
    `UPDATE orders AS o SET status = 'sent' FROM customers c WHERE c.customer_id = o.customer_id AND c.note = 'even' RETURNING o.order_id, c.name`,
  ],
  [
    `UPDATE orders o SET cents = o.cents + c.customer_id, status = 'sent' FROM customers c WHERE c.customer_id = o.customer_id AND c.note = 'even' RETURNING o.order_id, o.cents, c.name, o.gateway`,
  ],
  [
    `UPDATE orders SET cents = (SELECT sum(quantity) FROM items i WHERE i.order_id = orders.order_id) WHERE order_id < 5 RETURNING order_id, cents`,
  ],
  [`UPDATE orders SET (status, cents) = ('sent', 77) WHERE order_id = 2 RETURNING *`],
  [
    `UPDATE orders SET (status, cents) = (SELECT 'paid'::order_status, max(quantity) FROM items WHERE items.order_id = orders.order_id) WHERE order_id < 4 RETURNING order_id, status, cents`,
  ],
  [`UPDATE orders SET cents = DEFAULT WHERE order_id = 2`],
  [`UPDATE orders SET currency = DEFAULT, status = DEFAULT WHERE order_id = 4 RETURNING currency, status`],
  [`UPDATE orders SET cents = -1 WHERE order_id = 2`],
  [`UPDATE orders SET customer_id = 99 WHERE order_id = 2`],
  [`UPDATE orders SET gateway = 'much too long for it' WHERE order_id = 2`],
  [`UPDATE orders SET order_id = 700 WHERE order_id = 18 RETURNING order_id, cents`],
  [`UPDATE orders SET order_id = 700, cents = 3 WHERE order_id = 18`],
  [`UPDATE orders SET cents = 1 WHERE order_id = 999 RETURNING *`],
  [`UPDATE orders SET nothing = 1`],
  [`UPDATE public.orders SET cents = 1 WHERE public.orders.order_id = 2 RETURNING public.orders.cents`],
  [`UPDATE items SET quantity = o.cents FROM orders o WHERE o.order_id = items.order_id AND o.status = 'paid'`],
  [`UPDATE customers SET note = (SELECT max(gateway) FROM orders WHERE orders.customer_id = customers.customer_id)`],
  [
    `WITH picked AS (SELECT order_id FROM orders WHERE status = 'new' ORDER BY order_id LIMIT 2 FOR UPDATE SKIP LOCKED) UPDATE orders o SET status = 'paid', cents = cents + 1 FROM picked WHERE picked.order_id = o.order_id RETURNING o.order_id, o.status, o.cents`,
  ],
  [`UPDATE orders SET extra = extra || '{"z": 1}' WHERE extra ->> 'n' = '3' RETURNING extra`],
  [`DELETE FROM orders WHERE order_id = 3`],
  [`DELETE FROM orders WHERE order_id = 3 RETURNING *`],
  [[`DELETE FROM orders WHERE cents > $1 RETURNING order_id, status, cents`, [1000]]],
  [
    `DELETE FROM orders o USING customers c WHERE c.customer_id = o.customer_id AND c.note = 'even' RETURNING o.order_id, o.cents, c.name`,
  ],
  [`DELETE FROM orders WHERE status = 'paid' AND order_id IN (SELECT order_id FROM items WHERE quantity > 5)`],
  [`DELETE FROM orders`],
  [`DELETE FROM items USING orders WHERE orders.order_id = items.order_id AND orders.cents < 500`],
  [`TRUNCATE orders CASCADE`],
  [`TRUNCATE orders, items RESTART IDENTITY`],
  [`DECLARE c NO SCROLL CURSOR FOR SELECT order_id, cents FROM orders ORDER BY order_id`, 'FETCH 5 FROM c', 'CLOSE c'],
  [`PREPARE p (bigint) AS SELECT cents, status FROM orders WHERE order_id = $1`, 'EXECUTE p (3)', 'DEALLOCATE p'],
  [
    `PREPARE p (bigint, bigint) AS UPDATE orders SET cents = $2, status = 'sent' WHERE order_id = $1 RETURNING cents`,
    'EXECUTE p (3, 4)',
    'DEALLOCATE p',
  ],
  [`LOCK TABLE orders IN SHARE MODE`],
  [
    `CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT order_id, cents FROM orders WHERE cents > 1000`,
    'SELECT * FROM kept',
  ],
  [`INSERT INTO items (order_id, line, quantity) SELECT order_id, 9, cents FROM orders WHERE order_id > 15`],
]

test.each(
  WRITES.map((asked) => ({ sql: asked.map((one) => (typeof one === 'string' ? one : one[0])).join('; '), asked })),
)('writes: $sql', ({ asked }) => world.compare(asked))

test('a text without a changed table stays as it was, to the byte', () => {
  const sql = "SELECT  name\n FROM customers /* é */ WHERE  name = 'x'"
  expect(world.rewrite(sql)).toBe(sql)
})

test('what is not of a changed table stays as it was', () => {
  expect(world.rewrite('SELECT  status ,  1 FROM  orders  WHERE order_id=1')).toBe(
    'SELECT  status ,  1 FROM  order_core AS orders  WHERE order_id=1',
  )
})
