/**
 * Finding the doors of a database. Reads catalogs only; what is not there in an older version is not asked for.
 */
import { bodyReachesOut } from '../../../sql/reach-out.js'
import { qualified } from '../connect.js'
import type { SqlClient } from '../marker.js'
import { type Door, GUARD, WAYS_OUT } from './door.js'
import { type FunctionFacts, STUB_MARK } from './stub.js'

export type FunctionDoor = Door & { readonly facts: FunctionFacts; readonly isStub: boolean }
export type TableDoor = Door & { readonly schema: string; readonly table: string; readonly server: string }
/** What ends it, statement by statement; empty: nothing has to. */
export type OtherDoor = Door & { readonly endSql: readonly string[] }

export type Doors = {
  readonly functions: readonly FunctionDoor[]
  readonly tables: readonly TableDoor[]
  /** In the order in which they can be ended. */
  readonly others: readonly OtherDoor[]
}

export async function findDoors(client: SqlClient): Promise<Doors> {
  const functions = await findFunctions(client)
  const tables = await findTables(client)
  const others = [
    ...(await findSubscriptions(client)),
    ...(await findServers(client)),
    ...(await findSlots(client)),
    ...(await findJobs(client)),
    ...(await findPublications(client)),
    ...(await findEventTriggers(client)),
  ]
  return { functions, tables, others }
}

/** For people: everything that was found, in one list. */
export function allDoors({ functions, tables, others }: Doors): readonly Door[] {
  return [...functions, ...tables, ...others]
}

type FunctionRow = Omit<FunctionFacts, 'columns'> & {
  readonly columns: readonly { readonly name: string; readonly category: string }[]
  readonly identity: string
  readonly language: string
  readonly trusted: boolean
  readonly source: string
}

/** Support functions of types and indexes take or give values that no language but C can hold; without them a type is dead. */
const SUPPORT_TYPES = `('internal'::regtype, 'cstring'::regtype, 'language_handler'::regtype, 'fdw_handler'::regtype,
  'index_am_handler'::regtype, 'tsm_handler'::regtype)`

async function findFunctions(client: SqlClient): Promise<FunctionDoor[]> {
  const { rows } = await client.query(`
    SELECT n.nspname AS schema, p.proname AS name, x.extname AS extension, p.prokind = 'p' AS "isProcedure",
           pg_get_function_arguments(p.oid) AS "argumentsText", pg_get_function_result(p.oid) AS "resultText",
           t.typname AS type, t.typnamespace::regnamespace || '.' || quote_ident(t.typname) AS "typeName", t.typcategory AS "typeCategory", p.proretset AS "returnsSet",
           coalesce(p.proargmodes && '{o,b,t}'::"char"[], false) AS "hasOutArguments",
           coalesce((SELECT json_agg(json_build_object('name', a.attname, 'category', at.typcategory) ORDER BY a.attnum)
                       FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type at ON at.oid = a.atttypid
                      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns,
           format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS identity,
           l.lanname AS language, l.lanpltrusted AS trusted, p.prosrc AS source
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang
      JOIN pg_catalog.pg_type t ON t.oid = p.prorettype
      LEFT JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
     WHERE p.prokind IN ('f', 'p') AND l.lanname <> 'internal' AND n.nspname NOT IN ('information_schema', 'pgrehearse')
       AND (n.nspname <> 'pg_catalog' OR x.oid IS NOT NULL OR p.oid >= 16384)
       AND p.prorettype NOT IN ${SUPPORT_TYPES}
       AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) AS arg WHERE arg IN ${SUPPORT_TYPES})
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_language own WHERE p.oid IN (own.laninline, own.lanvalidator))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_data_wrapper own WHERE p.oid = own.fdwvalidator)
     ORDER BY n.nspname, p.proname, p.oid`)
  return (rows as unknown as FunctionRow[]).flatMap((row) => {
    const { identity, language, trusted, source, ...facts } = row
    const isStub = source.startsWith(STUB_MARK)
    const why = isStub ? 'a stub already' : whyDoor(row)
    if (why === null) return []
    return [{ kind: 'function' as const, name: identity, why, extension: facts.extension, facts, isStub }]
  })
}

function whyDoor({ name, extension, language, trusted, source }: FunctionRow): string | null {
  if (extension !== null) return WAYS_OUT[extension]?.test(name) === true ? `a way out of ${extension}` : null
  if (!trusted) return `code in the untrusted language ${language}`
  return bodyReachesOut(source)
}

async function findTables(client: SqlClient): Promise<TableDoor[]> {
  const { rows } = await client.query(`
    SELECT n.nspname AS schema, c.relname AS "table", format('%I', s.srvname) AS server
      FROM pg_catalog.pg_foreign_table f
      JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
     ORDER BY 1, 2`)
  return (rows as { schema: string; table: string; server: string }[]).map(({ schema, table, server }) => ({
    kind: 'foreign table',
    name: qualified({ schema, name: table }),
    why: `its rows live on server ${server}`,
    extension: null,
    schema,
    table,
    server,
  }))
}

/** Detached from its slot first, or dropping it would call the other server to drop it there. */
async function findSubscriptions(client: SqlClient): Promise<OtherDoor[]> {
  return others(
    client,
    'subscription',
    'pulls from another server',
    `SELECT format('%I', subname) AS name,
            ARRAY[format('ALTER SUBSCRIPTION %I DISABLE', subname), format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', subname),
                  format('DROP SUBSCRIPTION %I', subname)] AS "endSql"
       FROM pg_catalog.pg_subscription
      WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) ORDER BY 1`,
  )
}

async function findServers(client: SqlClient): Promise<OtherDoor[]> {
  return others(
    client,
    'foreign server',
    'the address of another server',
    `SELECT format('%I', s.srvname) AS name,
            ARRAY(SELECT format('DROP USER MAPPING FOR %s SERVER %I',
                    CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(m.umuser)) END, s.srvname)
                    FROM pg_catalog.pg_user_mappings m WHERE m.srvid = s.oid ORDER BY m.umuser)
              || format('DROP SERVER %I', s.srvname) AS "endSql"
       FROM pg_catalog.pg_foreign_server s ORDER BY 1`,
  )
}

async function findSlots(client: SqlClient): Promise<OtherDoor[]> {
  return others(
    client,
    'replication slot',
    'hands changes to whoever asks',
    `SELECT slot_name::text AS name, ARRAY[format('SELECT pg_drop_replication_slot(%L)', slot_name)] AS "endSql"
       FROM pg_catalog.pg_replication_slots WHERE database = current_database() ORDER BY 1`,
  )
}

/** pg_cron runs what stands in its table, in the one database of the server that has it. */
async function findJobs(client: SqlClient): Promise<OtherDoor[]> {
  const { rows } = await client.query(`SELECT to_regclass('cron.job') IS NOT NULL AS has`)
  if (rows[0]?.has !== true) return []
  return others(
    client,
    'job',
    'runs by the clock',
    `SELECT 'job ' || jobid AS name, ARRAY[format('UPDATE cron.job SET active = false WHERE jobid = %s', jobid)] AS "endSql"
       FROM cron.job WHERE active ORDER BY jobid`,
  )
}

async function findPublications(client: SqlClient): Promise<OtherDoor[]> {
  return others(
    client,
    'publication',
    'tells subscribers, of which a shadow has none',
    `SELECT format('%I', pubname) AS name, '{}'::text[] AS "endSql" FROM pg_catalog.pg_publication ORDER BY 1`,
  )
}

async function findEventTriggers(client: SqlClient): Promise<OtherDoor[]> {
  return others(
    client,
    'event trigger',
    'runs a function at changes of the schema, as it does in production; ways out of that function are shut',
    `SELECT format('%I', evtname) AS name, '{}'::text[] AS "endSql" FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' AND evtname <> '${GUARD}' ORDER BY 1`,
  )
}

async function others(client: SqlClient, kind: Door['kind'], why: string, sql: string): Promise<OtherDoor[]> {
  const { rows } = await client.query(sql)
  return (rows as { name: string; endSql: string[] }[]).map((row) => ({ kind, why, extension: null, ...row }))
}
