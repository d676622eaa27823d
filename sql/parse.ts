/**
 * PostgreSQL's own parser, as WebAssembly. It costs tens of microseconds a text, so callers cache by text or shape.
 *
 * Locations in the tree are UTF-8 byte offsets. A NUL would truncate silently, so such a text counts as refused.
 */
import { fingerprintSync, loadModule, parseSync, type RawStmt } from 'libpg-query'

/** Once per thread, before anything else here. */
export async function loadParser(): Promise<void> {
  await loadModule()
}

/** The statements of a text; null when PostgreSQL's grammar refuses it. */
export function parse(sql: string): readonly RawStmt[] | null {
  if (sql.includes('\0')) return null
  try {
    return (parseSync(sql) as { stmts?: RawStmt[] }).stmts ?? []
  } catch {
    return null
  }
}

/** 16 hex digits, equal for texts that differ in literals, names of parameters and white space only; empty when refused. */
export function fingerprint(sql: string): string {
  if (parse(sql) === null) return ''
  try {
    const found = fingerprintSync(sql)
    return /^[0-9a-f]{16}$/.test(found) ? found : ''
  } catch {
    // It needs more stack than parsing: a text nested very deep is parsed, and has none.
    return ''
  }
}
