/** `compare --fidelity`: only of the recording and the very run that is judged. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fidelityOf } from '../../cli/fidelity.js'
import { createDiff } from '../../segment/diff-file.js'
import type { RunSource } from '../../segment/run-source.js'
import { sample } from '../reports/sample.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-fidelity-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const source = sample({ kind: 'FAIL', discrepancies: 80 })

function diffOf(name: string, role: string): string {
  const path = join(folder, name)
  const diff = createDiff(path)
  for (const finding of source.findings()) diff.finding(finding)
  for (const discrepancy of source.discrepancies()) diff.discrepancy(discrepancy)
  diff.close({ ...source.facts, before: { ...source.facts.before, role } })
  return path
}

const run = (id: string) => ({ facts: { id } }) as unknown as RunSource

test('counts what differs, names the causes by how often, and says nothing about time', () => {
  const found = fidelityOf(diffOf('of-production', 'production'), run(source.facts.after.id))
  expect(found).toMatchObject({ compared: source.facts.compared, differ: source.facts.discrepancies })
  const counts = found.causes.map(({ count }) => count)
  expect(counts).toEqual([...counts].sort((a, b) => b - a))
  expect(found.causes.map(({ mismatch }) => mismatch)).not.toContain('LATENCY_SPIKE')
})

test.each([
  { name: 'two replays', role: 'baseline', id: source.facts.after.id },
  { name: 'production and another replay', role: 'production', id: 'another' },
])('$name are refused', ({ name, role, id }) => {
  expect(() => fidelityOf(diffOf(name, role), run(id))).toThrow(
    expect.objectContaining({ code: 'FIDELITY_OF_ANOTHER', exit: 2 }),
  )
})
