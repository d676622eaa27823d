/**
 * What is in the files of fixtures/segments/, which the first release of each format wrote. They are never written again: today's
 * code must read them as they are. A new format version gets files of its own beside them:
 * `npx tsx test/segment/released.ts fixtures/segments VERSION`
 */
import { join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Discrepancy } from '../../segment/diff.js'
import { createDiff } from '../../segment/diff-file.js'
import { createRecording } from '../../segment/recording-writer.js'
import type { RunRow } from '../../segment/run.js'
import { createRun } from '../../segment/run-file.js'
import type { RecordedTransaction } from '../../segment/segment-writer.js'
import {
  DIFF_FACTS,
  DISCREPANCY,
  FACTS,
  FINDING,
  LATENCY,
  OK,
  RUN_FACTS,
  runRow,
  SESSION,
  statement,
} from './examples.js'

const MANY_ROWS = Array.from({ length: 40 }, (_, i) => [String(i), `product ${i} with a name that repeats`])

export const TRANSACTIONS: readonly RecordedTransaction[] = [
  {
    scope: 'READ_WRITE',
    statements: [
      statement(1, {
        transaction: 1,
        frames: [['Q']],
        sql: 'BEGIN' as never,
        parameters: [],
        parameterTypes: [],
        bind: null,
      }),
      statement(3, {
        transaction: 1,
        ordinal: 2,
        sql: 'INSERT INTO products (name) VALUES ($1)' as never,
        fingerprint: '00112233445566aa',
        parameters: [null],
        outcome: {
          error: { sqlstate: '23502', message: 'null value in column "name"', table: 'products', column: 'name' },
          tag: '',
          rowCount: 0,
          columns: null,
          digest: null,
          rows: null,
          rowsCut: false,
          suspended: false,
          status: 'E',
        },
      }),
    ],
  },
  {
    scope: 'READ_ONLY',
    statements: [statement(2, { session: 2, outcome: { ...OK, rowCount: 40, rows: MANY_ROWS, rowsCut: true } })],
  },
  {
    scope: 'READ_WRITE',
    statements: [
      statement(4, {
        session: 2,
        ordinal: 2,
        frames: [['Q'], ['d'], ['c']],
        sql: 'COPY products FROM STDIN' as never,
        copy: Buffer.from('1\ttea\n'.repeat(200)),
        unreplayable: 'cannot tokenize box',
      }),
    ],
  },
]

export const EVENT = { session: 1, atUs: 500, kind: 'cancel', detail: { victim: 2 } } as const
export const INCIDENT = { atUs: 600, kind: 'pause', detail: 'asked' }
export const ROWS: readonly RunRow[] = [
  runRow(1),
  runRow(2, { orderRelaxed: true, outcome: { ...OK, rows: MANY_ROWS } }),
]
export const MAPPED = { domain: 'public.products.id', recorded: '7', actual: '8' }
export const SKIPPED = { seq: 4, reason: 'unreplayable: cannot tokenize box' }
export const DISCREPANCIES: readonly Discrepancy[] = [
  DISCREPANCY,
  { ...DISCREPANCY, alertId: 'alert-2', seq: 8, mismatch: 'SQL_ERROR', subKind: 'error_new', rows: null },
]

function writeAll(folder: string, version: string): void {
  const recording = createRecording(join(folder, `recording-${version}`), FACTS)
  recording.session(SESSION)
  recording.seen({ statements: 4, transactions: 3 })
  recording.write(TRANSACTIONS)
  recording.event(EVENT)
  recording.incident(INCIDENT)
  recording.close(FACTS.startedAtMs + 60_000)

  const run = createRun(join(folder, `run-${version}.sqlite`))
  run.write(ROWS)
  run.mapped([MAPPED])
  run.skip([SKIPPED])
  run.close(RUN_FACTS)

  const diff = createDiff(join(folder, `diff-${version}.sqlite`))
  for (const discrepancy of DISCREPANCIES) diff.discrepancy(discrepancy)
  diff.finding(FINDING)
  diff.latency(LATENCY)
  diff.close(DIFF_FACTS)
}

const [, script, folder, version] = argv
if (script === fileURLToPath(import.meta.url) && folder !== undefined && version !== undefined)
  writeAll(folder, version)
