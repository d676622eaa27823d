/**
 * Two object mappers at work on the old schema, recorded; what they said, with whatever they ask of the catalog, is replayed on the new one
 * through the mapping. Every answer and every table is as on the old schema.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { and, count, desc, eq, gt, inArray, relations, sql, sum } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import {
  bigint,
  bigserial,
  char,
  integer,
  jsonb,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  varchar,
} from 'drizzle-orm/pg-core'
import pg from 'pg'
import { DataTypes, Op, Sequelize } from 'sequelize'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildPlan } from '../../replayer/plan/build.js'
import { checkRewrite } from '../../replayer/rewrite/check.js'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { loadRewriter, type RewriteSource } from '../../replayer/rewrite/rewriter.js'
import { replay } from '../../replayer/run/replay.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { type Bench, bench, through } from '../recorder/recording.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { SPLIT } from './split-world.js'

let at: Bench
let production: TestDatabase
let old: TestDatabase
let now: TestDatabase
beforeEach(async () => {
  at = bench()
  production = await createDatabase(SPLIT.before)
  old = await createDatabase(SPLIT.before)
  now = await createDatabase(SPLIT.before, SPLIT.after)
})
afterEach(async () => {
  at.remove()
  for (const database of [production, old, now]) await database.drop()
})

const status = pgEnum('order_status', ['new', 'paid', 'sent'])
const customers = pgTable('customers', {
  id: integer('customer_id').primaryKey(),
  name: text('name').notNull(),
  note: text('note'),
})
const orders = pgTable('orders', {
  id: bigserial('order_id', { mode: 'number' }).primaryKey(),
  customerId: integer('customer_id').notNull(),
  status: status('status').notNull().default('new'),
  code: text('code').unique(),
  cents: bigint('cents', { mode: 'number' }).notNull(),
  currency: char('currency', { length: 3 }).notNull().default('EUR'),
  gateway: varchar('gateway', { length: 12 }),
  extra: jsonb('extra'),
})
const items = pgTable(
  'items',
  {
    orderId: bigint('order_id', { mode: 'number' }).notNull(),
    line: integer('line').notNull(),
    quantity: integer('quantity').notNull(),
    code: text('code'),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.line] })],
)
const schema = {
  customers,
  orders,
  items,
  customerRelations: relations(customers, ({ many }) => ({ orders: many(orders) })),
  orderRelations: relations(orders, ({ one, many }) => ({
    customer: one(customers, { fields: [orders.customerId], references: [customers.id] }),
    items: many(items),
  })),
  itemRelations: relations(items, ({ one }) => ({
    order: one(orders, { fields: [items.orderId], references: [orders.id] }),
  })),
}

async function drizzled(url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  const db = drizzle(pool, { schema })
  try {
    await db.query.orders.findMany({
      with: { customer: true, items: { orderBy: items.line } },
      where: gt(orders.cents, 500),
      orderBy: orders.id,
      limit: 4,
    })
    await db.query.customers.findFirst({ with: { orders: { orderBy: orders.id } }, orderBy: customers.id })
    const byId = db
      .select()
      .from(orders)
      .where(eq(orders.id, sql.placeholder('id')))
      .prepare('by_id')
    for (const id of [1, 2, 3]) await byId.execute({ id })
    await db
      .select({ name: customers.name, total: sum(orders.cents), n: count() })
      .from(customers)
      .leftJoin(orders, eq(orders.customerId, customers.id))
      .groupBy(customers.name)
      .orderBy(customers.name)
    await db.$count(orders, inArray(orders.status, ['new', 'paid']))
    await db.selectDistinctOn([orders.customerId]).from(orders).orderBy(orders.customerId, desc(orders.cents))
    await db
      .insert(orders)
      .values([
        { customerId: 1, cents: 5, code: 'd1', extra: { deep: [1, "quo'te"] } },
        { customerId: 2, cents: 6, status: 'paid', gateway: 'adyen' },
      ])
      .returning()
    await db
      .insert(orders)
      .values({ id: 3, customerId: 1, cents: 77 })
      .onConflictDoUpdate({ target: orders.id, set: { cents: sql`excluded.cents + ${orders.cents}`, status: 'sent' } })
      .returning({ id: orders.id, cents: orders.cents })
    await db.insert(orders).values({ id: 4, customerId: 1, cents: 1 }).onConflictDoNothing()
    await db.insert(orders).values({ customerId: 1, cents: 1, code: 'c5' }).onConflictDoNothing({ target: orders.code })
    await db
      .update(orders)
      .set({ cents: sql`${orders.cents} + 1`, gateway: null, extra: { n: 1 } })
      .where(and(eq(orders.customerId, 2), gt(orders.cents, 300)))
      .returning()
    await db
      .update(orders)
      .set({ code: customers.name })
      .from(customers)
      .where(and(eq(orders.customerId, customers.id), eq(orders.id, 9)))
    const rich = db.$with('rich').as(db.select().from(orders).where(gt(orders.cents, 1500)))
    await db.with(rich).select({ id: rich.id, gateway: rich.gateway }).from(rich).orderBy(rich.id)
    await db.transaction(async (outer) => {
      await outer.select().from(orders).where(eq(orders.id, 6)).for('update')
      await outer.update(orders).set({ status: 'sent' }).where(eq(orders.id, 6))
      await outer
        .transaction(async (inner) => {
          await inner.delete(orders).where(gt(orders.id, 10))
          inner.rollback()
        })
        .catch(() => {})
    })
    await db
      .insert(orders)
      .values({ customerId: 99, cents: 1 })
      .catch(() => {})
    await db
      .insert(orders)
      .values({ customerId: 1, cents: -1 })
      .catch(() => {})
    await db
      .delete(orders)
      .where(inArray(orders.id, [17, 18]))
      .returning({ id: orders.id, code: orders.code })
  } finally {
    await pool.end()
  }
}

async function sequelized(url: string): Promise<void> {
  const db = new Sequelize(url, { logging: false, pool: { max: 1 } })
  const named = { freezeTableName: true, timestamps: false }
  const Customer = db.define(
    'customers',
    { customer_id: { type: DataTypes.INTEGER, primaryKey: true }, name: DataTypes.TEXT, note: DataTypes.TEXT },
    named,
  )
  const Order = db.define(
    'orders',
    {
      order_id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
      customer_id: DataTypes.INTEGER,
      status: DataTypes.ENUM('new', 'paid', 'sent'),
      code: { type: DataTypes.TEXT, unique: true },
      cents: DataTypes.BIGINT,
      currency: DataTypes.CHAR(3),
      gateway: DataTypes.STRING(12),
      extra: DataTypes.JSONB,
    },
    named,
  )
  Customer.hasMany(Order, { foreignKey: 'customer_id', constraints: false })
  Order.belongsTo(Customer, { foreignKey: 'customer_id', constraints: false })
  try {
    await Order.findAll({ where: { cents: { [Op.gt]: 500 }, gateway: { [Op.not]: null } }, order: ['order_id'] })
    await Order.findByPk(4)
    await Order.findAll({
      include: [{ model: Customer, required: true, where: { note: 'even' } }],
      order: ['order_id'],
    })
    await Customer.findAll({
      include: [{ model: Order }],
      order: ['customer_id', [Order, 'order_id', 'ASC']],
      limit: 3,
    })
    await Order.findAndCountAll({ where: { extra: { tag: 'é3' } }, limit: 2, order: ['order_id'] })
    await Order.findAll({
      attributes: ['status', [db.fn('SUM', db.col('cents')), 'total']],
      group: ['status'],
      order: ['status'],
    })
    await Order.sum('cents', { where: { currency: 'EUR' } })
    const made = await Order.create({
      customer_id: 1,
      cents: 12,
      code: "quo'te",
      status: 'new',
      currency: 'EUR',
      extra: { k: '$1' },
    })
    await made.update({ cents: 13, status: 'paid' })
    await made.increment('cents', { by: 5 })
    await made.reload()
    await Order.upsert({ order_id: 2, customer_id: 1, cents: 9, status: 'sent', currency: 'USD' })
    await Order.bulkCreate([
      { customer_id: 1, cents: 1, code: 'b1', status: 'new', currency: 'EUR' },
      { customer_id: 2, cents: 2, code: 'b2', status: 'paid', currency: 'EUR' },
    ])
    await Order.bulkCreate([{ order_id: 3, customer_id: 1, cents: 8, status: 'new', currency: 'EUR' }], {
      updateOnDuplicate: ['cents', 'status'],
      conflictAttributes: ['order_id'],
    })
    await db.transaction(async (transaction) => {
      await Order.findAll({
        where: { customer_id: 3 },
        order: ['order_id'],
        lock: transaction.LOCK.UPDATE,
        transaction,
      })
      await Order.update({ gateway: 'none', code: null }, { where: { customer_id: 3 }, returning: true, transaction })
      await Order.destroy({ where: { order_id: [11, 12] }, transaction })
    })
    await Order.create({ customer_id: 1, cents: 1, code: 'c1', status: 'new', currency: 'EUR' }).catch(() => {})
    await made.destroy()
  } finally {
    await db.close()
  }
}

test.each([
  { name: 'drizzle', work: drizzled },
  { name: 'sequelize', work: sequelized },
])(
  '$name on a table that was split: every statement covered, every answer and every row as before',
  async ({ name, work }) => {
    const proxy = await at.start(production.url)
    await work(through(production.url, proxy))
    await proxy.stop()
    const rewrite = await sourceOf(SPLIT.mapping)
    const recording = openRecording(proxy.path)
    const client = new pg.Client(now.url)
    await client.connect()
    const checked = await checkRewrite(recording, await loadRewriter(rewrite), client)
    await client.end()
    console.log(`${name}: ${checked.statements} statements, ${JSON.stringify(checked.byState)}`)
    expect(checked.fingerprints.filter(({ state }) => state === 'invalid')).toEqual([])
    expect(checked.byState.rewritten).toBeGreaterThan(15)

    const { plan } = await buildPlan(recording)
    const outcomesOf = async (target: string, options: { rewrite?: RewriteSource } = {}) => {
      const out = join(at.folder, 'run.sqlite')
      await replay({ recording: proxy.path, plan, target, out, speed: 'max', workers: 1, ...options })
      const run = openRun(out)
      const rows = [...run.rows()].map(({ seq, outcome }) => [seq, essence(outcome)])
      run.close()
      rmSync(out)
      return new Map(rows as [number, unknown][])
    }
    const [before, after] = [await outcomesOf(old.url), await outcomesOf(now.url, { rewrite })]
    const differing: unknown[] = []
    for (const { seq, sql: text } of recording.statements()) {
      // Its types have other oids in another database.
      if (/\bpg_type\b/.test(text)) continue
      if (JSON.stringify(before.get(seq)) !== JSON.stringify(after.get(seq)))
        differing.push([text, before.get(seq), after.get(seq)])
    }
    recording.close()
    expect(differing).toEqual([])
    expect(after.size).toBe(before.size)
    for (const [table, query] of Object.entries(SPLIT.tables)) {
      const rows = async (database: TestDatabase, from: string) =>
        (await database.query(`SELECT t::text FROM (${from}) t ORDER BY 1`)).rows
      expect(await rows(now, query), table).toEqual(await rows(old, `SELECT * FROM ${table}`))
      expect(await rows(old, `SELECT * FROM ${table}`)).toEqual(await rows(production, `SELECT * FROM ${table}`))
    }
  },
)

async function sourceOf(mapping: string): Promise<RewriteSource> {
  const file = 'mapping.yaml'
  const [before, after] = [await readCatalog(production), await readCatalog(now)]
  return { text: mapping, file, folder: at.folder, hash: parseMapping(mapping, file).hash, before, after }
}

function essence({ error, tag, rowCount, columns, digest, suspended, status: state }: Outcome): unknown {
  const sums = digest && Buffer.from(digest).toString('hex')
  return [error?.sqlstate, tag, rowCount, columns?.map(({ name }) => name), sums, suspended, state]
}
