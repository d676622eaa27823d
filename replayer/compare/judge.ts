/**
 * Two outcomes of one statement: equal, different for a reason that means nothing, or a discrepancy.
 *
 * Errors first, then the shape of the result, then digests; kept rows are looked at only when digests differ, so the usual case
 * costs one comparison of bytes. Pure: what is known about the statement, its columns and the two runs comes in as knowledge.
 */
import type { Column, Outcome } from '../../segment/outcome.js'
import type { CellContext } from './cell.js'
import { judgeRows } from './judge-rows.js'
import { difference, discrepancy, EQUAL, excused, type Judgement } from './judgement.js'
import { type Knowledge, membershipExcuse } from './knowledge.js'

export function judge(before: Outcome, after: Outcome, knowledge: Knowledge, context: CellContext): Judgement {
  if (before.error !== null || after.error !== null) return judgeErrors(before, after, knowledge)
  if (before.columns === null || after.columns === null) return judgeWithoutRows(before, after, knowledge)
  const shape = judgeShape(before.columns, after.columns)
  if (shape !== null) return knowledge.aboutServer ? excused('server') : shape
  const types = typesDiffer(before.columns, after.columns) ? (['type'] as const) : []
  if (before.rowCount === after.rowCount && sameBytes(before.digest, after.digest)) return excused(...types)
  if (knowledge.aboutServer) return excused('server')
  return judgeRows(before, after, knowledge, context)
}

function judgeErrors(before: Outcome, after: Outcome, knowledge: Knowledge): Judgement {
  const was = before.error?.sqlstate
  const is = after.error?.sqlstate
  if (was === is) return EQUAL
  if (knowledge.noisy.error) return excused('noise')
  if (is === undefined) return discrepancy(difference('SEMANTIC_MISMATCH', 'error_vanished'))
  // Class 23: integrity constraint violation.
  const mismatch = is.startsWith('23') ? 'SCHEMA_CONSTRAINT_VIOLATION' : 'SQL_ERROR'
  return discrepancy(difference(mismatch, was === undefined ? 'error_new' : 'error_changed'))
}

function judgeWithoutRows(before: Outcome, after: Outcome, knowledge: Knowledge): Judgement {
  if (before.columns !== null || after.columns !== null) {
    const note = before.columns === null ? 'the statement returns rows now' : 'the statement returns no rows any more'
    return discrepancy(difference('SEMANTIC_MISMATCH', 'column_set', { note }))
  }
  if (before.rowCount !== after.rowCount) return rowCountDiffers(before, after, knowledge)
  // COMMIT answered by ROLLBACK: the transaction failed without a statement that says so (a deferred constraint).
  if (endsTransaction(before.tag) && before.tag !== after.tag)
    return discrepancy(difference('SEMANTIC_MISMATCH', 'values', { note: `${before.tag} is answered by ${after.tag}` }))
  return EQUAL
}

function endsTransaction(tag: string): boolean {
  return tag === 'COMMIT' || tag === 'ROLLBACK'
}

function rowCountDiffers(before: Outcome, after: Outcome, knowledge: Knowledge): Judgement {
  const excuse = membershipExcuse(knowledge)
  if (excuse !== null) return excused(excuse)
  const note = `${count(after.rowCount)} instead of ${before.rowCount}`
  return discrepancy(difference('SEMANTIC_MISMATCH', 'row_count', { note }))
}

function count(rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`
}

function judgeShape(before: readonly Column[], after: readonly Column[]): Judgement | null {
  if (before.length === after.length && before.every((column, at) => column.name === after[at]?.name)) return null
  const names = after.map(({ name }) => name)
  const gone = before.flatMap(({ name }, at) => (names.includes(name) ? [] : [at]))
  const old = before.map(({ name }) => name)
  const added = names.filter((name) => !old.includes(name))
  const words = [
    ...gone.map((at) => `column ${old[at]} is gone`),
    ...added.map((name) => `column ${name} is new`),
    ...(gone.length + added.length === 0 ? ['columns come in another order'] : []),
  ]
  return discrepancy(difference('SEMANTIC_MISMATCH', 'column_set', { columns: gone, note: words.join(', ') }))
}

/** Types of the server's own have fixed numbers; those of a database are numbered anew wherever it is restored. */
const FIRST_OWN_OID = 16_384

function typesDiffer(before: readonly Column[], after: readonly Column[]): boolean {
  if (before === after) return false
  return before.some(({ typeOid }, at) => {
    const other = after[at]?.typeOid ?? 0
    return typeOid !== other && typeOid < FIRST_OWN_OID && other < FIRST_OWN_OID
  })
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a !== null && b !== null && Buffer.compare(a, b) === 0
}
