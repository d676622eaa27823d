/**
 * Why rows come in another order, and why behind a LIMIT other rows come for it.
 */
import type { Row } from '../../../segment/outcome.js'
import type { Difference } from '../judgement.js'
import { tablesOf } from '../nature.js'
import { type Cause, NUMBER_OIDS, sameOrNothing } from './cause.js'
import type { RowContext } from './rows.js'

export function explainOrder(difference: Difference, context: RowContext): Cause {
  const at = difference.columns[0]
  const isText = TEXT_OIDS.has(context.columns[at ?? -1]?.typeOid ?? 0)
  const how = at === undefined ? null : orderChange(values(context.before, at), values(context.after, at), isText)
  return orderCause(at, how, difference.columns, context)
}

/**
 * Rows that sort behind those of the first result, and in the other order before those of the second, were let in by their order. Where
 * rows were lost instead, those that move up sort as the first result does: then it is null.
 */
export function orderBehindLimit({ missing, extra }: Difference, context: RowContext): Cause | null {
  const at = context.cutBy ?? null
  if (at === null || missing.length === 0 || extra.length === 0) return null
  const cut: Cut = {
    before: known(values(context.before, at)),
    after: known(values(context.after, at)),
    missing: known(values(missing, at)),
    extra: known(values(extra, at)),
  }
  if (cut.missing.length < missing.length || cut.extra.length < extra.length) return null
  const type = context.columns[at]?.typeOid ?? 0
  const how = TEXT_OIDS.has(type)
    ? collation(cut)
    : isReversed(cut, NUMBER_OIDS.has(type) ? numbers : bytes)
      ? REVERSED
      : null
  return how === null ? null : orderCause(at, how, [at], context)
}

type How = { readonly explainer: string; readonly words: string }

const REVERSED: How = { explainer: 'order.reversed', words: 'the other way round' }
const COLLATION: How = { explainer: 'order.collation', words: 'another collation' }

function orderCause(at: number | undefined, how: How | null, columns: readonly number[], context: RowContext): Cause {
  const subject = at === undefined ? tablesOf(context.natures) : (context.natures[at]?.label ?? '')
  return {
    explainer: how?.explainer ?? 'order.other',
    subject,
    detail: '',
    columns,
    sentence: () =>
      `rows come in another order${subject === '' ? '' : ` of ${subject}`}${how === null ? '' : ` (${how.words})`}`,
    merge: sameOrNothing,
  }
}

function values(rows: readonly Row[], at: number): readonly (string | null)[] {
  return rows.map((row) => row[at] ?? null)
}

function known(list: readonly (string | null)[]): readonly string[] {
  return list.flatMap((value) => value ?? [])
}

/** text, varchar, char(n), name, citext has no fixed number. */
const TEXT_OIDS: ReadonlySet<number> = new Set([25, 1043, 1042, 19])

function orderChange(
  before: readonly (string | null)[],
  after: readonly (string | null)[],
  isText: boolean,
): How | null {
  if (known(before).join('\0') === known(after).join('\0'))
    return { explainer: 'order.nulls', words: 'NULL sorts at the other end' }
  if (known(before).join('\0') === [...known(after)].reverse().join('\0')) return REVERSED
  const lettered = isText && known(after).some((value) => /\p{L}/u.test(value))
  return lettered && (isSorted(known(after), bytes) || isSorted(known(before), bytes)) ? COLLATION : null
}

type Compare = (a: string, b: string) => number

const bytes: Compare = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const numbers: Compare = (a, b) => Number(a) - Number(b)
/** As C sorts, as ICU's root does, and as languages do that look at blanks and hyphens last. */
const COLLATIONS: readonly Compare[] = [
  bytes,
  new Intl.Collator('und').compare,
  new Intl.Collator('und', { ignorePunctuation: true }).compare,
]

type Cut = {
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly missing: readonly string[]
  readonly extra: readonly string[]
}

function collation(cut: Cut): How | null {
  for (const was of COLLATIONS)
    for (const is of COLLATIONS)
      for (const sign of [1, -1])
        if (was !== is && isResorted(cut, signed(was, sign), signed(is, sign))) return COLLATION
  return COLLATIONS.some((compare) => isReversed(cut, compare)) ? REVERSED : null
}

function isReversed(cut: Cut, compare: Compare): boolean {
  return [1, -1].some((sign) => isResorted(cut, signed(compare, sign), signed(compare, -sign)))
}

function signed(compare: Compare, sign: number): Compare {
  return (a, b) => sign * compare(a, b)
}

/** All fits with both results being cut from the same rows, sorted so and then so, and the two orders do not agree about them. */
function isResorted({ before, after, missing, extra }: Cut, was: Compare, is: Compare): boolean {
  const [lastBefore, lastAfter] = [before.at(-1)!, after.at(-1)!]
  return (
    isOrdered(before, was) &&
    isOrdered(after, is) &&
    extra.every((value) => was(lastBefore, value) <= 0) &&
    missing.every((value) => is(lastAfter, value) <= 0) &&
    !(isOrdered(after, was) && missing.every((value) => was(value, lastAfter) >= 0))
  )
}

function isOrdered(list: readonly string[], compare: Compare): boolean {
  return list.every((value, at) => at === 0 || compare(list[at - 1]!, value) <= 0)
}

function isSorted(list: readonly string[], compare: Compare): boolean {
  return isOrdered(list, compare) || isOrdered(list, signed(compare, -1))
}
