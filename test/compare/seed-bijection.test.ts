import { describe, expect, test } from 'vitest'
import { Bijection } from '../../replayer/compare/bijection.js'
import { seedBijection } from '../../replayer/compare/seed-bijection.js'
import type { RunRole } from '../../segment/run.js'
import { factsOf, sourceOf } from './lab.js'

type Drawn = Readonly<Record<string, string>>

/** What runs drew in place of production's values, and what stands for a value of the first in the second. */
function counterparts(before: Drawn, after: Drawn, role: RunRole = 'baseline') {
  const run = (drawn: Drawn, own: RunRole) =>
    sourceOf(
      [],
      factsOf(own, 0, 0),
      Object.entries(drawn).map(([key, actual]) => {
        const [domain = '', recorded = ''] = key.split(' ')
        return { domain, recorded, actual }
      }),
    )
  const bijection = new Bijection()
  seedBijection(bijection, run(before, role), run(after, 'candidate'), (domain) => domain === 'orders.id')
  return (key: string) => bijection.counterpart(...(key.split(' ') as [string, string]))
}

describe('what stands for what in two runs', () => {
  test('values that both drew in place of one of production', () => {
    const of = counterparts({ 'tokens.id p': 'a' }, { 'tokens.id p': 'b' })
    expect([of('tokens.id a'), of('tokens.id p')]).toEqual(['b', undefined])
  })
  test("production's own, where it is one of the two", () =>
    expect(counterparts({}, { 'tokens.id p': 'b' }, 'production')('tokens.id p')).toBe('b'))
  test('a number that the first run drew as production did, and the second did not', () =>
    expect(counterparts({}, { 'orders.id 7': '6' })('orders.id 7')).toBe('6'))
  test('and the other way', () => expect(counterparts({ 'orders.id 7': '6' }, {})('orders.id 6')).toBe('7'))
  test('random keys of which one run says nothing stay unknown', () => {
    expect(counterparts({}, { 'tokens.id p': 'b' })('tokens.id p')).toBeUndefined()
    expect(counterparts({ 'tokens.id p': 'a' }, {})('tokens.id a')).toBeUndefined()
  })
})
