/**
 * A reader: one connection that adopts the exported snapshot and copies tables until none is left. Several run at the same
 * time, in threads where masking is worth them.
 */
import { join } from 'node:path'
import { type Connected, serverReason, withClient } from '../connect.js'
import { type Board, count, countTable, stop, stopped, takeNext } from './board.js'
import { copyOut, type LineMask } from './copy-out.js'
import type { TableFacts } from './format.js'
import { READER_SETTINGS, type SourceTable } from './source.js'

export type TableJob = {
  readonly table: SourceTable
  /** Without generated columns, in the order of the file's fields. */
  readonly columns: readonly { readonly name: string; readonly attnum: number }[]
  readonly file: string
}

export type ReaderJob = {
  readonly url: string
  readonly exportedSnapshot: string
  readonly folder: string
  readonly tables: readonly TableJob[]
  readonly board: Board
}

/** Plain data, because an error of ours would not survive the way out of a thread. */
export type ReaderFailure = { readonly table: string | null; readonly code: string; readonly reason: string }

export type ReaderResult = {
  readonly done: readonly { readonly place: number; readonly facts: TableFacts }[]
  readonly failure: ReaderFailure | null
}

/** A failure tells the other readers to stop; theirs is then none. */
export async function readTables(job: ReaderJob, maskOf: (table: TableJob) => LineMask): Promise<ReaderResult> {
  const done: { place: number; facts: TableFacts }[] = []
  let reading: string | null = null
  try {
    await withClient(job.url, async (client) => {
      await client.query(READER_SETTINGS)
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      await client.query(`SET TRANSACTION SNAPSHOT '${job.exportedSnapshot}'`)
      while (!stopped(job.board)) {
        const place = takeNext(job.board)
        const table = job.tables[place]
        if (table === undefined) return
        reading = `${table.table.schema}.${table.table.name}`
        done.push({ place, facts: await readTable(client, job, table, maskOf(table)) })
        reading = null
        countTable(job.board)
      }
    })
    return { done, failure: null }
  } catch (error) {
    if (stopped(job.board)) return { done, failure: null }
    stop(job.board)
    const { code = '' } = error as { code?: string }
    return { done, failure: { table: reading, code, reason: serverReason(error) } }
  }
}

async function readTable(
  client: Connected,
  job: ReaderJob,
  { table, columns, file }: TableJob,
  mask: LineMask,
): Promise<TableFacts> {
  const names = columns.map(({ name }) => name)
  let rowsSaid = 0
  let bytesSaid = 0
  const facts = await copyOut(client, table, names, mask, join(job.folder, file), (rows, bytes) => {
    if (stopped(job.board)) throw new Error('told to stop')
    count(job.board, rows - rowsSaid, bytes - bytesSaid)
    rowsSaid = rows
    bytesSaid = bytes
  })
  const { schema, name, extension } = table
  return { schema, name, columns: names, extension, file, ...facts }
}
