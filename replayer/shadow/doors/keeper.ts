/**
 * A migration on a copy: what in its scripts must not run there, and when its doors are shut.
 *
 * A statement that reaches out by itself is refused before anything runs; logins for other servers and subscriptions are left out, as
 * they are of a schema. What makes a door (a function, an extension, a server) runs, and the door is shut before anybody can
 * use it: in the transaction that makes it. What code puts together while it runs is shut when the script is over.
 */
import { EXIT, HarnessError } from '../../../base/errors.js'
import { reachesOut } from '../../../sql/reach-out.js'
import { type Connected, withClient } from '../connect.js'
import type { ScriptStatement } from '../script.js'
import { GUARD } from './door.js'

/** A copy must not know the way to other servers, nor their passwords; and DROP and ALTER of what is not there would fail. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  CreateUserMappingStmt: 'CREATE USER MAPPING',
  AlterUserMappingStmt: 'ALTER USER MAPPING',
  DropUserMappingStmt: 'DROP USER MAPPING',
  CreateSubscriptionStmt: 'CREATE SUBSCRIPTION',
  AlterSubscriptionStmt: 'ALTER SUBSCRIPTION',
  DropSubscriptionStmt: 'DROP SUBSCRIPTION',
}

export type LeftOut = { readonly line: number; readonly what: string }

/** The parser must be loaded, as it is for who has cut the script. */
export function forCopy(
  statements: readonly ScriptStatement[],
  name: string,
): { readonly statements: readonly ScriptStatement[]; readonly leftOut: readonly LeftOut[] } {
  for (const statement of statements) {
    const what = actsOutside(statement)
    if (what !== null) throw reaching(name, statement, what)
  }
  return {
    statements: statements.filter(({ kind }) => LEFT_OUT[kind] === undefined),
    leftOut: statements.flatMap(({ kind, line }) => {
      const what = LEFT_OUT[kind]
      return what === undefined ? [] : [{ line, what }]
    }),
  }
}

/** What the statement itself would do, as soon as it runs. */
function actsOutside({ kind, sql }: ScriptStatement): string | null {
  if (kind === 'ImportForeignSchemaStmt') return 'IMPORT FOREIGN SCHEMA'
  if (kind !== 'CopyStmt' && kind !== 'DoStmt') return null
  const what = reachesOut(sql)
  return kind === 'DoStmt' || what === 'COPY … PROGRAM' ? what : null
}

function reaching(name: string, { line }: ScriptStatement, what: string): HarnessError {
  return new HarnessError({
    code: 'SCRIPT_REACHES_OUT',
    message: `will not run ${name} on a copy`,
    detail: `line ${line} reaches out of the database: ${what}`,
    hint: 'Rehearse the migration without that statement; what it brings can be put into the copy beforehand.',
    exit: EXIT.usage,
  })
}

/** A foreign server is only an address, and the script's next statement may need it: it goes when the script is over. */
const MAKES_DOORS: ReadonlySet<string> = new Set([
  'CreateFunctionStmt',
  'CreateExtensionStmt',
  'CreateForeignTableStmt',
])

/** Shuts what is open. `inTransaction`: as a part of the client's transaction. */
export type Shut = (client: Connected, inTransaction: boolean) => Promise<void>

/** Sends a script's statements one by one, and shuts what they open. One for each connection. */
export class Keeper {
  readonly #client: Connected
  readonly #shut: Shut
  #inTransaction = false
  #made = false

  constructor(client: Connected, shut: Shut) {
    this.#client = client
    this.#shut = shut
  }

  async send({ sql, kind }: ScriptStatement): Promise<void> {
    if (kind === 'TransactionStmt') {
      if (endsWell(sql) && this.#made) await this.#shutInTransaction()
      await this.#client.query(sql)
      this.#note(sql)
      return
    }
    const makes = MAKES_DOORS.has(kind) && reachesOut(sql) !== null
    if (!makes || this.#inTransaction) {
      await this.#client.query(sql)
      this.#made ||= makes
      return
    }
    await this.#client.query('BEGIN')
    try {
      await this.#client.query(sql)
      await this.#shut(this.#client, true)
      await this.#client.query('COMMIT')
    } catch (error) {
      await this.#client.query('ROLLBACK').catch(() => {})
      throw error
    }
  }

  /** The script is over. */
  async end(): Promise<void> {
    if (!this.#inTransaction) await this.#shut(this.#client, false)
  }

  #note(sql: string): void {
    if (/^\s*(begin|start)\b/i.test(sql)) this.#inTransaction = true
    else if (endsWell(sql) || /^\s*(abort\b|rollback\b(?!.*\bto\b))/is.test(sql)) {
      this.#inTransaction = /\band\s+chain\b/i.test(sql) && !/\band\s+no\s+chain\b/i.test(sql)
      this.#made = false
    }
  }

  /** A transaction that has failed makes nothing. */
  async #shutInTransaction(): Promise<void> {
    try {
      await this.#shut(this.#client, true)
    } catch (error) {
      if ((error as { code?: string }).code !== FAILED_TRANSACTION) throw error
    }
  }
}

const FAILED_TRANSACTION = '25P02'

function endsWell(sql: string): boolean {
  return /^\s*(commit|end|prepare)\b/i.test(sql) && !/^\s*commit\s+prepared\b/i.test(sql)
}

/**
 * A command (a migration tool) sends what it likes: the server itself refuses what would reach another server at once, while it runs.
 * Without the rights of a superuser there is no such guard, nor may the command do these things.
 */
export async function guarded<Result>(url: string, work: () => Promise<Result>): Promise<Result> {
  const isGuarded = await withClient(url, setGuard)
  try {
    return await work()
  } finally {
    if (isGuarded) await withClient(url, removeGuard).catch(() => {})
  }
}

async function setGuard(client: Connected): Promise<boolean> {
  const { rows } = await client.query(`SELECT rolsuper AS super, current_setting('server_version_num')::int AS version
    FROM pg_catalog.pg_roles WHERE rolname = current_user`)
  if (rows[0]?.super !== true) return false
  await removeGuard(client)
  await client.query('CREATE SCHEMA IF NOT EXISTS pgrehearse')
  await client.query(`CREATE FUNCTION pgrehearse.no_way_out() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'pgrehearse: a copy must not reach other servers: %', tg_tag; END $$`)
  const tags = ['CREATE SUBSCRIPTION', 'ALTER SUBSCRIPTION', 'CREATE USER MAPPING', 'ALTER USER MAPPING']
  const list = [...tags, 'IMPORT FOREIGN SCHEMA'].map((tag) => `'${tag}'`).join(', ')
  await client.query(
    `CREATE EVENT TRIGGER ${GUARD} ON ddl_command_start WHEN TAG IN (${list})
     EXECUTE ${rows[0].version >= 110000 ? 'FUNCTION' : 'PROCEDURE'} pgrehearse.no_way_out()`,
  )
  return true
}

async function removeGuard(client: Connected): Promise<void> {
  await client.query(`DROP EVENT TRIGGER IF EXISTS ${GUARD}`)
  await client.query('DROP FUNCTION IF EXISTS pgrehearse.no_way_out()')
}
