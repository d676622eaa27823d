/**
 * Lock waits while a replay runs: the pure log over looks, and looks at a real server on which sessions really wait.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LockLog, type SeenLock } from '../../replayer/run/lock-log.js'
import { LockSampler, lockLook } from '../../replayer/run/lock-sampler.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const seen = (more: Partial<SeenLock> = {}): SeenLock => ({
  pid: 1,
  since: '12:00:00',
  forMs: 50,
  sql: 'UPDATE t SET a = 1',
  lockType: 'relation',
  mode: 'RowExclusiveLock',
  table: 't',
  blockerPid: 9,
  blockerSql: 'LOCK TABLE t',
  blockerState: 'idle in transaction',
  heldMode: 'AccessExclusiveLock',
  ...more,
})
/** As if all statements that begin alike were of one kind. */
const log = () => new LockLog((sql) => sql.slice(0, 6))

describe('from looks to waits', () => {
  test('one wait that several looks see is one wait, as long as the last of them saw', () => {
    const one = log()
    one.look([seen({ forMs: 50 })], 100)
    one.look([seen({ forMs: 150 })], 200)
    one.look([], 300)
    expect(one.facts(100, 2)).toEqual({
      sampledEveryMs: 100,
      samples: 3,
      waits: [
        {
          waiting: { fingerprint: 'UPDATE', sql: 'UPDATE t SET a = 1' },
          blocking: { fingerprint: 'LOCK T', sql: 'LOCK TABLE t', state: 'idle in transaction' },
          table: 't',
          lockType: 'relation',
          mode: 'RowExclusiveLock',
          heldMode: 'AccessExclusiveLock',
          waits: 1,
          totalMs: 150,
          longestMs: 150,
          firstMs: 100,
          lastMs: 200,
        },
      ],
      more: 0,
      total: { waits: 1, ms: 150 },
      timeline: [{ atMs: 0, waiting: 1 }],
      deadlocks: 2,
    })
  })
  test('the same backend waits anew: another wait of the same kind', () => {
    const one = log()
    one.look([seen({ forMs: 30 })], 100)
    one.look([seen({ since: '12:00:07', forMs: 80, sql: 'UPDATE t SET a = 2' })], 900)
    expect(one.facts(100, 0).waits).toMatchObject([
      { waits: 2, totalMs: 110, longestMs: 80, firstMs: 100, lastMs: 900 },
    ])
  })
  test('what is in the way is what was at the first look: whoever holds a lock goes on to other statements', () => {
    const one = log()
    one.look([seen({ blockerSql: 'LOCK TABLE t' })], 100)
    one.look([seen({ forMs: 150, blockerSql: 'SELECT 1' })], 200.04)
    expect(one.facts(100, 0).waits).toMatchObject([
      { blocking: { sql: 'LOCK TABLE t' }, waits: 1, totalMs: 150, firstMs: 100, lastMs: 200 },
    ])
  })
  test('who stands behind two others waits once', () => {
    const one = log()
    one.look([seen(), seen({ blockerPid: 8, blockerSql: 'DELETE FROM t' })], 100)
    const { waits, total } = one.facts(100, 0)
    expect(waits).toHaveLength(2)
    expect(total).toEqual({ waits: 1, ms: 50 })
  })
  test('what was injected is told apart, on either side', () => {
    const one = log()
    one.look([seen({ blockerPid: 7 }), seen({ pid: 7, sql: 'ALTER TABLE t', blockerPid: 9 })], 100, [7])
    expect(one.facts(100, 0).waits.map(({ waiting, blocking }) => [waiting.injected, blocking.injected])).toEqual([
      [undefined, true],
      [true, undefined],
    ])
  })
  test('what is still waited for at the end counts', () => {
    const one = log()
    one.look([seen()], 100)
    expect(one.facts(100, 0).waits).toHaveLength(1)
  })
  test('other tables, modes and statements are apart, the longest waits first', () => {
    const one = log()
    one.look([seen(), seen({ pid: 2, table: 'u', forMs: 400 }), seen({ pid: 3, mode: 'ShareLock', forMs: 90 })], 100)
    expect(one.facts(100, 0).waits.map(({ table, mode }) => `${table} ${mode}`)).toEqual([
      'u RowExclusiveLock',
      't ShareLock',
      't RowExclusiveLock',
    ])
  })
  test('per second, the most that waited at once; seconds without waits are left out', () => {
    const one = log()
    one.look([seen()], 100)
    one.look([seen(), seen({ pid: 2 }), seen({ pid: 2, blockerPid: 8 })], 900)
    one.look([], 1500)
    one.look([seen()], 2100)
    expect(one.facts(100, 0).timeline).toEqual([
      { atMs: 0, waiting: 2 },
      { atMs: 2000, waiting: 1 },
    ])
  })
  test('kinds beyond the bound are counted, not kept', () => {
    const one = new LockLog((sql) => sql)
    one.look(
      Array.from({ length: 700 }, (_, at) => seen({ pid: at, sql: `SELECT ${at}` })),
      100,
    )
    const { waits, more } = one.facts(100, 0)
    expect(waits.length + more).toBe(700)
    expect(waits).toHaveLength(100)
  })
})

describe('looking at a server', () => {
  let db: TestDatabase
  const clients: pg.Client[] = []
  const client = async (): Promise<pg.Client> => {
    const one = new pg.Client(db.url)
    one.on('error', () => {})
    clients.push(one)
    await one.connect()
    return one
  }
  beforeAll(async () => {
    db = await createDatabase(
      'CREATE SCHEMA audit; CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 1); CREATE TABLE audit.log (a int)',
    )
  })
  afterAll(async () => {
    for (const one of clients) await one.end().catch(() => {})
    await db?.drop()
  })

  /** Until somebody is seen to wait. */
  async function firstLook(): Promise<readonly SeenLock[]> {
    const looker = await client()
    const { rows: version } = await looker.query("SELECT current_setting('server_version_num')::int AS num")
    for (;;) {
      const { rows } = await looker.query<SeenLock>(lockLook(version[0].num as number))
      if (rows.length > 0) return rows
    }
  }

  test.each([
    {
      name: 'a table',
      holds: 'LOCK TABLE audit.log IN EXCLUSIVE MODE',
      waits: 'INSERT INTO audit.log VALUES (2)',
      is: { table: 'audit.log', lockType: 'relation', mode: 'RowExclusiveLock', heldMode: 'ExclusiveLock' },
    },
    {
      name: "a row, which is waited for as its owner's transaction",
      holds: 'UPDATE t SET b = 2 WHERE a = 1',
      waits: 'UPDATE t SET b = 3 WHERE a = 1',
      is: { table: 't', lockType: 'transactionid', mode: 'ShareLock', heldMode: 'ExclusiveLock' },
    },
    {
      name: 'an advisory lock',
      holds: 'SELECT pg_advisory_xact_lock(4711)',
      waits: 'SELECT pg_advisory_xact_lock(4711)',
      is: { table: '', lockType: 'advisory', mode: 'ExclusiveLock', heldMode: 'ExclusiveLock' },
    },
  ])('$name: who waits, for whom, in which mode', async ({ holds, waits, is }) => {
    const [holder, waiter] = [await client(), await client()]
    await holder.query('BEGIN')
    await holder.query(holds)
    const waiting = waiter.query(waits)
    const [look] = await firstLook()
    expect(look).toMatchObject({ ...is, sql: waits, blockerSql: holds, blockerState: 'idle in transaction' })
    await holder.query('ROLLBACK')
    await waiting
  })

  test('a deadlock counts, however short before the end it was', async () => {
    const [one, other, looker] = [await client(), await client(), await client()]
    const { rows } = await looker.query("SELECT current_setting('server_version_num')::int AS num")
    const target = {
      facts: { versionNum: rows[0].num as number },
      ask: async <Row extends object>(sql: string) => (await looker.query<Row>(sql)).rows,
    } as Parameters<typeof LockSampler.begin>[0]
    const sampler = await LockSampler.begin(target, () => 0)
    for (const [who, key] of [
      [one, 1],
      [other, 2],
    ] as const) {
      await who.query('BEGIN')
      await who.query(`SELECT pg_advisory_xact_lock(${key})`)
    }
    const ends = await Promise.allSettled([
      one.query('SELECT pg_advisory_xact_lock(2)'),
      other.query('SELECT pg_advisory_xact_lock(1)'),
    ])
    expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    for (const who of clients.splice(0)) if (who !== looker) await who.end()
    expect((await sampler.end()).deadlocks).toBe(1)
    await looker.end()
  })
})
