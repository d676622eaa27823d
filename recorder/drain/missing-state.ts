/**
 * What a session made of its own while nothing was recorded and cannot be made again: temporary tables, cursors that outlive their
 * transaction. What is asked of them later cannot be replayed, and says so, until they are made anew or are gone.
 *
 * Whether a statement is about one is told by its name alone: a column of the same name costs a statement, never a wrong answer.
 */
import { doingOf, keyOf, NOTED, type Note } from '../tap/session-doings.js'

/** Nobody keeps more of them; who does has the rest replayed, and sees it fail. */
const NAMES_MAX = 1000

/** It was there, so this did nothing. */
const UNLESS_THERE = /\bIF\s+NOT\s+EXISTS\b/i

export class MissingState {
  /** Why, by key. */
  readonly #missing = new Map<string, Note>()
  #pattern: RegExp | null = null

  add(note: Note): void {
    if (note.name === '' || this.#missing.size >= NAMES_MAX) return
    this.#missing.set(keyOf(note.what, note.name), note)
    this.#pattern = null
  }

  /** Why this statement cannot be replayed, should it be so; `worked`: what it did to the session's state has been done. */
  reasonFor(sql: string, worked: boolean): string | null {
    if (this.#missing.size === 0) return null
    const doing = worked ? doingOf(sql) : null
    if (doing === null) return this.#find(sql)
    const makes = doing.bytes.length > 0
    if (makes && !UNLESS_THERE.test(sql) && this.#forget(doing.key)) return null
    const reason = this.#find(sql)
    if (!makes) this.#forget(doing.key)
    const { ends } = doing
    if (ends !== null) for (const key of [...this.#missing.keys()]) if (key.startsWith(ends)) this.#forget(key)
    return reason
  }

  #find(sql: string): string | null {
    this.#pattern ??= new RegExp(
      `(?<![\\w$])(?:${[...this.#missing.values()].map(({ name }) => escaped(name)).join('|')})(?![\\w$])`,
      'i',
    )
    const found = this.#pattern.exec(sql)?.[0].toLowerCase()
    if (found === undefined) return null
    const note = [...this.#missing.values()].find(({ name }) => name.toLowerCase() === found)
    return note === undefined ? null : NOTED[note.what].replace(/^a /, 'its ')
  }

  #forget(key: string): boolean {
    this.#pattern = null
    return this.#missing.delete(key)
  }
}

function escaped(name: string): string {
  return name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
