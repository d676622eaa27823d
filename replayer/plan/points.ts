/**
 * Second pass: the moment at which each statement, and each transaction's end, took effect.
 *
 * Every event has a *point* inside its interval from sending to answer. The clock gives a first guess: a read takes effect when its
 * snapshot is taken, near the beginning; a write when it has its locks, near the end; a COMMIT a quarter into its interval
 * (measured: fewer differences against production than at either end). The clock is only a hint: where two intervals overlap, the
 * outcomes say who was first, and points move, inside their intervals, until they agree with that evidence:
 *
 * - a sequence handed out its values in their order, and the gaps belong to the draws that failed;
 * - a row that was returned had been committed, and one that was asked for in vain had not;
 * - a queue handed out its rows in their order;
 * - a counter that went from 4 to 5 was raised before it went from 5 to 6;
 * - a lock that was granted had been released: whoever held it had ended.
 */

import { Chains } from './chains.js'
import { grantedLocks, inWideSets, type Placed, passedOver, possibleLocks } from './evidence/locks.js'
import type { Gathered } from './gathered.js'
import { SET } from './names.js'
import { IntList, locksOnly, OP } from './operations.js'

/** Points in microseconds; ends by transaction. For a transaction without a COMMIT of its own, both are one event. */
export type Points = {
  readonly statement: Float64Array
  readonly end: Float64Array
  /** Evidence that no point inside the intervals can satisfy. */
  readonly contradictions: number
}

/** Two events in one microsecond are still one after the other. */
const STEP_US = 0.001
const PICK_ROUNDS_MAX = 4
/** So long after it was sent, a statement has looked. */
const AT_ONCE_US = 2000

export function placePoints(g: Gathered): Points {
  const solver = new Solver(g)
  const { draws, picks, steps, sightings } = g.evidence
  const drawn = [...draws.orders(g)]
  for (const { seen } of drawn) for (const [inserter, reader] of seen) solver.saw(inserter, reader)
  for (const run of picks.orders(g)) solver.inOrder(run)
  for (const run of steps.orders(g)) solver.inOrder(run)
  for (const [inserter, reader] of sightings.orders()) solver.saw(inserter, reader)
  solver.settle()
  grantedLocks(g, solver)
  const contradictions = solver.settle()
  for (const [inserter, reader] of sightings.misses()) solver.missed(inserter, reader)
  const wide = inWideSets(g)
  possibleLocks(g, solver, wide)
  solver.settle()
  // A value is drawn before its row has its locks. Where that leads to two moments, the locks decide: values can be exchanged.
  for (const { inOrder } of drawn) solver.inOrder(inOrder, (a, b) => solver.canBe(a, b))
  solver.settle()
  // Moving one point can bring another pick out of order.
  for (let round = 0; round < PICK_ROUNDS_MAX && passedOver(g, solver, wide); round += 1) solver.settle()
  return { ...solver.points(), contradictions }
}

/** Difference constraints `a before b`; points move as little as they can, and never out of their intervals. */
class Solver implements Placed {
  readonly #g: Gathered
  readonly #count: number
  readonly #low: Float64Array
  readonly #high: Float64Array
  readonly point: Float64Array
  readonly #before = new IntList()
  readonly #after = new IntList()
  readonly #chains: Chains

  constructor(g: Gathered) {
    this.#g = g
    this.#count = g.count
    const total = g.count + g.transactions.count
    this.#chains = new Chains(total)
    this.#low = new Float64Array(total)
    this.#high = new Float64Array(total)
    this.point = new Float64Array(total)
    for (let i = 0; i < g.count; i += 1) {
      this.#low[i] = g.sentUs[i]!
      this.#high[i] = g.doneUs[i]!
      this.point[i] = firstGuess(g, i)
    }
    for (let t = 0; t < g.transactions.count; t += 1) {
      const at = g.count + t
      const last = g.transactions.last[t]!
      const [sent, done] = [g.sentUs[last]!, g.doneUs[last]!]
      this.#low[at] = sent
      this.#high[at] = done
      this.point[at] = sent + (done - sent) / 4
    }
    this.#keepSessionOrder()
  }

  /** The event with which the transaction of this statement lets go of its locks: its end, or the statement that failed. */
  endOf(statement: number): number {
    const t = this.#g.transaction[statement]!
    const { explicit, last } = this.#g.transactions
    if (this.#g.releasedAt[statement]! >= 0) return this.#g.releasedAt[statement]!
    return explicit[t] ? this.#count + t : last[t]!
  }

  /** `reader` got a row that `inserter` had made: by then, or when its transaction took its snapshot, the other had committed. */
  saw(inserter: number, reader: number): void {
    const { transaction, transactions, sentUs, doneUs } = this.#g
    const [made, got] = [transaction[inserter]!, transaction[reader]!]
    if (made === got || !transactions.committed[made]) return
    const snapshot = transactions.snapshot[got]!
    const looked = snapshot >= 0 ? snapshot : reader
    if (doneUs[transactions.last[made]!]! >= sentUs[looked]!) this.before(this.endOf(inserter), looked)
  }

  /** `reader` did not find a row that `inserter` had made: it looked before the other had committed, if that can be. */
  missed(inserter: number, reader: number): void {
    const { transaction, transactions } = this.#g
    const [made, asked] = [transaction[inserter]!, transaction[reader]!]
    if (made === asked || !transactions.committed[made]) return
    const snapshot = transactions.snapshot[asked]!
    const looked = snapshot >= 0 ? snapshot : reader
    const end = this.endOf(inserter)
    if (this.canBe(looked, end)) this.before(looked, end)
  }

  before(a: number, b: number): void {
    // Where the clock has them apart, nothing needs saying: points do not leave their intervals.
    if (a === b || this.#high[a]! + STEP_US < this.#low[b]!) return
    this.#before.push(a)
    this.#after.push(b)
    this.#chains.join(a, b)
  }

  /** Whether the clock leaves room for that. */
  canBe(a: number, b: number): boolean {
    return this.#low[a]! + STEP_US <= this.#high[b]!
  }

  low(event: number): number {
    return this.#low[event]!
  }

  high(event: number): number {
    return this.#high[event]!
  }

  inOrder(statements: readonly number[], may: (a: number, b: number) => boolean = () => true): void {
    for (let i = 1; i < statements.length; i += 1) {
      const [a, b] = [statements[i - 1]!, statements[i]!]
      if (may(a, b)) this.before(a, b)
    }
  }

  /** What must come before or after something else has less room than its own interval. */
  #tighten(): void {
    const [low, high] = [this.#low, this.#high]
    this.#chains.untilStill(this.#before.length, (ascending, moved) => {
      // Along the chains forwards, then backwards. What cannot be is left aside, so that it does not spoil what can.
      for (let n = 0; n < ascending.length; n += 1) {
        const c = ascending[n]!
        const a = this.#before.at(c)
        const b = this.#after.at(c)
        const earliest = low[a]! + STEP_US
        if (earliest > high[b]! || low[b]! >= earliest) continue
        low[b] = earliest
        moved(b)
      }
      for (let n = ascending.length - 1; n >= 0; n -= 1) {
        const c = ascending[n]!
        const a = this.#before.at(c)
        const b = this.#after.at(c)
        const latest = high[b]! - STEP_US
        if (low[a]! > latest || high[a]! <= latest) continue
        high[a] = latest
        moved(a)
      }
    })
  }

  /** Moves points until every constraint holds; answers how many cannot. */
  settle(): number {
    this.#tighten()
    const [low, high, point] = [this.#low, this.#high, this.point]
    for (let at = 0; at < point.length; at += 1) {
      if (point[at]! < low[at]!) point[at] = low[at]!
      if (point[at]! > high[at]!) point[at] = high[at]!
    }
    const broken = new Set<number>()
    this.#chains.untilStill(this.#before.length, (ascending, moved) => {
      // Backwards: lowering the later event of a chain first lets the earlier ones follow in the same round.
      for (let n = ascending.length - 1; n >= 0; n -= 1) {
        const c = ascending[n]!
        const a = this.#before.at(c)
        const b = this.#after.at(c)
        broken.delete(c)
        if (point[a]! < point[b]!) continue
        const lowered = point[b]! - STEP_US
        if (lowered >= low[a]!) point[a] = lowered
        else if (low[a]! + STEP_US <= high[b]!) {
          point[a] = low[a]!
          point[b] = low[a]! + STEP_US
        } else {
          broken.add(c)
          continue
        }
        moved(a)
      }
    })
    this.#keepSessionOrder()
    return broken.size
  }

  points(): { statement: Float64Array; end: Float64Array } {
    return { statement: this.point.subarray(0, this.#count), end: this.point.subarray(this.#count) }
  }

  /** In a pipeline, intervals of one session overlap; its statements still take effect one after the other. */
  #keepSessionOrder(): void {
    const { transactions } = this.#g
    const last = new Float64Array(this.#g.sessionCount).fill(-1)
    for (let i = 0; i < this.#count; i += 1) {
      const session = this.#g.session[i]!
      if (this.point[i]! < last[session]!) this.point[i] = last[session]!
      last[session] = this.point[i]!
      const t = this.#g.transaction[i]!
      if (!transactions.explicit[t] || transactions.last[t] !== i) continue
      if (this.point[this.#count + t]! < last[session]!) this.point[this.#count + t] = last[session]!
      last[session] = this.point[this.#count + t]!
    }
  }
}

function firstGuess(g: Gathered, i: number): number {
  const stood = g.stood[i] === 1
  let [waits, observes, releases] = [g.mayWait[i] === 1 && !stood, false, false]
  for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) {
    const kind = g.opKind[op]!
    if (kind === OP.observe) observes = true
    else if (kind === OP.turn) releases ||= kindOf(g, op) === SET.start || kindOf(g, op) === SET.advisory
    const atOnce = kind === OP.read || kind === OP.share || kind === OP.observe || (stood && locksOnly(kind))
    if (!atOnce) waits = true
  }
  const [sent, done] = [g.sentUs[i]!, g.doneUs[i]!]
  const advisory = observes && !touchesTables(g, i)
  if (observes && !advisory) return (sent + done) / 2
  if (releases && onlyTurns(g, i)) return sent
  if (waits || g.barrier[i]) return done
  return stood ? Math.min(done, sent + AT_ONCE_US) : sent
}

function kindOf(g: Gathered, op: number): number {
  return g.names.kinds[g.opSet[op]!]!
}

function onlyTurns(g: Gathered, i: number): boolean {
  for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) if (g.opKind[op] !== OP.turn) return false
  return true
}

function touchesTables(g: Gathered, i: number): boolean {
  for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) if (kindOf(g, op) === SET.table) return true
  return false
}

/** Statements (i) and ends of explicit transactions (count + t), by point; equal points in the order of sending. */
export function inOrder(g: Gathered, points: Points): Uint32Array {
  const { explicit, last, count: transactions } = g.transactions
  const events = new Uint32Array(g.count + transactions)
  let length = 0
  for (let i = 0; i < g.count; i += 1) if (g.sentWith[i] === i) events[length++] = i
  for (let t = 0; t < transactions; t += 1) if (explicit[t]) events[length++] = g.count + t
  const point = (event: number) => (event < g.count ? points.statement[event]! : points.end[event - g.count]!)
  const place = (event: number) => (event < g.count ? event : last[event - g.count]! + 0.5)
  return events.subarray(0, length).sort((a, b) => point(a) - point(b) || place(a) - place(b))
}
