/** Pacing is arithmetic: tables. */
import { expect, test } from 'vitest'
import { dueUs, pace, rateOf, sharedTurns, takeToken } from '../../replayer/run/pace.js'

test.each([
  { name: 'waits out the gap', offset: 1000, elapsed: 0, speed: 1, step: { kind: 'wait', waitUs: 1000 } },
  { name: 'half speed doubles the gap', offset: 1000, elapsed: 0, speed: 0.5, step: { kind: 'wait', waitUs: 2000 } },
  { name: 'a tenth of the speed', offset: 1000, elapsed: 0, speed: 0.1, step: { kind: 'wait', waitUs: 10_000 } },
  { name: 'ten times as fast', offset: 1000, elapsed: 0, speed: 10, step: { kind: 'wait', waitUs: 100 } },
  { name: 'one and a half', offset: 3000, elapsed: 500, speed: 1.5, step: { kind: 'wait', waitUs: 1500 } },
  { name: 'due exactly now', offset: 1000, elapsed: 1000, speed: 1, step: { kind: 'send', lateUs: 0 } },
  {
    name: 'late: sends at once, says how late',
    offset: 1000,
    elapsed: 1500,
    speed: 1,
    step: { kind: 'send', lateUs: 500 },
  },
  { name: 'max knows no time', offset: 1e9, elapsed: 0, speed: 'max' as const, step: { kind: 'send', lateUs: 0 } },
])('$name', ({ offset, elapsed, speed, step }) => expect(pace(offset, elapsed, speed)).toEqual(step))

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
