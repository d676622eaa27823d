/**
 * The mark of a shadow: a small table in a schema of its own, written by a restore. It says that this database is a copy
 * that may be dirtied, where it came from, and under which policy it was masked. A clone inherits the table; the comment on
 * the database is for people who look at a list of databases.
 */
import type { CopyMoment } from '../../segment/moment.js'
import { quoteIdentifier, quoteLiteral } from './connect.js'

/** The part of a client this room needs; rows are plain objects. */
export type SqlClient = {
  query(sql: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}

/** A golden is only ever copied; a shadow is the copy that one replay may dirty. */
type MarkerRole = 'golden' | 'shadow'

export type Marker = {
  readonly snapshotId: string
  readonly role: MarkerRole
  readonly createdAtMs: number
  readonly policyHash: string
  readonly keyFingerprint: string
  /** When the snapshot was taken. Older goldens do not say. */
  readonly takenAt?: CopyMoment
}

export async function writeMarker(client: SqlClient, database: string, marker: Marker): Promise<void> {
  await client.query('CREATE SCHEMA IF NOT EXISTS pgrehearse')
  await client.query(`CREATE TABLE IF NOT EXISTS pgrehearse.marker
    (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), marker jsonb NOT NULL)`)
  await client.query(
    `INSERT INTO pgrehearse.marker (marker) VALUES ($1)
     ON CONFLICT (only_row) DO UPDATE SET marker = EXCLUDED.marker`,
    [JSON.stringify(marker)],
  )
  const comment = `pgrehearse ${marker.role} of snapshot ${marker.snapshotId}`
  await client.query(`COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${quoteLiteral(comment)}`)
}

/** null: this database is nobody's shadow. */
export async function readMarker(client: SqlClient): Promise<Marker | null> {
  const { rows } = await client.query(`SELECT to_regclass('pgrehearse.marker') IS NOT NULL AS marked`)
  if (rows[0]?.marked !== true) return null
  const found = await client.query('SELECT marker::text AS marker FROM pgrehearse.marker')
  const text = found.rows[0]?.marker
  return typeof text === 'string' ? (JSON.parse(text) as Marker) : null
}
