/**
 * `GROUP BY o.order_id` alone is enough where order_id is the table's primary key. A subquery has no key, so the other columns that the query
 * shows are named too; the groups stay the same.
 */
import type { ColumnRef, Node, SelectStmt } from 'libpg-query'
import type { Env, Work } from './rewrite.js'
import { mentionOf } from './rewrite-names.js'
import { columnRule, quoted, type TableRule } from './rewrite-rules.js'
import { unwrap, walk } from './tree-walk.js'

export function groupByKey(work: Work, select: SelectStmt, env: Env): void {
  const grouped = (select.groupClause ?? []).flatMap((item) => groupColumn(work, item, select))
  if (grouped.length === 0) return
  const extra: string[] = []
  for (const { alias, rule } of tablesIn(work, select.fromClause ?? [], env)) {
    if (rule.key.length === 0 || work.directPart(rule, work.mentions.of(rule, alias), false) !== null) continue
    const isGrouped = (name: string): boolean =>
      grouped.some((one) => one.name === name && (one.qualifier === null || one.qualifier === alias))
    if (!rule.key.every(isGrouped)) continue
    const shown = new Set<string>()
    walk([select.targetList, select.havingClause, select.sortClause], (node) => {
      if (node.kind !== 'ColumnRef') return true
      const { qualifier, name } = mentionOf(node.body as ColumnRef)
      if (qualifier !== null && qualifier !== alias) return true
      for (const column of name === '*' ? rule.columns.map((one) => one.name) : [name])
        if (columnRule(rule, column) && !isGrouped(column)) shown.add(column)
      return true
    })
    for (const name of shown) extra.push(`${quoted(alias)}.${quoted(name)}`)
  }
  if (extra.length === 0) return
  const { text } = work
  const last = locationsIn(select.groupClause).reduce((a, b) => Math.max(a, b), 0)
  const at = text.at(last)
  const end = endOfItem(work, at)
  text.replace(end - 1, end, `${text.render(end - 1, end)}, ${extra.join(', ')}`)
}

/** A column that is grouped by, also by its position in the list of results. */
function groupColumn(work: Work, item: Node, select: SelectStmt): { qualifier: string | null; name: string }[] {
  const node = unwrap(item)
  if (node?.kind === 'ColumnRef') return [mentionOf(node.body as ColumnRef)]
  if (node?.kind !== 'A_Const') return []
  work.isOfThisTextOnly = true
  const position = (node.body.ival as { ival?: number } | undefined)?.ival ?? 0
  const target = unwrap(unwrap(select.targetList?.[position - 1])?.body.val)
  return target?.kind === 'ColumnRef' ? [mentionOf(target.body as ColumnRef)] : []
}

function tablesIn(work: Work, items: readonly Node[], env: Env): { alias: string; rule: TableRule }[] {
  return items.flatMap((item) => {
    if ('JoinExpr' in item) {
      const { larg, rarg } = item.JoinExpr
      return tablesIn(
        work,
        [larg, rarg].flatMap((side) => (side ? [side] : [])),
        env,
      )
    }
    if (!('RangeVar' in item)) return []
    const rule = work.ruleOf(item.RangeVar, env)
    return rule ? [{ alias: item.RangeVar.alias?.aliasname ?? item.RangeVar.relname ?? '', rule }] : []
  })
}

function locationsIn(tree: unknown): number[] {
  const found: number[] = []
  walk(tree, ({ body }) => {
    if (typeof body.location === 'number') found.push(body.location)
    return true
  })
  return found
}

/** After the last item of GROUP BY: the clause that follows, or the end of the query. */
function endOfItem({ text }: Work, at: number): number {
  const end = text.endFrom(at)
  const next = ['HAVING', 'WINDOW', 'ORDER', 'LIMIT', 'OFFSET', 'FETCH', 'FOR', 'UNION', 'INTERSECT', 'EXCEPT']
    .map((word) => text.find(word, at, end))
    .filter((found) => found >= 0)
  return Math.min(end, ...next)
}
