/**
 * What the kinds are called when people read them.
 */
import type { MismatchType, SubKind } from '../segment/diff.js'

export const KIND_TITLES: Readonly<Record<MismatchType | SubKind, string>> = {
  SEMANTIC_MISMATCH: 'Different answer',
  SQL_ERROR: 'SQL error',
  SCHEMA_CONSTRAINT_VIOLATION: 'Constraint violation',
  LATENCY_SPIKE: 'Slower',
  row_count: 'Row count',
  rows_missing: 'Rows missing',
  rows_extra: 'Rows added',
  values: 'Values',
  column_set: 'Columns',
  order: 'Order of rows',
  error_vanished: 'Error vanished',
  error_changed: 'Other error',
  error_new: 'New error',
  latency: 'Latency',
}

/** How much a kind matters when findings are put in order: what breaks an application comes before what slows it. */
export const SEVERITY: Readonly<Record<MismatchType, number>> = {
  SCHEMA_CONSTRAINT_VIOLATION: 3,
  SQL_ERROR: 3,
  SEMANTIC_MISMATCH: 2,
  LATENCY_SPIKE: 1,
}
