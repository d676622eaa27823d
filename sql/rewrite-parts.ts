/**
 * UPDATE and DELETE of rows that live in several tables: found and locked once, then changed part by part, by key.
 */
import type { ColumnRef } from 'libpg-query'
import { NotRewritable, type Place, type Work } from './rewrite.js'
import { type Assignment, assignments, type ChangeClauses, writeWith } from './rewrite-clauses.js'
import { type ColumnRule, columnRule, columnsIn, quoted, type TableRule } from './rewrite-rules.js'
import { aliasesOf, type Body, named, type Target } from './rewrite-target.js'
import { list } from './tree-walk.js'

export class ByParts {
  readonly #target: Target
  readonly #work: Work
  readonly #rule: TableRule
  readonly #body: Body
  readonly #clauses: ChangeClauses
  readonly #place: Place
  readonly #old: string
  /** Columns of the helper that finds the rows: name to text. */
  readonly #carried = new Map<string, string>()
  readonly #laterals: string[] = []

  constructor(target: Target, body: Body, clauses: ChangeClauses, place: Place) {
    this.#target = target
    this.#work = target.work
    this.#rule = target.rule
    this.#body = body
    this.#clauses = clauses
    this.#place = place
    if (target.rule.key.length === 0) throw new NotRewritable(`${target.rule.label} has no key that its parts share`)
    this.#old = target.work.helper('old')
    for (const key of target.rule.key) this.#carry(`k_${key}`, `${quoted(target.alias)}.${quoted(key)}`)
  }

  update(assigned: readonly string[]): void {
    const { parts } = this.#rule
    const sets = parts.map((): string[] => [])
    const valued = new Set<string>()
    const defaults = new Set<string>()
    const inline = new Map<string, string>()
    for (const item of assignments(this.#target, this.#body, this.#clauses)) {
      if (item.column === null) this.#several(item)
      else if (item.value === null) defaults.add(item.column.name)
      else if (item.inline !== null) inline.set(item.column.name, item.inline)
      else this.#carry(`n_${item.column.name}`, item.value)
      for (const { name } of item.columns) if (!defaults.has(name) && !inline.has(name)) valued.add(name)
    }
    const valueFor = (name: string): string =>
      valued.has(name) ? `${this.#old}.${quoted(`n_${name}`)}` : this.#current(name)
    for (const name of assigned) {
      const column = columnRule(this.#rule, name)!
      for (const part of column.isKey ? parts.keys() : [column.part]) {
        const to = this.#work.nameIn(this.#rule, part, name)
        if (to === undefined) continue
        sets[part]!.push(
          `${quoted(to)} = ${defaults.has(name) ? 'DEFAULT' : (inline.get(name) ?? this.#target.stored(column, valueFor))}`,
        )
      }
    }
    if (sets.every((set) => set.length === 0)) {
      const first = parts[0]!
      sets[0]!.push(`${quoted(first.key[0]!)} = ${this.#ref(0)}.${quoted(first.key[0]!)}`)
    }
    const top = sets.findIndex((set) => set.length > 0)
    const helpers = new Map<number, string>()
    for (const [part, set] of sets.entries())
      if (part !== top && set.length > 0) helpers.set(part, this.#work.helper(parts[part]!.relation.name))
    const returned = this.#returning((column) => {
      if (!column.isKey && column.part === top && column.read === null)
        return `${this.#ref(top)}.${quoted(column.to ?? '')}`
      if (column.isKey) return `${this.#ref(top)}.${quoted(this.#work.nameIn(this.#rule, top, column.name)!)}`
      const needed = column.read ? columnsIn(column.read) : [column.to ?? '']
      const isNew = needed.some((name) => assigned.some((one) => columnRule(this.#rule, one)?.to === name))
      if (!isNew || column.to === null) return this.#current(column.name)
      return this.#work.readText(
        this.#rule,
        column,
        (part) => (part === top ? this.#ref(top) : (helpers.get(part) ?? this.#old)),
        top,
      )
    })
    const joined = [...helpers].filter(([, helper]) => returned.includes(`${helper}.`))
    const helperTexts = [...helpers].map(([part, helper]) => {
      const rows = joined.some(([one]) => one === part)
        ? ` RETURNING ${this.#keyColumns().join(', ')}, ${this.#ref(part)}.*`
        : ''
      return `${quoted(helper)} AS (UPDATE ${parts[part]!.name} SET ${sets[part]!.join(', ')} FROM ${this.#old} WHERE ${this.#sameRow(part)}${rows})`
    })
    const joins = joined.map(
      ([, helper]) =>
        ` JOIN ${quoted(helper)} ON ${this.#rule.key.map((key) => `${quoted(helper)}.${quoted(`k_${key}`)} = ${this.#old}.${quoted(`k_${key}`)}`).join(' AND ')}`,
    )
    const main = `UPDATE ${parts[top]!.name} SET ${sets[top]!.join(', ')} FROM ${this.#old}${joins.join('')} WHERE ${this.#sameRow(top)}${returned}`
    const movesKey = assigned.some((name) => columnRule(this.#rule, name)?.isKey)
    this.#write(
      [this.#found('fromClause', movesKey ? 'FOR UPDATE' : 'FOR NO KEY UPDATE', assigned), ...helperTexts],
      main,
    )
  }

  delete(): void {
    const { parts } = this.#rule
    const returned = this.#returning((column) => this.#current(column.name))
    const helperTexts = parts.slice(1).map((part, at) => {
      const helper = this.#work.helper(part.relation.name)
      return `${quoted(helper)} AS (DELETE FROM ${part.name} USING ${this.#old} WHERE ${this.#sameRow(at + 1)})`
    })
    const main = `DELETE FROM ${parts[0]!.name} USING ${this.#old} WHERE ${this.#sameRow(0)}${returned}`
    this.#write([this.#found('usingClause', 'FOR UPDATE', []), ...helperTexts], main)
  }

  /** `(a, b) = (x, y)` or `(a, b) = (SELECT …)`. */
  #several({ columns, from, to }: Assignment): void {
    const { text } = this.#work
    const source = text.find('=', from, to) + 1
    const bracket = text.word(source) === 'ROW' ? source + 1 : source
    const inner = text.word(bracket + 1)
    if (inner === 'SELECT' || inner === 'WITH' || inner === 'VALUES') {
      const alias = `pgr_m${this.#laterals.length + 1}`
      const names = columns.map(({ name }) => quoted(name)).join(', ')
      this.#laterals.push(` LEFT JOIN LATERAL ${text.render(bracket, to)} AS ${alias}(${names}) ON true`)
      for (const { name } of columns) this.#carry(`n_${name}`, `${alias}.${quoted(name)}`)
      return
    }
    text.split(bracket + 1, text.closeOf(bracket)).forEach(([itemFrom, itemTo], i) => {
      const column = columns[i]!
      const said = text.render(itemFrom, itemTo)
      const isBare = itemTo - itemFrom === 1 && /^(?:\$|'|NULL$)/.test(text.word(itemFrom))
      this.#carry(`n_${column.name}`, isBare && column.type ? `CAST(${said} AS ${column.type})` : said)
    })
  }

  /** A column as it is when the row has been locked. */
  #current(name: string): string {
    this.#carry(`c_${name}`, `${quoted(this.#target.alias)}.${quoted(name)}`)
    return `${this.#old}.${quoted(`c_${name}`)}`
  }

  #carry(name: string, said: string): void {
    this.#carried.set(name, said)
  }

  #ref(part: number): string {
    return quoted(this.#rule.parts[part]!.relation.name)
  }

  #keyColumns(): string[] {
    return this.#rule.key.map((key) => `${this.#old}.${quoted(`k_${key}`)}`)
  }

  #sameRow(part: number): string {
    const keys = this.#keyColumns()
    return this.#rule.parts[part]!.key.map((key, at) => `${this.#ref(part)}.${quoted(key)} = ${keys[at]}`).join(' AND ')
  }

  #returning(textOf: (column: ColumnRule) => string): string {
    if (!this.#body.returningClause) return ''
    const { returning, end } = this.#clauses
    const { text } = this.#work
    const others = aliasesOf([...list(this.#body, 'fromClause'), ...list(this.#body, 'usingClause')])
    const checked = (column: ColumnRule, qualifier: string | null): string => {
      if (qualifier === 'old' || qualifier === 'new')
        throw new NotRewritable('RETURNING old and new of a table that was split')
      return textOf(column)
    }
    this.#target.editReturning(this.#body.returningClause, returning, end, checked, others, (ref) =>
      this.#carriedRef(ref),
    )
    return ` ${text.render(returning, end)}`
  }

  /** A column of what stands beside the target. */
  #carriedRef(ref: ColumnRef): string {
    const { text } = this.#work
    const at = text.at(ref.location)
    const said = text.render(at, text.afterName(at))
    const known = [...this.#carried].find(([, value]) => value === said)?.[0]
    const name = known ?? `f_${this.#carried.size}`
    this.#carry(name, said)
    return `${this.#old}.${quoted(name)}`
  }

  /** The helper that finds and locks the rows. */
  #found(fromKey: string, lock: string, assigned: readonly string[]): string {
    const { text } = this.#work
    const { from, where, returning, start, verb } = this.#clauses
    const alias = quoted(this.#target.alias)
    const mentioned = this.#work.mentions.of(this.#rule, this.#target.alias)
    const carried = [...this.#carried.keys()].flatMap((name) => (name.startsWith('c_') ? [name.slice(2)] : []))
    const needed = mentioned && new Set([...mentioned, ...this.#rule.key, ...assigned, ...carried])
    const whole = fromKey === 'usingClause' ? null : needed
    const table = `${this.#work.derived(this.#rule, whole, true)} AS ${alias}`
    const beside = list(this.#body, fromKey).length > 0 ? `, ${text.render(from + 1, where)}` : ''
    const condition = this.#body.whereClause ? ` ${text.render(where, returning)}` : ''
    const columns = [...this.#carried].map(([name, said]) => named(said, name)).join(', ')
    const inner = this.#place.cteName !== null && start !== verb ? `${text.render(start, verb)} ` : ''
    return `${this.#old} AS MATERIALIZED (${inner}SELECT ${columns} FROM ${table}${beside}${this.#laterals.join('')}${condition} ${lock} OF ${alias})`
  }

  #write(helpers: readonly string[], main: string): void {
    writeWith(this.#work, this.#place, this.#clauses, helpers, main)
  }
}
