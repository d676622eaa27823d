/**
 * What one execution does to the things that order it: operations on sets and their members.
 *
 * An operation is about a set, and about a member of it or all of them (./names.ts). All are small integers, so that a recording's
 * operations are three flat arrays.
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
  /** Locks without changing, and leaves the key to those who need it. */
  hold: 8,
} as const

export type Op = (typeof OP)[keyof typeof OP]

export const WHOLE_SET = -1

/** Without changing anything. */
export function locksOnly(kind: number): boolean {
  return kind === OP.lock || kind === OP.hold
}

export function writes(kind: number): boolean {
  return kind === OP.write || kind === OP.rekey || kind === OP.insert
}

/** Nobody can need the key meanwhile. */
export function locksKey(kind: number): boolean {
  return kind === OP.rekey || kind === OP.lock
}

/** Also a key that must stay is locked: who looks for free rows passes it over. */
export function changesLocks(kind: number): boolean {
  return kind === OP.share || kind === OP.write || locksKey(kind) || kind === OP.hold
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

  set(index: number, value: number): void {
    this.#items[index] = value
  }

  done(): Int32Array {
    return this.#items.slice(0, this.length)
  }
}

/** Operations in the order in which they were found, which is nearly that of their statements. */
export class OperationLog {
  readonly #statement = new IntList()
  readonly #kind = new IntList()
  readonly #set = new IntList()
  readonly #member = new IntList()

  get length(): number {
    return this.#kind.length
  }

  /** `statement` -1: only looked at by whoever found it, and not kept. */
  add(statement: number, kind: Op, set: number, member: number): void {
    this.#statement.push(statement)
    this.#kind.push(kind)
    this.#set.push(set)
    this.#member.push(member)
  }

  kind(at: number): number {
    return this.#kind.at(at)
  }

  set(at: number): number {
    return this.#set.at(at)
  }

  member(at: number): number {
    return this.#member.at(at)
  }

  onlyReads(from: number): boolean {
    for (let at = from; at < this.length; at += 1) if (this.#kind.at(at) !== OP.read) return false
    return true
  }

  /** By statement: operations of statement i stand at start[i] up to start[i + 1], in the order in which they were added. */
  sorted(count: number): Pick<Operations, 'opStart' | 'opKind' | 'opSet' | 'opMember'> {
    const opStart = new Uint32Array(count + 1)
    for (let at = 0; at < this.length; at += 1) {
      const statement = this.#statement.at(at)
      if (statement >= 0) opStart[statement + 1]! += 1
    }
    for (let i = 0; i < count; i += 1) opStart[i + 1]! += opStart[i]!
    const next = opStart.slice()
    const total = opStart[count]!
    const [opKind, opSet, opMember] = [new Uint8Array(total), new Int32Array(total), new Int32Array(total)]
    for (let at = 0; at < this.length; at += 1) {
      const statement = this.#statement.at(at)
      if (statement < 0) continue
      const to = next[statement]!
      next[statement] = to + 1
      opKind[to] = this.#kind.at(at)
      opSet[to] = this.#set.at(at)
      opMember[to] = this.#member.at(at)
    }
    return { opStart, opKind, opSet, opMember }
  }
}

export type Operations = {
  /** Operations of statement i: opStart[i] up to opStart[i + 1]. */
  readonly opStart: Uint32Array
  readonly opKind: Uint8Array
  readonly opSet: Int32Array
  readonly opMember: Int32Array
}
