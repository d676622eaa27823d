/**
 * SQL scripts as people write them: schema dumps, migrations. PostgreSQL's own parser cuts a script into statements, and
 * each is sent alone, as psql does; sent whole, they would share one implicit transaction, which CREATE INDEX CONCURRENTLY
 * and others refuse.
 */
import type { RawStmt } from 'libpg-query'
import { EXIT, HarnessError } from '../../base/errors.js'
import { loadParser, parse } from '../../sql/parse.js'
import { type Connected, serverReason } from './connect.js'

export type ScriptStatement = {
  readonly sql: string
  /** Name of its node in the parse tree: `CreateStmt`. */
  readonly kind: string
  readonly line: number
}

/** pg_dump guards its output with these since 2025; they are for psql. */
const PSQL_GUARD = /^\\(un)?restrict .*$/gm
const PSQL_COMMAND = /^\\\w/m

/**
 * A copy must not know the way to other servers, nor their passwords: user mappings hold both, a subscription would begin
 * to pull at once, and a publication serves nobody there.
 */
const DOORS = new Set(['CreateUserMappingStmt', 'CreateSubscriptionStmt', 'CreatePublicationStmt'])

export function isDoor({ kind }: ScriptStatement): boolean {
  return DOORS.has(kind)
}

export async function splitScript(text: string, name: string): Promise<ScriptStatement[]> {
  await loadParser()
  const script = text.replace(/^\uFEFF/, '').replaceAll(PSQL_GUARD, '')
  const statements = parse(script)
  if (statements === null) throw unreadable(name, PSQL_COMMAND.test(script))
  const bytes = Buffer.from(script, 'utf8')
  let line = 1
  let counted = 0
  return statements.map((statement) => {
    const { begin, end } = extent(statement, bytes)
    for (; counted < begin; counted++) if (bytes[counted] === 0x0a) line += 1
    return { sql: bytes.subarray(begin, end).toString('utf8'), kind: Object.keys(statement.stmt ?? {})[0] ?? '', line }
  })
}

/** A statement's location includes the white space and comments before it, which would shift the line it is said to be on. */
function extent(statement: RawStmt, bytes: Buffer): { begin: number; end: number } {
  const start = statement.stmt_location ?? 0
  const end = statement.stmt_len ? start + statement.stmt_len : bytes.length
  const lead =
    /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(bytes.subarray(start, end).toString('utf8'))?.[0] ?? ''
  return { begin: start + Buffer.byteLength(lead), end }
}

/** `tolerate` is asked about an error before it ends the script; it may mend what is missing and ask for another try. */
export type Tolerate = (
  statement: ScriptStatement,
  error: Error & { code?: string },
) => Promise<'fail' | 'skip' | 'again'>

/** Sends one statement. */
export type Sender = { send(statement: ScriptStatement): Promise<unknown> }

export function plainSender(client: Connected): Sender {
  return { send: ({ sql }) => client.query(sql) }
}

export async function runScript(
  sender: Sender,
  statements: readonly ScriptStatement[],
  name: string,
  tolerate: Tolerate = async () => 'fail',
): Promise<void> {
  for (const statement of statements) {
    for (let verdict = 'again', tries = 0; verdict === 'again'; tries++) {
      try {
        await sender.send(statement)
        break
      } catch (error) {
        if (error instanceof HarnessError) throw error
        verdict = tries < 2 ? await tolerate(statement, error as Error) : 'fail'
        if (verdict === 'fail') throw failed(name, statement, error)
      }
    }
  }
}

function failed(name: string, statement: ScriptStatement, error: unknown): HarnessError {
  return new HarnessError({
    code: 'SCRIPT_FAILED',
    message: `${name} failed at line ${statement.line}`,
    detail: serverReason(error),
    hint: 'Run it by hand on an empty copy of the database to see more; nothing of this restore is kept.',
    exit: EXIT.environment,
    cause: error,
  })
}

function unreadable(name: string, hasCommands: boolean): HarnessError {
  return new HarnessError({
    code: 'SCRIPT_UNREADABLE',
    message: `cannot read ${name} as SQL`,
    detail: hasCommands
      ? 'it holds commands of psql (lines that begin with a backslash)'
      : "PostgreSQL's grammar refuses it; inline COPY data is one reason",
    hint: 'Give a script of plain SQL, or a command that runs it: --migrate "psql -f FILE $DATABASE_URL".',
    exit: EXIT.usage,
  })
}
