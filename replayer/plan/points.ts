/**
 * Second pass: the moment at which each statement, and each transaction's end, took effect.
 *
 * Every event has a *point* inside its interval from sending to answer. The clock gives a first guess: a read takes effect when its
 * snapshot is taken, near the beginning; a write when it has its locks, near the end; a COMMIT a quarter into its interval
 * (measured: fewer differences against production than at either end). The clock is only a hint: where two intervals overlap, the
 * outcomes say who was first, and points move, inside their intervals, until they agree with that evidence:
 *
 * - a sequence handed out its values in their order, and the gaps belong to the draws that failed;
 * - a queue handed out its rows in their order;
 * - a counter that went from 4 to 5 was raised before it went from 5 to 6;
 * - a lock that was granted had been released: whoever held it had ended.
 */
import { type Draw, type Gathered, REFUSAL, type Step } from './gathered.js'
import { OP, WHOLE_SET } from './operations.js'

/** Points in microseconds; ends by transaction. For a transaction without a COMMIT of its own, both are one event. */
export type Points = {
  readonly statement: Float64Array
  readonly end: Float64Array
  /** Evidence that no point inside the intervals can satisfy. */
  readonly contradictions: number
}

/** Two events in one microsecond are still one after the other. */
const STEP_US = 0.001
const ROUNDS_MAX = 40

export function placePoints(g: Gathered): Points {
  const solver = new Solver(g)
  for (const draws of g.evidence.draws.values()) solver.inOrder(drawOrder(draws, g).map((draw) => draw.statement))
  for (const picks of g.evidence.picks.values()) {
    const sign = picks[0]?.descending ? -1 : 1
    const byPlace = (a: (typeof picks)[number], b: (typeof picks)[number]) =>
      sign * (a.place < b.place ? -1 : a.place > b.place ? 1 : 0)
    for (const run of overlapping(picks, g)) solver.inOrder(run.toSorted(byPlace).map((pick) => pick.statement))
  }
  for (const steps of g.evidence.steps.values()) {
    for (const run of overlapping(steps, g)) solver.inOrder(chained(run).map((step) => step.statement))
  }
  solver.settle()
  grantedLocks(g, solver)
  return { ...solver.points(), contradictions: solver.settle() }
}

/** Difference constraints `a before b`; points move as little as they can, and never out of their intervals. */
class Solver {
  readonly #g: Gathered
  readonly #count: number
  readonly #low: Float64Array
  readonly #high: Float64Array
  readonly point: Float64Array
  readonly #before: number[] = []
  readonly #after: number[] = []

  constructor(g: Gathered) {
    this.#g = g
    this.#count = g.count
    const total = g.count + g.transactions.length
    this.#low = new Float64Array(total)
    this.#high = new Float64Array(total)
    this.point = new Float64Array(total)
    for (let i = 0; i < g.count; i += 1) {
      this.#low[i] = g.sentUs[i]!
      this.#high[i] = g.doneUs[i]!
      this.point[i] = firstGuess(g, i)
    }
    g.transactions.forEach((transaction, t) => {
      const at = g.count + t
      const [sent, done] = [g.sentUs[transaction.last]!, g.doneUs[transaction.last]!]
      this.#low[at] = sent
      this.#high[at] = done
      this.point[at] = sent + (done - sent) / 4
    })
    this.#keepSessionOrder()
  }

  /** The event at which the transaction of this statement ends: the statement itself when there is no COMMIT. */
  endOf(statement: number): number {
    const t = this.#g.transaction[statement]!
    const transaction = this.#g.transactions[t]!
    return transaction.explicit ? this.#count + t : transaction.last
  }

  before(a: number, b: number): void {
    if (a === b) return
    this.#before.push(a)
    this.#after.push(b)
  }

  inOrder(statements: readonly number[]): void {
    for (let i = 1; i < statements.length; i += 1) this.before(statements[i - 1]!, statements[i]!)
  }

  /** Moves points until every constraint holds; answers how many cannot. */
  settle(): number {
    let broken = 0
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      broken = 0
      let moved = false
      // Backwards: lowering the later event of a chain first lets the earlier ones follow in the same round.
      for (let c = this.#before.length - 1; c >= 0; c -= 1) {
        const [a, b] = [this.#before[c]!, this.#after[c]!]
        if (this.point[a]! < this.point[b]!) continue
        const lowered = this.point[b]! - STEP_US
        if (lowered >= this.#low[a]!) this.point[a] = lowered
        else if (this.#low[a]! + STEP_US <= this.#high[b]!) {
          this.point[a] = this.#low[a]!
          this.point[b] = this.#low[a]! + STEP_US
        } else {
          broken += 1
          continue
        }
        moved = true
      }
      if (!moved) break
    }
    this.#keepSessionOrder()
    return broken
  }

  points(): { statement: Float64Array; end: Float64Array } {
    return { statement: this.point.subarray(0, this.#count), end: this.point.subarray(this.#count) }
  }

  /** In a pipeline, intervals of one session overlap; its statements still take effect one after the other. */
  #keepSessionOrder(): void {
    const last = new Float64Array(this.#g.sessionCount).fill(-1)
    for (let i = 0; i < this.#count; i += 1) {
      const session = this.#g.session[i]!
      if (this.point[i]! < last[session]!) this.point[i] = last[session]!
      last[session] = this.point[i]!
      const t = this.#g.transaction[i]!
      const transaction = this.#g.transactions[t]!
      if (!transaction.explicit || transaction.last !== i) continue
      if (this.point[this.#count + t]! < last[session]!) this.point[this.#count + t] = last[session]!
      last[session] = this.point[this.#count + t]!
    }
  }
}

function firstGuess(g: Gathered, i: number): number {
  let [waits, observes, releases] = [g.mayWait[i] === 1, false, false]
  for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) {
    const kind = g.opKind[op]!
    if (kind === OP.observe) observes = true
    else if (kind === OP.turn) releases ||= g.names.labels[g.opSet[op]!]!.startsWith('start ') || isRelease(g, op)
    if (kind !== OP.read && kind !== OP.share && kind !== OP.observe) waits = true
  }
  const [sent, done] = [g.sentUs[i]!, g.doneUs[i]!]
  const advisory = observes && !touchesTables(g, i)
  if (observes && !advisory) return (sent + done) / 2
  if (releases && onlyTurns(g, i)) return sent
  return waits || g.barrier[i] ? done : sent
}

function isRelease(g: Gathered, op: number): boolean {
  return g.names.labels[g.opSet[op]!]!.startsWith('advisory lock')
}

function onlyTurns(g: Gathered, i: number): boolean {
  for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) if (g.opKind[op] !== OP.turn) return false
  return true
}

function touchesTables(g: Gathered, i: number): boolean {
  for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1)
    if (g.names.labels[g.opSet[op]!]!.startsWith('table ')) return true
  return false
}

/**
 * All draws from one sequence in the order of drawing. Values order those that are known; the unknown ones (failed, or without
 * RETURNING) go into the gaps between values, first come first served, as long as their times allow it.
 */
export function drawOrder(draws: readonly Draw[], g: Pick<Gathered, 'sentUs' | 'doneUs'>): Draw[] {
  const known = draws.filter((draw) => draw.value !== null).toSorted((a, b) => a.value! - b.value!)
  const unknown = draws
    .filter((draw) => draw.value === null)
    .toSorted((a, b) => g.doneUs[a.statement]! - g.doneUs[b.statement]!)
  if (known.length === 0 || unknown.length === 0) return known.length === 0 ? unknown : known
  // A recorded sequence can also be reset or cycle; then values do not tell an order.
  if (!agreesWithClock(known, g)) return draws.toSorted((a, b) => g.doneUs[a.statement]! - g.doneUs[b.statement]!)
  const order: Draw[] = []
  let next = 0
  known.forEach((draw, k) => {
    const previous = known[k - 1]
    let gap = previous ? draw.value! - (previous.value! + previous.count) : Number.POSITIVE_INFINITY
    while (next < unknown.length && gap > 0) {
      const candidate = unknown[next]!
      const mayPrecede = g.sentUs[candidate.statement]! < g.doneUs[draw.statement]!
      const mustPrecede = g.doneUs[candidate.statement]! < g.sentUs[draw.statement]!
      // Before the first known value nothing says where a gap is; only what certainly came earlier goes there.
      if (!(previous ? mayPrecede : mustPrecede)) break
      order.push(candidate)
      next += 1
      gap -= candidate.count
    }
    order.push(draw)
  })
  return [...order, ...unknown.slice(next)]
}

function agreesWithClock(known: readonly Draw[], g: Pick<Gathered, 'sentUs' | 'doneUs'>): boolean {
  return known.every((draw, k) => k === 0 || g.sentUs[known[k - 1]!.statement]! < g.doneUs[draw.statement]!)
}

/** Runs of statements whose intervals overlap: only inside such a run does the clock leave the order open. */
function overlapping<T extends { readonly statement: number }>(items: readonly T[], g: Gathered): T[][] {
  const sorted = items.toSorted((a, b) => g.sentUs[a.statement]! - g.sentUs[b.statement]!)
  const runs: T[][] = []
  let until = -1
  for (const item of sorted) {
    if (g.sentUs[item.statement]! < until) runs.at(-1)!.push(item)
    else runs.push([item])
    until = Math.max(until, g.doneUs[item.statement]!)
  }
  return runs.filter((run) => run.length > 1)
}

/** Steps linked by value: each begins where the one before ended. Without one clear chain, nothing is said. */
function chained(run: readonly Step[]): Step[] {
  const byBefore = new Map(run.map((step) => [step.before, step]))
  const reached = new Set(run.map((step) => step.after))
  const starts = run.filter((step) => !reached.has(step.before))
  if (byBefore.size !== run.length || starts.length !== 1) return []
  const chain: Step[] = []
  for (let step = starts[0]; step; step = byBefore.get(step.after)) {
    if (chain.length === run.length) return []
    chain.push(step)
  }
  return chain.length === run.length ? chain : []
}

/** Whoever locked a row that another transaction had locked, got it when that one had ended. */
function grantedLocks(g: Gathered, solver: Solver): void {
  const lockers = new Map<number, number[]>()
  for (let i = 0; i < g.count; i += 1) {
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) {
      const [kind, member] = [g.opKind[op]!, g.opMember[op]!]
      if (member === WHOLE_SET || (kind !== OP.write && kind !== OP.rekey && kind !== OP.lock)) continue
      const held = lockers.get(member)
      if (held) held.push(i)
      else lockers.set(member, [i])
    }
  }
  for (const statements of lockers.values()) {
    if (statements.length < 2) continue
    statements.sort((a, b) => solver.point[a]! - solver.point[b]!)
    for (const refused of statements) if (g.refusal[refused] === REFUSAL.locked) heldAt(g, solver, statements, refused)
    const got = statements.filter((statement) => g.refusal[statement] !== REFUSAL.locked)
    for (let k = 1; k < got.length; k += 1) {
      const [holder, next] = [got[k - 1]!, got[k]!]
      if (g.transaction[holder] !== g.transaction[next]) granted(g, solver, holder, next)
    }
  }
}

/**
 * `next` got a row that `holder` had locked. With a snapshot of its own that is all we know; a transaction that keeps one snapshot
 * is refused when the row has changed since, so whether it was refused says on which side of the snapshot the change lies.
 */
function granted(g: Gathered, solver: Solver, holder: number, next: number): void {
  const end = solver.endOf(holder)
  const { snapshot } = g.transactions[g.transaction[next]!]!
  const changed = g.transactions[g.transaction[holder]!]!.committed
  if (snapshot >= 0 && snapshot !== next && changed) {
    if (g.refusal[next] === REFUSAL.outrun) solver.before(snapshot, end)
    else solver.before(end, snapshot)
  }
  solver.before(end, next)
}

/** `refused` found the row locked: it looked between somebody's lock and the end of that transaction. */
function heldAt(g: Gathered, solver: Solver, lockers: readonly number[], refused: number): void {
  const holders = lockers.filter((statement) => {
    const transaction = g.transactions[g.transaction[statement]!]!
    const other = g.transaction[statement] !== g.transaction[refused] && g.refusal[statement] === REFUSAL.none
    return other && g.sentUs[statement]! < g.doneUs[refused]! && g.doneUs[transaction.last]! > g.sentUs[refused]!
  })
  // With several candidates the outcome does not say which; the first one that locked is as good as any.
  const [holder] = holders
  if (holder === undefined) return
  solver.before(holder, refused)
  solver.before(refused, solver.endOf(holder))
}
