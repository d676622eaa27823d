/**
 * What it takes to understand a text: the masks of the policy, the columns of the schema, its words.
 */
import type { ColumnRef, ColumnResolver } from '../sql/columns.js'
import type { Masks } from './masks/index.js'
import type { Vocabulary } from './vocabulary.js'

export type Understanding = {
  readonly masks: Masks
  readonly resolver: ColumnResolver
  readonly vocabulary: Vocabulary
  /** The server computes it of masked columns, and its token is not what is computed of theirs. */
  readonly computed: (column: ColumnRef) => boolean
  readonly describe: (column: ColumnRef) => string
}
