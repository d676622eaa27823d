/**
 * Takes a snapshot: one moment of a database, masked, as files.
 *
 * The first connection opens a REPEATABLE READ transaction, locks every table against schema changes (as pg_dump does) and
 * exports its snapshot; the others, and pg_dump, adopt it, so all read the same moment while production goes on writing.
 * Nothing stands under the given name until everything is there: the work happens in a folder beside it.
 */
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { assert, EXIT, HarnessError } from '../../../base/errors.js'
import type { Catalog, CatalogColumn, Relation } from '../../../segment/catalog.js'
import type { PrivacyFacts } from '../../../segment/manifest.js'
import { readCatalog, readServerFacts } from '../../../sql/read-catalog.js'
import { type Connected, connect, describeUrl, qualified, serverReason, withClient } from '../connect.js'
import { copyOut, type LineMask } from './copy-out.js'
import {
  type FileFacts,
  SNAPSHOT_FILE,
  SNAPSHOT_FORMAT,
  SNAPSHOT_FORMAT_VERSION,
  type SnapshotFacts,
  type TableFacts,
} from './format.js'
import { findSchemaSource, readSchema, type SchemaSource } from './schema.js'
import {
  LOCK_WAIT_LIMIT,
  READER_SETTINGS,
  readDatabase,
  readRest,
  readSequences,
  readTables,
  readTransactions,
  type SourceTable,
} from './source.js'

/** How the data is masked; made by whoever knows policy and key, once the catalog is known. */
export type SnapshotMasks = {
  readonly privacy: PrivacyFacts
  forTable(relation: Relation, columns: readonly CatalogColumn[]): LineMask
}

export type TakeProgress = {
  readonly table: string
  readonly tablesDone: number
  readonly tables: number
  readonly rows: number
  /** What the catalog believes there is; 0 for a table never analyzed. */
  readonly rowsEstimated: number
  readonly bytes: number
  readonly bytesEstimated: number
}

export type TakeOptions = {
  readonly url: string
  readonly out: string
  readonly masks: (catalog: Catalog) => SnapshotMasks | Promise<SnapshotMasks>
  readonly madeBy: string
  readonly schemaFile?: string | undefined
  readonly serverBin?: string | undefined
  /** Tables read at the same time, each by a connection of its own. */
  readonly connections?: number | undefined
  /** Replace what is there, if it is a snapshot. */
  readonly force?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: TakeProgress) => void) | undefined
}

const CONNECTIONS = 4

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
  await leader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const transactions = await readTransactions(leader)
  const takenAtMs = Date.now()
  const sequences = await readSequences(leader)
  const server = await readServerFacts(leader)
  const tables = await readTables(leader)
  await lock(leader, tables)
  const { rows } = await leader.query('SELECT pg_export_snapshot() AS id')
  const exported = String(rows[0].id)
  const catalog = await readCatalog(leader)
  const masks = await options.masks(catalog)
  const schema = await readSchema(source, options.url, exported)
  const facts: SnapshotFacts = {
    format: SNAPSHOT_FORMAT,
    formatVersion: SNAPSHOT_FORMAT_VERSION,
    id: randomUUID(),
    madeBy: options.madeBy,
    takenAtMs,
    server,
    database: await readDatabase(leader),
    privacy: masks.privacy,
    transactions,
    catalog,
    schema: {
      from: source.from,
      before: writeText(draft, schema.after === null ? 'schema.sql' : 'schema.pre.sql', schema.before),
      after: schema.after === null ? null : writeText(draft, 'schema.post.sql', schema.after),
    },
    tables: await copyTables(options, exported, tables, catalog, masks, draft),
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

async function copyTables(
  options: TakeOptions,
  exported: string,
  tables: readonly SourceTable[],
  catalog: Catalog,
  masks: SnapshotMasks,
  draft: string,
): Promise<TableFacts[]> {
  const relations = new Map(catalog.relations.map((relation) => [relation.oid, relation]))
  const results: TableFacts[] = []
  const totals = {
    tables: tables.length,
    rowsEstimated: tables.reduce((sum, table) => sum + table.rowsEstimated, 0),
    bytesEstimated: tables.reduce((sum, table) => sum + table.bytes, 0),
  }
  const done = { tables: 0, rows: 0, bytes: 0 }
  let next = 0
  let failure: unknown
  const failed = new AbortController()
  const stop = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])])

  const reader = () =>
    withClient(options.url, async (client) => {
      const hangUp = () => client.connection.stream.destroy()
      stop.addEventListener('abort', hangUp)
      try {
        await client.query(READER_SETTINGS)
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
        await client.query(`SET TRANSACTION SNAPSHOT '${exported}'`)
        for (let place = next++; place < tables.length && !stop.aborted; place = next++)
          results[place] = await copyTable(client, tables[place]!, place)
      } catch (error) {
        // Hanging up on the others makes them fail too; only the first reason is the reason.
        failure ??= error
        failed.abort()
      } finally {
        stop.removeEventListener('abort', hangUp)
      }
    })

  const copyTable = async (client: Connected, table: SourceTable, place: number): Promise<TableFacts> => {
    const relation = relations.get(table.oid)
    assert(relation, `table ${table.oid} is not in the catalog of its own snapshot`)
    const columns = relation.columns.filter(({ generated }) => generated === '')
    const file = `data/${String(place + 1).padStart(4, '0')}.copy.gz`
    const names = columns.map(({ name }) => name)
    let last = { rows: 0, bytes: 0 }
    const { schema, name, extension } = table
    const facts = await copyOut(
      client,
      table,
      names,
      masks.forTable(relation, columns),
      join(draft, file),
      (rows, bytes) => {
        done.rows += rows - last.rows
        done.bytes += bytes - last.bytes
        last = { rows, bytes }
        options.onProgress?.({
          ...totals,
          table: `${schema}.${name}`,
          tablesDone: done.tables,
          rows: done.rows,
          bytes: done.bytes,
        })
      },
    ).catch((error: unknown) => {
      throw unreadableTable(`${schema}.${name}`, error)
    })
    done.tables += 1
    return { schema, name, columns: names, extension, file, ...facts }
  }

  const readers = Math.min(options.connections ?? CONNECTIONS, Math.max(1, tables.length))
  await Promise.all(Array.from({ length: readers }, reader))
  if (options.signal?.aborted) throw interrupted()
  if (failure !== undefined) throw failure
  return results
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

function unreadableTable(table: string, cause: unknown): HarnessError {
  if (cause instanceof HarnessError) return cause
  const forbidden = (cause as { code?: string }).code === '42501'
  return new HarnessError({
    code: forbidden ? 'TABLE_FORBIDDEN' : 'TABLE_UNREADABLE',
    message: `cannot read table ${table}`,
    detail: serverReason(cause),
    hint: forbidden
      ? 'Give the user the right to read everything: GRANT pg_read_all_data TO … (14 and later); row-level security also needs BYPASSRLS.'
      : 'Nothing was kept; try again when the reason is gone.',
    cause,
  })
}

function interrupted(): HarnessError {
  return new HarnessError({
    code: 'INTERRUPTED',
    message: 'the snapshot was interrupted',
    detail: 'nothing of it was kept',
    exit: EXIT.interrupted,
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
