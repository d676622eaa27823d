/**
 * INSERT.
 *
 * Into a table that only has other names: in place. Otherwise a CTE makes the rows once (values with the types their columns gave them, and a
 * drawn key), and each part takes its columns from there. The last INSERT gives the row count and RETURNING. With ON CONFLICT the part
 * that holds the constraint goes first and says, by returning them, which rows the others are to take.
 */
import type { RangeVar } from 'libpg-query'
import { columnNames, type Env, NotRewritable, type Place, type Work } from './rewrite.js'
import { writeWith } from './rewrite-change.js'
import { type ColumnRule, columnRule, columnsIn, defaultOf, fill, quoted, type TableRule } from './rewrite-rules.js'
import { type Body, Target } from './rewrite-target.js'
import { list, strings, unwrap } from './tree-walk.js'

type Clauses = {
  readonly start: number
  readonly verb: number
  /** The bracket of the column list; -1 without one. */
  readonly columns: number
  readonly source: number
  readonly conflict: number
  readonly returning: number
  readonly end: number
}

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
  else if (insert.isPlain()) insert.inPlace()
  else insert.byParts()
}

function clausesOf({ text }: Work, body: Body, table: RangeVar): Clauses {
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

class Insert {
  readonly #target: Target
  readonly #work: Work
  readonly #rule: TableRule
  readonly #body: Body
  readonly #clauses: Clauses
  readonly #place: Place
  /** Old columns that the statement gives, in its order. */
  readonly #names: readonly string[]
  readonly #rows: readonly (readonly unknown[])[] | null

  constructor(target: Target, body: Body, clauses: Clauses, place: Place, names: readonly string[]) {
    this.#target = target
    this.#work = target.work
    this.#rule = target.rule
    this.#body = body
    this.#clauses = clauses
    this.#place = place
    const select = unwrap(body.selectStmt)?.body
    const rows = list(select ?? {}, 'valuesLists').map((row) => list(unwrap(row)?.body ?? {}, 'items'))
    this.#rows = rows.length > 0 ? rows : null
    const count = rows[0]?.length ?? list(leftmost(select ?? {}), 'targetList').length
    const all = columnNames(target.rule.from)
    const hasStar = this.#rows === null && list(leftmost(select ?? {}), 'targetList').some(isStar)
    this.#names = names.length > 0 || select === undefined ? names : hasStar ? all : all.slice(0, count)
  }

  isSound(): boolean {
    return (
      this.#names.every((name) => this.#target.owns(name)) &&
      (this.#rows ?? []).every((row) => row.length === this.#names.length)
    )
  }

  isPlain(): boolean {
    const { parts, added } = this.#rule
    if (parts.length > 1 || added.length > 0) return false
    return this.#names.every((name) => {
      const column = columnRule(this.#rule, name)!
      return column.to !== null && column.write === null
    })
  }

  inPlace(): void {
    const { text } = this.#work
    const table = this.#body.relation as RangeVar
    const { columns, conflict, returning, end, source } = this.#clauses
    const [from, to] = this.#work.nameRange(table)
    const part = this.#rule.parts[0]!
    const isNamed = columns >= 0 || this.#names.length === 0 || this.#work.directPart(this.#rule, null, true) !== null
    const as =
      table.alias || conflict === end || part.relation.name === table.relname
        ? ''
        : ` AS ${quoted(table.relname ?? '')}`
    const given = this.#names.map((name) => quoted(columnRule(this.#rule, name)!.to!))
    if (isNamed) text.replace(from, to, part.name + as)
    else if (table.alias) {
      const last = source - 1
      text.replace(from, to, part.name)
      text.replace(last, last + 1, `${text.render(last, last + 1)} (${given.join(', ')})`)
    } else text.replace(from, to, `${part.name}${as} (${given.join(', ')})`)
    if (columns >= 0) {
      text.split(columns + 1, text.closeOf(columns)).forEach(([itemFrom], i) => {
        if (given[i] !== quoted(this.#names[i]!)) text.replace(itemFrom, itemFrom + 1, given[i]!)
      })
    }
    this.#conflictInPlace()
    if (!this.#work.isRenamedOnly(this.#rule))
      this.#target.editReturning(this.#body.returningClause, returning, end, this.#target.inPlace(0), [])
  }

  /** ON CONFLICT with the new names, for one table. */
  #conflictInPlace(): void {
    const clause = this.#body.onConflictClause as Body | undefined
    if (!clause) return
    const { text } = this.#work
    const { conflict, returning } = this.#clauses
    const infer = clause.infer as Body | undefined
    const open = infer === undefined || infer.conname !== undefined ? -1 : conflict + 2
    if (open > 0) {
      for (let at = open + 1; at < text.closeOf(open); at++) {
        const column = this.#rule.columns.find(({ name }) => quoted(name).toUpperCase() === text.word(at))
        if (column?.to && column.to !== column.name) text.replace(at, at + 1, quoted(column.to))
      }
      this.#target.edit(infer?.whereClause, this.#target.inPlace(0))
    }
    const said = this.#target.inPlace(0)
    const set = text.find('SET', conflict, returning)
    for (const item of list(clause, 'targetList')) {
      const { name, location, val } = unwrap(item)!.body
      const column = columnRule(this.#rule, String(name))
      if (column === undefined) continue
      this.#target.edit([val], said)
      const at = text.at(Number(location))
      if (column.to !== null && column.to !== column.name) text.replace(at, at + 1, quoted(column.to))
      if (column.write === null && column.to !== null) continue
      throw new NotRewritable(`ON CONFLICT DO UPDATE sets a column of ${this.#rule.label} that changed its type`)
    }
    if (set >= 0) this.#target.edit(clause.whereClause, said)
  }

  byParts(): void {
    const { parts } = this.#rule
    if (this.#isOneRow()) {
      this.#insertOne()
      return
    }
    const rows = this.#work.helper('new')
    const provided = new Set(this.#provided())
    const drawn = this.#rule.key.filter((key) => !provided.has(key))
    const made = this.#made(rows, provided, parts.length > 1 ? drawn : [])
    const valueOf = (name: string): string => {
      if (provided.has(name) || (parts.length > 1 && drawn.includes(name))) return `${rows}.${quoted(name)}`
      return defaultOf(this.#rule.from, name, () => undefined)
    }
    if (parts.length === 1) {
      this.#conflictInPlace()
      const { text } = this.#work
      const { conflict, returning, end } = this.#clauses
      this.#target.editReturning(this.#body.returningClause, returning, end, this.#target.inPlace(0), [])
      const tail = conflict < end ? ` ${text.render(conflict, end)}` : ''
      const as = conflict < end ? ` AS ${quoted(this.#target.alias)}` : ''
      this.#write([made], `${this.#into(0, provided, valueOf, rows, as)} FROM ${rows}${tail}`)
      return
    }
    if (this.#rule.where !== null) throw new NotRewritable(`${this.#rule.label} is both split and merged`)
    if (this.#body.onConflictClause) this.#upsert(rows, made, provided, valueOf)
    else this.#insertAll(rows, made, provided, valueOf)
  }

  /** One row of plain values into several parts: the first part makes the key as the table did, and the others follow it. */
  #isOneRow(): boolean {
    const { parts, columns, added, where } = this.#rule
    const hasInnerWith = this.#place.cteName !== null && this.#clauses.start !== this.#clauses.verb
    if (parts.length === 1 || where !== null || this.#body.onConflictClause || hasInnerWith) return false
    if (this.#rows?.length !== 1 && this.#names.length > 0) return false
    return columns.every(({ write }) => write === null) && added.every(({ value }) => columnsIn(value).length === 0)
  }

  #insertOne(): void {
    const { parts } = this.#rule
    const provided = this.#provided()
    const top = parts.length - 1
    const helpers = new Map(parts.slice(0, -1).map((part, at) => [at, this.#work.helper(part.relation.name)]))
    const first = quoted(helpers.get(0)!)
    const returned = this.#returning(top, helpers)
    const { text } = this.#work
    const { source, conflict, start, verb } = this.#clauses
    const open = text.find('VALUES', source, conflict) + 1
    const items = this.#names.length === 0 ? [] : text.split(open + 1, text.closeOf(open))
    const statement = (part: number): string => {
      const { relation, name, key } = parts[part]!
      const values = new Map<string, string>()
      if (part > 0) key.forEach((to, at) => values.set(to, `${first}.${quoted(parts[0]!.key[at]!)}`))
      for (const old of provided) {
        const column = columnRule(this.#rule, old)!
        const to = this.#work.nameIn(this.#rule, part, old)
        if (to === undefined || values.has(to)) continue
        const at = this.#names.indexOf(old)
        const said = text.render(...items[at]!)
        values.set(to, this.#target.isSameType(column, part) ? said : this.#target.cast(this.#rows![0]![at], column, said))
      }
      for (const { part: own, to, value } of this.#rule.added) if (own === part && !values.has(to)) values.set(to, `(${fill(value, () => '')})`)
      if (values.size === 0) return `INSERT INTO ${name} DEFAULT VALUES`
      const isKeyGiven = part > 0 && key.some((to) => relation.columns.find((one) => one.name === to)?.identity === 'a')
      const given = { OVERRIDING_USER_VALUE: 'USER', OVERRIDING_SYSTEM_VALUE: 'SYSTEM' }[String(this.#body.override)]
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
    writeWith(this.#work, this.#place, { start, verb, end: this.#clauses.end }, texts, statement(top) + returned)
  }

  #insertAll(rows: string, made: string, provided: ReadonlySet<string>, valueOf: (name: string) => string): void {
    const { parts } = this.#rule
    const helpers = new Map(parts.slice(1).map((part, at) => [at + 1, this.#work.helper(part.relation.name)]))
    const returned = this.#returning(0, helpers)
    const texts = [...helpers].map(([part, helper]) => {
      const back = returned.includes(`${quoted(helper)} `) ? ' RETURNING *' : ''
      return `${quoted(helper)} AS (${this.#into(part, provided, valueOf, rows)} FROM ${rows}${back})`
    })
    this.#write([made, ...texts], `${this.#into(0, provided, valueOf, rows)} FROM ${rows}${returned}`)
  }

  #upsert(rows: string, made: string, provided: ReadonlySet<string>, valueOf: (name: string) => string): void {
    const clause = this.#body.onConflictClause as Body
    const updates = clause.action === 'ONCONFLICT_UPDATE'
    const { text } = this.#work
    const { conflict, returning } = this.#clauses
    const { parts, key } = this.#rule
    const infer = clause.infer as Body | undefined
    const elements = list(infer ?? {}, 'indexElems').map((item) => unwrap(item)?.body.name)
    if (infer?.conname !== undefined || elements.some((name) => typeof name !== 'string')) {
      throw new NotRewritable(`ON CONFLICT of ${this.#rule.label} has to name plain columns: it is split`)
    }
    const targets = elements as string[]
    const holders = targets.map((name) => columnRule(this.#rule, name)).filter((column) => column && !column.isKey)
    const first = holders[0]?.part ?? this.#uniquePart()
    if (holders.some((column) => column?.part !== first))
      throw new NotRewritable(`ON CONFLICT of ${this.#rule.label} spans parts`)
    const byKey = targets.length === 0 || (targets.length === key.length && targets.every((name) => key.includes(name)))
    const matching = byKey ? key : targets
    const sets = parts.map((): string[] => [])
    const ref = (part: number): string => quoted(parts[part]!.relation.name)
    const said =
      (here: number) =>
      (column: ColumnRule, qualifier: string | null): string => {
        const isExcluded = qualifier === 'excluded'
        const name = this.#work.nameIn(this.#rule, here, column.name)
        if (name !== undefined && column.read === null) return `${isExcluded ? 'excluded' : ref(here)}.${quoted(name)}`
        if (column.read !== null)
          throw new NotRewritable(`ON CONFLICT reads a column of ${this.#rule.label} that changed its type`)
        const there = parts[column.part]!
        if (!isExcluded) {
          const same = there.key
            .map((one, at) => `o.${quoted(one)} = ${ref(here)}.${quoted(parts[here]!.key[at]!)}`)
            .join(' AND ')
          return `(SELECT o.${quoted(column.to ?? '')} FROM ${there.name} AS o WHERE ${same})`
        }
        if (!byKey) throw new NotRewritable('ON CONFLICT takes a value of one part into another')
        const same = key.map((one, at) => `n.${quoted(one)} = excluded.${quoted(parts[here]!.key[at]!)}`).join(' AND ')
        return `(SELECT n.${quoted(column.name)} FROM ${rows} AS n WHERE ${same})`
      }
    for (const item of list(clause, 'targetList')) {
      const { name, val, location } = unwrap(item)!.body
      const column = columnRule(this.#rule, String(name))
      if (!column || column.isKey || column.write !== null || unwrap(val)?.kind === 'MultiAssignRef') {
        throw new NotRewritable(`ON CONFLICT DO UPDATE of ${this.#rule.label} sets ${String(name)}`)
      }
      if (column.to === null) continue
      this.#target.edit([val], said(column.part))
      const from = text.at(Number(location))
      const range = text.split(from, this.#endOfSet(from))[0]!
      sets[column.part]!.push(`${quoted(column.to)} = ${text.render(text.find('=', range[0], range[1]) + 1, range[1])}`)
    }
    let condition = ''
    if (updates && clause.whereClause) {
      this.#target.edit(clause.whereClause, said(first))
      const set = text.find('SET', conflict, returning)
      condition = ` ${text.render(text.find('WHERE', set, returning), returning)}`
    }
    const stay = (part: number): string =>
      `${quoted(parts[part]!.key[0]!)} = ${ref(part)}.${quoted(parts[part]!.key[0]!)}`
    const onConflict = (part: number): string => {
      const columns =
        part === first && !byKey ? targets.map((name) => this.#work.nameIn(this.#rule, part, name)!) : parts[part]!.key
      const where = part === first ? condition : ''
      const at = part === first && targets.length === 0 ? '' : ` (${columns.map(quoted).join(', ')})`
      return updates
        ? ` ON CONFLICT${at} DO UPDATE SET ${(sets[part]!.length > 0 ? sets[part]! : [stay(part)]).join(', ')}${where}`
        : ` ON CONFLICT${at} DO NOTHING`
    }
    const others = [...parts.keys()].filter((part) => part !== first)
    const top = others.at(-1)!
    const helpers = new Map(
      [first, ...others.slice(0, -1)].map((part) => [part, this.#work.helper(parts[part]!.relation.name)]),
    )
    const chosen = quoted(helpers.get(first)!)
    const returned = this.#returning(top, helpers)
    const keyOf = (name: string): string =>
      key.includes(name) ? `${chosen}.${quoted(parts[first]!.key[key.indexOf(name)]!)}` : valueOf(name)
    const matched = matching
      .map((name) => `${chosen}.${quoted(this.#work.nameIn(this.#rule, first, name)!)} = ${rows}.${quoted(name)}`)
      .join(' AND ')
    const statement = (part: number): string => {
      const into = this.#into(part, provided, part === first ? valueOf : keyOf, rows)
      const join = part === first ? '' : ` JOIN ${chosen} ON ${matched}`
      return `${into} FROM ${rows}${join}${updates || part === first ? onConflict(part) : ''}`
    }
    const texts = [...helpers].map(([part, helper]) => `${quoted(helper)} AS (${statement(part)} RETURNING *)`)
    this.#write([made, ...texts], statement(top) + returned)
  }

  /** Where ON CONFLICT names nothing: the part that has a constraint besides the key. */
  #uniquePart(): number {
    const { parts } = this.#rule
    const found = parts.flatMap(({ relation }, part) =>
      relation.uniques.some(({ primary }) => !primary) ? [part] : [],
    )
    if (found.length > 1)
      throw new NotRewritable(`ON CONFLICT of ${this.#rule.label} may mean constraints of several parts`)
    return found[0] ?? 0
  }

  #endOfSet(from: number): number {
    const { text } = this.#work
    const { returning } = this.#clauses
    const where = text.find('WHERE', from, returning)
    return where < 0 ? returning : where
  }

  /** RETURNING, where the other parts' columns are fetched from their helpers by key. */
  #returning(top: number, helpers: ReadonlyMap<number, string>): string {
    if (!this.#body.returningClause) return ''
    const { text } = this.#work
    const { returning, end } = this.#clauses
    const { parts } = this.#rule
    const from = (part: number, column: string): string => {
      if (part === top) return `${quoted(parts[top]!.relation.name)}.${quoted(column)}`
      const same = parts[part]!.key.map(
        (one, at) => `r.${quoted(one)} = ${quoted(parts[top]!.relation.name)}.${quoted(parts[top]!.key[at]!)}`,
      ).join(' AND ')
      return `(SELECT r.${quoted(column)} FROM ${quoted(helpers.get(part)!)} AS r WHERE ${same})`
    }
    const said = (column: ColumnRule): string => {
      if (column.read === null && column.to === null)
        return column.type === null ? 'NULL' : `CAST(NULL AS ${column.type})`
      if (column.read === null)
        return from(
          column.isKey ? top : column.part,
          this.#work.nameIn(this.#rule, column.isKey ? top : column.part, column.name)!,
        )
      const text = fill(column.read, (name) => {
        const part = parts.findIndex(({ relation }) => relation.columns.some((one) => one.name === name))
        return from(Math.max(0, part), name)
      })
      return column.type === null ? `(${text})` : `CAST(${text} AS ${column.type})`
    }
    this.#target.editReturning(this.#body.returningClause, returning, end, said, [])
    return ` ${text.render(returning, end)}`
  }

  /** Old columns with a value: all that the statement gives, but those that are DEFAULT in every row. */
  #provided(): string[] {
    if (this.#rows === null) return [...this.#names]
    return this.#names.filter((_, at) => this.#rows!.some((row) => !isDefault(row[at])))
  }

  /** The helper that makes the rows, once. */
  #made(rows: string, provided: ReadonlySet<string>, drawn: readonly string[]): string {
    const { text } = this.#work
    const { source, conflict, start, verb } = this.#clauses
    const first = this.#rule.parts[0]!
    const draws = drawn.map((key) => {
      const column = first.key[this.#rule.key.indexOf(key)]!
      return `${this.#default(first.relation, column)} AS ${quoted(key)}`
    })
    const inner = this.#place.cteName !== null && start !== verb ? `${text.render(start, verb)} ` : ''
    const columns = this.#names.filter((name) => provided.has(name))
    let made: string
    if (this.#names.length === 0) made = `SELECT ${draws.length > 0 ? draws.join(', ') : 'NULL AS pgr_nothing'}`
    else if (this.#rows !== null) {
      const values = this.#values(columns)
      if (values.length === 1) {
        made = `SELECT ${[...draws, ...columns.map((name, at) => `${values[0]![at]} AS ${quoted(name)}`)].join(', ')}`
      } else if (columns.length === 0) made = `SELECT ${draws.join(', ')} FROM generate_series(1, ${values.length})`
      else {
        const list = values.map((row) => `(${row.join(', ')})`).join(', ')
        made = `SELECT ${[...draws, 'v.*'].join(', ')} FROM (VALUES ${list}) AS v(${columns.map(quoted).join(', ')})`
      }
    } else {
      this.#castTargets()
      made = `SELECT ${[...draws, 's.*'].join(', ')} FROM (${text.render(source, conflict)}) AS s(${columns.map(quoted).join(', ')})`
    }
    return `${rows} AS MATERIALIZED (${inner}${made})`
  }

  #values(columns: readonly string[]): string[][] {
    const { text } = this.#work
    const { source, conflict } = this.#clauses
    const start = text.find('VALUES', source, conflict)
    return text.split(start + 1, Math.min(conflict, this.#afterValues(start))).map(([open], r) => {
      const items = text.split(open + 1, text.closeOf(open))
      return columns.map((name) => {
        const at = this.#names.indexOf(name)
        const value = this.#rows![r]![at]
        const column = columnRule(this.#rule, name)!
        if (!isDefault(value)) return this.#target.cast(value, column, text.render(...items[at]!))
        const part = column.isKey ? 0 : column.part
        const to = part < 0 ? undefined : this.#work.nameIn(this.#rule, part, name)
        return to === undefined ? 'NULL' : this.#default(this.#rule.parts[part]!.relation, to)
      })
    })
  }

  /** VALUES may be followed by ORDER BY or LIMIT, which nobody writes in an INSERT; the rows end with the last bracket. */
  #afterValues(start: number): number {
    const { text } = this.#work
    let at = start + 1
    while (text.word(at) === '(') {
      at = text.closeOf(at) + 1
      if (text.word(at) !== ',') break
      at += 1
    }
    return at
  }

  #default(relation: TableRule['from'], column: string): string {
    return defaultOf(relation, column, (oid) => {
      const sequence = this.#work.book.after.byOid(oid)
      return sequence && `"${sequence.schema.replaceAll('"', '""')}"."${sequence.name.replaceAll('"', '""')}"`
    })
  }

  /** `INSERT … SELECT $1, 'text'`: bare values took the type of the column they went to. */
  #castTargets(): void {
    const { text } = this.#work
    const select = unwrap(this.#body.selectStmt)?.body ?? {}
    if (select.larg !== undefined) return
    list(select, 'targetList').forEach((item, i) => {
      const { val } = unwrap(item)!.body
      const node = unwrap(val)
      const column = columnRule(this.#rule, this.#names[i] ?? '')
      if (node === null || (node.kind !== 'ParamRef' && node.kind !== 'A_Const')) return
      const at = text.at(Number(node.body.location ?? 0))
      const said = text.render(at, at + 1)
      const cast = this.#target.cast(val, column, said)
      if (cast !== said) text.replace(at, at + 1, cast)
    })
  }

  /** `INSERT INTO part (columns) SELECT values`: what a part takes. */
  #into(part: number, provided: ReadonlySet<string>, valueOf: (name: string) => string, rows: string, as = ''): string {
    const { parts, columns: all, key, added } = this.#rule
    const values = new Map<string, string>()
    let drawsAlways = false
    for (const column of all) {
      const to = this.#work.nameIn(this.#rule, part, column.name)
      const drawn = parts.length > 1 && key.includes(column.name) && !provided.has(column.name)
      const made = column.write !== null && columnsIn(column.write).some((name) => provided.has(name))
      if (to === undefined || !(provided.has(column.name) || drawn || made)) continue
      values.set(to, this.#target.stored(column, valueOf))
      drawsAlways ||= drawn && parts[part]!.relation.columns.find(({ name }) => name === to)?.identity === 'a'
    }
    for (const { part: own, to, value } of added)
      if (own === part && !values.has(to)) values.set(to, `(${fill(value, valueOf)})`)
    // A part of which nothing is given still gets its row.
    if (values.size === 0) values.set(parts[part]!.relation.columns[0]!.name, `${rows}.*`)
    const given = { OVERRIDING_USER_VALUE: 'USER', OVERRIDING_SYSTEM_VALUE: 'SYSTEM' }[String(this.#body.override)]
    const override = drawsAlways ? 'SYSTEM' : given
    const overriding = override === undefined ? '' : ` OVERRIDING ${override} VALUE`
    const names = [...values.keys()].map(quoted).join(', ')
    return `INSERT INTO ${parts[part]!.name}${as} (${names})${overriding} SELECT ${[...values.values()].join(', ')}`
  }

  #write(helpers: readonly string[], main: string): void {
    writeWith(this.#work, this.#place, this.#clauses, helpers, main)
  }
}

function isDefault(value: unknown): boolean {
  return unwrap(value)?.kind === 'SetToDefault'
}

function isStar(item: unknown): boolean {
  const value = unwrap(unwrap(item)?.body.val)
  return value?.kind === 'ColumnRef' && strings(list(value.body, 'fields')).length < list(value.body, 'fields').length
}

/** Of a union, the query that names the columns. */
function leftmost(select: Body): Body {
  return select.larg === undefined ? select : leftmost((unwrap(select.larg)?.body ?? select.larg) as Body)
}
