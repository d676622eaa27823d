/**
 * The formats, for programs that read or write recordings, runs and diffs themselves.
 */

export { binaryToText } from './binary-text.js'
export { canonicalText } from './canonical.js'
export type * from './catalog.js'
export type * from './diff.js'
export { createDiff, type DiffReader, type DiffWriter, type DiscrepancyFilter, openDiff } from './diff-file.js'
export {
  columnDigest,
  digestColumns,
  equalIgnoringOrder,
  equalOrdered,
  type PartDigest,
  ResultDigest,
  rowDigest,
} from './digest.js'
export type * from './explained.js'
export {
  type DiffInspection,
  inspectDiff,
  inspectRecording,
  inspectRun,
  type RecordingInspection,
  type RunInspection,
  type StatementUse,
  type TopStatements,
} from './inspect.js'
export { type FormatKind, kindOf } from './kind.js'
export * from './ledger.js'
export type * from './locks.js'
export type * from './manifest.js'
export type * from './outcome.js'
export { type OpenOptions, openRecording, type RecordingReader, type RecoveredTail } from './recording.js'
export {
  createRecording,
  type RecordingFacts,
  type RecordingOptions,
  type RecordingWriter,
} from './recording-writer.js'
export { type Recovery, recoverRecording } from './recover.js'
export { resultSha256 } from './result-sha.js'
export type * from './run.js'
export { decodeRunRows, encodeRunRows } from './run-codec.js'
export { createRun, openRun, type RunReader, type RunWriter } from './run-file.js'
export { type RunSource, runOfRecording } from './run-source.js'
export type { RecordedStatement } from './segment-reader.js'
export { traceId } from './segment-schema.js'
export type { Incident, RecordedTransaction } from './segment-writer.js'
export type * from './statement.js'
export type { Timeline } from './timeline.js'
export { type Usage, usageOfRecording, usageOfRun } from './usage.js'
