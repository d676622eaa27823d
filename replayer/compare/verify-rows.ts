/**
 * From rows of two sides to what is missing, extra and changed, and why.
 */
import type { RowDiff } from '../../segment/diff.js'
import type { Row } from '../../segment/outcome.js'
import type { ChangedColumn } from '../../segment/state.js'
import { align, pairRest } from './align.js'
import { mergeDetails } from './causes/cause.js'
import { newKeys } from './causes/structures.js'
import { explainColumn } from './causes/values.js'
import type { Clocks } from './clock.js'
import type { CellPair } from './judgement.js'
import { plainColumn } from './nature.js'
import type { SourceColumn } from './verify-sql.js'

export type RowChanges = {
  readonly missing: number
  readonly extra: number
  readonly changed: number
  readonly columns: readonly ChangedColumn[]
  readonly examples: RowDiff
}

const EXAMPLES = 10
/** What the replay made is not looked at, so its clocks do not matter. */
const NO_CLOCKS: Clocks = { beforeStartMs: 0, afterStartMs: 0, beforeElapsedMs: 0, afterElapsedMs: 0, driftMs: 0 }

/** `key` holds positions; `hasKey` is false where all columns had to serve as one. */
export function rowChanges(
  table: string,
  columns: { readonly before: readonly SourceColumn[]; readonly after: readonly SourceColumn[] },
  key: readonly number[],
  hasKey: boolean,
  before: readonly Row[],
  after: readonly Row[],
  gained: ReadonlySet<string> = new Set(),
): RowChanges {
  const all = columns.before.map((_, at) => at)
  const found = align(before, after, { steady: all, key: hasKey ? key : [], alike: !hasKey })
  const { pairs, onlyBefore, onlyAfter } = hasKey ? found : pairRest(found, () => true)
  const cells: CellPair[] = pairs.flatMap((pair) =>
    all.flatMap((column): CellPair[] => {
      const [rowBefore, rowAfter] = [before[pair.before]!, after[pair.after]!]
      const [a, b] = [rowBefore[column] ?? null, rowAfter[column] ?? null]
      return a === b ? [] : [{ column, before: a, after: b, rowBefore, rowAfter }]
    }),
  )
  const changed = pairs.filter((pair) => before[pair.before]!.some((cell, at) => cell !== after[pair.after]![at]))
  const shown = changed.slice(0, EXAMPLES)
  return {
    missing: onlyBefore.length,
    extra: onlyAfter.length,
    changed: changed.length,
    columns: changedColumns(table, columns, cells, gained),
    examples: {
      columns: columns.before.map(({ name }) => name),
      before: [...shown.map((pair) => before[pair.before]!), ...onlyBefore.map((at) => before[at]!)].slice(0, EXAMPLES),
      after: [...shown.map((pair) => after[pair.after]!), ...onlyAfter.map((at) => after[at]!)].slice(0, EXAMPLES),
    },
  }
}

function changedColumns(
  table: string,
  columns: { readonly before: readonly SourceColumn[]; readonly after: readonly SourceColumn[] },
  cells: readonly CellPair[],
  gained: ReadonlySet<string>,
): readonly ChangedColumn[] {
  const positions = [...new Set(cells.map(({ column }) => column))].sort((a, b) => a - b)
  return positions.map((position) => {
    const { name, typeOid, fields = [] } = columns.before[position]!
    const pairs = cells.filter(({ column }) => column === position)
    const nature = { ...plainColumn(`${table}.${name}`), table, fields }
    const types = { before: typeOid, after: columns.after[position]!.typeOid }
    const cause = explainColumn({ position, nature, types, pairs }, NO_CLOCKS)
    const sentence = cause.sentence(mergeDetails(cause, cause.detail, cause.detail))
    const changed = { column: name, rows: pairs.length, cause: sentence }
    return pairs.every(({ before, after }) => showsGained(before, after, gained))
      ? { ...changed, gained: true }
      : changed
  })
}

/** The same document, with the key of a column that V2's tables have and V1's have not. */
function showsGained(before: string | null, after: string | null, gained: ReadonlySet<string>): boolean {
  if (before === null || after === null || gained.size === 0) return false
  const keys = newKeys(before, after)
  return keys.length > 0 && keys.every((key) => gained.has(key))
}
