/**
 * Returned, so committed: whoever got a row that another transaction had inserted came after that transaction's COMMIT, even where the
 * clock would have it the other way round.
 *
 * Not there, so not committed yet: whoever asked for it by its key while that COMMIT was under way and got nothing had looked before.
 *
 * Two integers a row: who inserted it, and who first got it. Others that got it while the first was still under way are kept as well;
 * everybody else came later anyway.
 */
import { IntList } from '../operations.js'
import type { Clock } from './evidence.js'

const NOBODY = -1
/** Inserted more than once (deleted in between): which of them was seen is not clear. */
const SEVERAL = -2

export class Sightings {
  readonly #inserter = new MemberList()
  readonly #first = new MemberList()
  readonly #alsoMember = new IntList(64)
  readonly #alsoReader = new IntList(64)
  readonly #missedInserter = new IntList(64)
  readonly #missedBy = new IntList(64)
  readonly #filled = new Set<number>()
  #also: ReadonlyMap<number, readonly number[]> | null = null

  /** Rows of this table came while recording, so it is worth looking at what others got of it. */
  fills(tableSet: number): boolean {
    return this.#filled.has(tableSet)
  }

  filling(tableSet: number): void {
    this.#filled.add(tableSet)
  }

  inserted(member: number, statement: number): void {
    this.#inserter.set(member, this.#inserter.get(member) === NOBODY ? statement : SEVERAL)
  }

  got(member: number, reader: number, clock: Clock): void {
    const first = this.#first.get(member)
    if (first === NOBODY) this.#first.set(member, reader)
    else if (clock.sentUs[reader]! < clock.doneUs[first]!) {
      this.#alsoMember.push(member)
      this.#alsoReader.push(reader)
    }
  }

  madeBy(member: number, statement: number): boolean {
    return this.#inserter.get(member) === statement
  }

  /** It asked for the row by its key, and there was none. */
  missed(member: number, reader: number): void {
    const inserter = this.#inserter.get(member)
    if (inserter < 0) return
    this.#missedInserter.push(inserter)
    this.#missedBy.push(reader)
  }

  /** Pairs: the reader looked before the insert's transaction ended, if the clock leaves that open. Otherwise the row was gone again, or kept out. */
  *misses(): Generator<readonly [inserter: number, reader: number]> {
    for (let at = 0; at < this.#missedBy.length; at += 1) yield [this.#missedInserter.at(at), this.#missedBy.at(at)]
  }

  /** Who got the row while nobody can have got it before. */
  readersOf(member: number): readonly number[] {
    const first = this.#first.get(member)
    if (first === NOBODY) return []
    this.#also ??= this.#others()
    return [first, ...(this.#also.get(member) ?? [])]
  }

  /** Pairs: the insert's transaction ended before the reader looked. */
  *orders(): Generator<readonly [inserter: number, reader: number]> {
    for (let member = 0; member < this.#inserter.length; member += 1) {
      const inserter = this.#inserter.get(member)
      if (inserter < 0) continue
      for (const reader of this.readersOf(member)) yield [inserter, reader]
    }
  }

  #others(): Map<number, number[]> {
    const others = new Map<number, number[]>()
    for (let at = 0; at < this.#alsoMember.length; at += 1) {
      const list = others.get(this.#alsoMember.at(at)) ?? []
      list.push(this.#alsoReader.at(at))
      others.set(this.#alsoMember.at(at), list)
    }
    return others
  }
}

/** One statement per member. */
class MemberList {
  #items = new Int32Array(1024).fill(NOBODY)
  length = 0

  get(member: number): number {
    return member < this.length ? this.#items[member]! : NOBODY
  }

  set(member: number, statement: number): void {
    if (member >= this.#items.length) {
      const grown = new Int32Array(Math.max(member + 1, this.#items.length * 2)).fill(NOBODY)
      grown.set(this.#items)
      this.#items = grown
    }
    this.#items[member] = statement
    this.length = Math.max(this.length, member + 1)
  }
}
