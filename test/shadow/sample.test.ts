/**
 * A share of a big table, and what hangs on it: nothing in the snapshot points to nowhere, whatever the references look like.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withClient } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import type { SnapshotFacts } from '../../replayer/shadow/snapshot/format.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { parseSample } from '../../replayer/shadow/snapshot/sample.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { pgrehearse } from '../reports/command-line.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { NO_MASKS } from './support.js'

const SCHEMA = `
  CREATE SCHEMA shop;
  CREATE TABLE shop.countries (code char(2) PRIMARY KEY);
  CREATE TABLE shop.users (tenant int, id int, country char(2) REFERENCES shop.countries, name text, PRIMARY KEY (tenant, id));
  CREATE TABLE shop.orders (id bigint PRIMARY KEY, tenant int, user_id int, replaces bigint REFERENCES shop.orders,
    FOREIGN KEY (tenant, user_id) REFERENCES shop.users (tenant, id));
  CREATE TABLE shop.items (order_id bigint NOT NULL REFERENCES shop.orders, line int, PRIMARY KEY (order_id, line));
  CREATE TABLE shop.events (day date, order_id bigint REFERENCES shop.orders, what text) PARTITION BY RANGE (day);
  CREATE TABLE shop.events_old PARTITION OF shop.events FOR VALUES FROM ('2000-01-01') TO ('2024-01-01');
  CREATE TABLE shop.events_new PARTITION OF shop.events FOR VALUES FROM ('2024-01-01') TO ('2050-01-01');
  CREATE TABLE shop.staff (id int PRIMARY KEY, boss int REFERENCES shop.staff, name text);
  CREATE TABLE shop.badges (staff_id int REFERENCES shop.staff, n int);
  CREATE TABLE shop.teams (id int PRIMARY KEY, lead int);
  CREATE TABLE shop.members (id int PRIMARY KEY, team int REFERENCES shop.teams);
  ALTER TABLE shop.teams ADD FOREIGN KEY (lead) REFERENCES shop.members DEFERRABLE INITIALLY DEFERRED;
  CREATE TABLE shop.notes (author int REFERENCES shop.members, note text);
  CREATE TABLE shop.apart (n int);`
const ROWS = `
  INSERT INTO shop.countries VALUES ('de'), ('fr'), ('it');
  INSERT INTO shop.users SELECT n % 5, n, (ARRAY['de', 'fr', 'it', NULL])[1 + n % 4], 'user ' || n FROM generate_series(1, 2000) n;
  INSERT INTO shop.orders SELECT n, u % 5, u, CASE WHEN n > 2000 AND n % 3 = 0 THEN n - 2000 END FROM (SELECT n, 1 + n % 2000 AS u FROM generate_series(1, 6000) n) x;
  INSERT INTO shop.orders SELECT n, NULL, 7, NULL FROM generate_series(6001, 6010) n;
  INSERT INTO shop.items SELECT n, line FROM generate_series(1, 6000) n, generate_series(1, 2) line;
  INSERT INTO shop.events SELECT date '2023-01-01' + n % 700, n, 'e' FROM generate_series(1, 6000) n;
  INSERT INTO shop.events VALUES ('2023-05-05', NULL, 'nobody');
  INSERT INTO shop.staff SELECT n, CASE WHEN n = 1 THEN 1 WHEN n > 1 THEN n / 3 + 1 END, 's' FROM generate_series(1, 3000) n;
  INSERT INTO shop.badges SELECT n, 1 FROM generate_series(1, 3000) n;
  BEGIN; INSERT INTO shop.teams SELECT n, n * 10 FROM generate_series(1, 200) n;
  INSERT INTO shop.members SELECT n, 1 + n % 200 FROM generate_series(1, 2000) n; COMMIT;
  INSERT INTO shop.notes SELECT n, 'x' FROM generate_series(1, 2000) n;
  INSERT INTO shop.apart SELECT generate_series(1, 10); ANALYZE`

let production: TestDatabase
let shadows: OwnedServer
let room: string
let serial = 0
beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'sample-test-'))
  writeFileSync(join(room, 'schema.sql'), SCHEMA)
  shadows = await startServer()
  production = await createDatabase(SCHEMA, ROWS)
})
afterAll(async () => {
  await production?.drop()
  await shadows?.stop()
  rmSync(room, { recursive: true, force: true })
})

type Counts = Record<string, number>
type Sampled = {
  readonly facts: SnapshotFacts
  readonly counts: Counts
  ask(sql: string): Promise<Record<string, unknown>[]>
}

/** Restoring checks every reference, and would refuse. */
async function sampled(...samples: string[]): Promise<Sampled> {
  serial += 1
  const out = join(room, `snap-${serial}`)
  const facts = await takeSnapshot({
    url: production.url,
    out,
    masks: () => NO_MASKS,
    madeBy: 'test',
    schemaFile: join(room, 'schema.sql'),
    samples: samples.map(parseSample),
  })
  const target = shadows.url(`sampled_${serial}`)
  await restoreSnapshot({ snapshot: out, target })
  const counts: Counts = {}
  for (const { name, rows } of facts.tables) counts[name] = rows
  return { facts, counts, ask: (sql) => withClient(target, async (client) => (await client.query(sql)).rows) }
}

const near = (share: number) => (count: number, of: number) => count > of * share * 0.7 && count < of * share * 1.3

describe('a sampled table', () => {
  test('by a key of two columns: about that share; its references’ tables whole, its children in step, others untouched', async () => {
    const { facts, counts, ask } = await sampled('shop.users=10%')
    expect(near(0.1)(counts.users!, 2000), `${counts.users}`).toBe(true)
    expect(counts).toMatchObject({ countries: 3, staff: 3000, members: 2000, apart: 10 })
    // Orders of nobody stay; of somebody they stay if all they refer to does.
    const [{ nobodys, lost }] = (await ask(`SELECT count(*) FILTER (WHERE tenant IS NULL)::int AS nobodys,
      count(*) FILTER (WHERE replaces IS NOT NULL AND replaces NOT IN (SELECT id FROM shop.orders))::int AS lost FROM shop.orders`)) as [
      { nobodys: number; lost: number },
    ]
    expect([nobodys, lost]).toEqual([10, 0])
    expect(counts.orders! - 10).toBe(counts.users! * 3)
    expect(counts.items).toBe((counts.orders! - 10) * 2)
    expect(counts.events_old! + counts.events_new!).toBe(counts.orders! - 10 + 1)
    expect(facts.sampled!.map(({ name, share }) => [name, share]).sort()).toEqual([
      ['events_new', null],
      ['events_old', null],
      ['items', null],
      ['orders', null],
      ['users', 0.1],
    ])
  })

  test('that refers to itself, a tree with one root: the chosen ones and their ancestors', async () => {
    const { counts, ask } = await sampled('staff=5%')
    expect(counts.staff).toBeGreaterThan(3000 * 0.04)
    expect(counts.staff).toBeLessThan(3000 * 0.2)
    expect(counts.badges).toBe(counts.staff)
    expect(await ask('SELECT count(*)::int AS roots FROM shop.staff WHERE boss = id')).toEqual([{ roots: 1 }])
    expect(counts.users).toBe(2000)
  })

  test('in a circle with another table: both fit, and what hangs on them too', async () => {
    const { counts, ask } = await sampled('shop.teams=10%')
    expect(counts.teams).toBeGreaterThan(200 * 0.05)
    expect(counts.teams).toBeLessThan(200)
    expect(counts.notes).toBe(counts.members)
    expect(await ask('SELECT FROM shop.teams t LEFT JOIN shop.members m ON m.id = t.lead WHERE m.id IS NULL')).toEqual(
      [],
    )
  })

  test('beside another one that it refers to: its rows bring theirs', async () => {
    const { counts } = await sampled('shop.orders=10%', 'shop.users=1%')
    expect(counts.orders! - 10).toBeGreaterThan(6000 * 0.07)
    expect(counts.users).toBeGreaterThan(counts.orders! / 3 - 20)
    expect(counts.users).toBeLessThan(2000)
    expect(counts.items! % 2).toBe(0)
  })

  test('without a key of its own, or partitioned', async () => {
    const { counts } = await sampled('apart=50%', 'shop.events=20%')
    expect(counts.apart).toBeGreaterThan(0)
    expect(counts.apart).toBeLessThan(10)
    expect(near(0.2)(counts.events_old! + counts.events_new!, 6001)).toBe(true)
    expect(counts.orders).toBe(6010)
  })

  test('is the same rows each time; 100% is all', async () => {
    const [one, two, all] = [
      await sampled('shop.users=10%'),
      await sampled('shop.users=10%'),
      await sampled('shop.users=100%'),
    ]
    const hashes = ({ facts }: Sampled) => facts.tables.map(({ name, rows }) => `${name} ${rows}`).sort()
    const rows = (of: Sampled) => of.ask('SELECT id FROM shop.users ORDER BY id')
    expect(hashes(one)).toEqual(hashes(two))
    expect(await rows(one)).toEqual(await rows(two))
    expect(all.counts).toMatchObject({ users: 2000, orders: 6010, items: 12000 })
  })
})

describe('by the command', () => {
  const take = (...args: string[]) =>
    pgrehearse(
      room,
      'snapshot',
      'take',
      '--from',
      production.url,
      '--out',
      `cli-${++serial}`,
      '--schema',
      'schema.sql',
      ...args,
    )
  test('says which tables are not whole, and why', async () => {
    const { exit, err } = await take('--sample-table', 'shop.users=10%')
    expect(exit, err).toBe(0)
    expect(err).toMatch(/note: \d+ of about 2000 rows of shop\.users \(a sample of 10%\)/)
    expect(err).toMatch(/note: \d+ of about 12000 rows of shop\.items \(it refers to a sampled table\)/)
  })
  test.each([
    ['no share', 'shop.users', 'OPTION_VALUE', /TABLE=SHARE/],
    ['more than all', 'shop.users=150%', 'OPTION_VALUE', /up to 100%/],
    ['none of it', 'shop.users=0%', 'OPTION_VALUE', /above 0%/],
    ['a table that is none', 'shop.user=10%', 'NO_SUCH_TABLE', /none of that name/],
    ['a partition', 'shop.events_old=10%', 'NO_SUCH_TABLE', /with the table it is a part of/],
  ])('%s is refused', async (_, sample, code, why) => {
    const { exit, err } = await take('--sample-table', sample)
    expect([exit, err.includes(`[${code}]`)], err).toEqual([2, true])
    expect(err).toMatch(why)
  })
})
