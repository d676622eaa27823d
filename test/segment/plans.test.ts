import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { addPlans, createDiff, openDiff } from '../../segment/diff-file.js'
import type { PlanEvidence } from '../../segment/explained.js'
import { DIFF_FACTS, LATENCY } from './examples.js'

const folder = mkdtempSync(join(tmpdir(), 'pgr-plans-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const evidence = (fingerprint: string): PlanEvidence => ({
  fingerprint,
  seq: 7,
  before: null,
  after: null,
  notExplained: 'a statement that cannot be explained',
  changes: [],
  reading: '',
  suggestion: null,
})

test('plans lie in a diff once they were made, in the order given; a second time replaces them', () => {
  const path = join(folder, 'one.diff')
  const writer = createDiff(path)
  writer.latency({ ...LATENCY, impactMsPerSecond: -1.5 })
  writer.close({ ...DIFF_FACTS, productionMs: 4000 })
  const plans = () => {
    const diff = openDiff(path)
    try {
      return diff.plans()
    } finally {
      diff.close()
    }
  }
  expect(plans()).toBeNull()
  addPlans(path, [evidence('b'), evidence('a')])
  expect(plans()).toEqual([evidence('b'), evidence('a')])
  addPlans(path, [])
  expect(plans()).toEqual([])
})
