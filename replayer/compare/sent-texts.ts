/**
 * What a run sent in place of a recorded text: the form of its kind with the text's own literals.
 */
import type { RewrittenText } from '../../segment/run.js'
import type { RunSource } from '../../segment/run-source.js'
import { lex } from '../../sql/lex.js'
import { fillTemplate } from '../../sql/rewrite-text.js'

export class SentTexts {
  readonly #byRecorded: ReadonlyMap<string, RewrittenText>

  constructor(run: RunSource) {
    this.#byRecorded = new Map((run.rewritten?.() ?? []).map((text) => [text.recorded, text]))
  }

  /** `{}`: the text itself was sent. */
  of(sql: string): { readonly sqlAfter?: string; readonly answersAfter?: number } {
    if (this.#byRecorded.size === 0) return {}
    const lexed = lex(sql)
    const text = this.#byRecorded.get(sql) ?? this.#byRecorded.get(lexed.shape)
    if (text === undefined) return {}
    const sqlAfter = fillTemplate(text.sent, sql, lexed)
    return text.answers === undefined ? { sqlAfter } : { sqlAfter, answersAfter: text.answers }
  }
}
