/**
 * Captured text on its way into a psql script. Two readers have to understand it as it was meant: psql, which looks for backslash
 * commands and :variables outside of quotes, and the server. Captured text never becomes a command of either.
 */
import { type ScanToken, scanSync } from 'libpg-query'
import { parse } from '../sql/parse.js'
import { hasUnseen, unseenEscaped } from './text.js'

/** The statement without its final semicolon, or why it cannot be shown by itself. The parser must be loaded. */
export type Standalone =
  | { readonly sql: string; readonly preparable: boolean; readonly refusal: null }
  | { readonly refusal: string }

const PREPARABLE = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** Each statement of a text that may hold several. */
export function standalones(sql: string): readonly Standalone[] {
  const statements = parse(sql)
  if (statements === null || statements.length < 2) return [standalone(sql)]
  const bytes = Buffer.from(sql)
  return statements.map(({ stmt_location = 0, stmt_len }) =>
    standalone(bytes.toString('utf8', stmt_location, stmt_len ? stmt_location + stmt_len : bytes.length)),
  )
}

/** What they mean was decided earlier in their session. */
const NEEDS_SESSION = new Set(['ExecuteStmt', 'DeallocateStmt', 'FetchStmt', 'ClosePortalStmt'])

/** One statement that a rolled-back transaction can hold. */
export function standalone(sql: string): Standalone {
  if (sql.trim() === '') return { refusal: 'it has no text' }
  const statements = parse(sql)
  if (statements === null) return { refusal: 'PostgreSQL’s parser refuses its text' }
  const node = statements[0]?.stmt as Readonly<Record<string, object>> | undefined
  if (node === undefined || statements.length > 1) {
    return { refusal: `its text holds ${statements.length} statements, and only one can be shown at a time` }
  }
  const kind = Object.keys(node)[0] ?? ''
  const refusal = refusalOf(kind, node[kind] as Readonly<Record<string, unknown>>)
  if (refusal !== null) return { refusal }
  return { sql: withoutSemicolon(sql), preparable: PREPARABLE.has(kind) && !makesTable(node[kind]), refusal: null }
}

function refusalOf(kind: string, body: Readonly<Record<string, unknown>>): string | null {
  if (kind === 'TransactionStmt') return 'it begins or ends a transaction, and the script has to roll back its own'
  if (NEEDS_SESSION.has(kind)) return 'it uses what its session prepared or opened before'
  if (kind !== 'CopyStmt') return null
  if (body.is_program === true || body.filename !== undefined) return 'it works on files of the server'
  return body.is_from === true ? 'the data that were copied in are not in the diff' : null
}

/** `SELECT … INTO table` is a SELECT to the parser only. */
function makesTable(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'intoClause' in body
}

/** Only a semicolon that nothing follows ends the statement: a rule's body has some of its own. */
function withoutSemicolon(sql: string): string {
  const bytes = Buffer.from(sql)
  const end = tokensOf(sql)?.find(({ text }) => text === ';')
  if (end === undefined || !isEmpty(bytes.toString('utf8', end.end))) return sql.trim()
  return bytes.toString('utf8', 0, end.start).trim()
}

function isEmpty(sql: string): boolean {
  return tokensOf(sql)?.every(({ tokenName }) => /COMMENT/.test(tokenName)) ?? false
}

/** A literal that means the value under every setting, in plain sight: what cannot be seen is written as its code. */
export function literal(value: string | null): string {
  if (value === null) return 'NULL'
  const quoted = value.replaceAll("'", "''")
  if (!value.includes('\\') && !hasUnseen(value)) return `'${quoted}'`
  return `E'${unseenEscaped(quoted.replaceAll('\\', '\\\\'))}'`
}

/** `$1` becomes its value, for statements that cannot be prepared. */
export function withValues(sql: string, parameters: readonly (string | null)[]): string {
  return rewritten(sql, ({ text }) => {
    const value = /^\$\d+$/.test(text) ? parameters[Number(text.slice(1)) - 1] : undefined
    return value === undefined ? text : literal(value)
  })
}

/** How many parameters the text has; where that cannot be seen, all that there are. */
export function parametersOf(sql: string): number {
  const tokens = tokensOf(sql)
  if (tokens === null) return Number.POSITIVE_INFINITY
  const numbers = tokens.flatMap(({ text }) => (/^\$\d+$/.test(text) ? [Number(text.slice(1))] : []))
  return Math.max(0, ...numbers)
}

/**
 * The statement as a line of a script. A colon between a slice's bounds would make psql look for a variable; a blank behind it does
 * not change the meaning. A text with characters that cannot be seen is handed over as a literal, which psql sends as it is.
 */
export function scriptStatement(sql: string): string {
  if (hasUnseen(sql) || tokensOf(sql) === null) return `SELECT ${literal(sql)} AS statement \\gexec`
  return `${rewritten(sql, ({ text }) => (text === ':' ? ': ' : text))}\n;`
}

/** Token by token; what stands between them stays. Positions are in bytes. */
function rewritten(sql: string, write: (token: ScanToken) => string): string {
  const bytes = Buffer.from(sql)
  let out = ''
  let at = 0
  for (const token of tokensOf(sql) ?? []) {
    out += bytes.toString('utf8', at, token.start) + write(token)
    at = token.end
  }
  return out + bytes.toString('utf8', at)
}

/** null: libpg-query's scanner cannot pass on tokens that hold control characters. */
function tokensOf(sql: string): readonly ScanToken[] | null {
  try {
    return scanSync(sql).tokens
  } catch {
    return null
  }
}

/** An argument of a backslash command. */
export function psqlArgument(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
