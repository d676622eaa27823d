/**
 * Which statements look at what others would have written that were not replayed, and so cannot answer as they were recorded.
 *
 * What such a statement writes itself is no longer as recorded either. Being unsure (a table where no row is named) counts as looking.
 */
import type { Gathered } from './gathered.js'
import { WHOLE_SET, writes } from './operations.js'
import type { Points } from './points.js'
import { inOrder } from './scan.js'

/** Per statement: 1, it rests on something that was not written. `left`: statements that were not replayed, or were refused. */
export function restingOnUnwritten(g: Gathered, points: Points, left: (statement: number) => boolean): Uint8Array {
  const rests = new Uint8Array(g.count)
  const everywhere = new Missing(g)
  const own = new Map<number, Missing>()
  for (const event of inOrder(g, points)) {
    if (event >= g.count) {
      own.delete(event - g.count)
      continue
    }
    const t = g.transaction[event]!
    const isLeft = left(event)
    // Parts of one message have one moment.
    for (let i = event; i < g.count && g.sentWith[i] === event; i = nextPart(g, i)) {
      if (everywhere.isSeenBy(i) || own.get(t)?.isSeenBy(i) === true) rests[i] = 1
      if (!isLeft && !left(i) && rests[i] === 0) continue
      // Of a transaction that did not commit, nobody else would have seen anything.
      if (g.transactions.committed[t]) everywhere.lacks(i)
      else {
        const mine = own.get(t) ?? new Missing(g)
        mine.lacks(i)
        own.set(t, mine)
      }
    }
  }
  return rests
}

function nextPart(g: Gathered, i: number): number {
  for (let next = i + 1; next < g.count; next += 1) if (g.session[next] === g.session[i]) return next
  return g.count
}

/** Rows and tables whose contents are not as recorded. */
class Missing {
  readonly #g: Gathered
  readonly #members = new Set<number>()
  readonly #sets = new Set<number>()
  readonly #wide = new Set<number>()

  constructor(g: Gathered) {
    this.#g = g
  }

  isSeenBy(i: number): boolean {
    const { opStart, opSet, opMember } = this.#g
    for (let op = opStart[i]!; op < opStart[i + 1]!; op += 1) {
      const [set, member] = [opSet[op]!, opMember[op]!]
      if (member === WHOLE_SET ? this.#sets.has(set) : this.#members.has(member) || this.#wide.has(set)) return true
    }
    return this.#g.barrier[i] === 1 && this.#sets.size > 0
  }

  lacks(i: number): void {
    const { opStart, opSet, opMember, opKind } = this.#g
    for (let op = opStart[i]!; op < opStart[i + 1]!; op += 1) {
      if (!writes(opKind[op]!)) continue
      const [set, member] = [opSet[op]!, opMember[op]!]
      this.#sets.add(set)
      if (member === WHOLE_SET) this.#wide.add(set)
      else this.#members.add(member)
    }
  }
}
