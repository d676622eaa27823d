/**
 * Takes a snapshot: one moment of a database, masked, as files.
 *
 * The first connection opens a REPEATABLE READ transaction, locks every table against schema changes (as pg_dump does) and
 * exports its snapshot; the readers, and pg_dump, adopt it, so all read the same moment while production goes on writing.
 * Nothing stands under the given name until everything is there: the work happens in a folder beside it.
 */
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { EXIT, HarnessError } from '../../../base/errors.js'
import { readCatalog, readServerFacts } from '../../../sql/read-catalog.js'
import { type Connected, connect, describeUrl, qualified, serverReason } from '../connect.js'
import { CONNECTIONS, copyTables, type Masking, type TakeProgress, THREADS_FROM_BYTES } from './copy-tables.js'
import {
  type FileFacts,
  SNAPSHOT_FILE,
  SNAPSHOT_FORMAT,
  SNAPSHOT_FORMAT_VERSION,
  type SnapshotFacts,
} from './format.js'
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
  readonly threadsFromBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: TakeProgress) => void) | undefined
}

export async function takeSnapshot(options: TakeOptions): Promise<SnapshotFacts> {
  const out = resolve(options.out)
  refuseExisting(out, options.force)
  const draft = `${out}.${randomUUID().slice(0, 8)}.part`
  const leader = await connect(options.url)
  try {
    const { rows } = await leader.query(`SELECT current_setting('server_version_num')::int AS version`)
    const source = await findSchemaSource({
      ...options,
      path: process.env.PATH ?? '',
      serverVersionNum: rows[0].version,
    })
    mkdirSync(dirname(out), { recursive: true })
    mkdirSync(join(draft, 'data'), { recursive: true, mode: 0o700 })
    const facts = await take(leader, options, source, draft)
    refuseExisting(out, options.force)
    rmSync(out, { recursive: true, force: true })
    renameSync(draft, out)
    return facts
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw explain(error, options.url)
  } finally {
    await leader.end().catch(() => {})
  }
}

async function take(
  leader: Connected,
  options: TakeOptions,
  source: SchemaSource,
  draft: string,
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
  const schema = await readSchema(source, options.url, exported)
  const { tables: tableFacts, privacy } = await copyTables({
    url: options.url,
    exportedSnapshot: exported,
    folder: draft,
    tables,
    catalog,
    masks: options.masks,
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
      before: writeText(draft, schema.after === null ? 'schema.sql' : 'schema.pre.sql', schema.before),
      after: schema.after === null ? null : writeText(draft, 'schema.post.sql', schema.after),
    },
    tables: tableFacts,
    sequences,
    ...(await readRest(leader)),
  }
  writeText(draft, SNAPSHOT_FILE, `${JSON.stringify(facts, null, 1)}\n`)
  return facts
}

/** Held until the end; without it a table could be altered or dropped between the catalog and its copy. */
async function lock(leader: Connected, tables: readonly SourceTable[]): Promise<void> {
  if (tables.length === 0) return
  await leader.query(`SET LOCAL lock_timeout = '${LOCK_WAIT_LIMIT}'`)
  await leader.query(`LOCK TABLE ${tables.map((table) => `ONLY ${qualified(table)}`).join(', ')} IN ACCESS SHARE MODE`)
}

function writeText(folder: string, file: string, text: string): FileFacts {
  const bytes = Buffer.from(text, 'utf8')
  writeFileSync(join(folder, file), bytes, { mode: 0o600, flag: 'wx' })
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
        : ['SNAPSHOT_FAILED', 'Nothing was kept; try again when the reason is gone.']
  return new HarnessError({
    code: name!,
    message: `cannot take a snapshot of ${describeUrl(url)}`,
    detail: serverReason(error),
    hint: hint!,
    cause: error,
  })
}
