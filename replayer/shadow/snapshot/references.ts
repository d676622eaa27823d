/**
 * Do the rows that were loaded with foreign keys off meet them? A masked value and the one it refers to get the same token, unless a policy
 * or a bug parts them; then every join of the rehearsal would be wrong in silence.
 */
import { HarnessError } from '../../../base/errors.js'
import { type Connected, quoteIdentifier } from '../connect.js'
import { MASK_FAULT_HINT } from './load.js'

type ForeignKey = {
  readonly name: string
  readonly child: string
  readonly parent: string
  readonly columns: readonly string[]
  readonly referenced: readonly string[]
  /** `OPERATOR(public.=)`: the search path does not lead to those of extensions. */
  readonly operators: readonly string[]
}

/** Those that production had checked itself; partitions have theirs from the table they are part of. */
const FOREIGN_KEYS = `
  SELECT k.conname AS name, ${table('k.conrelid')} AS child, ${table('k.confrelid')} AS parent,
         ${columns('k.conrelid', 'k.conkey')} AS columns, ${columns('k.confrelid', 'k.confkey')} AS referenced,
         ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
                 FROM unnest(k.conpfeqop) WITH ORDINALITY AS f(oid, at)
                 JOIN pg_catalog.pg_operator o ON o.oid = f.oid JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
                ORDER BY f.at) AS operators
    FROM pg_catalog.pg_constraint k
   WHERE k.contype = 'f' AND k.convalidated AND k.conparentid = 0 ORDER BY k.oid`

/** Inheriting tables have no part in a foreign key, partitions have. */
function table(oid: string): string {
  return `(SELECT format('%s%I.%I', CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, c.relname)
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${oid})`
}

function columns(relation: string, numbers: string): string {
  return `ARRAY(SELECT a.attname::text FROM unnest(${numbers}) WITH ORDINALITY AS f(attnum, at)
     JOIN pg_catalog.pg_attribute a ON a.attrelid = ${relation} AND a.attnum = f.attnum ORDER BY f.at)`
}

export async function checkReferences(client: Connected): Promise<void> {
  const { rows } = await client.query<ForeignKey>(FOREIGN_KEYS)
  for (const key of rows) {
    const found = await client.query(`SELECT count(*)::int AS count FROM (${dangling(key)} LIMIT 1000) AS rows`)
    if (found.rows[0].count > 0) throw broken(key, found.rows[0].count)
  }
}

function dangling({ child, parent, columns, referenced, operators }: ForeignKey): string {
  const own = columns.map((name) => `c.${quoteIdentifier(name)}`)
  const meets = own.map((column, at) => `p.${quoteIdentifier(referenced[at]!)} ${operators[at]} ${column}`)
  return `SELECT FROM ${child} c WHERE ${own.map((column) => `${column} IS NOT NULL`).join(' AND ')}
    AND NOT EXISTS (SELECT FROM ${parent} p WHERE ${meets.join(' AND ')})`
}

function broken({ name, child, parent }: ForeignKey, count: number): HarnessError {
  const rows = count === 1 ? '1 row refers' : `${count === 1000 ? '1000 rows or more refer' : `${count} rows refer`}`
  return new HarnessError({
    code: 'MASK_BREAKS_CONSTRAINT',
    message: 'the masked data does not meet a foreign key of the schema',
    detail: `${rows} from ${child.replace('ONLY ', '')} to nothing in ${parent.replace('ONLY ', '')} (${name})`,
    hint: MASK_FAULT_HINT,
  })
}
