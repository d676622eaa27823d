/**
 * What comparison and reports read: any run, be it a replay's file or production's own, which is the recording.
 */
import type { RecordingReader } from './recording.js'
import type { MappedValue, RewrittenText, RunFacts, RunRow, SkippedStatement } from './run.js'
import { RUN_FORMAT_VERSION } from './run.js'
import type { RecordedStatement } from './segment-reader.js'

export type RunSource = {
  readonly facts: RunFacts
  readonly count: number
  /** Ascending by seq. */
  rows(fromSeq?: number): Iterable<RunRow>
  row(seq: number): RunRow | undefined
  mapped(): Iterable<MappedValue>
  rewritten?(): readonly RewrittenText[]
  skipped(): Iterable<SkippedStatement>
  close(): void
}

/** A recording as production's run. The reader stays the caller's: closing the source does not close it. */
export function runOfRecording(recording: RecordingReader): RunSource {
  return {
    facts: productionFacts(recording),
    count: recording.statementCount,
    *rows(fromSeq = 0) {
      for (const statement of recording.statements(fromSeq)) yield rowOf(statement)
    },
    row(seq) {
      const statement = recording.statement(seq)
      return statement === undefined ? undefined : rowOf(statement)
    },
    mapped: () => [],
    skipped: () => [],
    close() {},
  }
}

function rowOf(statement: RecordedStatement): RunRow {
  const { seq, sentUs, doneUs, outcome } = statement
  const timing = { dueUs: sentUs, sentUs, doneUs, waitOrderUs: 0, waitSessionUs: 0, waitWorkerUs: 0 }
  return { seq, timing, outcome, orderRelaxed: false }
}

function productionFacts({ manifest, path, lastDoneUs }: RecordingReader): RunFacts {
  return {
    format: 'pgrehearse run',
    formatVersion: RUN_FORMAT_VERSION,
    id: manifest.id,
    madeBy: manifest.madeBy,
    role: 'production',
    recordingId: manifest.id,
    recordingPath: path,
    target: {
      version: manifest.server.version,
      versionNum: manifest.server.versionNum,
      database: manifest.server.database,
      systemIdentifier: manifest.server.systemIdentifier,
    },
    snapshotId: null,
    settings: { speed: 1, order: 'session', workers: 0, readOnly: false, rewriteHash: null },
    startedAtMs: manifest.startedAtMs,
    elapsedUs: lastDoneUs,
    ledger: manifest.ledger,
    eventLoopUtilisationMax: 0,
    orderRelaxed: 0,
    incidents: manifest.incidents,
  }
}
