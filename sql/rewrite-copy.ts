/**
 * COPY. Out of a table that changed: of a query. Into one that only has other names: in place; into any other: through a temporary table, in
 * four statements of one message, of which the COPY gives the result.
 */
import type { CopyStmt } from 'libpg-query'
import { type Group, rewriteSql, type Work } from './rewrite.js'
import { columnRule, quoted, type TableRule } from './rewrite-rules.js'
import { decoded, encoded } from './rewrite-text.js'
import { strings } from './tree-walk.js'

const SINGLE: Group = { count: 1, result: 0 }
const TEMPORARY = 'pgr_copy'

export function copyOut(work: Work, copy: CopyStmt, rule: TableRule): Group {
  const { text } = work
  const at = text.at(copy.relation?.location)
  const names = strings(copy.attlist ?? [])
  const after = text.afterName(at)
  const end = names.length > 0 ? text.closeOf(after) + 1 : after
  const shown = (names.length > 0 ? names : rule.columns.map(({ name }) => name)).map(quoted)
  const needed = names.length > 0 ? new Set(names) : null
  text.replace(
    at,
    end,
    `(SELECT ${shown.join(', ')} FROM ${work.derived(rule, needed, false)} AS ${quoted(copy.relation?.relname ?? '')})`,
  )
  return SINGLE
}

export function copyStatements(work: Work, copy: CopyStmt, rule: TableRule, start: number): Group {
  const { text } = work
  const table = copy.relation!
  const at = text.at(table.location)
  const given = strings(copy.attlist ?? [])
  const after = text.afterName(at)
  const end = given.length > 0 ? text.closeOf(after) + 1 : after
  const names = given.length > 0 ? given : rule.columns.map(({ name }) => name)
  if (names.some((name) => !columnRule(rule, name))) return SINGLE
  const isPlain =
    rule.parts.length === 1 &&
    rule.partitions.length === 0 &&
    rule.added.length === 0 &&
    names.every((name) => columnRule(rule, name)!.to !== null && columnRule(rule, name)!.write === null)
  if (isPlain) {
    text.replace(
      at,
      end,
      `${rule.parts[0]!.name} (${names.map((name) => quoted(columnRule(rule, name)!.to!)).join(', ')})`,
    )
    return SINGLE
  }
  const columns = names.map((name) => `${quoted(name)} ${columnRule(rule, name)!.type ?? 'text'}`)
  const list = names.map(quoted).join(', ')
  const into =
    table.schemaname === undefined
      ? quoted(table.relname ?? '')
      : `${quoted(table.schemaname)}.${quoted(table.relname ?? '')}`
  // A text of its own, so our names leave the form of bytes for it and come back into it.
  const insert = rewriteSql(decoded(`INSERT INTO ${into} (${list}) SELECT ${list} FROM ${TEMPORARY}`), work.book)!
  const stop = text.endFrom(start)
  text.replace(at, end, `${TEMPORARY} (${list})`)
  const own = text.render(start, stop)
  const statements = [
    `CREATE TEMPORARY TABLE ${TEMPORARY} (${columns.join(', ')})`,
    own,
    encoded(insert.template.join('')),
    `DROP TABLE ${TEMPORARY}`,
  ]
  text.replace(start, stop, statements.join('; '))
  return { count: statements.length, result: 1 }
}
