/**
 * From what differs to why: one difference may have several causes, each for its own columns.
 */
import type { Outcome } from '../../../segment/outcome.js'
import type { Clocks } from '../clock.js'
import type { CellPair, Difference } from '../judgement.js'
import type { ColumnNature } from '../nature.js'
import { type Cause, sameOrNothing } from './cause.js'
import { explainChangedError, explainNewError, explainVanishedError, type IsLabel } from './errors.js'
import { explainOrder } from './order.js'
import { explainMembership, type RowContext } from './rows.js'
import { columnCells, explainColumn } from './values.js'
import type { Written } from './written.js'

export type ExplainContext = {
  readonly before: Outcome
  readonly after: Outcome
  readonly natures: readonly ColumnNature[]
  readonly clocks: Clocks
  /** Rows that a statement returns after writing them show what it wrote, not what they were found by. */
  readonly writes: boolean
  readonly isLabel?: IsLabel
  /** What a statement that failed on one side writes. */
  readonly written?: Written
  readonly asked?: RowContext['asked']
  readonly cutBy?: RowContext['cutBy']
  /** What the statement gives columns that it writes, by label. */
  readonly given?: ReadonlyMap<string, string>
}

export function explain(difference: Difference, context: ExplainContext): readonly Cause[] {
  const { before, after, natures, writes } = context
  if (before.error !== null && after.error !== null)
    return [explainChangedError(before.error, after.error, context.isLabel, context.written)]
  if (after.error !== null) return [explainNewError(after.error, context.isLabel, context.written)]
  if (before.error !== null) return [explainVanishedError(before.error, context.written)]
  if (difference.subKind === 'column_set') return [noted('columns', difference)]
  const rows = {
    columns: before.columns ?? [],
    natures,
    before: before.rows ?? [],
    after: after.rows ?? [],
    writes,
    asked: context.asked ?? [],
    cutBy: context.cutBy ?? null,
  }
  if (difference.subKind === 'order') return [explainOrder(difference, rows)]
  if (before.columns === null || after.columns === null)
    return [difference.subKind === 'row_count' ? affected(difference) : noted('tag', difference)]
  if (difference.subKind !== 'values') return [explainMembership(difference, rows)]
  return explainValues(difference, context)
}

function noted(explainer: string, { note, columns }: Difference): Cause {
  return { explainer, subject: note, detail: '', columns, sentence: () => note, merge: sameOrNothing }
}

function affected({ note }: Difference): Cause {
  return {
    explainer: 'unexplained',
    subject: '',
    detail: note,
    columns: [],
    sentence: (detail) => `another number of rows is affected${detail ? `: ${detail}` : ''}`,
    merge: sameOrNothing,
  }
}

function explainValues(difference: Difference, context: ExplainContext): readonly Cause[] {
  const { natures, before, after, clocks, given } = context
  const columns = { before: before.columns ?? [], after: after.columns ?? [] }
  const swapped = swappedColumns(difference)
  const causes: Cause[] = swapped.map(([a, b]) => {
    const names = [natures[a]!.label, natures[b]!.label]
    return {
      explainer: 'columns.swapped',
      subject: names.join(' '),
      detail: '',
      columns: [a, b],
      sentence: () => `${names[0]} and ${names[1]} are swapped`,
      merge: sameOrNothing,
    }
  })
  const claimed = new Set(swapped.flat())
  for (const at of difference.columns) {
    if (claimed.has(at)) continue
    const cause = explainColumn(columnCells(at, natures[at]!, columns, difference.cells), clocks)
    const byContext = SAYS_LITTLE.has(cause.explainer)
      ? (notAsGiven(at, difference, given, natures) ?? beside(at, difference, natures))
      : null
    causes.push(byContext ?? cause)
  }
  return causes
}

const SAYS_LITTLE: ReadonlySet<string> = new Set(['unexplained', 'value.replaced', 'number.changed'])

/** The statement says what the column is to be, the first side returned that, and the second does not. */
function notAsGiven(
  at: number,
  { cells }: Difference,
  given: ExplainContext['given'],
  natures: readonly ColumnNature[],
): Cause | null {
  const { label } = natures[at]!
  const value = given?.get(label)
  if (value === undefined || !cells.every(({ column, before }) => column !== at || before === value)) return null
  return {
    explainer: 'value.not_given',
    subject: label,
    detail: '',
    columns: [at],
    sentence: () => `${label} comes back otherwise than the statement sets it (a trigger, RETURNING?)`,
    merge: sameOrNothing,
  }
}

/** All that a view computes is the same, and only whose it is differs. */
function beside(at: number, { columns, cells }: Difference, natures: readonly ColumnNature[]): Cause | null {
  const { view, subject } = natures[at]!
  const others = natures.filter(({ free }, other) => other !== at && free === null)
  if (view === '' || isComputed(natures[at]!) || !others.some(isComputed)) return null
  // One value in place of one other, again and again, is no other row.
  const pairs = new Set(cells.map((cell) => JSON.stringify([cell.before, cell.after])))
  if (columns.length > 1 || pairs.size < BESIDE_MIN) return null
  return {
    explainer: 'join.other',
    subject: view,
    detail: '',
    columns: [at],
    sentence: () => `what ${view} computes stands beside another ${subject} (a join by another key?)`,
    merge: sameOrNothing,
  }
}

/** By a view, or by the statement. */
function isComputed({ table, view }: ColumnNature): boolean {
  return table === '' || table === view
}

/** One row may be like another by chance. */
const BESIDE_MIN = 2

/** Pairs of columns that hold each other's values in every row that differs. */
function swappedColumns({ columns, cells }: Difference): readonly (readonly [number, number])[] {
  const found: (readonly [number, number])[] = []
  const taken = new Set<number>()
  for (const a of columns)
    for (const b of columns) {
      if (a >= b || taken.has(a) || taken.has(b)) continue
      const pairs = cells.filter(({ column }) => column === a || column === b)
      if (pairs.length < 2 || !pairs.every((pair) => isSwap(pair, a, b))) continue
      taken.add(a).add(b)
      found.push([a, b])
    }
  return found
}

function isSwap({ rowBefore, rowAfter }: CellPair, a: number, b: number): boolean {
  return rowBefore[a] === rowAfter[b] && rowBefore[b] === rowAfter[a]
}
