/**
 * Result columns: a table's own by its oid and number, expressions by what the statement says they are made of.
 */
import type { Column } from '../segment/outcome.js'
import { FIRST_USER_OID } from '../segment/values/oids.js'
import type { ColumnRef, ResultColumn, RowField } from '../sql/columns.js'
import type { Mask } from './masks/index.js'
import { arrayMask, rowMask } from './masks/structures.js'
import type { ResolvedPolicy } from './policy/columns.js'
import { factsMask } from './slots.js'
import type { SqlFacts } from './statement.js'
import type { TypeClass, TypeFacts } from './types.js'
import type { Understanding } from './understanding.js'

/** One mask per column; null keeps. */
export function resultMasks(
  understanding: Understanding,
  policy: ResolvedPolicy,
  columns: readonly Column[],
  facts: SqlFacts | undefined,
  results: readonly ResultColumn[] | null,
): readonly (Mask | null)[] {
  const aligned = results !== null && results.length === columns.length
  return columns.map((column, at) => {
    if (column.tableOid !== 0 && column.attnum !== 0) return tableColumn(understanding, policy, column)
    const result = aligned ? results[at]! : null
    return result === null
      ? byType(understanding, policy, column)
      : expression(understanding, policy, column, facts, result)
  })
}

function byType({ masks }: Understanding, policy: ResolvedPolicy, column: Column): Mask | null {
  return masks.cellOfType(policy.types.of(column.typeOid))
}

/** Columns of the system catalog that show what others sent or stored. */
const TELLS = new Set([
  'query',
  'statement',
  'description',
  'most_common_vals',
  'histogram_bounds',
  'most_common_elems',
  'data',
])

function tableColumn(understanding: Understanding, policy: ResolvedPolicy, column: Column): Mask | null {
  const { masks, resolver } = understanding
  const type = policy.types.of(column.typeOid)
  if (column.tableOid < FIRST_USER_OID) {
    if (TELLS.has(column.name)) return masks.text
    return type.class === 'text' && column.typeOid !== 19 ? masks.detected : null
  }
  const own: ColumnRef = { tableOid: column.tableOid, attnum: column.attnum }
  const below = policy.index.byOid(column.tableOid)?.viewSql != null ? resolver.below(own.tableOid, own.attnum) : null
  return masks.cell(below?.[0] ?? own, type)
}

function expression(
  understanding: Understanding,
  policy: ResolvedPolicy,
  column: Column,
  facts: SqlFacts | undefined,
  result: ResultColumn,
): Mask | null {
  const { masks } = understanding
  const type = policy.types.of(column.typeOid)
  if (result.via === 'derive' && !result.measures && COMPUTED.has(type.class)) {
    const masked = result.sources.find((one) => masks.kindOf(one) !== 'keep')
    if (masked !== undefined) return computed(understanding, masked, type)
  }
  if (['integer', 'number', 'boolean', 'time', 'uuid', 'enum'].includes(type.class) && result.columns.length === 0)
    return null
  if (result.json.length > 0 && type.class === 'json') return masks.json(result.json)
  if (result.fields !== null) return row(understanding, policy, type, result.fields)
  // Keys of what is computed may be values: `jsonb_object_agg(email, id)`.
  if ((type.class === 'json' || type.class === 'pairs') && result.via === 'derive' && isMasked(understanding, result))
    return masks.text
  if (result.columns.length > 0 && result.via !== 'derive') {
    const masked = result.columns.find((one) => masks.kindOf(one) !== 'keep') ?? result.columns[0]!
    const own = masked.path === undefined ? policy.types.of(ownType(policy, masked) ?? column.typeOid) : type
    const below = masks.cell(masked, own)
    // array_agg(email) is an array of what the column holds, unnest(emails) an element.
    if (type.element !== null && below !== null && policy.types.of(ownType(policy, masked) ?? 0).element === null)
      return arrayMask(below, below)
    return below
  }
  const kept = result.clear && result.sources.every((one) => masks.kindOf(one) === 'keep' && one.path === undefined)
  if (kept && result.echoes.length === 0)
    return type.class === 'text' || type.class === 'unknown' ? masks.detected : null
  if (kept && result.sources.length === 0)
    return echo(understanding, facts, result) ?? byType(understanding, policy, column)
  return byType(understanding, policy, column)
}

/** Numbers, times and spans of time that are computed of masked values tell them: the year of a birthday, a number plus one. */
const COMPUTED: ReadonlySet<TypeClass> = new Set<TypeClass>(['integer', 'number', 'time', 'other'])

function computed({ masks }: Understanding, source: ColumnRef, type: TypeFacts): Mask | null {
  const kind = masks.kindOf(source)
  // Shifted as the value is, so that what a replay adds to a shifted date agrees.
  return kind === 'date_shift' && type.class === 'time' ? masks.cell(source, type) : masks.text
}

function isMasked({ masks }: Understanding, { sources }: ResultColumn): boolean {
  return sources.some((source) => masks.kindOf(source) !== 'keep')
}

/** `ROW(id, email)`, `u` of `FROM users u`, or many of them. */
function row({ masks }: Understanding, policy: ResolvedPolicy, type: TypeFacts, fields: readonly RowField[]): Mask {
  const shown = (type.element ?? type).fields
  const ofFields = fields.map(({ columns, via, sources }, at): Mask => {
    const masked = columns.find((one) => masks.kindOf(one) !== 'keep') ?? columns[0]
    const own = policy.types.of((masked && ownType(policy, masked)) ?? 0)
    if (masked === undefined && sources.length === 0) return masks.unresolved(null)
    if (masked === undefined || via === 'derive') return masks.cellOfType(shown[at] ?? policy.types.of(0)) ?? same
    return masks.cell(masked, masked.path === undefined ? own : (shown[at] ?? policy.types.of(0))) ?? same
  })
  const one = rowMask(ofFields, masks.text)
  return type.element === null ? one : arrayMask(one, masks.text)
}

const same: Mask = (value) => value

function ownType(policy: ResolvedPolicy, { tableOid, attnum }: ColumnRef): number | undefined {
  return policy.index.byOid(tableOid)?.columns.find((one) => one.attnum === attnum)?.typeOid
}

/** `SELECT 'a' AS x, $1`: what comes back is what was sent, so it is masked as that was. */
function echo(understanding: Understanding, facts: SqlFacts | undefined, result: ResultColumn): Mask | null {
  const slot = result.echoes[0]
  if (facts === undefined || slot === undefined || result.echoes.length > 1 || result.via === 'derive') return null
  const known = slot.kind === 'parameter' ? facts.parameters.get(slot.at) : undefined
  return known === undefined ? understanding.masks.unresolved(null) : factsMask(understanding, known)
}
