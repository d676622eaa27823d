import { describe, expect, test } from 'vitest'
import { diceFor } from '../../fixtures/random.js'
import { Latencies, type Timed } from '../../replayer/compare/latency.js'
import { TimelineBuilder } from '../../replayer/compare/timeline.js'
import { done } from './examples.js'

/** Service times as they are: a long tail around a median. */
function longTail(dice: { next(): number }, medianUs: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - dice.next())) * Math.cos(2 * Math.PI * dice.next())
  return medianUs * Math.exp(normal * 0.6)
}

const NOW: Timed['productionUs'] = [0, 0]

type Kind = { readonly beforeUs: number; readonly afterUs: number; readonly count: number; readonly noisy?: boolean }

function measure(kinds: Readonly<Record<string, Kind>>, seed = 1, noise = false): Readonly<Record<string, string>> {
  const dice = diceFor(seed, 'latency')
  const latencies = new Latencies()
  for (const [fingerprint, { beforeUs, afterUs, count }] of Object.entries(kinds))
    for (let at = 0; at < count; at += 1) {
      const timed: Timed = {
        fingerprint,
        sql: fingerprint,
        seq: at,
        beforeUs: longTail(dice, beforeUs),
        afterUs: longTail(dice, afterUs),
        noiseUs: noise ? longTail(dice, beforeUs) : null,
        progress: at / count,
        productionUs: [at * 1000, at * 1000 + beforeUs],
      }
      latencies.add(timed)
    }
  return Object.fromEntries(latencies.list().map(({ row }) => [row.fingerprint, row.verdict]))
}

/** Ordinary company, so that one kind is not all there is. */
const others = Object.fromEntries(
  Array.from({ length: 40 }, (_, i) => [`other ${i}`, { beforeUs: 500 + i * 50, afterUs: 500 + i * 50, count: 100 }]),
)

describe('verdicts', () => {
  test.each([
    { name: 'twice as slow', beforeUs: 1000, afterUs: 2000, count: 100, is: 'slower' },
    { name: 'twenty times as slow, rarely run', beforeUs: 1000, afterUs: 20_000, count: 25, is: 'slower' },
    { name: 'twice as fast', beforeUs: 2000, afterUs: 1000, count: 100, is: 'faster' },
    { name: 'a little slower', beforeUs: 1000, afterUs: 1050, count: 500, is: 'same' },
    { name: 'twice as slow, which nobody notices', beforeUs: 50, afterUs: 100, count: 500, is: 'same' },
    { name: 'run a few times', beforeUs: 1000, afterUs: 9000, count: 10, is: 'too few' },
  ])('$name: $is', ({ is, ...kind }) => expect(measure({ ...others, kind }).kind).toBe(is))

  test('two equal runs show nothing, a hundred times over', () => {
    const verdicts = Array.from({ length: 100 }, (_, seed) => Object.values(measure(others, seed))).flat()
    expect(verdicts.filter((verdict) => verdict !== 'same')).toEqual([])
  }, 120_000)

  test('a machine that is slower as a whole is no regression of any kind of statement', () => {
    const slow = Object.fromEntries(
      Object.entries(others).map(([name, kind]) => [name, { ...kind, afterUs: kind.beforeUs * 2 }]),
    )
    const { '': overall, ...kinds } = measure(slow)
    expect(overall).toBe('slower')
    expect(new Set(Object.values(kinds))).toEqual(new Set(['same']))
  })

  test('a kind that is most of the traffic is measured by the others, not by itself', () => {
    const few = { beforeUs: 800, afterUs: 800, count: 60 }
    expect(measure({ few, most: { beforeUs: 1000, afterUs: 3000, count: 900 } })).toMatchObject({
      few: 'same',
      most: 'slower',
    })
    const onSlow = { beforeUs: 800, afterUs: 2400, count: 60 }
    expect(measure({ few: onSlow, most: { beforeUs: 1000, afterUs: 3000, count: 900 } })).toMatchObject({
      few: 'same',
      most: 'same',
    })
  })

  test('a busy minute is no regression', () => {
    const latencies = new Latencies()
    const dice = diceFor(3, 'busy')
    for (let at = 0; at < 1000; at += 1) {
      const busy = at >= 200 && at < 800 ? (at < 500 ? 6 : 0.9) : 0.95
      const timed = { fingerprint: 'f', sql: 'f', seq: at, noiseUs: null, progress: at / 1000, productionUs: NOW }
      latencies.add({ ...timed, beforeUs: longTail(dice, 1000), afterUs: longTail(dice, 1000) * busy })
    }
    expect(latencies.list().find(({ row }) => row.fingerprint === 'f')?.row.verdict).toBe('same')
  })

  test('the slowest executions are the examples', () => {
    const latencies = new Latencies()
    for (let seq = 1; seq <= 50; seq += 1)
      latencies.add({
        fingerprint: 'f',
        sql: 'f',
        seq,
        beforeUs: 100,
        afterUs: seq * 100,
        noiseUs: null,
        progress: seq / 50,
        productionUs: NOW,
      })
    expect(latencies.list()[1]?.slowest.map(({ seq }) => seq)).toEqual([50, 49, 48])
  })
})

describe('what it costs in a second of traffic', () => {
  /** Ten seconds of production, whatever the replays took: `often` ten times a second, `rarely` once in all. */
  const costs = () => {
    const latencies = new Latencies()
    const add = (fingerprint: string, atUs: number, beforeUs: number, afterUs: number) =>
      latencies.add({
        fingerprint,
        sql: fingerprint,
        seq: atUs,
        beforeUs,
        afterUs,
        noiseUs: null,
        progress: atUs / 1e7,
        productionUs: [atUs, atUs + 100_000],
      })
    for (let at = 0; at < 100; at += 1) {
      add('often', at * 100_000, 2000, 3000)
      add('saved', at * 100_000, 4000, 2500)
    }
    add('rarely', 0, 1000, 50_000)
    return latencies
  }
  test("counted in production's seconds, from the first statement to the last answer", () =>
    expect(costs().productionMs).toBe(10_000))
  test('lost and won alike, and what moves most comes first', () =>
    expect(
      costs()
        .list()
        .map(({ row }) => [row.fingerprint, row.impactMsPerSecond]),
    ).toEqual([
      ['', (100 * 1 - 100 * 1.5 + 49) / 10],
      ['saved', -15],
      ['often', 10],
      ['rarely', 4.9],
    ]))
  test('means count, not medians: what is slow now and then costs as well', () => {
    const latencies = new Latencies()
    for (let at = 0; at < 100; at += 1)
      latencies.add({
        fingerprint: 'f',
        sql: 'f',
        seq: at,
        beforeUs: 1000,
        afterUs: at % 10 === 0 ? 101_000 : 1000,
        noiseUs: null,
        progress: at / 100,
        productionUs: [at * 10_000, (at + 1) * 10_000],
      })
    expect(latencies.list()[1]?.row.impactMsPerSecond).toBe(1000)
  })
})

describe('the timeline', () => {
  const at = (seconds: number) => ({
    seq: 1,
    orderRelaxed: false,
    outcome: done('UPDATE 1', 1),
    timing: {
      dueUs: seconds * 1e6,
      sentUs: seconds * 1e6 + 2000,
      doneUs: seconds * 1e6 + 5000,
      waitOrderUs: 0,
      waitSessionUs: 0,
      waitWorkerUs: 0,
    },
  })
  test('a point per second', () => {
    const timeline = new TimelineBuilder()
    for (const seconds of [0, 0.5, 2]) timeline.add(at(seconds))
    expect(timeline.points()).toMatchObject([
      { atMs: 0, statements: 2, errors: 0, latenessMs: 2 },
      { atMs: 2000, statements: 1 },
    ])
    expect(timeline.points()[0]?.p50Ms).toBeCloseTo(3, 1)
  })
  test('a day has no more points than ten minutes, and loses none', () => {
    const timeline = new TimelineBuilder()
    for (let seconds = 0; seconds < 86_400; seconds += 10) timeline.add(at(seconds))
    expect(timeline.points().length).toBeLessThanOrEqual(600)
    expect(timeline.points().reduce((sum, { statements }) => sum + statements, 0)).toBe(8640)
  })
})
