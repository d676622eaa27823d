/**
 * Would the target take this statement, and as which types would it read its parameters? PREPARE answers, and executes nothing.
 */
import pg from 'pg'
import { parse } from '../../sql/parse.js'
import { unwrap } from '../../sql/tree-walk.js'

export type Prepared = {
  readonly error: { readonly sqlstate: string; readonly message: string } | null
  /** As the server names them; null where it cannot be asked (SET, COPY, DDL …). */
  readonly parameterTypes: readonly string[] | null
}

const PREPARABLE = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
/** Statements that only hold a query: that is what can be wrong with them. */
const HOLDERS: Readonly<Record<string, string>> = { DeclareCursorStmt: 'FOR', PrepareStmt: 'AS', ExplainStmt: '' }

const NAME = 'pgr_prepared'

/** `types` by number, where the client gave them; 'unknown' for the server to find out. */
export async function prepareOn(client: pg.Client, sql: string, types: readonly string[]): Promise<Prepared> {
  const query = queryOf(sql)
  if (query === null) return { error: null, parameterTypes: null }
  try {
    const given = types.some((type) => type !== 'unknown') ? ` (${types.join(', ')})` : ''
    await client.query(`PREPARE ${NAME}${given} AS ${query}`)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    return { error: { sqlstate: error.code ?? 'XX000', message: error.message }, parameterTypes: null }
  }
  const { rows } = await client.query<{ types: string[] }>(
    `SELECT parameter_types::text[] AS types FROM pg_prepared_statements WHERE name = '${NAME}'`,
  )
  await client.query(`DEALLOCATE ${NAME}`)
  return { error: null, parameterTypes: rows[0]?.types ?? [] }
}

function queryOf(sql: string): string | null {
  const statements = parse(sql)
  const node = statements?.length === 1 ? unwrap(statements[0]?.stmt) : null
  if (node === null || node.body.intoClause !== undefined) return null
  if (PREPARABLE.has(node.kind)) return sql.replace(/;\s*$/, '')
  const word = HOLDERS[node.kind]
  if (word === undefined || word === '') return null
  const inner = new RegExp(`\\b${word}\\b`, 'i').exec(sql)
  const query = inner && sql.slice(inner.index + word.length)
  return query !== null && parse(query)?.length === 1 ? query.replace(/;\s*$/, '') : null
}
