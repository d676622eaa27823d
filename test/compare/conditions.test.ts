/** What a diff keeps of how a run was made. */

import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { conditionsOf } from '../../replayer/compare/conditions.js'
import { openRun } from '../../segment/run-file.js'

const run = openRun(fileURLToPath(new URL('../../fixtures/segments/run-1.sqlite', import.meta.url)))
const facts = { ...run.facts, role: 'candidate' as const }
run.close()

test('a run of an older build has settings and incidents, and claims nothing else', () => {
  const conditions = conditionsOf(facts)
  expect(conditions?.settings).toMatchObject({ speed: facts.settings.speed, workers: facts.settings.workers })
  expect(conditions).not.toHaveProperty('bottleneck')
  expect(conditions).not.toHaveProperty('injections')
})

test('bottleneck, re-enacted statements and what the snapshot has are kept; incidents are bounded', () => {
  const incidents = Array.from({ length: 80 }, (_, i) => ({ atUs: i, kind: 'lost', detail: String(i) }))
  const start = { kind: 'within', atUs: 1, contained: 7, straddling: 0, undecided: 0, unsure: [1] } as const
  const conditions = conditionsOf({ ...facts, bottleneck: 'a worker', reenacted: 2, start, incidents })
  expect(conditions).toMatchObject({ bottleneck: 'a worker', reenacted: 2, contained: 7 })
  expect(conditions?.incidents).toHaveLength(50)
})

test('production was not replayed', () => {
  expect(conditionsOf({ ...facts, role: 'production' })).toBeUndefined()
})
