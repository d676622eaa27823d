/**
 * INSERT.
 *
 * Into a table that only has other names: in place. Otherwise a CTE makes the rows once (values with the types their columns gave them, and a
 * drawn key), and each part takes its columns from there. The last INSERT gives the row count and RETURNING. With ON CONFLICT the part
 * that holds the constraint goes first and says, by returning them, which rows the others are to take.
 */
import type { RangeVar } from 'libpg-query'
import { type Env, NotRewritable, type Place, type Work } from './rewrite.js'
import { writeWith } from './rewrite-clauses.js'
import { type InsertClauses, InsertRows } from './rewrite-insert-rows.js'
import { insertPartitioned } from './rewrite-partitions.js'
import { columnRule, columnsIn, defaultOf, fill, quoted } from './rewrite-rules.js'
import { type Body, Target } from './rewrite-target.js'
import { Upsert } from './rewrite-upsert.js'
import { list, unwrap } from './tree-walk.js'

export function rewriteInsert(work: Work, body: Body, env: Env, place: Place): void {
  const table = body.relation as RangeVar
  const rule = work.ruleOf(table, env)
  for (const key of ['selectStmt', 'onConflictClause', 'returningClause']) work.visit(body[key], env)
  if (!rule) return
  const clauses = clausesOf(work, body, table)
  const names = list(body, 'cols').map((item) => String(unwrap(item)?.body.name))
  const insert = new Insert(new Target(work, rule, table), body, clauses, place, names)
  // Where the statement cannot be right, the server says what is wrong with it.
  if (!insert.isSound()) work.renameTarget(table, rule)
  else if (rule.partitions.length > 0) insertPartitioned(insert.target, body, clauses, place, names)
  else if (insert.isPlain()) insert.inPlace()
  else insert.byParts()
}

function clausesOf({ text }: Work, body: Body, table: RangeVar): InsertClauses {
  const at = text.at(table.location)
  const end = text.endFrom(at)
  const verb = at - 2
  const withClause = body.withClause as { location?: number } | undefined
  let next = text.afterName(at)
  if (table.alias) next = text.word(next) === 'AS' ? next + 2 : next + 1
  const columns = list(body, 'cols').length > 0 ? next : -1
  if (columns >= 0) next = text.closeOf(columns) + 1
  if (text.word(next) === 'OVERRIDING') next += 3
  const returning = body.returningClause ? text.find('RETURNING', next, end) : end
  let conflict = returning
  if (body.onConflictClause) {
    for (let found = text.find('ON', next, returning); found >= 0; found = text.find('ON', found + 1, returning))
      if (text.word(found + 1) === 'CONFLICT') conflict = found
  }
  return {
    start: withClause ? text.at(withClause.location) : verb,
    verb,
    columns,
    source: next,
    conflict,
    returning,
    end,
  }
}

const DRAWN_ANEW = /\b(nextval|random\w*|gen_random_\w+|uuid\w+|clock_timestamp|timeofday)\s*\(/i

class Insert extends InsertRows {
  isSound(): boolean {
    return (
      this.names.every((name) => this.target.owns(name)) &&
      (this.rows ?? []).every((row) => row.length === this.names.length)
    )
  }

  isPlain(): boolean {
    const { parts, added } = this.rule
    if (parts.length > 1 || added.length > 0) return false
    return this.names.every((name) => {
      const column = columnRule(this.rule, name)!
      return column.to !== null && column.write === null
    })
  }

  inPlace(): void {
    const { text } = this.work
    const table = this.body.relation as RangeVar
    const { columns, conflict, returning, end, source } = this.clauses
    const [from, to] = this.work.nameRange(table)
    const part = this.rule.parts[0]!
    const isNamed = columns >= 0 || this.names.length === 0 || this.work.directPart(this.rule, null, true) !== null
    const as =
      table.alias || conflict === end || part.relation.name === table.relname
        ? ''
        : ` AS ${quoted(table.relname ?? '')}`
    const given = this.names.map((name) => quoted(columnRule(this.rule, name)!.to!))
    if (isNamed) text.replace(from, to, part.name + as)
    else if (table.alias) {
      const last = source - 1
      text.replace(from, to, part.name)
      text.replace(last, last + 1, `${text.render(last, last + 1)} (${given.join(', ')})`)
    } else text.replace(from, to, `${part.name}${as} (${given.join(', ')})`)
    if (columns >= 0) {
      text.split(columns + 1, text.closeOf(columns)).forEach(([itemFrom], i) => {
        if (given[i] !== quoted(this.names[i]!)) text.replace(itemFrom, itemFrom + 1, given[i]!)
      })
    }
    this.conflictInPlace()
    if (!this.work.isRenamedOnly(this.rule))
      this.target.editReturning(this.body.returningClause, returning, end, this.target.inPlace(0), [])
  }

  /** ON CONFLICT with the new names, for one table. */
  conflictInPlace(): void {
    const clause = this.body.onConflictClause as Body | undefined
    if (!clause) return
    const { text } = this.work
    const { conflict, returning } = this.clauses
    const infer = clause.infer as Body | undefined
    const open = infer === undefined || infer.conname !== undefined ? -1 : conflict + 2
    if (open > 0) {
      for (let at = open + 1; at < text.closeOf(open); at++) {
        const column = this.rule.columns.find(({ name }) => quoted(name).toUpperCase() === text.word(at))
        if (column?.to && column.to !== column.name) text.replace(at, at + 1, quoted(column.to))
      }
      this.target.edit(infer?.whereClause, this.target.inPlace(0))
    }
    const said = this.target.inPlace(0)
    const set = text.find('SET', conflict, returning)
    for (const item of list(clause, 'targetList')) {
      const { name, location, val } = unwrap(item)!.body
      const column = columnRule(this.rule, String(name))
      if (column === undefined) continue
      this.target.edit([val], said)
      const at = text.at(Number(location))
      if (column.to !== null && column.to !== column.name) text.replace(at, at + 1, quoted(column.to))
      if (column.write === null && column.to !== null) continue
      throw new NotRewritable(`ON CONFLICT DO UPDATE sets a column of ${this.rule.label} that changed its type`)
    }
    if (set >= 0) this.target.edit(clause.whereClause, said)
  }

  byParts(): void {
    const { parts } = this.rule
    if (this.isOneRow()) {
      this.insertOne()
      return
    }
    const rows = this.work.helper('new')
    const provided = new Set(this.provided())
    const drawn = this.drawn(provided)
    const made = this.made(rows, provided, drawn)
    const valueFor = (name: string): string => {
      if (provided.has(name) || drawn.includes(name)) return `${rows}.${quoted(name)}`
      const standard = defaultOf(this.rule.from, name, () => undefined)
      if (DRAWN_ANEW.test(standard))
        throw new NotRewritable(
          `${this.rule.label} makes another column of ${name}, whose default is another value each time`,
        )
      return standard
    }
    if (parts.length === 1) {
      this.conflictInPlace()
      const { text } = this.work
      const { conflict, returning, end } = this.clauses
      this.target.editReturning(this.body.returningClause, returning, end, this.target.inPlace(0), [])
      const tail = conflict < end ? ` ${text.render(conflict, end)}` : ''
      const as = conflict < end ? ` AS ${quoted(this.target.alias)}` : ''
      this.write([made], `${this.into(0, provided, valueFor, as)} FROM ${rows}${tail}`)
      return
    }
    if (this.rule.where !== null) throw new NotRewritable(`${this.rule.label} is both split and merged`)
    if (this.body.onConflictClause)
      new Upsert(this.target, this.body, this.clauses, this.place, this.names).upsert(rows, made, provided, valueFor)
    else this.insertAll(rows, made, provided, valueFor)
  }

  /** One row of plain values into several parts: the first part makes the key as the table did, and the others follow it. */
  isOneRow(): boolean {
    const { parts, columns, added, where } = this.rule
    const hasInnerWith = this.place.cteName !== null && this.clauses.start !== this.clauses.verb
    if (parts.length === 1 || where !== null || this.body.onConflictClause || hasInnerWith) return false
    if (this.rows?.length !== 1 && this.names.length > 0) return false
    return columns.every(({ write }) => write === null) && added.every(({ value }) => columnsIn(value).length === 0)
  }

  insertOne(): void {
    const { parts } = this.rule
    const provided = this.provided()
    const top = parts.length - 1
    const helpers = new Map(parts.slice(0, -1).map((part, at) => [at, this.work.helper(part.relation.name)]))
    const first = quoted(helpers.get(0)!)
    const returned = this.returning(top, helpers)
    const { text } = this.work
    const { source, conflict, start, verb } = this.clauses
    const open = text.find('VALUES', source, conflict) + 1
    const items = this.names.length === 0 ? [] : text.split(open + 1, text.closeOf(open))
    const statement = (part: number): string => {
      const { relation, name, key } = parts[part]!
      const values = new Map<string, string>()
      if (part > 0) for (const [at, to] of key.entries()) values.set(to, `${first}.${quoted(parts[0]!.key[at]!)}`)
      for (const old of provided) {
        const column = columnRule(this.rule, old)!
        const to = this.work.nameIn(this.rule, part, old)
        if (to === undefined || values.has(to)) continue
        const at = this.names.indexOf(old)
        const said = text.render(...items[at]!)
        values.set(to, this.target.isSameType(column, part) ? said : this.target.cast(this.rows![0]![at], column, said))
      }
      for (const { part: own, to, value } of this.rule.added)
        if (own === part && !values.has(to)) values.set(to, `(${fill(value, () => '')})`)
      if (values.size === 0) return `INSERT INTO ${name} DEFAULT VALUES`
      const isKeyGiven = part > 0 && key.some((to) => relation.columns.find((one) => one.name === to)?.identity === 'a')
      const given = { OVERRIDING_USER_VALUE: 'USER', OVERRIDING_SYSTEM_VALUE: 'SYSTEM' }[String(this.body.override)]
      const override = isKeyGiven ? 'SYSTEM' : part === 0 ? given : undefined
      const overriding = override === undefined ? '' : ` OVERRIDING ${override} VALUE`
      const list = [...values.values()].join(', ')
      const made = part === 0 ? `VALUES (${list})` : `SELECT ${list} FROM ${first}`
      return `INSERT INTO ${name} (${[...values.keys()].map(quoted).join(', ')})${overriding} ${made}`
    }
    const texts = [...helpers].map(([part, helper]) => {
      const isRead = part === 0 || returned.includes(`${quoted(helper)} `)
      return `${quoted(helper)} AS (${statement(part)}${isRead ? ' RETURNING *' : ''})`
    })
    writeWith(this.work, this.place, { start, verb, end: this.clauses.end }, texts, statement(top) + returned)
  }

  insertAll(rows: string, made: string, provided: ReadonlySet<string>, valueFor: (name: string) => string): void {
    const { parts } = this.rule
    const helpers = new Map(parts.slice(1).map((part, at) => [at + 1, this.work.helper(part.relation.name)]))
    const returned = this.returning(0, helpers)
    const texts = [...helpers].map(([part, helper]) => {
      const back = returned.includes(`${quoted(helper)} `) ? ' RETURNING *' : ''
      return `${quoted(helper)} AS (${this.into(part, provided, valueFor)} FROM ${rows}${back})`
    })
    this.write([made, ...texts], `${this.into(0, provided, valueFor)} FROM ${rows}${returned}`)
  }
}
