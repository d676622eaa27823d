/**
 * What a text that is run does to its session's own state: read off its first words, by nobody who knows SQL. Pure.
 *
 *   done again     SET, RESET, DISCARD ALL, PREPARE, DEALLOCATE, LISTEN, UNLISTEN: by their text, or by the message that does the same
 *   noted          what cannot be done again, because it holds rows, or is not plain to see: temporary tables, cursors WITH HOLD, session
 *                  locks, set_config(), state changed among other statements in one text. Whoever restores the session says so.
 *
 * Non-goals: what stands in strings and comments is not told apart from SQL (a note too many harms nobody), what a function does.
 */
import { decodeParameterStatus } from '../../wire/backend.js'
import { MessageWriter } from '../../wire/bytes.js'
import { buildClose, buildQuery } from '../../wire/frontend.js'

export type Doing = {
  readonly key: string
  /** As messages of a client, and notes; empty: it is over with the key. */
  readonly bytes: Uint8Array
  /** A rollback undoes it. */
  readonly undoable: boolean
  /** Keys that begin like this mean nothing any more behind it. */
  readonly ends: string | null
}

/** A message of our own among those of a client: what was done, and to what name. */
export const NOTE = '?'.charCodeAt(0)

/** What can be noted. The first two are about something that has a name. */
export const NOTED = {
  temporary: 'a temporary table was made while nothing was recorded',
  cursor: 'a cursor was opened while nothing was recorded',
  lock: 'session locks were taken while nothing was recorded',
  function: 'settings were changed by set_config() while nothing was recorded',
  several: 'session state was changed among other statements of one text while nothing was recorded',
} as const
export type Noted = keyof typeof NOTED

const NOTHING = new Uint8Array(0)
const STATEMENT = 'statement '
const SETTING = 'setting '
const LISTENING = 'listening '
const TEMPORARY = 'temporary '
const CURSOR = 'cursor '

const BLANK = String.raw`(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*`
const VERB = new RegExp(
  `^${BLANK}(SET|RESET|DISCARD|DEALLOCATE|PREPARE|LISTEN|UNLISTEN|CREATE|DROP|DECLARE|CLOSE|SELECT)\\b${BLANK}`,
  'i',
)
const FOR_A_WHILE = /^(LOCAL|TRANSACTION|CONSTRAINTS)\b/i
const ONE_SETTING = /^(?:SESSION\s+)?([a-z_][\w$.]*)\s*(?:=|TO\s)/i
const NAME = String.raw`("(?:[^"]|"")+"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)`
const ONE_NAME = new RegExp(`^(?:PREPARE\\s+)?${NAME}`, 'i')
const MAKES = new RegExp(
  `^(?:OR\\s+REPLACE\\s+)?(?:LOCAL\\s+|GLOBAL\\s+)?TEMP(?:ORARY)?\\s+(?:TABLE|(?:RECURSIVE\\s+)?VIEW|SEQUENCE)\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?(?:pg_temp\\s*\\.\\s*)?${NAME}`,
  'i',
)
const ONE_TRANSACTION_LONG = /\bON\s+COMMIT\s+DROP\b/i
const DROPS = new RegExp(`^(?:TABLE|VIEW|SEQUENCE)\\s+(?:IF\\s+EXISTS\\s+)?(?:pg_temp\\s*\\.\\s*)?${NAME}`, 'i')
const HOLDS = new RegExp(`^${NAME}[^;]*?\\bCURSOR\\s+WITH\\s+HOLD\\b`, 'i')
/** One look at what is asked most: everything that a SELECT can do to its session has one of these in it. */
const LASTS = /\bINTO\s+TEMP|_advisory_|\bset_config\b/i
const INTO = new RegExp(`\\bINTO\\s+TEMP(?:ORARY)?\\s+(?:TABLE\\s+)?${NAME}`, 'i')
const LOCKS = /\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(/i
const UNLOCKS = /\bpg_advisory_unlock_all\s*\(/i
const SETS = /\bset_config\s*\((?![^()]*,\s*(?:true|'t'|'true')\s*\))/i
const AMONG_OTHERS =
  /(?:^|;)\s*(?:SET\b(?!\s+(?:LOCAL|TRANSACTION|CONSTRAINTS)\b)|RESET\b|PREPARE\b(?!\s+TRANSACTION\b)|DEALLOCATE\b|DISCARD\b|LISTEN\b|UNLISTEN\b|CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP)/i
const SEVERAL = /;\s*\S/

/** null: nothing that lasts. */
export function doingOf(sql: string): Doing | null {
  if (SEVERAL.test(sql) && AMONG_OTHERS.test(sql)) return noted('several', '', true)
  const match = VERB.exec(sql)
  if (match === null) return null
  const rest = sql.slice(match[0].length)
  const name = ONE_NAME.exec(rest)?.[1]
  switch (match[1]!.toUpperCase()) {
    case 'SET':
      return FOR_A_WHILE.test(rest) ? null : run(SETTING + settingOf(rest, sql), sql, null, true)
    case 'RESET':
      return run(SETTING + sql, sql, /^ALL\b/i.test(rest) ? SETTING : null, true)
    case 'DISCARD':
      if (/^ALL\b/i.test(rest)) return run('all', sql, '', false)
      return /^TEMP(ORARY)?\b/i.test(rest) ? over(TEMPORARY, TEMPORARY) : null
    case 'PREPARE':
      return name === undefined || /^TRANSACTION\b/i.test(rest) ? null : prepared(folded(name), buildQuery(sql))
    case 'DEALLOCATE':
      if (/^(PREPARE\s+)?ALL\b/i.test(rest)) return run('statements', sql, STATEMENT, false)
      // Unlike its SQL, the message does not mind a name that is not there.
      return name === undefined ? null : prepared(folded(name), buildClose('S', folded(name)))
    case 'LISTEN':
      return name === undefined ? null : run(LISTENING + folded(name), sql, null, true)
    case 'UNLISTEN':
      if (name === undefined) return run(LISTENING, sql, LISTENING, true)
      return run(LISTENING + folded(name), sql, null, true)
    default:
      return unrepeatable(match[1]!.toUpperCase(), rest)
  }
}

/** A statement that was prepared or closed, by name. */
export function prepared(name: string, bytes: Uint8Array): Doing {
  return { key: STATEMENT + name, bytes, undoable: false, ends: null }
}

function unrepeatable(verb: string, rest: string): Doing | null {
  switch (verb) {
    case 'CREATE': {
      const name = MAKES.exec(rest)?.[1]
      return name === undefined || ONE_TRANSACTION_LONG.test(rest) ? null : noted('temporary', folded(name), true)
    }
    case 'DROP': {
      const name = DROPS.exec(rest)?.[1]
      return name === undefined ? null : over(TEMPORARY + folded(name), null)
    }
    case 'DECLARE': {
      const name = HOLDS.exec(rest)?.[1]
      return name === undefined ? null : noted('cursor', folded(name), true)
    }
    case 'CLOSE': {
      if (/^ALL\b/i.test(rest)) return over(CURSOR, CURSOR)
      const name = ONE_NAME.exec(rest)?.[1]
      return name === undefined ? null : over(CURSOR + folded(name), null)
    }
    default: {
      if (!LASTS.test(rest)) return null
      const name = INTO.exec(rest)?.[1]
      if (name !== undefined) return noted('temporary', folded(name), true)
      if (UNLOCKS.test(rest)) return over(keyOf('lock', ''), null)
      if (LOCKS.test(rest)) return noted('lock', '', false)
      return SETS.test(rest) ? noted('function', '', true) : null
    }
  }
}

function run(key: string, sql: string, ends: string | null, undoable: boolean): Doing {
  return { key, bytes: buildQuery(sql), undoable, ends }
}

function over(key: string, ends: string | null): Doing {
  return { key, bytes: NOTHING, undoable: true, ends }
}

export type Note = { readonly what: Noted; readonly name: string }

/** What a note says; null: it is none of ours. */
export function readNote(buffer: Uint8Array, start: number, end: number): Note | null {
  const note = decodeParameterStatus(buffer, start, end)
  return note !== null && note.name in NOTED ? { what: note.name as Noted, name: note.value } : null
}

export function notedIn(buffer: Uint8Array, start: number, end: number): Doing | null {
  const note = readNote(buffer, start, end)
  return note && noted(note.what, note.name, false)
}

function noted(what: Noted, name: string, undoable: boolean): Doing {
  const bytes = new MessageWriter(32).start(NOTE).string(what).string(name).finish().bytes()
  return { key: keyOf(what, name), bytes, undoable, ends: null }
}

/** RESET ALL takes back what set_config() did as well. */
export function keyOf(what: Noted, name: string): string {
  return what === 'function' ? `${SETTING}()` : `${what} ${name}`
}

/** What a SET is about, so that the next one of it counts alone; the text where that is not plain to see. */
function settingOf(rest: string, sql: string): string {
  return ONE_SETTING.exec(rest)?.[1]?.toLowerCase() ?? sql
}

/** A name as the server knows it. */
function folded(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()
}
