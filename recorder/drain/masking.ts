/**
 * What the drain asks of the privacy room. Everything that may reach a disk has gone through here.
 */
import type { Column, ServerError } from '../../segment/outcome.js'
import type { SafeSql } from '../../segment/statement.js'

export type MaskedText = {
  readonly sql: SafeSql
  readonly fingerprint: string
  readonly writes: boolean
  /** Why the text cannot be replayed as it stands. */
  readonly unreplayable: string | null
}

export type Cells = readonly (string | null)[]

export interface Masking<Text extends MaskedText = MaskedText> {
  text(sql: string): Text
  parameters(text: Text | null, values: Cells, types: readonly number[]): Cells
  /** Compiled once per result. */
  rows(columns: readonly Column[], text: Text | null): (cells: (string | null)[]) => Cells
  error(fields: Readonly<Record<string, string>>): ServerError
  /** Free text of no known column: a notification's payload. */
  loose(value: string): string
  /** Whole COPY data of a statement; null: it cannot be masked. */
  copy(text: Text | null, data: Buffer): Uint8Array | null
}
