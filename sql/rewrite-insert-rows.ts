/**
 * The rows of an INSERT: made once, with the types their columns gave them, and taken apart for the tables they go to.
 */
import type { Place, Work } from './rewrite.js'
import { columnNames } from './rewrite.js'
import { writeWith } from './rewrite-clauses.js'
import { type ColumnRule, columnRule, columnsIn, defaultOf, fill, quoted, type TableRule } from './rewrite-rules.js'
import type { Body, Target } from './rewrite-target.js'
import { list, strings, unwrap } from './tree-walk.js'

export type InsertClauses = {
  readonly start: number
  readonly verb: number
  /** The bracket of the column list; -1 without one. */
  readonly columns: number
  readonly source: number
  readonly conflict: number
  readonly returning: number
  readonly end: number
}

export class InsertRows {
  readonly target: Target
  readonly work: Work
  readonly rule: TableRule
  readonly body: Body
  readonly clauses: InsertClauses
  readonly place: Place
  /** Old columns that the statement gives, in its order. */
  readonly names: readonly string[]
  readonly rows: readonly (readonly unknown[])[] | null

  constructor(target: Target, body: Body, clauses: InsertClauses, place: Place, names: readonly string[]) {
    this.target = target
    this.work = target.work
    this.rule = target.rule
    this.body = body
    this.clauses = clauses
    this.place = place
    const select = unwrap(body.selectStmt)?.body
    const rows = list(select ?? {}, 'valuesLists').map((row) => list(unwrap(row)?.body ?? {}, 'items'))
    this.rows = rows.length > 0 ? rows : null
    const count = rows[0]?.length ?? list(leftmost(select ?? {}), 'targetList').length
    const all = columnNames(target.rule.from)
    const hasStar = this.rows === null && list(leftmost(select ?? {}), 'targetList').some(isStar)
    this.names = names.length > 0 || select === undefined ? names : hasStar ? all : all.slice(0, count)
  }

  /** RETURNING, where the other parts' columns are fetched from their helpers by key. */
  returning(top: number, helpers: ReadonlyMap<number, string>): string {
    if (!this.body.returningClause) return ''
    const { text } = this.work
    const { returning, end } = this.clauses
    const { parts } = this.rule
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
          this.work.nameIn(this.rule, column.isKey ? top : column.part, column.name)!,
        )
      const text = fill(column.read, (name) => {
        const part = parts.findIndex(({ relation }) => relation.columns.some((one) => one.name === name))
        return from(Math.max(0, part), name)
      })
      return column.type === null ? `(${text})` : `CAST(${text} AS ${column.type})`
    }
    this.target.editReturning(this.body.returningClause, returning, end, said, [])
    return ` ${text.render(returning, end)}`
  }

  /** Old columns with a value: all that the statement gives, but those that are DEFAULT in every row. */
  provided(): string[] {
    if (this.rows === null) return [...this.names]
    return this.names.filter((_, at) => this.rows!.some((row) => !isDefault(row[at])))
  }

  /** Keys that the statement does not give and that more than one place wants: drawn once, with the rows. */
  drawn(provided: ReadonlySet<string>): string[] {
    const { parts, key, added } = this.rule
    const missing = key.filter((name) => !provided.has(name))
    if (parts.length > 1) return missing
    return missing.filter((name) => added.some(({ value }) => columnsIn(value).includes(name)))
  }

  /** The helper that makes the rows, once. */
  made(rows: string, provided: ReadonlySet<string>, drawn: readonly string[]): string {
    const { text } = this.work
    const { source, conflict, start, verb } = this.clauses
    const first = this.rule.parts[0]!
    const draws = drawn.map((key) => {
      const column = first.key[this.rule.key.indexOf(key)]!
      return `${this.default(first.relation, column)} AS ${quoted(key)}`
    })
    const inner = this.place.cteName !== null && start !== verb ? `${text.render(start, verb)} ` : ''
    const columns = this.names.filter((name) => provided.has(name))
    let made: string
    if (this.names.length === 0) made = `SELECT ${draws.length > 0 ? draws.join(', ') : 'NULL AS pgr_nothing'}`
    else if (this.rows !== null) {
      const values = this.values(columns)
      if (values.length === 1) {
        made = `SELECT ${[...draws, ...columns.map((name, at) => `${values[0]![at]} AS ${quoted(name)}`)].join(', ')}`
      } else if (columns.length === 0) made = `SELECT ${draws.join(', ')} FROM generate_series(1, ${values.length})`
      else {
        const list = values.map((row) => `(${row.join(', ')})`).join(', ')
        made = `SELECT ${[...draws, 'v.*'].join(', ')} FROM (VALUES ${list}) AS v(${columns.map(quoted).join(', ')})`
      }
    } else {
      this.castTargets()
      made = `SELECT ${[...draws, 's.*'].join(', ')} FROM (${text.render(source, conflict)}) AS s(${columns.map(quoted).join(', ')})`
    }
    return `${rows} AS MATERIALIZED (${inner}${made})`
  }

  values(columns: readonly string[]): string[][] {
    const { text } = this.work
    const { source, conflict } = this.clauses
    const start = text.find('VALUES', source, conflict)
    return text.split(start + 1, Math.min(conflict, this.afterValues(start))).map(([open], r) => {
      const items = text.split(open + 1, text.closeOf(open))
      return columns.map((name) => {
        const at = this.names.indexOf(name)
        const value = this.rows![r]![at]
        const column = columnRule(this.rule, name)!
        if (!isDefault(value)) return this.target.cast(value, column, text.render(...items[at]!))
        // What is converted later must not be the default that is converted already.
        if (column.write !== null) return defaultOf(this.rule.from, name, () => undefined)
        const part = column.isKey ? 0 : column.part
        const to = part < 0 ? undefined : this.work.nameIn(this.rule, part, name)
        return to === undefined ? 'NULL' : this.default(this.rule.parts[part]!.relation, to)
      })
    })
  }

  /** VALUES may be followed by ORDER BY or LIMIT, which nobody writes in an INSERT; the rows end with the last bracket. */
  afterValues(start: number): number {
    const { text } = this.work
    let at = start + 1
    while (text.word(at) === '(') {
      at = text.closeOf(at) + 1
      if (text.word(at) !== ',') break
      at += 1
    }
    return at
  }

  default(relation: TableRule['from'], column: string): string {
    return defaultOf(relation, column, (oid) => {
      const sequence = this.work.book.after.byOid(oid)
      return sequence && `"${sequence.schema.replaceAll('"', '""')}"."${sequence.name.replaceAll('"', '""')}"`
    })
  }

  /** `INSERT … SELECT $1, 'text'`: bare values took the type of the column they went to. */
  castTargets(): void {
    const { text } = this.work
    const select = unwrap(this.body.selectStmt)?.body ?? {}
    if (select.larg !== undefined) return
    list(select, 'targetList').forEach((item, i) => {
      const { val } = unwrap(item)!.body
      const node = unwrap(val)
      const column = columnRule(this.rule, this.names[i] ?? '')
      if (node === null || (node.kind !== 'ParamRef' && node.kind !== 'A_Const')) return
      const at = text.at(Number(node.body.location ?? 0))
      const said = text.render(at, at + 1)
      const cast = this.target.cast(val, column, said)
      if (cast !== said) text.replace(at, at + 1, cast)
    })
  }

  /** `INSERT INTO part (columns) SELECT values`: what a part takes. */
  into(part: number, provided: ReadonlySet<string>, valueFor: (name: string) => string, as = ''): string {
    const { parts, columns: all, added } = this.rule
    const values = new Map<string, string>()
    let drawsAlways = false
    const drawnKeys = this.drawn(provided)
    for (const column of all) {
      const to = this.work.nameIn(this.rule, part, column.name)
      const drawn = drawnKeys.includes(column.name)
      const made = column.write !== null && columnsIn(column.write).some((name) => provided.has(name))
      if (to === undefined || !(provided.has(column.name) || drawn || made)) continue
      values.set(to, this.target.stored(column, valueFor))
      drawsAlways ||= drawn && parts[part]!.relation.columns.find(({ name }) => name === to)?.identity === 'a'
    }
    for (const { part: own, to, value } of added)
      if (own === part && !values.has(to)) values.set(to, `(${fill(value, valueFor)})`)
    // A part of which nothing is given still gets its row.
    if (values.size === 0) {
      const { relation } = parts[part]!
      const free = relation.columns.find(({ generated }) => generated === '') ?? relation.columns[0]!
      values.set(free.name, this.default(relation, free.name))
      drawsAlways = free.identity === 'a'
    }
    const given = { OVERRIDING_USER_VALUE: 'USER', OVERRIDING_SYSTEM_VALUE: 'SYSTEM' }[String(this.body.override)]
    const override = drawsAlways ? 'SYSTEM' : given
    const overriding = override === undefined ? '' : ` OVERRIDING ${override} VALUE`
    const names = [...values.keys()].map(quoted).join(', ')
    return `INSERT INTO ${parts[part]!.name}${as} (${names})${overriding} SELECT ${[...values.values()].join(', ')}`
  }

  write(helpers: readonly string[], main: string): void {
    writeWith(this.work, this.place, this.clauses, helpers, main)
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
