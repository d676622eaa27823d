/**
 * One access of one execution, as operations: which rows, by their identity or by another key, and what the answer says beyond the
 * text. On the way, what the answer says about who came first is noted as evidence.
 */
import type { StatementFacts } from '../../segment/facts.js'
import type { Access, Touch } from '../../sql/touch.js'
import type { Evidence } from './evidence/evidence.js'
import { type Keys, textsOf } from './keys.js'
import type { Names } from './names.js'
import { OP, type Op, type OperationLog, WHOLE_SET } from './operations.js'
import type { Table, Tables } from './tables.js'

/** The statement being looked at. */
export type Place = {
  /** -1: a later statement does it, and here is only said what. */
  readonly at: number
  /** A later statement of a transaction that keeps its first snapshot: what it reads, it reads as of then. */
  readonly later: boolean
  readonly facts: StatementFacts
  readonly touch: Touch
  readonly sentUs: Float64Array
  readonly doneUs: Float64Array
  readonly stood: Uint8Array
  readonly missed: Uint8Array
  readonly inVain: Uint8Array
}

/** Who found nothing to change and took longer than this was kept by a lock, not by work or by the road. */
const STOOD_US = 5000

/** Errors of parsing, binding and privileges: no row was made, so no value was drawn. Constraint errors come after the draw. */
const REFUSED_BEFORE_DRAWING = /^(08|0A|26|34|42|22P0)/

export class Accesses {
  readonly #tables: Tables
  readonly #keys: Keys
  readonly #names: Names
  readonly #log: OperationLog
  readonly #evidence: Evidence

  constructor(tables: Tables, keys: Keys, names: Names, log: OperationLog, evidence: Evidence) {
    this.#tables = tables
    this.#keys = keys
    this.#names = names
    this.#log = log
    this.#evidence = evidence
  }

  access(access: Access, place: Place): void {
    const table = this.#tables.get(access.relation)
    if (!table) return
    switch (access.mode) {
      case 'read':
        this.#read(access, table, place)
        break
      case 'key-share':
        this.#members(OP.share, table.set, this.#rows(access, table, place), place)
        break
      case 'hold':
      case 'lock':
        this.#lock(access, table, place)
        if (access.observesLocks) this.#observe(access, table, place)
        break
      case 'insert':
        this.#insert(access, table, place)
        break
      default:
        this.#change(access, table, place)
    }
  }

  draw(sequence: number, { at, facts, touch }: Place): void {
    if (facts.sqlstate !== null && REFUSED_BEFORE_DRAWING.test(facts.sqlstate)) return
    this.#log.add(at, OP.turn, this.#names.set('sequence', sequence), WHOLE_SET)
    if (facts.sqlstate === '25P02') return // It would draw where what failed before does not fail.
    const count = Math.max(1, insertedRows(facts.tag) ?? 1)
    this.#evidence.draws.note(sequence, { statement: at, value: this.#drawn(sequence, facts, touch), count })
  }

  add(kind: Op, set: number, member: number, { at, later }: Place): void {
    // What a kept snapshot sees stays in the log only until it is moved to the statement that took the snapshot.
    const moved = later && (kind === OP.read || kind === OP.share)
    this.#log.add(moved ? -1 : at, kind, set, member)
  }

  #lock(access: Access, table: Table, place: Place): void {
    const rows = this.#rows(access, table, place)
    this.#members(access.mode === 'lock' ? OP.lock : OP.hold, table.set, rows, place)
    this.#missed(access, table, rows, place)
  }

  /** None of the rows that it named was there. */
  #missed(access: Access, table: Table, rows: readonly string[] | null, place: Place): void {
    const { at, facts } = place
    const isOwn = access.answers || access.counted
    if (rows === null || at < 0 || !isOwn || facts.sqlstate !== null || !/^(SELECT|UPDATE|DELETE) 0$/.test(facts.tag))
      return
    place.missed[at] = 1
    for (const row of rows) this.#evidence.sightings.missed(this.#names.member(table.set, row), at)
  }

  #read(access: Access, table: Table, place: Place): void {
    const rows = this.#rows(access, table, place)
    this.#members(OP.read, table.set, rows, place)
    this.#missed(access, table, rows, place)
    if (!this.#evidence.sightings.fills(table.set)) return
    const { facts } = place
    const found = /^SELECT (\d+)$/.exec(facts.tag)
    // A condition on the whole key names the row that came back, also when its columns do not.
    const all = access.answers && rows !== null && found !== null && Number(found[1]) === rows.length ? rows : null
    this.#got(table, all ?? this.#keys.returned(table, facts), place)
  }

  #got(table: Table, rows: readonly string[] | null, place: Place): void {
    if (place.at < 0) return
    for (const row of rows ?? []) this.#evidence.sightings.got(this.#names.member(table.set, row), place.at, place)
  }

  #change(access: Access, table: Table, place: Place): void {
    const kind = access.mode === 'update' ? OP.write : OP.rekey
    const rows = this.#rows(access, table, place)
    // It also looks: a row that another transaction is about to make is not locked against it, it is not there.
    this.#members(OP.read, table.set, rows, place)
    const changed = rows ?? this.#written(access, table, place.facts)
    this.#members(kind, table.set, changed, place)
    this.#missed(access, table, rows, place)
    if (changed === null || changed.length > 0) this.#given(access, table, place)
    else if (rows === null) {
      // On its way it may have stood at a row that somebody changed, and then it has locked that, though it let it be.
      this.add(kind === OP.write ? OP.hold : OP.lock, table.set, WHOLE_SET, place)
      if (place.at >= 0) place.inVain[place.at] = 1
      if (place.doneUs[place.at]! - place.sentUs[place.at]! > STOOD_US) place.stood[place.at] = 1
    }
    if (access.counted) this.#step(table, changed, place)
  }

  /** Which rows, by their identity; null: any. */
  #rows(access: Access, table: Table, place: Place): readonly string[] | null {
    const { facts } = place
    const byIdentity = access.rows.find((key) => key.unique === table.identity)
    if (byIdentity) {
      const tuples = this.#keys.tuples(table, byIdentity, facts.parameters)
      if (tuples) return tuples
    }
    const byKey = access.rows.find((key) => key.unique !== table.identity)
    if (!byKey || table.identity < 0)
      return access.mode === 'lock' || access.mode === 'hold' ? this.#returned(access, table, facts) : null
    const tuples = this.#keys.tuples(table, byKey, facts.parameters)
    if (!tuples) return null
    const slots = this.#tables.keySet(table, byKey.unique)
    if (access.mode === 'key-share') {
      this.#members(OP.share, slots, tuples, place)
      return []
    }
    // One key is one row. A row that did not come back may still be there and be kept out by another condition, so then it is any row.
    const found = this.#returned(access, table, facts)
    if (!found || new Set(found).size !== new Set(tuples).size) return null
    this.#members(OP.read, slots, tuples, place)
    return found
  }

  /** Rows that the answer names by their identity. */
  #returned(access: Access, table: Table, facts: StatementFacts): readonly string[] | null {
    return facts.sqlstate !== null || !access.answers ? null : this.#keys.returned(table, facts)
  }

  /** Rows that an UPDATE or DELETE changed. */
  #written(access: Access, table: Table, facts: StatementFacts): readonly string[] | null {
    const { tag, sqlstate, columns } = facts
    if (!access.counted || !/^(UPDATE|DELETE|INSERT|MERGE)/.test(tag)) return null
    if (sqlstate === null && columns === null && / 0$/.test(tag)) return []
    return this.#returned(access, table, facts)
  }

  #insert(access: Access, table: Table, place: Place): void {
    const { facts, at } = place
    const given = access.given.find((key) => key.unique === table.identity)
    const isFresh = given !== undefined && fresh(given.values)
    const named = given && !isFresh ? this.#keys.tuples(table, given, facts.parameters) : null
    const rows = named ?? (table.identity >= 0 ? this.#written(access, table, facts) : null)
    if (rows) this.#members(OP.rekey, table.set, rows, place)
    else this.add(given && !isFresh ? OP.rekey : OP.insert, table.set, WHOLE_SET, place)
    this.#given(access, table, place)
    this.#evidence.sightings.filling(table.set)
    if (table.identitySequence !== 0) this.#evidence.draws.names(table.identitySequence, table.set)
    if (rows && this.#madeAll(rows, access, place))
      for (const row of rows) this.#evidence.sightings.inserted(this.#names.member(table.set, row), at)
  }

  /** ON CONFLICT may have found the row instead of making it. */
  #madeAll(rows: readonly string[], access: Access, { facts, touch }: Place): boolean {
    const upserts = touch.accesses.some((other) => other.relation === access.relation && other.mode !== 'insert')
    return facts.sqlstate === null && access.counted && !upserts && insertedRows(facts.tag) === rows.length
  }

  /** Values of other unique keys that rows get or leave. */
  #given(access: Access, table: Table, place: Place): void {
    for (const key of access.given) {
      if (key.unique === table.identity && access.mode !== 'rekey') continue
      if (fresh(key.values)) continue
      const set = this.#tables.keySet(table, key.unique)
      this.#members(OP.rekey, set, this.#keys.tuples(table, key, place.facts.parameters), place)
    }
  }

  #observe(access: Access, table: Table, place: Place): void {
    this.add(OP.observe, table.set, WHOLE_SET, place)
    const { pick } = access
    if (!pick) return
    const { columns, rows } = place.facts
    const at = columns?.findIndex((column) => column.name === pick.column) ?? -1
    const cell = at < 0 || rows?.length !== 1 ? null : (rows[0]![at] ?? null)
    if (cell === null) return
    const type = table.relation.columns.find((column) => column.name === pick.column)?.typeOid
    const number = type !== undefined && [20, 21, 23].includes(type)
    const { descending } = pick
    this.#evidence.picks.note(table.set, { statement: place.at, place: number ? Number(cell) : cell, descending })
  }

  #drawn(sequence: number, { columns, keptRows, sqlstate, tag }: StatementFacts, touch: Touch): number | null {
    if (sqlstate !== null || !columns) return null
    const at = columns.findIndex(({ tableOid, attnum }) => this.#tables.sequenceOf(tableOid, attnum) === sequence)
    const alone = touch.draws.length === 1 && tag.startsWith('SELECT') && columns.length === 1
    const position = at >= 0 ? at : alone ? 0 : -1
    if (position < 0 || keptRows === null || keptRows.length === 0) return null
    const cells = keptRows.map((row) => Number(row[position] ?? Number.NaN))
    return cells.every((cell) => Number.isSafeInteger(cell)) ? Math.min(...cells) : null
  }

  #step(table: Table, rows: readonly string[] | null, { at, facts, touch }: Place): void {
    if (touch.chains.length === 0 || rows?.length !== 1 || !facts.columns) return
    const chain = touch.chains.find((candidate) => candidate.relation === table.relation.oid)
    if (!chain) return
    const position = facts.columns.findIndex((column) => column.name === chain.column)
    if (position < 0 || facts.rows?.length !== 1) return
    const after = Number(facts.rows[0]![position] ?? Number.NaN)
    const delta = Number(textsOf(chain.delta, facts.parameters)?.[0] ?? Number.NaN)
    if (!Number.isFinite(after) || !Number.isFinite(delta)) return
    const before = chain.negative ? after + delta : after - delta
    this.#evidence.steps.note(this.#names.member(table.set, rows[0]!), { statement: at, before, after })
  }

  #members(kind: Op, set: number, keys: readonly string[] | null, place: Place): void {
    if (keys === null) this.add(kind, set, WHOLE_SET, place)
    else for (const key of keys) this.add(kind, set, this.#names.member(set, key), place)
  }
}

function fresh(values: readonly (readonly { readonly kind: string }[])[]): boolean {
  return values.some((alternatives) => alternatives.some((value) => value.kind === 'fresh'))
}

function insertedRows(tag: string): number | null {
  const count = /^(?:INSERT 0|COPY) (\d+)$/.exec(tag)?.[1]
  return count === undefined ? null : Number(count)
}
