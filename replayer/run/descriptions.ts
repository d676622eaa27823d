/**
 * Descriptions of rows. They repeat: equal bytes give the same arrays, so nothing is decoded twice, results of one shape share a
 * digest, and the run's codec writes a set of columns once.
 */
import type { Column } from '../../segment/outcome.js'
import { type DescribedColumn, decodeRowDescription } from '../../wire/backend.js'
import type { Format } from '../../wire/bind.js'

export type Described = { readonly columns: readonly Column[]; readonly formats: readonly Format[] }

const DESCRIPTIONS_MAX = 5000
const descriptions = new Map<string, Described>()

export function describe(buffer: Buffer, start: number, end: number): Described | null {
  const key = buffer.toString('latin1', start, end)
  let described = descriptions.get(key)
  if (described === undefined) {
    const columns = decodeRowDescription(buffer, start, end)
    if (columns === null) return null
    described = { columns: columns.map(columnOf), formats: columns.map(({ format }) => format) }
    if (descriptions.size >= DESCRIPTIONS_MAX) descriptions.clear()
    descriptions.set(key, described)
  }
  return described
}

function columnOf({ name, typeOid, typmod, tableOid, attnum }: DescribedColumn): Column {
  return { name, typeOid, typmod, tableOid, attnum }
}
