/** A simple query's text, cut into its statements, each with its own white space and comments. */
import { parse } from '../../sql/parse.js'

/** One piece when it is one statement, is empty, or is refused by PostgreSQL's grammar. */
export function splitStatements(sql: string): readonly string[] {
  const semicolon = sql.indexOf(';')
  if (semicolon < 0 || sql.slice(semicolon + 1).trim() === '') return [sql]
  const statements = parse(sql)
  if (statements === null || statements.length < 2) return [sql]
  const bytes = Buffer.from(sql)
  return statements.map(({ stmt_location: start = 0, stmt_len: length }) =>
    bytes.toString('utf8', start, length ? start + length : bytes.length).trim(),
  )
}
