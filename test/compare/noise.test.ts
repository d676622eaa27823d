import { beforeAll, describe, expect, test } from 'vitest'
import { Bijection } from '../../replayer/compare/bijection.js'
import { IgnoreList, parseIgnoreRule } from '../../replayer/compare/ignore.js'
import { Noise } from '../../replayer/compare/noise.js'
import { loadParser } from '../../sql/parse.js'
import { column, outcome } from './examples.js'
import { collect, type Performed, recordingOf, runOf, type Sent } from './lab.js'

function learnt(compared: number, noise: number, candidate: number): Noise {
  const learnt = new Noise()
  for (let at = 0; at < compared; at += 1)
    learnt.observe('f', at < noise ? ['column 1'] : [], at < candidate ? ['column 1'] : [])
  return learnt
}

describe('noise, by rate', () => {
  test.each([
    { compared: 1000, noise: 0, candidate: 1, is: false },
    { compared: 1000, noise: 100, candidate: 110, is: true },
    { compared: 1000, noise: 5, candidate: 9, is: true },
    { compared: 1000, noise: 5, candidate: 900, is: false },
    { compared: 1000, noise: 1000, candidate: 1000, is: true },
  ])(
    'of $compared, $noise differ by themselves and $candidate from the candidate: $is',
    ({ compared, noise, candidate, is }) =>
      expect(learnt(compared, noise, candidate).isNoise('f', 'column 1')).toBe(is),
  )
  test('another column or another kind of statement has noise of its own', () => {
    const noise = learnt(100, 50, 50)
    expect(noise.isNoise('f', 'column 0')).toBe(false)
    expect(noise.isNoise('g', 'column 1')).toBe(false)
  })
})

describe('a noise run', () => {
  const columns = [column('id', 23), column('load')]
  const script: readonly Sent[] = Array.from({ length: 60 }, () => ({ sql: 'SELECT id, load FROM machines' }))
  const times = script.map((_, at): [number, number] => [at * 1000, at * 1000 + 500])
  const run = (load: (at: number) => string, id: (at: number) => string = String): Performed => ({
    outcomes: script.map((_, at) => outcome(columns, [[id(at), load(at)]])),
    timesUs: times,
    startedAtMs: 0,
  })
  const catalog = {
    database: 'x',
    serverVersionNum: 180000,
    searchPath: ['public'],
    relations: [],
    types: [],
    functions: [],
  }
  beforeAll(loadParser)

  async function compared(candidate: Performed, noisy = true) {
    const baseline = run((at) => `load ${at}`)
    const recording = await recordingOf(script, baseline, catalog)
    const again = run((at) => (at % 3 === 0 ? `load ${at} again` : `load ${at}`))
    return collect({
      before: runOf(baseline, 'baseline'),
      after: runOf(candidate, 'candidate'),
      recording,
      ...(noisy ? { noise: runOf(again, 'noise') } : {}),
    })
  }

  test('excuses what differs by itself, and counts it', async () => {
    const diff = await compared(run((at) => (at % 3 === 1 ? `load ${at} other` : `load ${at}`)))
    expect(diff.findings).toEqual([])
    expect(diff.facts).toMatchObject({ discrepancies: 0, excused: { noise: 20 } })
    expect(diff.facts.noise).toMatchObject({ role: 'noise', statements: 60 })
  })
  test('does not excuse another column', async () => {
    const diff = await compared(
      run(
        (at) => (at % 3 === 1 ? `load ${at} other` : `load ${at}`),
        (at) => String(at + 1000),
      ),
    )
    expect(diff.findings).toMatchObject([{ columns: ['id'], count: 60 }])
  })
  test('does not excuse what differs every time', async () => {
    const diff = await compared(run((at) => `lo ${at}`))
    expect(diff.findings.map(({ columns }) => columns)).toEqual([['load']])
    // A third of them differs by itself at that very statement.
    expect(diff.facts).toMatchObject({ discrepancies: 40, excused: { noise: 20 } })
  })
  test('without one, all of it is found', async () =>
    expect(
      (
        await compared(
          run((at) => (at % 3 === 1 ? `load ${at} other` : `load ${at}`)),
          false,
        )
      ).facts.discrepancies,
    ).toBe(20))
})

describe('the ignore list', () => {
  test.each([
    { rule: 'users.seen', is: { kind: 'column', table: 'users', column: 'seen' } },
    { rule: '*.seen', is: { kind: 'column', table: '*', column: 'seen' } },
    { rule: 'audit.users.seen', is: { kind: 'column', table: 'audit.users', column: 'seen' } },
    { rule: 'seen', is: { kind: 'column', table: '*', column: 'seen' } },
    {
      rule: 'orders.total~0.01',
      is: { kind: 'tolerance', table: 'orders', column: 'total', tolerance: { kind: 'number', by: 0.01 } },
    },
    {
      rule: 'orders.at~5s',
      is: { kind: 'tolerance', table: 'orders', column: 'at', tolerance: { kind: 'time', byUs: 5e6 } },
    },
    { rule: 'fingerprint:0123456789abcdef', is: { kind: 'fingerprint', fingerprint: '0123456789abcdef' } },
  ])('$rule', ({ rule, is }) => expect(parseIgnoreRule(rule)).toEqual(is))
  test.each(['', 'orders.total~', 'orders.total~5 apples', 'fingerprint:xyz~1~2'])(
    'refuses "%s" with what is possible',
    (rule) => expect(() => parseIgnoreRule(rule)).toThrow(expect.objectContaining({ code: 'IGNORE_RULE', exit: 2 })),
  )
  test('names columns of its table only', () => {
    const list = new IgnoreList(['users.seen', '*.load'].map(parseIgnoreRule))
    expect([
      list.column('users', 'seen'),
      list.column('orders', 'seen'),
      list.column('', 'load'),
      list.column('users', 'name'),
    ]).toEqual([true, false, true, false])
  })
})

describe('renamed values', () => {
  test('stand for each other in both directions', () => {
    const names = new Bijection()
    expect(names.agrees('d', '1', 'a')).toBeUndefined()
    expect(names.learn('d', '1', 'a')).toBe(true)
    expect(names.agrees('d', '1', 'a')).toBe(true)
    expect(names.agrees('d', '1', 'b')).toBe(false)
    expect(names.agrees('d', '2', 'a')).toBe(false)
    expect(names.agrees('other', '1', 'b')).toBeUndefined()
  })
  test('beyond the bound they are counted, not kept', () => {
    const names = new Bijection(1)
    names.learn('d', '1', 'a')
    names.learn('d', '2', 'b')
    expect(names.forgotten).toBe(1)
    expect(names.agrees('d', '2', 'b')).toBeUndefined()
  })
})
