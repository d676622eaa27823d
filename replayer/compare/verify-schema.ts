/**
 * What a migration forgot: constraints, indexes, defaults, triggers, privileges, comments and sequences of tables that have the same
 * name on both sides.
 *
 * Compared by what they say, not by what they are called: an index under another name is the same index. What the second side has
 * beyond the first is told, and is no fault: adding things is what migrations do.
 */
import type pg from 'pg'

export type SchemaKind =
  | 'constraint'
  | 'not null'
  | 'index'
  | 'default'
  | 'trigger'
  | 'privilege'
  | 'comment'
  | 'sequence'

export type SchemaFact = { readonly table: string; readonly kind: SchemaKind; readonly text: string }
/** With the table that a foreign key leads to. */
type ReadFact = SchemaFact & { readonly refers: string | null }

export type SchemaComparison = {
  readonly missing: readonly SchemaFact[]
  readonly added: readonly SchemaFact[]
  /** Sequences that stand behind those of the first side: the next values have been given away already. */
  readonly behind: readonly { readonly sequence: string; readonly before: string; readonly after: string }[]
  /** Tables that have no counterpart of their own name, and foreign keys that lead to one. */
  readonly notCompared: readonly string[]
}

type Client = Pick<pg.Client, 'query'>

/** Names come qualified from everything that PostgreSQL spells out itself. */
const QUALIFIED = `SET LOCAL search_path = ''`

const TABLES = `
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relowner, c.relacl
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrehearse')`

const FACTS = `
  WITH tables AS (${TABLES})
  SELECT t.name AS "table", 'constraint' AS kind, pg_catalog.pg_get_constraintdef(k.oid) AS text, r.name AS refers
    FROM tables t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid LEFT JOIN tables r ON r.oid = k.confrelid
   WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
  UNION ALL
  SELECT t.name, 'not null', pg_catalog.quote_ident(a.attname), NULL
    FROM tables t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
  UNION ALL
  SELECT t.name, 'index', CASE WHEN i.indisunique THEN 'unique ' ELSE '' END
         || pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.*? USING ', ''), NULL
    FROM tables t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
   WHERE i.indisvalid AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
  UNION ALL
  SELECT t.name, 'default', pg_catalog.format('%I: %s%s', a.attname,
         CASE WHEN a.attgenerated <> '' THEN 'generated ' WHEN a.attidentity <> '' THEN 'identity' ELSE '' END,
         pg_catalog.pg_get_expr(d.adbin, d.adrelid)), NULL
    FROM tables t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
   WHERE d.oid IS NOT NULL OR a.attidentity <> ''
  UNION ALL
  SELECT t.name, 'trigger', pg_catalog.regexp_replace(pg_catalog.pg_get_triggerdef(g.oid), '^CREATE (CONSTRAINT )?TRIGGER ("[^"]*"|\\S+) ', '')
         || CASE g.tgenabled WHEN 'D' THEN ' (disabled)' ELSE '' END, NULL
    FROM tables t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
  UNION ALL
  SELECT t.name, 'privilege', pg_catalog.format('%s to %s', a.privilege_type,
         CASE a.grantee WHEN 0 THEN 'public' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END), NULL
    FROM tables t, pg_catalog.aclexplode(t.relacl) a WHERE a.grantee <> t.relowner
  UNION ALL
  SELECT t.name, 'comment', pg_catalog.format('%s: %s', coalesce(pg_catalog.quote_ident(a.attname), 'table'), d.description), NULL
    FROM tables t JOIN pg_catalog.pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.objsubid AND d.objsubid > 0`

const SEQUENCES = `
  SELECT format('%I.%I', schemaname, sequencename) AS name, coalesce(last_value, start_value - increment_by)::text AS value,
         increment_by > 0 AS ascends
    FROM pg_catalog.pg_sequences WHERE schemaname !~ '^pg_' AND schemaname <> 'pgrehearse'`

export async function compareSchemas(before: Client, after: Client): Promise<SchemaComparison> {
  const [a, b] = [await readSchema(before), await readSchema(after)]
  const shared = new Set([...a.tables].filter((table) => b.tables.has(table)))
  const isComparable = ({ table, refers }: ReadFact) => shared.has(table) && (refers === null || shared.has(refers))
  const [factsBefore, factsAfter] = [a.facts.filter(isComparable), b.facts.filter(isComparable)]
  const leadAway = a.facts.filter((fact) => shared.has(fact.table) && !isComparable(fact))
  return {
    missing: without(factsBefore, factsAfter),
    added: without(factsAfter, factsBefore),
    behind: [...a.sequences].flatMap(([sequence, { value, ascends }]) => {
      const there = b.sequences.get(sequence)
      if (there === undefined) return []
      const isBehind = ascends ? BigInt(there.value) < BigInt(value) : BigInt(there.value) > BigInt(value)
      return isBehind ? [{ sequence, before: value, after: there.value }] : []
    }),
    notCompared: [
      ...[...a.tables].filter((table) => !shared.has(table)).sort(),
      ...leadAway.map(({ table, text }) => `${table}: ${text}`),
    ],
  }
}

type Schema = {
  readonly tables: ReadonlySet<string>
  readonly facts: readonly ReadFact[]
  readonly sequences: ReadonlyMap<string, { readonly value: string; readonly ascends: boolean }>
}

async function readSchema(client: Client): Promise<Schema> {
  await client.query(QUALIFIED)
  const { rows: tables } = await client.query<{ name: string }>(TABLES)
  const { rows: facts } = await client.query<ReadFact>(FACTS)
  const { rows: sequences } = await client.query<{ name: string; value: string; ascends: boolean }>(SEQUENCES)
  return {
    tables: new Set(tables.map(({ name }) => name)),
    facts,
    sequences: new Map(sequences.map(({ name, ...rest }) => [name, rest])),
  }
}

/** What stands in `all` and not in `others`, counted: two equal indexes of which one is left are one missing. */
function without(all: readonly ReadFact[], others: readonly ReadFact[]): SchemaFact[] {
  const left = new Map<string, number>()
  for (const fact of others) left.set(keyOf(fact), (left.get(keyOf(fact)) ?? 0) + 1)
  const found = all.filter((fact) => {
    const count = left.get(keyOf(fact)) ?? 0
    left.set(keyOf(fact), count - 1)
    return count <= 0
  })
  return found.map(({ table, kind, text }) => ({ table, kind, text }))
}

function keyOf({ table, kind, text }: SchemaFact): string {
  return JSON.stringify([table, kind, text])
}
