/**
 * What one execution does to the things that order it: operations on sets and their members.
 *
 * A *set* is a table, a unique key of a table, a sequence, an advisory lock, a name the catalog does not know; a *member* is a row
 * or a key's value. An operation without a member concerns the whole set. Everything is interned to small integers, so that a
 * recording's operations are three flat arrays.
 */

export const OP = {
  /** Sees committed contents. */
  read: 0,
  /** Needs a key to stay. */
  share: 1,
  /** Changes contents, keeps keys. */
  write: 2,
  /** Makes, removes or changes keys. */
  rekey: 3,
  /** Locks without changing. */
  lock: 4,
  /** A row nobody can have named before. */
  insert: 5,
  /** Looks at locks instead of waiting for them. */
  observe: 6,
  /** One after the other, whatever the transaction: draws from a sequence. */
  turn: 7,
} as const

export type Op = (typeof OP)[keyof typeof OP]

export const WHOLE_SET = -1

export class Names {
  readonly #sets = new Map<string, number>()
  readonly #members = new Map<number, Map<string, number>>()
  #memberCount = 0
  readonly labels: string[] = []

  set(label: string): number {
    let id = this.#sets.get(label)
    if (id === undefined) {
      id = this.labels.length
      this.#sets.set(label, id)
      this.labels.push(label)
    }
    return id
  }

  member(set: number, key: string): number {
    let members = this.#members.get(set)
    if (!members) {
      members = new Map()
      this.#members.set(set, members)
    }
    let id = members.get(key)
    if (id === undefined) {
      id = this.#memberCount
      this.#memberCount += 1
      members.set(key, id)
    }
    return id
  }

  /** For people; slow. */
  keyOf(set: number, member: number): string {
    for (const [key, id] of this.#members.get(set) ?? []) if (id === member) return key.replaceAll('\u0001', ', ')
    return '?'
  }

  get memberCount(): number {
    return this.#memberCount
  }

  get setCount(): number {
    return this.labels.length
  }
}

/** Grows by doubling; reading past the end is a bug of the caller. */
export class IntList {
  #items: Int32Array
  length = 0

  constructor(capacity = 1024) {
    this.#items = new Int32Array(capacity)
  }

  push(value: number): void {
    if (this.length === this.#items.length) {
      const grown = new Int32Array(this.length * 2)
      grown.set(this.#items)
      this.#items = grown
    }
    this.#items[this.length] = value
    this.length += 1
  }

  at(index: number): number {
    return this.#items[index]!
  }

  done(): Int32Array {
    return this.#items.slice(0, this.length)
  }
}
