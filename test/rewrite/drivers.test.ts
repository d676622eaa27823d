/** Statements as object mappers and generators write them: ActiveRecord, Django, Hibernate, Prisma, sqlc; on split, changed and partitioned tables. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHANGED } from './changed-world.js'
import { PARTITIONED } from './partition-world.js'
import { SPLIT } from './split-world.js'
import { type Asked, createWorld, type World, type WorldParts } from './world.js'

const ON_SPLIT: Readonly<Record<string, readonly Asked[]>> = {
  ActiveRecord: [
    ['SELECT "orders".* FROM "orders" WHERE "orders"."order_id" = $1 LIMIT $2', [3, 1]],
    ['SELECT 1 AS one FROM "orders" WHERE "orders"."code" = $1 LIMIT $2', ['c3', 1]],
    [
      'SELECT COUNT(*) FROM (SELECT 1 AS one FROM "orders" WHERE "orders"."cents" > $1 LIMIT $2) subquery_for_count',
      [500, 4],
    ],
    'SELECT "orders"."order_id" AS t0_r0, "orders"."cents" AS t0_r1, "items"."line" AS t1_r0 FROM "orders" LEFT OUTER JOIN "items" ON "items"."order_id" = "orders"."order_id" WHERE "orders"."currency" = \'USD\'',
    'SELECT SUM("orders"."cents") AS "sum_cents", "orders"."status" AS "orders_status" FROM "orders" GROUP BY "orders"."status"',
    'SELECT DISTINCT "orders"."created_at" AS alias_0, "orders"."order_id" FROM "orders" LEFT OUTER JOIN "items" ON "items"."order_id" = "orders"."order_id" WHERE "items"."quantity" > 3 ORDER BY "orders"."created_at" DESC LIMIT 4',
    ['SELECT "orders".* FROM "orders" WHERE "orders"."order_id" = $1 LIMIT $2 FOR UPDATE', [3, 1]],
    [
      'INSERT INTO "orders" ("customer_id", "status", "cents", "gateway") VALUES ($1, $2, $3, $4) RETURNING "order_id"',
      [1, 'paid', 5, null],
    ],
    'INSERT INTO "orders" ("order_id","customer_id","cents") VALUES (1, 2, 7), (800, 2, 8) ON CONFLICT ("order_id") DO UPDATE SET "cents"=excluded."cents","customer_id"=excluded."customer_id" RETURNING "order_id"',
    'INSERT INTO "orders" ("order_id","customer_id","cents") VALUES (1, 2, 7), (801, 2, 8) ON CONFLICT  DO NOTHING RETURNING "order_id"',
    ['UPDATE "orders" SET "cents" = $1, "status" = $2 WHERE "orders"."order_id" = $3', [4, 'sent', 3]],
    [
      'UPDATE "orders" SET "cents" = COALESCE("orders"."cents", 0) + $1 WHERE "orders"."order_id" IN (SELECT "orders"."order_id" FROM "orders" WHERE "orders"."gateway" IS NULL)',
      [2],
    ],
    'DELETE FROM "orders" WHERE "orders"."order_id" IN (SELECT "orders"."order_id" FROM "orders" INNER JOIN "items" ON "items"."order_id" = "orders"."order_id" WHERE "items"."quantity" = 5)',
  ],
  Django: [
    [
      'SELECT "orders"."order_id", "orders"."cents" FROM "orders" INNER JOIN "customers" ON ("orders"."customer_id" = "customers"."customer_id") WHERE UPPER("customers"."name"::text) LIKE UPPER($1) ORDER BY "orders"."order_id" ASC',
      ['%r 3'],
    ],
    'SELECT COUNT(*) AS "__count" FROM "orders" WHERE NOT ("orders"."gateway" IS NULL)',
    'SELECT (1) AS "a" FROM "orders" WHERE "orders"."extra" #>> \'{tag}\' = \'é3\' LIMIT 1',
    'SELECT "customers"."customer_id", (SELECT COUNT(*) AS "c" FROM "orders" U0 WHERE (U0."customer_id" = ("customers"."customer_id") AND U0."cents" > 300)) AS "n" FROM "customers" ORDER BY 1',
    'SELECT "orders"."customer_id", COUNT("orders"."order_id") FILTER (WHERE "orders"."currency" = \'EUR\') AS "eur" FROM "orders" GROUP BY "orders"."customer_id" HAVING COUNT("orders"."order_id") > 3 ORDER BY 1',
    'UPDATE "orders" SET "cents" = CASE WHEN ("orders"."order_id" = 1) THEN 10 WHEN ("orders"."order_id" = 2) THEN 20 ELSE NULL END WHERE "orders"."order_id" IN (1, 2)',
    'UPDATE "orders" SET "status" = \'paid\', "cents" = ("orders"."cents" + 1) WHERE "orders"."order_id" IN (1, 2)',
    'INSERT INTO "orders" ("customer_id", "status", "created_at", "code", "cents", "currency", "gateway", "extra") VALUES (1, \'new\', \'2025-01-01 00:00:00+00:00\'::timestamptz, NULL, 5, \'EUR\', NULL, \'{"a": 1}\'::jsonb), (2, \'new\', \'2025-01-01 00:00:00+00:00\'::timestamptz, NULL, 6, \'EUR\', NULL, NULL) RETURNING "orders"."order_id"',
    'DELETE FROM "orders" WHERE "orders"."order_id" IN (4, 5)',
    'SELECT "orders"."order_id" FROM "orders" WHERE ("orders"."created_at" BETWEEN \'2025-02-01\' AND \'2025-02-02\' AND EXTRACT(\'hour\' FROM "orders"."created_at" AT TIME ZONE \'UTC\') > 3)',
  ],
  Hibernate: [
    ['select o1_0.order_id,o1_0.cents,o1_0.status from orders o1_0 where o1_0.order_id=$1', [4]],
    [
      'select o1_0.order_id,c1_0.name from orders o1_0 left join customers c1_0 on c1_0.customer_id=o1_0.customer_id where o1_0.cents>$1 order by o1_0.order_id offset $2 rows fetch first $3 rows only',
      [200, 2, 3],
    ],
    ['select o1_0.order_id from orders o1_0 where (o1_0.order_id,o1_0.cents) in (($1,$2),($3,$4))', [1, 100, 2, 5]],
    ['select o1_0.order_id,o1_0.cents from orders o1_0 where o1_0.order_id=$1 for no key update', [4]],
    ['insert into orders (cents,code,customer_id,order_id) values ($1,$2,$3,$4)', [5, 'h', 1, 900]],
    ['update orders set cents=$1,code=$2,currency=$3,status=$4 where order_id=$5', [5, 'h', 'USD', 'sent', 4]],
    ['delete from orders o1_0 where o1_0.cents<$1', [500]],
    ["select sum(case when o1_0.status='paid' then o1_0.cents else 0 end) from orders o1_0"],
    ['update orders o1_0 set gateway=(select max(i1_0.code) from items i1_0 where i1_0.order_id=o1_0.order_id)'],
  ].map((asked) => (asked.length === 1 ? (asked[0] as string) : (asked as unknown as Asked))),
  Prisma: [
    [
      'SELECT "public"."orders"."order_id", "public"."orders"."cents" FROM "public"."orders" WHERE ("public"."orders"."order_id" = $1 AND 1=1) LIMIT $2 OFFSET $3',
      [5, 1, 0],
    ],
    [
      'INSERT INTO "public"."orders" ("customer_id","cents") VALUES ($1,$2) RETURNING "public"."orders"."order_id", "public"."orders"."status", "public"."orders"."cents"',
      [1, 6],
    ],
    [
      'UPDATE "public"."orders" SET "cents" = $1 WHERE ("public"."orders"."order_id" = $2 AND 1=1) RETURNING "public"."orders"."order_id", "public"."orders"."cents"',
      [1, 6],
    ],
    [
      'UPDATE "public"."orders" SET "cents" = $1, "code" = $3 WHERE ("public"."orders"."order_id" = $2 AND 1=1) RETURNING "public"."orders"."order_id", "public"."orders"."code", "public"."orders"."gateway"',
      [1, 6, 'p'],
    ],
    ['DELETE FROM "public"."orders" WHERE ("public"."orders"."order_id" = $1 AND 1=1)', [6]],
    [
      'INSERT INTO "public"."orders" ("order_id","customer_id","cents") VALUES ($1,$2,$3) ON CONFLICT ("order_id") DO UPDATE SET "cents" = $4 WHERE ("public"."orders"."order_id" = $5 AND 1=1) RETURNING "public"."orders"."order_id", "public"."orders"."cents"',
      [6, 1, 9, 10, 6],
    ],
    `SELECT "t0"."customer_id", COALESCE("orders"."__prisma_data__", '[]'::jsonb) AS "orders" FROM "public"."customers" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__" ORDER BY "__prisma_data__" ->> 'cents'), '[]'::jsonb) AS "__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('order_id', "t1"."order_id", 'cents', "t1"."cents") AS "__prisma_data__" FROM "public"."orders" AS "t1" WHERE "t0"."customer_id" = "t1"."customer_id") AS "t2") AS "orders" ON TRUE ORDER BY 1`,
    'SELECT "t1"."order_id" FROM "public"."orders" AS "t1" LEFT JOIN "public"."customers" AS "j1" ON ("j1"."customer_id") = ("t1"."customer_id") WHERE ("j1"."note" IS NOT NULL AND ("j1"."customer_id" IS NOT NULL))',
  ],
  sqlc: [
    ['-- name: GetOrder :one\nSELECT order_id, cents FROM orders\nWHERE order_id = $1 LIMIT 1', [4]],
    [
      'UPDATE orders SET cents = coalesce($1, cents), gateway = coalesce($2, gateway) WHERE order_id = $3',
      [null, 'x', 4],
    ],
    [
      'INSERT INTO orders (customer_id, cents, code) SELECT unnest($1::int[]), unnest($2::bigint[]), unnest($3::text[]) RETURNING customer_id, cents, code',
      [
        [1, 2],
        [3, 4],
        ['u', 'v'],
      ],
    ],
    'UPDATE orders SET cents = v.c FROM (VALUES (1, 5), (2, 6)) AS v(id, c) WHERE v.id = orders.order_id',
    [
      'UPDATE orders AS o SET cents = u.c, code = u.k FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS u(id, c, k) WHERE u.id = o.order_id RETURNING o.order_id, o.cents, u.k',
      [
        [1, 2],
        [50, 60],
        ['x', 'y'],
      ],
    ],
    "UPDATE orders SET status = 'sent' WHERE order_id = (SELECT order_id FROM orders WHERE status = 'new' ORDER BY order_id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING *",
    [
      'SELECT order_id FROM orders WHERE (created_at, order_id) < ($1, $2) ORDER BY created_at DESC, order_id DESC LIMIT 5',
      ['2025-02-01T09:00:00Z', 9],
    ],
    'SELECT o.*, c.name FROM orders o JOIN customers c ON c.customer_id = o.customer_id ORDER BY o.order_id LIMIT 3',
    'DELETE FROM orders USING (SELECT order_id FROM orders WHERE cents > 1500 ORDER BY order_id LIMIT 2) d WHERE d.order_id = orders.order_id RETURNING orders.code',
    'WITH moved AS (DELETE FROM orders WHERE order_id > 17 RETURNING *) INSERT INTO items (order_id, line, quantity, code) SELECT 1, 10 + row_number() OVER (ORDER BY code), cents, code FROM moved RETURNING line, code',
    'WITH upserted AS (INSERT INTO orders (order_id, customer_id, cents) VALUES (2, 1, 3) ON CONFLICT (order_id) DO UPDATE SET cents = excluded.cents RETURNING order_id, cents) SELECT u.order_id, u.cents FROM upserted u',
    'SELECT json_agg(row_to_json(o) ORDER BY o.order_id) FROM (SELECT order_id, cents FROM orders LIMIT 0) o',
    'SELECT * FROM (SELECT o.*, row_number() OVER (PARTITION BY customer_id ORDER BY cents DESC) AS rank FROM orders o) ranked WHERE rank = 1 ORDER BY order_id',
    'SELECT order_id FROM orders o WHERE NOT EXISTS (SELECT FROM items WHERE items.order_id = o.order_id) ORDER BY order_id',
    'SELECT (SELECT array_agg(x.cents ORDER BY x.cents) FROM orders x WHERE x.customer_id = o.customer_id) FROM orders o WHERE o.order_id = 3',
    'SELECT a.order_id FROM orders a JOIN orders b ON a.order_id = b.order_id + 1 AND a.gateway IS NOT DISTINCT FROM b.gateway ORDER BY 1',
    'INSERT INTO orders (customer_id, cents) VALUES ((SELECT min(customer_id) FROM customers), 2 * (SELECT max(cents) FROM orders)) RETURNING cents',
    'INSERT INTO orders (customer_id, cents) SELECT customer_id, sum(cents) FROM orders GROUP BY customer_id ORDER BY customer_id RETURNING customer_id, cents',
    'INSERT INTO orders (customer_id, cents, code) TABLE wanted',
  ],
}

const ON_CHANGED: readonly Asked[] = [
  ['SELECT "users".* FROM "users" WHERE "users"."full_name" = $1 ORDER BY "users"."id" ASC LIMIT $2', ['User 3', 1]],
  ['INSERT INTO "users" ("email", "full_name", "legacy") VALUES ($1, $2, $3) RETURNING "id"', ['x@y', 'X', null]],
  'SELECT "users"."id" AS t0_r0, "users"."legacy" AS t0_r1, "teams"."title" AS t1_r0 FROM "users" LEFT OUTER JOIN "teams" ON "teams"."team_id" = "users"."team_id" ORDER BY 1',
  ['UPDATE "users" SET "full_name" = $1, "Größe" = $2 WHERE "users"."id" = $3', ['n', 5, 2]],
  [
    'INSERT INTO "public"."users" ("email","full_name") VALUES ($1,$2) ON CONFLICT ("email") DO UPDATE SET "full_name" = $3 WHERE ("public"."users"."email" = $4 AND 1=1) RETURNING "public"."users"."id", "public"."users"."full_name"',
    ['u1@example.org', 'a', 'b', 'u1@example.org'],
  ],
  [
    'select p1_0.product_id,p1_0.price_cents from products p1_0 where p1_0.price_cents>$1 order by p1_0.price_cents desc',
    [500],
  ],
  ['update products set active=$1,price_cents=$2,sku=$3,tags=$4 where product_id=$5', [true, 5, 'z', ['a'], 3]],
  'UPDATE "products" SET "price_cents" = CASE WHEN ("products"."product_id" = 1) THEN 10 WHEN ("products"."product_id" = 2) THEN 20 ELSE NULL END WHERE "products"."product_id" IN (1, 2)',
  [
    'INSERT INTO products (product_id, sku, price_cents) SELECT * FROM unnest($1::int[], $2::text[], $3::int[])',
    [
      [61, 62],
      ['a', 'b'],
      [7, 8],
    ],
  ],
  "INSERT INTO products (product_id, sku, price_cents) VALUES (1, 'sku-1', 70), (63, 'new', 80) ON CONFLICT (sku) DO NOTHING RETURNING product_id, price_cents",
  'SELECT p.*, u.full_name FROM products p CROSS JOIN users u WHERE u.id = 1 AND p.product_id < 3 ORDER BY p.product_id',
  'SELECT avg(price_cents)::float8, min(price_cents) FILTER (WHERE active) FROM products HAVING count(*) > 1',
  "UPDATE products p SET price_cents = p.price_cents * 2 FROM teams t WHERE t.team_id = p.product_id AND t.title LIKE 'team%' RETURNING p.product_id, p.price_cents, t.title",
  ['SELECT i.*, r.total AS other FROM invoices i LEFT JOIN receipts r ON r.id = i.id + $1 ORDER BY i.id', [100]],
  'DELETE FROM invoices USING receipts WHERE receipts.id = invoices.id + 100 AND receipts.total > 3 RETURNING invoices.id',
  'INSERT INTO invoices (id, total) SELECT id + 50, total FROM receipts RETURNING id',
  'WITH gone AS (DELETE FROM invoices WHERE id < 3 RETURNING *) INSERT INTO receipts SELECT id, total, title FROM gone RETURNING id, title',
  'UPDATE receipts r SET total = i.total FROM invoices i WHERE i.id + 100 = r.id RETURNING r.id, r.total',
  'TABLE invoices ORDER BY id',
  'SELECT full_name FROM users UNION SELECT title FROM invoices ORDER BY 1',
]

const ON_PARTITIONED: readonly Asked[] = [
  ['SELECT "events".* FROM "events" WHERE "events"."event_id" = $1 LIMIT $2', [3, 1]],
  ['INSERT INTO "events" ("kind", "amount") VALUES ($1, $2) RETURNING "event_id"', ['buy', 3]],
  ['update events set amount=$1,body=$2 where event_id=$3', [5, 'b', 4]],
  ['delete from events e1_0 where e1_0.amount<$1', [50]],
  'UPDATE "events" SET "amount" = ("events"."amount" + 1) WHERE "events"."event_id" IN (1, 2, 3)',
  'SELECT DISTINCT "events"."kind" FROM "events" ORDER BY 1',
  ['INSERT INTO events (kind, amount) SELECT unnest($1::text[]), 1 RETURNING kind, amount', [['buy', 'x', 'click']]],
]

function cases(name: string, parts: WorldParts, groups: Readonly<Record<string, readonly Asked[]>>): void {
  describe(name, () => {
    let world: World
    beforeAll(async () => {
      world = await createWorld(parts)
    })
    afterAll(() => world.close())
    for (const [shape, asked] of Object.entries(groups))
      test.each(asked.map((one) => ({ sql: typeof one === 'string' ? one : one[0], one })))(
        `${shape}: $sql`,
        ({ one }) => world.compare([one]),
      )
  })
}

cases('a split table', SPLIT, ON_SPLIT)
cases('changed tables', CHANGED, { all: ON_CHANGED })
cases('a partitioned table', PARTITIONED, { all: ON_PARTITIONED })

test('there are enough of them', () => {
  const all = [...Object.values(ON_SPLIT).flat(), ...ON_CHANGED, ...ON_PARTITIONED].length
  console.log(`${all} shapes of object mappers and generators, each executed on both schemas`)
  expect(all).toBeGreaterThan(80)
})
