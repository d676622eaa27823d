/**
 * A lock that was granted had been released: whoever was served came after the end of the transaction that had the row before.
 *
 * Where both name the row, that is certain. Where one of them says only "rows of this table", it may be: then, if the clock leaves it open, the
 * order in which nobody stands at the other's lock is taken, because the other one could stand still for ever.
 */
import { type Gathered, REFUSAL } from '../gathered.js'
import { SET } from '../names.js'
import { locksKey, OP, WHOLE_SET } from '../operations.js'
import { listed } from './evidence.js'

/** Statements and ends of transactions as they are placed so far. */
export type Placed = {
  readonly point: Float64Array
  endOf(statement: number): number
  before(a: number, b: number): void
  canBe(a: number, b: number): boolean
  /** Between these, as far as is known. */
  low(event: number): number
  high(event: number): number
}

type Held = { readonly statement: number; readonly kind: number }

/** Answers that are ready in one turn of an event loop are seen in any order. */
const ONE_TURN_US = 2000

const bit = (kind: number): number => 1 << kind
const KEY = bit(OP.rekey) | bit(OP.lock)
const ROW = bit(OP.write) | bit(OP.hold) | KEY
const ANY = bit(OP.share) | ROW
const CHANGE = bit(OP.write) | bit(OP.rekey)

/** Which locks of others a kind of access has to wait for. */
function against(kind: number): number {
  return kind === OP.share ? KEY : locksKey(kind) ? ANY : ROW
}

export function grantedLocks(g: Gathered, placed: Placed): void {
  const { byMember, bySet } = locks(g)
  for (const [member, held] of byMember) {
    if (held.length < 2) continue
    inOrder(held, placed)
    inTurn(
      g,
      placed,
      held.filter(({ statement }) => served(g, statement)),
      member,
    )
  }
  const holders = new Map<readonly Held[], Holders>()
  const during = (held: readonly Held[] | undefined, refused: number): Held[] => {
    if (held === undefined) return []
    let spans = holders.get(held)
    if (spans === undefined) {
      spans = new Holders(g, held)
      holders.set(held, spans)
    }
    return spans.between(g.sentUs[refused]!, g.doneUs[refused]!)
  }
  for (let i = 0; i < g.count; i += 1) {
    if (g.refusal[i] !== REFUSAL.locked) continue
    const candidates: Held[] = []
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) {
      if (!(bit(g.opKind[op]!) & ROW)) continue
      candidates.push(...during(byMember.get(g.opMember[op]!), i), ...during(bySet.get(g.opSet[op]!), i))
    }
    heldAt(g, placed, candidates, i)
  }
}

/** Who locked one thing, in whatever order: those that may have held it between two moments are found without looking at all. */
class Holders {
  readonly #g: Gathered
  readonly #held: readonly Held[]
  /** When the last of the first n was over, and when the first of the rest was sent. */
  readonly #overUs: Float64Array
  readonly #sentUs: Float64Array

  constructor(g: Gathered, held: readonly Held[]) {
    this.#g = g
    this.#held = held
    this.#overUs = new Float64Array(held.length)
    this.#sentUs = new Float64Array(held.length)
    for (let n = 0, over = -Infinity; n < held.length; n += 1) {
      over = Math.max(over, this.#endOf(held[n]!))
      this.#overUs[n] = over
    }
    for (let n = held.length - 1, sent = Infinity; n >= 0; n -= 1) {
      sent = Math.min(sent, g.sentUs[held[n]!.statement]!)
      this.#sentUs[n] = sent
    }
  }

  between(fromUs: number, toUs: number): Held[] {
    const found: Held[] = []
    for (let n = firstAfter(this.#overUs, fromUs); n < this.#held.length && this.#sentUs[n]! < toUs; n += 1) {
      const held = this.#held[n]!
      if (this.#endOf(held) > fromUs && this.#g.sentUs[held.statement]! < toUs) found.push(held)
    }
    return found
  }

  #endOf({ statement }: Held): number {
    return this.#g.doneUs[this.#g.transactions.last[this.#g.transaction[statement]!]!]!
  }
}

function firstAfter(ascending: Float64Array, moment: number): number {
  let [low, high] = [0, ascending.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ascending[middle]! > moment) high = middle
    else low = middle + 1
  }
  return low
}

function inOrder(held: Held[], placed: Placed): void {
  held.sort((a, b) => placed.point[a.statement]! - placed.point[b.statement]!)
}

/** By the row they name; those that name none by their table. */
function locks(g: Gathered): { readonly byMember: Map<number, Held[]>; readonly bySet: Map<number, Held[]> } {
  const [byMember, bySet] = [new Map<number, Held[]>(), new Map<number, Held[]>()]
  for (let i = 0; i < g.count; i += 1) {
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) {
      const [kind, set, member] = [g.opKind[op]!, g.opSet[op]!, g.opMember[op]!]
      if (!(bit(kind) & ANY)) continue
      // An advisory lock is one thing: its set has no members.
      if (g.names.kinds[set] === SET.advisory) listed(byMember, -2 - set, { statement: i, kind })
      else if (member === WHOLE_SET) listed(bySet, set, { statement: i, kind })
      else listed(byMember, member, { statement: i, kind })
    }
  }
  return { byMember, bySet }
}

function served(g: Gathered, statement: number): boolean {
  const refusal = g.refusal[statement]
  return refusal !== REFUSAL.locked && refusal !== REFUSAL.unserved
}

/** Each one after the last that it had to wait for, and after all who shared the key since. */
function inTurn(g: Gathered, placed: Placed, held: readonly Held[], member: number): void {
  let [row, key]: [Held | null, Held | null] = [null, null]
  let sharers: Held[] = []
  for (const next of held) {
    const after = (holder: Held | null) => {
      if (!holder || g.transaction[holder.statement] === g.transaction[next.statement]) return
      // A row that is only being made keeps nobody who does not see it yet.
      const unseen = g.missed[next.statement] === 1 && g.evidence.sightings.madeBy(member, holder.statement)
      if (!unseen) granted(g, placed, holder, next)
    }
    if (next.kind === OP.share) {
      after(key)
      sharers.push(next)
      continue
    }
    after(row)
    row = next
    if (!locksKey(next.kind)) continue
    for (const sharer of sharers) after(sharer)
    sharers = []
    key = next
  }
}

/**
 * `next` got a row that `holder` had locked. With a snapshot of its own that is all we know; a transaction that keeps one snapshot
 * is refused when the row has changed since, so whether it was refused says on which side of the snapshot the change lies.
 */
function granted(g: Gathered, placed: Placed, holder: Held, { statement: next, kind }: Held): void {
  const end = placed.endOf(holder.statement)
  if (!placed.canBe(end, next)) {
    // It had ended while the other still held its row, so it was the first; or the two did not exclude each other: an update that left the
    // key as it was beside somebody who needs it, two that share a row.
    const shared = kind === OP.share || holder.kind === OP.share
    const certain = !shared && !(kind === OP.hold && holder.kind === OP.hold)
    if (certain || isOneTurn(g, holder.statement, next)) endBefore(placed, next, holder.statement)
    return
  }
  const snapshot = g.transactions.snapshot[g.transaction[next]!]!
  const changed = g.transactions.committed[g.transaction[holder.statement]!] === 1 && holder.kind !== OP.share
  if (snapshot >= 0 && snapshot !== next && changed) {
    if (g.refusal[next] === REFUSAL.outrun) placed.before(snapshot, end)
    else placed.before(end, snapshot)
  }
  placed.before(end, next)
}

function isOneTurn({ doneUs }: Gathered, first: number, second: number): boolean {
  return Math.abs(doneUs[second]! - doneUs[first]!) < ONE_TURN_US
}

/** The transaction of `first` is over before `second`, if the clock leaves that open. */
function endBefore(placed: Placed, first: number, second: number): void {
  const end = placed.endOf(first)
  if (placed.canBe(end, second)) placed.before(end, second)
}

/** `refused` found the row locked: it looked between the lock of one of these and the end of that transaction. */
function heldAt(g: Gathered, placed: Placed, candidates: readonly Held[], refused: number): void {
  let [holder, best] = [-1, 0]
  for (const { statement, kind } of candidates) {
    const last = g.transactions.last[g.transaction[statement]!]!
    const other = g.transaction[statement] !== g.transaction[refused] && g.refusal[statement] === REFUSAL.none
    if (!other) continue
    // Who had the lock for sure by then, and who still had it; the outcome does not say more.
    const had = g.doneUs[statement]! < g.sentUs[refused]! ? 4 : g.doneUs[statement]! < g.doneUs[refused]! ? 2 : 0
    const has = g.sentUs[last]! > g.doneUs[refused]! ? 4 : g.sentUs[last]! > g.sentUs[refused]! ? 2 : 0
    const likely = 1 + had + has + (kind === OP.share ? 0 : 1)
    if (likely > best) [holder, best] = [statement, likely]
  }
  if (holder < 0) return
  placed.before(holder, refused)
  placed.before(refused, placed.endOf(holder))
}

/** Locks on rows that one of the two does not name. */
export function possibleLocks(g: Gathered, placed: Placed, wide: WideSets): void {
  for (const held of wide) {
    inOrder(held, placed)
    let holders: Holder[] = []
    for (const { statement, kind, wide } of held) {
      const own = g.transaction[statement]!
      const end = placed.endOf(statement)
      // Where the clock has them apart, it needs no telling.
      holders = holders.filter(({ end }) => placed.high(end) >= g.sentUs[statement]!)
      for (const holder of holders) {
        if (holder.transaction === own || !((wide ? holder.any : holder.wide) & against(kind))) continue
        if (g.stood[statement] && !stoodAt(g, holder, statement)) continue
        if (placed.canBe(holder.end, statement)) placed.before(holder.end, statement)
        // Served while the other went on, and answered in one breath with it: if they wanted one row, this one had it first. Who picks
        // wants any row that is free.
        else if (!g.stood[holder.last] && !g.picks[statement] && isOneTurn(g, holder.last, statement))
          endBefore(placed, statement, holder.last)
      }
      let mine = holders.find((holder) => holder.transaction === own && holder.end === end)
      if (!mine) {
        mine = { transaction: own, end, any: 0, wide: 0, first: statement, last: statement }
        holders.push(mine)
      }
      mine.last = statement
      mine.any |= bit(kind)
      if (wide) mine.wide |= bit(kind)
    }
    woken(g, placed, held)
  }
}

/**
 * Who stood long and was answered in one turn with the end of a transaction that had changed something was woken by that end, also where the
 * other got its lock only while both stood: they were in one queue.
 */
function woken(g: Gathered, placed: Placed, held: readonly Looked[]): void {
  const stood = held.filter(({ statement }) => g.stood[statement])
  if (stood.length === 0) return
  const changed = held
    .filter(({ kind }) => bit(kind) & CHANGE)
    .map(({ statement, wide, kind }) => ({ statement, wide, kind, atUs: g.doneUs[endingOf(g, statement)]! }))
    .sort((a, b) => a.atUs - b.atUs)
  for (const { statement, kind, wide } of stood) {
    const doneUs = g.doneUs[statement]!
    for (let at = from(changed, doneUs - ONE_TURN_US); at < changed.length; at += 1) {
      const holder = changed[at]!
      if (holder.atUs > doneUs + ONE_TURN_US) break
      const apart = g.transaction[holder.statement] === g.transaction[statement] || !(holder.wide || wide)
      if (apart || !(bit(holder.kind) & against(kind)) || g.doneUs[holder.statement]! >= doneUs) continue
      endBefore(placed, holder.statement, statement)
    }
  }
}

/** The statement whose answer told that its locks were free. */
function endingOf(g: Gathered, statement: number): number {
  const released = g.releasedAt[statement]!
  return released >= 0 ? released : g.transactions.last[g.transaction[statement]!]!
}

/** The first that ended no earlier. */
function from(sorted: readonly { readonly atUs: number }[], atUs: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]!.atUs < atUs) low = middle + 1
    else high = middle
  }
  return low
}

/** What a transaction holds in a set until one moment: kinds of locks, as bits. */
type Holder = {
  readonly transaction: number
  readonly end: number
  any: number
  wide: number
  /** The first and the last statement that locked. */
  readonly first: number
  last: number
}

/**
 * Had changed something well before the other was through. Who is answered in one turn with it was woken by the same end, and had nothing
 * that the other could stand at.
 */
function stoodAt(g: Gathered, holder: Holder, statement: number): boolean {
  const heldUs = g.doneUs[holder.first]!
  const wasThere = heldUs < g.sentUs[statement]! || heldUs + ONE_TURN_US < g.doneUs[statement]!
  return wasThere && (holder.any & CHANGE) !== 0
}

/**
 * A pick takes what nobody holds. Who was served beside it, while the picker's transaction went on, had a row that was passed over: it was
 * first. Answers whether anything had to be said.
 */
export function passedOver(g: Gathered, placed: Placed, wide: WideSets): boolean {
  let said = false
  for (const held of wide) {
    inOrder(held, placed)
    let picks: number[] = []
    for (const { statement } of held) {
      picks = picks.filter((pick) => g.doneUs[pick]! > g.sentUs[statement]!)
      for (const pick of picks) {
        // Of two that pick, each may have passed over the other's: what the queue handed out has told.
        if (g.picks[statement] || g.transaction[pick] === g.transaction[statement]) continue
        if (placed.high(statement) >= placed.low(placed.endOf(pick))) continue
        if (placed.point[statement]! < placed.point[pick]! || !placed.canBe(statement, pick)) continue
        placed.before(statement, pick)
        said = true
      }
      if (g.picks[statement]) picks.push(statement)
    }
  }
  return said
}

type Looked = Held & { readonly wide: boolean }

export type WideSets = readonly Looked[][]

/** Locks in sets of which somebody locks rows without naming them. */
export function inWideSets(g: Gathered): WideSets {
  const found = new Map<number, Looked[]>()
  for (let i = 0; i < g.count; i += 1) {
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) {
      const locks = bit(g.opKind[op]!) & ANY && g.names.kinds[g.opSet[op]!] !== SET.advisory
      if (locks && (g.opMember[op] === WHOLE_SET || g.picks[i])) found.set(g.opSet[op]!, [])
    }
  }
  for (let i = 0; i < g.count; i += 1) {
    if (!served(g, i)) continue
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) {
      const kind = g.opKind[op]!
      if (bit(kind) & ANY) found.get(g.opSet[op]!)?.push({ statement: i, kind, wide: g.opMember[op] === WHOLE_SET })
    }
  }
  return [...found.values()]
}
