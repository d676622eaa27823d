/**
 * What a run sent in place of a recorded text: the form of its kind with the text's own literals.
 */
import type { RewrittenText } from '../../segment/run.js'
import type { RunSource } from '../../segment/run-source.js'
import { lex } from '../../sql/lex.js'
import { fillTemplate } from '../../sql/rewrite-text.js'

export class SentTexts {
  readonly #byRecorded: ReadonlyMap<string, RewrittenText['sent']>

  constructor(run: RunSource) {
    this.#byRecorded = new Map((run.rewritten?.() ?? []).map(({ recorded, sent }) => [recorded, sent]))
  }

  /** `{}`: the text itself was sent. */
  of(sql: string): { readonly sqlAfter?: string } {
    if (this.#byRecorded.size === 0) return {}
    const lexed = lex(sql)
    const sent = this.#byRecorded.get(sql) ?? this.#byRecorded.get(lexed.shape)
    return sent === undefined ? {} : { sqlAfter: fillTemplate(sent, sql, lexed) }
  }
}
