import { describe, expect, test } from 'vitest'
import { judgeDiff } from '../../reports/build-model.js'
import { DEFAULT_GATE } from '../../reports/gate-config.js'
import { githubAnnotations } from '../../reports/github.js'
import { NOW_MS } from './build.js'
import { type SampleKind, sample } from './sample.js'

function annotations(kind: SampleKind, cause?: string): string[] {
  const { facts, gate } = judgeDiff(sample({ kind }), DEFAULT_GATE, NOW_MS)
  const findings = cause === undefined ? facts.findings : facts.findings.map((finding) => ({ ...finding, cause }))
  return githubAnnotations(gate, findings)
}

describe('annotations', () => {
  test('a PASS is one notice', () => {
    expect(annotations('PASS')).toEqual([
      expect.stringMatching(/^::notice title=pgrehearse%3A PASS::All \d+ checks of the gate hold\.$/),
    ])
  })

  test('a FAIL names the checks, then each finding that fails', () => {
    const lines = annotations('FAIL')
    expect(lines[0]).toMatch(/^::error title=pgrehearse%3A FAIL::\d+ of \d+ checks of the gate fail: /)
    expect(lines).toContain('::error title=Different answer::email is cut to 32 characters (1,565 statements)')
    expect(lines.length).toBeLessThanOrEqual(10)
  })

  test('an INVALID says why, and claims nothing about V2', () => {
    const lines = annotations('INVALID')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(
      /^::error title=pgrehearse%3A INVALID::No verdict on V2, the measurement cannot be vouched for: The connection to the candidate was lost/,
    )
  })

  test('what was not judged is not said to hold', () => {
    const { facts, gate } = judgeDiff({ ...sample({ kind: 'PASS' }), state: () => null }, DEFAULT_GATE, NOW_MS)
    const [line] = githubAnnotations(gate, facts.findings)
    expect(line).toMatch(/::All \d+ checks that could be judged hold\. Not judged: Tables that hold something else; /)
    const judged = gate.lines.filter(({ outcome }) => outcome === 'pass').length
    expect(line).toContain(`All ${judged} checks`)
  })

  test('a personal value in what was written is a warning, whatever the verdict', () => {
    const { facts, gate } = judgeDiff(sample({ kind: 'PASS' }), DEFAULT_GATE, NOW_MS)
    expect(githubAnnotations(gate, facts.findings, [], 2)[1]).toMatch(
      /^::warning title=Personal values::2 personal values found in what was written/,
    )
  })

  test('an expired override is a warning', () => {
    const override = {
      query: '00000000000000aa',
      allow: [],
      latency: { p50: 2 },
      until: '2026-01-31',
      reason: 'a, b: c',
    }
    const { facts, gate } = judgeDiff(sample({ kind: 'PASS' }), { ...DEFAULT_GATE, overrides: [override] }, NOW_MS)
    expect(githubAnnotations(gate, facts.findings)[1]).toBe(
      '::warning title=Override expired::00000000000000aa, until 2026-01-31: a, b: c',
    )
  })

  test.each(['a\n::error::b', 'a\r\n::set-output name=x::y', '##[add-path]/tmp', '100%0A::error::b', '\u001b[2J'])(
    '%j stays text on one line',
    (cause) => {
      for (const line of annotations('FAIL', cause)) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
        expect(line).not.toMatch(/[\u0000-\u001f]|##\[|%0A/)
      }
    },
  )
})
