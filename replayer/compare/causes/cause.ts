/**
 * A cause: one sentence a person can act on, the same for every discrepancy that it explains.
 *
 * An explainer says what happened (`text.cut`) and with which number or word (`32`). Discrepancies with the same explainer and
 * subject are one finding; when all of them agree on the detail it goes into the sentence, else the sentence speaks in general.
 */
export type Cause = {
  /** Name of the explainer; `unexplained` when none could say. */
  readonly explainer: string
  /** What it happened to: `users.email`, a constraint, a table. */
  readonly subject: string
  readonly detail: string | null
  /** Positions of the columns it explains. */
  readonly columns: readonly number[]
  /** For a detail, or null when they vary. */
  readonly sentence: (detail: string | null) => string
  /** What two details have in common; null: nothing. */
  readonly merge: (a: string, b: string) => string | null
}

export const sameOrNothing = (a: string, b: string): string | null => (a === b ? a : null)

export function mergeDetails(cause: Pick<Cause, 'merge'>, a: string | null, b: string | null): string | null {
  return a === null || b === null ? null : cause.merge(a, b)
}

/** What an explainer of values says about one pair: null when it has nothing to say. */
export type ValueExplainer = {
  readonly name: string
  readonly match: (before: string, after: string, types: ValueTypes) => string | null
  /** Follows the column's name: `is cut to 32 characters`. */
  readonly says: (detail: string | null) => string
  readonly merge?: (a: string, b: string) => string | null
}

export type ValueTypes = { readonly before: number; readonly after: number }

export const NUMBER_OIDS: ReadonlySet<number> = new Set([20, 21, 23, 700, 701, 790, 1700])
export const FLOAT_OIDS: ReadonlySet<number> = new Set([700, 701])

export function isNumber(types: ValueTypes): boolean {
  return NUMBER_OIDS.has(types.before) && NUMBER_OIDS.has(types.after)
}
