/**
 * A snapshot on disk: a folder with `snapshot.json`, the schema as SQL, and one file of masked COPY lines per table.
 *
 *   snapshot.json         everything below
 *   schema.sql            as the user gave it; or schema.pre.sql and schema.post.sql, as pg_dump splits it around the data
 *   data/0001.copy.gz     gzip of COPY text lines, one row a line
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT, HarnessError } from '../../../base/errors.js'
import type { Catalog } from '../../../segment/catalog.js'
import type { PrivacyFacts, ServerFacts } from '../../../segment/manifest.js'

export const SNAPSHOT_FORMAT = 'pgrehearse snapshot'
export const SNAPSHOT_FORMAT_VERSION = 1
export const SNAPSHOT_FILE = 'snapshot.json'

export type FileFacts = {
  /** Relative to the snapshot's folder. */
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

export type TableFacts = FileFacts & {
  readonly schema: string
  readonly name: string
  /** In the order of the file's fields; generated columns are left out. */
  readonly columns: readonly string[]
  readonly rows: number
  /** Created by an extension, which brings its own first rows. */
  readonly extension: string | null
}

export type SequenceFacts = {
  readonly schema: string
  readonly name: string
  /** As text: a bigint need not fit a JSON number. */
  readonly lastValue: string
  readonly isCalled: boolean
}

/** Transactions the snapshot may not contain, so that a replay knows which recorded ones it has to bring. */
export type TransactionFacts = {
  /** `xmin:xmax:xip,…`, as txid_current_snapshot() prints it. */
  readonly snapshot: string
  /** Those with a transaction id at that moment, by the backend they run in. */
  readonly inProgress: readonly UnderWay[]
  /** By the server's clock, in microseconds since the epoch: the snapshot was taken between the two. Older snapshots have none, nor has one of a standby that never replayed a commit. */
  readonly moment?: { readonly fromUs: number; readonly toUs: number }
}

export type UnderWay = {
  readonly pid: number
  readonly xid: string
  readonly startedAtMs: number
  /** The same, in microseconds since the epoch. */
  readonly startedUs?: number
}

export type DatabaseFacts = {
  readonly encoding: string
  readonly collate: string
  readonly ctype: string
  /** `c` libc, `i` ICU, `b` built in. */
  readonly localeProvider: string
  /** Of ICU or of the built-in provider; null with libc. */
  readonly locale: string | null
  /** `name=value`: what ALTER DATABASE … SET gave it. */
  readonly settings: readonly string[]
}

export type SnapshotFacts = {
  readonly format: typeof SNAPSHOT_FORMAT
  readonly formatVersion: number
  readonly id: string
  readonly madeBy: string
  readonly takenAtMs: number
  /** `startLsn` is the WAL position right after the snapshot was taken. */
  readonly server: ServerFacts
  readonly database: DatabaseFacts
  readonly privacy: PrivacyFacts
  readonly transactions: TransactionFacts
  readonly catalog: Catalog
  readonly schema: { readonly from: 'pg_dump' | 'file'; readonly before: FileFacts; readonly after: FileFacts | null }
  readonly tables: readonly TableFacts[]
  /** Tables that are not here whole. `share`: null where a table has fewer rows because it refers to one that has. Absent: all are whole. */
  readonly sampled?: readonly {
    readonly schema: string
    readonly name: string
    readonly share: number | null
    /** Of the whole table, as the catalog believes. */
    readonly rowsEstimated: number
  }[]
  readonly sequences: readonly SequenceFacts[]
  /** Materialized views that held rows; they are computed again. */
  readonly populated: readonly { readonly schema: string; readonly name: string }[]
  /** What exists in the database and is not in here: foreign tables, large objects. */
  readonly notTaken: readonly { readonly what: string; readonly why: string }[]
}

export function readSnapshot(folder: string): SnapshotFacts {
  const path = join(folder, SNAPSHOT_FILE)
  let parsed: Partial<SnapshotFacts>
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8')) as Partial<SnapshotFacts>
  } catch (cause) {
    throw notASnapshot(folder, `${SNAPSHOT_FILE} cannot be read: ${(cause as Error).message.split('\n')[0]}`, cause)
  }
  if (parsed.format !== SNAPSHOT_FORMAT) throw notASnapshot(folder, `${SNAPSHOT_FILE} is something else`)
  if (typeof parsed.formatVersion !== 'number' || parsed.formatVersion > SNAPSHOT_FORMAT_VERSION)
    throw new HarnessError({
      code: 'SNAPSHOT_TOO_NEW',
      message: `cannot read snapshot ${folder}`,
      detail: `it has format ${parsed.formatVersion}; this build reads up to ${SNAPSHOT_FORMAT_VERSION}`,
      hint: 'Upgrade pgrehearse, or take the snapshot again with this version.',
      exit: EXIT.usage,
    })
  return parsed as SnapshotFacts
}

function notASnapshot(folder: string, detail: string, cause?: unknown): HarnessError {
  return new HarnessError({
    code: 'NOT_A_SNAPSHOT',
    message: `${folder} is not a snapshot`,
    detail,
    hint: 'Name the folder that `pgrehearse snapshot take --out` wrote.',
    exit: EXIT.usage,
    cause,
  })
}
