/**
 * Two results side by side: which row became which, and which words within a cell changed.
 *
 * Goals: pair what belongs together even when rows moved; mark words, or letters where one word was cut or extended;
 * stay bounded whatever was captured (a megabyte in a cell is one line here). Non-goals: judging; the comparer did.
 */
import { type Change, diffArrays, diffChars, diffWordsWithSpace } from 'diff'
import type { RowDiff } from '../segment/diff.js'
import type { Row } from '../segment/outcome.js'

/** `=` on both sides, `-` only before, `+` only after, `~` left out: the text says how many characters. */
export type Mark = readonly [kind: '=' | '-' | '+' | '~', text: string]

/** null is NULL; an empty list is the empty string. */
export type CellView = readonly Mark[] | null

export type RowPair =
  | { readonly kind: 'changed'; readonly before: readonly CellView[]; readonly after: readonly CellView[] }
  | { readonly kind: 'removed'; readonly before: readonly CellView[] }
  | { readonly kind: 'added'; readonly after: readonly CellView[] }
  /** The same row, elsewhere; positions count from 1. */
  | { readonly kind: 'moved'; readonly row: readonly CellView[]; readonly from: number; readonly to: number }

export type RowsView = {
  readonly columns: readonly string[]
  /** Positions of columns in which a paired row differs. */
  readonly changed: readonly number[]
  readonly pairs: readonly RowPair[]
  /** Rows that are equal on both sides, and differing rows beyond the shown ones. */
  readonly equal: number
  readonly more: number
}

export type RowBounds = { readonly rowsMax: number; readonly pairsMax: number }

const DIFF_TIMEOUT_MS = 100
/** Beyond this a cell is compared by its common beginning and end only. */
const WORDS_MAX_CHARACTERS = 8_000
const SAME_SHOWN_MAX = 96
const CHANGED_SHOWN_MAX = 240

export function viewRows(rows: RowDiff, bounds: RowBounds = { rowsMax: 200, pairsMax: 12 }): RowsView {
  const before = rows.before.slice(0, bounds.rowsMax).map(placed)
  const after = rows.after.slice(0, bounds.rowsMax).map(placed)
  const { pairs, equal } = pairRows(before, after)
  const changed = new Set<number>()
  for (const [a, b] of pairs) {
    if (!a || !b) continue
    for (let i = 0; i < Math.max(a.row.length, b.row.length); i += 1) if (a.row[i] !== b.row[i]) changed.add(i)
  }
  return {
    columns: rows.columns,
    changed: [...changed].sort((x, y) => x - y),
    pairs: pairs.slice(0, bounds.pairsMax).map(([a, b]) => viewPair(a, b)),
    equal,
    more:
      Math.max(0, pairs.length - bounds.pairsMax) +
      Math.max(rows.before.length - before.length, rows.after.length - after.length),
  }
}

type Placed = { readonly row: Row; readonly at: number }
type Pair = readonly [before: Placed | null, after: Placed | null]

function placed(row: Row, i: number): Placed {
  return { row, at: i + 1 }
}

function isSame(a: Row, b: Row): boolean {
  return a.length === b.length && a.every((cell, i) => cell === b[i])
}

/** Rows that stayed, then rows that only moved, then, between the stayed ones, the rows that share most cells. */
function pairRows(before: readonly Placed[], after: readonly Placed[]): { pairs: Pair[]; equal: number } {
  const changes = diffArrays([...before], [...after], {
    comparator: (a, b) => isSame(a.row, b.row),
    timeout: DIFF_TIMEOUT_MS,
  })
  if (!changes) return { pairs: pairAlike(before, after), equal: 0 }
  const gone = changes.flatMap((change) => (change.removed ? change.value : []))
  const come = new Set(changes.flatMap((change) => (change.added ? change.value : [])))
  const moved = new Map<Placed, Placed>()
  for (const one of gone) {
    const same = [...come].find((other) => isSame(one.row, other.row))
    if (!same) continue
    come.delete(same)
    moved.set(one, same)
  }
  const pairs: Pair[] = []
  let equal = 0
  let removed: readonly Placed[] = []
  for (const change of [...changes, null]) {
    if (change?.removed) {
      pairs.push(...change.value.flatMap((one): Pair[] => (moved.has(one) ? [[one, moved.get(one) ?? null]] : [])))
      removed = [...removed, ...change.value.filter((one) => !moved.has(one))]
    } else if (change?.added) {
      pairs.push(
        ...pairAlike(
          removed,
          change.value.filter((one) => come.has(one)),
        ),
      )
      removed = []
    } else {
      pairs.push(...removed.map((one): Pair => [one, null]))
      removed = []
      equal += change?.value.length ?? 0
    }
  }
  return { pairs, equal }
}

function pairAlike(removed: readonly Placed[], added: readonly Placed[]): Pair[] {
  const free = new Set(added)
  const pairs: Pair[] = []
  for (const one of removed) {
    let best: Placed | null = null
    let bestShared = 0
    for (const other of free) {
      const shared = sharedCells(one.row, other.row)
      if (shared > bestShared || (best === null && removed.length === added.length)) {
        best = other
        bestShared = shared
      }
    }
    if (best) free.delete(best)
    pairs.push([one, best])
  }
  return [...pairs, ...[...free].map((other): Pair => [null, other])]
}

/** The first column counts double: it usually is the key. */
function sharedCells(a: Row, b: Row): number {
  let shared = 0
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) if (a[i] === b[i]) shared += i === 0 ? 2 : 1
  return shared
}

function viewPair(before: Placed | null, after: Placed | null): RowPair {
  const whole = (row: Row) => row.map((cell): CellView => (cell === null ? null : shorten([['=', cell]])))
  if (before && after) {
    if (isSame(before.row, after.row)) return { kind: 'moved', row: whole(before.row), from: before.at, to: after.at }
    const width = Math.max(before.row.length, after.row.length)
    const cells = Array.from({ length: width }, (_, i) => markCell(before.row[i] ?? null, after.row[i] ?? null))
    return { kind: 'changed', before: cells.map((cell) => cell.before), after: cells.map((cell) => cell.after) }
  }
  return before ? { kind: 'removed', before: whole(before.row) } : { kind: 'added', after: whole(after?.row ?? []) }
}

/** One cell of both sides. NULL against a value marks the whole value. */
export function markCell(before: string | null, after: string | null): { before: CellView; after: CellView } {
  if (before === null || after === null) {
    return {
      before: before === null ? null : shorten([[after === before ? '=' : '-', before]]),
      after: after === null ? null : shorten([[after === before ? '=' : '+', after]]),
    }
  }
  const marks = before === after ? [['=', before] as Mark] : marksOf(before, after)
  return {
    before: shorten(joined(marks.filter(([kind]) => kind !== '+'))),
    after: shorten(joined(marks.filter(([kind]) => kind !== '-'))),
  }
}

function marksOf(before: string, after: string): Mark[] {
  if (before.length + after.length > WORDS_MAX_CHARACTERS) return marksOfEnds(before, after)
  const words = diffWordsWithSpace(before, after, { timeout: DIFF_TIMEOUT_MS })
  if (words && kept(words) > 0) return cutEnds(words.map(toMark))
  // One word against another (a value cut short, a suffix lost): letters say more, if enough of them are the same.
  const letters = diffChars(before, after, { timeout: DIFF_TIMEOUT_MS })
  if (letters && letters.length <= 5 && kept(letters) * 2 >= Math.min(before.length, after.length)) {
    return letters.map(toMark)
  }
  return [
    ['-', before],
    ['+', after],
  ]
}

/** A word that was only cut or extended is the same word up to there: `whitfield@example.com` and `whitf`. */
function cutEnds(marks: readonly Mark[]): Mark[] {
  return marks.flatMap((mark, i): Mark[] => {
    const [kind, text] = mark
    const other = kind === '-' ? marks[i + 1] : kind === '+' ? marks[i - 1] : undefined
    if (!other || other[0] === kind || other[0] === '=' || other[0] === '~') return [mark]
    const [shorter, longer] = text.length < other[1].length ? [text, other[1]] : [other[1], text]
    if (!longer.startsWith(shorter)) return [mark]
    const rest: Mark[] = text === longer ? [[kind, text.slice(shorter.length)]] : []
    // The common part is said once, by the removed side; both sides show it.
    return kind === '-' ? [['=', shorter], ...rest] : rest
  })
}

/** Characters that are the same on both sides, blanks aside. */
function kept(changes: readonly Change[]): number {
  return changes.reduce((sum, change) => sum + (change.added || change.removed ? 0 : change.value.trim().length), 0)
}

function toMark(change: Change): Mark {
  return [change.added ? '+' : change.removed ? '-' : '=', change.value]
}

function marksOfEnds(before: string, after: string): Mark[] {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && before[head] === after[head]) head += 1
  let tail = 0
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1
  const marks: Mark[] = [
    ['=', before.slice(0, head)],
    ['-', before.slice(head, before.length - tail)],
    ['+', after.slice(head, after.length - tail)],
    ['=', tail > 0 ? before.slice(-tail) : ''],
  ]
  return marks.filter(([, text]) => text !== '')
}

/** Without the other side's marks, neighbours may be of one kind. */
function joined(marks: readonly Mark[]): Mark[] {
  const found: Mark[] = []
  for (const [kind, text] of marks) {
    const last = found.at(-1)
    if (last?.[0] === kind) found[found.length - 1] = [kind, last[1] + text]
    else found.push([kind, text])
  }
  return found
}

/** Leaves the middle out of long stretches, so that what changed stays in sight. */
function shorten(marks: readonly Mark[]): Mark[] {
  return marks.flatMap((mark): Mark[] => {
    const [kind, text] = mark
    const max = kind === '=' && marks.length > 1 ? SAME_SHOWN_MAX : CHANGED_SHOWN_MAX
    if (text === '') return []
    if (text.length <= max + 16) return [mark]
    const half = Math.floor(max / 2)
    return [
      [kind, text.slice(0, half)],
      ['~', String(text.length - 2 * half)],
      [kind, text.slice(text.length - half)],
    ]
  })
}
