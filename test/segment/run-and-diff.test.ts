import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Discrepancy, MismatchType } from '../../segment/diff.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
import { createRecording } from '../../segment/recording-writer.js'
import type { RunRow } from '../../segment/run.js'
import { decodeRunRows, encodeRunRows } from '../../segment/run-codec.js'
import { createRun, openRun } from '../../segment/run-file.js'
import { runOfRecording } from '../../segment/run-source.js'
import { usageOfRecording, usageOfRun } from '../../segment/usage.js'
import {
  anyOutcome,
  DIFF_FACTS,
  DISCREPANCY,
  FACTS,
  FINDING,
  LATENCY,
  OK,
  RUN_FACTS,
  runRow,
  statement,
} from './examples.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segment-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const us = fc.nat({ max: 2 ** 31 - 1 })
const anyRows: fc.Arbitrary<RunRow[]> = fc.uniqueArray(
  fc.record({
    seq: fc.nat({ max: 10_000 }),
    timing: fc.record({
      dueUs: us,
      sentUs: us,
      doneUs: us.map((value) => value * 4096),
      waitOrderUs: us,
      waitSessionUs: us,
      waitWorkerUs: us,
    }),
    outcome: anyOutcome,
    orderRelaxed: fc.boolean(),
  }),
  { selector: (row) => row.seq, maxLength: 30 },
)

describe('a run', () => {
  test('rows survive the way between threads', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        expect(decodeRunRows(encodeRunRows(rows))).toEqual(rows)
      }),
    )
  })

  test('is read back in the order of the recording, however it was written', () => {
    let round = 0
    fc.assert(
      fc.property(anyRows, fc.nat({ max: 30 }), (rows, cut) => {
        const path = join(folder, `run-${round++}`)
        const writer = createRun(path)
        writer.write(rows.slice(0, cut))
        writer.writeEncoded(encodeRunRows(rows.slice(cut)))
        writer.close(RUN_FACTS)

        const sorted = [...rows].sort((a, b) => a.seq - b.seq)
        const reader = openRun(path)
        expect(reader.facts).toEqual(RUN_FACTS)
        expect(reader.count).toBe(rows.length)
        expect([...reader.rows()]).toEqual(sorted)
        expect([...reader.rows(5000)]).toEqual(sorted.filter(({ seq }) => seq >= 5000))
        for (const row of sorted.slice(0, 2)) expect(reader.row(row.seq)).toEqual(row)
        expect(reader.row(10_001)).toBeUndefined()
        reader.close()
      }),
      { numRuns: 25 },
    )
  })

  test('keeps mapped values in their order, and why statements were skipped', () => {
    const path = join(folder, 'run')
    const values = [
      { domain: 'public.orders.id', recorded: '7', actual: '9' },
      { domain: 'public.orders.id', recorded: '7', actual: '10' },
    ]
    const writer = createRun(path)
    writer.mapped(values)
    writer.skip([{ seq: 3, reason: 'unreplayable: cannot tokenize box' }])
    writer.close(RUN_FACTS)
    const reader = openRun(path)
    expect([...reader.mapped()]).toEqual(values)
    expect([...reader.skipped()]).toEqual([{ seq: 3, reason: 'unreplayable: cannot tokenize box' }])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test("a recording is production's run", () => {
    const path = join(folder, 'rec')
    const writer = createRecording(path, FACTS)
    writer.write([{ scope: 'READ_ONLY', statements: [statement(1), statement(2)] }])
    writer.close(0)
    const run = runOfRecording(openRecording(path))
    expect(run.facts).toMatchObject({ role: 'production', recordingId: FACTS.id, elapsedUs: statement(2).doneUs })
    expect([...run.rows()]).toEqual([1, 2].map((seq) => run.row(seq)))
    expect(run.row(2)).toMatchObject({ seq: 2, outcome: OK, timing: { dueUs: 200, sentUs: 200, doneUs: 240 } })
  })

  test('what its statements cost, by shape', () => {
    const error = { ...OK, error: { sqlstate: '23505', message: 'duplicate key' } }
    const recordingPath = join(folder, 'rec')
    const recorder = createRecording(recordingPath, FACTS)
    const other = { sql: 'SELECT 1 -- again' as never, doneUs: 5000, outcome: error }
    recorder.write([{ scope: 'READ_ONLY', statements: [statement(1), statement(2), statement(3, other)] }])
    recorder.close(0)
    const runPath = join(folder, 'run')
    const runner = createRun(runPath)
    runner.write([runRow(1), runRow(3, { outcome: error })])
    runner.close(RUN_FACTS)

    const recording = openRecording(recordingPath)
    const run = openRun(runPath)
    const { sql, fingerprint } = statement(1)
    expect(usageOfRecording(recording)).toEqual([
      { sql, fingerprint, count: 3, errors: 1, totalUs: 40 + 40 + 4700, maxUs: 4700 },
    ])
    expect(usageOfRun(run, recording)).toEqual([{ sql, fingerprint, count: 2, errors: 1, totalUs: 94, maxUs: 47 }])
    expect(run.errors()).toEqual({ '23505': 1 })
  })
})

const discrepancy = (seq: number, changes: Partial<Discrepancy> = {}): Discrepancy => ({
  ...DISCREPANCY,
  seq,
  alertId: `alert-${seq}`,
  atMs: DISCREPANCY.atMs + seq,
  ...changes,
})

describe('a diff', () => {
  function write(discrepancies: readonly Discrepancy[]): string {
    const path = join(folder, 'diff')
    const writer = createDiff(path)
    for (const each of discrepancies) writer.discrepancy(each)
    writer.finding(FINDING)
    writer.finding({ ...FINDING, findingId: 'a finding that counts less' })
    writer.latency(LATENCY)
    writer.latency({ ...LATENCY, fingerprint: 'a1b2c3d4e5f60718' })
    writer.close(DIFF_FACTS)
    return path
  }

  const all = [
    discrepancy(2),
    discrepancy(1),
    discrepancy(3, {
      findingId: 'other',
      mismatch: 'SQL_ERROR',
      errorAfter: { sqlstate: '42P01', message: 'no table' },
    }),
  ]

  test('is read back: facts, findings worst first, latency, discrepancies', () => {
    const diff = openDiff(write(all))
    expect(diff.facts).toEqual(DIFF_FACTS)
    expect(diff.findings().map(({ findingId }) => findingId)).toEqual(['finding-1', 'a finding that counts less'])
    expect(diff.latency().map(({ fingerprint }) => fingerprint)).toEqual(['', 'a1b2c3d4e5f60718'])
    expect([...diff.discrepancies()]).toEqual([all[2], all[0], all[1]])
    expect([...diff.discrepancies({ findingId: 'finding-1' })]).toEqual([all[1], all[0]])
    expect([...diff.discrepancies({ mismatch: 'SQL_ERROR' })]).toEqual([all[2]])
    expect([...diff.discrepancies({ limit: 1 })]).toEqual([all[2]])
    expect(diff.discrepancy('alert-3')).toEqual(all[2])
    expect(diff.discrepancy('alert-4')).toBeUndefined()
    expect(diff.countByMismatch()).toEqual({
      SEMANTIC_MISMATCH: 2,
      SQL_ERROR: 1,
      SCHEMA_CONSTRAINT_VIOLATION: 0,
      LATENCY_SPIKE: 0,
    })
  })

  test('has the discrepancy table that other tools read, and the index they need', () => {
    const db = new Database(write([discrepancy(7)]), { readonly: true })
    const names = db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all('comparator_discrepancy_log')
    expect(names.slice(0, 10)).toEqual([
      'alert_id',
      'trace_id',
      'sql_statement',
      'mismatch_type',
      'production_response_digest',
      'shadow_response_digest',
      'production_latency_ms',
      'shadow_latency_ms',
      'discrepancy_json',
      'created_at',
    ])
    const row = db.prepare('SELECT * FROM comparator_discrepancy_log').get() as Record<string, unknown>
    expect(row).toMatchObject({
      alert_id: 'alert-7',
      production_response_digest: 'sha256_a',
      shadow_latency_ms: 2,
      created_at: DISCREPANCY.atMs + 7,
    })
    expect(JSON.parse(String(row.discrepancy_json))).toMatchObject({ cause: DISCREPANCY.cause, columns: ['email'] })
    const plan = db
      .prepare<[], { detail: string }>(
        `EXPLAIN QUERY PLAN SELECT * FROM comparator_discrepancy_log
         WHERE mismatch_type = 'SQL_ERROR' ORDER BY created_at DESC`,
      )
      .all()
    expect(plan.map(({ detail }) => detail).join()).toMatch(/USING INDEX discrepancy_by_type_and_time/)
    expect(plan.map(({ detail }) => detail).join()).not.toMatch(/TEMP B-TREE/)
  })

  test('refuses a kind of mismatch that nobody knows', () => {
    const writer = createDiff(join(folder, 'diff'))
    expect(() => writer.discrepancy(discrepancy(1, { mismatch: 'BAD_LUCK' as MismatchType }))).toThrow(/CHECK/)
    writer.abandon()
  })
})
