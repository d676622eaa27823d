/**
 * Two results of equal shape whose digests differ: what differs, and does it mean anything?
 *
 * The digests cover every row and name the columns; the kept rows show values. Where they disagree about how much can be known
 * (rows beyond the kept ones), the digests decide whether there is a difference and the rows only explain it.
 */
import type { RowDiff, SubKind } from '../../segment/diff.js'
import type { Outcome, Row } from '../../segment/outcome.js'
import { type Alignment, align, pairRest, withPairs } from './align.js'
import { type Canonical, type CellContext, compareCells } from './cell.js'
import { type DigestDifference, digestDifference } from './digest-difference.js'
import type { Excuse } from './excuses.js'
import { type CellPair, type Difference, difference, discrepancy, excused, type Judgement } from './judgement.js'
import { type Knowledge, membershipExcuse } from './knowledge.js'
import { isLimitTie } from './limit-tie.js'
import type { ColumnNature } from './nature.js'

const SHOWN_ROWS_MAX = 10

export function judgeRows(before: Outcome, after: Outcome, knowledge: Knowledge, context: CellContext): Judgement {
  const digests = digestDifference(before, after)
  const looked = positions(before).filter((at) => natureOf(knowledge, at).free === null)
  const sameCount = before.rowCount === after.rowCount
  if (sameCount && isPermutation(digests, looked)) return judgeOrder(before, after, digests, looked, knowledge)
  const seen = inspect(before, after, knowledge, context)
  const differences: Difference[] = []
  const membership = membershipDifference(before, after, seen)
  if (membership !== null) {
    const excuse = seen.limitTie ? 'limit' : membershipExcuse(knowledge)
    if (excuse === null) differences.push(membership)
    else seen.excuses.add(excuse)
  }
  const columns = changedColumns(digests, looked, seen, sameCount, differences.length > 0)
  if (columns.length > 0) differences.push(difference('SEMANTIC_MISMATCH', 'values', { columns, cells: seen.cells }))
  const excuses = [...seen.excuses]
  if (differences.length > 0)
    return { verdict: 'discrepancy', differences, excuses, rows: rowDiff(before, after, seen) }
  const order = sameCount && !seen.limitTie ? judgeOrder(before, after, digests, looked, knowledge) : null
  if (order?.verdict === 'discrepancy') return order
  return excused(...excuses, ...(order?.verdict === 'excused' ? order.excuses : []))
}

/** Same rows as far as they are looked at, in whatever order. */
function isPermutation(digests: DigestDifference, looked: readonly number[]): boolean {
  if (looked.some((at) => digests.unordered.has(at))) return false
  // Whole rows cannot be compared when a column that is not looked at differs; equal columns must do.
  return !digests.rows || digests.unordered.size > 0
}

function judgeOrder(
  before: Outcome,
  after: Outcome,
  digests: DigestDifference,
  looked: readonly number[],
  knowledge: Knowledge,
): Judgement {
  const free = [...digests.unordered].flatMap((at) => natureOf(knowledge, at).free ?? [])
  if (!looked.some((at) => digests.ordered.has(at) && !digests.unordered.has(at))) return excused(...free)
  const { sort, noisy } = knowledge
  if (!sort.sorted) return excused('order', ...free)
  if (noisy.order) return excused('noise', ...free)
  const disordered = sort.shown.filter((at) => digests.ordered.has(at) && !digests.unordered.has(at))
  const firstUnsure = sort.shown.find((at) => digests.unordered.has(at))
  // Rows that tie on a key that itself differs between the runs may well come in another order.
  const broken = disordered.some(
    (at) => firstUnsure === undefined || sort.shown.indexOf(at) < sort.shown.indexOf(firstUnsure),
  )
  if (!broken && !(sort.total && firstUnsure === undefined)) return excused('tie', ...free)
  const columns = disordered.length > 0 ? disordered : sort.shown
  return discrepancy(difference('SEMANTIC_MISMATCH', 'order', { columns }), firstRows(before, after), free)
}

type Inspection = {
  readonly cells: readonly CellPair[]
  readonly missing: readonly Row[]
  readonly extra: readonly Row[]
  readonly excuses: Set<Excuse>
  /** Columns in which a kept value differed and was excused. */
  readonly excusedColumns: ReadonlySet<number>
  readonly limitTie: boolean
  /** Not all rows could be looked at. */
  readonly partial: boolean
}

function inspect(before: Outcome, after: Outcome, knowledge: Knowledge, context: CellContext): Inspection {
  const rowsBefore = before.rows ?? []
  const rowsAfter = after.rows ?? []
  const partial = before.rowsCut || after.rowsCut || before.rows === null || after.rows === null
  const canonicalBefore = renamedRows(canonicalRows(before, context.canonical.before), knowledge, context)
  const canonicalAfter = canonicalRows(after, context.canonical.after)
  const mayBeCut = Math.max(before.rowCount, after.rowCount) >= knowledge.sort.cutFrom || before.suspended
  const arbitrary = mayBeCut && !knowledge.sort.total
  const alignment = alignRows(
    canonicalBefore,
    canonicalAfter,
    knowledge,
    arbitrary,
    partial,
    before.rowCount === after.rowCount,
    context,
  )
  const excuses = new Set<Excuse>()
  const excusedColumns = new Set<number>()
  const cells: CellPair[] = []
  for (const pair of alignment.pairs) {
    const rowBefore = rowsBefore[pair.before]!
    const rowAfter = rowsAfter[pair.after]!
    for (const column of positions(before)) {
      const verdict = compareCells(
        rowBefore[column] ?? null,
        rowAfter[column] ?? null,
        natureOf(knowledge, column),
        { before: before.columns![column]!, after: after.columns![column]! },
        context,
      )
      if (verdict === 'equal') continue
      if (verdict === 'different') {
        cells.push({ column, before: rowBefore[column] ?? null, after: rowAfter[column] ?? null, rowBefore, rowAfter })
      } else {
        excuses.add(verdict)
        excusedColumns.add(column)
      }
    }
  }
  const limitTie = arbitrary && isLimitTie(canonicalBefore, canonicalAfter, alignment, knowledge.sort)
  // Beyond the kept rows, those without a counterpart may have one.
  const known = !partial || before.rowCount !== after.rowCount
  return {
    cells,
    missing: known ? alignment.onlyBefore.map((at) => rowsBefore[at]!) : [],
    extra: known ? alignment.onlyAfter.map((at) => rowsAfter[at]!) : [],
    excuses,
    excusedColumns,
    limitTie,
    partial,
  }
}

function alignRows(
  before: readonly Row[],
  after: readonly Row[],
  knowledge: Knowledge,
  arbitrary: boolean,
  partial: boolean,
  sameCount: boolean,
  { bijection }: CellContext,
): Alignment {
  const chancy = membershipExcuse(knowledge) !== null
  const looked = Array.from({ length: before[0]?.length ?? after[0]?.length ?? 0 }, (_, at) => at)
  const natures = looked.map((at) => natureOf(knowledge, at))
  const key = looked.filter((at) => natures[at]!.key && natures[at]!.free === null)
  const alignment = align(before, after, {
    steady: looked.filter((at) => isSteady(natures[at]!)),
    key,
    // Where LIMIT may pick other rows, rows that look alike are not the same row when a key could say so; where chance picks them, never.
    alike: !(chancy || (arbitrary && key.length > 0)),
  })
  // A key that each run made for itself, and that nobody has matched yet, tells no rows apart.
  const generated = key.filter((at) => natures[at]!.renamed)
  if (generated.length > 0 && sameCount && !arbitrary) {
    const unknown = (row: Row, isKnown: (domain: string, value: string) => boolean) =>
      generated.every((at) => row[at] != null && !isKnown(natures[at]!.domain ?? '', row[at]))
    const knownAfter = (domain: string, value: string) => bijection.reaches(domain, value)
    const onlyBefore = alignment.onlyBefore.filter((at) => unknown(before[at]!, knownAfter))
    const onlyAfter = alignment.onlyAfter.filter((at) => unknown(after[at]!, knownAfter))
    const steadyKey = key.filter((at) => !natures[at]!.renamed)
    const { pairs } = pairRest({ pairs: [], onlyBefore, onlyAfter }, (a, b) =>
      steadyKey.every((at) => before[a]![at] === after[b]![at]),
    )
    return withPairs(alignment, pairs)
  }
  // Rows that show different keys are different rows; others must be the same, changed.
  const mustMatch = key.length === 0 && sameCount && !arbitrary && !chancy && (!partial || knowledge.sort.sorted)
  if (!mustMatch) return alignment
  // Where all of several stored values differ, it is another row; a computed row has nothing else to be known by.
  const stored = natures.every(({ table }) => table !== '') && natures.length > 2
  return pairRest(alignment, (a, b) => !stored || before[a]!.some((cell, at) => cell === after[b]![at]))
}

/** Its values are the same in both runs, unless something is wrong. */
function isSteady({ free, chance, renamed }: ColumnNature): boolean {
  return free === null && !renamed && (chance === 'none' || chance === 'sequence')
}

function membershipDifference(before: Outcome, after: Outcome, seen: Inspection): Difference | null {
  const { missing, extra } = seen
  if (before.rowCount === after.rowCount && missing.length + extra.length === 0) return null
  const note = `${after.rowCount} ${after.rowCount === 1 ? 'row' : 'rows'} instead of ${before.rowCount}`
  return difference('SEMANTIC_MISMATCH', membershipKind(before, after, seen), { missing, extra, note })
}

function membershipKind(before: Outcome, after: Outcome, { missing, extra, partial }: Inspection): SubKind {
  if (after.rowCount < before.rowCount && (partial || extra.length === 0)) return 'rows_missing'
  if (after.rowCount > before.rowCount && (partial || missing.length === 0)) return 'rows_extra'
  if (after.rowCount === before.rowCount) return missing.length > 0 ? 'rows_missing' : 'rows_extra'
  return 'row_count'
}

/** Columns with values that differ: those seen to, and those of which the digests say so while no kept row explains it. */
function changedColumns(
  digests: DigestDifference,
  looked: readonly number[],
  seen: Inspection,
  sameCount: boolean,
  explained: boolean,
): readonly number[] {
  const columns = new Set(seen.cells.map(({ column }) => column))
  if (sameCount && seen.partial && !explained && !seen.limitTie) {
    const hidden = looked.filter((at) => digests.unordered.has(at) && !seen.excusedColumns.has(at))
    for (const at of hidden) columns.add(at)
    // The same values in every column, but in other combinations.
    if (digests.rows && digests.unordered.size === 0 && columns.size === 0)
      for (const at of looked) if (digests.ordered.has(at)) columns.add(at)
  }
  return [...columns].sort((a, b) => a - b)
}

function rowDiff(before: Outcome, after: Outcome, seen: Inspection): RowDiff | null {
  const pairs = new Map<Row, Row>()
  for (const { rowBefore, rowAfter } of seen.cells) if (pairs.size < SHOWN_ROWS_MAX) pairs.set(rowBefore, rowAfter)
  const rows = {
    columns: before.columns!.map(({ name }) => name),
    before: [...pairs.keys(), ...seen.missing].slice(0, SHOWN_ROWS_MAX),
    after: [...pairs.values(), ...seen.extra].slice(0, SHOWN_ROWS_MAX),
  }
  return rows.before.length + rows.after.length > 0 ? rows : firstRows(before, after)
}

function firstRows(before: Outcome, after: Outcome): RowDiff | null {
  if (before.rows === null || after.rows === null || before.columns === null) return null
  return {
    columns: before.columns.map(({ name }) => name),
    before: before.rows.slice(0, SHOWN_ROWS_MAX),
    after: after.rows.slice(0, SHOWN_ROWS_MAX),
  }
}

function canonicalRows({ rows, columns }: Outcome, canonical: Canonical): readonly Row[] {
  return (rows ?? []).map((row) => row.map((cell, at) => (cell === null ? null : canonical(cell, columns![at]!))))
}

/** Generated values of the first run, by those that stand for them in the second. */
function renamedRows(rows: readonly Row[], knowledge: Knowledge, { bijection }: CellContext): readonly Row[] {
  const domains = knowledge.columns.map(({ domain, free }) => (free === null ? domain : null))
  if (domains.every((domain) => domain === null)) return rows
  return rows.map((row) =>
    row.map((cell, at) => {
      const domain = domains[at] ?? null
      return cell === null || domain === null ? cell : (bijection.counterpart(domain, cell) ?? cell)
    }),
  )
}

function positions({ columns }: Outcome): readonly number[] {
  return (columns ?? []).map((_, at) => at)
}

function natureOf(knowledge: Knowledge, at: number) {
  return knowledge.columns[at]!
}
