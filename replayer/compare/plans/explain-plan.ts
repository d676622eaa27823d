/**
 * EXPLAIN on a shadow, run for real and taken back: within a transaction that is rolled back, with limits of time. Sequences do not
 * go back by themselves, so they are put back where they stood.
 */
import type pg from 'pg'
import type { ExplainedPlan, IndexSuggestion } from '../../../segment/explained.js'
import { parse } from '../../../sql/parse.js'
import { reachesOut } from '../../../sql/reach-out.js'
import { unwrap } from '../../../sql/tree-walk.js'
import { createIndexSql, type IndexIdea } from './index-for.js'
import { explainedPlan, nodesOf } from './plan-tree.js'

type Client = Pick<pg.Client, 'query'>

export type Asked = {
  readonly sql: string
  readonly parameters: readonly (string | null)[]
  readonly searchPath: readonly string[]
}

export type Explained = { readonly plan: ExplainedPlan | null; readonly why: string }

const STATEMENT_LIMIT_MS = 60_000
const LOCK_LIMIT_MS = 5_000
const EXPLAINABLE = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
/** Above this, an index is not built to try it. */
const BUILT_ROWS_MAX = 5_000_000
const TRIED = 'pgrehearse_tried'

/** Empty: it may be run again, and taken back. */
export function whyNotExplained(sql: string): string {
  const statements = parse(sql)
  if (statements === null || statements.length !== 1) return 'several statements, or none that can be read'
  const kind = unwrap(statements[0]!.stmt)?.kind ?? ''
  if (!EXPLAINABLE.has(kind)) return 'a statement that EXPLAIN does not take'
  return reachesOut(sql) === null ? '' : 'it reaches out of the database'
}

/** Run and measured; where running it again fails (its key is taken by now), only planned, and `why` says so. */
export async function explainPlan(client: Client, asked: Asked): Promise<Explained> {
  const why = whyNotExplained(asked.sql)
  if (why !== '') return { plan: null, why }
  const run = await undone(client, asked, () => explain(client, asked, 'ANALYZE, BUFFERS, '))
  if (run.plan !== null) return run
  const planned = await undone(client, asked, () => explain(client, asked, ''))
  return planned.plan === null
    ? run
    : { plan: planned.plan, why: `only planned, since running it again fails: ${run.why}` }
}

async function explain(client: Client, { sql, parameters }: Asked, how: string): Promise<Explained> {
  const text = `EXPLAIN (${how}VERBOSE, SETTINGS, FORMAT JSON) ${sql.replace(/;\s*$/, '')}`
  const { rows } = await client.query({ text, values: [...parameters], rowMode: 'array' })
  const plan = explainedPlan(rows[0]?.[0])
  return { plan, why: plan === null ? 'EXPLAIN answered something else' : '' }
}

/** The reason is an SQLSTATE: a server's message may hold values. */
async function undone(
  client: Client,
  { searchPath }: Pick<Asked, 'searchPath'>,
  work: () => Promise<Explained>,
): Promise<Explained> {
  const sequences = await positions(client)
  await client.query('BEGIN')
  try {
    await client.query(`SET LOCAL statement_timeout = ${STATEMENT_LIMIT_MS}`)
    await client.query(`SET LOCAL lock_timeout = ${LOCK_LIMIT_MS}`)
    await client.query(`SELECT pg_catalog.set_config('search_path', $1, true)`, [
      searchPath.map((name) => `"${name.replaceAll('"', '""')}"`).join(', '),
    ])
    return await work()
  } catch (error) {
    return { plan: null, why: `SQLSTATE ${(error as { code?: string }).code ?? 'unknown'}` }
  } finally {
    await client.query('ROLLBACK')
    await putBack(client, sequences)
  }
}

type Position = { readonly name: string; readonly last: string | null; readonly start: string }

async function positions(client: Client): Promise<readonly Position[]> {
  const { rows } = await client.query<Position>(
    `SELECT pg_catalog.format('%I.%I', schemaname, sequencename) AS name, last_value::text AS last, start_value::text AS start
       FROM pg_catalog.pg_sequences WHERE schemaname !~ '^pg_'`,
  )
  return rows
}

async function putBack(client: Client, before: readonly Position[]): Promise<void> {
  const now = new Map((await positions(client)).map(({ name, last }) => [name, last]))
  for (const { name, last, start } of before)
    if (now.has(name) && now.get(name) !== last)
      await client.query('SELECT pg_catalog.setval($1::pg_catalog.regclass, $2, $3)', [
        name,
        last ?? start,
        last !== null,
      ])
}

/** Is the index taken, and what does it save? Really made where the table is not too large, else by hypopg where that is there. */
export async function tryIndex(
  client: Client,
  asked: Asked,
  idea: IndexIdea,
  now: ExplainedPlan,
): Promise<IndexSuggestion> {
  const refused: IndexSuggestion = {
    sql: createIndexSql(idea),
    tried: 'refused',
    used: false,
    msBefore: now.executionMs || null,
    msAfter: null,
    costBefore: now.cost ?? 0,
    costAfter: now.cost ?? 0,
  }
  const large = (await rowsOf(client, asked, idea)) > BUILT_ROWS_MAX
  const hypopg = large ? await hypopgSchema(client) : null
  if (large && hypopg === null) return refused
  const found = await undone(client, asked, async () => {
    if (large) await client.query(`SELECT ${hypopg}.hypopg_create_index($1)`, [createIndexSql(idea)])
    else await client.query(createIndexSql(idea, TRIED))
    return explain(client, asked, large ? '' : 'ANALYZE, BUFFERS, ')
  })
  // No rollback takes it back: it lives as long as the connection.
  if (hypopg !== null) await client.query(`SELECT ${hypopg}.hypopg_reset()`)
  if (found.plan === null) return refused
  const used = [...nodesOf(found.plan.root)].some(({ index }) => index === TRIED || (large && /^<\d+>/.test(index)))
  return {
    ...refused,
    tried: large ? 'hypothetical' : 'created',
    used,
    msAfter: large ? null : found.plan.executionMs,
    costAfter: found.plan.cost ?? 0,
  }
}

/** Wherever the extension lives, since the statement's search_path need not lead there; null: it is not installed. */
async function hypopgSchema(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT pg_catalog.format('%I', n.nspname) AS name
       FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'`,
  )
  return rows[0]?.name ?? null
}

async function rowsOf(client: Client, asked: Asked, { relation }: IndexIdea): Promise<number> {
  let rows = 0
  await undone(client, asked, async () => {
    const found = await client.query<{ rows: string }>(
      'SELECT reltuples::bigint AS rows FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)',
      [relation],
    )
    rows = Number(found.rows[0]?.rows ?? 0)
    return { plan: null, why: '' }
  })
  return rows
}
