/**
 * Third pass: one forward scan over all events in the order of their points, with a small state per object, turns operations into
 * waits. Every wait leads from a later point to an earlier one, so a plan has no cycles.
 *
 * - *visible*: a reader is sent when the COMMITs it must see have completed;
 * - *anti*: a COMMIT is sent when the readers that must not see it have taken their snapshots;
 * - *lock*: a writer is sent when the conflicting writer before it has completed (not its COMMIT: the database's lock does that);
 * - *turn*: one after the other.
 */
import { Frontier } from './frontier.js'
import type { Gathered } from './gathered.js'
import { SET } from './names.js'
import { changesLocks, IntList, locksKey, OP, WHOLE_SET } from './operations.js'

export type Waits = {
  /** Waits of statement i: start[i] up to start[i + 1]. */
  readonly start: Uint32Array
  /** The statement waited for. */
  readonly on: Int32Array
  /** 0: its completion; 1: its snapshot. */
  readonly kind: Uint8Array
  /** The set that both touch; -1: one of them may touch everything. */
  readonly about: Int32Array
  /** Production ran a race here, and the recording does not say who won. Two replays do not differ. */
  readonly raced: Uint8Array
  /** Transactions whose clocks raced like that. */
  readonly racedClocks: ReadonlySet<number>
}

type SetState = {
  /** Commits of writes to any row, and of those to rows unknown. */
  readonly commits: Lazy
  readonly wideCommits: Lazy
  /** The same for commits that make or remove keys. */
  readonly keyCommits: Lazy
  readonly wideKeyCommits: Lazy
  readonly lockers: Lazy
  readonly wideLockers: Lazy
  readonly readers: Lazy
  readonly wideReaders: Lazy
  readonly sharers: Lazy
  readonly wideSharers: Lazy
  /** Those of the lockers whom who needs a key must wait for. */
  readonly keyLockers: Lazy
  readonly wideKeyLockers: Lazy
  /** Beginnings and ends of locks, and those who look at them; only kept when someone does. */
  readonly lockChanges: Lazy
  readonly observers: Lazy
  turn: number
}

type MemberState = {
  commit: number
  keyCommit: number
  locker: number
  keyLocker: number
  readers: number[]
  sharers: number[]
}

class Lazy {
  #frontier: Frontier | null = null
  readonly #sessionCount: number
  constructor(sessionCount: number) {
    this.#sessionCount = sessionCount
  }
  set(session: number, statement: number): void {
    this.#frontier ??= new Frontier(this.#sessionCount)
    this.#frontier.set(session, statement)
  }
  news(session: number, each: (statement: number) => void): void {
    this.#frontier?.news(session, each)
  }
}

const EVERYTHING = -1

export function scan(g: Gathered, events: Uint32Array): Waits {
  return new Scan(g).over(events)
}

class Scan {
  readonly #g: Gathered
  readonly #sets: SetState[] = []
  readonly #members: (MemberState | undefined)[]
  readonly #observed: Uint8Array
  /** What each transaction wrote and locked and has not ended yet: pairs of statement and operation. */
  readonly #pending = new Map<number, number[]>()
  /** seen[session]: per other session the ordinal it has waited for already (completion, snapshot). */
  readonly #completed: (Int32Array | undefined)[]
  readonly #snapshot: (Int32Array | undefined)[]
  readonly #lastOf: Int32Array
  readonly #raced: Uint8Array
  readonly #racedClocks = new Set<number>()
  readonly #waiter = new IntList()
  readonly #on = new IntList()
  readonly #kind = new IntList()
  readonly #about = new IntList()
  #barrier = -1
  #barrierTransactions = new Set<number>()

  constructor(g: Gathered) {
    this.#g = g
    this.#members = new Array(g.names.memberCount)
    this.#observed = new Uint8Array(g.names.setCount)
    this.#completed = new Array(g.sessionCount)
    this.#snapshot = new Array(g.sessionCount)
    this.#lastOf = new Int32Array(g.sessionCount).fill(-1)
    this.#raced = new Uint8Array(g.count)
    for (let op = 0; op < g.opKind.length; op += 1) if (g.opKind[op] === OP.observe) this.#observed[g.opSet[op]!] = 1
  }

  over(events: Uint32Array): Waits {
    for (const event of events) {
      if (event < this.#g.count) this.#statement(event)
      else this.#end(event - this.#g.count)
    }
    return this.#waits()
  }

  #statement(i: number): void {
    const g = this.#g
    const session = g.session[i]!
    if (this.#barrier >= 0) this.#waitCompleted(i, this.#barrier, EVERYTHING)
    if (g.barrier[i]) this.#everything(i)
    this.#letGo(i, session)
    // Look first, then leave traces: a statement does not meet itself.
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) this.#look(i, session, op)
    for (let op = g.opStart[i]!; op < g.opStart[i + 1]!; op += 1) this.#leave(i, session, op)
    const t = g.transaction[i]!
    const explicit = g.transactions.explicit[t] === 1
    const isLast = g.transactions.last[t] === i
    // A COMMIT takes effect at its end's own event: whatever comes between the two must not wait for it.
    if (!explicit || !isLast) this.#lastOf[session] = i
    if (!explicit && isLast) this.#end(t)
  }

  /** It fails, or goes back to a savepoint: locks of its transaction go with it. */
  #letGo(i: number, session: number): void {
    const operations = this.#pending.get(this.#g.transaction[i]!) ?? []
    for (let at = 0; at < operations.length; at += 2)
      if (this.#g.releasedAt[operations[at]!] === i) this.#unlock(i, session, operations[at + 1]!)
  }

  #look(i: number, session: number, op: number): void {
    const g = this.#g
    const [kind, set, member] = [g.opKind[op]!, this.#set(g.opSet[op]!), this.#member(g.opMember[op]!)]
    const about = g.opSet[op]!
    const wait = (on: number) => this.#waitCompleted(i, on, about)
    const see = (on: number) => this.#see(i, on, about)
    switch (kind) {
      case OP.read:
        if (member) {
          set.wideCommits.news(session, see)
          see(member.commit)
        } else set.commits.news(session, see)
        break
      case OP.share:
        if (member) {
          set.wideKeyCommits.news(session, see)
          set.wideKeyLockers.news(session, wait)
          see(member.keyCommit)
          wait(member.keyLocker)
        } else {
          set.keyCommits.news(session, see)
          set.keyLockers.news(session, wait)
        }
        break
      case OP.write:
      case OP.rekey:
      case OP.lock:
      case OP.hold:
        if (locksKey(kind)) this.#afterSharers(set, member, session, wait)
        if (member) {
          set.wideCommits.news(session, see)
          set.wideLockers.news(session, wait)
          see(member.commit)
          wait(member.locker)
        } else {
          set.commits.news(session, see)
          set.lockers.news(session, wait)
        }
        break
      case OP.observe:
        set.lockChanges.news(session, (on) => this.#looks(i, i, on, about))
        set.observers.news(session, wait)
        break
      case OP.turn:
        wait(set.turn)
        // Two transactions that began side by side: whose clock reads earlier is not recorded.
        if (this.#isClock(op) && this.#overlap(i, set.turn)) this.#racedClocks.add(g.transaction[i]!)
        break
      default: // OP.insert looks at nothing.
    }
    if (this.#observed[g.opSet[op]!] && changesLocks(kind))
      set.observers.news(session, (on) => this.#looks(on, i, on, about))
  }

  #leave(i: number, session: number, op: number): void {
    const g = this.#g
    const [kind, set, member] = [g.opKind[op]!, this.#set(g.opSet[op]!), this.#member(g.opMember[op]!)]
    switch (kind) {
      case OP.read:
        set.readers.set(session, i)
        if (member) this.#addTo(member.readers, i)
        else set.wideReaders.set(session, i)
        break
      case OP.share:
        set.sharers.set(session, i)
        if (member) this.#addTo(member.sharers, i)
        else set.wideSharers.set(session, i)
        if (this.#observed[g.opSet[op]!]) this.#pend(i, op)
        break
      case OP.write:
      case OP.rekey:
      case OP.lock:
      case OP.hold:
        set.lockers.set(session, i)
        if (member) member.locker = i
        else set.wideLockers.set(session, i)
        if (locksKey(kind)) {
          set.keyLockers.set(session, i)
          if (member) member.keyLocker = i
          else set.wideKeyLockers.set(session, i)
        }
        this.#pend(i, op)
        break
      case OP.insert:
        this.#pend(i, op)
        break
      case OP.observe:
        set.observers.set(session, i)
        break
      case OP.turn:
        set.turn = i
        break
      default:
    }
    if (this.#observed[g.opSet[op]!] && changesLocks(kind)) set.lockChanges.set(session, i)
  }

  /** Whoever needs a key keeps others from removing it, or from locking the row for themselves. */
  #afterSharers(set: SetState, member: MemberState | null, session: number, wait: (on: number) => void): void {
    if (member) {
      for (const sharer of member.sharers) wait(sharer)
      set.wideSharers.news(session, wait)
    } else set.sharers.news(session, wait)
  }

  /** A transaction ends: its writes become visible, its locks free. */
  #end(t: number): void {
    const g = this.#g
    const end = g.transactions.last[t]!
    const explicit = g.transactions.explicit[t] === 1
    const session = g.session[end]!
    if (explicit && this.#barrier >= 0) this.#waitCompleted(end, this.#barrier, EVERYTHING)
    const operations = this.#pending.get(t)
    if (operations) {
      // A failure of production's may not be one of the replay's: what it would have left counts.
      const committed = g.transactions.mayCommit[t] === 1
      this.#pending.delete(t)
      for (let at = 0; at < operations.length; at += 2) {
        const op = operations[at + 1]!
        if (g.releasedAt[operations[at]!]! < 0) this.#unlock(end, session, op)
        this.#release(end, session, op, committed)
      }
    }
    if (this.#barrierTransactions.delete(t) && explicit) this.#everything(end)
    this.#lastOf[session] = end
  }

  /** Whoever looked at the lock while it was held has looked. */
  #unlock(by: number, session: number, op: number): void {
    const about = this.#g.opSet[op]!
    if (!this.#observed[about] || !changesLocks(this.#g.opKind[op]!)) return
    const set = this.#set(about)
    set.observers.news(session, (on) => this.#looks(on, by, on, about))
    set.lockChanges.set(session, by)
  }

  #release(end: number, session: number, op: number, committed: boolean): void {
    const g = this.#g
    const [kind, set, member] = [g.opKind[op]!, this.#set(g.opSet[op]!), this.#member(g.opMember[op]!)]
    const about = g.opSet[op]!
    if (!committed || kind === OP.lock || kind === OP.hold || kind === OP.share) return
    const anti = (reader: number) => this.#waitSnapshot(end, reader, about)
    const keys = kind !== OP.write
    if (member) {
      for (const reader of member.readers) anti(reader)
      // Who commits later comes after this one too, also when one of the two found no row to lock.
      member.readers = [end]
      set.wideReaders.news(session, anti)
      if (keys) {
        for (const sharer of member.sharers) anti(sharer)
        member.sharers = []
        set.wideSharers.news(session, anti)
        member.keyCommit = end
      }
      member.commit = end
    } else {
      set.readers.news(session, anti)
      set.wideCommits.set(session, end)
      if (keys) {
        set.sharers.news(session, anti)
        set.wideKeyCommits.set(session, end)
      }
    }
    set.commits.set(session, end)
    if (keys) set.keyCommits.set(session, end)
  }

  /** Waits for all that was sent before; all that is sent later waits for it. */
  #everything(i: number): void {
    for (const last of this.#lastOf) if (last >= 0) this.#waitCompleted(i, last, EVERYTHING)
    this.#barrier = i
    this.#barrierTransactions.add(this.#g.transaction[i]!)
  }

  #pend(i: number, op: number): void {
    const t = this.#g.transaction[i]!
    const operations = this.#pending.get(t)
    if (operations) operations.push(i, op)
    else this.#pending.set(t, [i, op])
  }

  #see(reader: number, commit: number, about: number): void {
    if (commit < 0) return
    this.#waitCompleted(reader, commit, about)
    if (this.#g.doneUs[commit]! > this.#g.sentUs[reader]! && this.#isOther(reader, commit)) this.#raced[reader] = 1
  }

  /**
   * Whether a lock is held is a race when it is taken or let go of meanwhile. Who changed nothing after all holds the row only if it
   * had to stand for it, and the recording does not say.
   */
  #looks(observer: number, waiter: number, on: number, about: number): void {
    this.#waitCompleted(waiter, on, about)
    const change = observer === waiter ? on : waiter
    if (this.#overlap(waiter, on) || this.#g.missed[change] || this.#g.stood[change]) this.#raced[observer] = 1
  }

  #waitCompleted(waiter: number, on: number, about: number): void {
    if (on < 0 || !this.#isOther(waiter, on)) return
    const seen = this.#seen(this.#completed, this.#g.session[waiter]!)
    const [other, ordinal] = [this.#g.session[on]!, this.#g.lastOrdinal[on]!]
    if (seen[other]! >= ordinal) return
    seen[other] = ordinal
    this.#push(waiter, on, 0, about)
  }

  #waitSnapshot(waiter: number, on: number, about: number): void {
    if (on < 0 || !this.#isOther(waiter, on)) return
    const g = this.#g
    if (g.sentUs[waiter]! < g.doneUs[on]!) this.#raced[on] = 1
    if (!g.snapshotAtBind[on]) {
      this.#waitCompleted(waiter, on, about)
      return
    }
    const session = g.session[waiter]!
    const [other, ordinal] = [g.session[on]!, g.lastOrdinal[on]!]
    if (this.#seen(this.#completed, session)[other]! >= ordinal) return
    const seen = this.#seen(this.#snapshot, session)
    if (seen[other]! >= ordinal) return
    seen[other] = ordinal
    this.#push(waiter, on, 1, about)
  }

  #push(waiter: number, on: number, kind: number, about: number): void {
    this.#about.push(about)
    this.#waiter.push(this.#g.sentWith[waiter]!)
    this.#on.push(on)
    this.#kind.push(kind)
  }

  /** One entry per session is enough: a session's later reader is sent after its earlier one. */
  #addTo(readers: number[], i: number): void {
    const session = this.#g.session[i]!
    const at = readers.findIndex((reader) => this.#g.session[reader] === session)
    if (at >= 0) readers[at] = i
    else readers.push(i)
  }

  #isClock(op: number): boolean {
    return this.#g.names.kinds[this.#g.opSet[op]!] === SET.start
  }

  #overlap(i: number, other: number): boolean {
    const g = this.#g
    return other >= 0 && this.#isOther(i, other) && g.doneUs[other]! > g.sentUs[i]! && g.sentUs[other]! < g.doneUs[i]!
  }

  #isOther(a: number, b: number): boolean {
    return this.#g.session[a] !== this.#g.session[b]
  }

  #seen(of: (Int32Array | undefined)[], session: number): Int32Array {
    let seen = of[session]
    if (!seen) {
      seen = new Int32Array(this.#g.sessionCount)
      of[session] = seen
    }
    return seen
  }

  #set(id: number): SetState {
    let state = this.#sets[id]
    if (!state) {
      const lazy = () => new Lazy(this.#g.sessionCount)
      state = {
        commits: lazy(),
        wideCommits: lazy(),
        keyCommits: lazy(),
        wideKeyCommits: lazy(),
        lockers: lazy(),
        wideLockers: lazy(),
        readers: lazy(),
        wideReaders: lazy(),
        sharers: lazy(),
        wideSharers: lazy(),
        keyLockers: lazy(),
        wideKeyLockers: lazy(),
        lockChanges: lazy(),
        observers: lazy(),
        turn: -1,
      }
      this.#sets[id] = state
    }
    return state
  }

  #member(id: number): MemberState | null {
    if (id === WHOLE_SET) return null
    let state = this.#members[id]
    if (!state) {
      state = { commit: -1, keyCommit: -1, locker: -1, keyLocker: -1, readers: [], sharers: [] }
      this.#members[id] = state
    }
    return state
  }

  #waits(): Waits {
    const n = this.#g.count
    const start = new Uint32Array(n + 1)
    for (let w = 0; w < this.#waiter.length; w += 1) start[this.#waiter.at(w) + 1]! += 1
    for (let i = 0; i < n; i += 1) start[i + 1]! += start[i]!
    const next = start.slice()
    const on = new Int32Array(this.#waiter.length)
    const kind = new Uint8Array(this.#waiter.length)
    const about = new Int32Array(this.#waiter.length)
    for (let w = 0; w < this.#waiter.length; w += 1) {
      const to = next[this.#waiter.at(w)]!
      next[this.#waiter.at(w)] = to + 1
      on[to] = this.#on.at(w)
      kind[to] = this.#kind.at(w)
      about[to] = this.#about.at(w)
    }
    return { start, on, kind, about, raced: this.#raced, racedClocks: this.#racedClocks }
  }
}
