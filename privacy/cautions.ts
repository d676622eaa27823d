/**
 * What masking cannot keep, recognised from the statement: a difference there is labelled, never a finding.
 */
import type { ColumnRef, ResultColumn, StatementColumns, Use } from '../sql/columns.js'
import { FOLDS_CASE, KEEPS_ORDER, type Kind } from './kinds.js'
import type { Understanding } from './understanding.js'

/** A masked column used in a way its tokens may not stand for. */
export type MaskingCaution = {
  /** null: a literal that no column explains, made part of a result. */
  readonly column: ColumnRef | null
  /** `public.users.email` */
  readonly name: string
  readonly kind: Kind
  readonly use: Exclude<Use, 'equal' | 'store'>
}

export function cautionsOf(with_: Understanding, statement: StatementColumns): readonly MaskingCaution[] {
  const found = new Map<string, MaskingCaution>()
  const add = (column: ColumnRef, use: MaskingCaution['use']): void => {
    const caution = cautionOf(with_, column, use)
    if (caution !== null) found.set(`${caution.name} ${use}`, caution)
  }
  for (const { column, use } of statement.cautions) add(column, use)
  for (const result of statement.results ?? []) {
    if (result.via === 'fold') for (const column of result.columns) add(column, 'fold')
    // What JSON is built of is masked inside, place by place.
    if (result.via === 'derive' && result.json.length === 0) for (const column of result.sources) add(column, 'derive')
    if (madeOfLiteral(with_, result))
      found.set(result.name, { column: null, name: `a literal in ${result.name}`, kind: 'text', use: 'derive' })
  }
  return [...found.values()]
}

function cautionOf(
  { masks, describe, resolver }: Understanding,
  column: ColumnRef,
  use: MaskingCaution['use'],
): MaskingCaution | null {
  const rule = masks.ruleOf(column)
  if (rule === null || rule.kind === 'keep') return null
  const own = resolver.index.byOid(column.tableOid)?.columns.find((one) => one.attnum === column.attnum)
  if (use === 'fold' && (FOLDS_CASE.has(rule.kind) || own?.type === 'citext')) return null
  if (use === 'json_text' && masks.namesPath(column)) return null
  if (use === 'order' && KEEPS_ORDER.has(rule.kind)) return null
  const name = [describe(column), ...(column.path ?? [])].join('.')
  return { column, name, kind: rule.kind, use }
}

/** `'Order ' || id`: the literal is masked in the text, so production's answer and the replay's differ in it. */
function madeOfLiteral({ masks }: Understanding, { via, echoes, sources, json }: ResultColumn): boolean {
  return (
    via === 'derive' &&
    json.length === 0 &&
    echoes.length > 0 &&
    sources.every((column) => masks.kindOf(column) === 'keep')
  )
}
