/**
 * What rests on something: from statements whose own doing may be another than recorded (they were not replayed, or production ran a
 * race that the recording does not settle) to all that look at what those wrote, at what these wrote in turn, and so on.
 *
 * Being unsure (a table where no row is named) counts as looking. What a transaction wrote others see when it has committed.
 */
import type { Gathered } from './gathered.js'
import { locksOnly, WHOLE_SET, writes } from './operations.js'

/** Per statement: 1, it rests on one of those that `starts` names. `events`: as `inOrder` says. */
export function restingOn(g: Gathered, events: Uint32Array, starts: (statement: number) => boolean): Uint8Array {
  return new Spread(g, starts, true).over(events)
}

/** The same, but only who looks at what one of those wrote itself. */
export function lookingAt(g: Gathered, events: Uint32Array, starts: (statement: number) => boolean): Uint8Array {
  return new Spread(g, starts, false).over(events)
}

/** Whether a statement looks at what any of those wrote. */
export function lookersAt(g: Gathered, writers: readonly number[]): (statement: number) => boolean {
  const changed = new Changed(g)
  for (const writer of writers) changed.by(g.sentWith[writer]!)
  return (statement) => changed.isSeenBy(g.sentWith[statement]!)
}

class Spread {
  readonly #g: Gathered
  readonly #onward: boolean
  readonly #starts: Uint8Array
  readonly #rests: Uint8Array
  readonly #everywhere: Changed
  readonly #own = new Map<number, Changed>()

  constructor(g: Gathered, starts: (statement: number) => boolean, onward: boolean) {
    this.#g = g
    this.#onward = onward
    this.#rests = new Uint8Array(g.count)
    this.#starts = new Uint8Array(g.count)
    this.#everywhere = new Changed(g)
    // What is sent in one message has one moment, and its operations stand at its first part.
    for (let i = 0; i < g.count; i += 1) if (starts(i)) this.#starts[g.sentWith[i]!] = 1
  }

  over(events: Uint32Array): Uint8Array {
    if (!this.#starts.includes(1)) return this.#rests
    const { count, transaction, transactions } = this.#g
    for (const event of events) {
      if (event >= count) this.#end(event - count)
      else {
        const t = transaction[event]!
        this.#statement(event, t)
        if (!transactions.explicit[t] && transactions.last[t] === event) this.#end(t)
      }
    }
    for (let i = 0; i < count; i += 1) this.#rests[i] = this.#rests[this.#g.sentWith[i]!]!
    return this.#rests
  }

  #statement(i: number, t: number): void {
    const own = this.#own.get(t)
    const from = this.#g.seesAs[i]!
    if (this.#everywhere.isSeenBy(i) || own?.isSeenBy(i) || (from >= 0 && (this.#rests[from] || this.#starts[from])))
      this.#rests[i] = 1
    if (!this.#starts[i] && !(this.#onward && this.#rests[i])) return
    const changed = own ?? new Changed(this.#g)
    changed.by(i)
    this.#own.set(t, changed)
  }

  #end(t: number): void {
    const own = this.#own.get(t)
    if (!own) return
    this.#own.delete(t)
    // A failure of production's may not be one of the replay's: what it would have left counts.
    if (this.#g.transactions.mayCommit[t]) this.#everywhere.add(own)
  }
}

/** Rows and tables whose contents may not be as recorded. */
class Changed {
  readonly #g: Gathered
  readonly #members = new Set<number>()
  readonly #sets = new Set<number>()
  readonly #wide = new Set<number>()

  constructor(g: Gathered) {
    this.#g = g
  }

  isSeenBy(i: number): boolean {
    if (this.#sets.size === 0) return false
    const { opStart, opSet, opMember } = this.#g
    for (let op = opStart[i]!; op < opStart[i + 1]!; op += 1) {
      const [set, member] = [opSet[op]!, opMember[op]!]
      if (member === WHOLE_SET ? this.#sets.has(set) : this.#members.has(member) || this.#wide.has(set)) return true
    }
    return this.#g.barrier[i] === 1
  }

  by(i: number): void {
    const { opStart, opSet, opMember, opKind, inVain } = this.#g
    for (let op = opStart[i]!; op < opStart[i + 1]!; op += 1) {
      const wouldWrite = inVain[i] === 1 && locksOnly(opKind[op]!)
      if (!wouldWrite && !writes(opKind[op]!)) continue
      const [set, member] = [opSet[op]!, opMember[op]!]
      this.#sets.add(set)
      if (member === WHOLE_SET) this.#wide.add(set)
      else this.#members.add(member)
    }
  }

  add(other: Changed): void {
    for (const set of other.#sets) this.#sets.add(set)
    for (const set of other.#wide) this.#wide.add(set)
    for (const member of other.#members) this.#members.add(member)
  }
}
