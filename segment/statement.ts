/**
 * A recorded execution: what the client sent, when, and what came of it.
 *
 * The messages are kept as they were sent. A row is the longest run of a session's messages that fits
 * `C* P? D? B? D? E? d* (c|f)? C* (H|S)?` (or one simple query): one round trip of a usual driver is one row, a pipeline of ten
 * Executes is ten. Texts are kept once (dictionary), the shape of the messages is kept once, and parameters are kept as the
 * bytes of their Bind, so replaying means writing them again.
 */
import type { Brand } from '../base/brand.js'
import type { Masking } from './masking.js'
import type { Outcome } from './outcome.js'

/** SQL with personal data replaced. Only the tokenizer makes one; only these reach disk. */
export type SafeSql = Brand<string, 'SafeSql'>

/**
 * One frontend message of an exchange. Texts, parameters and COPY data stand in the statement's own fields:
 * `Q` and `P` carry `sql`, `B` carries `bind`, `d` carries `copy`.
 */
export type Frame =
  | readonly ['Q']
  | readonly ['P', name: string, parameterTypes: readonly number[]]
  | readonly ['B', portal: string, name: string]
  | readonly ['D', kind: 'S' | 'P', name: string]
  | readonly ['E', portal: string, rowLimit: number]
  | readonly ['C', kind: 'S' | 'P', name: string]
  | readonly ['d']
  | readonly ['c']
  | readonly ['f']
  | readonly ['H']
  | readonly ['S']
  | readonly ['F']

export type Statement = {
  /** Position in the recording, in the order of sending; unique and ascending over all sessions. */
  readonly seq: number
  readonly session: number
  /** Position in its session: 1, 2, 3 without gaps. */
  readonly ordinal: number
  /** Statements of one transaction share it; an autocommitted statement has its own. */
  readonly transaction: number
  /**
   * A simple query with several statements answers several times: the first row (part 0) carries the message,
   * the further ones (part 1, 2, …) carry no frames, only their piece of the text and their outcome.
   */
  readonly part: number
  /** Microseconds since the start of the recording, on one monotonic clock. */
  readonly sentUs: number
  readonly doneUs: number
  readonly frames: readonly Frame[]
  /** The text that was executed; empty for an exchange without one (a lone Sync or Close). */
  readonly sql: SafeSql
  /** Fingerprint of the text's parse tree, 16 hex digits; empty when the parser refuses the text. */
  readonly fingerprint: string
  /** Belongs to the text; absent when masking raises no question. */
  readonly masking?: Masking | undefined
  /** Parameters as text for people and for planning; null is NULL. */
  readonly parameters: readonly (string | null)[]
  /** Types of the parameters, as the server resolved them where known (0: unknown). */
  readonly parameterTypes: readonly number[]
  /** Body of the Bind message after its two names: formats, values, result formats. null without a Bind. */
  readonly bind: Uint8Array | null
  /** What went through COPY … FROM STDIN, tokenized. */
  readonly copy: Uint8Array | null
  /** Why it cannot be replayed as sent (`cannot tokenize box`); null: it can. */
  readonly unreplayable: string | null
  readonly outcome: Outcome
}

/** Whether the statement's transaction wrote anything. */
export type TransactionScope = 'READ_ONLY' | 'READ_WRITE'

/** A client connection, as far as a replay needs to know it. */
export type Session = {
  readonly session: number
  readonly backendPid: number
  readonly database: string
  readonly user: string
  readonly application: string
  /** Startup parameters that change how statements behave (client_encoding, DateStyle, search_path, options …). */
  readonly parameters: Readonly<Record<string, string>>
  readonly connectedUs: number
  /** For a session that was already open when recording began: statements that bring a new connection to its state. */
  readonly prologue: readonly string[]
}

/** What happens to a session besides statements. */
export type SessionEvent = {
  readonly session: number
  readonly atUs: number
  readonly kind: 'disconnect' | 'cancel' | 'lost' | 'notice' | 'notify'
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}
