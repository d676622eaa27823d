import { expect, test } from 'vitest'
import type { ReportModel } from '../../reports/model.js'
import { changesSince, changesText, parseModel } from '../../reports/since.js'
import { modelOf } from './build.js'
import { sample } from './sample.js'

const failed = modelOf(sample({ kind: 'FAIL' }))
const passed = modelOf(sample({ kind: 'PASS' }))

function withFindings(model: ReportModel, findings: ReportModel['findings']): ReportModel {
  return { ...model, findings }
}

test('nothing changed', () => {
  const changes = changesSince(failed, failed)
  expect(changes).toMatchObject({ come: [], gone: [], checks: [], slower: { come: [], gone: [] }, sameRecording: true })
  expect(changes.stayed).toHaveLength(failed.findings.length)
  expect(changesText(changes)).toMatch(/^FAIL, as before\.\n {2}still there/)
})

test('what was repaired is gone, and the checks that hold now are named', () => {
  const changes = changesSince(failed, passed)
  expect(changes.verdict).toEqual({ before: 'FAIL', after: 'PASS' })
  expect(changes.gone.map(({ cause }) => cause)).toContain('email is cut to 32 characters')
  expect(changes.checks).toContainEqual({
    id: 'findings.SQL_ERROR',
    title: 'Findings: SQL error',
    before: 'fail (1)',
    after: 'pass (0)',
  })
  expect(changesText(changes)).toMatch(/^FAIL → PASS\n {2}gone /)
})

test('what is new is said first', () => {
  const text = changesText(changesSince(withFindings(failed, failed.findings.slice(1)), failed))
  expect(text.split('\n')[1]).toContain(`new               ${failed.findings[0]!.cause}`)
})

test('what stayed says how it moved, the greatest change first', () => {
  const [one, two, ...rest] = failed.findings
  const fewer = { ...two!, count: 1, trafficShare: 0.00001 }
  const changes = changesSince(failed, withFindings(failed, [one!, fewer, ...rest]))
  expect(changes.stayed[0]).toMatchObject({ findingId: two!.findingId, after: { count: 1 } })
})

test('table state: what is stored wrongly now, and what is repaired', () => {
  const lost = 'orders has lost the index (customer_id, created_at DESC)'
  expect(changesSince(passed, failed).state.come).toContain(lost)
  expect(changesText(changesSince(failed, passed))).toContain(`repaired state    ${lost}`)
  // One that nobody verified says nothing about the other.
  expect(changesSince({ ...passed, state: null }, failed).state).toEqual({ come: [], gone: [] })
})

test('another recording is said', () => {
  const other = { ...failed, recording: { ...failed.recording, id: 'other' } }
  expect(changesText(changesSince(other, failed))).toContain('of different recordings')
})

test('a model read from its file is the same', () => {
  expect(parseModel(JSON.stringify(failed), 'old.json')).toEqual(JSON.parse(JSON.stringify(failed)))
})

test.each([
  { name: 'no JSON', text: 'hello', code: 'NOT_A_REPORT' },
  { name: 'other JSON', text: '{"format": "npm"}', code: 'NOT_A_REPORT' },
  { name: 'a newer format', text: '{"format": "pgrehearse report", "formatVersion": 99}', code: 'REPORT_TOO_NEW' },
])('$name is refused', ({ text, code }) => {
  expect(() => parseModel(text, 'old.json')).toThrow(expect.objectContaining({ code }))
})
