/**
 * Brings a snapshot's data into a database whose tables exist: rows, sequence positions, materialized views.
 */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { from as copyFrom } from 'pg-copy-streams'
import { HarnessError } from '../../../base/errors.js'
import type { Catalog } from '../../../segment/catalog.js'
import { type Connected, qualified, quoteIdentifier, quoteLiteral, serverReason } from '../connect.js'
import { Seal } from './copy-out.js'
import type { SequenceFacts, SnapshotFacts, TableFacts } from './format.js'

/** What the files were written with; data types read their text form by these. */
export const WRITER_SETTINGS = `
  SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';
  SET statement_timeout = 0; SET search_path = ''`

export const MASK_FAULT_HINT =
  'A masked value does not meet the constraint: give its column another kind in the policy, or `keep`.'

const OBJECT_NOT_POPULATED = '55000'

export async function copyIn(client: Connected, snapshot: string, table: TableFacts, into: string): Promise<void> {
  const list = table.columns.map(quoteIdentifier).join(', ')
  const seal = new Seal()
  const target = client.query(copyFrom(`COPY ${into}${list && ` (${list})`} FROM STDIN`))
  try {
    await pipeline(createReadStream(join(snapshot, table.file)), seal, createGunzip(), target)
  } catch (cause) {
    throw unloadable(snapshot, table, cause)
  }
  if (seal.sha256() !== table.sha256 || target.rowCount !== table.rows) throw damaged(snapshot, table)
}

/**
 * Where a table's rows go. A schema given as a file may lack partitions that production makes as time goes by; their rows
 * go to the table they are a part of.
 */
export async function targetOf(client: Connected, table: TableFacts, catalog: Catalog): Promise<string> {
  const relations = new Map(catalog.relations.map((relation) => [relation.oid, relation]))
  let candidate = catalog.relations.find(({ schema, name }) => schema === table.schema && name === table.name)
  while (candidate !== undefined) {
    const name = qualified(candidate)
    const { rows } = await client.query('SELECT to_regclass($1) IS NOT NULL AS exists', [name])
    if (rows[0].exists) return name
    const parent = relations.get(candidate.parents[0] ?? 0)
    candidate = parent?.kind === 'partitioned' ? parent : undefined
  }
  throw new HarnessError({
    code: 'SCHEMA_LACKS_TABLE',
    message: `cannot load table ${table.schema}.${table.name}`,
    detail: "the snapshot's schema does not create it",
    hint: 'Take the snapshot again with a schema file that matches the database.',
  })
}

export async function setSequences(client: Connected, sequences: readonly SequenceFacts[]): Promise<void> {
  const values = sequences
    .map((one) => `(${quoteLiteral(qualified(one))}, ${one.lastValue}, ${one.isCalled})`)
    .join(', ')
  if (values === '') return
  // One that only production has (made by hand, or by a job) is nobody's default here.
  await client.query(`SELECT setval(to_regclass(s.name), s.value::bigint, s.called)
    FROM (VALUES ${values}) s (name, value, called) WHERE to_regclass(s.name) IS NOT NULL`)
}

/** One may read another, in any order of names: those that cannot yet are tried again after the rest. */
export async function refreshViews(client: Connected, views: SnapshotFacts['populated']): Promise<void> {
  let waiting = [...views]
  while (waiting.length > 0) {
    const again: typeof waiting = []
    for (const view of waiting) {
      try {
        await client.query(`REFRESH MATERIALIZED VIEW ${qualified(view)}`)
      } catch (error) {
        if ((error as { code?: string }).code !== OBJECT_NOT_POPULATED) throw error
        again.push(view)
      }
    }
    if (again.length === waiting.length) return
    waiting = again
  }
}

function unloadable(snapshot: string, table: TableFacts, cause: unknown): HarnessError {
  const { code = '' } = cause as { code?: string }
  const place = `${table.schema}.${table.name}`
  if (code.startsWith('Z_') || code === 'ENOENT' || code === 'ERR_STREAM_PREMATURE_CLOSE')
    return damaged(snapshot, table, cause)
  return new HarnessError({
    code: code.startsWith('23') ? 'MASK_BREAKS_CONSTRAINT' : 'TABLE_NOT_LOADED',
    message: `cannot load table ${place}`,
    detail: serverReason(cause),
    hint: code.startsWith('23') ? MASK_FAULT_HINT : 'Take the snapshot again with a schema that matches the database.',
    cause,
  })
}

function damaged(snapshot: string, table: TableFacts, cause?: unknown): HarnessError {
  return new HarnessError({
    code: 'SNAPSHOT_DAMAGED',
    message: `snapshot ${snapshot} is damaged`,
    detail: `${table.file} is not what was written when the snapshot was taken`,
    hint: 'Copy the snapshot again from where it was taken, or take a new one.',
    cause,
  })
}
