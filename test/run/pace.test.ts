/** Pacing is arithmetic: tables. */
import { expect, test } from 'vitest'
import { dueUs, ramped, rampedStart, rateOf, sharedTurns, takeToken } from '../../replayer/run/pace.js'

test.each([
  { name: 'as recorded', offset: 1000, speed: 1, due: 1000 },
  { name: 'half speed doubles the gap', offset: 1000, speed: 0.5, due: 2000 },
  { name: 'a tenth of the speed', offset: 1000, speed: 0.1, due: 10_000 },
  { name: 'ten times as fast', offset: 1000, speed: 10, due: 100 },
  { name: 'one and a half', offset: 3000, speed: 1.5, due: 2000 },
  { name: 'max knows no time', offset: 1e9, speed: 'max' as const, due: 0 },
])('$name', ({ offset, speed, due }) => expect(dueUs(offset, speed)).toBe(due))

test('a ramp begins slowly, ends at full speed, and jumps nowhere', () => {
  const rampUs = 10_000
  expect(ramped(0, rampUs)).toBe(0)
  // Half way through, a quarter of what full speed would have had by then at its end: an eighth of a ramp.
  expect(ramped(rampUs / 8, rampUs)).toBe(rampUs / 2)
  expect(ramped(rampUs / 2, rampUs)).toBe(rampUs)
  expect(ramped(rampUs / 2 - 1e-6, rampUs)).toBeCloseTo(rampUs, 3)
  expect(ramped(rampUs, rampUs) - ramped(rampUs - 100, rampUs)).toBeCloseTo(100)
  expect(ramped(1234, 0)).toBe(1234)
})

test('without a schedule, sessions begin one after the other', () => {
  expect([0, 1, 2, 3].map((position) => rampedStart(position, 4, 1000))).toEqual([0, 250, 500, 750])
})

test('the schedule is absolute: a late statement does not move the next', () => {
  expect([0, 1, 2, 3].map((n) => dueUs(n * 10, 2))).toEqual([0, 5, 10, 15])
})

test('a rate of 1,000 a second lets a tenth of a second through at once, then one each millisecond', () => {
  const rate = rateOf(1000)
  let fullAtUs = 0
  const sendAt: number[] = []
  for (let i = 0; i < 103; i++) {
    const turn = takeToken(fullAtUs, 0, rate)
    fullAtUs = turn.fullAtUs
    sendAt.push(turn.sendAtUs)
  }
  expect(sendAt.slice(0, 101).every((us) => us === 0)).toBe(true)
  expect(sendAt.slice(101)).toEqual([1000, 2000])
})

test('after a pause the burst is whole again, and no larger', () => {
  const rate = rateOf(1000)
  expect(takeToken(50_000, 1_000_000, rate)).toEqual({ fullAtUs: 1_001_000, sendAtUs: 1_000_000 })
})

test('all workers share one rate', () => {
  const fullAtNs = new BigInt64Array(new SharedArrayBuffer(8))
  const [one, other] = [sharedTurns(fullAtNs, rateOf(10)), sharedTurns(fullAtNs, rateOf(10))]
  expect([one(0), other(0), one(0), other(0)]).toEqual([0, 0, 100_000, 200_000])
})
