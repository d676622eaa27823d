/**
 * Restores a snapshot into a new database: schema, data, sequences, statistics, then the migration, then the marker that
 * makes it a golden. What fails leaves no database behind.
 *
 * With a schema split by pg_dump, the data comes before indexes and constraints, which then check it. With a user's schema
 * file everything exists beforehand, so the data is loaded with triggers and foreign keys off (session_replication_role).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT, HarnessError } from '../../../base/errors.js'
import { loadParser } from '../../../sql/parse.js'
import { dropDatabase, setForDatabase } from '../clone.js'
import {
  type Connected,
  databaseOf,
  describeUrl,
  quoteIdentifier,
  quoteLiteral,
  serverReason,
  withAdmin,
  withClient,
} from '../connect.js'
import type { Shut } from '../doors/keeper.js'
import { countCalls, endWhatActs, shutDoors } from '../doors/shut.js'
import { refuseProduction } from '../isolation.js'
import { type Marker, writeMarker } from '../marker.js'
import { isDoor, plainSender, runScript, splitScript, type Tolerate } from '../script.js'
import { type FileFacts, readSnapshot, type SnapshotFacts } from './format.js'
import { copyIn, MASK_FAULT_HINT, refreshViews, setSequences, targetOf, WRITER_SETTINGS } from './load.js'
import { type Migration, type MigrationResult, migrate, readMigration } from './migrate.js'
import { checkReferences } from './references.js'

type RestoreProgress = {
  readonly step: 'schema' | 'data' | 'constraints' | 'statistics' | 'migration'
  readonly what: string
  readonly done: number
  readonly total: number
}

export type RestoreOptions = {
  readonly snapshot: string
  /** Names the server and the database to create. */
  readonly target: string
  readonly migrations?: readonly string[] | undefined
  readonly connections?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
}

export type RestoreResult = {
  readonly snapshotId: string
  readonly database: string
  readonly url: string
  readonly tables: number
  readonly rows: number
  readonly elapsedMs: number
  readonly migrations: readonly MigrationResult[]
  /** What is not as in production, in words: another collation, an extension that is missing here. */
  readonly notes: readonly string[]
}

const CONNECTIONS = 4

/** What a new session of production had, where a session here would get something else. */
const SESSION_DEFAULTS = [
  'TimeZone',
  'DateStyle',
  'IntervalStyle',
  'extra_float_digits',
  'bytea_output',
  'xmloption',
  'default_text_search_config',
  'standard_conforming_strings',
  'array_nulls',
  'transform_null_equals',
  'default_transaction_isolation',
]

export async function restoreSnapshot(options: RestoreOptions): Promise<RestoreResult> {
  const startedAtMs = performance.now()
  const facts = readSnapshot(options.snapshot)
  const migrations: Migration[] = []
  for (const text of options.migrations ?? []) migrations.push(await readMigration(text))
  const database = databaseOf(options.target)
  const notes: string[] = []
  await withAdmin(options.target, async (admin) => {
    await refuseProduction(admin, describeUrl(options.target), facts.server.systemIdentifier)
    await createDatabase(admin, database, facts, notes)
  })
  try {
    await withAdmin(options.target, (admin) => applySettings(admin, database, facts, notes))
    await fill(options, facts, notes)
    const results: MigrationResult[] = []
    // A migration may call what leads out, or fire a trigger that does.
    const shut = goldenShutter(notes)
    if (migrations.length > 0) await withClient(options.target, (client) => shut(client, false))
    for (const [place, migration] of migrations.entries()) {
      stopIfAsked(options.signal)
      options.onProgress?.({
        step: 'migration',
        what: options.migrations![place]!,
        done: place,
        total: migrations.length,
      })
      results.push(await migrate(migration, options.target, { signal: options.signal, shut }))
    }
    for (const { leftOut } of results) notes.push(...leftOut.map((what) => `left out of the copy: ${what}`))
    await withClient(options.target, async (client) => {
      for (const [name, calls] of await countCalls(client))
        if (calls > 0) notes.push(`${calls} calls of ${name} were answered by a stub`)
      // What a migration made has no statistics yet, and a plan without them would look like a regression.
      if (results.length > 0) await client.query('VACUUM ANALYZE')
      await writeMarker(client, database, {
        snapshotId: facts.id,
        role: 'golden',
        createdAtMs: Date.now(),
        ...facts.privacy,
        ...takenAt(facts),
      })
    })
    return {
      snapshotId: facts.id,
      database,
      url: options.target,
      tables: facts.tables.length,
      rows: facts.tables.reduce((sum, { rows }) => sum + rows, 0),
      elapsedMs: Math.round(performance.now() - startedAtMs),
      migrations: results,
      notes,
    }
  } catch (error) {
    await withAdmin(options.target, (admin) => dropDatabase(admin, database)).catch(() => {})
    if (options.signal?.aborted) throw interrupted()
    throw error instanceof HarnessError ? error : failed(options.target, error)
  }
}

/** What of a golden cannot be shut is said once; the replay, which can be told to leave it open, refuses it. */
function goldenShutter(notes: string[]): Shut {
  return async (client, inTransaction) => {
    await loadParser()
    await shutDoors(client, {
      of: 'golden',
      inTransaction,
      cannot: (why) => {
        if (!notes.includes(why)) notes.push(why)
      },
    })
  }
}

function takenAt({ server, transactions }: SnapshotFacts): Pick<Marker, 'takenAt'> {
  const { moment, snapshot, inProgress } = transactions
  if (moment === undefined) return {}
  const [, nextXid = '', open = ''] = snapshot.split(':')
  return {
    takenAt: {
      ...moment,
      systemIdentifier: server.systemIdentifier,
      database: server.database,
      nextXid,
      open: open === '' ? 0 : open.split(',').length,
      underWay: inProgress.flatMap(({ pid, startedUs }) => (startedUs === undefined ? [] : [{ pid, startedUs }])),
    },
  }
}

async function createDatabase(
  admin: Connected,
  database: string,
  facts: SnapshotFacts,
  notes: string[],
): Promise<void> {
  const { collate, ctype, localeProvider, locale } = facts.database
  const base = `CREATE DATABASE ${quoteIdentifier(database)} TEMPLATE template0 ENCODING 'UTF8'`
  const libc = `LC_COLLATE ${quoteLiteral(collate)} LC_CTYPE ${quoteLiteral(ctype)}`
  const provider =
    localeProvider === 'i'
      ? ` LOCALE_PROVIDER icu ICU_LOCALE ${quoteLiteral(locale ?? 'und')}`
      : localeProvider === 'b'
        ? ` LOCALE_PROVIDER builtin BUILTIN_LOCALE ${quoteLiteral(locale ?? 'C')}`
        : ''
  try {
    await admin.query(`${base} ${libc}${provider}`)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === '42P04') throw exists(database)
    if (code === '42501') throw failed(database, error)
    // The locale is not on this machine, or this server is too old to know its provider.
    await admin.query(`${base} LC_COLLATE 'C' LC_CTYPE 'C'`)
    notes.push(`text sorts by bytes here: the locale ${locale ?? collate} is not available on this server`)
  }
}

async function fill(options: RestoreOptions, facts: SnapshotFacts, notes: string[]): Promise<void> {
  const { schema, tables } = facts
  await withClient(options.target, async (client) => {
    const total = tables.length
    options.onProgress?.({ step: 'schema', what: schema.before.file, done: 0, total: 1 })
    await runSchema(client, options.snapshot, schema.before, notes)
    // A dump of the schema may bring rows of its own (the list of migrations done); the snapshot has them as well.
    const emptied = schema.after === null ? tables.filter(({ extension }) => extension === null) : []
    const targets: string[] = []
    for (const table of tables) targets.push(await targetOf(client, table, facts.catalog))
    if (emptied.length > 0)
      await client.query(
        `TRUNCATE ${[...new Set(targets.filter((_, place) => emptied.includes(tables[place]!)))].join(', ')} CASCADE`,
      )
    await loadTables(options, facts, targets)
    stopIfAsked(options.signal)
    if (schema.after === null) await checkReferences(client)
    if (schema.after !== null) {
      options.onProgress?.({ step: 'constraints', what: schema.after.file, done: total, total })
      await runSchema(client, options.snapshot, schema.after, notes).catch((error: unknown) => {
        throw asMaskFault(error)
      })
    }
    await setSequences(client, facts.sequences)
    await endWhatActs(client)
    await refreshViews(client, facts.populated)
    options.onProgress?.({ step: 'statistics', what: 'VACUUM ANALYZE', done: total, total })
    // Production's tables are vacuumed; without it the first replay would pay for marking every row visible.
    await client.query('VACUUM ANALYZE')
  })
}

async function runSchema(client: Connected, folder: string, { file }: FileFacts, notes: string[]): Promise<void> {
  const statements = await splitScript(readFileSync(join(folder, file), 'utf8'), file)
  // A schema file may have been written for psql as somebody else; a function may refer to a table that comes later.
  await client.query(
    `SET check_function_bodies = off; SET client_min_messages = warning;
    SET maintenance_work_mem = '256MB'; SET statement_timeout = 0`,
  )
  await runScript(
    plainSender(client),
    statements.filter((statement) => !isDoor(statement)),
    file,
    mend(client, notes),
  )
  await client.query('RESET ALL')
  await client.query(WRITER_SETTINGS)
}

/** Production's own data met its constraints, so what does not meet them here was masked. */
function asMaskFault(error: unknown): unknown {
  const { code = '' } = ((error as Error).cause ?? {}) as { code?: string }
  if (!(error instanceof HarnessError) || !code.startsWith('23')) return error
  return new HarnessError({
    code: 'MASK_BREAKS_CONSTRAINT',
    message: 'the masked data does not meet a constraint of the schema',
    detail: error.detail ?? error.message,
    hint: MASK_FAULT_HINT,
    cause: error,
  })
}

/** What a schema may ask for that a copy can do without, or that can be supplied. */
function mend(client: Connected, notes: string[]): Tolerate {
  return async ({ kind }, { code, message }) => {
    if (kind === 'CommentStmt') return 'skip'
    // Its public schema is there already.
    if (kind === 'CreateSchemaStmt' && code === '42P06') return 'skip'
    if (kind === 'CreateExtensionStmt' && (code === '0A000' || code === '58P01')) {
      notes.push(message)
      return 'skip'
    }
    const role = code === '42704' ? /^role "(.+)" does not exist$/.exec(message)?.[1] : undefined
    if (role === undefined) return 'fail'
    await client.query(`CREATE ROLE ${quoteIdentifier(role)} NOLOGIN`)
    return 'again'
  }
}

async function loadTables(options: RestoreOptions, facts: SnapshotFacts, targets: readonly string[]): Promise<void> {
  const { tables } = facts
  let next = 0
  let done = 0
  let failure: unknown
  const loader = () =>
    withClient(options.target, async (client) => {
      const hangUp = () => client.connection.stream.destroy()
      options.signal?.addEventListener('abort', hangUp)
      try {
        await client.query(WRITER_SETTINGS)
        if (facts.schema.after === null) await silenceTriggers(client)
        for (let place = next++; place < tables.length && failure === undefined; place = next++) {
          const table = tables[place]!
          options.onProgress?.({ step: 'data', what: `${table.schema}.${table.name}`, done, total: tables.length })
          await copyIn(client, options.snapshot, table, targets[place]!)
          done += 1
        }
      } catch (error) {
        failure ??= error
      } finally {
        options.signal?.removeEventListener('abort', hangUp)
      }
    })
  await Promise.all(
    Array.from({ length: Math.min(options.connections ?? CONNECTIONS, Math.max(1, tables.length)) }, loader),
  )
  stopIfAsked(options.signal)
  if (failure !== undefined) throw failure
}

async function silenceTriggers(client: Connected): Promise<void> {
  try {
    await client.query(`SET session_replication_role = 'replica'`)
  } catch (cause) {
    throw new HarnessError({
      code: 'RESTORE_NEEDS_SUPERUSER',
      message: 'cannot load data without triggers firing and foreign keys being checked',
      detail: serverReason(cause),
      hint: 'Restore as a superuser (or, from 15 on, GRANT SET ON PARAMETER session_replication_role); --embedded starts a server where you are one.',
      cause,
    })
  }
}

/** Sessions of production began with its defaults; clones take these over. */
async function applySettings(admin: Connected, database: string, facts: SnapshotFacts, notes: string[]): Promise<void> {
  const { rows } = await admin.query('SELECT name, reset_val AS value FROM pg_settings WHERE name = ANY ($1)', [
    SESSION_DEFAULTS,
  ])
  const differing = rows
    .filter(({ name, value }) => (facts.server.settings[name] ?? value) !== value)
    .map(({ name }) => `${name}=${facts.server.settings[name]}`)
  for (const setting of [...differing, ...facts.database.settings]) {
    try {
      await setForDatabase(admin, database, setting)
    } catch {
      notes.push(`the setting ${setting.slice(0, setting.indexOf('='))} of production is not possible here`)
    }
  }
}

function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interrupted()
}

function interrupted(): HarnessError {
  return new HarnessError({
    code: 'INTERRUPTED',
    message: 'the restore was interrupted',
    detail: 'the database it was making is dropped again',
    exit: EXIT.interrupted,
  })
}

function exists(database: string): HarnessError {
  return new HarnessError({
    code: 'TARGET_EXISTS',
    message: `will not restore into database ${database}`,
    detail: 'it exists already, and restore creates the database it names',
    hint: 'Name another database, or drop this one first.',
    exit: EXIT.usage,
  })
}

function failed(target: string, cause: unknown): HarnessError {
  return new HarnessError({
    code: 'RESTORE_FAILED',
    message: `cannot restore into ${target.includes('://') ? describeUrl(target) : target}`,
    detail: serverReason(cause),
    hint: 'The user must be able to create databases and the disk must have room; nothing of this restore is kept.',
    cause,
  })
}
