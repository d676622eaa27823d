/**
 * Recordings made by hand: statements as a client would have sent them, without a server that ever answered.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Outcome } from '../../segment/outcome.js'
import { createRecording } from '../../segment/recording-writer.js'
import type { Frame, SafeSql, Session, SessionEvent, Statement } from '../../segment/statement.js'
import { buildBindRest } from '../../wire/bind.js'

export const NOTHING_CAME: Outcome = {
  error: null,
  tag: '',
  rowCount: 0,
  columns: null,
  digest: null,
  rows: null,
  rowsCut: false,
  suspended: false,
  status: null,
}

export type Sent = Partial<Statement> & Pick<Statement, 'frames'>

export function simple(sql: string, ...copy: Frame[]): Sent {
  return { frames: [['Q'], ...copy], sql: sql as SafeSql }
}

/** Parse, Bind, Describe, Execute, Sync of an unnamed statement: what most drivers send. */
export function unnamed(sql: string, values: (string | null)[] = []): Sent {
  const frames: Frame[] = [['P', '', []], ['B', '', ''], ['D', 'P', ''], ['E', '', 0], ['S']]
  return { frames, sql: sql as SafeSql, bind: buildBindRest(values), parameters: values }
}

export function prepare(name: string, sql: string): Sent {
  return { frames: [['P', name, []], ['D', 'S', name], ['S']], sql: sql as SafeSql }
}

/** Bind, Describe, Execute, Sync of a named statement, without a text of its own on the wire. */
export function execute(name: string, sql: string, values: (string | null)[] = []): Sent {
  const frames: Frame[] = [['B', '', name], ['D', 'P', ''], ['E', '', 0], ['S']]
  return { frames, sql: sql as SafeSql, bind: buildBindRest(values), parameters: values }
}

export class Tape {
  readonly statements: Statement[] = []
  readonly #sessions = new Map<number, Partial<Session>>()
  readonly #ordinals = new Map<number, number>()
  readonly #shapes = new Map<string, readonly Frame[]>()
  readonly #events: SessionEvent[] = []
  #transactions = 0
  #nowUs = 1_000_000

  session(session: number, facts: Partial<Session> = {}): this {
    this.#sessions.set(session, facts)
    return this
  }

  /** Of a session, at a moment of the recording. */
  event(event: SessionEvent): this {
    this.#events.push(event)
    return this
  }

  pause(us: number): this {
    this.#nowUs += us
    return this
  }

  /** One exchange; takes a millisecond, unless it says otherwise. */
  send(session: number, sent: Sent): this {
    if (!this.#sessions.has(session)) this.session(session)
    const ordinal = (this.#ordinals.get(session) ?? 0) + 1
    this.#ordinals.set(session, ordinal)
    this.#transactions += 1
    const sentUs = sent.sentUs ?? this.#nowUs
    const key = JSON.stringify(sent.frames)
    const frames = this.#shapes.get(key) ?? sent.frames
    this.#shapes.set(key, frames)
    this.statements.push({
      seq: this.statements.length + 1,
      session,
      ordinal,
      transaction: this.#transactions,
      part: 0,
      sentUs,
      doneUs: sentUs + 900,
      sql: '' as SafeSql,
      fingerprint: '',
      parameters: [],
      parameterTypes: [],
      bind: null,
      copy: null,
      unreplayable: null,
      outcome: NOTHING_CAME,
      ...sent,
      frames,
    })
    this.#nowUs = sentUs + 1000
    return this
  }

  /** Writes the recording and returns its folder. */
  write(): string {
    const path = join(mkdtempSync(join(tmpdir(), 'pgr-tape-')), 'recording')
    const writer = createRecording(path, {
      madeBy: 'test',
      source: 'proxy',
      startedAtMs: 1_700_000_000_000,
      server: { versionNum: 0, version: '', systemIdentifier: '', database: '', settings: {}, startLsn: '' },
      catalog: { database: '', serverVersionNum: 0, searchPath: [], relations: [], types: [], functions: [] },
      privacy: { policyHash: '', keyFingerprint: '' },
    })
    for (const [session, facts] of this.#sessions) {
      writer.session({
        session,
        backendPid: session,
        database: '',
        user: '',
        application: '',
        parameters: {},
        connectedUs: 0,
        prologue: [],
        ...facts,
      })
    }
    const transactions = new Map<number, Statement[]>()
    for (const statement of this.statements) {
      const known = transactions.get(statement.transaction)
      if (known === undefined) transactions.set(statement.transaction, [statement])
      else known.push(statement)
    }
    const scope = 'READ_WRITE' as const
    const all = [...transactions.values()].map((statements) => ({ scope, statements }))
    for (let i = 0; i < all.length; i += 1000) writer.write(all.slice(i, i + 1000))
    for (const event of this.#events) writer.event(event)
    writer.seen(writer.ledger.kept)
    writer.close(1_700_000_001_000)
    return path
  }
}
