/**
 * What each session's open transaction has sent, so that a transaction which fails on one side only says what it meant to write.
 */
import type { RecordedStatement } from '../../segment/segment-reader.js'

type Open = { readonly transaction: number; readonly texts: string[]; findingId: string | null }

/** Longer transactions have said enough. */
const TEXTS_MAX = 200
const MAY_WRITE = /^\s*(?:insert|update|delete|merge|with|copy|select)\b/i

export class OpenTransactions {
  readonly #sessions = new Map<number, Open>()

  sent({ session, transaction, sql }: Pick<RecordedStatement, 'session' | 'transaction' | 'sql'>): void {
    let open = this.#sessions.get(session)
    if (open?.transaction !== transaction) {
      open = { transaction, texts: [], findingId: null }
      this.#sessions.set(session, open)
    }
    if (open.texts.length < TEXTS_MAX && MAY_WRITE.test(sql)) open.texts.push(sql)
  }

  /** The transaction differs from here on because of this finding. */
  broken(session: number, findingId: string): readonly string[] {
    const open = this.#sessions.get(session)
    if (open === undefined) return []
    open.findingId = findingId
    return open.texts
  }

  /** The finding that broke the session's transaction; null when it is whole. */
  brokenBy(session: number): string | null {
    return this.#sessions.get(session)?.findingId ?? null
  }
}
