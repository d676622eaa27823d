/**
 * Writing to a table whose rows lie in several tables now, each taking those that a predicate gives it.
 *
 * One statement per table in a WITH, and a SELECT of what all of them returned. The server calls that a SELECT; who sends it calls it what it
 * was (`Work.counted`). Reading is a UNION ALL, see ./rewrite.ts.
 */
import type { RangeVar } from 'libpg-query'
import { NotRewritable, type Place, type Work } from './rewrite.js'
import { assignments, type ChangeClauses, writeWith } from './rewrite-clauses.js'
import { type InsertClauses, InsertRows } from './rewrite-insert-rows.js'
import { columnRule, columnsIn, defaultOf, fill, quoted, type TableRule } from './rewrite-rules.js'
import { aliasesOf, type Body, Target } from './rewrite-target.js'
import { list, unwrap } from './tree-walk.js'

type Clauses = Pick<ChangeClauses, 'start' | 'verb' | 'returning' | 'end'>

export function insertPartitioned(target: Target, body: Body, clauses: InsertClauses, place: Place, names: string[]) {
  const { work, rule } = target
  const { text } = work
  const [first] = rule.partitions as readonly [TableRule]
  const own = (one: TableRule) =>
    new InsertRows(new Target(work, one, body.relation as RangeVar), body, clauses, place, names)
  const made = own(first)
  const provided = new Set(made.provided())
  if (provided.size === 0) throw new NotRewritable(`INSERT into ${rule.label} gives nothing to choose its table by`)
  conflictStays(rule, body)
  const drawn = first.key.filter((name) => !provided.has(name) && isDrawn(first, name))
  const rows = work.helper('new')
  // Numbers are drawn in the order of the rows, before these part.
  const given = new Set([...provided, ...drawn])
  const valueFor = (name: string): string => {
    if (given.has(name)) return `${rows}.${quoted(name)}`
    const column = rule.from.columns.find((one) => one.name === name)
    if (column?.identity !== '' || /\bnextval\b/.test(column.default ?? ''))
      throw new NotRewritable(`the table for a row of ${rule.label} depends on a number that is drawn`)
    return defaultOf(rule.from, name, () => undefined)
  }
  const choice = rule.partitions
    .slice(0, -1)
    .map((one, at) => `WHEN ${fill(one.where!, valueFor)} THEN ${at}`)
    .join(' ')
  const said = made.target.inPlace(0)
  made.target.editReturning(body.returningClause, clauses.returning, clauses.end, said, [])
  const conflict = clauses.conflict < clauses.returning ? ` ${text.render(clauses.conflict, clauses.returning)}` : ''
  const makes = made.made(rows, provided, drawn)
  const statements = rule.partitions.map((one, at) => {
    const into = own(one).into(0, given, valueFor, ` AS ${quoted(target.alias)}`)
    return `${into} FROM ${rows} WHERE CASE ${choice} ELSE ${rule.partitions.length - 1} END = ${at}${conflict}`
  })
  finish(work, body, clauses, place, 'INSERT 0', [makes], statements)
}

/** A key that comes from a sequence, and that may be given as well. */
function isDrawn({ key, parts }: TableRule, name: string): boolean {
  const part = parts[0]!
  const column = part.relation.columns.find((one) => one.name === part.key[key.indexOf(name)])
  return column?.identity === 'd' || /\bnextval\b/.test(column?.default ?? '')
}

/** A conflict is found where the row would go: only a key that also says where that is can be trusted. */
function conflictStays(rule: TableRule, body: Body): void {
  const clause = body.onConflictClause as Body | undefined
  if (clause === undefined) return
  const elements = list((clause.infer ?? {}) as Body, 'indexElems').map((item) => unwrap(item)?.body.name)
  const moves = list(clause, 'targetList').some((item) => decides(rule).has(String(unwrap(item)?.body.name)))
  const isSame = rule.columns.every(({ name, to, read }) => to === name && read === null)
  if ([...decides(rule)].every((name) => elements.includes(name)) && !moves && isSame) return
  throw new NotRewritable(`ON CONFLICT of ${rule.label} cannot see the rows in its other tables`)
}

/** Old columns that say in which table a row lies. */
function decides({ partitions }: TableRule): Set<string> {
  return new Set(partitions.flatMap(({ where }) => (where === null ? [] : columnsIn(where))))
}

export function changePartitioned(target: Target, body: Body, clauses: ChangeClauses, place: Place, verb: Verb): void {
  const { work, rule } = target
  const { text } = work
  const moved = list(body, 'targetList').find((item) => decides(rule).has(String(unwrap(item)?.body.name)))
  if (moved !== undefined) throw new NotRewritable(`UPDATE of ${rule.label} may move rows to another of its tables`)
  const [first] = rule.partitions as readonly [TableRule]
  const one = new Target(work, first, body.relation as RangeVar)
  const said = one.inPlace(0)
  const set = verb === 'UPDATE' ? ` SET ${assigned(one, body, clauses)}` : ''
  const beside = verb === 'UPDATE' ? 'fromClause' : 'usingClause'
  one.edit([body.whereClause, body[beside]], said)
  one.editReturning(body.returningClause, clauses.returning, clauses.end, said, aliasesOf(list(body, beside)))
  const rest = text.render(clauses.from, clauses.returning)
  const start = verb === 'UPDATE' ? 'UPDATE' : 'DELETE FROM'
  const statements = rule.partitions.map(
    ({ parts }) => `${start} ${parts[0]!.name} AS ${quoted(target.alias)}${set}${rest === '' ? '' : ` ${rest}`}`,
  )
  finish(work, body, clauses, place, verb, [], statements)
}

type Verb = 'UPDATE' | 'DELETE'

function assigned(target: Target, body: Body, clauses: ChangeClauses): string {
  const { rule } = target
  const said = target.inPlace(0)
  target.edit(
    list(body, 'targetList').map((item) => unwrap(item)?.body.val),
    said,
  )
  const items = assignments(target, body, clauses)
    .filter(({ column }) => column === null || column.to !== null)
    .map(({ column, value }) => {
      if (column === null || column.to === null)
        throw new NotRewritable(`SET of ${rule.label} names several columns at once`)
      const current = (name: string) => {
        const own = columnRule(rule, name)
        return name === column.name ? `(${value})` : own ? said(own, null) : quoted(name)
      }
      const stored = value === null ? 'DEFAULT' : column.write === null ? value : `(${fill(column.write, current)})`
      return `${quoted(column.to)} = ${stored}`
    })
  if (items.length > 0) return items.join(', ')
  // Only columns that are gone: the rows are found and counted all the same.
  const stays = quoted(rule.columns.find(({ to }) => to !== null)?.to ?? '')
  return `${stays} = ${quoted(target.alias)}.${stays}`
}

function finish(
  work: Work,
  body: Body,
  clauses: Clauses,
  place: Place,
  verb: string,
  helpers: readonly string[],
  statements: readonly string[],
): void {
  const { text } = work
  const hasRows = body.returningClause !== undefined
  const returned = hasRows ? text.render(clauses.returning, clauses.end) : 'RETURNING 1'
  const names = statements.map(() => quoted(work.helper('part')))
  const parts = statements.map((statement, at) => `${names[at]} AS (${statement} ${returned})`)
  const all = names.map((name) => `SELECT * FROM ${name}`).join(' UNION ALL ')
  writeWith(work, place, clauses, [...helpers, ...parts], hasRows ? all : `SELECT FROM (${all}) AS pgr_all`)
  if (place.cteName === null) work.counted = { verb, hasRows }
}
