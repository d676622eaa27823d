/**
 * The discrepancy table in a PostgreSQL of the user's: the columns of `comparator_discrepancy_log`, one transaction, streamed. What a
 * diff has put there once is not put there again, so a table can collect the diffs of many rehearsals.
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { EXIT, HarnessError } from '../base/errors.js'
import { type Connected, describeUrl, quoteIdentifier, withClient } from '../replayer/shadow/connect.js'
import { readMarker } from '../replayer/shadow/marker.js'
import type { DiffSource } from '../reports/source.js'
import { CSV_COLUMNS, csvLines } from '../reports/table.js'

export const DEFAULT_TABLE = 'comparator_discrepancy_log'

/** `json`, not `jsonb`: captured text may hold what jsonb refuses, like an escaped NUL. */
const TYPES: Readonly<Record<(typeof CSV_COLUMNS)[number], string>> = {
  alert_id: 'text PRIMARY KEY',
  trace_id: 'text NOT NULL',
  sql_statement: 'text NOT NULL',
  mismatch_type: `text NOT NULL CHECK (mismatch_type IN
    ('SEMANTIC_MISMATCH', 'SQL_ERROR', 'SCHEMA_CONSTRAINT_VIOLATION', 'LATENCY_SPIKE'))`,
  production_response_digest: 'text NOT NULL',
  shadow_response_digest: 'text NOT NULL',
  production_latency_ms: 'double precision NOT NULL',
  shadow_latency_ms: 'double precision NOT NULL',
  discrepancy_json: 'json NOT NULL',
  created_at: 'timestamptz NOT NULL',
}

export type TableName = { readonly schema: string | null; readonly table: string }

export type Exported = {
  /** `public.comparator_discrepancy_log in triage on db.example`. */
  readonly place: string
  readonly added: number
  /** Were there already, from an earlier export of the same diff. */
  readonly known: number
}

/** `table` or `schema.table`, taken as it is written: capitals count, and no quotes are needed. */
export function parseTableName(text: string): TableName {
  const parts = text.split('.')
  const [first = '', second] = parts
  const usable = parts.every((part) => part !== '' && !part.includes('\u0000') && Buffer.byteLength(part) <= 63)
  if (parts.length <= 2 && usable)
    return second === undefined ? { schema: null, table: first } : { schema: first, table: second }
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: '--postgres-table cannot be read as the name of a table',
    detail: 'it takes a table, or a schema and a table with a dot between; each has at most 63 bytes.',
    exit: EXIT.usage,
  })
}

export function exportDiscrepancies(
  source: DiffSource,
  url: string,
  name: TableName,
  signal: AbortSignal,
): Promise<Exported> {
  return withClient(url, async (client) => {
    await refuseCopies(client, url)
    try {
      await client.query('BEGIN')
      const table = await claimTable(client, name)
      const counts = await fill(client, table, source, signal)
      await client.query('COMMIT')
      return { place: `${table} in ${describeUrl(url)}`, ...counts }
    } catch (error) {
      // The connection may be gone; then so is the transaction.
      await client.query('ROLLBACK').catch(() => {})
      throw (error as { code?: string }).code === undefined || signal.aborted ? error : refused(url, error)
    }
  })
}

/** A table of ours in a golden or a shadow would be a difference that nobody's migration made. */
async function refuseCopies(client: Connected, url: string): Promise<void> {
  const marker = await readMarker(client)
  if (marker === null) return
  throw new HarnessError({
    code: 'TARGET_IS_A_COPY',
    message: `will not write discrepancies into ${describeUrl(url)}`,
    detail: `it is a ${marker.role}, made for rehearsals.`,
    hint: 'Name a database of your own with --postgres.',
    exit: EXIT.usage,
  })
}

/** Makes the table unless it is there, and sees that it is one. Returns its name, quoted. */
async function claimTable(client: Connected, { schema, table }: TableName): Promise<string> {
  const given = [...(schema === null ? [] : [schema]), table].map(quoteIdentifier).join('.')
  // Two exports at once: the second waits, and finds the table.
  await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`pgrehearse ${given}`])
  const { rows } = await client.query('SELECT to_regclass($1)::oid AS oid', [given])
  if (rows[0]?.oid === null) {
    const columns = CSV_COLUMNS.map((column) => `${quoteIdentifier(column)} ${TYPES[column]}`).join(', ')
    await client.query(`CREATE TABLE ${given} (${columns})`)
    await client.query(`CREATE INDEX ON ${given} (mismatch_type, created_at DESC)`)
    await client.query(`CREATE INDEX ON ${given} (created_at DESC)`)
    return given
  }
  const lacks = await lacking(client, rows[0]?.oid)
  if (lacks.length === 0) return given
  throw new HarnessError({
    code: 'TABLE_OF_ANOTHER_SHAPE',
    message: `cannot add discrepancies to ${given}`,
    detail: `it exists, and lacks ${lacks.join(', ')}.`,
    hint: 'Name another table with --postgres-table; one that does not exist is made.',
    exit: EXIT.usage,
  })
}

async function lacking(client: Connected, oid: unknown): Promise<string[]> {
  const columns = await client.query(
    'SELECT attname FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped',
    [oid],
  )
  const there = new Set(columns.rows.map(({ attname }) => String(attname)))
  const unique = await client.query(
    `SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
      WHERE indrelid = $1 AND indisunique AND indnkeyatts = 1 AND indpred IS NULL AND attname = 'alert_id'`,
    [oid],
  )
  return [
    ...CSV_COLUMNS.filter((column) => !there.has(column)).map((column) => `the column ${column}`),
    ...(unique.rows.length === 0 ? ['a unique key on alert_id'] : []),
  ]
}

/** By way of a table that nobody else sees, because COPY cannot pass over rows that are there. */
async function fill(
  client: Connected,
  table: string,
  source: DiffSource,
  signal: AbortSignal,
): Promise<Pick<Exported, 'added' | 'known'>> {
  const columns = CSV_COLUMNS.map(quoteIdentifier).join(', ')
  await client.query(
    `CREATE TEMP TABLE pgrehearse_incoming ON COMMIT DROP AS SELECT ${columns} FROM ${table} WITH NO DATA`,
  )
  const into = client.query(
    copyFrom(`COPY pg_temp.pgrehearse_incoming (${columns}) FROM STDIN (FORMAT csv, HEADER, ENCODING 'UTF8')`),
  )
  const lines = withoutNul(csvLines(source.discrepancies()))
  try {
    await pipeline(Readable.from(lines), into, { signal })
  } finally {
    // So that the diff can be closed, also when this was cut short.
    lines.return(undefined)
  }
  const { rowCount } = await client.query(
    `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM pg_temp.pgrehearse_incoming ON CONFLICT (alert_id) DO NOTHING`,
  )
  const added = rowCount ?? 0
  return { added, known: into.rowCount - added }
}

/** PostgreSQL's text has no NUL; its picture stands in for it. Within JSON it is escaped, and stays. */
function* withoutNul(lines: Iterable<string>): Generator<string> {
  for (const line of lines) yield line.replaceAll('\u0000', '\u2400')
}

/** Only the code of the failure: the server's message may quote a row. */
function refused(url: string, cause: unknown): unknown {
  if (cause instanceof HarnessError) return cause
  return new HarnessError({
    code: 'EXPORT_REFUSED',
    message: `cannot write discrepancies into ${describeUrl(url)}`,
    detail: `the server says ${(cause as { code: string }).code}; nothing was written.`,
    hint: 'The user needs the right to create or to fill the table, and the server room for it.',
    exit: EXIT.environment,
    cause,
  })
}
