/** `pgrehearse compare` as a person or a script would run it: two runs of a recording, in one of which an answer differs. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDiff } from '../../segment/diff-file.js'
import { ResultDigest } from '../../segment/digest.js'
import { openRecording } from '../../segment/recording.js'
import type { RunRow } from '../../segment/run.js'
import { createRun } from '../../segment/run-file.js'
import { runOfRecording } from '../../segment/run-source.js'
import { run, scratch } from '../cli/command.js'

const RELEASED = fileURLToPath(new URL('../../fixtures/segments/', import.meta.url))
const RECORDING = join(
  RELEASED,
  readdirSync(RELEASED).find((name) => existsSync(join(RELEASED, name, 'manifest.json')))!,
)

let folder: string
let changedSeq: number
let statements: number

beforeAll(() => {
  const recording = openRecording(RECORDING)
  statements = recording.statementCount
  changedSeq = [...recording.statements()].find(({ outcome }) => (outcome.rows?.length ?? 0) > 0)!.seq
  recording.close()
})
beforeEach(() => {
  folder = scratch()
})

/** The recording's own answers as a run, maybe with one value longer. */
function replayed(role: 'baseline' | 'candidate', change = false): string {
  const path = join(folder, `${role}.run`)
  const recording = openRecording(RECORDING)
  const production = runOfRecording(recording)
  const writer = createRun(path)
  writer.write([...production.rows()].map((row) => (change && row.seq === changedSeq ? lengthened(row) : row)))
  writer.close({ ...production.facts, role })
  recording.close()
  return path
}

function lengthened(row: RunRow): RunRow {
  const { columns, rows } = row.outcome
  const changed = rows!.map((cells, at) => (at === 0 ? cells.map((cell) => `${cell ?? ''}0`) : cells))
  const digest = new ResultDigest(columns!)
  for (const cells of changed) digest.rowOfText(cells)
  return { ...row, outcome: { ...row.outcome, rows: changed, digest: digest.finish() } }
}

describe('compare', () => {
  test('says that nothing differs', async () => {
    const diff = join(folder, 'a.diff')
    const ended = await run('compare', replayed('baseline'), replayed('candidate'), '--out', diff)
    expect(ended).toMatchObject({ code: 0 })
    expect(ended.stdout).toContain(`${statements} statements compared, none differs`)
    expect(openDiff(diff).facts).toMatchObject({ compared: statements, discrepancies: 0 })
  })

  test('says what differs, and still exits 0: the gate decides', async () => {
    const diff = join(folder, 'a.diff')
    const ended = await run('compare', replayed('baseline'), replayed('candidate', true), '--out', diff)
    expect(ended).toMatchObject({ code: 0 })
    expect(ended.stdout).toContain(`1 of ${statements} statements`)
    const [finding] = openDiff(diff).findings()
    expect(ended.stdout.replace(/\s+/g, ' ')).toContain(finding!.cause.slice(0, 20))
  })

  test('as JSON: one object that names the file', async () => {
    const diff = join(folder, 'a.diff')
    const ended = await run('compare', replayed('baseline'), replayed('candidate', true), '--out', diff, '--json')
    const printed = JSON.parse(ended.stdout)
    expect(printed).toMatchObject({ diff, compared: statements, discrepancies: 1 })
    expect(printed.findings[0]).toMatchObject({ mismatch: 'SEMANTIC_MISMATCH', count: 1 })
  })

  test('explains one statement, by position or by alert', async () => {
    const runs = [replayed('baseline'), replayed('candidate', true)]
    const diff = join(folder, 'a.diff')
    await run('compare', ...runs, '--out', diff)
    const [discrepancy] = openDiff(diff).discrepancies()
    for (const id of [String(changedSeq), discrepancy!.alertId]) {
      const ended = await run('compare', ...runs, '--explain', id)
      expect(ended).toMatchObject({ code: 0 })
      expect(ended.stdout).toContain(`statement ${changedSeq}:`)
      expect(ended.stdout).toContain(discrepancy!.cause)
    }
  })

  test('leaves out what the user says', async () => {
    const recording = openRecording(RECORDING)
    const { fingerprint } = recording.statement(changedSeq)!
    recording.close()
    const diff = join(folder, 'a.diff')
    await run(
      'compare',
      replayed('baseline'),
      replayed('candidate', true),
      '--out',
      diff,
      '--ignore',
      `fingerprint:${fingerprint}`,
    )
    expect(openDiff(diff).facts).toMatchObject({ discrepancies: 0, excused: { ignored: 1 } })
  })
})

describe('refusals', () => {
  test.each([
    { name: 'no --out', args: [], says: '--out' },
    { name: 'a rule that is none', args: ['--out', 'x.diff', '--ignore', 'orders.total~'], says: 'IGNORE_RULE' },
    { name: 'an id that is none', args: ['--explain', 'yesterday'], says: '--explain' },
    {
      name: 'plans of one side only',
      args: ['--out', 'x.diff', '--plans-from', 'postgres://localhost/a'],
      says: '--plans-from and --plans-to belong together',
    },
    {
      name: 'plans of the other side only',
      args: ['--out', 'x.diff', '--plans-to', 'postgres://localhost/b'],
      says: '--plans-from and --plans-to belong together',
    },
    { name: 'a statement that was not recorded', args: ['--explain', '999999999'], says: 'NO_SUCH_STATEMENT' },
  ])('$name', async ({ args, says }) => {
    const ended = await run('compare', replayed('baseline'), replayed('candidate'), ...args)
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain(says)
  })
  test('an existing diff, unless forced', async () => {
    const diff = join(folder, 'a.diff')
    const runs = [replayed('baseline'), replayed('candidate')]
    await run('compare', ...runs, '--out', diff)
    expect((await run('compare', ...runs, '--out', diff)).code).toBe(2)
    expect((await run('compare', ...runs, '--out', diff, '--force')).code).toBe(0)
  })
  test('what is not a run', async () => {
    const ended = await run(
      'compare',
      replayed('baseline'),
      join(folder, 'absent.run'),
      '--out',
      join(folder, 'a.diff'),
    )
    expect(ended.code).toBe(2)
    expect(existsSync(join(folder, 'a.diff'))).toBe(false)
  })
})
