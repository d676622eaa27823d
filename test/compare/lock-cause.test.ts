import { describe, expect, test } from 'vitest'
import { newTableWaits } from '../../replayer/compare/lock-cause.js'
import type { LockFacts, LockWait } from '../../segment/locks.js'

const wait = (more: Partial<LockWait> = {}): LockWait => ({
  waiting: { fingerprint: 'look', sql: 'SELECT 1' },
  blocking: { fingerprint: 'write', sql: 'INSERT', state: 'idle in transaction' },
  table: 'orders',
  lockType: 'relation',
  mode: 'AccessShareLock',
  heldMode: 'AccessExclusiveLock',
  waits: 4,
  totalMs: 200,
  longestMs: 90,
  firstMs: 0,
  lastMs: 900,
  ...more,
})
const facts = (...waits: LockWait[]): LockFacts => ({
  sampledEveryMs: 100,
  samples: 9,
  waits,
  more: 0,
  timeline: [],
  deadlocks: 0,
})
const said = (baselines: readonly (LockFacts | undefined)[], after: LockFacts | undefined) =>
  newTableWaits(baselines, after).map(({ cause }) => cause.sentence(cause.detail))

describe('locks on tables that are new', () => {
  test('are told with their table, mode and size', () =>
    expect(said([facts(), facts()], facts(wait(), wait({ mode: 'RowExclusiveLock', waits: 1, totalMs: 20 })))).toEqual([
      'statements wait for a lock on all of orders (ACCESS EXCLUSIVE), which nobody waited for before: seen 5 times, 220 ms in all',
    ]))
  test('those behind what was injected are told so; that it had to wait itself is told with it', () => {
    const blocking = { fingerprint: 'alter', sql: 'ALTER TABLE orders', state: 'active', injected: true } as const
    const waiting = { fingerprint: 'alter', sql: 'ALTER TABLE orders', injected: true } as const
    expect(said([facts()], facts(wait({ blocking }), wait({ waiting, waits: 1, totalMs: 900 })))).toEqual([
      'statements wait for a lock on all of orders (ACCESS EXCLUSIVE) behind what was injected, which nobody waited for before: seen 4 times, 200 ms in all',
    ])
  })
  test('each table by itself', () =>
    expect(newTableWaits([facts()], facts(wait(), wait({ table: 'users' }))).map(({ waits }) => waits)).toEqual([4, 4]))
})

test.each([
  {
    name: 'waits for rows',
    baselines: [facts()],
    after: facts(wait({ lockType: 'transactionid' }), wait({ lockType: 'tuple' })),
  },
  {
    name: 'as many as before, on another table',
    baselines: [facts(), facts(wait({ table: 'old', totalMs: 100 }))],
    after: facts(wait()),
  },
  { name: 'a few', baselines: [facts()], after: facts(wait({ waits: 2 })) },
  { name: 'short ones', baselines: [facts()], after: facts(wait({ totalMs: 5 })) },
  { name: 'a first side that nobody looked at', baselines: [undefined], after: facts(wait()) },
  { name: 'a second side that nobody looked at', baselines: [facts()], after: undefined },
  { name: 'nothing to compare with', baselines: [], after: facts(wait()) },
])('no finding: $name', ({ baselines, after }) => expect(newTableWaits(baselines, after)).toEqual([]))
