/** A table of orders that is split in two. */
import type { WorldParts } from './world.js'

export const SPLIT: WorldParts = {
  before: `
    CREATE TYPE order_status AS ENUM ('new', 'paid', 'sent');
    CREATE TABLE customers (customer_id int PRIMARY KEY, name text NOT NULL, note text);
    CREATE TABLE orders (
      order_id bigserial PRIMARY KEY,
      customer_id int NOT NULL REFERENCES customers,
      status order_status NOT NULL DEFAULT 'new',
      created_at timestamptz NOT NULL DEFAULT '2025-01-01T00:00:00Z',
      code text UNIQUE,
      cents bigint NOT NULL CHECK (cents >= 0),
      currency char(3) NOT NULL DEFAULT 'EUR',
      gateway varchar(12),
      extra jsonb
    );
    CREATE TABLE items (
      order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
      line int NOT NULL, quantity int NOT NULL, code text,
      PRIMARY KEY (order_id, line)
    );
    INSERT INTO customers SELECT i, 'customer ' || i, CASE WHEN i % 2 = 0 THEN 'even' END FROM generate_series(1, 6) i;
    INSERT INTO orders (order_id, customer_id, status, created_at, code, cents, currency, gateway, extra)
      SELECT i, 1 + i % 5, (ARRAY['new', 'paid', 'sent'])[1 + i % 3]::order_status, timestamptz '2025-02-01Z' + i * interval '1 hour',
             'c' || i, i * 100, CASE WHEN i % 4 = 0 THEN 'USD' ELSE 'EUR' END, CASE WHEN i % 3 > 0 THEN 'stripe' END,
             jsonb_build_object('n', i, 'tag', 'é' || i)
        FROM generate_series(1, 20) i;
    INSERT INTO items SELECT i, l, i + l, 'c' || i FROM generate_series(1, 12) i, generate_series(1, 2) l;
    SELECT setval('orders_order_id_seq', 1000);
  `,
  after: `
    CREATE TABLE order_core (
      order_id bigint PRIMARY KEY DEFAULT nextval('orders_order_id_seq'),
      customer_id int NOT NULL REFERENCES customers,
      status order_status NOT NULL DEFAULT 'new',
      created_at timestamptz NOT NULL DEFAULT '2025-01-01T00:00:00Z',
      code text UNIQUE
    );
    CREATE TABLE order_billing (
      order_id bigint PRIMARY KEY REFERENCES order_core ON DELETE CASCADE,
      cents bigint NOT NULL CHECK (cents >= 0),
      currency char(3) NOT NULL DEFAULT 'EUR',
      gateway varchar(12)
    );
    CREATE TABLE order_extra (id bigint PRIMARY KEY REFERENCES order_core ON DELETE CASCADE, details jsonb);
    INSERT INTO order_core SELECT order_id, customer_id, status, created_at, code FROM orders;
    INSERT INTO order_billing SELECT order_id, cents, currency, gateway FROM orders;
    INSERT INTO order_extra SELECT order_id, extra FROM orders;
    ALTER SEQUENCE orders_order_id_seq OWNED BY order_core.order_id;
    ALTER TABLE items DROP CONSTRAINT items_order_id_fkey;
    ALTER TABLE items ADD FOREIGN KEY (order_id) REFERENCES order_core ON DELETE CASCADE;
    ALTER TABLE orders ALTER order_id DROP DEFAULT;
    DROP TABLE orders;
  `,
  mapping: `
version: 1
tables:
  orders:
    split: [order_core, order_billing, {table: order_extra, key: [id]}]
    columns: {extra: details}
`,
  tables: {
    orders: `SELECT c.order_id, c.customer_id, c.status, c.created_at, c.code, b.cents, b.currency, b.gateway, e.details AS extra
             FROM order_core c JOIN order_billing b USING (order_id) JOIN order_extra e ON e.id = c.order_id`,
    items: 'SELECT * FROM items',
    customers: 'SELECT * FROM customers',
  },
}
