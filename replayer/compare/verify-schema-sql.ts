/**
 * What a schema says, read from the catalog as facts: an object, a kind, and a text that is the same for the same thing whatever it
 * is called. Facts with a `key` say one thing each (a column's collation, a function's volatility), so another text is a change.
 *
 * Objects of extensions are the extension's own business.
 */
const OWN_SCHEMAS = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrehearse')`

const isOfExtension = (catalog: string, oid: string) =>
  `EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass AND x.objid = ${oid} AND x.deptype = 'e')`

/** Everything in FROM position: `kind` is pg_class's letter. */
export const RELATIONS = `
  SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relkind AS kind, c.relowner, c.relacl, c.relrowsecurity,
         c.relforcerowsecurity
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ${OWN_SCHEMAS} AND NOT ${isOfExtension('pg_class', 'c.oid')}`

const FUNCTIONS = `
  SELECT p.oid, pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) AS name,
         p.prosrc, p.provolatile, p.proisstrict, p.prosecdef, p.proleakproof, p.proparallel, p.prokind, p.proacl, p.proowner,
         l.lanname, pg_catalog.pg_get_function_result(p.oid) AS result, p.proconfig, pg_catalog.to_jsonb(p) ->> 'prosqlbody' IS NOT NULL AS parsed
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang
   WHERE ${OWN_SCHEMAS} AND NOT ${isOfExtension('pg_proc', 'p.oid')}`

const grantee = `CASE a.grantee WHEN 0 THEN 'public' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END`
const granted = (on: string) => `pg_catalog.format('%s${on} to %s', a.privilege_type, ${grantee})`

export const FACTS = `
  WITH relations AS (${RELATIONS}), tables AS (SELECT * FROM relations WHERE kind IN ('r', 'p')), functions AS (${FUNCTIONS})
  SELECT t.name AS object, 'constraint' AS kind, NULL AS key, pg_catalog.pg_get_constraintdef(k.oid) AS text, r.name AS refers, k.conname AS called
    FROM tables t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid LEFT JOIN tables r ON r.oid = k.confrelid
   WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
  UNION ALL
  SELECT t.name, 'not null', NULL, pg_catalog.quote_ident(a.attname), NULL, NULL
    FROM tables t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
  UNION ALL
  SELECT t.name, 'index', NULL, CASE WHEN i.indisunique THEN 'unique ' ELSE '' END
         || pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.*? USING ', ''), NULL, (SELECT x.relname FROM pg_catalog.pg_class x WHERE x.oid = i.indexrelid)
    FROM relations t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
   WHERE i.indisvalid AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
  UNION ALL
  SELECT t.name, 'default', NULL, pg_catalog.format('%I: %s%s', a.attname,
         CASE WHEN a.attgenerated <> '' THEN 'generated ' WHEN a.attidentity <> '' THEN 'identity' ELSE '' END,
         pg_catalog.pg_get_expr(d.adbin, d.adrelid)), NULL, NULL
    FROM relations t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
   WHERE d.oid IS NOT NULL OR a.attidentity <> ''
  UNION ALL
  SELECT t.name, 'collation', a.attname, pg_catalog.format('%I: %s', a.attname, c.collname), NULL, NULL
    FROM tables t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
  UNION ALL
  SELECT t.name, 'trigger', NULL, pg_catalog.regexp_replace(pg_catalog.pg_get_triggerdef(g.oid), '^CREATE (CONSTRAINT )?TRIGGER ("[^"]*"|\\S+) ', '')
         || CASE g.tgenabled WHEN 'D' THEN ' (disabled)' ELSE '' END, NULL, g.tgname
    FROM relations t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
  UNION ALL
  SELECT t.name, 'view', 'query', pg_catalog.pg_get_viewdef(t.oid), NULL, NULL FROM relations t WHERE t.kind IN ('v', 'm')
  UNION ALL
  SELECT f.name, 'function', 'body', CASE WHEN f.parsed THEN pg_catalog.pg_get_functiondef(f.oid) ELSE f.prosrc END, NULL, NULL
    FROM functions f WHERE f.prokind <> 'a'
  UNION ALL
  SELECT f.name, 'function', said.key, said.text, NULL, NULL
    FROM functions f, LATERAL (VALUES
      ('volatility', CASE f.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END),
      ('null', CASE WHEN f.proisstrict THEN 'returns NULL on NULL' ELSE 'called on NULL' END),
      ('security', CASE WHEN f.prosecdef THEN 'security definer' ELSE 'security invoker' END),
      ('leakproof', CASE WHEN f.proleakproof THEN 'leakproof' ELSE 'not leakproof' END),
      ('parallel', CASE f.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END),
      ('language', 'language ' || f.lanname), ('result', 'returns ' || coalesce(f.result, 'nothing')),
      ('settings', coalesce(pg_catalog.array_to_string(f.proconfig, ', '), 'no settings'))) AS said (key, text)
  UNION ALL
  SELECT pg_catalog.format('%I.%I', n.nspname, y.typname), 'type', NULL, pg_catalog.format('label %L', e.enumlabel), NULL, NULL
    FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type y ON y.oid = e.enumtypid JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace
   WHERE ${OWN_SCHEMAS} AND NOT ${isOfExtension('pg_type', 'y.oid')}
  UNION ALL
  SELECT pg_catalog.format('%I.%I', n.nspname, y.typname), 'type', NULL, pg_catalog.pg_get_constraintdef(k.oid), NULL, NULL
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type y ON y.oid = k.contypid JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace
   WHERE ${OWN_SCHEMAS} AND NOT ${isOfExtension('pg_type', 'y.oid')}
  UNION ALL
  SELECT t.name, 'row security', 'switch', CASE WHEN t.relforcerowsecurity THEN 'forced' WHEN t.relrowsecurity THEN 'on' ELSE 'off' END, NULL, NULL
    FROM tables t
  UNION ALL
  SELECT t.name, 'row security', NULL, pg_catalog.format('%s %s to %s using %s check %s',
         CASE WHEN o.polpermissive THEN 'permissive' ELSE 'restrictive' END, o.polcmd,
         (SELECT pg_catalog.string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(r) END, ', ' ORDER BY 1) FROM pg_catalog.unnest(o.polroles) r),
         pg_catalog.pg_get_expr(o.polqual, o.polrelid), pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid)), NULL, NULL
    FROM tables t JOIN pg_catalog.pg_policy o ON o.polrelid = t.oid
  UNION ALL
  SELECT t.name, 'privilege', NULL, ${granted('')}, NULL, NULL
    FROM relations t, pg_catalog.aclexplode(t.relacl) a WHERE a.grantee <> t.relowner
  UNION ALL
  SELECT t.name, 'privilege', NULL, ${granted(' (%s)').replace('a.privilege_type,', 'a.privilege_type, pg_catalog.quote_ident(c.attname),')}, NULL, NULL
    FROM relations t JOIN pg_catalog.pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped,
         pg_catalog.aclexplode(c.attacl) a WHERE a.grantee <> t.relowner
  UNION ALL
  SELECT f.name, 'privilege', NULL, ${granted('')}, NULL, NULL
    FROM functions f, pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a WHERE a.grantee <> f.proowner
  UNION ALL
  SELECT pg_catalog.format('schema %I', n.nspname), 'privilege', NULL, ${granted('')}, NULL, NULL
    FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
   WHERE ${OWN_SCHEMAS} AND a.grantee <> n.nspowner
  UNION ALL
  SELECT t.name, 'comment', NULL, pg_catalog.format('%s: %s', coalesce(pg_catalog.quote_ident(a.attname), 'table'), d.description), NULL, NULL
    FROM tables t JOIN pg_catalog.pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.objsubid AND d.objsubid > 0`

/** Of each table, which functions its triggers call: by name, as they fire. */
export const TRIGGERS = `
  WITH relations AS (${RELATIONS})
  SELECT t.name AS object, g.tgtype::int AS type, g.tgfoid::pg_catalog.regprocedure::text
         || CASE WHEN g.tgqual IS NULL THEN '' ELSE ' when ' || pg_catalog.regexp_replace(pg_catalog.pg_get_triggerdef(g.oid), '^.* WHEN ', '') END AS text
    FROM relations t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid
   WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' ORDER BY t.name, g.tgname`

export const OBJECTS = `
  WITH relations AS (${RELATIONS}), functions AS (${FUNCTIONS})
  SELECT name, kind::text FROM relations UNION ALL SELECT name, 'function' FROM functions
  UNION ALL SELECT pg_catalog.format('schema %I', n.nspname), 'schema' FROM pg_catalog.pg_namespace n WHERE ${OWN_SCHEMAS}
  UNION ALL SELECT pg_catalog.format('%I.%I', n.nspname, y.typname), 'type' FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace
   WHERE ${OWN_SCHEMAS} AND y.typtype IN ('e', 'd') AND NOT ${isOfExtension('pg_type', 'y.oid')}`

export const SEQUENCES = `
  SELECT pg_catalog.format('%I.%I', schemaname, sequencename) AS name, coalesce(last_value, start_value - increment_by)::text AS value,
         increment_by > 0 AS ascends
    FROM pg_catalog.pg_sequences WHERE schemaname !~ '^pg_' AND schemaname <> 'pgrehearse'`
