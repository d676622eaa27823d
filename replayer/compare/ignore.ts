/**
 * What the user does not want compared, or only so closely.
 *
 *   orders.updated_at        a column          *.updated_at   that column of any table
 *   orders.total~0.01        a number, to within 0.01
 *   orders.shipped_at~5s     a moment, to within 5 seconds (us, ms, s, min, h)
 *   fingerprint:0123456789abcdef               a kind of statement
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Tolerance } from './nature.js'

export type IgnoreRule =
  | { readonly kind: 'column'; readonly table: string; readonly column: string }
  | { readonly kind: 'tolerance'; readonly table: string; readonly column: string; readonly tolerance: Tolerance }
  | { readonly kind: 'fingerprint'; readonly fingerprint: string }

const UNIT_US: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, min: 60e6, h: 3600e6 }

export function parseIgnoreRule(text: string): IgnoreRule {
  const fingerprint = /^fingerprint:([0-9a-f]{16})$/.exec(text)?.[1]
  if (fingerprint !== undefined) return { kind: 'fingerprint', fingerprint }
  const found = /^(?:([^~]+)\.)?([^.~]+)(?:~(\d+(?:\.\d+)?)(us|ms|s|min|h)?)?$/.exec(text)
  if (found === null) {
    throw new HarnessError({
      code: 'IGNORE_RULE',
      message: `cannot read the ignore rule ${JSON.stringify(text)}`,
      detail: 'a rule is table.column, table.column~tolerance, or fingerprint: and 16 hex digits',
      hint: 'Examples: orders.updated_at   *.updated_at   orders.total~0.01   orders.shipped_at~5s',
      exit: EXIT.usage,
    })
  }
  const [, table = '*', column = '', amount, unit] = found
  if (amount === undefined) return { kind: 'column', table, column }
  const tolerance: Tolerance =
    unit === undefined
      ? { kind: 'number', by: Number(amount) }
      : { kind: 'time', byUs: Number(amount) * UNIT_US[unit]! }
  return { kind: 'tolerance', table, column, tolerance }
}

export class IgnoreList {
  readonly #rules: readonly IgnoreRule[]

  constructor(rules: readonly IgnoreRule[]) {
    this.#rules = rules
  }

  statement(fingerprint: string): boolean {
    return this.#rules.some((rule) => rule.kind === 'fingerprint' && rule.fingerprint === fingerprint)
  }

  /** `table` is empty for a computed column, which only `*` can name. */
  column(table: string, column: string): boolean {
    return this.#rules.some((rule) => rule.kind === 'column' && names(rule, table, column))
  }

  tolerance(table: string, column: string): Tolerance | null {
    for (const rule of this.#rules) if (rule.kind === 'tolerance' && names(rule, table, column)) return rule.tolerance
    return null
  }
}

function names(rule: { readonly table: string; readonly column: string }, table: string, column: string): boolean {
  return rule.column === column && (rule.table === '*' || rule.table === table)
}
