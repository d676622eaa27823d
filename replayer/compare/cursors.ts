/**
 * A FETCH says nothing about its rows; the query its cursor was declared with does. Remembered per session.
 */
import type { RecordedStatement } from '../../segment/segment-reader.js'

const DECLARE = /^\s*declare\s+("(?:[^"]|"")+"|[a-z_][\w$]*)\s/i
const FETCH = /^\s*(?:fetch|move)\s(?:.*?\s(?:from|in)\s+)?("(?:[^"]|"")+"|[a-z_][\w$]*)\s*;?\s*$/is
/** A session that opens more at once loses the oldest. */
const CURSORS_MAX = 100

type Told = Pick<RecordedStatement, 'session' | 'sql' | 'masking'>

/** What declared a cursor. */
type Declared = Pick<RecordedStatement, 'sql' | 'masking'>

export class Cursors {
  readonly #sessions = new Map<number, Map<string, Declared>>()
  readonly #shifted = new WeakSet<Declared>()

  declared({ session, sql, masking }: Told): void {
    const name = DECLARE.exec(sql)?.[1]
    if (name === undefined) return
    const cursors = this.#sessions.get(session) ?? new Map<string, Declared>()
    this.#sessions.set(session, cursors)
    cursors.delete(folded(name))
    cursors.set(folded(name), { sql, masking })
    if (cursors.size > CURSORS_MAX) cursors.delete(cursors.keys().next().value ?? '')
  }

  /** What declared the cursor that a FETCH reads from; null for any other statement. */
  behind({ session, sql }: Told): Declared | null {
    const name = FETCH.exec(sql)?.[1]
    return name === undefined ? null : (this.#sessions.get(session)?.get(folded(name)) ?? null)
  }

  /** One side's cursor now stands at other rows than the other's: what is fetched from it next is shifted as well. */
  shift(fetch: Told): void {
    const declared = this.behind(fetch)
    if (declared !== null) this.#shifted.add(declared)
  }

  isShifted(fetch: Told): boolean {
    const declared = this.behind(fetch)
    return declared !== null && this.#shifted.has(declared)
  }
}

function folded(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()
}
