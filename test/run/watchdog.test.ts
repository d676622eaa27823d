/** What a standstill is, and which wait ends it. */
import { expect, test } from 'vitest'
import { findReleases } from '../../replayer/run/watchdog.js'

test.each([
  { name: 'nobody waits', parked: [], blocked: [], released: [] },
  { name: 'a wait for somebody who works', parked: [[1, 10, 2]], blocked: [], released: [] },
  { name: 'a lock wait alone', parked: [], blocked: [[2, 1]], released: [] },
  { name: 'A waits for B by plan, B for the lock of A', parked: [[1, 10, 2]], blocked: [[2, 1]], released: [10] },
  {
    name: 'the same through a third',
    parked: [[1, 10, 2]],
    blocked: [
      [2, 3],
      [3, 1],
    ],
    released: [10],
  },
  {
    name: 'of two plan waits in a circle the lower goes',
    parked: [
      [1, 10, 2],
      [2, 7, 3],
    ],
    blocked: [[3, 1]],
    released: [7],
  },
  {
    name: 'whoever only waits for a circle stays',
    parked: [
      [1, 10, 2],
      [4, 3, 1],
    ],
    blocked: [[2, 1]],
    released: [10],
  },
  {
    name: 'two circles',
    parked: [
      [1, 10, 2],
      [3, 5, 4],
    ],
    blocked: [
      [2, 1],
      [4, 3],
    ],
    released: [5, 10],
  },
  { name: 'a lock held by somebody outside', parked: [[1, 10, 2]], blocked: [[2, 99]], released: [] },
] as { name: string; parked: number[][]; blocked: number[][]; released: number[] }[])(
  '$name',
  ({ parked, blocked, released }) => {
    const found = findReleases(
      parked.map(([session, index, on]) => ({ session: session!, index: index!, on: on! })),
      blocked.map(([session, ...by]) => ({ session: session!, by })),
    )
    expect(found.map(({ index }) => index)).toEqual(released)
  },
)
