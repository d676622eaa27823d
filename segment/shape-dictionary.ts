/**
 * Shapes of statements, once per file: the messages of an exchange and the types of its parameters.
 *
 * Whoever writes many statements may pass the same array of messages for the same messages; then their JSON is made once, and not for
 * each statement.
 */
import { JsonDictionary } from './dictionary.js'
import type { Db } from './sqlite.js'
import type { Frame } from './statement.js'

export type Shape = { readonly frames: readonly Frame[]; readonly parameterTypes: readonly number[] }

export class ShapeDictionary {
  readonly #shapes: JsonDictionary<Shape>
  /** The last shape that these messages were part of. */
  #byFrames = new WeakMap<readonly Frame[], { readonly parameterTypes: readonly number[]; readonly id: number }>()

  constructor(db: Db) {
    this.#shapes = new JsonDictionary(db, 'shapes')
  }

  id(frames: readonly Frame[], parameterTypes: readonly number[]): number {
    const last = this.#byFrames.get(frames)
    if (last !== undefined && isSame(last.parameterTypes, parameterTypes)) return last.id
    const id = this.#shapes.idOfEqual({ frames, parameterTypes })
    this.#byFrames.set(frames, { parameterTypes, id })
    return id
  }

  reload(): void {
    this.#byFrames = new WeakMap()
    this.#shapes.reload()
  }
}

function isSame(some: readonly number[], others: readonly number[]): boolean {
  if (some === others) return true
  if (some.length !== others.length) return false
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false
  return true
}
