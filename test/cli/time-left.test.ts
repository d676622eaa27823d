import { expect, test } from 'vitest'
import { timeLeft } from '../../cli/units.js'

test.each([
  { name: 'nothing is done yet', done: 0, total: 100, elapsedMs: 5_000, says: '' },
  { name: 'too early to tell', done: 50, total: 100, elapsedMs: 900, says: '' },
  { name: 'half is done', done: 50, total: 100, elapsedMs: 10_000, says: ', 10 s left' },
  { name: 'a long way', done: 1, total: 61, elapsedMs: 10_000, says: ', 10 min left' },
  { name: 'a very long way', done: 1, total: 1_001, elapsedMs: 10_000, says: ', 2.8 h left' },
  { name: 'more than was expected', done: 120, total: 100, elapsedMs: 10_000, says: '' },
])('$name', ({ done, total, elapsedMs, says }) => expect(timeLeft(done, total, elapsedMs)).toBe(says))
