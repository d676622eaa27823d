/** Recorded statements that reach beyond their database do not run in a replay, and the ledger says so. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replayTape } from '../run/support.js'
import { simple, Tape, unnamed } from '../run/tape.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let target: TestDatabase
beforeAll(async () => {
  target = await createDatabase('CREATE TABLE t (n int)')
})
afterAll(() => target.drop())

test('by either protocol; what stands around them runs', async () => {
  const role = `made_by_${target.name}`
  const tape = new Tape()
    .send(1, simple('INSERT INTO t VALUES (1)'))
    .send(1, simple(`COPY t TO PROGRAM 'false'`))
    .send(1, unnamed(`SELECT pg_read_file($1)`, ['postgresql.conf']))
    .send(1, simple(`CREATE ROLE ${role}`))
    .send(1, unnamed('INSERT INTO t VALUES ($1)', ['2']))
  const { facts, rows, skipped } = await replayTape(tape, target.url)
  expect(skipped.map(({ seq, reason }) => [seq, reason])).toEqual([
    [2, 'kept from the shadow: COPY … PROGRAM'],
    [3, 'kept from the shadow: a function on files of the server'],
    [4, 'kept from the shadow: CREATE ROLE'],
  ])
  expect(facts.ledger.seen.statements).toBe(5)
  expect(facts.ledger.kept.statements).toBe(2)
  expect(rows.map(({ outcome }) => outcome.error)).toEqual([null, null])
  expect((await target.query('SELECT n FROM t ORDER BY n')).rows).toEqual([{ n: 1 }, { n: 2 }])
  expect((await target.query('SELECT FROM pg_roles WHERE rolname = $1', [role])).rows).toEqual([])
})
