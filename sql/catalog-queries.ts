/**
 * The questions asked of pg_catalog, for servers 12 to 18. Each returns rows of plain JSON: oids are cast to int8 because
 * JSON prints a bare oid as a string, and flags stay the letters the server uses.
 *
 * System schemas are left out everywhere by one condition on the namespace; names beginning with `pg_` are reserved, so
 * this also leaves out the temporary tables of other sessions. The schema of a shadow's marker is ours, not the user's.
 */

/** Condition on a namespace `n`. */
export const USER_SCHEMA = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrehearse')`

export const SCOPE = `
  SELECT current_database() AS database,
         current_setting('server_version_num')::int AS "serverVersionNum",
         current_schemas(false) AS "searchPath"`

export const RELATIONS = `
  SELECT c.oid::int8, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
         c.relrowsecurity AS "rowSecurity",
         CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS "viewSql",
         ARRAY(SELECT i.inhparent::int8 FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS parents,
         ARRAY(SELECT pg_get_ruledef(r.oid) FROM pg_catalog.pg_rewrite r
                WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN' ORDER BY r.rulename) AS rules
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE ${USER_SCHEMA} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
   ORDER BY c.oid`

/**
 * The sequence is found by what the default depends on, or, for an identity column, by what depends on the column:
 * the text of a default says it less surely.
 */
export const COLUMNS = `
  SELECT a.attrelid::int8 AS relation, a.attnum, a.attname AS name, a.atttypid::int8 AS "typeOid",
         format_type(a.atttypid, a.atttypmod) AS type, a.atttypmod AS typmod, a.attnotnull AS "notNull",
         pg_get_expr(d.adbin, d.adrelid) AS "default", a.attidentity AS identity, a.attgenerated AS generated,
         coalesce(
           (SELECT min(s.oid::int8) FROM pg_catalog.pg_depend p JOIN pg_catalog.pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
             WHERE p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
               AND p.refclassid = 'pg_catalog.pg_class'::regclass),
           (SELECT min(s.oid::int8) FROM pg_catalog.pg_depend p JOIN pg_catalog.pg_class s ON s.oid = p.objid AND s.relkind = 'S'
             WHERE a.attidentity <> '' AND p.classid = 'pg_catalog.pg_class'::regclass AND p.deptype = 'i'
               AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum),
           0) AS "sequenceOid",
         coalesce(col_description(a.attrelid, a.attnum), '') AS comment
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE ${USER_SCHEMA} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND a.attnum > 0 AND NOT a.attisdropped
   ORDER BY a.attrelid, a.attnum`

/** Included (non-key) columns are cut off; an index that is still being built, or failed to be, promises nothing. */
export const UNIQUES = `
  SELECT i.indrelid::int8 AS relation, x.relname AS name, i.indisprimary AS "primary",
         (i.indkey::int2[])[0:i.indnkeyatts - 1] AS columns, pg_get_expr(i.indpred, i.indrelid) AS predicate
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
   WHERE ${USER_SCHEMA} AND i.indisunique AND i.indisvalid
   ORDER BY i.indrelid, i.indisprimary DESC, x.relname`

/** Those of a type, and what a partition must hold by its bounds, are not among them. */
export const CHECKS = `
  SELECT k.conrelid::int8 AS relation, k.conkey AS columns, pg_get_expr(k.conbin, k.conrelid) AS expression
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE ${USER_SCHEMA} AND k.contype = 'c' AND cardinality(k.conkey) > 0
   ORDER BY k.conrelid, k.conname`

/** A key that refers to a partitioned table has helper rows, one per partition referred to; only the declared one counts. */
export const FOREIGN_KEYS = `
  SELECT k.conrelid::int8 AS relation, k.conname AS name, k.conkey AS columns, k.confrelid::int8 AS "referencedOid",
         k.confkey AS "referencedColumns", k.confupdtype AS "onUpdate", k.confdeltype AS "onDelete",
         k.condeferred AS deferred
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE ${USER_SCHEMA} AND k.contype = 'f'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)
   ORDER BY k.conrelid, k.conname`

/** Clones on partitions are marked internal by some versions; what serves a constraint has tgconstraint set. */
export const TRIGGERS = `
  SELECT t.tgrelid::int8 AS relation, t.tgname AS name, t.tgtype AS bits, t.tgfoid::int8 AS "functionOid",
         t.tgenabled IN ('O', 'A') AS enabled
    FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE ${USER_SCHEMA} AND (NOT t.tgisinternal OR t.tgconstraint = 0)
   ORDER BY t.tgrelid, t.tgname`

export function types(serverVersionNum: number): string {
  const rangeOfMultirange =
    serverVersionNum >= 140000
      ? '(SELECT m.rngtypid::int8 FROM pg_catalog.pg_range m WHERE m.rngmultitypid = t.oid)'
      : '0'
  return `
  SELECT t.oid::int8, n.nspname AS schema, t.typname AS name,
         EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid) AS "isArray", t.typtype AS kind,
         coalesce(CASE t.typtype
           WHEN 'd' THEN t.typbasetype::int8
           WHEN 'r' THEN (SELECT r.rngsubtype::int8 FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
           WHEN 'm' THEN ${rangeOfMultirange}
           WHEN 'b' THEN t.typelem::int8 END, 0) AS "ofOid",
         ARRAY(SELECT e.enumlabel FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
         ARRAY(SELECT json_build_object('name', a.attname, 'typeOid', a.atttypid::int8) FROM pg_catalog.pg_attribute a
                WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum) AS attributes
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE ${USER_SCHEMA}
   ORDER BY t.oid`
}

/** A body written as BEGIN ATOMIC is kept parsed (14 and later); its text comes from the deparser. */
export function functions(serverVersionNum: number): string {
  const body = serverVersionNum >= 140000 ? 'coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)' : 'p.prosrc'
  return `
  SELECT p.oid::int8, n.nspname AS schema, p.proname AS name,
         ARRAY(SELECT u.type::int8 FROM unnest(p.proargtypes) WITH ORDINALITY u (type, place) ORDER BY u.place) AS "argumentTypes",
         p.prorettype::int8 AS "returnsType", p.proretset AS "returnsSet", p.provolatile AS volatility,
         CASE WHEN e.objid IS NULL THEN l.lanname ELSE 'c' END AS language,
         CASE WHEN e.objid IS NULL AND p.prokind IN ('f', 'p') AND l.lanname IN ('sql', 'plpgsql') THEN ${body} END AS source
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_catalog.pg_depend e ON e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
   WHERE ${USER_SCHEMA}
   ORDER BY p.oid`
}

/**
 * Where sequences stand. What may not be seen, and what nobody has drawn from yet (it may have been restarted elsewhere than it
 * starts), has no next value.
 */
export const POSITIONS = `
  SELECT s.seqrelid::int8 AS relation, s.seqincrement AS increment,
         CASE WHEN NOT pg_is_in_recovery() AND has_sequence_privilege(s.seqrelid, 'USAGE, SELECT')
              THEN pg_sequence_last_value(s.seqrelid) + s.seqincrement END AS next
    FROM pg_catalog.pg_sequence s
    JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE ${USER_SCHEMA}`

/** Settings that change what a statement returns, or whether it is let through: what a new session gets, not what ours made of it. */
export const SETTINGS = `
  SELECT name, reset_val AS setting FROM pg_catalog.pg_settings
   WHERE name = ANY (ARRAY['TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', 'xmloption',
     'lc_collate', 'lc_ctype', 'lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time', 'server_encoding', 'client_encoding',
     'default_text_search_config', 'search_path', 'standard_conforming_strings', 'array_nulls', 'transform_null_equals',
     'default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable', 'row_security',
     'session_replication_role', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
     'transaction_timeout', 'deadlock_timeout', 'max_connections', 'integer_datetimes', 'max_identifier_length', 'jit'])
  UNION ALL
  SELECT x.name, x.setting FROM pg_catalog.pg_database d,
         LATERAL (VALUES ('lc_collate', d.datcollate::text), ('lc_ctype', d.datctype::text)) x (name, setting)
   WHERE d.datname = current_database() AND current_setting('server_version_num')::int >= 160000`

/** Of those, what planning needs of other users than ours; what a role has in one database beats what it has in all. */
export const ROLE_SETTINGS = `
  SELECT r.rolname AS role, split_part(x.pair, '=', 1) AS name, substr(x.pair, strpos(x.pair, '=') + 1) AS setting
    FROM pg_catalog.pg_db_role_setting s
    JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
    JOIN LATERAL unnest(s.setconfig) x (pair) ON true
   WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
     AND split_part(x.pair, '=', 1) IN ('default_transaction_isolation', 'search_path')
   ORDER BY s.setdatabase, r.rolname`

export const FACTS = `
  SELECT current_setting('server_version_num')::int AS "versionNum", current_setting('server_version') AS version,
         current_database() AS database,
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS "startLsn",
         has_function_privilege('pg_catalog.pg_control_system()', 'execute') AS "mayIdentify"`

/** Microseconds since the epoch. */
export const CLOCK = `
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8::text AS us,
         txid_snapshot_xmax(txid_current_snapshot())::text AS "nextXid"`

export const SYSTEM_IDENTIFIER = 'SELECT system_identifier::text AS identifier FROM pg_catalog.pg_control_system()'
