import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDiff } from '../../segment/diff-file.js'
import { inspectDiff, inspectRecording, inspectRun } from '../../segment/inspect.js'
import { createRecording, type RecordingWriter } from '../../segment/recording-writer.js'
import { createRun } from '../../segment/run-file.js'
import { DIFF_FACTS, DISCREPANCY, FACTS, FINDING, OK, RUN_FACTS, runRow, SESSION, statement } from './examples.js'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segment-'))
  path = join(folder, 'rec')
})
afterEach(() => rmSync(folder, { recursive: true }))

const SLOW = {
  sql: 'SELECT pg_sleep(1)\u0007\n' as never,
  fingerprint: 'ffffffffffffffff',
  doneUs: 1_000_000,
  unreplayable: 'cannot tokenize box',
}
const FAILED = { outcome: { ...OK, error: { sqlstate: '23505', message: 'duplicate key' } } }

function startRecording(): RecordingWriter {
  const writer = createRecording(path, FACTS)
  writer.session(SESSION)
  for (const why of ['a temporary table is missing', 'a temporary table is missing', 'ring full']) {
    writer.event({ session: SESSION.session, atUs: 1, kind: 'lost', detail: { why } })
  }
  writer.seen({ statements: 4, transactions: 4 })
  const statements = [statement(1), statement(2), statement(3, FAILED), statement(4, SLOW)]
  writer.write(statements.map((each) => ({ scope: 'READ_ONLY', statements: [each] })))
  return writer
}

describe('what is in it', () => {
  test('a recording: counts, ledger, the most frequent and the slowest statements', () => {
    startRecording().close(0)
    const found = inspectRecording(path, 1)
    expect(found).toMatchObject({
      state: 'complete',
      statements: 4,
      errors: 1,
      sessions: 1,
      segments: 1,
      balances: true,
      unreplayable: { 'cannot tokenize box': 1 },
      // Of so many sessions, however often.
      gaps: { 'a temporary table is missing': 1, 'ring full': 1 },
    })
    expect(found.top.shapes).toBe(2)
    expect(found.top.byCount).toMatchObject([{ fingerprint: 'a1b2c3d4e5f60718', count: 3, errors: 1, totalMs: 0.12 }])
    expect(found.top.byTime).toMatchObject([{ fingerprint: SLOW.fingerprint, count: 1, meanMs: 999.6 }])
  })

  test('a recording that still runs', () => {
    const writer = startRecording()
    expect(inspectRecording(path, 1)).toMatchObject({ state: 'running', statements: 4 })
    writer.close(0)
  })

  test('a recording that was cut short is sealed on the way, and whole the next time', () => {
    startRecording().abandon()
    const found = inspectRecording(path, 1)
    expect(found).toMatchObject({ state: 'recovered', statements: 4, recovered: { statements: 4 } })
    expect(found.incidents.at(-1)).toMatchObject({ kind: 'recovered' })
    expect(inspectRecording(path, 1)).toMatchObject({ state: 'complete', statements: 4 })
  })

  test('a run, with texts from its recording as long as that is there', () => {
    startRecording().close(0)
    const runPath = join(folder, 'run')
    const writer = createRun(runPath)
    writer.write([runRow(1), runRow(3, FAILED)])
    writer.close({ ...RUN_FACTS, recordingPath: path })
    expect(inspectRun(runPath, 5)).toMatchObject({
      statements: 2,
      errors: { '23505': 1 },
      top: { shapes: 1, byCount: [{ sql: statement(1).sql, count: 2, errors: 1 }] },
    })
    rmSync(path, { recursive: true })
    expect(inspectRun(runPath, 5).top).toBeNull()
  })

  test('a diff', () => {
    const writer = createDiff(path)
    writer.discrepancy(DISCREPANCY)
    writer.finding(FINDING)
    writer.close(DIFF_FACTS)
    expect(inspectDiff(path)).toMatchObject({
      before: 'baseline on v1',
      compared: 4,
      discrepancies: { SEMANTIC_MISMATCH: 1, SQL_ERROR: 0 },
      findings: [FINDING],
    })
  })
})

describe('the command', () => {
  function inspect(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const script = fileURLToPath(new URL('./inspect-command.ts', import.meta.url))
    return spawnSync(process.execPath, ['--import', 'tsx', script, 'inspect', ...args], { encoding: 'utf8' })
  }

  test('shows people what they need, and captured text as one harmless line', () => {
    startRecording().close(0)
    const { status, stdout } = inspect(path)
    expect(status).toBe(0)
    expect(stdout).toMatch(/4 statements, 1 errors, 1 sessions/)
    expect(stdout).toMatch(/It balances/)
    expect(stdout).toMatch(/cannot tokenize box +1/)
    expect(stdout).toContain('SELECT pg_sleep(1) ')
    expect(stdout).not.toContain('\u0007')
  })

  test('prints one object with --json', () => {
    startRecording().close(0)
    const { stdout } = inspect(path, '--json')
    const { parallel, ...found } = JSON.parse(stdout)
    expect(found).toEqual(JSON.parse(JSON.stringify(inspectRecording(path, 10))))
    expect(parallel === null || parallel.statements > 0).toBe(true)
  })

  test('says what, why and what to do about anything else', () => {
    const { status, stderr } = inspect(folder)
    expect(status).toBe(2)
    expect(stderr).toMatch(/NOT_OURS.*why.*fix/s)
  })
})
