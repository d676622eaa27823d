/**
 * What page, JSON, JUnit, comment, metrics and terminal table all read: one report as versioned plain data, so that a
 * page can be made again from a file written last year. ./build-model.ts makes it from a diff and a gate result.
 *
 * It holds everything a person reads first. The full list of discrepancies stays in the diff: the page embeds it
 * compressed (./page/details.ts), CSV streams it.
 */
import type { MismatchType, RunSummary, SubKind, TimelinePoint } from '../segment/diff.js'
import type { SchemaKind, StateFinding } from '../segment/state.js'
import type { Vouching } from '../segment/vouching.js'
import type { GateResult, Verdict } from './gate.js'
import type { QueryLatency } from './latency.js'
import type { ReportPlan } from './plans.js'
import type { RowsView } from './rows.js'

export const REPORT_FORMAT_VERSION = 1

/** The subjects of the page: short labels and what they stand for. */
export type Side = RunSummary & {
  /** `V1` or `V2`. */
  readonly label: string
}

export type Example = {
  readonly alertId: string
  readonly traceId: string
  readonly fingerprint: string
  /** Texts of any length are cut here; the diff has them whole. */
  readonly sql: string
  /** What V2 was asked in its place; absent: the same. */
  readonly sqlAfter?: string
  readonly parameters: readonly (string | null)[]
  readonly parametersMore: number
  /** When its statement was sent, counted from the start of the recording. */
  readonly offsetMs: number
  readonly latencyMsBefore: number
  readonly latencyMsAfter: number
  readonly errorBefore: { readonly sqlstate: string; readonly message: string } | null
  readonly errorAfter: { readonly sqlstate: string; readonly message: string } | null
  readonly rows: RowsView | null
}

/** How a finding stands before the gate. */
type Standing =
  | { readonly state: 'fails' }
  | { readonly state: 'tolerated' }
  | { readonly state: 'known'; readonly reason: string; readonly until: string }

export type ReportFinding = {
  readonly findingId: string
  readonly mismatch: MismatchType
  readonly subKind: SubKind
  readonly cause: string
  readonly explainer: string
  readonly fingerprints: readonly string[]
  readonly columns: readonly string[]
  readonly count: number
  /** How many of `count` probably only follow from the others. */
  readonly follows?: number
  /** What kinds of difference they are of, the most frequent first. */
  readonly kinds: readonly { readonly subKind: SubKind; readonly count: number }[]
  readonly trafficShare: number
  readonly firstOffsetMs: number
  readonly lastOffsetMs: number
  readonly standing: Standing
  /** Discrepancies per equal slice of the recording, first to last. */
  readonly trend: readonly number[]
  readonly examples: readonly Example[]
}

/** One line about a table or a piece of schema. */
export type ReportStateFinding = {
  readonly findingId: string
  readonly kind: StateFinding['kind']
  readonly schemaKind?: SchemaKind
  readonly object: string
  readonly sentence: string
  readonly count: number
  /** `count` is only what was looked at. */
  readonly more: boolean
  readonly standing: Standing | { readonly state: 'told' }
  readonly rows: RowsView | null
}

export type ReportTable = {
  readonly table: string
  readonly verdict: 'equal' | 'differs' | 'missing'
  readonly rowsBefore: number
  readonly rowsAfter: number
  readonly missing: number
  readonly extra: number
  readonly changed: number
  readonly more: boolean
  readonly columnsLeftOut: readonly string[]
}

export type ReportState = {
  readonly checkedAtMs: number
  readonly momentsLeftOut: boolean
  /** Those that differ first. */
  readonly tables: readonly ReportTable[]
  /** Worst first. */
  readonly findings: readonly ReportStateFinding[]
  /** Beyond those that the model carries. */
  readonly findingsMore: number
  /** What V2's schema has beyond V1's. */
  readonly added: number
  readonly notCompared: readonly string[]
}

export type ReportModel = {
  readonly format: 'pgrehearse report'
  readonly formatVersion: number
  readonly madeBy: string
  readonly diffId: string
  /** As it was given on the command line: what `reproduce` has to name. */
  readonly diffPath: string
  readonly comparedAtMs: number
  readonly verdict: Verdict
  /** The verdict as a sentence. */
  readonly headline: string
  /** Why, one sentence each; worst first. */
  readonly why: readonly string[]
  readonly recording: { readonly id: string; readonly path: string; readonly recordedAtMs: number }
  readonly before: Side
  readonly after: Side
  readonly noise: Side | null
  /** How the recording was masked. Absent in reports of older builds. */
  readonly privacy?: { readonly policyHash: string; readonly keyFingerprint: string }
  readonly compared: number
  /** Statements that differ; one may be in several findings. */
  readonly discrepancies: number
  /** Length of the recording as far as the diff shows it: what trends span. */
  readonly spanMs: number
  /** From the first to the last compared statement, as production ran them. Absent in reports of older builds. */
  readonly productionMs?: number
  readonly gate: GateResult
  /** Worst first. */
  readonly findings: readonly ReportFinding[]
  /** Query shapes with the greatest change in cost first. `overall` null: nothing was measured. */
  readonly latency: { readonly overall: QueryLatency | null; readonly queries: readonly QueryLatency[] }
  /** How the server ran what is slower, what costs most first; null: nobody asked. Absent in reports of older builds. */
  readonly plans?: readonly ReportPlan[] | null
  /** null: nobody compared the tables after the replays. Absent in reports of older builds. */
  readonly state?: ReportState | null
  /** How near V1's replay is to production, and what a look for leaks found; null in it: nobody asked. Absent in reports of older builds. */
  readonly vouching?: Vouching
  readonly timeline: { readonly before: readonly TimelinePoint[]; readonly after: readonly TimelinePoint[] }
  readonly excused: Readonly<Record<string, number>>
  readonly uncompared: Readonly<Record<string, number>>
  readonly invalid: readonly string[]
}
