import { describe, expect, test } from 'vitest'
import { buildModel, judgeDiff } from '../../reports/build-model.js'
import { DEFAULT_GATE } from '../../reports/gate-config.js'
import { type PastRun, parseHistory, remembered, streakLine } from '../../reports/gate-streak.js'
import { NOW_MS } from './build.js'
import { type SampleKind, sample } from './sample.js'

/** `PFI`: a rehearsal a day; the last one is judged. */
function runs(verdicts: string): PastRun[] {
  const names = { P: 'PASS', F: 'FAIL', I: 'INVALID' } as const
  return [...verdicts].map((letter, day) => ({
    diffId: `d${day}`,
    comparedAtMs: day * 86_400_000,
    verdict: names[letter as keyof typeof names],
  }))
}

test.each([
  { verdicts: 'P', row: 1 },
  { verdicts: 'PPP', row: 3 },
  { verdicts: 'PPFPP', row: 2 },
  { verdicts: 'PPF', row: 0 },
  { verdicts: 'PIPIP', row: 3 },
  { verdicts: 'PPI', row: 2 },
  { verdicts: 'I', row: 0 },
])('after $verdicts the row is $row', ({ verdicts, row }) => {
  const all = runs(verdicts)
  expect(streakLine(all.at(-1)!, all.slice(0, -1), 3)).toMatchObject({
    actual: row,
    outcome: row < 3 ? 'fail' : 'pass',
  })
})

test('the same diff judged again counts once, whatever it was before', () => {
  const history = runs('PPF')
  const again = { ...history[2]!, verdict: 'PASS' as const }
  expect(streakLine(again, history, 3).actual).toBe(3)
  expect(parseHistory(remembered(again, history), 'h')).toEqual(runs('PPP'))
})

test('an old diff is judged by what came before it', () => {
  const history = runs('PPF')
  expect(streakLine(history[1]!, history, 3).actual).toBe(2)
})

test('a history that is damaged is refused, not begun anew', () => {
  expect(() => parseHistory('{"runs": []}', 'gate.history.json')).toThrow('cannot use the gate')
  expect(() => parseHistory('', 'gate.history.json')).toThrow('cannot use the gate')
})

describe('the verdict', () => {
  const judged = (kind: SampleKind, history: PastRun[]) => {
    const source = sample({ kind })
    const { facts, gate } = judgeDiff(source, { ...DEFAULT_GATE, streakRuns: 3 }, NOW_MS, history)
    return { gate, model: buildModel(source, facts, gate, 'x.diff') }
  }

  test('waits for the row, and says that this rehearsal passed', () => {
    const { gate, model } = judged('PASS', runs('P'))
    expect(gate).toMatchObject({ verdict: 'FAIL', ownVerdict: 'PASS' })
    expect(model.headline).toBe('Not yet: V2 passed this rehearsal, and the gate asks for 3 in a row.')
    expect(model.why[0]).toBe('2 rehearsals passed in a row so far, 3 needed.')
  })

  test('passes with the row', () => {
    expect(judged('PASS', runs('PP')).gate).toMatchObject({ verdict: 'PASS', ownVerdict: 'PASS' })
  })

  test('INVALID stays INVALID', () => {
    expect(judged('INVALID', runs('PPP')).gate).toMatchObject({ verdict: 'INVALID', ownVerdict: 'INVALID' })
  })
})
