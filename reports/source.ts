/**
 * What the reports need of a diff. The reader of segment/ fits it; so does a plain object, which is what the tests use.
 */

import type { DiffFacts, Discrepancy, Finding, LatencyRow } from '../segment/diff.js'
import type { PlanEvidence } from '../segment/explained.js'
import type { StateReport } from '../segment/state.js'
import type { Vouching } from '../segment/vouching.js'

export type DiffSource = {
  readonly facts: DiffFacts
  findings(): Iterable<Finding>
  latency(): Iterable<LatencyRow>
  /** null: nobody compared the tables after the replays. */
  state(): StateReport | null
  vouching(): Vouching
  /** How the server ran what is slower; null: nobody asked. */
  plans(): readonly PlanEvidence[] | null
  errorsByFinding(): ReadonlyMap<string, number>
  /** Of one finding, in the order of the recording; there may be more than fit in memory. */
  discrepancies(filter?: { readonly findingId?: string; readonly limit?: number }): Iterable<Discrepancy>
}
