/**
 * First pass: from the recording to operations and evidence.
 *
 * One statement at a time, in the order of seq. The text says what may be touched (sql/touch), parameters say which rows, and
 * the outcome says the rest: which rows came back, which ids were drawn, which value a counter reached (./accesses.ts).
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Catalog, SequencePosition } from '../../segment/catalog.js'
import type { StatementFacts } from '../../segment/facts.js'
import type { Session } from '../../segment/statement.js'
import { CatalogIndex } from '../../sql/relations.js'
import { type Access, isWrite, TOUCHES_NOTHING, type Touch } from '../../sql/touch.js'
import { TouchReader } from '../../sql/touch-statement.js'
import { ENDED } from '../run/plan-shape.js'
import { Accesses, type Place } from './accesses.js'
import { Evidence } from './evidence/evidence.js'
import { type Gathered, REFUSAL } from './gathered.js'
import { Keys, textsOf } from './keys.js'
import { Names } from './names.js'
import { changesLocks, OP, type Op, OperationLog, WHOLE_SET } from './operations.js'
import {
  type OpenTransaction,
  type ServerSettings,
  type SessionState,
  sessionState,
  steer,
  TransactionLog,
} from './sessions.js'
import { Tables } from './tables.js'

export type GatherInput = {
  readonly count: number
  readonly sessions: readonly Session[]
  readonly facts: Iterable<StatementFacts>
  readonly catalog: Catalog
  readonly server: ServerSettings
}

export function gather(input: GatherInput): Gathered {
  return new Gatherer(input).run()
}

class Gatherer {
  readonly #input: GatherInput
  readonly #index: CatalogIndex
  readonly #names = new Names()
  readonly #log = new OperationLog()
  readonly #evidence: Evidence
  readonly #accesses: Accesses
  readonly #readers = new Map<string, TouchReader>()
  readonly #sessions = new Map<number, SessionState>()
  readonly #transactions = new TransactionLog()
  readonly #why = new Map<number, string>()
  readonly #reenacted: number[] = []
  readonly #of: ReturnType<typeof arrays>
  /** The statement being looked at: where its operations go. */
  #at = 0

  constructor(input: GatherInput) {
    this.#input = input
    this.#index = new CatalogIndex(input.catalog)
    this.#evidence = new Evidence(positionsIn(input.catalog))
    const tables = new Tables(this.#index, this.#names)
    this.#accesses = new Accesses(tables, new Keys(input.catalog), this.#names, this.#log, this.#evidence)
    this.#of = arrays(input.count)
    input.sessions.forEach((session, index) => {
      this.#sessions.set(session.session, sessionState(session, index, input.server))
    })
  }

  run(): Gathered {
    const headOf = new Int32Array(this.#sessions.size)
    let i = 0
    for (const facts of this.#input.facts) {
      const session = this.#sessions.get(facts.session)
      if (!session) throw sessionMissing(facts.session)
      if (facts.part === 0) headOf[session.index] = i
      this.#at = headOf[session.index]!
      this.#place(i, facts, session)
      this.#statement(i, facts, session)
      i += 1
    }
    for (const { transaction } of this.#sessions.values()) if (transaction) this.#transactions.close(transaction)
    return {
      ...this.#of,
      ...this.#log.sorted(i),
      count: i,
      sessionCount: this.#sessions.size,
      names: this.#names,
      transactions: this.#transactions.done(),
      reenacted: this.#reenacted,
      evidence: this.#evidence,
      why: this.#why,
    }
  }

  #place(i: number, facts: StatementFacts, session: SessionState): void {
    const of = this.#of
    const head = this.#at
    of.seq[i] = facts.seq
    of.session[i] = session.index
    of.ordinal[i] = facts.ordinal
    of.sentUs[i] = facts.sentUs
    of.doneUs[i] = facts.doneUs
    of.sentWith[i] = head
    of.lastOrdinal[i] = facts.ordinal
    of.lastOrdinal[head] = facts.ordinal
    of.doneUs[head] = facts.doneUs
  }

  #statement(i: number, facts: StatementFacts, session: SessionState): void {
    const { sqlstate } = facts
    const touch = facts.executes ? this.#touchOf(facts, session) : TOUCHES_NOTHING
    const transaction = this.#transactions.of(session, facts, this.#at)
    this.#of.transaction[i] = transaction.index
    steer(touch, session, transaction, facts)
    for (const held of transaction.held.after(this.#at, touch.control, sqlstate !== null))
      this.#of.releasedAt[held] = this.#at
    if (sqlstate !== null) {
      transaction.failed = true
      this.#of.refusal[this.#at] = refusalOf(sqlstate)
      const ended = ENDED.indexOf(sqlstate)
      if (ended >= 0 && facts.alone) {
        this.#of.refusal[this.#at] = REFUSAL.unserved
        this.#of.mayWait[this.#at] = 1
        this.#reenacted.push(i, ended)
        return
      }
    }
    if (touch.control?.kind === 'commit')
      for (const { kind, set, member } of transaction.owed) this.#log.add(this.#at, kind as Op, set, member)
    const execute = touch.control?.kind === 'execute' ? session.prepared.get(touch.control.name) : undefined
    this.#touches(execute ? withoutKeys(execute) : touch, facts, session, transaction)
  }

  #touchOf({ sql }: StatementFacts, session: SessionState): Touch {
    session.reader ??= this.#readerFor(session.path)
    return session.reader.touch(sql)
  }

  #readerFor(path: readonly string[] | null): TouchReader {
    const name = path === null ? '' : path.join('\u0001')
    let reader = this.#readers.get(name)
    if (!reader) {
      reader = new TouchReader(this.#index, path)
      this.#readers.set(name, reader)
    }
    return reader
  }

  #touches(touch: Touch, facts: StatementFacts, session: SessionState, transaction: OpenTransaction): void {
    const at = this.#at
    const of = this.#of
    const own = touch.strangers.filter((stranger) => !session.temporary.has(stranger.name))
    const onlyTemporary = touch.strangers.length > 0 && own.length === 0 && touch.accesses.length === 0
    if (touch.everything && !onlyTemporary && touch.control?.kind !== 'temporary') {
      of.barrier[at] = 1
      this.#why.set(at, touch.everything)
    }
    const acts = touch.accesses.length > 0 || own.length > 0 || TAKES_SNAPSHOT.test(facts.tag)
    if (acts && transaction.snapshot < 0) transaction.snapshot = at
    const later = transaction.isolation !== 'read committed' && transaction.snapshot !== at
    if (touch.looksAtTimes) of.looksAtTimes[at] = 1
    const readsOn = session.opened.seesAs(at, touch, facts)
    of.seesAs[at] = readsOn < 0 && later ? transaction.snapshot : readsOn
    if (touch.accesses.some(({ mode }) => mode !== 'read')) of.mayWait[at] = 1
    if (touch.accesses.some(({ observesLocks, rows }) => observesLocks && rows.length === 0)) of.picks[at] = 1
    const from = this.#log.length
    const place: Place = {
      at,
      later,
      facts,
      touch,
      sentUs: of.sentUs,
      doneUs: of.doneUs,
      stood: of.stood,
      missed: of.missed,
      inVain: of.inVain,
    }
    const isOwed = (access: Access) => access.atCommit && transaction.begun
    for (const access of touch.accesses) if (!isOwed(access)) this.#accesses.access(access, place)
    for (const { name, writes } of own)
      this.#accesses.add(writes ? OP.rekey : OP.read, this.#names.set('name', name), WHOLE_SET, place)
    if (facts.sqlstate === '55P03') this.#foundHeld(from)
    if (later) this.#seenAtSnapshot(from, transaction.snapshot)
    for (const sequence of touch.draws) this.#accesses.draw(sequence, place)
    if (touch.advisory.length > 0) this.#advisory(touch, facts)
    for (const relation of touch.timeDefaults) {
      // now() stands still from BEGIN on, so it is the start of the transaction that is ordered.
      const start = transaction.begun ? transaction.first : at
      this.#log.add(start, OP.turn, this.#names.set('start', relation), WHOLE_SET)
    }
    const plain = of.mayWait[at] === 0 && from < this.#log.length && touch.draws.length + touch.advisory.length === 0
    if (plain && facts.binds && this.#log.onlyReads(from)) of.snapshotAtBind[at] = 1
    for (const access of touch.accesses) if (isOwed(access)) this.#owe(access, place, transaction)
  }

  /** Kept for the COMMIT, with what its parameters are now. */
  #owe(access: Access, place: Place, transaction: OpenTransaction): void {
    const log = this.#log
    const from = log.length
    this.#accesses.access(access, { ...place, at: -1 })
    for (let op = from; op < log.length; op += 1)
      transaction.owed.push({ kind: log.kind(op), set: log.set(op), member: log.member(op) })
  }

  #advisory(touch: Touch, { parameters, rows }: StatementFacts): void {
    // pg_try_advisory_lock that answers no has looked only.
    const refused = touch.advisory.length === 1 && rows?.length === 1 && rows[0]!.length === 1 && rows[0]![0] === 'f'
    for (const { key, releases } of touch.advisory) {
      const texts = key?.map((value) => textsOf(value, parameters)?.[0] ?? null)
      const known = texts?.every((text) => text !== null) ? texts.join(',') : ''
      const set = this.#names.set('advisory', known)
      if (!refused || releases) this.#log.add(this.#at, releases ? OP.turn : OP.lock, set, WHOLE_SET)
      if (!releases) this.#log.add(this.#at, OP.observe, set, WHOLE_SET)
    }
  }

  /** lock_timeout ran out: like NOWAIT, it saw that somebody held what it wanted, and must see that again. */
  #foundHeld(from: number): void {
    const log = this.#log
    for (let op = from, end = log.length; op < end; op += 1)
      if (changesLocks(log.kind(op))) log.add(this.#at, OP.observe, log.set(op), WHOLE_SET)
  }

  /** REPEATABLE READ: what a later statement reads, it reads as of the transaction's first statement. */
  #seenAtSnapshot(from: number, snapshot: number): void {
    const log = this.#log
    for (let op = from, end = log.length; op < end; op += 1) {
      const kind = log.kind(op)
      if (kind === OP.turn || kind === OP.observe || kind === OP.insert) continue
      log.add(snapshot, OP.read, log.set(op), log.member(op))
    }
  }
}

/** Also where it reads no table: `SELECT 1`, `SELECT pg_advisory_xact_lock(7)`. */
const TAKES_SNAPSHOT = /^(SELECT|INSERT|UPDATE|DELETE|MERGE|COPY|DECLARE|EXPLAIN|CALL)/

const NEVER_SERVED = /^(08|26|34|42|25P02|40P01|57)/

function refusalOf(sqlstate: string): number {
  if (sqlstate === '40001') return REFUSAL.outrun
  if (sqlstate === '55P03') return REFUSAL.locked
  return NEVER_SERVED.test(sqlstate) ? REFUSAL.unserved : REFUSAL.none
}

function arrays(n: number) {
  return {
    seq: new Float64Array(n),
    session: new Int32Array(n),
    ordinal: new Int32Array(n),
    sentWith: new Int32Array(n),
    lastOrdinal: new Int32Array(n),
    sentUs: new Float64Array(n),
    doneUs: new Float64Array(n),
    transaction: new Int32Array(n),
    barrier: new Uint8Array(n),
    snapshotAtBind: new Uint8Array(n),
    refusal: new Uint8Array(n),
    mayWait: new Uint8Array(n),
    picks: new Uint8Array(n),
    stood: new Uint8Array(n),
    missed: new Uint8Array(n),
    inVain: new Uint8Array(n),
    releasedAt: new Int32Array(n).fill(-1),
    seesAs: new Int32Array(n).fill(-1),
    looksAtTimes: new Uint8Array(n),
  }
}

function positionsIn(catalog: Catalog): Map<number, SequencePosition> {
  return new Map(catalog.relations.flatMap(({ oid, position }) => (position ? [[oid, position] as const] : [])))
}

/** SQL-level EXECUTE: its arguments are not the text's parameters. */
function withoutKeys(touch: Touch): Touch {
  const accesses = touch.accesses.map((access) => ({
    ...access,
    rows: [],
    given: isWrite(access.mode) ? access.given.map((key) => ({ ...key, values: [] })) : [],
  }))
  return { ...touch, accesses, chains: [], advisory: touch.advisory.map((lock) => ({ ...lock, key: null })) }
}

function sessionMissing(session: number): HarnessError {
  return new HarnessError({
    code: 'SESSION_MISSING',
    message: 'this recording cannot be planned',
    detail: `it holds statements of session ${session}, but nothing about that session`,
    hint: 'Record again; if the recording is as the recorder left it, please report this.',
    exit: EXIT.invalid,
  })
}
