/** What a standstill is, and which wait ends it. */
import { expect, test } from 'vitest'
import { findReleases } from '../../replayer/run/watchdog.js'

/** Session, its parked statement (ordinal), position in the plan; the session and ordinal it waits for. */
type Parked = readonly [session: number, ordinal: number, index: number, on: number, onOrdinal: number]
/** Session, and whose locks it waits for. */
type Blocked = readonly [session: number, ...by: number[]]

const table: { name: string; parked: Parked[]; blocked: Blocked[]; released: number[] }[] = [
  { name: 'nobody waits', parked: [], blocked: [], released: [] },
  { name: 'a wait for somebody who works', parked: [[1, 5, 10, 2, 5]], blocked: [], released: [] },
  { name: 'a lock wait alone', parked: [], blocked: [[2, 1]], released: [] },
  { name: 'A waits for B by plan, B for the lock of A', parked: [[1, 5, 10, 2, 5]], blocked: [[2, 1]], released: [10] },
  {
    name: 'the same through a third',
    parked: [[1, 5, 10, 2, 5]],
    blocked: [
      [2, 3],
      [3, 1],
    ],
    released: [10],
  },
  {
    name: 'of two plan waits in a circle the lower goes',
    parked: [
      [1, 5, 10, 2, 5],
      [2, 5, 7, 3, 5],
    ],
    blocked: [[3, 1]],
    released: [7],
  },
  {
    name: 'whoever only waits for a circle stays',
    parked: [
      [1, 5, 10, 2, 5],
      [4, 5, 3, 1, 5],
    ],
    blocked: [[2, 1]],
    released: [10],
  },
  {
    name: 'two circles',
    parked: [
      [1, 5, 10, 2, 5],
      [3, 5, 5, 4, 5],
    ],
    blocked: [
      [2, 1],
      [4, 3],
    ],
    released: [5, 10],
  },
  { name: 'a lock held by somebody outside', parked: [[1, 5, 10, 2, 5]], blocked: [[2, 99]], released: [] },
  {
    name: 'two plan waits for each other',
    parked: [
      [1, 5, 10, 2, 5],
      [2, 5, 11, 1, 5],
    ],
    blocked: [],
    released: [10],
  },
  {
    name: 'in a pipeline, waiting for what was sent before the parked statement is no circle',
    parked: [
      [1, 1, 10, 2, 4],
      [2, 5, 11, 1, 1],
    ],
    blocked: [],
    released: [],
  },
  {
    name: 'unless what was sent before waits for a lock',
    parked: [
      [1, 1, 10, 2, 4],
      [2, 5, 11, 1, 1],
    ],
    blocked: [[2, 1]],
    released: [10],
  },
]

test.each(table)('$name', ({ parked, blocked, released }) => {
  const found = findReleases(
    parked.map(([session, ordinal, index, on, onOrdinal]) => ({ session, ordinal, index, on, onOrdinal })),
    blocked.map(([session, ...by]) => ({ session, by })),
  )
  expect(found.map(({ index }) => index)).toEqual(released)
})
