/**
 * Where the clauses of a writing statement are, what SET assigns, and where helper CTEs go.
 */
import type { RangeVar } from 'libpg-query'
import { NotRewritable, type Place, type Work } from './rewrite.js'
import { type ColumnRule, columnRule } from './rewrite-rules.js'
import { type Body, isBare, type Target } from './rewrite-target.js'
import { list, unwrap } from './tree-walk.js'

export type ChangeClauses = {
  /** The statement's first token, and the keyword after WITH. */
  readonly start: number
  readonly verb: number
  readonly set: number
  readonly from: number
  readonly where: number
  readonly returning: number
  readonly end: number
}

export function clausesOf({ text }: Work, body: Body, table: RangeVar, fromWord: string): ChangeClauses {
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

export type Assignment = {
  /** The columns before `=`; one, except for `(a, b) = (…)`. */
  readonly columns: readonly ColumnRule[]
  readonly column: ColumnRule | null
  /** null: DEFAULT. */
  readonly value: string | null
  /** A constant of the right type: it can stand where it is stored, and is checked when the statement is planned. */
  readonly inline: string | null
  readonly from: number
  readonly to: number
}

/** `(a, b) = (x, y)` counts as two; `(a, b) = (SELECT …)` has no single values. */
export function assignments(target: Target, body: Body, { set, from }: ChangeClauses): Assignment[] {
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
    const base = { columns, inline: null, from: itemFrom, to: itemTo }
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
    const isInline =
      isConstant &&
      !first.isKey &&
      first.write === null &&
      first.part >= 0 &&
      rule.columns.every(({ write }) => write === null) &&
      target.isSameType(first, first.part)
    const needsCast = columns[0]!.write !== null || rule.parts.length > 1
    return {
      ...base,
      column: columns[0]!,
      inline: isInline ? said : null,
      value: needsCast && !isInline ? target.cast(only!.val, columns[0], said) : said,
    }
  })
}

/** Puts helper CTEs where the server takes them: only the outermost WITH may hold statements that write. */
export function writeWith(
  { text }: Work,
  { cteName }: Place,
  { start, verb, end }: Pick<ChangeClauses, 'start' | 'verb' | 'end'>,
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
