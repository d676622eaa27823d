/**
 * How the server ran a kind of statement that is slower, on both sides: the two plans, what changed between them, what that means
 * in words, and an index that would help where one was tried.
 *
 * Lies in a diff beside its latencies, by fingerprint; ./diff-plans.ts reads and writes it. Texts in it are the server's own words
 * about the statement as it was recorded, so they are as masked as the statement is.
 */

export type PlanNode = {
  /** `Seq Scan`, `Index Scan`, `Hash Join`, as EXPLAIN says. */
  readonly operation: string
  /** `orders`, or `audit.orders` where the schema is not searched; empty: none. */
  readonly relation: string
  readonly index: string
  /** What it was found by: an index condition, a join's condition, a sort's keys; empty: nothing. */
  readonly condition: string
  /** What was read and then thrown away. */
  readonly filter: string
  readonly rowsRemoved: number
  /** Per execution of the node; the planner's guess, and what came. */
  readonly rowsPlanned: number
  readonly rows: number
  readonly loops: number
  /** All executions together, with everything below it. */
  readonly ms: number
  /** Pages, with everything below it. */
  readonly pagesHit: number
  readonly pagesRead: number
  /** Pages of temporary files: a sort or a hash that did not fit into memory. */
  readonly pagesSpilt: number
  readonly children: readonly PlanNode[]
}

export type PlanTrigger = {
  readonly name: string
  readonly relation: string
  readonly calls: number
  readonly ms: number
}

export type ExplainedPlan = {
  readonly root: PlanNode
  /** The planner's own figure for all of it. */
  readonly cost?: number
  readonly planningMs: number
  readonly executionMs: number
  readonly triggers: readonly PlanTrigger[]
  /** Settings of the planner that are not the server's own defaults. */
  readonly settings: Readonly<Record<string, string>>
}

export type PlanChangeKind = 'scan' | 'trigger' | 'setting' | 'spill' | 'join' | 'work' | 'estimate' | 'shape'

/** Most telling first. */
export type PlanChange = { readonly kind: PlanChangeKind; readonly sentence: string }

export type IndexSuggestion = {
  /** `CREATE INDEX ON orders_v2_core (customer_id)`. */
  readonly sql: string
  /** `created`: made on the second side within a transaction that was rolled back; `hypothetical`: by hypopg; `refused`: neither could be. */
  readonly tried: 'created' | 'hypothetical' | 'refused'
  /** The planner takes it for this statement. */
  readonly used: boolean
  /** Of the statement without and with it; null: only its cost is known. */
  readonly msBefore: number | null
  readonly msAfter: number | null
  readonly costBefore: number
  readonly costAfter: number
}

export type PlanEvidence = {
  readonly fingerprint: string
  /** The execution that was explained: one of the slowest. */
  readonly seq: number
  readonly before: ExplainedPlan | null
  readonly after: ExplainedPlan | null
  /** Why a side has no plan; empty: both have. */
  readonly notExplained: string
  readonly changes: readonly PlanChange[]
  /** One or two sentences for a person; empty where nothing can be said. */
  readonly reading: string
  readonly suggestion: IndexSuggestion | null
}
