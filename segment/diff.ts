/**
 * A diff: what two runs disagree about. One SQLite file whose `comparator_discrepancy_log` table people query;
 * ./diff-file.ts reads and writes it.
 */
import type { Ledger } from './ledger.js'
import type { LockFacts } from './locks.js'
import type { Row } from './outcome.js'
import type { Injection, LatencyFacts, RunFacts, RunIsolation } from './run.js'

export const DIFF_FORMAT_VERSION = 1

export type MismatchType = 'SEMANTIC_MISMATCH' | 'SQL_ERROR' | 'SCHEMA_CONSTRAINT_VIOLATION' | 'LATENCY_SPIKE'

/** What kind of semantic mismatch. */
export type SubKind =
  | 'row_count'
  | 'rows_missing'
  | 'rows_extra'
  | 'values'
  | 'column_set'
  | 'order'
  | 'error_vanished'
  | 'error_changed'
  | 'error_new'
  | 'latency'

/** Rows of both sides, the first that differ; the report marks the words within cells. */
export type RowDiff = {
  readonly columns: readonly string[]
  readonly before: readonly Row[]
  readonly after: readonly Row[]
}

export type Discrepancy = {
  readonly alertId: string
  readonly findingId: string
  readonly seq: number
  readonly traceId: string
  readonly fingerprint: string
  readonly sql: string
  /** What was sent to the second run's target in its place; absent: the same. */
  readonly sqlAfter?: string
  /** Of several statements in its place, the one that gave the result, counted from 0; absent: the last. */
  readonly answersAfter?: number
  readonly parameters: readonly (string | null)[]
  readonly mismatch: MismatchType
  readonly subKind: SubKind
  readonly columns: readonly string[]
  readonly cause: string
  readonly atMs: number
  readonly digestBefore: string
  readonly digestAfter: string
  readonly latencyMsBefore: number
  readonly latencyMsAfter: number
  readonly errorBefore: { readonly sqlstate: string; readonly message: string } | null
  readonly errorAfter: { readonly sqlstate: string; readonly message: string } | null
  readonly rows: RowDiff | null
}

/** Discrepancies with the same cause, as one line. */
export type Finding = {
  readonly findingId: string
  readonly mismatch: MismatchType
  readonly subKind: SubKind
  /** One sentence a person can act on: `email is cut to 32 characters`. */
  readonly cause: string
  /** Name of the explainer that found the cause; `unexplained` when none did. */
  readonly explainer: string
  readonly fingerprints: readonly string[]
  readonly columns: readonly string[]
  readonly count: number
  /** How many of `count` probably only follow from the others: a count that is lower because rows are missing. */
  readonly follows?: number
  /** Of all compared statements, 0 to 1. */
  readonly trafficShare: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly exampleAlertIds: readonly string[]
}

export type Percentiles = {
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

export type LatencyRow = {
  /** Empty: all statements together. */
  readonly fingerprint: string
  readonly sql: string
  /** What was sent to the second run's target in its place; absent: the same. */
  readonly sqlAfter?: string
  readonly count: number
  readonly beforeMs: Percentiles
  readonly afterMs: Percentiles
  /** hdr-histogram-js, V2 encoded, base64, in microseconds. */
  readonly beforeHistogram: string
  readonly afterHistogram: string
  /** Median of the ratios of the two times of each statement, with its 95 % confidence interval. */
  readonly ratio: number
  readonly ratioLow: number
  readonly ratioHigh: number
  readonly verdict: 'faster' | 'same' | 'slower' | 'too few'
  /**
   * Milliseconds of service time that the second side adds (negative: saves) in each second of production's traffic. The rows come in
   * the order of its size. Absent in diffs of older builds.
   */
  readonly impactMsPerSecond?: number
}

/** How a replay was made, for whoever judges the measurement. */
export type RunConditions = {
  readonly settings: Pick<RunFacts['settings'], 'speed' | 'order' | 'workers' | 'readOnly' | 'filter'>
  readonly latenessUs?: LatencyFacts['latenessUs']
  readonly bottleneck?: string
  readonly reenacted?: number
  readonly cancelRequests?: number
  readonly isolation?: RunIsolation
  readonly injections?: readonly Injection[]
  readonly locks?: LockFacts
  /** Recorded transactions that were left out, since the snapshot has what they did. */
  readonly contained?: number
  readonly incidents: RunFacts['incidents']
}

export type RunSummary = {
  readonly id: string
  readonly role: string
  readonly target: string
  readonly statements: number
  readonly errors: number
  readonly elapsedMs: number
  readonly ledger: Ledger
  readonly orderRelaxed: number
  readonly eventLoopUtilisationMax: number
  /** When it began, and the snapshot that its target was a copy of. Absent in diffs of older builds; null: nobody knows of one. */
  readonly startedAtMs?: number
  readonly snapshot?: {
    readonly id: string
    /** In relation to the recording. */
    readonly taken: 'before' | 'within' | 'unknown'
    /** Since the start of the recording; only where it was taken within. */
    readonly atMs?: number
  } | null
  /** Absent for production, and in diffs of older builds. */
  readonly conditions?: RunConditions
}

/** One point of the timeline: a second of the replay. */
export type TimelinePoint = {
  readonly atMs: number
  readonly statements: number
  readonly errors: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly latenessMs: number
}

export type DiffFacts = {
  readonly format: 'pgrehearse diff'
  readonly formatVersion: number
  readonly id: string
  readonly madeBy: string
  readonly createdAtMs: number
  readonly recordingId: string
  readonly recordingPath: string
  readonly recordedAtMs: number
  /** How the recording was masked. Absent in diffs of older builds. */
  readonly privacy?: { readonly policyHash: string; readonly keyFingerprint: string }
  readonly before: RunSummary
  readonly after: RunSummary
  readonly noise: RunSummary | null
  /** Statements that both runs answered and that were compared. */
  readonly compared: number
  readonly discrepancies: number
  /** Statements that differ and were excused, by reason. */
  readonly excused: Readonly<Record<string, number>>
  /** From the first to the last compared statement, as production ran them. Absent in diffs of older builds. */
  readonly productionMs?: number
  /** Statements of either run with no counterpart, by reason. */
  readonly uncompared: Readonly<Record<string, number>>
  readonly timelineBefore: readonly TimelinePoint[]
  readonly timelineAfter: readonly TimelinePoint[]
  /** Reasons why the measurement cannot be vouched for; any makes the verdict INVALID. */
  readonly invalid: readonly string[]
}
