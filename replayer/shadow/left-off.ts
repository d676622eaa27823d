/**
 * Where an interrupted replay left its shadow: a note inside it, by which a replay that goes on knows that nobody else has been there.
 *
 * The note says whose it is, and what the tables' counters and shapes were by then. Whoever replays on the shadow takes it away. What a session
 * has changed is counted when it ends, at the latest; a shadow with others connected to it is refused before anybody looks here (./isolation.ts).
 */
import type { SqlClient } from './marker.js'

export type LeftOff = 'same' | 'changed' | 'not there'

const SETTLED_MS_MAX = 5000
const LOOK_MS = 100

/** Call it when the sessions of the replay are closing: their counts arrive with the last of them. */
export async function leaveOff(client: SqlClient, run: string, pids: readonly number[]): Promise<void> {
  await client.query('CREATE SCHEMA IF NOT EXISTS pgrehearse')
  await client.query(`CREATE TABLE IF NOT EXISTS pgrehearse.left_off
    (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), run text NOT NULL, state text NOT NULL)`)
  await client.query(
    `INSERT INTO pgrehearse.left_off (run, state) VALUES ($1, $2)
     ON CONFLICT (only_row) DO UPDATE SET run = EXCLUDED.run, state = EXCLUDED.state`,
    [run, await settledState(client, pids)],
  )
}

/** Whether the shadow is as that run left it. */
export async function leftOff(client: SqlClient, run: string): Promise<LeftOff> {
  if (!(await isThere(client))) return 'not there'
  const { rows } = await client.query('SELECT run, state FROM pgrehearse.left_off')
  if (rows[0]?.run !== run) return 'not there'
  return rows[0].state === (await settledState(client, [])) ? 'same' : 'changed'
}

/** From here on the shadow is another one. */
export async function takeUp(client: SqlClient): Promise<void> {
  if (await isThere(client)) await client.query('DROP TABLE pgrehearse.left_off')
}

async function isThere(client: SqlClient): Promise<boolean> {
  const { rows } = await client.query(`SELECT to_regclass('pgrehearse.left_off') IS NOT NULL AS found`)
  return rows[0]?.found === true
}

/** Servers before 15 count a moment later; what is the same twice has arrived. */
async function settledState(client: SqlClient, pids: readonly number[]): Promise<string> {
  const untilMs = performance.now() + SETTLED_MS_MAX
  for (let before = ''; ; ) {
    const { rows } = await client.query(STATE, [pids])
    const { state, closing } = rows[0] as { state: string; closing: boolean }
    if ((!closing && state === before) || performance.now() > untilMs) return state
    before = state
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/** Rows changed since the server began to count, and what there is, down to the files that TRUNCATE makes anew. */
const STATE = `
SELECT (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)
          FROM pg_catalog.pg_stat_user_tables WHERE schemaname <> 'pgrehearse')
       || ' ' ||
       (SELECT md5(coalesce(string_agg(concat_ws(' ', c.oid, c.relname, c.relfilenode, a.attname, a.atttypid), ',' ORDER BY c.oid, a.attnum), ''))
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgrehearse', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp')
       AS state,
       EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = ANY ($1::int[]) AND backend_type = 'client backend') AS closing`
