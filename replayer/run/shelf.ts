/**
 * Named statements that a session prepared in exchanges that are not sent. They are taken from the shelf when an exchange that is
 * sent binds one of them, and not before: what nobody uses is not prepared, and cannot fail.
 */
import type { Frame, SafeSql } from '../../segment/statement.js'
import type { Script } from './job.js'

export type Shelved = { readonly frame: Extract<Frame, readonly ['P', ...unknown[]]>; readonly sql: SafeSql }

export class Shelf {
  readonly #shelved = new Map<string, Shelved>()

  /** An exchange is left out. Names that it closes, of those that `onServer` knows: they have to be closed all the same. */
  leftOut({ frames, sql }: Pick<Script, 'frames' | 'sql'>, onServer: { has(name: string): boolean }): string[] {
    const closes: string[] = []
    for (const frame of frames) {
      if (frame[0] === 'P' && frame[1] !== '') this.#shelved.set(frame[1], { frame, sql })
      else if (frame[0] === 'C' && frame[1] === 'S' && !this.#shelved.delete(frame[2]) && onServer.has(frame[2]))
        closes.push(frame[2])
    }
    return closes
  }

  /** An exchange is about to be sent: what it uses and the server does not have yet. */
  neededBy({ frames }: Pick<Script, 'frames'>): Shelved[] {
    if (this.#shelved.size === 0) return NONE
    const needed: Shelved[] = []
    for (const frame of frames) {
      const name = statementIn(frame)
      const shelved = name === '' ? undefined : this.#shelved.get(name)
      if (shelved === undefined) continue
      this.#shelved.delete(name)
      // One that is made anew or closed is not needed any more.
      if (frame[0] === 'B' || frame[0] === 'D') needed.push(shelved)
    }
    return needed
  }
}

const NONE: Shelved[] = []

/** Name of the prepared statement that a message is about; empty: of none, or of the unnamed one. */
function statementIn(frame: Frame): string {
  switch (frame[0]) {
    case 'P':
      return frame[1]
    case 'B':
      return frame[2]
    case 'D':
    case 'C':
      return frame[1] === 'S' ? frame[2] : ''
    default:
      return ''
  }
}
