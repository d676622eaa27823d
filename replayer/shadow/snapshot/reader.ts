/**
 * A reader: one connection that adopts the exported snapshot and copies tables until none is left. Several run at the same
 * time, in threads where masking is worth them.
 */
import { createReadStream, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Connected, qualified, serverReason, withClient } from '../connect.js'
import { type Board, count, countTable, stop, stopped, takeNext } from './board.js'
import { copyOut, type LineMask, Seal } from './copy-out.js'
import { type DraftOf, type Finished, noteFinished } from './draft.js'
import type { TableFacts } from './format.js'
import type { Choice } from './sample.js'
import { READER_SETTINGS, type SourceTable } from './source.js'

export type TableJob = {
  readonly table: SourceTable
  /** Without generated columns, in the order of the file's fields. */
  readonly columns: readonly { readonly name: string; readonly attnum: number }[]
  readonly file: string
  /** Not all of its rows. */
  readonly choice: Choice | null
  /** An earlier attempt's, which may still be right. */
  readonly finished: Finished | null
}

export type ReaderJob = {
  readonly url: string
  readonly exportedSnapshot: string
  readonly folder: string
  readonly of: DraftOf
  /** `xmin:xmax:xip,…`. */
  readonly snapshot: string
  readonly tables: readonly TableJob[]
  readonly board: Board
}

/** Plain data, because an error of ours would not survive the way out of a thread. */
export type ReaderFailure = { readonly table: string | null; readonly code: string; readonly reason: string }

export type ReaderResult = {
  readonly done: readonly { readonly place: number; readonly facts: TableFacts }[]
  readonly failure: ReaderFailure | null
}

const TRIES_MAX = 3

/** A failure tells the other readers to stop; theirs is then none. A table whose connection was lost is read again. */
export async function readTables(job: ReaderJob, maskOf: (table: TableJob) => LineMask): Promise<ReaderResult> {
  const done: { place: number; facts: TableFacts }[] = []
  let place = takeNext(job.board)
  for (let tries = 1; ; ) {
    try {
      await withClient(job.url, async (client) => {
        await client.query(READER_SETTINGS)
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
        await client.query(`SET TRANSACTION SNAPSHOT '${job.exportedSnapshot}'`)
        for (; !stopped(job.board); place = takeNext(job.board)) {
          const table = job.tables[place]
          if (table === undefined) return
          done.push({ place, facts: await readTable(client, job, table, maskOf(table)) })
          tries = 1
          countTable(job.board)
        }
      })
      return { done, failure: null }
    } catch (error) {
      if (stopped(job.board)) return { done, failure: null }
      if (isLost(error) && tries++ < TRIES_MAX) continue
      stop(job.board)
      const { code = '' } = error as { code?: string }
      const reading = job.tables[place]?.table
      return {
        done,
        failure: { table: reading ? `${reading.schema}.${reading.name}` : null, code, reason: serverReason(error) },
      }
    }
  }
}

/** The connection, not the server's judgement; the snapshot is held by another connection. */
function isLost(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  return /^(08...|57P0[123]|ECONNRESET|EPIPE|ETIMEDOUT)$/.test(code) || /^Connection terminated/.test(message)
}

async function readTable(client: Connected, job: ReaderJob, table: TableJob, mask: LineMask): Promise<TableFacts> {
  const { table: source, columns, file, choice, finished } = table
  const path = join(job.folder, file)
  if (finished !== null && choice === null && (await isTheSame(client, source, finished, path))) return finished.facts
  rmSync(path, { force: true })
  const names = columns.map(({ name }) => name)
  let rowsSaid = 0
  let bytesSaid = 0
  try {
    const copied = await copyOut(client, source, names, choice, mask, path, (rows, bytes) => {
      if (stopped(job.board)) throw new Error('told to stop')
      count(job.board, rows - rowsSaid, bytes - bytesSaid)
      rowsSaid = rows
      bytesSaid = bytes
    })
    const { schema, name, extension } = source
    const facts = { schema, name, columns: names, extension, file, ...copied }
    if (choice === null && source.condition === '')
      noteFinished(job.folder, { oid: source.oid, of: job.of, snapshot: job.snapshot, facts })
    return facts
  } catch (error) {
    count(job.board, -rowsSaid, -bytesSaid)
    throw error
  }
}

/** See ./draft.ts. Transaction ids are those of 32 bits, compared as the server does. */
async function isTheSame(
  client: Connected,
  table: SourceTable,
  { snapshot, facts }: Finished,
  path: string,
): Promise<boolean> {
  if (!existsSync(path) || (await checksum(path)) !== facts.sha256) return false
  const oldest = BigInt.asUintN(32, BigInt(snapshot.split(':')[0]!))
  await client.query('SAVEPOINT look')
  try {
    const { rows } = await client.query(
      `SELECT count(*)::text AS rows, count(*) FILTER (WHERE (xmin::text::int8 - ${oldest} + 4294967296) % 4294967296 < 2147483648)::text AS newer
         FROM ONLY ${qualified(table)}`,
    )
    await client.query('RELEASE SAVEPOINT look')
    return rows[0].newer === '0' && rows[0].rows === String(facts.rows)
  } catch (error) {
    if (isLost(error)) throw error
    // Its storage knows no transaction ids.
    await client.query('ROLLBACK TO SAVEPOINT look')
    return false
  }
}

async function checksum(path: string): Promise<string> {
  const seal = new Seal()
  await pipeline(createReadStream(path), seal, new Writable({ write: (_chunk, _encoding, done) => done() }))
  return seal.sha256()
}
