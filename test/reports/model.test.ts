import { describe, expect, test } from 'vitest'
import { markCell, viewRows } from '../../reports/rows.js'
import { clip, pieces, plain } from '../../reports/text.js'
import { modelOf } from './build.js'
import { sample } from './sample.js'

describe('the model', () => {
  const model = modelOf(sample({ kind: 'FAIL' }))

  test('is plain data: it survives being written down', () => {
    expect(JSON.parse(JSON.stringify(model))).toEqual(model)
  })

  test('findings come worst first, with share, course and examples', () => {
    expect(model.findings.map((finding) => finding.mismatch)).toEqual([
      'SCHEMA_CONSTRAINT_VIOLATION',
      'SQL_ERROR',
      'SEMANTIC_MISMATCH',
      'SEMANTIC_MISMATCH',
      'SEMANTIC_MISMATCH',
      'SEMANTIC_MISMATCH',
      'SEMANTIC_MISMATCH',
      'LATENCY_SPIKE',
    ])
    for (const finding of model.findings) {
      expect(finding.trend.reduce((sum, one) => sum + one, 0)).toBe(finding.count)
      expect(finding.examples).toHaveLength(3)
    }
  })

  test('a trend stands where in the recording it was seen', () => {
    const vanished = model.findings.find((finding) => finding.subKind === 'error_vanished')
    const slices = vanished?.trend.flatMap((count, i) => (count > 0 ? [i] : []))
    expect(slices?.every((slice) => slice >= 18 && slice <= 21)).toBe(true)
  })

  test('the verdict is a sentence, with one more for each reason', () => {
    expect(model.verdict).toBe('FAIL')
    expect(model.headline).toBe(
      'V2 is not ready: 8 findings beyond what the gate allows, 1 table holds something else after the replay, and it is slower than allowed.',
    )
    expect(model.why).toContain('email is cut to 32 characters (1,565 statements, 3 query shapes).')
  })

  test('a pass claims no more than was compared', () => {
    const pass = modelOf(sample({ kind: 'PASS' }))
    expect(pass.headline).toBe('V2 answered all 183,950 compared statements as V1 did.')
    expect(pass.why.join(' ')).toContain('7,893 statements differed without being a finding')
  })

  test('an invalid one says why, and does not judge V2', () => {
    const invalid = modelOf(sample({ kind: 'INVALID' }))
    expect(invalid.headline).toContain('No verdict on V2')
    expect(invalid.why[0]).toContain('The connection to the candidate was lost')
  })

  test('latency begins with what costs most, and its tails have intervals', () => {
    const [first] = model.latency.queries
    expect(first?.verdict).toBe('slower')
    expect(first?.p95.low).toBeLessThan(first?.p95.ratio ?? 0)
    expect(first?.p95.high).toBeGreaterThan(first?.p95.ratio ?? 0)
    const { distribution, count } = first ?? {}
    expect(distribution?.before.reduce((sum, one) => sum + one, 0)).toBe(count)
  })
})

describe('row diffs', () => {
  const v1 = (cell: string | null, other: string | null) => markCell(cell, other).before
  const v2 = (cell: string | null, other: string | null) => markCell(cell, other).after

  test('words within a cell are marked', () => {
    expect(v1('2026-11-17 09:30', '2026-11-17 11:30')).toEqual([
      ['=', '2026-11-17 '],
      ['-', '09'],
      ['=', ':30'],
    ])
  })

  test('a value cut short is the same value up to there', () => {
    expect(v1('anna@example.com', 'anna@exa')).toEqual([
      ['=', 'anna@exa'],
      ['-', 'mple.com'],
    ])
    expect(v2('Montgomery', 'Montgom')).toEqual([['=', 'Montgom']])
  })

  test('NULL and the empty string are different things', () => {
    expect([v1(null, ''), v2(null, '')]).toEqual([null, []])
    expect(v2(null, 'x')).toEqual([['+', 'x']])
  })

  test('a megabyte in a cell is a line, and the change stays in sight', () => {
    const long = 'x'.repeat(1_000_000)
    const cell = v2(`${long}a${long}`, `${long}b${long}`)
    const shown = cell?.map(([, text]) => text).join('') ?? ''
    expect(shown.length).toBeLessThan(400)
    expect(cell).toContainEqual(['+', 'b'])
    expect(cell?.filter(([kind]) => kind === '~')).toHaveLength(2)
  })

  test('rows pair by what they share, moved ones included', () => {
    const view = viewRows({
      columns: ['id', 'name', 'city'],
      before: [
        ['1', 'Ada', 'Bath'],
        ['2', 'Bob', 'Cork'],
        ['3', 'Cem', 'Graz'],
      ],
      after: [
        ['1', 'Ada', 'Bath'],
        ['3', 'Cem', 'GRAZ'],
      ],
    })
    expect(view.equal).toBe(1)
    expect(view.changed).toEqual([2])
    expect(view.pairs.map((pair) => pair.kind).sort()).toEqual(['changed', 'removed'])
  })

  test('many rows stay few, and the rest is counted', () => {
    const rows = (suffix: string) => Array.from({ length: 5_000 }, (_, i) => [String(i), `${i}${suffix}`])
    const view = viewRows({ columns: ['id', 'v'], before: rows('a'), after: rows('b') })
    expect(view.pairs).toHaveLength(12)
    expect(view.more).toBe(188 + 4_800)
  })
})

describe('captured text', () => {
  test('what cannot be seen is named', () => {
    expect(plain('a\0b\u202Ec\uFEFF')).toBe('a<U+0000>b<U+202E>c<U+FEFF>')
    expect(plain('\u001b[31mred')).toBe('<U+001B>[31mred')
    expect(pieces('Ä 你好 שלום')).toEqual([{ text: 'Ä 你好 שלום', unseen: false }])
  })

  test('is cut between characters, not within one', () => {
    expect(clip('ab😀cd', 3)).toBe('ab … (4 more characters)')
  })
})

describe('what only follows from a finding', () => {
  const source = sample({ kind: 'FAIL' })
  const [refused] = source.findings()
  const errors = new Map([[refused!.findingId, refused!.count - 7]])
  const model = modelOf({
    ...source,
    findings: () => [{ ...refused!, follows: refused!.count - 5 }],
    errorsByFinding: () => errors,
  })

  test('is said apart from it', () => {
    expect(model.why[0]).toContain(`(5 statements and ${refused!.count - 5} that follow, 1 query shape)`)
    expect(model.findings[0]).toMatchObject({ kinds: [{ subKind: 'error_new', count: refused!.count }] })
  })

  test('counts as an error only if it is one', () => {
    const line = model.gate.lines.find(({ id }) => id === 'error_rate')
    expect(line?.explanation).toMatch(new RegExp(`^${refused!.count - 7} of `))
  })
})
