/**
 * UPDATE and DELETE.
 *
 * A table that is still one table is changed in place. One that was split: a CTE finds the rows as the statement did, locks them in all parts
 * (the first part first, so that whoever changes any part of a row waits there) and works the new values out; then each part is changed
 * by key, and the last of them gives the row count and RETURNING.
 */
import type { RangeVar } from 'libpg-query'
import { type Env, NotRewritable, type Place, partOf, type Work } from './rewrite.js'
import { assignments, type ChangeClauses, clausesOf } from './rewrite-clauses.js'
import { changePartitioned } from './rewrite-partitions.js'
import { ByParts } from './rewrite-parts.js'
import { type ColumnRule, columnRule, fill, quoted, type TableRule } from './rewrite-rules.js'
import { aliasesOf, type Body, Target } from './rewrite-target.js'
import { list, unwrap, walk } from './tree-walk.js'

export function rewriteUpdate(work: Work, body: Body, env: Env, place: Place): void {
  const table = body.relation as RangeVar
  const rule = work.ruleOf(table, env)
  visitParts(work, body, env, rule, ['targetList', 'fromClause'])
  if (!rule) return
  const target = new Target(work, rule, table)
  const clauses = clausesOf(work, body, table, 'FROM')
  if (rule.partitions.length > 0) {
    changePartitioned(target, body, clauses, place, 'UPDATE')
    return
  }
  const assigned = list(body, 'targetList').map((item) => String(unwrap(item)?.body.name))
  if (!assigned.every((name) => target.owns(name))) {
    // The server says what is wrong with it.
    work.renameTarget(table, rule)
    return
  }
  const mentioned = work.mentions.of(rule, target.alias)
  const touched = mentioned && new Set([...mentioned, ...assigned])
  const movesKey = assigned.some((name) => columnRule(rule, name)?.isKey)
  const inFirst = rule.parts.length === 1 || (!movesKey && touched !== null && partOf(rule, touched) === 0)
  if (inFirst && (rule.parts.length === 1 || rule.where === null)) updateInPlace(target, body, clauses)
  else new ByParts(target, body, clauses, place).update(assigned)
}

export function rewriteDelete(work: Work, body: Body, env: Env, place: Place): void {
  const table = body.relation as RangeVar
  const rule = work.ruleOf(table, env)
  visitParts(work, body, env, rule, ['usingClause'])
  if (!rule) return
  const target = new Target(work, rule, table)
  const clauses = clausesOf(work, body, table, 'USING')
  if (rule.partitions.length > 0) {
    changePartitioned(target, body, clauses, place, 'DELETE')
    return
  }
  const mentioned = work.mentions.of(rule, target.alias)
  const inFirst =
    rule.parts.length === 1 || (mentioned !== null && partOf(rule, mentioned) === 0 && othersCascade(rule))
  if (inFirst) {
    work.renameTarget(table, rule)
    conditionsInPlace(target, body, clauses, 'usingClause')
  } else new ByParts(target, body, clauses, place).delete()
}

function visitParts(work: Work, body: Body, env: Env, rule: TableRule | undefined, lists: readonly string[]): void {
  for (const key of [...lists, 'whereClause', 'returningClause']) work.visit(body[key], env)
  if (!rule) return
  let cursor = false
  walk(body.whereClause, ({ kind }) => {
    cursor ||= kind === 'CurrentOfExpr'
    return true
  })
  const isOneTable = rule.parts.length === 1 && rule.partitions.length === 0 && rule.where === null
  if (cursor && !isOneTable)
    throw new NotRewritable(`WHERE CURRENT OF needs a cursor over one table, and ${rule.label} has become another`)
}

/** Deleting a row of the first part takes the other parts along. */
function othersCascade({ parts }: TableRule): boolean {
  const [first, ...others] = parts
  return others.every(({ relation }) =>
    relation.foreignKeys.some(
      ({ referencedOid, onDelete }) => referencedOid === first!.relation.oid && onDelete === 'cascade',
    ),
  )
}

function updateInPlace(target: Target, body: Body, clauses: ChangeClauses): void {
  const { work, rule } = target
  const { text } = work
  work.renameTarget(body.relation as RangeVar, rule)
  const said = target.inPlace(0)
  target.edit(
    list(body, 'targetList').map((item) => unwrap(item)?.body.val),
    said,
  )
  const kept: string[] = []
  const values = new Map<string, string>()
  const items = assignments(target, body, clauses)
  for (const { column, value } of items) if (value !== null && column !== null) values.set(column.name, value)
  const valueFor = (name: string): string => {
    const column = columnRule(rule, name)
    return values.get(name) ?? (column ? said(column, null) : quoted(name))
  }
  for (const { columns, column, value, from, to } of items) {
    if (columns.some((one) => one.write !== null || one.to === null) && column === null) {
      throw new NotRewritable(`SET (…) = (…) names a column of ${rule.label} that changed its type`)
    }
    if (column === null) {
      renameAssigned(target, columns, from)
      kept.push(text.render(from, to))
    } else if (column.to !== null) {
      const stored =
        value === null
          ? 'DEFAULT'
          : column.write === null
            ? value
            : `(${fill(column.write, (name) => `(${name === column.name ? value : valueFor(name)})`)})`
      renameAssigned(target, columns, from)
      const equals = text.find('=', from, to)
      kept.push(`${text.render(from, equals)} = ${stored}`)
    }
  }
  const nothing = rule.parts[0]!.relation.columns[0]!.name
  const whole = kept.length > 0 ? kept.join(', ') : `${quoted(nothing)} = ${quoted(target.alias)}.${quoted(nothing)}`
  const before = text.render(clauses.set + 1, clauses.from)
  if (spaceless(before) !== spaceless(whole)) text.replace(clauses.set + 1, clauses.from, whole)
  conditionsInPlace(target, body, clauses, 'fromClause')
}

function spaceless(text: string): string {
  return text.replace(/\s+/g, '')
}

/** The name before `=` of an item, or the names in brackets. */
function renameAssigned({ work, rule }: Target, names: readonly ColumnRule[], from: number): void {
  const { text } = work
  const first = text.word(from) === '(' ? from + 1 : from
  names.forEach((column, i) => {
    if (column.to !== null && column.to !== column.name)
      text.replace(first + i * 2, first + i * 2 + 1, quoted(work.nameIn(rule, 0, column.name)!))
  })
}

function conditionsInPlace(target: Target, body: Body, clauses: ChangeClauses, fromKey: string): void {
  const { work, rule } = target
  const { text } = work
  const said = target.inPlace(0)
  target.edit([body.whereClause, body[fromKey]], said)
  if (rule.where !== null) {
    const own = fill(rule.where, (column) => `${quoted(target.alias)}.${quoted(column)}`)
    if (body.whereClause) {
      const where = text.render(clauses.where + 1, clauses.returning)
      text.replace(clauses.where, clauses.returning, `WHERE (${where}) AND (${own})`)
    } else {
      // Around all that was replaced before it: a replacement inside another one is lost.
      const start = clauses.verb + 1
      text.replace(start, clauses.where, `${text.render(start, clauses.where)} WHERE ${own}`)
    }
  }
  const isPlain =
    work.isRenamedOnly(rule) ||
    (rule.parts.length > 1 && work.directPart(rule, work.mentions.of(rule, target.alias), true) === 0)
  if (!isPlain)
    target.editReturning(body.returningClause, clauses.returning, clauses.end, said, aliasesOf(list(body, fromKey)))
}
