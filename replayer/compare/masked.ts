/**
 * Production against a replay: what masking could not keep. Production compared, sorted and computed with the values themselves, the replay
 * with their tokens; where the recording says that a statement depends on that, a difference is labelled.
 *
 * It also leaves a trail: what such a statement stored, or which rows it changed, differs in the tables from then on. Two replays both saw
 * tokens, so between them nothing is excused.
 */
import type { RecordedStatement } from '../../segment/segment-reader.js'
import type { Difference } from './judgement.js'
import type { Knowledge } from './knowledge.js'

type Told = Pick<RecordedStatement, 'masking'>

export class MaskedTrail {
  /** `users.nick`: holds what was computed of values in production, of tokens in the replay. */
  readonly #columns = new Set<string>()
  /** Other rows were changed. */
  readonly #tables = new Set<string>()
  readonly #searched: readonly string[]

  constructor(searchPath: readonly string[]) {
    this.#searched = searchPath.map((schema) => `${schema}.`)
  }

  /** For every statement, before it is judged; `written` names the tables that its text writes. */
  sent({ masking }: Told, written: () => readonly string[]): void {
    for (const { affects } of masking?.cautions ?? []) {
      if (affects.what === 'stored') this.#columns.add(this.#short(affects.column))
      if (affects.what === 'rows') this.changes(written())
    }
  }

  /** Tables whose rows differ from here on. */
  changes(tables: readonly string[]): void {
    for (const table of tables) this.#tables.add(table)
  }

  /** Nothing can be said of the values in this column of the result; `sources` are the columns it is made of. */
  hides({ masking }: Told, at: number, sources: readonly string[]): boolean {
    const cautious = masking?.cautions.some(({ affects }) => affects.what === 'result' && affects.at === at) ?? false
    return cautious || (this.#columns.size > 0 && sources.some((source) => this.#columns.has(source)))
  }

  /** `error` is the SQLSTATE that one of the two answered with; empty when neither did. */
  excuses({ masking }: Told, differences: readonly Difference[], error: string, knowledge: Knowledge | null): boolean {
    // What the schema does not know, no value brings about.
    if (/^(42|0A)/.test(error) || differences.some(({ subKind }) => subKind === 'column_set')) return false
    const affects = new Set((masking?.cautions ?? []).map((caution) => caution.affects.what))
    if (affects.has('rows')) return true
    if (affects.has('order') && differences.every(({ subKind }) => subKind === 'order')) return true
    // A token that does not fit what the statement makes of it, or the constraints of where it is stored.
    if ((affects.has('stored') || affects.has('result')) && /^2[23]/.test(error)) return true
    return this.#tables.size > 0 && (knowledge?.tables.some((table) => this.#tables.has(table)) ?? false)
  }

  #short(name: string): string {
    const schema = this.#searched.find((one) => name.startsWith(one))
    return schema === undefined ? name : name.slice(schema.length)
  }
}
