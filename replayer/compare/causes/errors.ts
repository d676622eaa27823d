/**
 * What an error says about the migration. SQLSTATE and the fields of the error name the object; the message only where no
 * field does, and then in English alone (a server may speak another language: the sentence is poorer, not wrong).
 */
import type { ServerError } from '../../../segment/outcome.js'
import { type Cause, sameOrNothing } from './cause.js'
import { hintOfNew, hintOfVanished, NOTHING_KNOWN, type Written } from './written.js'

type Wording = { readonly explainer: string; readonly says: (object: string, error: ServerError) => string }

const on = (table: string | undefined): string => (table === undefined ? '' : ` of ${table}`)

const NEW: Readonly<Record<string, Wording>> = {
  '42703': { explainer: 'error.column', says: (name) => `column ${name} does not exist` },
  '42P01': { explainer: 'error.relation', says: (name) => `relation ${name} does not exist` },
  '42883': { explainer: 'error.function', says: (name) => `${name || 'a function or operator'} does not exist` },
  '42704': { explainer: 'error.object', says: (name) => `${name || 'an object'} does not exist` },
  '3F000': { explainer: 'error.schema', says: (name) => `schema ${name} does not exist` },
  '42501': { explainer: 'error.permission', says: (name) => `permission is denied for ${name || 'an object'}` },
  '42702': { explainer: 'error.ambiguous', says: (name) => `column ${name} is ambiguous` },
  '42804': {
    explainer: 'error.type',
    says: (name, e) => `${name || e.column || 'a value'} has another type than the statement expects`,
  },
  '42P10': {
    explainer: 'error.conflict_target',
    says: () => 'ON CONFLICT names columns that no unique constraint covers any more',
  },
  '428C9': { explainer: 'error.generated', says: (name) => `column ${name} is generated and takes no value` },
  '23502': {
    explainer: 'error.not_null',
    says: (_, e) => `${e.table ?? 'a table'}.${e.column ?? 'column'} must not be NULL`,
  },
  '23503': { explainer: 'error.foreign_key', says: (name, e) => `foreign key ${name}${on(e.table)} refuses rows` },
  '23505': { explainer: 'error.unique', says: (name, e) => `unique constraint ${name}${on(e.table)} refuses rows` },
  '23514': { explainer: 'error.check', says: (name, e) => `check constraint ${name}${on(e.table)} refuses rows` },
  '23P01': {
    explainer: 'error.exclusion',
    says: (name, e) => `exclusion constraint ${name}${on(e.table)} refuses rows`,
  },
  '22001': { explainer: 'error.too_long', says: (name) => `a value is too long for ${name || 'its column'}` },
  '2200H': {
    explainer: 'error.sequence_end',
    says: (name) => `sequence ${name || 'of its numbers'} has come to its end (its limit is too low)`,
  },
  '22003': { explainer: 'error.out_of_range', says: (name) => `a number is out of range${name ? ` for ${name}` : ''}` },
  '22P02': { explainer: 'error.input', says: (name) => `a value is no valid ${name || 'input for its type'}` },
  '40001': { explainer: 'error.serialization', says: () => 'transactions cannot be serialized' },
  '40P01': { explainer: 'error.deadlock', says: () => 'transactions deadlock' },
  '55P03': { explainer: 'error.lock', says: () => 'a lock is not available in time' },
  '57014': { explainer: 'error.cancelled', says: () => 'the statement is cancelled (a time-out)' },
  '55000': {
    explainer: 'error.state',
    says: () => 'an object is not in the state that the statement needs (a view that takes no rows?)',
  },
  '25006': { explainer: 'error.read_only', says: () => 'the transaction is read-only' },
  '0A000': {
    explainer: 'error.unsupported',
    says: (command) =>
      command === ''
        ? 'the statement is not supported on this schema'
        : `${command} is not allowed in a non-volatile function: a function that writes is declared stable or immutable`,
  },
}

const VANISHED: Readonly<Record<string, (object: string, error: ServerError) => string>> = {
  '23505': (name, e) => `unique constraint ${name}${on(e.table)} no longer refuses duplicates`,
  '23503': (name, e) => `foreign key ${name}${on(e.table)} no longer refuses rows`,
  '23502': (_, e) => `${e.table ?? 'a table'}.${e.column ?? 'column'} accepts NULL now`,
  '23514': (name, e) =>
    isOfPartition(e)
      ? `rows of ${name} that no partition took are accepted now`
      : `check constraint ${name}${on(e.table)} no longer refuses rows`,
  '23P01': (name, e) => `exclusion constraint ${name}${on(e.table)} no longer refuses rows`,
  '22001': (name) => `a value that was too long for ${name || 'its column'} is accepted now`,
  '42501': (name) => `permission is no longer denied for ${name || 'an object'}`,
}

/** Is it a label that an enum of the recorded schema has? Then it is no captured value and may be named. */
export type IsLabel = (type: string, label: string) => boolean

export function explainNewError(
  error: ServerError,
  isLabel: IsLabel = () => false,
  written: Written = NOTHING_KNOWN,
): Cause {
  const lost = lostLabel(error, isLabel) ?? lostPartition(error)
  if (lost !== null) return lost
  const object = objectOf(error)
  const wording = NEW[error.sqlstate]
  const explainer =
    wording?.explainer ??
    (error.sqlstate.startsWith('08') || error.sqlstate.startsWith('57P') ? 'error.connection' : 'unexplained')
  const words =
    wording?.says(object, error) ?? (explainer === 'error.connection' ? 'the connection is lost' : 'an error')
  return cause(explainer, error, words, ` (SQLSTATE ${error.sqlstate})`, hintOfNew(error, object, written))
}

function lostLabel(error: ServerError, isLabel: IsLabel): Cause | null {
  const [, type = '', label = ''] = /^invalid input value for enum (\S+): "(.{1,63})"$/.exec(error.message) ?? []
  if (error.sqlstate !== '22P02' || !isLabel(type, label)) return null
  const words = `enum ${type} has lost its label ${label} (SQLSTATE 22P02)`
  return { ...cause('error.enum_label', error, words), subject: `22P02 ${type} ${label}` }
}

/** Only partitions refuse rows by a check that has no name. */
function isOfPartition({ sqlstate, constraint, table }: ServerError): boolean {
  return sqlstate === '23514' && constraint === undefined && table !== undefined
}

function lostPartition(error: ServerError): Cause | null {
  if (!isOfPartition(error)) return null
  const table = error.table!
  const words = error.message.startsWith('no partition of relation')
    ? `no partition of ${table} takes rows that it had a place for (a partition is missing, or its bounds are wrong)`
    : `the partition bounds of ${table} refuse rows`
  return cause('error.partition', error, words, ' (SQLSTATE 23514)')
}

export function explainVanishedError(error: ServerError, written: Written = NOTHING_KNOWN): Cause {
  const object = objectOf(error)
  const words = VANISHED[error.sqlstate]?.(object, error) ?? `SQLSTATE ${error.sqlstate} is no longer raised`
  const explainer =
    VANISHED[error.sqlstate] !== undefined
      ? 'constraint.lost'
      : OF_TIMING.has(error.sqlstate)
        ? TIMING
        : error.sqlstate.startsWith(DATA_CLASS)
          ? OF_DATA
          : 'unexplained'
  return cause(explainer, error, words, '', hintOfVanished(error, written))
}

/** Raised for what others held or did at that moment: a lock, a deadlock, a serialization failure, a statement cancelled. */
export const OF_TIMING: ReadonlySet<string> = new Set(['55P03', '40P01', '40001', '57014'])
export const TIMING = 'error.timing'
/** Class 22, data exception: a value did not fit; which depends on its type, and on what it was computed from. */
const DATA_CLASS = '22'
export const OF_DATA = 'error.data'

export function explainChangedError(
  before: ServerError,
  after: ServerError,
  isLabel?: IsLabel,
  written?: Written,
): Cause {
  const now = explainNewError(after, isLabel, written)
  return { ...now, sentence: () => `${now.sentence(now.detail)} where it was SQLSTATE ${before.sqlstate}` }
}

/** The hint is told where most of its statements give it. */
function cause(explainer: string, error: ServerError, words: string, code = '', hint = ''): Cause {
  return {
    explainer,
    subject: errorSubject(error),
    detail: hint,
    columns: [],
    sentence: (detail) => `${words}${detail ?? ''}${code}`,
    merge: sameOrNothing,
  }
}

/** Names what raised it, the same for all that it raises. */
export function errorSubject(error: ServerError): string {
  return [error.sqlstate, error.constraint === undefined ? (error.table ?? '') : '', objectOf(error)].join(' ')
}

/** The constraint, column, table or type that the error is about. */
export function objectOf(error: ServerError): string {
  if (error.constraint !== undefined) return error.constraint
  const { message } = error
  const quoted = /"([^"]{1,120})"/.exec(message)?.[1]
  if (error.sqlstate === '42703' || error.sqlstate === '42702')
    return quoted ?? /column (\S{1,120}) (?:does not exist|is ambiguous)/.exec(message)?.[1] ?? error.column ?? ''
  if (error.sqlstate === '0A000')
    return /^([A-Z ]{3,40}) is not allowed in a non-volatile function$/.exec(message)?.[1] ?? ''
  if (error.sqlstate === '2200H') return quoted ?? ''
  if (error.sqlstate === '42883') return /^((?:function|operator) .{1,120}) does not exist/.exec(message)?.[1] ?? ''
  if (error.sqlstate === '42704') return /^(.{1,120}) does not exist/.exec(message)?.[1] ?? ''
  if (error.sqlstate === '42501') return /denied for (.{1,120})$/.exec(message)?.[1]?.replaceAll('"', '') ?? ''
  if (error.sqlstate === '22001') return /for type (.{1,60})$/.exec(message)?.[1] ?? ''
  // "invalid input value for enum status: …" goes on with the value.
  if (error.sqlstate === '22P02')
    return /^invalid input (?:value|syntax) for (?:enum |type )?([\w. ]{1,60})/.exec(message)?.[1]?.trim() ?? ''
  if (error.sqlstate === '22003')
    return /^(?:value .* is out of range for type )?(integer|bigint|smallint|numeric)/.exec(message)?.[1] ?? ''
  return error.column ?? error.table ?? error.dataType ?? quoted ?? ''
}
