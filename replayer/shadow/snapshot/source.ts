/**
 * What `take` asks of the database it reads, besides the catalog: which tables hold data of the user, where sequences
 * stand, which transactions are under way. All of it in the transaction whose snapshot is exported.
 */
import { USER_SCHEMA } from '../../../sql/catalog-queries.js'
import { type Connected, qualified } from '../connect.js'
import type { DatabaseFacts, SequenceFacts, SnapshotFacts, TransactionFacts, UnderWay } from './format.js'

/** As pg_dump does: text forms that any server reads back as the same value, and no time limit meant for applications. */
export const READER_SETTINGS = `
  SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';
  SET extra_float_digits = 3; SET bytea_output = 'hex'; SET row_security = off; SET synchronize_seqscans = off;
  SET search_path = '';
  SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
   WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`

/** Waiting long for a lock would make others queue behind us. */
export const LOCK_WAIT_LIMIT = '10s'

export type SourceTable = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly bytes: number
  readonly rowsEstimated: number
  readonly extension: string | null
  /** For a table of an extension: which of its rows are the user's (`WHERE …`); empty: all. */
  readonly condition: string
}

/** Biggest first, so that the last one to finish is a small one. Tables of extensions only where the extension says they hold user data. */
export async function readTables(client: Connected): Promise<SourceTable[]> {
  const { rows } = await client.query(`
    SELECT c.oid::int8::text AS oid, n.nspname AS schema, c.relname AS name, pg_table_size(c.oid)::text AS bytes,
           greatest(c.reltuples, 0)::float8 AS rows, x.extname AS extension,
           coalesce(x.extcondition[array_position(x.extconfig, c.oid)], '') AS condition
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
     WHERE ${USER_SCHEMA} AND c.relkind = 'r' AND c.relpersistence IN ('p', 'u')
       AND NOT (pg_is_in_recovery() AND c.relpersistence = 'u')
       AND (x.oid IS NULL OR c.oid = ANY (x.extconfig))
     ORDER BY pg_table_size(c.oid) DESC, c.oid`)
  return rows.map((row) => ({
    oid: Number(row.oid),
    schema: row.schema,
    name: row.name,
    bytes: Number(row.bytes),
    rowsEstimated: row.rows,
    extension: row.extension,
    condition: row.condition,
  }))
}

/** Sequences are outside of every snapshot, so they are read as soon after it as can be. */
export async function readSequences(client: Connected): Promise<SequenceFacts[]> {
  const { rows: names } = await client.query(`
    SELECT n.nspname AS schema, c.relname AS name
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE ${USER_SCHEMA} AND c.relkind = 'S' AND NOT (pg_is_in_recovery() AND c.relpersistence = 'u')
     ORDER BY 1, 2`)
  const sequences: SequenceFacts[] = []
  for (let first = 0; first < names.length; first += 100) {
    const some = names.slice(first, first + 100) as { schema: string; name: string }[]
    const { rows } = await client.query(
      some
        .map((one, place) => `SELECT ${place} AS place, last_value::text, is_called FROM ${qualified(one)}`)
        .join(' UNION ALL '),
    )
    for (const { place, last_value, is_called } of rows)
      sequences.push({ ...some[place]!, lastValue: last_value, isCalled: is_called })
  }
  return sequences
}

/** Who has changed something and is not over. Of a standby: nobody, its server does not know. */
export async function readUnderWay(client: Connected): Promise<UnderWay[]> {
  const { rows } = await client.query(`
    SELECT pid, backend_xid::text AS xid, ${us('xact_start')} AS started
      FROM pg_catalog.pg_stat_activity
     WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY pid`)
  return rows.map(({ pid, xid, started }) => {
    const startedUs = Number(started ?? 0)
    return { pid, xid, startedAtMs: Math.floor(startedUs / 1000), startedUs }
  })
}

/**
 * The first statement of the transaction whose snapshot is exported, so that it is taken between the two times of day. `before`: who was
 * under way just before; whoever of them the snapshot does not see may be over when we look again.
 */
export async function readTransactions(client: Connected, before: Before): Promise<TransactionFacts> {
  const { rows } = await client.query(`
    SELECT txid_current_snapshot()::text AS snapshot, ${us('statement_timestamp()')} AS from, ${us('clock_timestamp()')} AS to,
           ${us('pg_last_xact_replay_timestamp()')} AS replayed`)
  const { snapshot, from, to, replayed } = rows[0]
  const after = await readUnderWay(client)
  const known = new Set(after.map(({ xid }) => xid))
  const missed = before.underWay.filter(({ xid }) => !known.has(xid) && isOpen(snapshot, xid))
  const moment = replayed === null ? [from, to] : before.replayed === null ? null : [before.replayed, replayed]
  return {
    snapshot,
    inProgress: [...after, ...missed].sort((a, b) => a.pid - b.pid),
    ...(moment === null ? {} : { moment: { fromUs: Number(moment[0]), toUs: Number(moment[1]) } }),
  }
}

export type Before = { readonly underWay: readonly UnderWay[]; readonly replayed: string | null }

export async function readBefore(client: Connected): Promise<Before> {
  const underWay = await readUnderWay(client)
  const { rows } = await client.query(`SELECT ${us('pg_last_xact_replay_timestamp()')} AS replayed`)
  return { underWay, replayed: rows[0].replayed }
}

/** Snapshots have ids of 64 bits, backends show the lower half. */
function isOpen(snapshot: string, xid: string): boolean {
  const [, , open = ''] = snapshot.split(':')
  return open.split(',').some((one) => one !== '' && BigInt.asUintN(32, BigInt(one)) === BigInt(xid))
}

function us(time: string): string {
  return `(extract(epoch FROM ${time}) * 1000000)::int8::text`
}

/** The names of the locale's columns changed with the versions, so the row is read as JSON. */
export async function readDatabase(client: Connected): Promise<DatabaseFacts> {
  const { rows } = await client.query(`
    SELECT to_jsonb(d) AS row, pg_encoding_to_char(d.encoding) AS encoding,
           coalesce((SELECT s.setconfig FROM pg_catalog.pg_db_role_setting s
                      WHERE s.setdatabase = d.oid AND s.setrole = 0), '{}') AS settings
      FROM pg_catalog.pg_database d WHERE d.datname = current_database()`)
  const { row, encoding, settings } = rows[0]
  return {
    encoding,
    collate: row.datcollate,
    ctype: row.datctype,
    localeProvider: row.datlocprovider ?? 'c',
    locale: row.datlocale ?? row.daticulocale ?? null,
    settings,
  }
}

/** Materialized views that hold rows, and what is left out. */
export async function readRest(client: Connected): Promise<Pick<SnapshotFacts, 'populated' | 'notTaken'>> {
  const { rows } = await client.query(`
    SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relispopulated AS populated, c.relpersistence AS persistence
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE ${USER_SCHEMA} AND (c.relkind IN ('m', 'f') OR c.relkind = 'r' AND c.relpersistence = 'u' AND pg_is_in_recovery())
     ORDER BY c.oid`)
  const { rows: large } = await client.query('SELECT count(*)::int AS count FROM pg_catalog.pg_largeobject_metadata')
  const named = ({ schema, name }: { schema: string; name: string }) => `${schema}.${name}`
  return {
    populated: rows
      .filter(({ kind, populated }) => kind === 'm' && populated)
      .map(({ schema, name }) => ({ schema, name })),
    notTaken: [
      ...rows
        .filter(({ kind }) => kind === 'f')
        .map((row) => ({ what: named(row), why: 'foreign table: its rows live elsewhere' })),
      ...rows
        .filter(({ kind }) => kind === 'r')
        .map((row) => ({ what: named(row), why: 'unlogged table: empty on a standby' })),
      ...(large[0].count > 0
        ? [{ what: `${large[0].count} large objects`, why: 'large objects are not supported' }]
        : []),
    ],
  }
}
