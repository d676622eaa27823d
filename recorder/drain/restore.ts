/**
 * What a session did to its own state while it was not recorded (../tap/keepsakes.ts), made part of the recording: a replay that
 * opens a fresh connection then has the statements and settings that what comes next relies on.
 *
 * Of a session that was never recorded before, what comes first becomes its prologue. Everything else becomes statements of their
 * own, at the place where recording goes on: done at the connection's beginning it could collide with what was recorded before.
 * A prepared statement is sent as the Parse it was, because PREPARE takes fewer texts than Parse does.
 */
import type { Masker } from '../../privacy/masker.js'
import type { SafeSql } from '../../segment/statement.js'
import { Framer } from '../../wire/framer.js'
import { decodeParse, decodeString, decodeTarget, FRONTEND } from '../../wire/frontend.js'
import { NOTE, type Note, readNote } from '../tap/session-doings.js'
import { CLOSED, type Exchange } from './exchange.js'
import type { Result } from './result.js'

export type StateChange =
  | {
      readonly kind: 'prepare'
      readonly name: string
      readonly sql: string
      readonly parameterTypes: readonly number[]
    }
  | { readonly kind: 'close'; readonly name: string }
  /** What cannot be done again. */
  | ({ readonly kind: 'missing' } & Note)
  | {
      readonly kind: 'run'
      readonly sql: string
      readonly masked: SafeSql
      readonly tag: string
      readonly forgetsStatements: boolean
    }

export type RepeatableChange = Exclude<StateChange, { kind: 'missing' }>

/** The one that may stand in a prologue, which is texts. */
export function isPrologue(change: RepeatableChange): boolean {
  return change.kind === 'run'
}

export function stateChanges(payload: Buffer, masker: Masker): StateChange[] {
  const changes: StateChange[] = []
  new Framer({
    message: (type, buffer, start, end) => {
      const change = changeOf(type, buffer, start, end, masker)
      if (change !== null) changes.push(change)
    },
    part: () => {},
    malformed: () => {},
  }).push(payload)
  return changes
}

function changeOf(type: number, buffer: Buffer, start: number, end: number, masker: Masker): StateChange | null {
  switch (type) {
    case FRONTEND.parse: {
      const parse = decodeParse(buffer, start, end)
      return parse && { kind: 'prepare', ...parse }
    }
    case FRONTEND.close: {
      const target = decodeTarget(buffer, start, end)
      return target && { kind: 'close', name: target.name }
    }
    case NOTE: {
      const note = readNote(buffer, start, end)
      return note && { kind: 'missing', ...note }
    }
    default: {
      const sql = decodeString(buffer, start, end)
      if (sql === null) return null
      const masked = masker.sql(sql)
      const [only, ...others] = masked.statements
      // A text that does more than this cannot be done again.
      return only === undefined || others.length > 0 ? null : runOf(sql, masked.sql)
    }
  }
}

const TAGS =
  /^(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*(SET|RESET|PREPARE|DISCARD\s+ALL|DEALLOCATE|LISTEN|UNLISTEN)/i

function runOf(sql: string, masked: SafeSql): StateChange | null {
  const word = TAGS.exec(sql)?.[1]?.toUpperCase().replace(/\s+/, ' ')
  if (word === undefined) return null
  const tag = word === 'DEALLOCATE' ? 'DEALLOCATE ALL' : word
  return { kind: 'run', sql, masked, tag, forgetsStatements: word.startsWith('D') }
}

const ENCODING =
  /^\s*(?:SET\s+(?:SESSION\s+)?(?:client_encoding\s*(?:=|\bTO\b)|NAMES\b)\s*['"]?([\w-]+)|RESET\s+(?:client_encoding|ALL)\b|DISCARD\s+ALL\b)/i

/** What client_encoding is behind this, as the server names it; empty: what the session came with; null: as before. */
export function encodingAfter(sql: string): string | null {
  const match = ENCODING.exec(sql)
  if (match === null) return null
  const name = (match[1] ?? '').toUpperCase().replaceAll('-', '')
  return name === 'UNICODE' ? 'UTF8' : name === 'DEFAULT' ? '' : name
}

/** As an exchange that was answered as it was answered then. */
export function restored(change: RepeatableChange, seq: number, atUs: number): Exchange<Result> {
  const exchange: Exchange<Result> = {
    seq,
    sentUs: atUs,
    doneUs: atUs,
    frames: [],
    expects: [],
    stage: CLOSED,
    statements: 1,
    sql: '',
    prepared: null,
    parsed: null,
    replaced: null,
    portal: null,
    hasBind: false,
    copy: [],
    copyBytes: 0,
    bytes: 0,
    opaque: false,
    answers: [],
    status: 'I',
    trouble: null,
  }
  switch (change.kind) {
    case 'prepare': {
      const { name, sql, parameterTypes } = change
      exchange.sql = sql
      // Closing a name that is not there is no error; preparing one that is would be.
      exchange.frames = [['C', 'S', name], ['P', name, parameterTypes], ['S']]
      exchange.prepared = { name, sql, parameterTypes, columns: undefined }
      break
    }
    case 'close':
      exchange.frames = [['C', 'S', change.name], ['S']]
      break
    case 'run':
      exchange.sql = change.sql
      exchange.frames = [['Q']]
      exchange.answers = [
        { columns: null, sink: null, rows: 0, tag: change.tag, error: null, suspended: false, doneUs: atUs },
      ]
  }
  return exchange
}
