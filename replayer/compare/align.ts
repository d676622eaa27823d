/**
 * Which row of one result is which of the other? Results may come in another order, with rows missing and with values changed.
 *
 * First rows that agree in all columns, then rows that agree in every column that chance has no hand in, then rows with the
 * same key, then the most alike. What is left has no counterpart.
 */
import type { Row } from '../../segment/outcome.js'

export type Pair = { readonly before: number; readonly after: number }

export type Alignment = {
  readonly pairs: readonly Pair[]
  readonly onlyBefore: readonly number[]
  readonly onlyAfter: readonly number[]
}

export type AlignBy = {
  /** Columns whose values must agree when rows are the same; chance and ignored columns left out. */
  readonly steady: readonly number[]
  /** Columns that name a row; empty when the result shows none. */
  readonly key: readonly number[]
  /** Rows of which more than half of the cells agree are the same row, changed. */
  readonly alike: boolean
}

/** Above this many comparisons, looking for the most alike costs more than it tells. */
const ALIKE_MAX = 40_000

/** `before` and `after` hold canonical values. */
export function align(before: readonly Row[], after: readonly Row[], by: AlignBy): Alignment {
  const pairs: Pair[] = []
  let left = { before: before.map((_, at) => at), after: after.map((_, at) => at) }
  const all = Array.from({ length: before[0]?.length ?? after[0]?.length ?? 0 }, (_, at) => at)
  for (const columns of [all, by.steady, by.key]) {
    if (columns.length > 0) left = pairEqual(before, after, columns, left, pairs)
  }
  if (by.alike && left.before.length * left.after.length <= ALIKE_MAX) left = pairAlike(before, after, by, left, pairs)
  return { pairs: pairs.sort((a, b) => a.before - b.before), onlyBefore: left.before, onlyAfter: left.after }
}

type Left = { readonly before: number[]; readonly after: number[] }

function pairEqual(
  before: readonly Row[],
  after: readonly Row[],
  columns: readonly number[],
  left: Left,
  pairs: Pair[],
): Left {
  const waiting = new Map<string, number[]>()
  for (const at of left.after) {
    const key = keyOf(after[at]!, columns)
    const queue = waiting.get(key)
    if (queue === undefined) waiting.set(key, [at])
    else queue.push(at)
  }
  const taken = new Set<number>()
  const rest = left.before.filter((at) => {
    const found = waiting.get(keyOf(before[at]!, columns))?.shift()
    if (found === undefined) return true
    pairs.push({ before: at, after: found })
    taken.add(found)
    return false
  })
  return { before: rest, after: left.after.filter((at) => !taken.has(at)) }
}

function pairAlike(
  before: readonly Row[],
  after: readonly Row[],
  { steady: columns, key }: AlignBy,
  left: Left,
  pairs: Pair[],
): Left {
  const candidates: { likeness: number; before: number; after: number }[] = []
  for (const a of left.before)
    for (const b of left.after) {
      const likeness = columns.filter((at) => before[a]![at] === after[b]![at]).length
      // Rows with different keys are the same row only if the key is all that differs.
      const otherKeys = key.filter((at) => before[a]![at] !== after[b]![at]).length
      const enough = otherKeys > 0 ? likeness >= columns.length - otherKeys : likeness * 2 >= columns.length
      if (enough && likeness > 0) candidates.push({ likeness, before: a, after: b })
    }
  // Among equals the nearest in position: a changed row usually stays in its place.
  candidates.sort((x, y) => y.likeness - x.likeness || Math.abs(x.before - x.after) - Math.abs(y.before - y.after))
  const usedBefore = new Set<number>()
  const usedAfter = new Set<number>()
  for (const candidate of candidates) {
    if (usedBefore.has(candidate.before) || usedAfter.has(candidate.after)) continue
    usedBefore.add(candidate.before)
    usedAfter.add(candidate.after)
    pairs.push({ before: candidate.before, after: candidate.after })
  }
  return {
    before: left.before.filter((at) => !usedBefore.has(at)),
    after: left.after.filter((at) => !usedAfter.has(at)),
  }
}

/** Pairs what is left by position, as far as the two may be the same row. */
export function pairRest(alignment: Alignment, maybeSame: (before: number, after: number) => boolean): Alignment {
  const more: Pair[] = []
  for (const [at, before] of alignment.onlyBefore.entries()) {
    const after = alignment.onlyAfter[at]
    if (after !== undefined && maybeSame(before, after)) more.push({ before, after })
  }
  return withPairs(alignment, more)
}

export function withPairs(alignment: Alignment, more: readonly Pair[]): Alignment {
  const paired = { before: new Set(more.map(({ before }) => before)), after: new Set(more.map(({ after }) => after)) }
  return {
    pairs: [...alignment.pairs, ...more].sort((a, b) => a.before - b.before),
    onlyBefore: alignment.onlyBefore.filter((at) => !paired.before.has(at)),
    onlyAfter: alignment.onlyAfter.filter((at) => !paired.after.has(at)),
  }
}

function keyOf(row: Row, columns: readonly number[]): string {
  return JSON.stringify(columns.map((at) => row[at]))
}
