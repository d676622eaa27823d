/**
 * What a user-defined function can reach: its body is parsed, and whatever it names is touched without knowing rows.
 * A body we cannot read (another language, EXECUTE of a computed string) may touch everything.
 */
import { type Node, parsePlPgSQLSync } from 'libpg-query'
import type { CatalogFunction } from '../segment/catalog.js'
import { parse } from './parse.js'

/** The statements and expressions of a body as parse trees; null when it cannot be read. */
export function bodyOf(fn: CatalogFunction): readonly Node[] | null {
  if (fn.source === null) return null
  if (fn.language === 'sql') return trees(fn.source)
  if (fn.language !== 'plpgsql') return null
  return plpgsql(fn.source)
}

/** Columns of its own row that a trigger function gives a value of its own; null: any. */
export function columnsAssigned({ source, language }: CatalogFunction): ReadonlySet<string> | null {
  if (source === null || language !== 'plpgsql') return null
  // The whole row, or an INTO, a FOR or a call that takes it as a target.
  if (/\bnew\b\s*:?=[^=]|\binto\s+(strict\s+)?("?\w+"?(\s*\.\s*"?\w+"?)?\s*,\s*)*new\b/i.test(source)) return null
  const assigned = source.matchAll(/\bnew\s*\.\s*(?:"((?:[^"]|"")+)"|([\w$]+))(?:\s*\[[^\]]*\])*\s*:?=/gi)
  return new Set([...assigned].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!.toLowerCase()))
}

/** The function's declared type decides which RETURN is legal; the body does not say, so each is tried. */
const RETURNS = ['trigger', 'int', 'void', 'SETOF record', 'event_trigger']

function plpgsql(source: string): readonly Node[] | null {
  const quote = dollarQuote(source)
  for (const returns of RETURNS) {
    let tree: unknown
    try {
      tree = parsePlPgSQLSync(`CREATE FUNCTION f() RETURNS ${returns} LANGUAGE plpgsql AS ${quote}${source}${quote}`)
    } catch {
      continue
    }
    const found: Node[] = []
    return collect(tree, found) ? found : null
  }
  return null
}

/** Gathers the texts of all PLpgSQL_expr; false when one is dynamic or unreadable. */
function collect(value: unknown, found: Node[]): boolean {
  if (Array.isArray(value)) return value.every((item) => collect(item, found))
  if (typeof value !== 'object' || value === null) return true
  for (const [name, child] of Object.entries(value)) {
    if (name === 'PLpgSQL_stmt_dynexecute' || name === 'PLpgSQL_stmt_dynfors') return false
    if (name === 'PLpgSQL_expr') {
      const nodes = expression((child as { query?: string }).query ?? '')
      if (!nodes) return false
      found.push(...nodes)
    } else if (!collect(child, found)) return false
  }
  return true
}

/** A statement, a bare expression, or an assignment. */
function expression(text: string): readonly Node[] | null {
  const assigned = /^\s*[\w."[\]]+\s*:?=(.*)$/s.exec(text)?.[1]
  return trees(text) ?? trees(`SELECT ${text}`) ?? (assigned === undefined ? null : trees(`SELECT ${assigned}`))
}

function trees(sql: string): readonly Node[] | null {
  const statements = parse(sql)
  if (!statements) return null
  return statements.flatMap((statement) => (statement.stmt ? [statement.stmt] : []))
}

function dollarQuote(source: string): string {
  for (let n = 0; ; n += 1) if (!source.includes(`$q${n}$`)) return `$q${n}$`
}
