import { afterAll, beforeAll, expect, test } from 'vitest'
import { READS, WRITES } from './split-cases.js'
import { SPLIT } from './split-world.js'
import { createWorld, type World } from './world.js'

let world: World
beforeAll(async () => {
  world = await createWorld(SPLIT)
})
afterAll(() => world.close())

test.each(READS.map((asked) => ({ sql: typeof asked === 'string' ? asked : asked[0], asked })))(
  'reads: $sql',
  ({ asked }) => world.compare([asked]),
)

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

test.each([
  ['UPDATE orders SET cents = 1 WHERE CURRENT OF c', /a cursor over one table/],
  ['MERGE INTO orders o USING items i ON i.order_id = o.order_id WHEN MATCHED THEN DELETE', /MERGE into orders/],
  ['SELECT * FROM orders TABLESAMPLE system (10)', /a sample of orders/],
  [
    'INSERT INTO orders (customer_id, cents) VALUES (1, 1) ON CONFLICT ON CONSTRAINT orders_pkey DO NOTHING',
    /plain columns/,
  ],
  ['INSERT INTO orders (customer_id, cents) VALUES (1, 1) ON CONFLICT (lower(code)) DO NOTHING', /plain columns/],
  [
    'INSERT INTO orders (order_id, customer_id, cents) VALUES (1, 1, 1) ON CONFLICT (order_id) DO UPDATE SET order_id = 7',
    /sets order_id/,
  ],
  ["UPDATE orders SET cents = 1, status = 'paid' RETURNING old.cents", /RETURNING old and new/],
  ["UPDATE orders SET cents = 1, status = 'paid' RETURNING orders", /a whole row of orders/],
  [`UPDATE orders SET extra['a'] = '1'`, /only a piece of a column/],
])('says why it cannot be said: %s', (sql, why) => {
  expect(() => world.rewrite(sql)).toThrow(why)
})
