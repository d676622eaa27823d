/**
 * Statements of an old schema, said to a new one.
 *
 * Reading: a table that changed is replaced where FROM names it, by the new table alone when that is enough, otherwise by a subquery that
 * shows the old columns in their old order (the server's planner pulls it up). Writing: ./rewrite-insert.ts, ./rewrite-change.ts. Everything
 * else of the text stays as it was sent.
 */
import type { ColumnRef, Node, RangeVar, SelectStmt } from 'libpg-query'
import type { Relation } from '../segment/catalog.js'
import { lex } from './lex.js'
import { parse } from './parse.js'
import type { CatalogIndex } from './relations.js'
import { rewriteDelete, rewriteUpdate } from './rewrite-change.js'
import { copyOut, copyStatements } from './rewrite-copy.js'
import { groupByKey } from './rewrite-group.js'
import { rewriteInsert } from './rewrite-insert.js'
import { Mentions } from './rewrite-names.js'
import { columnRule, columnsIn, fill, quoted, type TableRule } from './rewrite-rules.js'
import { SqlText, type Template } from './rewrite-text.js'
import { list, strings, unwrap } from './tree-walk.js'

export type RuleBook = {
  readonly before: CatalogIndex
  readonly after: CatalogIndex
  readonly rules: ReadonlyMap<number, TableRule>
}

/** How many statements stand for one, and which of them gives the result. */
export type Group = {
  readonly count: number
  readonly result: number
  /** Its answer is a SELECT that stands for another command. */
  readonly counted?: Counted
}

/** Counts nothing. */
export const TRUNCATED = 'TRUNCATE TABLE'

/** How the answer is called, and whether it has rows or only counts them. */
export type Counted = { readonly verb: string; readonly hasRows: boolean }

export type Rewritten = {
  readonly template: Template
  /** One for each statement of the text that was rewritten. */
  readonly groups: readonly Group[]
  /** The tables whose rules took part. */
  readonly tables: readonly string[]
  /** A literal's value decided: other texts of this shape need their own look. */
  readonly isOfThisTextOnly: boolean
}

/** Something that no rule can say; the statement is left as it is, with the reason for people. */
export class NotRewritable extends Error {}

/** Names that WITH defines; they hide tables. */
export type Env = ReadonlySet<string>

/** Where helper CTEs of a writing statement go: before itself, or before the CTE it stands in. */
export type Place = { readonly cteName: number | null }

/** null: nothing in it is of a table that changed. Throws NotRewritable. */
export function rewriteSql(sql: string, book: RuleBook): Rewritten | null {
  const statements = parse(sql)
  if (statements === null) return null
  const text = new SqlText(sql, lex(sql))
  const work = new Work(text, book)
  const groups: Group[] = []
  for (const { stmt, stmt_location } of statements) {
    const start = text.at(stmt_location)
    groups.push(stmt === undefined ? SINGLE : work.statement(stmt, start))
  }
  if (!text.isChanged) return null
  const template = text.template(text.result())
  return { template, groups, tables: [...work.tables], isOfThisTextOnly: work.isOfThisTextOnly }
}

const SINGLE: Group = { count: 1, result: 0 }

/** One text being rewritten. */
export class Work {
  readonly text: SqlText
  readonly book: RuleBook
  readonly tables = new Set<string>()
  isOfThisTextOnly = false
  mentions = new Mentions([])
  /** Set where a SELECT stands for a command that writes. */
  counted: Counted | null = null
  #helpers = 0

  constructor(text: SqlText, book: RuleBook) {
    this.text = text
    this.book = book
  }

  statement(node: Node, start: number): Group {
    this.mentions = new Mentions(node)
    if ('CopyStmt' in node && node.CopyStmt.relation) {
      const rule = this.ruleOf(node.CopyStmt.relation, NO_NAMES)
      if (rule)
        return node.CopyStmt.is_from
          ? copyStatements(this, node.CopyStmt, rule, start)
          : copyOut(this, node.CopyStmt, rule)
    }
    this.counted = null
    this.visit(node, NO_NAMES, { cteName: null })
    const { counted } = this
    if (counted === null || 'ExplainStmt' in node) return SINGLE
    if ('PrepareStmt' in node)
      throw new NotRewritable('PREPARE of a statement that writes to several tables by a predicate')
    return { ...SINGLE, counted: counted as Counted }
  }

  /** The rule of a table that changed, unless WITH gave the name to something else. */
  ruleOf({ schemaname, relname = '' }: RangeVar, env: Env): TableRule | undefined {
    if (schemaname === undefined && env.has(relname)) return undefined
    const relation = this.book.before.byName(schemaname, relname)
    const rule = relation && this.book.rules.get(relation.oid)
    if (rule) this.tables.add(rule.label)
    return rule
  }

  /** `pgr_old`, and numbers from the second on. */
  helper(word: string): string {
    this.#helpers += 1
    return this.#helpers === 1 ? `pgr_${word}` : `pgr_${word}_${this.#helpers}`
  }

  visit(value: unknown, env: Env, place: Place | null = null): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, env)
      return
    }
    if (typeof value !== 'object' || value === null) return
    const node = unwrap(value)
    if (node === null) {
      for (const [key, child] of Object.entries(value)) this.#field(key, child, env)
      return
    }
    const body = node.body
    switch (node.kind) {
      case 'SelectStmt':
        this.#select(body as SelectStmt, env)
        return
      case 'InsertStmt':
        rewriteInsert(this, body, this.with(body, env), place ?? { cteName: null })
        return
      case 'UpdateStmt':
        rewriteUpdate(this, body, this.with(body, env), place ?? { cteName: null })
        return
      case 'DeleteStmt':
        rewriteDelete(this, body, this.with(body, env), place ?? { cteName: null })
        return
      case 'MergeStmt': {
        const rule = this.ruleOf(body.relation as RangeVar, env)
        if (rule && !this.isRenamedOnly(rule))
          throw new NotRewritable(`MERGE into ${rule.label} cannot be rewritten by a rule`)
        if (rule) this.renameTarget(body.relation as RangeVar, rule)
        this.#children(body, this.with(body, env), ['withClause', 'relation'])
        return
      }
      case 'TruncateStmt':
        if (this.#truncatesShared(body, env)) return
        for (const one of list(body, 'relations')) this.#everyPart(unwrap(one)?.body as RangeVar, env)
        return
      case 'LockStmt':
        for (const one of list(body, 'relations')) this.#everyPart(unwrap(one)?.body as RangeVar, env)
        return
      case 'VacuumRelation':
        this.#everyPart(body.relation as RangeVar, env)
        return
      case 'RangeVar':
        this.read(body as RangeVar, env, false)
        return
      case 'RangeTableSample': {
        const table = unwrap(body.relation)
        const rule = table?.kind === 'RangeVar' && this.ruleOf(table.body as RangeVar, env)
        if (rule && this.directPart(rule, null, false) === null)
          throw new NotRewritable(`a sample of ${rule.label} cannot be taken from a join`)
        this.#children(body, env)
        return
      }
      case 'ColumnRef':
        this.#unqualify(body as ColumnRef, env)
        return
      case 'ViewStmt':
      case 'CreateTableAsStmt':
      case 'PrepareStmt':
      case 'ExplainStmt':
      case 'DeclareCursorStmt':
      case 'CopyStmt':
        this.visit(body.query, env, { cteName: null })
        return
      default:
        // DDL speaks of the old schema and is left to fail or work as it is.
        if (node.kind.endsWith('Stmt') || node.kind === 'IntoClause') return
        this.#children(body, env)
    }
  }

  /** WITH: its queries are visited, its names hide tables from here on. */
  with(body: Readonly<Record<string, unknown>>, env: Env): Env {
    const clause = body.withClause as { ctes?: Node[]; recursive?: boolean } | undefined
    const ctes = (clause?.ctes ?? []).flatMap((cte) => ('CommonTableExpr' in cte ? [cte.CommonTableExpr] : []))
    if (ctes.length === 0) return env
    const names = new Set(env)
    if (clause?.recursive) for (const cte of ctes) names.add(cte.ctename ?? '')
    for (const cte of ctes) {
      if (cte.ctequery) this.visit(cte.ctequery, new Set(names), { cteName: this.text.at(cte.location) })
      names.add(cte.ctename ?? '')
    }
    return names
  }

  #select(select: SelectStmt, outer: Env): void {
    const env = this.with(select as Readonly<Record<string, unknown>>, outer)
    for (const side of [select.larg, select.rarg]) if (side) this.#select(side, env)
    const locks = (select.lockingClause ?? []).flatMap((lock) => ('LockingClause' in lock ? [lock.LockingClause] : []))
    const isLocked = (alias: string): boolean =>
      locks.some(
        ({ lockedRels }) =>
          !lockedRels || lockedRels.some((rel) => 'RangeVar' in rel && rel.RangeVar.relname === alias),
      )
    for (const item of select.fromClause ?? []) this.#from(item, env, isLocked)
    groupByKey(this, select, env)
    this.#children(select as Readonly<Record<string, unknown>>, env, [
      'withClause',
      'fromClause',
      'larg',
      'rarg',
      'lockingClause',
      'intoClause',
    ])
  }

  #from(node: Node, env: Env, isLocked: (alias: string) => boolean): void {
    if ('RangeVar' in node) {
      this.read(node.RangeVar, env, isLocked(node.RangeVar.alias?.aliasname ?? node.RangeVar.relname ?? ''))
    } else if ('JoinExpr' in node) {
      for (const side of [node.JoinExpr.larg, node.JoinExpr.rarg]) if (side) this.#from(side, env, isLocked)
      this.visit(node.JoinExpr.quals, env)
    } else this.visit(node, env)
  }

  #field(key: string, child: unknown, env: Env): void {
    if ((key === 'larg' || key === 'rarg') && unwrap(child) === null) this.#select(child as SelectStmt, env)
    else this.visit(child, env)
  }

  #children(body: Readonly<Record<string, unknown>>, env: Env, except: readonly string[] = []): void {
    for (const [key, child] of Object.entries(body)) if (!except.includes(key)) this.#field(key, child, env)
  }

  /** `public.orders.status`: a subquery or a renamed table has an alias, but no schema. */
  #unqualify(ref: ColumnRef, env: Env): void {
    const names = strings(ref.fields ?? [])
    if ((ref.fields?.length ?? 0) < 3) return
    if (!this.ruleOf({ schemaname: names[0]!, relname: names[1]! }, env)) return
    const at = this.text.at(ref.location)
    this.text.replace(at, at + 3, quoted(names[1]!))
  }

  /** A table that is read. */
  read(table: RangeVar, env: Env, isLocked: boolean): void {
    const rule = this.ruleOf(table, env)
    if (!rule) return
    const alias = table.alias?.aliasname ?? table.relname ?? ''
    const needed = (table.alias?.colnames?.length ?? 0) > 0 ? null : this.mentions.of(rule, alias)
    const part = this.directPart(rule, needed, isLocked)
    const [from, to] = this.nameRange(table)
    const name = part === null ? this.derived(rule, needed, isLocked) : rule.parts[part]!.name
    const as = table.alias || (part !== null && rule.parts[part]!.relation.name === alias) ? '' : ` AS ${quoted(alias)}`
    if (this.text.word(from - 1) === 'TABLE') this.text.replace(from - 1, to, `SELECT * FROM ${name}${as}`)
    else this.text.replace(from, to, name + as)
  }

  /** `ONLY name *`, without the alias. */
  nameRange(table: RangeVar): readonly [number, number] {
    const at = this.text.at(table.location)
    let from = at
    let to = this.text.afterName(at)
    if (this.text.word(to) === '*') to += 1
    if (this.text.word(from - 1) === 'ONLY') from -= 1
    else if (this.text.word(from - 1) === '(' && this.text.word(from - 2) === 'ONLY') {
      from -= 2
      to += 1
    }
    return [from, to]
  }

  /** The part that can stand for the whole table, when it shows the columns under their names and nothing else. */
  directPart(rule: TableRule, needed: ReadonlySet<string> | null, isLocked: boolean): number | null {
    if (rule.where !== null || rule.partitions.length > 0) return null
    const part = needed === null ? 0 : partOf(rule, needed)
    if (part === null || (isLocked && part !== 0)) return null
    const plain = (name: string): boolean => {
      const column = columnRule(rule, name)!
      return column.read === null && this.nameIn(rule, part, column.name) === name
    }
    const names = rule.parts[part]!.relation.columns.map(({ name }) => name)
    if (needed === null) {
      const same =
        rule.columns.length === names.length && rule.columns.every(({ name }, at) => names[at] === name && plain(name))
      return same ? part : null
    }
    // A column that only the new table has could be taken for another table's.
    const strangers = names.filter((name) => !columnRule(rule, name))
    return strangers.length === 0 && [...needed].every(plain) ? part : null
  }

  /** The old table as a subquery. */
  derived(rule: TableRule, needed: ReadonlySet<string> | null, isLocked: boolean): string {
    if (rule.partitions.length > 0) {
      if (isLocked) throw new NotRewritable(`rows of ${rule.label} cannot be locked: they lie in several tables`)
      const branches = rule.partitions.map((one) => this.derived({ ...one, where: null }, needed, false).slice(1, -1))
      return `(${branches.join(' UNION ALL ')})`
    }
    const shown = rule.columns.filter(({ name }) => needed === null || needed.has(name))
    if (shown.length === 0) shown.push(...rule.columns.filter(({ isKey }) => isKey))
    const used = new Set<number>(isLocked || rule.where !== null ? [0] : [])
    for (const column of shown) for (const part of partsOf(rule, column)) used.add(part)
    if (used.size === 0) used.add(0)
    const parts = [...used].sort((a, b) => a - b)
    const alias = (part: number): string => `p${part}`
    const first = parts[0]!
    const columns = shown.map((column) => {
      const text = this.readText(rule, column, alias, first)
      return text.endsWith(`.${quoted(column.name)}`) ? text : `${text} AS ${quoted(column.name)}`
    })
    const [head, ...rest] = parts.map((part) => `${rule.parts[part]!.name} AS ${alias(part)}`)
    const joins = rest.map(
      (table, at) => ` JOIN ${table} ON ${keysEqual(rule, parts[at + 1]!, alias(parts[at + 1]!), first, alias(first))}`,
    )
    const where = rule.where === null ? '' : ` WHERE ${fill(rule.where, (column) => `p0.${quoted(column)}`)}`
    return `(SELECT ${columns.join(', ')} FROM ${head}${joins.join('')}${where})`
  }

  /** A column of the old table, said with the new ones; `home` is the part that a column of the key is taken from. */
  readText(rule: TableRule, column: ColumnRule, alias: (part: number) => string, home = 0): string {
    if (column.read !== null) {
      const text = fill(column.read, (name) => `${alias(partHolding(rule, name, column.part, home))}.${quoted(name)}`)
      return column.type === null ? `(${text})` : `CAST(${text} AS ${column.type})`
    }
    if (column.to === null) return column.type === null ? 'NULL' : `CAST(NULL AS ${column.type})`
    const part = column.isKey ? home : column.part
    return `${alias(part)}.${quoted(this.nameIn(rule, part, column.name)!)}`
  }

  /** The name of a column in a part; undefined: it is not there. */
  nameIn(rule: TableRule, part: number, name: string): string | undefined {
    const column = columnRule(rule, name)
    if (!column) return undefined
    if (column.isKey) return rule.parts[part]?.key[rule.key.indexOf(name)]
    return column.part === part ? (column.to ?? undefined) : undefined
  }

  isRenamedOnly(rule: TableRule): boolean {
    return this.directPart(rule, new Set(rule.columns.map(({ name }) => name)), true) !== null
  }

  renameTarget(table: RangeVar, rule: TableRule, part = 0): void {
    const [from, to] = this.nameRange(table)
    const { name, relation } = rule.parts[part]!
    const old = table.relname ?? ''
    this.text.replace(from, to, table.alias || relation.name === old ? name : `${name} AS ${quoted(old)}`)
  }

  /** A table that shares its new one with other rows is emptied of its own: true if that is all there is to do. */
  #truncatesShared(body: Readonly<Record<string, unknown>>, env: Env): boolean {
    const tables = list(body, 'relations')
    const table = unwrap(tables[0])?.body as RangeVar | undefined
    const rule = table && this.ruleOf(table, env)
    const isAlone = tables.length === 1 && body.restart_seqs !== true && body.behavior !== 'DROP_CASCADE'
    if (!isAlone || !rule || rule.where === null || rule.parts.length > 1) return false
    const [at] = this.nameRange(table)
    let start = at
    while (start > 0 && this.text.word(start) !== 'TRUNCATE') start -= 1
    const part = rule.parts[0]!.name
    this.text.replace(start, this.text.endFrom(start), `DELETE FROM ${part} WHERE ${fill(rule.where, quoted)}`)
    this.counted = { verb: TRUNCATED, hasRows: false }
    return true
  }

  #everyPart(table: RangeVar | undefined, env: Env): void {
    const rule = table && this.ruleOf(table, env)
    if (!rule) return
    if (rule.partitions.length > 0) {
      const names = rule.partitions.flatMap(({ parts }) => parts.map(({ name }) => name))
      this.text.replace(...this.nameRange(table), names.join(', '))
      return
    }
    if (rule.where !== null) throw new NotRewritable(`${rule.label} shares its new table with other rows`)
    const [from, to] = this.nameRange(table)
    this.text.replace(from, to, rule.parts.map(({ name }) => name).join(', '))
  }
}

type ColumnRule = TableRule['columns'][number]

export const NO_NAMES: Env = new Set()

/** The parts that reading a column needs. */
function partsOf(rule: TableRule, column: ColumnRule): number[] {
  if (column.isKey) return []
  if (column.read === null) return column.part < 0 ? [] : [column.part]
  return columnsIn(column.read).map((name) => partHolding(rule, name, column.part, 0))
}

function partHolding(rule: TableRule, name: string, preferred: number, home: number): number {
  const has = (part: number) => rule.parts[part]?.relation.columns.some((column) => column.name === name) === true
  if (has(preferred)) return preferred
  if (has(home)) return home
  return Math.max(
    0,
    rule.parts.findIndex((_, part) => has(part)),
  )
}

/** The one part that holds all these columns; columns of the key are everywhere. */
export function partOf(rule: TableRule, names: ReadonlySet<string>): number | null {
  const parts = new Set<number>()
  for (const name of names) {
    const column = columnRule(rule, name)
    if (column) for (const part of partsOf(rule, column)) parts.add(part)
  }
  if (parts.size > 1) return null
  return [...parts][0] ?? 0
}

export function keysEqual(rule: TableRule, part: number, alias: string, other: number, otherAlias: string): string {
  return rule.key
    .map(
      (_, at) =>
        `${alias}.${quoted(rule.parts[part]!.key[at]!)} = ${otherAlias}.${quoted(rule.parts[other]!.key[at]!)}`,
    )
    .join(' AND ')
}

/** Names of the target's columns in order, for a statement that names none. */
export function columnNames(relation: Relation): string[] {
  return relation.columns.map(({ name }) => name)
}
