/**
 * Which statements of a recording are sent: a time window and a person's choice, without taking away what the rest stands on.
 *
 * A transaction is in the window when it begins there, and then goes to its end. What steers a session (settings, PREPARE, temporary
 * tables and what only touches them) is sent in every session of which anything was chosen, also before the window; BEGIN, COMMIT and
 * their kin where anything of their transaction is sent. Named statements of the protocol are prepared when they are needed (./shelf.ts).
 *
 * What is not sent still has its turn, without time: order leads through it (A before B before C, when B is left out).
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import type { StatementFacts } from '../../segment/facts.js'
import { containedIn, type Within } from '../../segment/moment.js'
import type { Session } from '../../segment/statement.js'
import { type Nature, natureOf } from '../../sql/nature.js'
import { fingerprint } from '../../sql/parse.js'
import { allowsSession, allowsText, type Only } from './only.js'
import { endedOf, type PreparedEnds, preparedEnds, preparedIn } from './two-phase.js'

export type Filter = {
  /** Microseconds since the start of the recording. */
  readonly fromUs: number | null
  readonly toUs: number | null
  readonly only: Only | null
  /** The shadow's snapshot was taken while the recording went on: what it contains is not done a second time. */
  readonly copy?: Within | null
}

/** An interrupted replay that is gone on with: of each session, by its dense index, the ordinal up to which it is done. */
export type Done = readonly number[]

/** Why a statement is not sent; position 0 is for those that are. */
export const FILTERED = [
  '',
  'before --from',
  'after --to',
  'not chosen by --only',
  'contained in the snapshot',
  'replayed before the interruption',
] as const
const [SENT, BEFORE, AFTER, NOT_CHOSEN, CONTAINED] = [0, 1, 2, 3, 4]
export const DONE_BEFORE = 5
/** Its outcome is known; it is sent for what it leaves in its session. */
export const AGAIN = 6

export type Selection = {
  /** Per statement of the plan, a position in FILTERED; in shared memory. */
  readonly fates: Uint8Array
  /** Per session, by its dense index: 1 when anything of it is sent, from here on. */
  readonly sends: Uint8Array
  /** When the first chosen statement was sent, and the last one answered. */
  readonly firstUs: number
  readonly lastUs: number
  readonly chosen: number
  /** Of a snapshot taken meanwhile; in transactions that do anything. */
  readonly beside: { readonly contained: number; readonly straddling: number; readonly undecided: number }
  /** Sequence numbers of statements that ran before the snapshot in a transaction it does not contain, or that it may contain. */
  readonly unsure: readonly number[]
}

/** Only if the session sends anything else: the fate otherwise stands above. */
const ALONG = 16
/** Before the interruption: as above, or for what it leaves behind. */
const WAS = 32

type Message = {
  readonly indexes: number[]
  readonly seqs: number[]
  readonly sentUs: number
  chosen: boolean
  role: Nature['role']
  leavesState: boolean
  doneUs: number
  /** PREPARE TRANSACTION: the name under which another message will end it. */
  prepared: string | null
  readonly isDone: boolean
}

/** A session's transaction while it is read. Messages that begin in one and end in another join the two. */
type Group = { number: number; readonly sentUs: number; readonly messages: Message[] }

type Reading = {
  readonly allowed: boolean
  group: Group | null
  readonly temporary: Set<string>
  /** Names of cursors and SQL-level prepared statements, and whether what stands behind them was chosen. */
  readonly cursors: Map<string, boolean>
  readonly prepared: Map<string, boolean>
}

type Text = { readonly nature: Nature; readonly chosen: boolean; readonly preparesChosen: boolean }

export type SelectionSource = {
  readonly statementCount: number
  sessions(): readonly Session[]
  facts(): Iterable<StatementFacts>
}

/** Call loadParser() before. */
export function select(source: SelectionSource, filter: Filter, done: Done | null = null): Selection {
  return new Selecting(source, filter, done).run()
}

/** Chooses everything. */
export const NO_FILTER: Filter = { fromUs: null, toUs: null, only: null }

class Selecting {
  readonly #source: SelectionSource
  readonly #filter: Filter
  readonly #fates: Uint8Array
  readonly #sends: Uint8Array
  readonly #readings: Reading[]
  readonly #dense: ReadonlyMap<number, number>
  readonly #texts = new Map<string, Text>()
  #firstUs = Number.POSITIVE_INFINITY
  #lastUs = 0
  #chosen = 0
  readonly #beside = { contained: 0, straddling: 0, undecided: 0 }
  readonly #unsure: number[] = []
  readonly #pids: readonly number[]
  readonly #done: Done | null
  readonly #ends: PreparedEnds
  /** Sessions of which something is left to be sent. */
  readonly #goesOn: Uint8Array

  constructor(source: SelectionSource, filter: Filter, done: Done | null) {
    this.#source = source
    this.#done = done
    this.#ends = filter.copy == null ? new Map() : preparedEnds(source.facts())
    this.#filter = filter
    const sessions = source.sessions()
    this.#fates = new Uint8Array(new SharedArrayBuffer(Math.max(1, source.statementCount)))
    this.#sends = new Uint8Array(new SharedArrayBuffer(Math.max(1, sessions.length)))
    this.#goesOn = new Uint8Array(sessions.length)
    this.#pids = sessions.map(({ backendPid }) => backendPid)
    this.#dense = new Map(sessions.map(({ session }, dense) => [session, dense]))
    this.#readings = sessions.map((session) => ({
      allowed: filter.only === null || allowsSession(filter.only, session),
      group: null,
      temporary: new Set(),
      cursors: new Map(),
      prepared: new Map(),
    }))
  }

  run(): Selection {
    const owner = new Int32Array(this.#source.statementCount)
    let index = 0
    for (const facts of this.#source.facts()) {
      owner[index] = this.#dense.get(facts.session)!
      this.#read(owner[index]!, facts, index)
      index += 1
    }
    this.#readings.forEach((reading, dense) => {
      this.#resolve(dense, reading)
    })
    if (this.#chosen === 0) throw nothing()
    this.#sendAlong(owner.subarray(0, index))
    const [fates, sends] = [this.#fates, this.#sends]
    const [beside, unsure] = [this.#beside, this.#unsure]
    return { fates, sends, firstUs: this.#firstUs, lastUs: this.#lastUs, chosen: this.#chosen, beside, unsure }
  }

  /** What was to be sent only if its session sends anything else. */
  #sendAlong(owner: Int32Array): void {
    owner.forEach((dense, i) => {
      const fate = this.#fates[i]!
      if (fate < ALONG || fate >= WAS) return
      this.#fates[i] = this.#sends[dense] === 1 ? SENT : fate - ALONG
      if (this.#sends[dense] === 1) this.#goesOn[dense] = 1
    })
    if (this.#done === null) return
    owner.forEach((dense, i) => {
      const fate = this.#fates[i]! - WAS
      if (fate < 0) return
      const wasSent = fate === SENT || this.#sends[dense] === 1
      this.#fates[i] = wasSent ? (this.#goesOn[dense] === 1 ? AGAIN : DONE_BEFORE) : fate - ALONG
    })
    this.#sends.set(this.#goesOn)
  }

  #read(dense: number, facts: StatementFacts, index: number): void {
    const reading = this.#readings[dense]!
    const { nature, chosen } = this.#textOf(reading, facts.sql)
    const message = this.#messageOf(dense, reading, facts)
    message.indexes.push(index)
    message.seqs.push(facts.seq)
    message.chosen ||= chosen
    message.doneUs = Math.max(message.doneUs, facts.doneUs)
    if (this.#ends.size > 0) message.prepared ??= preparedIn(facts)
    message.leavesState ||= nature.leavesState || isAbout(reading.temporary, nature)
    // An exchange without a text is a Sync, a Flush or a Close: it goes with its transaction.
    if (nature.role === 'data' || (nature.role === 'session' && message.role !== 'data')) message.role = nature.role
    for (const name of nature.temporary) reading.temporary.add(name)
  }

  /** The message that the statement belongs to; a new transaction settles the one before. */
  #messageOf(dense: number, reading: Reading, { part, transaction, sentUs, ordinal }: StatementFacts): Message {
    const last = reading.group?.messages.at(-1)
    if (part > 0 && last !== undefined) {
      reading.group!.number = transaction
      return last
    }
    if (reading.group?.number !== transaction) {
      this.#resolve(dense, reading)
      reading.group = { number: transaction, sentUs, messages: [] }
    }
    const message: Message = {
      indexes: [],
      seqs: [],
      sentUs,
      chosen: false,
      role: 'transaction',
      leavesState: false,
      doneUs: 0,
      prepared: null,
      isDone: this.#done !== null && ordinal <= this.#done[dense]!,
    }
    reading.group!.messages.push(message)
    return message
  }

  #resolve(dense: number, { group }: Reading): void {
    if (group === null) return
    const outside = this.#outside(group.sentUs) || this.#contained(dense, group)
    const chosen = outside === SENT && group.messages.some((message) => message.chosen)
    if (chosen) this.#sends[dense] = 1
    const leavesState = group.messages.some((message) => message.leavesState)
    const goesAlong = outside !== AFTER && (chosen || leavesState)
    for (const message of group.messages) {
      const sent = chosen && message.chosen
      if (sent && !message.isDone) {
        this.#note(message, group.sentUs)
        this.#goesOn[dense] = 1
      }
      const along = message.role === 'data' ? message.leavesState : goesAlong
      const instead = outside === SENT ? NOT_CHOSEN : outside
      const fate = sent ? SENT : along && outside !== AFTER ? ALONG + instead : instead
      const stays = message.role === 'data' ? message.leavesState : leavesState
      for (const index of message.indexes) this.#fates[index] = message.isDone ? before(fate, stays) : fate
    }
  }

  /** Whether the snapshot contains it already; what stands on both sides of that moment is kept in mind. */
  #contained(dense: number, { sentUs: beginSentUs, messages }: Group): number {
    const { copy } = this.#filter
    const last = messages.at(-1)
    if (copy === undefined || copy === null || last === undefined) return SENT
    if (!messages.some(({ role }) => role === 'data')) return last.doneUs < copy.fromUs ? CONTAINED : SENT
    // Others see what it did from the end that COMMIT PREPARED gives it, whoever sends that.
    const { sentUs: endSentUs, doneUs: endDoneUs } =
      last.prepared === null ? last : endedOf(this.#ends, last.prepared, last.doneUs)
    const found = containedIn(copy, { pid: this.#pids[dense]!, beginSentUs, endSentUs, endDoneUs })
    if (found === 'in') {
      this.#beside.contained += 1
      return CONTAINED
    }
    if (beginSentUs > copy.toUs) return SENT
    this.#beside[found === 'out' ? 'straddling' : 'undecided'] += 1
    for (const { seqs, sentUs } of messages)
      if (found === 'undecided' || sentUs <= copy.toUs) for (const seq of seqs) this.#unsure.push(seq)
    // Half of the time it takes to commit lies on either side.
    const middleUs = (endSentUs + endDoneUs) / 2
    if (found === 'out' || middleUs > (copy.fromUs + copy.toUs) / 2) return SENT
    return CONTAINED
  }

  #note({ indexes, doneUs }: Message, sentUs: number): void {
    this.#chosen += indexes.length
    this.#firstUs = Math.min(this.#firstUs, sentUs)
    this.#lastUs = Math.max(this.#lastUs, doneUs)
  }

  #outside(sentUs: number): number {
    const { fromUs, toUs } = this.#filter
    if (fromUs !== null && sentUs < fromUs) return BEFORE
    return toUs !== null && sentUs >= toUs ? AFTER : SENT
  }

  /** FETCH and EXECUTE name no table: they are chosen when what they continue was. */
  #textOf(reading: Reading, sql: string): { nature: Nature; chosen: boolean } {
    const { nature, chosen, preparesChosen } = this.#text(sql)
    const { cursor, executes, prepares } = nature
    if (!reading.allowed) return { nature, chosen: false }
    if (prepares !== null) reading.prepared.set(prepares.name, preparesChosen)
    if (executes !== null) return { nature, chosen: reading.prepared.get(executes) ?? chosen }
    if (cursor === null) return { nature, chosen }
    if (cursor.declares) reading.cursors.set(cursor.name, chosen)
    return { nature, chosen: reading.cursors.get(cursor.name) ?? chosen }
  }

  #text(sql: string): Text {
    let text = this.#texts.get(sql)
    if (text === undefined) {
      const { only } = this.#filter
      const nature = natureOf(sql)
      const allows = (one: Nature) =>
        one.role === 'data' && (only === null || allowsText(only, one, () => fingerprint(sql)))
      text = {
        nature,
        chosen: allows(nature),
        preparesChosen: nature.prepares !== null && allows(nature.prepares.nature),
      }
      if (this.#texts.size >= TEXTS_MAX) this.#texts.clear()
      this.#texts.set(sql, text)
    }
    return text
  }
}

/** A fate it had before the interruption, and what it means now. */
function before(fate: number, leavesState: boolean): number {
  if (fate === SENT) return leavesState ? WAS + SENT : DONE_BEFORE
  return fate >= ALONG ? WAS + fate : fate
}

const TEXTS_MAX = 20_000

/** It touches temporary tables of its session and nothing else. */
function isAbout(temporary: ReadonlySet<string>, { tables }: Nature): boolean {
  return tables.length > 0 && tables.every((table) => temporary.has(table.replace(/^pg_temp\./, '')))
}

function nothing(): HarnessError {
  return new HarnessError({
    code: 'NOTHING_CHOSEN',
    message: 'nothing in the recording matches --from, --to and --only',
    hint: '`pgrehearse inspect` shows what is in it: how long it is, its query shapes, its sessions.',
    exit: EXIT.usage,
  })
}
