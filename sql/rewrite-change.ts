/**
 * UPDATE and DELETE.
 *
 * A table that is still one table is changed in place. One that was split: a CTE finds the rows as the statement did, locks them in all parts
 * (the first part first, so that whoever changes any part of a row waits there) and works the new values out; then each part is changed
 * by key, and the last of them gives the row count and RETURNING.
 */
import type { ColumnRef, RangeVar } from 'libpg-query'
import { type Env, NotRewritable, type Place, partOf, type Work } from './rewrite.js'
import { type ColumnRule, columnRule, columnsIn, fill, quoted, type TableRule } from './rewrite-rules.js'
import { aliasesOf, type Body, isBare, named, Target } from './rewrite-target.js'
import { list, unwrap, walk } from './tree-walk.js'

type Clauses = {
  /** The statement's first token, and the keyword after WITH. */
  readonly start: number
  readonly verb: number
  readonly set: number
  readonly from: number
  readonly where: number
  readonly returning: number
  readonly end: number
}

export function rewriteUpdate(work: Work, body: Body, env: Env, place: Place): void {
  const table = body.relation as RangeVar
  const rule = work.ruleOf(table, env)
  visitParts(work, body, env, rule, ['targetList', 'fromClause'])
  if (!rule) return
  const target = new Target(work, rule, table)
  const clauses = clausesOf(work, body, table, 'FROM')
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
  if (cursor) throw new NotRewritable('WHERE CURRENT OF needs the cursor of one table')
}

function clausesOf({ text }: Work, body: Body, table: RangeVar, fromWord: string): Clauses {
  const at = text.at(table.location)
  const end = text.endFrom(at)
  let verb = at - 1
  while (verb > 0 && text.word(verb) !== 'UPDATE' && text.word(verb) !== 'DELETE') verb -= 1
  const withClause = body.withClause as { location?: number } | undefined
  const returning = body.returningClause ? text.find('RETURNING', at, end) : end
  const where = body.whereClause ? text.find('WHERE', at, returning) : returning
  const hasFrom = list(body, 'fromClause').length + list(body, 'usingClause').length > 0
  const set = fromWord === 'FROM' ? text.find('SET', text.afterName(at), where) : where
  const from = hasFrom ? text.find(fromWord, fromWord === 'FROM' ? set : at, where) : where
  return { start: withClause ? text.at(withClause.location) : verb, verb, set, from, where, returning, end }
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

function updateInPlace(target: Target, body: Body, clauses: Clauses): void {
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
  const valueOf = (name: string): string => {
    const column = columnRule(rule, name)
    return values.get(name) ?? (column ? said(column, null) : quoted(name))
  }
  for (const { columns, column, value, node, from, to } of items) {
    if (columns.some((one) => one.write !== null || one.to === null) && column === null) {
      throw new NotRewritable(`SET (…) = (…) names a column of ${rule.label} that changed its type`)
    }
    if (column === null) {
      renameAssigned(target, node, from)
      kept.push(text.render(from, to))
    } else if (column.to !== null) {
      const stored =
        value === null
          ? 'DEFAULT'
          : column.write === null
            ? value
            : `(${fill(column.write, (name) => `(${name === column.name ? value : valueOf(name)})`)})`
      renameAssigned(target, node, from)
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

function conditionsInPlace(target: Target, body: Body, clauses: Clauses, fromKey: string): void {
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
      const last = clauses.where - 1
      text.replace(last, last + 1, `${text.render(last, last + 1)} WHERE ${own}`)
    }
  }
  const isPlain =
    work.isRenamedOnly(rule) ||
    (rule.parts.length > 1 && work.directPart(rule, work.mentions.of(rule, target.alias), true) === 0)
  if (!isPlain)
    target.editReturning(body.returningClause, clauses.returning, clauses.end, said, aliasesOf(list(body, fromKey)))
}

type Assignment = {
  /** The columns before `=`; one, except for `(a, b) = (…)`. */
  readonly columns: readonly ColumnRule[]
  readonly node: readonly ColumnRule[]
  readonly column: ColumnRule | null
  /** null: DEFAULT. */
  readonly value: string | null
  /** A constant of the right type: it can stand where it is stored, and is checked when the statement is planned. */
  readonly inline: string | null
  readonly from: number
  readonly to: number
}

/** `(a, b) = (x, y)` counts as two; `(a, b) = (SELECT …)` has no single values. */
function assignments(target: Target, body: Body, { set, from }: Clauses): Assignment[] {
  const { work, rule } = target
  const { text } = work
  const targets = list(body, 'targetList').map((item) => unwrap(item)!.body)
  let at = 0
  return text.split(set + 1, from).map(([itemFrom, itemTo]): Assignment => {
    const multi = unwrap(targets[at]?.val)?.kind === 'MultiAssignRef' ? unwrap(targets[at]?.val)!.body : null
    const count = multi === null ? 1 : Number(multi.ncolumns)
    const own = targets.slice(at, at + count)
    at += count
    const columns = own.map(({ name }) => columnRule(rule, String(name))!)
    const base = { columns, node: columns, inline: null, from: itemFrom, to: itemTo }
    if (
      own.some(({ indirection }) => indirection !== undefined) &&
      (rule.parts.length > 1 || columns.some(({ write }) => write))
    ) {
      throw new NotRewritable(`only a piece of a column of ${rule.label} is assigned`)
    }
    if (multi !== null) return { ...base, column: null, value: null }
    const [only] = own
    if (unwrap(only!.val)?.kind === 'SetToDefault') return { ...base, column: columns[0]!, value: null }
    const equals = text.find('=', itemFrom, itemTo)
    const said = text.render(equals + 1, itemTo)
    const first = columns[0]!
    const isConstant = isBare(only!.val) || unwrap(only!.val)?.kind === 'A_Const'
    const isInline = isConstant && !first.isKey && first.write === null && first.part >= 0 && rule.columns.every(({ write }) => write === null) && target.isSameType(first, first.part)
    const needsCast = columns[0]!.write !== null || rule.parts.length > 1
    return { ...base, column: columns[0]!, inline: isInline ? said : null, value: needsCast ? target.cast(only!.val, columns[0], said) : said }
  })
}

/** A row that lives in several tables. */
class ByParts {
  readonly #target: Target
  readonly #work: Work
  readonly #rule: TableRule
  readonly #body: Body
  readonly #clauses: Clauses
  readonly #place: Place
  readonly #old: string
  /** Columns of the helper that finds the rows: name to text. */
  readonly #carried = new Map<string, string>()
  readonly #laterals: string[] = []

  constructor(target: Target, body: Body, clauses: Clauses, place: Place) {
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
    const valueOf = (name: string): string =>
      valued.has(name) ? `${this.#old}.${quoted(`n_${name}`)}` : this.#current(name)
    for (const name of assigned) {
      const column = columnRule(this.#rule, name)!
      for (const part of column.isKey ? parts.keys() : [column.part]) {
        const to = this.#work.nameIn(this.#rule, part, name)
        if (to === undefined) continue
        sets[part]!.push(`${quoted(to)} = ${defaults.has(name) ? 'DEFAULT' : (inline.get(name) ?? this.#target.stored(column, valueOf))}`)
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

/** Puts helper CTEs where the server takes them: only the outermost WITH may hold statements that write. */
export function writeWith(
  { text }: Work,
  { cteName }: Place,
  { start, verb, end }: Pick<Clauses, 'start' | 'verb' | 'end'>,
  helpers: readonly string[],
  main: string,
): void {
  const list = helpers.join(', ')
  if (cteName !== null) {
    text.replace(cteName, cteName + 1, `${list}, ${text.render(cteName, cteName + 1)}`)
    text.replace(start, end, main)
    return
  }
  const given = start === verb ? '' : text.render(start, verb)
  text.replace(start, end, given === '' ? `WITH ${list} ${main}` : `${given}, ${list} ${main}`)
}
