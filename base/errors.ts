/**
 * The one error a person may see: what happened, why, what to do. Captured values never appear in it.
 */

/** Exit codes of the command line, which scripts depend on. */
export const EXIT = { pass: 0, failed: 1, usage: 2, invalid: 3, environment: 4, interrupted: 130 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export type HarnessErrorParts = {
  /** Permanent and searchable: `SEGMENT_TOO_NEW`. */
  readonly code: string
  /** What: one line, a fact. */
  readonly message: string
  /** Why. */
  readonly detail?: string
  /** What to do: a full sentence. */
  readonly hint?: string
  readonly exit?: ExitCode
  readonly cause?: unknown
}

export class HarnessError extends Error {
  readonly code: string
  readonly detail: string | undefined
  readonly hint: string | undefined
  readonly exit: ExitCode

  constructor(parts: HarnessErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause })
    this.name = 'HarnessError'
    this.code = parts.code
    this.detail = parts.detail
    this.hint = parts.hint
    this.exit = parts.exit ?? EXIT.environment
  }
}

/** For our own bugs: states what must hold. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`pgrehearse bug: ${what}`)
}
