import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { DIFF_FACTS, FACTS, FINDING, LATENCY, RUN_FACTS, SESSION } from './examples.js'
import { DISCREPANCIES, EVENT, INCIDENT, MAPPED, ROWS, SKIPPED, TRANSACTIONS } from './released.js'

const file = (name: string) => fileURLToPath(new URL(`../../fixtures/segments/${name}`, import.meta.url))

describe('files of format 1, as the first release wrote them, are still read', () => {
  test('recording', () => {
    const recording = openRecording(file('recording-1'))
    const statements = TRANSACTIONS.flatMap(({ scope, statements }) => statements.map((each) => ({ ...each, scope })))
    expect([...recording.statements()]).toEqual(statements.sort((a, b) => a.seq - b.seq))
    expect(recording.sessions()).toEqual([SESSION])
    expect([...recording.events()]).toEqual([EVENT])
    expect(recording.manifest).toMatchObject({ ...FACTS, formatVersion: 1, incidents: [INCIDENT] })
    recording.close()
  })

  test('run', () => {
    const run = openRun(file('run-1.sqlite'))
    expect(run.facts).toEqual(RUN_FACTS)
    expect([...run.rows()]).toEqual(ROWS)
    expect([...run.mapped()]).toEqual([MAPPED])
    expect([...run.skipped()]).toEqual([SKIPPED])
    run.close()
  })

  test('diff', () => {
    const diff = openDiff(file('diff-1.sqlite'))
    expect(diff.facts).toEqual(DIFF_FACTS)
    expect(diff.findings()).toEqual([FINDING])
    expect(diff.latency()).toEqual([LATENCY])
    for (const each of DISCREPANCIES) expect(diff.discrepancy(each.alertId)).toEqual(each)
    diff.close()
  })
})
