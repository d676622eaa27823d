/** How tables are compared beside other work: several connections to each side, all of one moment, slowed down on request. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { restMs, type Sides, shareOut, withSides } from '../../replayer/compare/verify-sides.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let before: TestDatabase
let after: TestDatabase
beforeAll(async () => {
  const schema = 'CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 10)'
  ;[before, after] = await Promise.all([createDatabase(schema), createDatabase(schema)])
})
afterAll(async () => {
  await before?.drop()
  await after?.drop()
})

const opened = <T>(jobs: number, work: (pairs: readonly Sides[]) => Promise<T>, load = 1) =>
  withSides({ beforeUrl: before.url, afterUrl: after.url, jobs, load }, work)
const counted = async (client: Sides['before']) =>
  (await client.query<{ n: number }>('SELECT count(*)::int AS n FROM t')).rows[0]!.n

test('all connections of a side see it at one moment, whatever others write meanwhile', async () => {
  const seen = await opened(3, async (pairs) => {
    const first = await counted(pairs[0]!.before)
    await before.query('INSERT INTO t VALUES (11)')
    await after.query('DELETE FROM t WHERE a = 1')
    return [first, ...(await Promise.all(pairs.flatMap((pair) => [counted(pair.before), counted(pair.after)])))]
  })
  expect(seen).toEqual([10, 10, 10, 10, 10, 10, 10])
  expect(await opened(1, async ([pair]) => [await counted(pair!.before), await counted(pair!.after)])).toEqual([11, 9])
})

test('nothing can be written through them', async () => {
  await expect(opened(2, (pairs) => pairs[1]!.after.query('DELETE FROM t'))).rejects.toMatchObject({ code: '25006' })
})

describe('as many tables at a time as there are connections', () => {
  test('each waits for all others to have begun, and all end', async () => {
    let begun = 0
    let allBegan = (): void => {}
    const together = new Promise<void>((resolve) => {
      allBegan = resolve
    })
    const backends = await opened(3, (pairs) =>
      shareOut(['a', 'b', 'c'], pairs, async (name, { before: client }) => {
        begun += 1
        if (begun === 3) allBegan()
        await together
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
        return { name, pid: rows[0]!.pid }
      }),
    )
    expect(backends.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(new Set(backends.map(({ pid }) => pid)).size).toBe(3)
  })

  test('never more than that', async () => {
    let now = 0
    let most = 0
    await opened(2, (pairs) =>
      shareOut([1, 2, 3, 4, 5, 6], pairs, async (_, { before: client }) => {
        now += 1
        most = Math.max(most, now)
        await client.query('SELECT pg_sleep(0.01)')
        now -= 1
      }),
    )
    expect(most).toBe(2)
  })

  test('one that fails ends the rest: none is begun after it', async () => {
    const begun: number[] = []
    const failing = opened(1, (pairs) =>
      shareOut([1, 2, 3], pairs, async (item, { before: client }) => {
        begun.push(item)
        if (item === 2) await client.query('SELECT 1 / 0')
      }),
    )
    await expect(failing).rejects.toMatchObject({ code: '22012' })
    expect(begun).toEqual([1, 2])
  })
})

describe('slowed down', () => {
  test.each([
    { load: 1, rest: 0 },
    { load: 0.5, rest: 100 },
    { load: 0.25, rest: 300 },
    { load: 0.1, rest: 900 },
  ])('after 100 ms of work, a load of $load rests $rest ms', ({ load, rest }) =>
    expect(restMs(100, load)).toBeCloseTo(rest, 6),
  )

  test('the server has long answered and is left alone, while the next question waits', async () => {
    const order: string[] = []
    await opened(
      1,
      async ([pair]) => {
        const asked = pair!.before.query('SELECT pg_sleep(0.3)').then(() => order.push('went on'))
        const idle = async () => {
          const { rows } = await after.query(
            `SELECT state FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(0.3)' AND state LIKE 'idle%'`,
          )
          return rows.length > 0
        }
        while (!(await idle()));
        order.push('server idle')
        await asked
      },
      0.1,
    )
    expect(order).toEqual(['server idle', 'went on'])
  })
})
