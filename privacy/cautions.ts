/**
 * What masking cannot keep, recognised from the statement: a difference there is labelled, never a finding.
 */
import type { MaskingCaution } from '../segment/masking.js'
import type { Affects, ColumnRef, ResultColumn, RowField, SlotFacts, StatementColumns, Use } from '../sql/columns.js'
import { FOLDS_CASE, KEEPS_ORDER } from './kinds.js'
import type { Understanding } from './understanding.js'

type CautiousUse = Exclude<Use, 'equal' | 'store'>

/** `slots`: the literals and parameters of the text, for what they are compared with. */
export function cautionsOf(
  with_: Understanding,
  statement: StatementColumns,
  slots: Iterable<SlotFacts>,
): readonly MaskingCaution[] {
  const found = new Map<string, MaskingCaution>()
  const note = (one: MaskingCaution | null): void => {
    if (one !== null) found.set(JSON.stringify([one.name, one.use, one.affects]), one)
  }
  const add = (column: ColumnRef, use: CautiousUse, affects: Affects): void =>
    note(cautionOf(with_, column, use, affects))
  const meet = (column: ColumnRef, other: ColumnRef, affects: Affects): void => {
    if (!with_.masks.agree(column, other)) note(meetingOf(with_, column, other, affects))
  }
  for (const { column, use, other, affects } of statement.cautions)
    if (other === undefined) add(column, use, affects)
    else meet(column, other, affects)
  for (const { bindings } of slots) {
    for (const { column, use } of bindings)
      if (use === 'equal') {
        if (with_.computed(column)) add(column, 'derive', { what: 'rows' })
        if (with_.masks.sorts(column)) add(column, 'order', { what: 'rows' })
        if (with_.masks.kindOf(column) === 'redact') add(column, 'derive', { what: 'rows' })
      }
    // One value can only have the token of one kind.
    for (const { column } of bindings.slice(1)) meet(bindings[0]!.column, column, { what: 'rows' })
  }
  for (const [at, result] of (statement.results ?? []).entries()) {
    const affects: Affects = { what: 'result', at }
    for (const { column, use } of usesOf(with_, result)) add(column, use, affects)
    if (madeOfLiteral(with_, result))
      note({ name: `a literal in ${result.name}`, kind: 'text', use: 'derive', affects })
    else if (isOpaque(result)) note({ name: result.name, kind: 'text', use: 'unseen', affects })
  }
  return [...found.values()]
}

function usesOf(
  { computed }: Understanding,
  result: ResultColumn,
): readonly { readonly column: ColumnRef; readonly use: CautiousUse }[] {
  const own = result.sources.filter(computed).map((column) => ({ column, use: 'derive' as const }))
  if (result.via === 'fold') return [...own, ...result.columns.map((column) => ({ column, use: 'fold' as const }))]
  // What JSON is built of is masked inside, place by place.
  // A row's fields, each by its own column.
  if (result.fields !== null) return [...own, ...result.fields.flatMap(usesOfField)]
  if (result.via === 'derive' && result.json.length === 0)
    return result.sources.map((column) => ({ column, use: 'derive' as const }))
  return own
}

function usesOfField({ columns, via, sources }: RowField): ReturnType<typeof usesOf> {
  if (via === 'exact') return []
  return (via === 'fold' ? columns : sources).map((column) => ({ column, use: via }))
}

function cautionOf(with_: Understanding, column: ColumnRef, use: CautiousUse, affects: Affects): MaskingCaution | null {
  const { masks, describe, resolver } = with_
  const rule = masks.ruleOf(column)
  // What is computed of masked values is theirs, whatever it is itself: the length of a name.
  const computed = rule?.kind === 'keep' && with_.computed(column)
  if (rule === null || (rule.kind === 'keep' && !computed)) return null
  const own = resolver.index.byOid(column.tableOid)?.columns.find((one) => one.attnum === column.attnum)
  if (use === 'fold' && (FOLDS_CASE.has(rule.kind) || own?.type === 'citext')) return null
  if (use === 'json_text' && masks.namesPath(column)) return null
  if (use === 'order' && KEEPS_ORDER.has(rule.kind) && !computed) return null
  const name = [describe(column), ...(column.path ?? [])].join('.')
  return {
    name,
    kind: rule.kind,
    use,
    affects: affects.what === 'stored' ? { what: 'stored', column: describe(affects.column) } : affects,
  }
}

/** The masked one of two, under the name of both. */
function meetingOf(
  { masks, describe }: Understanding,
  column: ColumnRef,
  other: ColumnRef,
  affects: Affects,
): MaskingCaution | null {
  const masked = masks.kindOf(column) === 'keep' ? other : column
  const rule = masks.ruleOf(masked)
  if (rule === null || masks.ruleOf(column) === null || masks.ruleOf(other) === null) return null
  const [name, its] = [column, other].map((one) => [describe(one), ...(one.path ?? [])].join('.'))
  return {
    name: `${name} and ${its}`,
    kind: rule.kind,
    use: 'kinds',
    affects: affects.what === 'stored' ? { what: 'stored', column: describe(affects.column) } : affects,
  }
}

/** What a function of the user's says is masked as text, whatever it is made of. */
function isOpaque({ clear, via, json, fields }: ResultColumn): boolean {
  return !clear && via === 'derive' && json.length === 0 && fields === null
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
