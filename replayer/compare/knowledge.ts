/**
 * What is known about a statement when two of its outcomes are judged.
 */
import type { Excuse } from './excuses.js'
import type { ColumnNature } from './nature.js'
import type { SortKnowledge } from './sort-knowledge.js'

export type Knowledge = {
  readonly columns: readonly ColumnNature[]
  readonly sort: SortKnowledge
  /** Chance decides which rows qualify: another number of rows means little. */
  readonly chancyRows: boolean
  readonly aboutServer: boolean
  /** The user does not want this kind of statement compared. */
  readonly ignored: boolean
  /** Tables and views that take part, by name. */
  readonly tables: readonly string[]
  /** Tables that it writes, itself or by triggers and cascades. */
  readonly written: readonly string[]
  /** Keys of the rows it asks for, as far as parameters say so: `rowKey` of ./broken-rows.ts. */
  readonly sought: readonly string[]
  /** Columns that its parameters are compared with for equality. */
  readonly lookups: readonly { readonly parameter: number; readonly label: string }[]
  /** What its parameters and literals give columns that it writes, where that is one value: by `orders.status`. */
  readonly given: ReadonlyMap<string, string>
  /** Names of the columns by which its text, or a view it reads, chooses, joins, sorts or computes. */
  readonly columnNames: ReadonlySet<string>
  /** What the two baseline runs disagree about for this kind of statement; columns stand in their nature. */
  readonly noisy: { readonly error: boolean; readonly rows: boolean; readonly order: boolean }
}

/** Why other rows may qualify. */
export function membershipExcuse(knowledge: Knowledge): Excuse | null {
  if (knowledge.noisy.rows) return 'noise'
  return knowledge.chancyRows ? 'volatile' : null
}
