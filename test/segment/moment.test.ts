/** Which recorded transactions a copy of the database contains, and where it says that it cannot tell. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ServerFacts } from '../../segment/manifest.js'
import { align, type CopyMoment, containedIn, type Within } from '../../segment/moment.js'

const ZERO = 1_800_000_000_000_000
const server: ServerFacts = {
  versionNum: 180000,
  version: '18.0',
  systemIdentifier: '7',
  database: 'shop',
  settings: {},
  startLsn: '0/0',
  clock: { zeroUs: ZERO, errorUs: 100, nextXid: '1000' },
}
const copy = (atUs: number, more: Partial<CopyMoment> = {}): CopyMoment => ({
  systemIdentifier: '7',
  database: 'shop',
  fromUs: ZERO + atUs,
  toUs: ZERO + atUs + 50,
  nextXid: '1000',
  open: 0,
  underWay: [],
  ...more,
})
const alignment = (moment: CopyMoment | undefined, of: Partial<ServerFacts> = {}) =>
  align({ server: { ...server, ...of }, endUs: 3_600_000_000 }, moment)

describe('a copy and a recording', () => {
  test.each([
    ['taken before', copy(-5_000_000), { kind: 'before', between: 0 }],
    [
      'taken before, and three transactions went by',
      copy(-5_000_000, { nextXid: '997' }),
      { kind: 'before', between: 3 },
    ],
    ['taken before, with one still open', copy(-5_000_000, { open: 1 }), { kind: 'before', between: 1 }],
    ['taken meanwhile', copy(60_000_000), expect.objectContaining({ kind: 'within' })],
    ['taken after', copy(3_700_000_000), { kind: 'after' }],
    ['of another cluster', copy(0, { systemIdentifier: '8' }), expect.objectContaining({ kind: 'unknown' })],
    ['of another database', copy(0, { database: 'ledger' }), expect.objectContaining({ kind: 'unknown' })],
    [
      'of a cluster that would not say',
      copy(0, { systemIdentifier: '' }),
      expect.objectContaining({ kind: 'unknown' }),
    ],
    ['of an older build', undefined, expect.objectContaining({ kind: 'unknown' })],
  ])('%s', (_, moment, expected) => {
    expect(alignment(moment)).toEqual(expected)
  })

  test('clocks drift, so an hour later less is known', () => {
    const width = (atUs: number) => {
      const found = alignment(copy(atUs))
      return found.kind === 'within' ? found.toUs - found.fromUs : 0
    }
    expect(width(1_000_000)).toBeCloseTo(250 + 100)
    expect(width(3_500_000_000)).toBeGreaterThan(300_000)
  })
})

describe('a transaction', () => {
  const within: Within = { fromUs: 1000, toUs: 1100, underWay: new Map([[5, 700]]), errorUs: 10 }
  const of = (pid: number, beginSentUs: number, endSentUs: number, endDoneUs: number) =>
    containedIn(within, { pid, beginSentUs, endSentUs, endDoneUs })

  test.each([
    ['answered before', of(1, 500, 900, 990), 'in'],
    ['sent after', of(1, 500, 1101, 1200), 'out'],
    ['committing at that moment', of(1, 500, 990, 1050), 'undecided'],
    ['committing at that moment, but seen under way', of(5, 690, 990, 1050), 'out'],
    ['of that backend, but not the one that was under way', of(5, 1005, 1006, 1090), 'undecided'],
  ])('%s', (_, found, expected) => {
    expect(found).toBe(expected)
  })

  test('is never taken for what it is not, wherever in its COMMIT it became visible', () => {
    const times = fc.tuple(fc.nat(2000), fc.nat(300), fc.nat(300), fc.nat(100))
    fc.assert(
      fc.property(times, fc.double({ min: 0, max: 1, noNaN: true }), ([begin, work, commit, at], share) => {
        const [endSentUs, endDoneUs] = [begin + work, begin + work + commit]
        const visibleUs = endSentUs + commit * share
        const takenUs = within.fromUs + at
        const found = of(1, begin, endSentUs, endDoneUs)
        if (found === 'in') expect(visibleUs).toBeLessThan(takenUs)
        if (found === 'out') expect(visibleUs).toBeGreaterThan(takenUs)
      }),
    )
  })
})
