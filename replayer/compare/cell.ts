/**
 * One value against another: the same, different but excused, or different.
 */
import type { Column } from '../../segment/outcome.js'
import { mayBeDrawn } from '../../sql/domains.js'
import type { Bijection } from './bijection.js'
import { type Clocks, madeInReplay, movesWithReplay } from './clock.js'
import type { Excuse } from './excuses.js'
import type { ColumnNature } from './nature.js'
import { momentOf, momentsIn, TIMESTAMP_OID, TIMESTAMPTZ_OID } from './time.js'

export type CellVerdict = 'equal' | 'different' | Excuse

export type Canonical = (value: string, column: Column) => string

export type CellContext = {
  readonly clocks: Clocks
  readonly bijection: Bijection
  /** Canonical text of a value, so that 1.50 equals 1.5 and a char(8) equals its text. */
  readonly canonical: { readonly before: Canonical; readonly after: Canonical }
}

const ZONED_OR_NOT = new Set([TIMESTAMP_OID, TIMESTAMPTZ_OID])
const FLOATS = new Set([700, 701])
/** Sums in another order, in parallel for instance, differ by some units in the last place; float4 has 24 bits. */
const FLOAT8_ROUNDING = 1e-9
const FLOAT4_ROUNDING = 1e-5

export function compareCells(
  before: string | null,
  after: string | null,
  nature: ColumnNature,
  columns: { readonly before: Column; readonly after: Column },
  context: CellContext,
): CellVerdict {
  if (before === after) return 'equal'
  if (nature.free !== null) return nature.free
  if (before === null || after === null) return 'different'
  const a = context.canonical.before(before, columns.before)
  const b = context.canonical.after(after, columns.after)
  if (a === b) return 'equal'
  if (isSameMoment(before, after, columns)) return 'type'
  if (nature.tolerance !== null && withinTolerance(before, after, nature.tolerance)) return 'tolerance'
  if (nature.table === '' && isRounding(before, after, columns)) return 'rounding'
  if (isMadeByTheRun(before, after, nature, context.clocks)) return 'volatile'
  if (nature.domain !== null && standsFor(nature, a, b, context.bijection)) return 'generated'
  // What an expression makes of chance and of columns together cannot be told apart.
  if (nature.table === '' && nature.chance !== 'none' && momentOf(before) === null) return 'volatile'
  if (nature.inputOrder && sameLetters(before, after)) return 'order'
  return 'different'
}

/** timestamp and timestamptz show one instant differently; which one a zoneless value means is read as UTC. */
function isSameMoment(
  before: string,
  after: string,
  { before: was, after: is }: { readonly before: Column; readonly after: Column },
): boolean {
  if (was.typeOid === is.typeOid || !ZONED_OR_NOT.has(was.typeOid) || !ZONED_OR_NOT.has(is.typeOid)) return false
  return momentOf(before)?.atUs === momentOf(after)?.atUs
}

function withinTolerance(before: string, after: string, tolerance: NonNullable<ColumnNature['tolerance']>): boolean {
  if (tolerance.kind === 'number') return Math.abs(Number(before) - Number(after)) <= tolerance.by
  const a = momentOf(before)
  const b = momentOf(after)
  return a !== null && b !== null && Math.abs(a.atUs - b.atUs) <= tolerance.byUs
}

function isRounding(
  before: string,
  after: string,
  columns: { readonly before: Column; readonly after: Column },
): boolean {
  if (!FLOATS.has(columns.before.typeOid) || !FLOATS.has(columns.after.typeOid)) return false
  const a = Number(before)
  const b = Number(after)
  const share = columns.before.typeOid === 700 || columns.after.typeOid === 700 ? FLOAT4_ROUNDING : FLOAT8_ROUNDING
  return Math.abs(a - b) <= share * Math.max(Math.abs(a), Math.abs(b))
}

function isMadeByTheRun(before: string, after: string, nature: ColumnNature, clocks: Clocks): boolean {
  const a = momentOf(before)
  const b = momentOf(after)
  if (a !== null && b !== null)
    return madeInReplay(a, b, clocks) || (nature.chance === 'time' && movesWithReplay(a, b, clocks))
  const inBefore = momentsIn(before)
  if (inBefore.moments.length === 0) return false
  const inAfter = momentsIn(after)
  if (inBefore.rest !== inAfter.rest || inBefore.moments.length !== inAfter.moments.length) return false
  return inBefore.moments.every((moment, at) => {
    const other = inAfter.moments[at]!
    return moment.atUs === other.atUs || madeInReplay(moment, other, clocks)
  })
}

function standsFor(nature: ColumnNature, before: string, after: string, bijection: Bijection): boolean {
  const domain = nature.domain ?? ''
  const { position } = nature
  const fresh = position === null || (mayBeDrawn({ position }, before) && mayBeDrawn({ position }, after))
  return nature.teaches && fresh
    ? bijection.learn(domain, before, after)
    : bijection.agrees(domain, before, after) === true
}

function sameLetters(before: string, after: string): boolean {
  return before.length === after.length && [...before].sort().join('') === [...after].sort().join('')
}
