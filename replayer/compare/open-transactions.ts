/**
 * What each session's open transaction has sent, so that a transaction which fails on one side only says what it meant to write.
 */
import type { RecordedStatement } from '../../segment/segment-reader.js'

type Sent = { readonly seq: number; readonly sql: string }
type Open = { readonly transaction: number; readonly sent: Sent[]; findingId: string | null }

/** Longer transactions have said enough. */
const TEXTS_MAX = 200
const MAY_WRITE = /^\s*(?:insert|update|delete|merge|with|copy|select)\b/i

export class OpenTransactions {
  readonly #sessions = new Map<number, Open>()

  sent({ session, transaction, seq, sql }: Pick<RecordedStatement, 'session' | 'transaction' | 'seq' | 'sql'>): void {
    let open = this.#sessions.get(session)
    if (open?.transaction !== transaction) {
      open = { transaction, sent: [], findingId: null }
      this.#sessions.set(session, open)
    }
    if (open.sent.length < TEXTS_MAX && MAY_WRITE.test(sql)) open.sent.push({ seq, sql })
  }

  /** The transaction differs from here on because of this finding. */
  broken(session: number, findingId: string): readonly Sent[] {
    const open = this.#sessions.get(session)
    if (open === undefined) return []
    open.findingId = findingId
    return open.sent
  }

  /** The finding that broke the session's transaction; null when it is whole. */
  brokenBy(session: number): string | null {
    return this.#sessions.get(session)?.findingId ?? null
  }
}
