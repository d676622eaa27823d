/**
 * An exchange: one round trip of a client, which becomes one recorded statement (or one per statement of a simple query).
 *
 * It is the longest run of frontend messages that fits `C* P? D? B? D? E? d* (c|f)? C* (H|S)?`, or one simple query with the
 * COPY data that follows it. Here are its data and the grammar; who says what is ./requests.ts and ./answers.ts.
 */

import type { TransactionStatus } from '../../segment/outcome.js'
import type { Frame } from '../../segment/statement.js'
import type { DescribedColumn } from '../../wire/backend.js'
import type { Format } from '../../wire/bind.js'

/** A statement the client prepared, as far as its messages and the answers told. */
export type Prepared = {
  readonly name: string
  readonly sql: string
  /** As the client declared them, then as the server resolved them. */
  parameterTypes: readonly number[]
  /** undefined: never described; null: returns no rows. */
  columns: readonly DescribedColumn[] | null | undefined
}

export type Portal = {
  readonly prepared: Prepared | null
  /** Body of the Bind after its two names. */
  readonly bind: Buffer
  readonly resultFormats: readonly Format[]
  columns: readonly DescribedColumn[] | null | undefined
}

/** Takes the rows of one answer as they come; what it keeps of them is its own affair. */
export interface RowSink {
  row(buffer: Buffer, start: number, end: number): void
  /** A row too large to be looked at. */
  oversized(): void
}

/** One answer: an Execute has one, a simple query one for each statement that ran. */
export type Answer<Sink> = {
  columns: readonly DescribedColumn[] | null
  sink: Sink | null
  rows: number
  tag: string
  /** Fields of an ErrorResponse; null: it worked. */
  error: Readonly<Record<string, string>> | null
  suspended: boolean
  doneUs: number
}

export type Exchange<Sink> = {
  /** Of its first statement; a simple query of n statements owns n numbers. */
  readonly seq: number
  readonly sentUs: number
  doneUs: number
  frames: Frame[]
  /** Frontend messages that still earn an answer. */
  expects: string[]
  stage: number
  /** How many statements a simple query holds; 1 otherwise. */
  readonly statements: number
  /** Text of a Parse, or of what is executed. */
  sql: string
  prepared: Prepared | null
  /** What its Parse made, and what the name stood for before. */
  parsed: Prepared | null
  replaced: Prepared | null
  portal: Portal | null
  hasBind: boolean
  copy: Buffer[]
  copyBytes: number
  /** What it costs to remember it, roughly. */
  bytes: number
  /** One of its messages was too large to be looked at: which statement and portal it meant is not known. */
  opaque: boolean
  answers: Answer<Sink>[]
  status: TransactionStatus | null
  /** Why it cannot be replayed as sent. */
  trouble: string | null
}

/** Places in the grammar: `C*` 0, `P?` 1, `D?` 2, `B?` 3, `D?` 4, `E?` 5, `d*` 6, `(c|f)?` 7, `C*` 8, `(H|S)?` 9, closed 10. */
export const CLOSED = 10
const COPY = 6
/** A simple query may still be followed by COPY data, and by nothing else. */
export const AFTER_QUERY = COPY

/** The stage behind a message at the given stage; -1: it does not fit, a new exchange begins. */
export function nextStage(stage: number, message: string, simple: boolean): number {
  switch (message) {
    case 'd':
      return stage <= COPY ? COPY : -1
    case 'c':
    case 'f':
      return stage <= 7 ? (simple ? CLOSED : 8) : -1
  }
  if (simple) return -1
  switch (message) {
    case 'C':
      return stage === 0 ? 0 : stage <= 8 ? 8 : -1
    case 'P':
      return stage <= 1 ? 2 : -1
    case 'D':
      return stage <= 2 ? 3 : stage <= 4 ? 5 : -1
    case 'B':
      return stage <= 3 ? 4 : -1
    case 'E':
      return stage <= 5 ? COPY : -1
    case 'H':
    case 'S':
      return stage <= 9 ? CLOSED : -1
  }
  return -1
}

/** The server asked for COPY data: a Sync or Flush it has ignored in favour of them is as if never sent. */
export function reopenForCopy<Sink>(exchange: Exchange<Sink>): void {
  const last = exchange.frames.at(-1)?.[0]
  if (last === 'S') exchange.expects = exchange.expects.filter((message) => message !== 'S')
  if (last === 'S' || last === 'H') exchange.frames.pop()
  exchange.stage = COPY
}

export function isSimple<Sink>(exchange: Exchange<Sink>): boolean {
  const kind = exchange.frames[0]?.[0]
  return kind === 'Q' || kind === 'F'
}

export function hasExecution<Sink>(exchange: Exchange<Sink>): boolean {
  return exchange.frames.some(([kind]) => kind === 'E' || kind === 'Q')
}
