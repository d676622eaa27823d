/**
 * First pass: from the recording to operations and evidence.
 *
 * One statement at a time, in the order of seq. The text says what may be touched (sql/touch), parameters say which rows, and
 * the outcome says the rest: which rows came back, which ids were drawn, which value a counter reached.
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Catalog, Relation } from '../../segment/catalog.js'
import type { Session, Statement } from '../../segment/statement.js'
import { asIsolation } from '../../sql/control.js'
import { CatalogIndex } from '../../sql/relations.js'
import { type Access, type Isolation, identityOf, isWrite, TOUCHES_NOTHING, type Touch } from '../../sql/touch.js'
import { TouchReader } from '../../sql/touch-statement.js'
import { type Draw, type Gathered, type Pick, REFUSAL, type Step, type TransactionEnds } from './gathered.js'
import { Keys, textsOf } from './keys.js'
import { IntList, Names, OP, type Op, WHOLE_SET } from './operations.js'

export type GatherInput = {
  readonly count: number
  readonly sessions: readonly Session[]
  readonly statements: Iterable<Statement>
  readonly catalog: Catalog
  readonly settings: Readonly<Record<string, string>>
}

/** What a session carries from one statement to the next. */
type SessionState = {
  readonly index: number
  readonly prepared: Map<string, Touch>
  readonly temporary: Set<string>
  readonly ownPath: readonly string[] | null
  path: readonly string[] | null
  isolation: Isolation
}

type Transaction = {
  readonly first: number
  last: number
  begun: boolean
  ended: 'commit' | 'rollback' | null
  failed: boolean
  isolation: Isolation
  /** First statement that takes a snapshot, for isolation levels that keep it. */
  snapshot: number
}

/** Errors of parsing, binding and privileges: no row was made, so no value was drawn. Constraint errors come after the draw. */
const REFUSED_BEFORE_DRAWING = /^(08|0A|26|34|42|22P0)/

export function gather(input: GatherInput): Gathered {
  return new Gatherer(input).run()
}

class Gatherer {
  readonly #input: GatherInput
  readonly #index: CatalogIndex
  readonly #keys: Keys
  readonly #names = new Names()
  readonly #readers = new Map<string, TouchReader>()
  readonly #sessions = new Map<number, SessionState>()
  readonly #transactions: Transaction[] = []
  readonly #byNumber = new Map<number, number>()
  readonly #draws = new Map<number, Draw[]>()
  readonly #picks = new Map<number, Pick[]>()
  readonly #steps = new Map<number, Step[]>()
  readonly #why = new Map<number, string>()

  readonly #session: Int32Array
  readonly #ordinal: Int32Array
  readonly #sentWith: Int32Array
  readonly #lastOrdinal: Int32Array
  readonly #sentUs: Float64Array
  readonly #doneUs: Float64Array
  readonly #transaction: Int32Array
  readonly #barrier: Uint8Array
  readonly #snapshotAtBind: Uint8Array
  readonly #refusal: Uint8Array
  readonly #mayWait: Uint8Array
  readonly #opStatement = new IntList()
  readonly #opKind = new IntList()
  readonly #opSet = new IntList()
  readonly #opMember = new IntList()

  /** The statement being looked at: where its operations go. */
  #at = 0
  #sees = true

  constructor(input: GatherInput) {
    this.#input = input
    this.#index = new CatalogIndex(input.catalog)
    this.#keys = new Keys(input.catalog)
    const n = input.count
    this.#session = new Int32Array(n)
    this.#ordinal = new Int32Array(n)
    this.#sentWith = new Int32Array(n)
    this.#lastOrdinal = new Int32Array(n)
    this.#sentUs = new Float64Array(n)
    this.#doneUs = new Float64Array(n)
    this.#transaction = new Int32Array(n)
    this.#barrier = new Uint8Array(n)
    this.#snapshotAtBind = new Uint8Array(n)
    this.#refusal = new Uint8Array(n)
    this.#mayWait = new Uint8Array(n)
    const standard = asIsolation(input.settings.default_transaction_isolation ?? '') ?? 'read committed'
    input.sessions.forEach((session, index) => {
      const own =
        session.parameters.search_path?.split(',').map((part) => part.trim().replace(/^"(.*)"$/, '$1')) ?? null
      this.#sessions.set(session.session, {
        index,
        prepared: new Map(),
        temporary: new Set(),
        ownPath: own,
        path: own,
        isolation: asIsolation(session.parameters.default_transaction_isolation ?? '') ?? standard,
      })
    })
  }

  run(): Gathered {
    const headOf = new Int32Array(this.#sessions.size)
    let i = 0
    for (const statement of this.#input.statements) {
      const session = this.#sessions.get(statement.session)
      if (!session) throw sessionMissing(statement.session)
      this.#session[i] = session.index
      this.#ordinal[i] = statement.ordinal
      this.#sentUs[i] = statement.sentUs
      this.#doneUs[i] = statement.doneUs
      if (statement.part === 0) headOf[session.index] = i
      const head = headOf[session.index]!
      this.#sentWith[i] = head
      this.#lastOrdinal[i] = statement.ordinal
      this.#lastOrdinal[head] = statement.ordinal
      this.#doneUs[head] = statement.doneUs
      this.#at = head
      this.#statement(i, statement, session)
      i += 1
    }
    return {
      ...this.#arrays(i),
      names: this.#names,
      transactions: this.#ends(),
      evidence: this.#evidence(),
      why: this.#why,
    }
  }

  #statement(i: number, statement: Statement, session: SessionState): void {
    const failed = statement.outcome.error
    const touch = executes(statement) ? this.#touchOf(statement, session) : TOUCHES_NOTHING
    const transaction = this.#inTransaction(i, statement, session)
    this.#control(touch, transaction, session, statement)
    if (failed) transaction.failed = true
    if (failed?.sqlstate === '40001') this.#refusal[this.#at] = REFUSAL.outrun
    if (failed?.sqlstate === '55P03') this.#refusal[this.#at] = REFUSAL.locked
    if (failed?.sqlstate === '25P02') return // Refused because the transaction had failed before: it touched nothing.
    const execute = touch.control?.kind === 'execute' ? session.prepared.get(touch.control.name) : undefined
    this.#touches(execute ? withoutKeys(execute) : touch, statement, session, transaction)
  }

  #touchOf(statement: Statement, session: SessionState): Touch {
    const path = session.path
    const name = path === null ? '' : path.join('\u0001')
    let reader = this.#readers.get(name)
    if (!reader) {
      reader = new TouchReader(this.#index, path)
      this.#readers.set(name, reader)
    }
    return reader.touch(statement.sql)
  }

  #inTransaction(i: number, statement: Statement, session: SessionState): Transaction {
    let index = this.#byNumber.get(statement.transaction)
    if (index === undefined) {
      index = this.#transactions.length
      this.#byNumber.set(statement.transaction, index)
      this.#transactions.push({
        first: this.#at,
        last: this.#at,
        begun: false,
        ended: null,
        failed: false,
        isolation: session.isolation,
        snapshot: -1,
      })
    }
    this.#transaction[i] = index
    const transaction = this.#transactions[index]!
    transaction.last = this.#at
    return transaction
  }

  #control(touch: Touch, transaction: Transaction, session: SessionState, statement: Statement): void {
    const control = touch.control
    if (!control || statement.outcome.error) return
    switch (control.kind) {
      case 'begin':
        transaction.begun = true
        if (control.isolation) transaction.isolation = control.isolation
        break
      case 'isolation':
        if (control.scope === 'session') session.isolation = control.isolation
        else transaction.isolation = control.isolation
        break
      case 'commit':
        // COMMIT of a failed transaction answers ROLLBACK.
        transaction.ended = statement.outcome.tag === 'ROLLBACK' ? 'rollback' : 'commit'
        break
      case 'rollback':
        transaction.ended = 'rollback'
        break
      case 'prepare':
        session.prepared.set(control.name, control.touch)
        break
      case 'temporary':
        for (const name of control.names) session.temporary.add(name)
        break
      case 'search path':
        session.path = control.path ?? session.ownPath
        break
      default:
        break
    }
  }

  #touches(touch: Touch, statement: Statement, session: SessionState, transaction: Transaction): void {
    const at = this.#at
    const keepsSnapshot = transaction.isolation !== 'read committed'
    const own = touch.strangers.filter((stranger) => !session.temporary.has(stranger.name))
    const onlyTemporary = touch.strangers.length > 0 && own.length === 0 && touch.accesses.length === 0
    if (touch.everything && !onlyTemporary && touch.control?.kind !== 'temporary') {
      this.#barrier[at] = 1
      this.#why.set(at, touch.everything)
    }
    const acts = touch.accesses.length > 0 || own.length > 0
    if (acts && transaction.snapshot < 0) transaction.snapshot = at
    const later = keepsSnapshot && transaction.snapshot !== at
    this.#sees = !later
    if (touch.accesses.some(({ mode }) => mode !== 'read')) this.#mayWait[at] = 1
    const from = this.#opKind.length
    for (const access of touch.accesses) this.#access(access, touch, statement)
    for (const stranger of own) {
      const set = this.#names.set(`name ${stranger.name}`)
      this.#add(stranger.writes ? OP.rekey : OP.read, set, WHOLE_SET)
    }
    if (later) this.#seenAtSnapshot(from, transaction.snapshot)
    this.#sees = true
    for (const sequence of touch.draws) this.#draw(sequence, touch, statement)
    for (const { key, releases } of touch.advisory) {
      const texts = key?.map((value) => textsOf(value, statement.parameters)?.[0] ?? null)
      const known = texts?.every((text) => text !== null) ? texts.join(',') : null
      const set = this.#names.set(known === null ? 'advisory lock' : `advisory lock ${known}`)
      this.#add(releases ? OP.turn : OP.lock, set, WHOLE_SET)
      if (!releases) this.#add(OP.observe, set, WHOLE_SET)
    }
    for (const relation of touch.timeDefaults) {
      // now() stands still from BEGIN on, so it is the start of the transaction that is ordered.
      const start = transaction.begun ? transaction.first : at
      this.#addTo(start, OP.turn, this.#names.set(`start ${relation}`), WHOLE_SET)
    }
    const plain =
      !this.#mayWait[at] && from < this.#opKind.length && touch.draws.length === 0 && touch.advisory.length === 0
    if (plain && this.#onlyReads(from) && statement.frames.some(([kind]) => kind === 'B')) this.#snapshotAtBind[at] = 1
  }

  /** REPEATABLE READ: what a later statement reads, it reads as of the transaction's first statement. */
  #seenAtSnapshot(from: number, snapshot: number): void {
    for (let op = from, end = this.#opKind.length; op < end; op += 1) {
      const kind = this.#opKind.at(op)
      if (kind === OP.turn || kind === OP.observe || kind === OP.insert) continue
      this.#addTo(snapshot, OP.read, this.#opSet.at(op), this.#opMember.at(op))
    }
  }

  #access(access: Access, touch: Touch, statement: Statement): void {
    const relation = this.#index.byOid(access.relation)
    if (!relation) return
    const set = this.#names.set(`table ${relation.oid}`)
    const rows = this.#rows(access, relation, statement)
    switch (access.mode) {
      case 'read':
        this.#members(OP.read, set, rows)
        break
      case 'key-share':
        this.#members(OP.share, set, rows)
        break
      case 'lock':
        this.#members(OP.lock, set, rows)
        if (access.observesLocks) this.#observe(access, set, relation, statement)
        break
      case 'insert':
        this.#insert(access, set, relation, statement)
        break
      default: {
        const kind = access.mode === 'update' ? OP.write : OP.rekey
        if (rows === null) this.#add(OP.read, set, WHOLE_SET)
        const changed = rows ?? this.#written(relation, statement)
        this.#members(kind, set, changed)
        if (changed === null || changed.length > 0) this.#given(access, relation, statement)
        this.#step(touch, relation, changed, set, statement)
      }
    }
  }

  /** Which rows, by their identity; null: any. */
  #rows(access: Access, relation: Relation, statement: Statement): readonly string[] | null {
    const identity = identityOf(relation)
    const byIdentity = access.rows.find((key) => key.unique === identity)
    if (byIdentity) {
      const tuples = this.#keys.tuples(relation, byIdentity, statement.parameters)
      if (tuples) return tuples
    }
    const byKey = access.rows.find((key) => key.unique !== identity)
    if (!byKey || identity < 0) return access.mode === 'lock' ? this.#returned(relation, statement) : null
    const tuples = this.#keys.tuples(relation, byKey, statement.parameters)
    if (!tuples) return null
    const slots = this.#names.set(`key ${relation.oid} ${byKey.unique}`)
    if (access.mode === 'key-share') {
      this.#members(OP.share, slots, tuples)
      return []
    }
    // One key is one row. A row that did not come back may still be there and be kept out by another condition, so then it is any row.
    const found = this.#returned(relation, statement)
    if (!found || new Set(found).size !== new Set(tuples).size) return null
    this.#members(OP.read, slots, tuples)
    return found
  }

  /** Rows that the answer names by their identity. */
  #returned(relation: Relation, statement: Statement): readonly string[] | null {
    const { columns, rows, rowsCut, rowCount, error } = statement.outcome
    if (error || !columns || !rows || rowsCut || rows.length < rowCount) return null
    return this.#keys.returned(relation, identityOf(relation), columns, rows)
  }

  /** Rows that an UPDATE or DELETE changed. */
  #written(relation: Relation, statement: Statement): readonly string[] | null {
    const { tag, error, columns } = statement.outcome
    if (!/^(UPDATE|DELETE|INSERT|MERGE)/.test(tag)) return null
    if (!error && columns === null && / 0$/.test(tag)) return []
    return this.#returned(relation, statement)
  }

  #insert(access: Access, set: number, relation: Relation, statement: Statement): void {
    const identity = identityOf(relation)
    const given = access.given.find((key) => key.unique === identity)
    const isFresh = given?.values.some((values) => values.some((value) => value.kind === 'fresh')) ?? false
    const named = given && !isFresh ? this.#keys.tuples(relation, given, statement.parameters) : null
    const rows = named ?? (identity >= 0 ? this.#written(relation, statement) : null)
    if (rows) this.#members(OP.rekey, set, rows)
    else this.#add(given && !isFresh ? OP.rekey : OP.insert, set, WHOLE_SET)
    this.#given(access, relation, statement)
  }

  /** Values of other unique keys that rows get or leave. */
  #given(access: Access, relation: Relation, statement: Statement): void {
    const identity = identityOf(relation)
    for (const key of access.given) {
      if (key.unique === identity && access.mode !== 'rekey') continue
      if (key.values.some((values) => values.some((value) => value.kind === 'fresh'))) continue
      const set =
        key.unique === identity
          ? this.#names.set(`table ${relation.oid}`)
          : this.#names.set(`key ${relation.oid} ${key.unique}`)
      this.#members(OP.rekey, set, this.#keys.tuples(relation, key, statement.parameters))
    }
  }

  #observe(access: Access, set: number, relation: Relation, statement: Statement): void {
    this.#add(OP.observe, set, WHOLE_SET)
    const { columns, rows } = statement.outcome
    const at = columns?.findIndex((column) => column.name === access.pick?.column) ?? -1
    const cell = at < 0 || rows?.length !== 1 ? null : (rows[0]![at] ?? null)
    if (!access.pick || cell === null) return
    const type = relation.columns.find((column) => column.name === access.pick?.column)?.typeOid
    const place = type !== undefined && [20, 21, 23].includes(type) ? Number(cell) : cell
    list(this.#picks, set).push({ statement: this.#at, place, descending: access.pick.descending })
  }

  #draw(sequence: number, touch: Touch, statement: Statement): void {
    if (statement.outcome.error && REFUSED_BEFORE_DRAWING.test(statement.outcome.error.sqlstate)) return
    this.#add(OP.turn, this.#names.set(`sequence ${sequence}`), WHOLE_SET)
    const { columns, rows, error, tag } = statement.outcome
    let value: number | null = null
    if (!error && columns && rows && rows.length > 0) {
      const at = columns.findIndex((column) => {
        const owner = this.#index.byOid(column.tableOid)
        return owner?.columns.find((candidate) => candidate.attnum === column.attnum)?.sequenceOid === sequence
      })
      const alone = touch.draws.length === 1 && tag.startsWith('SELECT') && columns.length === 1
      const position = at >= 0 ? at : alone ? 0 : -1
      const cells = position < 0 ? [] : rows.map((row) => Number(row[position] ?? Number.NaN))
      if (cells.length > 0 && cells.every((cell) => Number.isSafeInteger(cell))) value = Math.min(...cells)
    }
    const count = /^INSERT 0 (\d+)$/.exec(tag)?.[1]
    list(this.#draws, sequence).push({ statement: this.#at, value, count: Math.max(1, Number(count ?? 1)) })
  }

  #step(touch: Touch, relation: Relation, rows: readonly string[] | null, set: number, statement: Statement): void {
    const chain = touch.chains.find((candidate) => candidate.relation === relation.oid)
    const { columns, rows: returned } = statement.outcome
    if (!chain || rows?.length !== 1 || returned?.length !== 1 || !columns) return
    const at = columns.findIndex((column) => column.name === chain.column)
    const after = Number(returned[0]![at] ?? Number.NaN)
    const delta = Number(textsOf(chain.delta, statement.parameters)?.[0] ?? Number.NaN)
    if (at < 0 || !Number.isFinite(after) || !Number.isFinite(delta)) return
    const before = chain.negative ? after + delta : after - delta
    list(this.#steps, this.#names.member(set, rows[0]!)).push({ statement: this.#at, before, after })
  }

  #members(kind: Op, set: number, keys: readonly string[] | null): void {
    if (keys === null) this.#add(kind, set, WHOLE_SET)
    else for (const key of keys) this.#add(kind, set, this.#names.member(set, key))
  }

  #add(kind: Op, set: number, member: number): void {
    if (!this.#sees && (kind === OP.read || kind === OP.share)) {
      // Kept for #seenAtSnapshot, which moves it to the statement that took the snapshot.
      this.#addTo(-1, kind, set, member)
      return
    }
    this.#addTo(this.#at, kind, set, member)
  }

  #addTo(statement: number, kind: Op, set: number, member: number): void {
    this.#opStatement.push(statement)
    this.#opKind.push(kind)
    this.#opSet.push(set)
    this.#opMember.push(member)
  }

  #onlyReads(from: number): boolean {
    for (let op = from; op < this.#opKind.length; op += 1) if (this.#opKind.at(op) !== OP.read) return false
    return true
  }

  /** Operations sorted by statement (they come nearly sorted: a counting sort keeps their order). */
  #arrays(count: number) {
    const opStart = new Uint32Array(count + 1)
    for (let op = 0; op < this.#opStatement.length; op += 1) {
      const statement = this.#opStatement.at(op)
      if (statement >= 0) opStart[statement + 1]! += 1
    }
    for (let i = 0; i < count; i += 1) opStart[i + 1]! += opStart[i]!
    const next = opStart.slice()
    const total = opStart[count]!
    const [opKind, opSet, opMember] = [new Int32Array(total), new Int32Array(total), new Int32Array(total)]
    for (let op = 0; op < this.#opStatement.length; op += 1) {
      const statement = this.#opStatement.at(op)
      if (statement < 0) continue
      const to = next[statement]!
      next[statement] = to + 1
      opKind[to] = this.#opKind.at(op)
      opSet[to] = this.#opSet.at(op)
      opMember[to] = this.#opMember.at(op)
    }
    return {
      count,
      sessionCount: this.#sessions.size,
      session: this.#session,
      ordinal: this.#ordinal,
      sentWith: this.#sentWith,
      lastOrdinal: this.#lastOrdinal,
      sentUs: this.#sentUs,
      doneUs: this.#doneUs,
      transaction: this.#transaction,
      opStart,
      opKind,
      opSet,
      opMember,
      barrier: this.#barrier,
      snapshotAtBind: this.#snapshotAtBind,
      refusal: this.#refusal,
      mayWait: this.#mayWait,
    }
  }

  #ends(): TransactionEnds[] {
    return this.#transactions.map(({ first, last, begun, ended, failed, isolation, snapshot }) => {
      const explicit = begun || ended !== null
      const committed = explicit ? ended === 'commit' : !failed
      return { first, last, explicit, committed, snapshot: isolation === 'read committed' ? -1 : snapshot }
    })
  }

  #evidence() {
    return { draws: this.#draws, picks: this.#picks, steps: this.#steps }
  }
}

/** Only a query or an Execute executes; preparing and describing touch nothing. */
function executes(statement: Statement): boolean {
  return statement.part > 0 || statement.frames.some(([kind]) => kind === 'Q' || kind === 'E')
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

function list<K, V>(map: Map<K, V[]>, key: K): V[] {
  let found = map.get(key)
  if (!found) {
    found = []
    map.set(key, found)
  }
  return found
}
