/** Helpers of this room's tests: a database as text, and a mask one can see through. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { SnapshotMasks } from '../../replayer/shadow/snapshot/masks.js'

export const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))
export const text = (name: string) => readFileSync(file(name), 'utf8')

export const NO_MASKS: SnapshotMasks = {
  privacy: { policyHash: 'policy-1', keyFingerprint: 'key-1' },
  forTable: () => null,
}

type Queryable = { query(sql: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }> }

/** Every table of the user with every row as text, sorted: two databases are equal when these are. */
export async function contents(client: Queryable): Promise<Record<string, string[]>> {
  const { rows: tables } = await client.query(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrehearse') ORDER BY 1`)
  const all: Record<string, string[]> = {}
  for (const { name } of tables) {
    const { rows } = await client.query(`SELECT t::text AS row FROM ONLY ${name} t ORDER BY t::text COLLATE "C"`)
    all[String(name)] = rows.map(({ row }) => String(row))
  }
  return all
}
