/**
 * The tables of a segment. Written for our readers first, but anyone with the sqlite3 shell can use it: `query_log` shows, per
 * statement, the fields of a mirroring event.
 */
import { COLUMN_SETS_SCHEMA, OUTCOME_COLUMNS, OUTCOME_SCHEMA } from './outcome-columns.js'
import type { Kind } from './sqlite.js'

const SEGMENT_FORMAT_VERSION = 1

export const SEGMENT: Kind = {
  noun: 'segment',
  applicationId: 0x70677253, // pgrS
  formatVersion: SEGMENT_FORMAT_VERSION,
  tooNewCode: 'SEGMENT_TOO_NEW',
  damagedCode: 'RECORDING_DAMAGED',
  notOneCode: 'RECORDING_DAMAGED',
}

/** Order matters: writer and reader go by position. */
export const STATEMENT_COLUMNS = [
  'seq',
  'session',
  'ordinal',
  'txn',
  'part',
  'sent_us',
  'done_us',
  'text_id',
  'shape_id',
  'read_write',
  'parameters',
  'bind',
  'copy',
  'unreplayable',
  'result_sha256',
  ...OUTCOME_COLUMNS,
] as const

export const SEGMENT_SCHEMA = `
CREATE TABLE segment (
  recording_id TEXT NOT NULL,
  trace_prefix TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL,
  -- The ledger of the whole recording up to this segment's last commit.
  ledger TEXT NOT NULL
);
CREATE TABLE texts (id INTEGER PRIMARY KEY, sql TEXT NOT NULL, fingerprint TEXT NOT NULL);
-- What masking means for a text: where tokens may not stand for values, and which values no column explains; JSON. Texts that
-- raise no question have no row.
CREATE TABLE masking (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE text_masking (text_id INTEGER PRIMARY KEY REFERENCES texts (id), masking_id INTEGER NOT NULL REFERENCES masking (id));
-- Messages of an exchange and the types of its parameters, as JSON.
CREATE TABLE shapes (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
${COLUMN_SETS_SCHEMA}
CREATE TABLE sessions (session INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, at_us INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE incidents (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE statements (
  seq INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  txn INTEGER NOT NULL,
  part INTEGER NOT NULL,
  sent_us INTEGER NOT NULL,
  done_us INTEGER NOT NULL,
  text_id INTEGER NOT NULL REFERENCES texts (id),
  shape_id INTEGER NOT NULL REFERENCES shapes (id),
  read_write INTEGER NOT NULL,
  parameters TEXT,
  bind BLOB,
  copy BLOB,
  unreplayable TEXT,
  result_sha256 BLOB NOT NULL,${OUTCOME_SCHEMA}
);
CREATE VIEW query_log AS
SELECT segment.trace_prefix || '-' || statements.seq AS trace_id,
       segment.started_at_ms + statements.sent_us / 1000 AS mirrored_at,
       CASE statements.read_write WHEN 0 THEN 'READ_ONLY' ELSE 'READ_WRITE' END AS transaction_scope,
       texts.sql AS sql_statement,
       coalesce(statements.parameters, '[]') AS parameters,
       'sha256_' || lower(hex(statements.result_sha256)) AS production_result_digest,
       (statements.done_us - statements.sent_us) / 1000.0 AS execution_duration_ms
FROM statements
JOIN texts ON texts.id = statements.text_id
CROSS JOIN segment
WHERE texts.sql <> ''
ORDER BY statements.seq;
`

/** A statement's name for people: the recording's short name and its position. */
export function tracePrefix(recordingId: string): string {
  return recordingId.slice(0, 8)
}

export function traceId(recordingId: string, seq: number): string {
  return `${tracePrefix(recordingId)}-${seq}`
}
