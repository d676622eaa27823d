/**
 * The table that a statement writes: its columns in SET, WHERE, ON CONFLICT and RETURNING, said with the new ones.
 */
import type { ColumnRef, Node, RangeVar } from 'libpg-query'
import { NotRewritable, type Work } from './rewrite.js'
import { mentionOf, referencesTo } from './rewrite-names.js'
import { type ColumnRule, columnRule, fill, quoted, type TableRule } from './rewrite-rules.js'
import { list, unwrap } from './tree-walk.js'

export type Body = Readonly<Record<string, unknown>>

/** How a column of the target is said where it is mentioned; `qualifier` as written, null without one. */
export type ColumnText = (column: ColumnRule, qualifier: string | null) => string

export class Target {
  readonly work: Work
  readonly rule: TableRule
  readonly alias: string

  constructor(work: Work, rule: TableRule, table: RangeVar) {
    this.work = work
    this.rule = rule
    this.alias = table.alias?.aliasname ?? table.relname ?? ''
  }

  owns(name: string): boolean {
    return columnRule(this.rule, name) !== undefined
  }

  /** Columns said in place, for a table that is still one table (or one part of several). */
  inPlace(part: number): ColumnText {
    const { work, rule, alias } = this
    return (column, qualifier) => {
      const from = quoted(qualifier ?? alias)
      const name = work.nameIn(rule, part, column.name)
      if (column.read === null && name !== undefined)
        return qualifier === null ? quoted(name) : `${from}.${quoted(name)}`
      return work.readText(rule, column, () => from, part)
    }
  }

  edit(tree: unknown, textOf: ColumnText): void {
    const { work, alias } = this
    referencesTo(
      tree,
      alias,
      (name) => this.owns(name),
      work.book.before,
      (ref, { qualifier, name }) => {
        const column = columnRule(this.rule, name)
        if (column === undefined) {
          if (qualifier === null || name === '*')
            throw new NotRewritable(`a whole row of ${this.rule.label} is used as a value`)
          return
        }
        this.#replace(ref, textOf(column, qualifier))
      },
    )
  }

  #replace(ref: ColumnRef, said: string): void {
    const { text } = this.work
    const at = text.at(ref.location)
    const to = text.afterName(at)
    if (said !== text.render(at, to)) text.replace(at, to, said)
  }

  /** RETURNING with the names and the order of the old columns. `others` are what stands beside the target, in order. */
  editReturning(
    clause: unknown,
    from: number,
    to: number,
    textOf: ColumnText,
    others: readonly string[],
    otherText?: (ref: ColumnRef) => string,
  ): void {
    const exprs = list((clause ?? {}) as Body, 'exprs') as Node[]
    if (exprs.length === 0) return
    const { text } = this.work
    const start = text.find('RETURNING', from, to) + 1
    const items = text.split(start, to)
    exprs.forEach((expr, i) => {
      const [itemFrom, itemTo] = items[i]!
      const target = unwrap(expr)!.body
      const value = unwrap(target.val)
      const mention = value?.kind === 'ColumnRef' ? mentionOf(value.body as ColumnRef) : null
      if (mention?.name === '*' && (mention.qualifier === null || this.#isOwn(mention.qualifier))) {
        const own = this.rule.columns.map((column) => named(textOf(column, mention.qualifier), column.name))
        const rest = mention.qualifier === null ? others.map((other) => `${quoted(other)}.*`) : []
        if (rest.length > 0 && otherText) throw new NotRewritable('RETURNING * of several tables has to be written out')
        text.replace(itemFrom, itemTo, [...own, ...rest].join(', '))
        return
      }
      this.edit([target.val], textOf)
      if (otherText) this.#editOthers(target.val, otherText)
      if (mention !== null && target.name === undefined) {
        const said = text.render(itemFrom, itemTo)
        if (!said.endsWith(quoted(mention.name)) || said.endsWith(`.${quoted(mention.name)}`) === false) {
          const renamed = named(said, mention.name)
          if (renamed !== said) text.replace(itemFrom, itemTo, renamed)
        }
      }
    })
  }

  #isOwn(qualifier: string): boolean {
    return qualifier === this.alias || qualifier === 'old' || qualifier === 'new'
  }

  #editOthers(tree: unknown, otherText: (ref: ColumnRef) => string): void {
    const look = (value: unknown): void => {
      if (Array.isArray(value)) for (const item of value) look(item)
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return
      const node = unwrap(value)
      if (node?.kind === 'SelectStmt') return
      if (node?.kind === 'ColumnRef') {
        const ref = node.body as ColumnRef
        const { qualifier, name } = mentionOf(ref)
        if (qualifier === null ? !this.owns(name) : !this.#isOwn(qualifier)) this.#replace(ref, otherText(ref))
        return
      }
      for (const child of Object.values(node?.body ?? value)) look(child)
    }
    look(tree)
  }

  /** What a part stores for a column that is written: the value itself, or made of it and other old columns. */
  stored(column: ColumnRule, valueFor: (name: string) => string): string {
    return column.write === null ? valueFor(column.name) : `(${fill(column.write, valueFor)})`
  }

  /** Whether a bare value takes the type it had from the new column as well. */
  isSameType(column: ColumnRule, part: number): boolean {
    const was = this.rule.from.columns.find(({ name }) => name === column.name)
    const to = this.work.nameIn(this.rule, part, column.name)
    const is = this.rule.parts[part]?.relation.columns.find(({ name }) => name === to)
    return was !== undefined && is !== undefined && was.type === is.type
  }

  /** A bare parameter or literal took its type from the column; elsewhere it has to be told. */
  cast(value: unknown, column: ColumnRule | undefined, said: string): string {
    const node = unwrap(value)
    const isBare =
      node?.kind === 'ParamRef' ||
      (node?.kind === 'A_Const' && (node.body.sval !== undefined || node.body.isnull === true))
    return isBare && column?.type ? `CAST(${said} AS ${column.type})` : said
  }
}

/** A value whose type is told by where it stands. */
export function isBare(value: unknown): boolean {
  const node = unwrap(value)
  return (
    node?.kind === 'ParamRef' ||
    (node?.kind === 'A_Const' && (node.body.sval !== undefined || node.body.isnull === true))
  )
}

/** `value AS name`, unless the value is called that anyway. */
export function named(said: string, name: string): string {
  return said === quoted(name) || said.endsWith(`.${quoted(name)}`) ? said : `${said} AS ${quoted(name)}`
}

/** Aliases of what stands beside the target, in order. */
export function aliasesOf(items: readonly unknown[]): string[] {
  return items.flatMap((item) => {
    const node = unwrap(item)
    if (node?.kind === 'JoinExpr') return aliasesOf([node.body.larg, node.body.rarg])
    const alias = (node?.body.alias as { aliasname?: string } | undefined)?.aliasname
    return [alias ?? String(node?.body.relname ?? '')]
  })
}
