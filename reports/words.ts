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

/** Why a difference is no finding: the comparer's names, said for people. A name without words here is shown as it is. */
const EXCUSES: Readonly<Record<string, string>> = {
  order: 'Rows in another order, and the statement asks for none',
  tie: 'Rows that tie on the sort keys, in another order',
  limit: 'LIMIT let other rows through, and the order does not say which',
  volatile: 'Made of the time, of chance or of the session',
  generated: 'Generated values that stand for each other throughout',
  noise: 'V1 differs from itself here as often',
  ignored: 'On the ignore list',
  tolerance: 'Within the tolerance asked for',
  rounding: 'Last digits of a computed floating-point value',
  server: 'Asks about the server, not about data',
  ambiguous: 'Production ran a race here, or it rests on one that went another way',
  unwritten: 'A write that one side did not replay, or looks at what one would have written',
  relaxed: 'The order was given up here to end a standstill',
  follows: 'Follows from an earlier difference in its transaction',
  masked: 'Depends on more of a masked value than its token keeps',
  type: 'Another type with equal values',
}

export function excuseTitle(name: string): string {
  return EXCUSES[name] ?? name
}
