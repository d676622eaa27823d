/**
 * What a session carries from one statement to the next: its open transaction, isolation, search path, SQL-level prepared statements,
 * temporary tables. And of every transaction that there was, its ends.
 */
import type { StatementFacts } from '../../segment/facts.js'
import type { ServerFacts } from '../../segment/manifest.js'
import type { Session } from '../../segment/statement.js'
import { asIsolation } from '../../sql/control.js'
import type { Control, Isolation, Touch } from '../../sql/touch.js'
import type { TouchReader } from '../../sql/touch-statement.js'
import type { Transactions } from './gathered.js'
import { IntList } from './operations.js'

export type ServerSettings = Pick<ServerFacts, 'settings' | 'roleSettings'>

export type SessionState = {
  readonly index: number
  readonly prepared: Map<string, Touch>
  readonly temporary: Set<string>
  /** Cursors and portals, by the statement that opened them. */
  readonly opened: Opened
  readonly ownPath: readonly string[] | null
  path: readonly string[] | null
  /** Reads texts along `path`; null after the path has changed. */
  reader: TouchReader | null
  isolation: Isolation
  transaction: OpenTransaction | null
}

export type Owed = { readonly kind: number; readonly set: number; readonly member: number }

/** A session has one transaction at a time, so a transaction is over when the session's next one begins. */
export type OpenTransaction = {
  readonly number: number
  readonly index: number
  readonly first: number
  last: number
  begun: boolean
  /** `refused`: COMMIT of a transaction that had failed. */
  ended: 'commit' | 'refused' | 'rollback' | null
  failed: boolean
  readonly held: HeldLocks
  /** What its COMMIT looks at: deferred foreign keys. */
  readonly owed: Owed[]
  isolation: Isolation
  /** First statement that takes a snapshot, for isolation levels that keep it. */
  snapshot: number
}

/** What the session begins with: what it asked for itself, else what its role has, else what everybody has. */
export function sessionState(session: Session, index: number, server: ServerSettings): SessionState {
  const own = (name: string): string | undefined =>
    session.parameters[name] ??
    server.roleSettings?.findLast((one) => one.role === session.user && one.name === name)?.setting
  const ownPath =
    own('search_path')
      ?.split(',')
      .map((part) => schemaIn(part, session)) ?? null
  const isolation = own('default_transaction_isolation') ?? server.settings.default_transaction_isolation ?? ''
  return {
    index,
    prepared: new Map(),
    temporary: new Set(),
    opened: new Opened(),
    ownPath,
    path: ownPath,
    reader: null,
    isolation: asIsolation(isolation) ?? 'read committed',
    transaction: null,
  }
}

function schemaIn(part: string, { user }: Session): string {
  const name = part.trim().replace(/^"(.*)"$/, '$1')
  return name === '$user' ? user : name
}

/** What a statement that worked does to its session and transaction. */
export function steer(touch: Touch, session: SessionState, transaction: OpenTransaction, facts: StatementFacts): void {
  const control = touch.control
  if (!control || facts.sqlstate !== null) return
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
      transaction.ended = facts.tag === 'ROLLBACK' ? 'refused' : 'commit'
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
      session.reader = null
      break
    default:
      break
  }
}

/** A session that gives each of its cursors a new name must not fill memory. */
const OPENED_MAX = 256

export class Opened {
  readonly #by = new Map<string, number>()

  /** The statement whose snapshot this one reads by, when it only reads on; -1: its own. */
  seesAs(at: number, { control }: Touch, { binds, portal }: StatementFacts): number {
    if (control?.kind === 'fetch') return this.#by.get(control.name) ?? -1
    if (control?.kind === 'declare') this.#open(control.name, at)
    if (portal === null) return -1
    if (!binds) return this.#by.get(portal) ?? -1
    this.#open(portal, at)
    return -1
  }

  #open(name: string, at: number): void {
    this.#by.delete(name)
    this.#by.set(name, at)
    if (this.#by.size > OPENED_MAX) this.#by.delete(this.#by.keys().next().value!)
  }
}

/** Which statements of an open transaction still hold their locks, by savepoint. */
export class HeldLocks {
  #begun = false
  #statements: number[] = []
  #savepoints: { readonly name: string; readonly from: number }[] = []

  /** The statements whose locks go with this one: it failed, or goes back to a savepoint. The end of the transaction lets go of the rest. */
  after(statement: number, control: Control | null, failed: boolean): readonly number[] {
    if (control?.kind === 'begin') this.#begun = true
    if (failed) return this.#begun ? this.#letGo(this.#savepoints.at(-1)?.from ?? 0) : []
    this.#statements.push(statement)
    if (control?.kind === 'savepoint') this.#savepoints.push({ name: control.name, from: this.#statements.length })
    if (control?.kind !== 'release' && control?.kind !== 'rollback to') return []
    const at = this.#savepoints.findLastIndex(({ name }) => name === control.name)
    if (at < 0) return []
    if (control.kind === 'release') {
      this.#savepoints.length = at
      return []
    }
    this.#savepoints.length = at + 1
    return this.#letGo(this.#savepoints[at]!.from)
  }

  #letGo(from: number): readonly number[] {
    return this.#statements.splice(from)
  }
}

const [EXPLICIT, COMMITTED, MAY_COMMIT] = [1, 2, 4]

/** All transactions, as lists of integers; the open ones stand with their sessions. */
export class TransactionLog {
  readonly #first = new IntList()
  readonly #last = new IntList()
  readonly #flags = new IntList()
  readonly #snapshot = new IntList()

  /** The transaction of a statement sent as `at`; whatever was open in the session before is over. */
  of(session: SessionState, facts: StatementFacts, at: number): OpenTransaction {
    let open = session.transaction
    if (open === null || open.number !== facts.transaction) {
      if (open) this.close(open)
      open = this.#open(session, facts.transaction, at)
      session.transaction = open
    }
    open.last = at
    return open
  }

  close({ index, last, begun, ended, failed, isolation, snapshot }: OpenTransaction): void {
    const explicit = begun || ended !== null
    const committed = explicit ? ended === 'commit' : !failed
    this.#last.set(index, last)
    const mayCommit = !explicit || ended === 'commit' || ended === 'refused'
    const flags = (explicit ? EXPLICIT : 0) | (committed ? COMMITTED : 0) | (mayCommit ? MAY_COMMIT : 0)
    this.#flags.set(index, flags)
    this.#snapshot.set(index, isolation === 'read committed' ? -1 : snapshot)
  }

  done(): Transactions {
    const flags = this.#flags.done()
    const having = (one: number) => Uint8Array.from(flags, (all) => (all & one ? 1 : 0))
    return {
      count: flags.length,
      first: this.#first.done(),
      last: this.#last.done(),
      explicit: having(EXPLICIT),
      committed: having(COMMITTED),
      mayCommit: having(MAY_COMMIT),
      snapshot: this.#snapshot.done(),
    }
  }

  #open(session: SessionState, number: number, at: number): OpenTransaction {
    const index = this.#first.length
    this.#first.push(at)
    this.#last.push(at)
    this.#flags.push(0)
    this.#snapshot.push(-1)
    const { isolation } = session
    return {
      number,
      index,
      first: at,
      last: at,
      begun: false,
      ended: null,
      failed: false,
      held: new HeldLocks(),
      owed: [],
      isolation,
      snapshot: -1,
    }
  }
}
