/**
 * Takes a snapshot: one moment of a database, masked, as files.
 *
 * The first connection opens a REPEATABLE READ transaction, locks every table against schema changes (as pg_dump does) and
 * exports its snapshot; the readers, and pg_dump, adopt it, so all read the same moment while production goes on writing.
 * Nothing stands under the given name until everything is there: the work happens in a folder beside it (./draft.ts).
 */
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EXIT, HarnessError } from '../../../base/errors.js'
import type { Catalog } from '../../../segment/catalog.js'
import { readCatalog, readServerFacts } from '../../../sql/read-catalog.js'
import { type Connected, connect, describeUrl, qualified, serverReason } from '../connect.js'
import { CONNECTIONS, copyTables, type Masking, type TakeProgress, THREADS_FROM_BYTES } from './copy-tables.js'
import { closeDraft, type Draft, keepable, leaveDraft, openDraft } from './draft.js'
import {
  type FileFacts,
  SNAPSHOT_FILE,
  SNAPSHOT_FORMAT,
  SNAPSHOT_FORMAT_VERSION,
  type SnapshotFacts,
} from './format.js'
import { privacyFacts } from './masks.js'
import { type Choice, chooseRows, type TableSample } from './sample.js'
import { findSchemaSource, readSchema, type SchemaSource } from './schema.js'
import {
  LOCK_WAIT_LIMIT,
  READER_SETTINGS,
  readBefore,
  readDatabase,
  readRest,
  readSequences,
  readTables,
  readTransactions,
  type SourceTable,
} from './source.js'

export type TakeOptions = {
  readonly url: string
  readonly out: string
  readonly masks: Masking
  readonly madeBy: string
  readonly schemaFile?: string | undefined
  readonly serverBin?: string | undefined
  /** Tables read at the same time, each by a connection of its own. */
  readonly connections?: number | undefined
  /** Replace what is there, if it is a snapshot. */
  readonly force?: boolean | undefined
  /** Go on with what an interrupted attempt has finished, where it is still right. */
  readonly resume?: boolean | undefined
  /** Tables of which a share is taken, and what refers to them with it. */
  readonly samples?: readonly TableSample[] | undefined
  readonly threadsFromBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: TakeProgress) => void) | undefined
}

export async function takeSnapshot(options: TakeOptions): Promise<SnapshotFacts> {
  const out = resolve(options.out)
  refuseExisting(out, options.force)
  const draft = openDraft(out, options.resume ?? false, isAlive)
  let leader: Connected | null = null
  try {
    leader = await connect(options.url)
    const { rows } = await leader.query(`SELECT current_setting('server_version_num')::int AS version`)
    const source = await findSchemaSource({
      ...options,
      path: process.env.PATH ?? '',
      serverVersionNum: rows[0].version,
    })
    const facts = await take(leader, options, source, draft)
    refuseExisting(out, options.force)
    rmSync(out, { recursive: true, force: true })
    closeDraft(draft)
    renameSync(draft.folder, out)
    return facts
  } catch (error) {
    throw withWhatIsKept(explain(error, options.url), leaveDraft(draft))
  } finally {
    await leader?.end().catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function withWhatIsKept(error: unknown, tables: number): unknown {
  if (!(error instanceof HarnessError)) return error
  const { code, message, detail, hint, exit, cause } = error
  const kept =
    tables === 0 ? 'nothing of it was kept' : `${tables} tables are finished and kept; --resume goes on with them`
  return new HarnessError({
    code,
    message,
    detail: detail === undefined ? kept : `${detail}; ${kept}`,
    exit,
    cause,
    ...(hint === undefined ? {} : { hint }),
  })
}

async function take(
  leader: Connected,
  options: TakeOptions,
  source: SchemaSource,
  draft: Draft,
): Promise<SnapshotFacts> {
  await leader.query(READER_SETTINGS)
  const before = await readBefore(leader)
  await leader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const transactions = await readTransactions(leader, before)
  const takenAtMs = Date.now()
  const sequences = await readSequences(leader)
  const server = await readServerFacts(leader)
  const tables = await readTables(leader)
  await lock(leader, tables)
  const { rows } = await leader.query('SELECT pg_export_snapshot() AS id')
  const exported = String(rows[0].id)
  const catalog = await readCatalog(leader)
  const { masks, samples = [] } = options
  const privacy = typeof masks === 'function' ? masks(catalog).privacy : privacyFacts(masks)
  const { systemIdentifier } = server
  const of = { ...privacy, systemIdentifier, database: catalog.database, catalogHash: hashOf(catalog) }
  const finished = keepable(draft, of)
  const choices = await chooseRows(leader, samples)
  const schema = await readSchema(source, options.url, exported)
  const tableFacts = await copyTables({
    url: options.url,
    exportedSnapshot: exported,
    folder: draft.folder,
    of,
    snapshot: transactions.snapshot,
    finished,
    choices,
    tables,
    catalog,
    masks,
    connections: options.connections ?? CONNECTIONS,
    threadsFromBytes: options.threadsFromBytes ?? THREADS_FROM_BYTES,
    signal: options.signal,
    onProgress: options.onProgress,
  })
  const facts: SnapshotFacts = {
    format: SNAPSHOT_FORMAT,
    formatVersion: SNAPSHOT_FORMAT_VERSION,
    id: randomUUID(),
    madeBy: options.madeBy,
    takenAtMs,
    server,
    database: await readDatabase(leader),
    privacy,
    transactions,
    catalog,
    schema: {
      from: source.from,
      before: writeText(draft.folder, schema.after === null ? 'schema.sql' : 'schema.pre.sql', schema.before),
      after: schema.after === null ? null : writeText(draft.folder, 'schema.post.sql', schema.after),
    },
    tables: tableFacts,
    ...(samples.length === 0 ? {} : { sampled: sampledFacts(tables, choices) }),
    sequences,
    ...(await readRest(leader)),
  }
  writeText(draft.folder, SNAPSHOT_FILE, `${JSON.stringify(facts, null, 1)}\n`)
  return facts
}

function sampledFacts(
  tables: readonly SourceTable[],
  choices: ReadonlyMap<number, Choice>,
): NonNullable<SnapshotFacts['sampled']> {
  return tables.flatMap(({ oid, schema, name, rowsEstimated }) => {
    const choice = choices.get(oid)
    return choice === undefined ? [] : [{ schema, name, share: choice.share, rowsEstimated }]
  })
}

/** Keys of sequences and the like are in it, their positions are not. */
function hashOf(catalog: Catalog): string {
  return createHash('sha256')
    .update(JSON.stringify([catalog.relations, catalog.types]))
    .digest('hex')
}

/** Held until the end; without it a table could be altered or dropped between the catalog and its copy. */
async function lock(leader: Connected, tables: readonly SourceTable[]): Promise<void> {
  if (tables.length === 0) return
  await leader.query(`SET LOCAL lock_timeout = '${LOCK_WAIT_LIMIT}'`)
  await leader.query(`LOCK TABLE ${tables.map((table) => `ONLY ${qualified(table)}`).join(', ')} IN ACCESS SHARE MODE`)
}

function writeText(folder: string, file: string, text: string): FileFacts {
  const bytes = Buffer.from(text, 'utf8')
  writeFileSync(join(folder, file), bytes, { mode: 0o600 })
  return { file, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

function refuseExisting(out: string, force = false): void {
  if (!existsSync(out) || (force && existsSync(join(out, SNAPSHOT_FILE)))) return
  throw new HarnessError({
    code: 'OUT_EXISTS',
    message: `will not overwrite ${out}`,
    detail: force ? 'it is not a snapshot' : 'something of that name exists',
    hint: force ? 'Name another folder with --out.' : 'Name another folder with --out, or replace it with --force.',
    exit: EXIT.usage,
  })
}

function explain(error: unknown, url: string): unknown {
  const { code } = error as { code?: string }
  if (error instanceof HarnessError || typeof code !== 'string') return error
  const [name, hint] =
    code === '55P03'
      ? [
          'TABLE_LOCKED',
          `Somebody changes a table's schema; it was waited for ${LOCK_WAIT_LIMIT}. Try again when they are done.`,
        ]
      : code === '42501'
        ? ['TABLE_FORBIDDEN', 'Give the user the right to read everything: GRANT pg_read_all_data TO … (14 and later).']
        : ['SNAPSHOT_FAILED', 'Try again when the reason is gone.']
  return new HarnessError({
    code: name!,
    message: `cannot take a snapshot of ${describeUrl(url)}`,
    detail: serverReason(error),
    hint: hint!,
    cause: error,
  })
}
