/**
 * Values that the target made itself (random uuids, clock readings): where a recorded value is exchanged for this run's own.
 *
 * `before` sees every statement on its way out; `after` sees the rows of statements it asked for, before the statement counts as
 * complete, so that whoever waits for it already finds the values published.
 */
import type { Outcome } from '../../segment/outcome.js'
import type { Sendable } from './encode.js'
import type { Script } from './job.js'

export type Remap = {
  /** What to send in its place; the statement itself when nothing in it is to be exchanged. */
  before(statement: Script): Sendable
  /** Whether `after` wants the rows of this text (RETURNING, mostly). Asked once per text. */
  wantsRows(sql: string): boolean
  after(statement: Script, outcome: Outcome): void
}

/** Sends what was recorded. */
export const IDENTITY: Remap = {
  before: (statement) => statement,
  wantsRows: () => false,
  after: () => {},
}
