/**
 * A sequence hands out its values in their order. Values that are known (RETURNING) order their draws; the others (failed, or without
 * RETURNING) fill the gaps between them, from the position that the sequence had when recording began.
 *
 * What fills a gap is decided by the clock, except where a row with that value was returned to somebody: then it was drawn by a
 * transaction that had committed by then. With every gap filled, each draw has a value, and so has the row that it made.
 */
import type { SequencePosition } from '../../../segment/catalog.js'
import type { Gathered, Transactions } from '../gathered.js'
import type { Names } from '../names.js'
import { type Clock, listed } from './evidence.js'
import type { Sightings } from './sightings.js'

export type Draw = { readonly statement: number; readonly value: number | null; readonly count: number }

/** What is known about the statements that drew, and about the rows that their values name. */
export type DrawContext = Clock & {
  readonly transaction: Int32Array
  readonly transactions: Pick<Transactions, 'last' | 'committed'>
  /** Who got the row that a value of this sequence names. */
  readersOf(value: number): readonly number[]
}

/** How many draws one can be passed by; no more run side by side. */
const AHEAD_MAX = 256

type Placed = { readonly order: Draw[]; readonly valued: readonly { readonly draw: Draw; readonly value: number }[] }

export class Draws {
  readonly #bySequence = new Map<number, Draw[]>()
  /** Tables whose rows are named by this sequence's values alone. */
  readonly #rowSets = new Map<number, Set<number>>()
  readonly #positions: ReadonlyMap<number, SequencePosition>

  constructor(positions: ReadonlyMap<number, SequencePosition>) {
    this.#positions = positions
  }

  note(sequence: number, draw: Draw): void {
    listed(this.#bySequence, sequence, draw)
  }

  names(sequence: number, tableSet: number): void {
    const sets = this.#rowSets.get(sequence)
    if (sets) sets.add(tableSet)
    else this.#rowSets.set(sequence, new Set([tableSet]))
  }

  /** Statements that came one after the other, and pairs as `Sightings` gives them, for rows whose value follows from the order. */
  *orders(g: Gathered): Generator<{ readonly inOrder: number[]; readonly seen: (readonly [number, number])[] }> {
    for (const [sequence, draws] of this.#bySequence) {
      const sets = [...(this.#rowSets.get(sequence) ?? [])]
      const readersOf = (value: number) => sets.flatMap((set) => seenBy(g.names, g.evidence.sightings, set, value))
      const { order, valued } = placeDraws(draws, { ...g, readersOf }, this.#positions.get(sequence))
      const seen = valued.flatMap(({ draw, value }) =>
        readersOf(value).map((reader) => [draw.statement, reader] as const),
      )
      yield { inOrder: order.map((draw) => draw.statement), seen }
    }
  }
}

function seenBy(names: Names, sightings: Sightings, set: number, value: number): readonly number[] {
  const member = names.known(set, String(value))
  return member < 0 ? [] : sightings.readersOf(member)
}

/** All draws from one sequence in the order of drawing, and the values of those that did not say theirs. */
export function placeDraws(draws: readonly Draw[], at: DrawContext, position?: SequencePosition): Placed {
  const step = position?.increment ?? 1
  const known = draws.filter((draw) => draw.value !== null).toSorted((a, b) => (a.value! - b.value!) * step)
  const unknown = draws.filter((draw) => draw.value === null).toSorted(byAnswer(at))
  // A recorded sequence can also be reset or cycle, or be handed out in blocks; then values do not tell an order.
  if (!agreesWithClock(known, at)) return { order: draws.toSorted(byAnswer(at)), valued: [] }
  return new Placing(unknown, at, step).place(known, position?.next ?? null)
}

class Placing {
  readonly #unknown: Draw[]
  readonly #at: DrawContext
  readonly #step: number
  readonly #order: Draw[] = []
  readonly #valued: { draw: Draw; value: number }[] = []
  #next = 0

  constructor(unknown: Draw[], at: DrawContext, step: number) {
    this.#unknown = unknown
    this.#at = at
    this.#step = step
  }

  /** `next`: the value that the first draw of the recording got, when that is known. */
  place(known: readonly Draw[], next: number | null): Placed {
    let value = next
    for (const draw of known) {
      this.#fillBefore(draw, value)
      this.#order.push(draw)
      value = draw.value! + draw.count * this.#step
    }
    this.#fillRest(value)
    return { order: this.#order, valued: this.#valued }
  }

  #fillBefore(draw: Draw, from: number | null): void {
    const room = from === null ? Number.POSITIVE_INFINITY : Math.floor((draw.value! - from) / this.#step)
    const filled: Draw[] = []
    let gap = room
    while (gap > 0 && this.#next < this.#unknown.length) {
      const value = from === null ? null : from + (room - gap) * this.#step
      const candidate = this.#candidate(draw, value)
      if (candidate === null) break
      filled.push(candidate)
      gap -= candidate.count
    }
    // A gap that is not filled has draws nobody recorded: then which value was whose is not known.
    if (gap === 0 && from !== null) this.#value(filled, from)
    for (const one of filled) this.#order.push(one)
  }

  #fillRest(from: number | null): void {
    const rest: Draw[] = []
    for (let value = from; this.#next < this.#unknown.length; ) {
      const draw = this.#take(value, () => true)!
      rest.push(draw)
      if (value !== null) value += draw.count * this.#step
    }
    if (from !== null) this.#value(rest, from)
    for (const one of rest) this.#order.push(one)
  }

  #value(draws: readonly Draw[], from: number): void {
    let value = from
    for (const draw of draws) {
      if (draw.count === 1) this.#valued.push({ draw, value })
      value += draw.count * this.#step
    }
  }

  /** The first that may have drawn before `draw`; without a known beginning, the first that certainly did. */
  #candidate(draw: Draw, value: number | null): Draw | null {
    const { sentUs, doneUs } = this.#at
    return this.#take(value, ({ statement }) =>
      value === null ? doneUs[statement]! < sentUs[draw.statement]! : sentUs[statement]! < doneUs[draw.statement]!,
    )
  }

  /** First come, first served, unless somebody saw the value too early for that. */
  #take(value: number | null, may: (draw: Draw) => boolean): Draw | null {
    const first = this.#unknown[this.#next]!
    if (!may(first)) return null
    const readers = value === null ? [] : this.#at.readersOf(value)
    let chosen = this.#next
    const until = readers.length === 0 ? 0 : Math.min(this.#unknown.length, this.#next + AHEAD_MAX)
    for (let k = this.#next; k < until && may(this.#unknown[k]!); k += 1) {
      if (!readers.every((reader) => mayHaveMade(this.#unknown[k]!, reader, this.#at))) continue
      chosen = k
      break
    }
    const draw = this.#unknown[chosen]!
    this.#unknown.copyWithin(this.#next + 1, this.#next, chosen)
    this.#unknown[this.#next] = draw
    this.#next += 1
    return draw
  }
}

/** The row a reader got was made by its own transaction, or by one that had sent its COMMIT by then. */
function mayHaveMade({ statement }: Draw, reader: number, at: DrawContext): boolean {
  const transaction = at.transaction[statement]!
  if (transaction === at.transaction[reader]) return true
  const { last, committed } = at.transactions
  return committed[transaction] === 1 && at.sentUs[last[transaction]!]! < at.doneUs[reader]!
}

function byAnswer({ doneUs }: Clock): (a: Draw, b: Draw) => number {
  return (a, b) => doneUs[a.statement]! - doneUs[b.statement]!
}

function agreesWithClock(known: readonly Draw[], { sentUs, doneUs }: Clock): boolean {
  return known.every((draw, k) => k === 0 || sentUs[known[k - 1]!.statement]! < doneUs[draw.statement]!)
}
