/**
 * All tables of a snapshot: how many readers, where they run, what they report, what becomes of a failure.
 *
 * Masking is what costs (a token a few µs), so a database of some size is read by threads; a small one is done before
 * threads have started. Masks made by the caller cannot travel to a thread and are used here.
 */
import { availableParallelism } from 'node:os'
import { Piscina } from 'piscina'
import { assert, EXIT, HarnessError } from '../../../base/errors.js'
import { workerFile } from '../../../base/worker-file.js'
import type { Catalog } from '../../../segment/catalog.js'
import { createBoard, read, stop } from './board.js'
import type { DraftOf, Finished } from './draft.js'
import type { TableFacts } from './format.js'
import { createMasks, type MaskSettings, type SnapshotMasks } from './masks.js'
import { type ReaderFailure, type ReaderJob, type ReaderResult, readTables, type TableJob } from './reader.js'
import type { ReaderThreadData } from './reader.worker.js'
import type { Choice } from './sample.js'
import type { SourceTable } from './source.js'

export type TakeProgress = {
  /** The table begun last. */
  readonly table: string
  readonly tablesDone: number
  readonly tables: number
  readonly rows: number
  /** What the catalog believes there is; 0 for tables never analyzed. */
  readonly rowsEstimated: number
  readonly bytes: number
  readonly bytesEstimated: number
}

/** Either policy and key, or ready-made masks. */
export type Masking = MaskSettings | ((catalog: Catalog) => SnapshotMasks)

export type CopyTables = {
  readonly url: string
  readonly exportedSnapshot: string
  readonly folder: string
  readonly tables: readonly SourceTable[]
  readonly catalog: Catalog
  readonly masks: Masking
  readonly of: DraftOf
  /** `xmin:xmax:xip,…` of the exported snapshot. */
  readonly snapshot: string
  /** What an earlier attempt has finished, by table. */
  readonly finished: ReadonlyMap<number, Finished>
  /** Of tables that are not taken whole. */
  readonly choices: ReadonlyMap<number, Choice>
  readonly connections: number
  /** From this many bytes on, threads are worth starting. */
  readonly threadsFromBytes: number
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((progress: TakeProgress) => void) | undefined
}

export const CONNECTIONS = 4
export const THREADS_FROM_BYTES = 16 * 1024 * 1024
const PROGRESS_MS = 200

export async function copyTables(options: CopyTables): Promise<TableFacts[]> {
  const { masks, tables, catalog, signal } = options
  const board = createBoard()
  const { url, exportedSnapshot, folder, of, snapshot } = options
  const job: ReaderJob = { url, exportedSnapshot, folder, of, snapshot, tables: jobs(options), board }
  const totals = {
    tables: tables.length,
    rowsEstimated: tables.reduce((sum, table) => sum + table.rowsEstimated, 0),
    bytesEstimated: tables.reduce((sum, table) => sum + table.bytes, 0),
  }
  const report = () => {
    const { current, ...counts } = read(board)
    const { schema, name } = tables[Math.min(current, tables.length - 1)] ?? { schema: '', name: '' }
    options.onProgress?.({ ...totals, ...counts, table: `${schema}.${name}` })
  }
  const halt = () => stop(board)
  signal?.addEventListener('abort', halt)
  const reporting = setInterval(report, PROGRESS_MS)
  try {
    report()
    if (signal?.aborted) throw interrupted()
    const readers = Math.max(1, Math.min(options.connections, tables.length))
    const inThreads = typeof masks !== 'function' && totals.bytesEstimated >= options.threadsFromBytes
    const results = inThreads
      ? await readInThreads(job, { ...masks, catalog }, Math.min(readers, availableParallelism()))
      : await readHere(job, typeof masks === 'function' ? masks(catalog) : await createMasks(masks, catalog), readers)
    report()
    if (signal?.aborted) throw interrupted()
    const failure = results.find((result) => result.failure !== null)?.failure
    if (failure) throw unreadable(failure)
    const facts: TableFacts[] = []
    for (const { place, facts: one } of results.flatMap((result) => result.done)) facts[place] = one
    assert(facts.filter(Boolean).length === tables.length, 'a table of the snapshot was read by nobody')
    return facts
  } finally {
    clearInterval(reporting)
    signal?.removeEventListener('abort', halt)
  }
}

function jobs({ tables, catalog, finished, choices }: CopyTables): TableJob[] {
  const taken = new Set([...finished.values()].map(({ facts }) => facts.file))
  const names = unusedNames(taken)
  const relations = new Map(catalog.relations.map((relation) => [relation.oid, relation]))
  return tables.map((table) => {
    const relation = relations.get(table.oid)
    assert(relation, `table ${table.oid} is not in the catalog of its own snapshot`)
    const columns = relation.columns.filter(({ generated }) => generated === '')
    return {
      table,
      columns: columns.map(({ name, attnum }) => ({ name, attnum })),
      file: finished.get(table.oid)?.facts.file ?? names.next().value!,
      choice: choices.get(table.oid) ?? null,
      finished: finished.get(table.oid) ?? null,
    }
  })
}

function* unusedNames(taken: ReadonlySet<string>): Generator<string, never> {
  for (let number = 1; ; number++) {
    const file = `data/${String(number).padStart(4, '0')}.copy.gz`
    if (!taken.has(file)) yield file
  }
}

function readHere(job: ReaderJob, masks: SnapshotMasks, readers: number): Promise<ReaderResult[]> {
  const maskOf = ({ table, columns }: TableJob) => masks.forTable(table.oid, columns)
  return Promise.all(Array.from({ length: readers }, () => readTables(job, maskOf)))
}

async function readInThreads(job: ReaderJob, workerData: ReaderThreadData, threads: number): Promise<ReaderResult[]> {
  const pool = new Piscina({
    filename: workerFile(import.meta.url, './reader.worker.js'),
    minThreads: threads,
    maxThreads: threads,
    workerData,
    // A parked worker would also park its connection.
    atomics: 'disabled',
  })
  try {
    return await Promise.all(Array.from({ length: threads }, () => pool.run(job) as Promise<ReaderResult>))
  } finally {
    await pool.destroy()
  }
}

function unreadable({ table, code, reason }: ReaderFailure): HarnessError {
  const forbidden = code === '42501'
  return new HarnessError({
    code: forbidden ? 'TABLE_FORBIDDEN' : 'TABLE_UNREADABLE',
    message: table === null ? 'cannot read the tables' : `cannot read table ${table}`,
    detail: reason,
    hint: forbidden
      ? 'Give the user the right to read everything: GRANT pg_read_all_data TO … (14 and later); row-level security also needs BYPASSRLS.'
      : code === '40001'
        ? 'A standby ends what holds up its recovery: set hot_standby_feedback = on there, or raise max_standby_streaming_delay.'
        : 'Try again when the reason is gone.',
  })
}

function interrupted(): HarnessError {
  return new HarnessError({
    code: 'INTERRUPTED',
    message: 'the snapshot was interrupted',
    exit: EXIT.interrupted,
  })
}
