/** A reader in a thread of its own: makes its own masks once, then copies. */
import { workerData } from 'piscina'
import type { Key } from '../../../privacy/key.js'
import { createMasker } from '../../../privacy/masker.js'
import type { Policy } from '../../../privacy/policy/policy.js'
import type { Catalog } from '../../../segment/catalog.js'
import { type ReaderJob, type ReaderResult, readTables } from './reader.js'

export type ReaderThreadData = { readonly policy: Policy; readonly key: Key; readonly catalog: Catalog }

const masker = createMasker(workerData as ReaderThreadData)

export default async function read(job: ReaderJob): Promise<ReaderResult> {
  const { copyLine } = await masker
  return readTables(job, ({ table, columns }) =>
    copyLine(
      table.oid,
      columns.map(({ attnum }) => attnum),
    ),
  )
}
