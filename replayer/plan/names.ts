/**
 * Sets and members, interned to small integers. A *set* is a table, a unique key of a table, a sequence, the clock of a table's
 * defaults, an advisory lock, a name the catalog does not know; a *member* is a row or a key's value.
 */

export const SET = { table: 0, key: 1, sequence: 2, start: 3, advisory: 4, name: 5 } as const

export type SetKind = keyof typeof SET

export class Names {
  readonly #sets = new Map<string, number>()
  readonly #members = new Map<number, Map<string, number>>()
  #memberCount = 0
  readonly labels: string[] = []
  /** Per set, one of `SET`. */
  readonly kinds: number[] = []

  set(kind: SetKind, name: string | number): number {
    const label = `${kind} ${name}`
    let id = this.#sets.get(label)
    if (id === undefined) {
      id = this.labels.length
      this.#sets.set(label, id)
      this.labels.push(label)
      this.kinds.push(SET[kind])
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

  /** -1: nobody has named it. */
  known(set: number, key: string): number {
    return this.#members.get(set)?.get(key) ?? -1
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
