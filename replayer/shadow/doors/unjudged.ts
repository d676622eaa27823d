/**
 * Extensions that nobody here knows: their code runs with the server's rights, and might do anything.
 */
import type { SqlClient } from '../marker.js'
import { WAYS_OUT } from './door.js'

/** What comes with PostgreSQL and only computes, or only looks at the server it runs in; and what is widespread and does the same. */
const HARMLESS = new Set(
  `amcheck autoinc bloom bool_plperl btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance fuzzystrmatch hstore
   hstore_plperl insert_username intagg intarray isn jsonb_plperl lo ltree moddatetime old_snapshot pageinspect pg_buffercache
   pg_freespacemap pg_logicalinspect pg_prewarm pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect pgcrypto
   pgrowlocks pgstattuple plpgsql plperl pltcl plperlu pltclu plpython3u hstore_plperlu hstore_plpython3u jsonb_plperlu
   jsonb_plpython3u bool_plperlu ltree_plpython3u refint seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent
   uuid-ossp xml2 postgres_fdw file_fdw plsh
   postgis postgis_topology postgis_raster postgis_sfcgal postgis_tiger_geocoder address_standardizer pgrouting h3 vector
   hypopg pg_partman pg_repack pg_hint_plan pgaudit hll orafce prefix ip4r semver pg_uuidv7 rum pgtap pg_stat_kcache
   pg_qualstats pgjwt pg_jsonschema`.split(/\s+/),
)

/** Foreign data wrappers act through foreign servers only, which are shut. */
const WRAPPER = /_fdw$/

export async function unjudgedExtensions(client: SqlClient): Promise<string[]> {
  const { rows } = await client.query('SELECT extname AS name FROM pg_catalog.pg_extension ORDER BY 1')
  return rows
    .map(({ name }) => String(name))
    .filter((name) => !HARMLESS.has(name) && WAYS_OUT[name] === undefined && !WRAPPER.test(name))
}
