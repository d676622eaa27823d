/**
 * Which findings follow from another one?
 *
 * One fault shows in many ways: the refused INSERT is an error, and later the row is missing, the count is lower, the stock is
 * another. A person wants the first, with the rest counted to it. A finding that names its cause by itself (a value cut to 12
 * characters) never follows from another; one that cannot say more than "differs" does, if it fits:
 *
 *  1. it is about the same column as a finding that names its cause;
 *  2. its statements filter, join, sort or compute by such a column;
 *  3. it came after an error that only one side had, or a lock that broke transactions, about tables that those meant to write;
 *  4. rows of the same tables are missing or extra, and it counts, sums or lists rows;
 *  5. it points at another row, and that came up only after such rows or such an error: ids were drawn in another order since;
 *  6. it says the same of a column that is computed from the other's column;
 *  7. it is about rows or words in place of others, came after an error about their tables, and is no more frequent than that error;
 *  8. a write found fewer rows, so what its triggers and cascades do is missing as well;
 *  9. a duplicate or a reference is no longer in the way, since the row that was in the way was refused;
 * 10. it is the same complaint in place of another error, or a value that fits now because its column has another type.
 *
 * Slower look-ups by one column take those by that column and others with them. A lock on a whole table takes errors of locks, the
 * slowness of who waits for it, and what the transactions meant to write that it broke.
 *
 * It is a judgement, so they are counted apart (`follows`), and every statement stays in the diff with what it differs by.
 */
import { OF_DATA, TIMING } from './causes/errors.js'
import { OF_TABLE_LOCKS } from './lock-cause.js'

export type Suspect = {
  readonly id: string
  readonly mismatch: string
  readonly subKind: string
  readonly explainer: string
  readonly subject: string
  /** What all of it agrees on; null: nothing. */
  readonly detail: string | null
  /** Its sentence says more than that something differs. */
  readonly telling: boolean
  /** What its rows have in common: `status = 'closed'`. */
  readonly conditions: readonly string[]
  /** The same, also where its rows are too few for it to be a reason. */
  readonly agreeing: readonly string[]
  /** Columns that its rows show: `orders.status`. */
  readonly shown: ReadonlySet<string>
  /** An error that vanished here is still raised elsewhere. */
  readonly refused: boolean
  /** A row could go since rows of this table, which point at it, are not there: no foreign key is lost. Empty: not so. */
  readonly relievedBy: string
  /** How often its rows are rows that a broken transaction meant to write. */
  readonly tainted: number
  /** `users.email`; a computed column has no table. */
  readonly columns: readonly string[]
  /** Columns of tables that they are made of. */
  readonly madeOf: ReadonlySet<string>
  readonly fingerprints: ReadonlySet<string>
  readonly tables: ReadonlySet<string>
  readonly columnNames: ReadonlySet<string>
  /** What the transactions in which it came up wrote or meant to write. */
  readonly reach: ReadonlySet<string>
  readonly firstSeq: number
  readonly count: number
}

const REPEATS = new Set(['rows.repeated', 'rows.merged'])
/** Errors that a lock held for too long brings about. */
const OF_LOCKS = new Set(['error.deadlock', 'error.lock', 'error.serialization', 'error.cancelled'])
/** Of a transaction that has failed already. */
const IN_FAILED = '25P02'
const LOST = 'constraint.lost'
const CONFLICT_TARGET = 'error.conflict_target'
const VAGUE = new Set(['unexplained', 'number.off_by_one', 'number.multiplied', 'rows.other', 'rows.merged', 'tag'])
/** One word in place of another may be anything; always the same one in place of the same other is a rule. */
const REPLACED_MIN = 3
/** They say something of any pair; only what all pairs agree on is a rule. */
const OF_EACH_PAIR = new Set(['value.replaced', 'number.changed'])
/** On a computed column they say what the expression returned, not what happened to the data. */
const VAGUE_IF_COMPUTED = new Set([
  'boolean.inverted',
  'value.null',
  'value.null_filled',
  'value.emptied',
  'value.replaced',
  'number.changed',
])
/** Errors that a row which is missing or too much brings about. */
const LATE_ERRORS = new Set([
  'error.foreign_key',
  'error.unique',
  'error.not_null',
  'error.check',
  'unexplained',
  TIMING,
])

/** The id of the finding that each follows from; those that stand for themselves are left out. */
export function consequences(findings: readonly Suspect[]): ReadonlyMap<string, string> {
  const candidates = findings.filter(({ mismatch }) => mismatch !== 'LATENCY_SPIKE')
  const slow = findings.filter(({ mismatch }) => mismatch === 'LATENCY_SPIKE')
  const locks = slow.filter(({ explainer }) => explainer === OF_TABLE_LOCKS)
  const named = [...candidates.filter(namesCause), ...locks]
  const rows = candidates
    .filter((one) => isAboutRows(one) && !isTainted(one))
    .sort((a, b) => Number(namesCause(b)) - Number(namesCause(a)) || b.count - a.count)
  const roots = new Map<string, string>()
  for (const one of candidates) {
    const root = isError(one)
      ? rootOfError(one, named, rows)
      : ((isTainted(one) ? first(errorsBefore(one, named)) : undefined) ??
        rootOfDifference(one, named, rows, candidates))
    if (root !== undefined && root.id !== one.id) roots.set(one.id, root.id)
  }
  for (const one of candidates) {
    const root = isError(one) && OF_LOCKS.has(one.explainer) ? most(locks) : undefined
    if (root !== undefined) roots.set(one.id, root.id)
  }
  for (const one of slow) {
    const waits = locks.includes(one) ? undefined : locks.find((lock) => overlap(lock.fingerprints, one.fingerprints))
    const root = waits ?? slow.find((other) => looksUpByLess(other, one))
    if (root !== undefined) roots.set(one.id, root.id)
  }
  return followed(roots)
}

function rootOfDifference(
  one: Suspect,
  named: readonly Suspect[],
  rows: readonly Suspect[],
  candidates: readonly Suspect[],
): Suspect | undefined {
  if (one.explainer === 'reference.other') return rootOfReference(one, named, rows)
  if (!namesCause(one)) return rootOfVague(one, named, rows, candidates)
  return (
    sameCondition(one, rows) ??
    repeatedAgain(one, rows) ??
    byCondition(one, named) ??
    byLostLabel(one, named) ??
    derivedFrom(one, named) ??
    afterFewErrors(one, named) ??
    sameOrder(one, named)
  )
}

/** Slow by one column, and slow by that column and others: it is the one. */
function looksUpByLess(other: Suspect, one: Suspect): boolean {
  return (
    other.columns.length > 0 &&
    other.columns.length < one.columns.length &&
    other.columns.every((column) => one.columns.includes(column))
  )
}

function namesCause(one: Suspect): boolean {
  if (isError(one)) return !one.refused && one.explainer !== TIMING
  if (VAGUE.has(one.explainer)) return false
  if (OF_EACH_PAIR.has(one.explainer) && (!one.telling || one.count < REPLACED_MIN)) return false
  if (one.explainer.startsWith('rows.')) return one.telling || one.explainer === 'rows.repeated'
  return !(VAGUE_IF_COMPUTED.has(one.explainer) && one.columns.some((column) => !column.includes('.')))
}

/** The same happened to a column that this one is computed from: it shows there again. */
function derivedFrom(one: Suspect, named: readonly Suspect[]): Suspect | undefined {
  if (one.subKind !== 'values') return undefined
  const alike = named.filter(
    (root) => root.id !== one.id && root.explainer === one.explainer && root.subKind === 'values',
  )
  const from = alike.filter(
    (root) =>
      root.columns.length > 0 && isOwn(root) && root.columns.every((column) => one.madeOf.has(column)) && !isOwn(one),
  )
  if (from.length > 0) return most(from)
  // Computed from the same columns, which nobody has seen themselves: the more frequent one is told.
  const [only, ...more] = one.madeOf
  if (only === undefined || more.length > 0 || isOwn(one)) return undefined
  return before(
    one,
    alike.filter((root) => !isOwn(root) && root.madeOf.size === 1 && root.madeOf.has(only)),
  )
}

/** It shows the columns of a table as they are. */
function isOwn({ columns, madeOf }: Suspect): boolean {
  return columns.length > 0 && columns.every((column) => madeOf.has(column))
}

/** Of findings that are the same in kind, the most frequent one; of equally frequent ones the first. */
function before(one: Suspect, others: readonly Suspect[]): Suspect | undefined {
  const root = most(others)
  if (root === undefined) return undefined
  return root.count > one.count || (root.count === one.count && root.firstSeq < one.firstSeq) ? root : undefined
}

/**
 * Rows that came up after an error, in its tables and no more often than it: what it wrote, or did not write, is seen again. In groups and behind
 * a LIMIT other rows look like one word in place of another.
 */
function afterFewErrors(one: Suspect, named: readonly Suspect[]): Suspect | undefined {
  return isAboutRows(one) || OF_EACH_PAIR.has(one.explainer)
    ? first(errorsBefore(one, named).filter(({ count }) => one.count <= count))
    : undefined
}

/** One column sorts otherwise: however it looks in each result, that is one cause. */
function sameOrder(one: Suspect, named: readonly Suspect[]): Suspect | undefined {
  if (!isOrder(one) || one.columns.length === 0) return undefined
  const [key] = one.columns
  return before(
    one,
    named.filter((root) => root.id !== one.id && isOrder(root) && root.columns[0] === key),
  )
}

/** Also where a LIMIT lets other rows in for it. */
function isOrder({ explainer }: Suspect): boolean {
  return explainer.startsWith('order.')
}

function isError({ subKind }: Suspect): boolean {
  return subKind.startsWith('error')
}

function isAboutRows({ explainer }: Suspect): boolean {
  return explainer.startsWith('rows.') && explainer !== 'rows.other' && explainer !== 'rows.merged'
}

/** An error may only follow from an earlier one; the same complaint in place of another error is the same finding. */
function rootOfError(one: Suspect, named: readonly Suspect[], rows: readonly Suspect[]): Suspect | undefined {
  if (one.subKind === 'error_vanished' && one.explainer === OF_DATA) {
    const retyped = named.filter(
      (root) => root.subKind === 'values' && root.columns.some((column) => uses(one, column)),
    )
    if (retyped.length > 0) return most(retyped)
  }
  if (one.subKind === 'error_vanished') {
    const unique = one.explainer === LOST && one.subject.startsWith('23505')
    const target =
      unique && named.find((root) => root.explainer === CONFLICT_TARGET && overlap(root.tables, one.tables))
    if (target) return target
    const wrote = named.filter(
      (root) => breaksOthers(root) && root.firstSeq < one.firstSeq && hasTable(root, one.relievedBy),
    )
    if (wrote.length > 0) return first(wrote)
    if (one.tainted * 2 >= one.count) return first(errorsBefore(one, named))
  }
  // A constraint that is gone refuses nothing any more; one that still refuses had nothing to refuse.
  if (one.subKind === 'error_vanished' && !one.refused && one.explainer !== TIMING) return undefined
  const earlier = named.filter((root) => breaksOthers(root) && root.id !== one.id && root.firstSeq < one.firstSeq)
  if (one.subKind === 'error_new' && one.subject.startsWith(IN_FAILED) && earlier.length > 0) return first(earlier)
  if (one.subKind === 'error_changed') {
    const same = named.find(
      (root) =>
        root.subKind === 'error_new' &&
        root.explainer === one.explainer &&
        (overlap(root.tables, one.tables) ||
          (root.subject === one.subject && overlap(root.fingerprints, one.fingerprints))),
    )
    if (same !== undefined) return same
  }
  if (!one.refused && !LATE_ERRORS.has(one.explainer)) return undefined
  return first(earlier.filter((root) => overlap(root.reach, one.tables))) ?? rowsBefore(one, rows)
}

function hasTable({ reach }: Suspect, table: string): boolean {
  return table !== '' && [...reach].some((name) => name === table || name.endsWith(`.${table}`))
}

/** A removal that was refused for rows of this table, and no longer is, may have taken them with it. */
function isAbout({ tables }: Suspect, table: string): boolean {
  return table !== '' && [...tables].some((name) => name === table || name.endsWith(`.${table}`))
}

/** A row that is not there can be pointed at by none, and is not in the way of another. */
function rowsBefore(one: Suspect, rows: readonly Suspect[]): Suspect | undefined {
  return rows.find((root) => namesCause(root) && root.firstSeq < one.firstSeq && overlap(root.tables, one.tables))
}

/** A reference that is wrong from the start is a cause; one that is wrong since rows are missing, or were refused or not, follows. */
function rootOfReference(one: Suspect, named: readonly Suspect[], rows: readonly Suspect[]): Suspect | undefined {
  const error = first(errorsBefore(one, named))
  // Rows that have this very column in common follow from it, not the other way round.
  const missing = rowsBefore(
    one,
    rows.filter((root) => byCondition(root, [one]) === undefined),
  )
  return error !== undefined && missing !== undefined ? first([error, missing]) : (error ?? missing)
}

/** Earlier writes that found fewer rows, and would have written these tables. */
function writesThatFoundFewer(one: Suspect, candidates: readonly Suspect[]): readonly Suspect[] {
  return candidates.filter(
    (root) =>
      root.id !== one.id &&
      (root.subKind === 'row_count' || root.subKind === 'rows_missing') &&
      root.firstSeq < one.firstSeq &&
      !overlap(root.tables, one.tables) &&
      overlap(root.reach, one.tables),
  )
}

function rootOfVague(
  one: Suspect,
  named: readonly Suspect[],
  rows: readonly Suspect[],
  candidates: readonly Suspect[],
): Suspect | undefined {
  const byColumn = named.filter((root) => !isError(root) && root.columns.some((column) => one.columns.includes(column)))
  if (byColumn.length > 0) return most(byColumn)
  const byRows = rows.find(
    (root) => isAboutRows(one) && namesCause(root) && root.id !== one.id && overlap(root.tables, one.tables),
  )
  if (byRows !== undefined) return byRows
  const fewer = isAboutRows(one) ? writesThatFoundFewer(one, candidates) : []
  if (fewer.length > 0) return first(fewer)
  const byUse = named.filter((root) => tellsOfColumn(root, one) && root.columns.some((column) => uses(one, column)))
  if (byUse.length > 0) return most(byUse)
  const afterError = errorsBefore(one, named)
  if (afterError.length > 0) return first(afterError)
  return rows.find((root) => root.id !== one.id && overlap(root.tables, one.tables) && !followsInTurn(one, root, rows))
}

/** Other values may change anything that uses them; another order changes which rows come, and what is computed from those. */
function tellsOfColumn(root: Suspect, one: Suspect): boolean {
  return root.subKind === 'values' || (isOrder(root) && one.explainer.startsWith('rows.'))
}

function errorsBefore(one: Suspect, named: readonly Suspect[]): readonly Suspect[] {
  return named.filter(
    (root) =>
      breaksOthers(root) &&
      root.firstSeq < one.firstSeq &&
      (overlap(root.reach, one.tables) || overlap(root.reach, one.reach) || isAbout(one, root.relievedBy)),
  )
}

/** What it broke, nobody wrote; a lock's deadlocks may be excused, then the lock stands for them. */
function breaksOthers(one: Suspect): boolean {
  return isError(one) || one.explainer === OF_TABLE_LOCKS
}

function isTainted(one: Suspect): boolean {
  return !isError(one) && one.tainted * 2 >= one.count
}

/** Rows with one condition in common are missing for one reason, whichever tables they are joined with; also where that column is not shown. */
function sameCondition(one: Suspect, rows: readonly Suspect[]): Suspect | undefined {
  if (!isAboutRows(one)) return undefined
  // One of broken transactions' rows stands behind all of them.
  const own = rows.indexOf(one)
  return rows
    .slice(0, own < 0 ? rows.length : own)
    .find(
      (root) =>
        root.explainer === one.explainer &&
        overlap(root.tables, one.tables) &&
        root.conditions.some(
          (condition) => one.agreeing.includes(condition) || !one.shown.has(columnOf(condition, root)),
        ),
    )
}

/** Rows of the same tables are repeated, here beyond the others and there pushing them out of a LIMIT: one join fans out. */
function repeatedAgain(one: Suspect, rows: readonly Suspect[]): Suspect | undefined {
  const again = REPEATS.has(one.explainer)
    ? rows.filter((root) => root.id !== one.id && root.explainer === one.explainer && root.subject === one.subject)
    : []
  return before(one, again)
}

/** A label of an enum is gone, and another one stands where it stood. */
function byLostLabel(one: Suspect, named: readonly Suspect[]): Suspect | undefined {
  if (one.explainer !== 'value.replaced' || one.detail === null) return undefined
  const [, was = ''] = one.detail.split(' where it was ')
  return named.find((root) => root.explainer === 'error.enum_label' && root.subject.endsWith(` ${was}`))
}

/** Rows that have a column in common of which it is known what happened to it. */
function byCondition(one: Suspect, named: readonly Suspect[]): Suspect | undefined {
  if (!isAboutRows(one)) return undefined
  const about = one.conditions.map((condition) => columnOf(condition, one))
  return most(
    named.filter((root) => root.subKind === 'values' && root.columns.some((column) => about.includes(column))),
  )
}

/** The condition's column with its table, as the rows of its finding show it. */
function columnOf(condition: string, { shown }: Suspect): string {
  for (const label of shown) if (condition.startsWith(`${label.slice(label.lastIndexOf('.') + 1)} `)) return label
  return ''
}

/** Two findings about rows: the one that comes first in the list is the cause of the other, never the other way round. */
function followsInTurn(one: Suspect, root: Suspect, rows: readonly Suspect[]): boolean {
  const own = rows.indexOf(one)
  return own >= 0 && own < rows.indexOf(root)
}

function uses(one: Suspect, column: string): boolean {
  const dot = column.lastIndexOf('.')
  return dot > 0 && one.tables.has(column.slice(0, dot)) && one.columnNames.has(column.slice(dot + 1))
}

function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const one of a) if (b.has(one)) return true
  return false
}

function first(findings: readonly Suspect[]): Suspect | undefined {
  return findings.reduce<Suspect | undefined>((a, b) => (a === undefined || b.firstSeq < a.firstSeq ? b : a), undefined)
}

function most(findings: readonly Suspect[]): Suspect | undefined {
  return findings.reduce<Suspect | undefined>((a, b) => (a === undefined || b.count > a.count ? b : a), undefined)
}

/** What follows from a consequence follows from its cause. */
function followed(roots: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const resolved = new Map<string, string>()
  for (const id of roots.keys()) {
    let root = id
    for (let steps = 0; roots.has(root) && steps <= roots.size; steps += 1) root = roots.get(root)!
    if (root !== id) resolved.set(id, root)
  }
  return resolved
}
