import { describe, expect, test } from 'vitest'
import { LatencyDrift } from '../../recorder/drain/latency-drift.js'
import { Breaker } from '../../recorder/guard/breaker.js'
import { readingsOf } from '../../recorder/guard/production.js'
import { USUAL_THRESHOLDS, VITAL_NAMES, vitalText } from '../../recorder/guard/vitals.js'

describe('the circuit breaker', () => {
  test('trips at once for what fills up, and says what it saw and where the limit is', () => {
    const breaker = new Breaker({ rss: 2 ** 30 })
    expect(breaker.look({ rss: 2 ** 29 }, 0)).toBeNull()
    expect(breaker.look({ rss: 1.5 * 2 ** 30 }, 200)).toEqual({
      kind: 'trip',
      vital: 'rss',
      detail: 'rss 1536 MB, above 1024 MB',
    })
    expect(breaker.trippedBy).toBe('rss')
  })

  test('a disk is bad below its limit', () => {
    const breaker = new Breaker({ 'free-disk': 2 ** 30 })
    expect(breaker.look({ 'free-disk': 2 ** 31 }, 0)).toBeNull()
    expect(breaker.look({ 'free-disk': 2 ** 29 }, 1)).toMatchObject({ kind: 'trip', vital: 'free-disk' })
  })

  test('what comes and goes must stay for a while; a moment of relief starts the count anew', () => {
    const breaker = new Breaker({ ring: 0.9 })
    expect(breaker.look({ ring: 0.95 }, 0)).toBeNull()
    expect(breaker.look({ ring: 0.5 }, 4000)).toBeNull()
    expect(breaker.look({ ring: 0.95 }, 4200)).toBeNull()
    expect(breaker.look({ ring: 0.95 }, 9100)).toBeNull()
    expect(breaker.look({ ring: 0.95 }, 9200)).toMatchObject({ kind: 'trip', vital: 'ring' })
  })

  test('closes when all has been well for a while, and that while doubles with each trip', () => {
    const breaker = new Breaker({ rss: 100, ring: 0.9 }, 1000)
    expect(breaker.look({ rss: 200, ring: 0 }, 0)).toMatchObject({ kind: 'trip' })
    expect(breaker.look({ rss: 50, ring: 0 }, 100)).toBeNull()
    // Another one keeps it open.
    expect(breaker.look({ rss: 50, ring: 0.95 }, 600)).toBeNull()
    expect(breaker.look({ rss: 50, ring: 0 }, 1200)).toBeNull()
    expect(breaker.look({ rss: 50, ring: 0 }, 2199)).toBeNull()
    expect(breaker.look({ rss: 50, ring: 0 }, 2200)).toMatchObject({ kind: 'close' })
    expect(breaker.look({ rss: 200, ring: 0 }, 3000)).toMatchObject({ kind: 'trip' })
    expect(breaker.look({ rss: 50, ring: 0 }, 3100)).toBeNull()
    expect(breaker.look({ rss: 50, ring: 0 }, 5099)).toBeNull()
    expect(breaker.look({ rss: 50, ring: 0 }, 5100)).toMatchObject({ kind: 'close' })
    expect(breaker.trips).toBe(2)
  })

  test('a vital of production is armed when it was seen well: what was so before is not the recorder', () => {
    const breaker = new Breaker({ 'oldest-transaction': 1000 })
    expect(breaker.look({ 'oldest-transaction': 5000 }, 0)).toBeNull()
    expect(breaker.look({ 'oldest-transaction': 10 }, 1000)).toBeNull()
    expect(breaker.look({ 'oldest-transaction': 1001 }, 2000)).toMatchObject({ kind: 'trip' })
  })

  test('what is not known neither trips it nor closes it', () => {
    const breaker = new Breaker({ 'replication-lag': 1000 }, 0)
    breaker.look({ 'replication-lag': 0 }, 0)
    breaker.look({ 'replication-lag': 2000 }, 0)
    expect(breaker.look({}, 9000)).toBeNull()
    expect(breaker.look({ 'replication-lag': 2000 }, 9001)).toMatchObject({ kind: 'trip' })
    expect(breaker.look({}, 20_000)).toBeNull()
    expect(breaker.look({ 'replication-lag': 5 }, 20_001)).toMatchObject({ kind: 'close' })
  })

  test('what has no threshold is not looked at, and every vital has a usual one and a text', () => {
    expect(new Breaker({}).look({ rss: Number.MAX_VALUE, ring: 1 }, 1e9)).toBeNull()
    for (const vital of VITAL_NAMES)
      expect(vitalText(vital, USUAL_THRESHOLDS[vital]!)).toMatch(/^[\d.]+ (%|ms|s|MB|×)$/)
  })
})

test.each([
  { name: 'no standby, nobody else', row: { active: 0, oldestMs: null, lagMs: null, seesAll: true } },
  { name: 'others cannot be seen', row: { active: 0.5, oldestMs: 5, lagMs: null, seesAll: false } },
])('production: $name', ({ row }) => {
  expect(readingsOf(row)).toEqual(
    row.seesAll ? { 'active-sessions': 0, 'oldest-transaction': 0, 'replication-lag': 0 } : { 'replication-lag': 0 },
  )
})

describe('latency drift', () => {
  const second = 1_000_000
  const feed = (drift: LatencyDrift, fingerprint: string, tookUs: number, count: number, fromUs: number) => {
    for (let i = 0; i < count; i++) drift.add(fingerprint, fromUs + i - tookUs, fromUs + i)
  }

  test('is the factor by which the same statements became slower', () => {
    const drift = new LatencyDrift()
    feed(drift, 'a', 100, 100, second)
    expect(drift.value).toBeNaN()
    feed(drift, 'a', 300, 100, 6 * second)
    feed(drift, 'a', 300, 1, 12 * second)
    expect(drift.value).toBeCloseTo(3, 5)
  })

  test('is not moved by another mix of statements, nor by one slow execution', () => {
    const drift = new LatencyDrift()
    feed(drift, 'fast', 100, 100, second)
    feed(drift, 'slow', 100_000, 31, second)
    feed(drift, 'slow', 100_000, 500, 6 * second)
    feed(drift, 'fast', 10_000_000, 1, 7 * second)
    feed(drift, 'slow', 100_000, 1, 12 * second)
    expect(drift.value).toBeGreaterThan(0.95)
    expect(drift.value).toBeLessThan(1.05)
  })
})
