/**
 * What else is known about a rehearsal's own measurement, laid into a diff after it was made: how near the replay on V1 is to
 * production, and whether anybody looked for personal values in what was written.
 */
import type { MismatchType, SubKind } from './diff.js'

/** The recording compared with the baseline: production's answers with those of the same statements on V1's shadow. */
export type Fidelity = {
  readonly comparedAtMs: number
  readonly compared: number
  /** Of those, answered otherwise than in production, and for no reason that is known. */
  readonly differ: number
  readonly excused: Readonly<Record<string, number>>
  readonly uncompared: Readonly<Record<string, number>>
  /** Where the two differ, the most frequent first; `more` causes are not named. */
  readonly causes: readonly {
    readonly cause: string
    readonly mismatch: MismatchType
    readonly subKind: SubKind
    readonly count: number
  }[]
  readonly more: number
}

/** What `policy audit` found. Never a value: only where, of which kind, and how long. */
export type AuditSummary = {
  readonly auditedAtMs: number
  /** As they were named. */
  readonly paths: readonly string[]
  readonly files: number
  readonly characters: number
  readonly count: number
  readonly hits: readonly {
    readonly file: string
    readonly place: string
    readonly what: string
    readonly excerpt: string
  }[]
  /** What only looks personal, as tokens do, by kind. */
  readonly lookalikes: Readonly<Record<string, number>>
  /** Values of a live database that were looked for letter by letter; 0: only forms were. */
  readonly sampledValues: number
}

export type Vouching = { readonly fidelity: Fidelity | null; readonly audit: AuditSummary | null }
