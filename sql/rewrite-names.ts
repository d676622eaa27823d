/**
 * Which names a statement mentions, and whose they are. Mentioning is over-estimated (a name counts for every table that has such a column):
 * the price is a join too many, never a column too few.
 */
import type { ColumnRef } from 'libpg-query'
import type { CatalogIndex } from './relations.js'
import { columnRule, type TableRule } from './rewrite-rules.js'
import { list, strings, type TreeNode, unwrap, walk } from './tree-walk.js'

type Mention = { readonly qualifier: string | null; readonly name: string }

export class Mentions {
  readonly #all: Mention[] = []
  #natural = false

  constructor(tree: unknown) {
    walk(tree, ({ kind, body }) => {
      if (kind === 'ColumnRef') this.#all.push(mentionOf(body as ColumnRef))
      else if (kind === 'IndexElem' && typeof body.name === 'string')
        this.#all.push({ qualifier: null, name: body.name })
      else if (kind === 'JoinExpr') {
        this.#natural ||= body.isNatural === true
        for (const name of strings(list(body, 'usingClause'))) this.#all.push({ qualifier: null, name })
      }
      return true
    })
  }

  /** Columns of the rule's table that are mentioned under this alias; null: all of them. */
  of(rule: TableRule, alias: string): ReadonlySet<string> | null {
    const found = new Set<string>()
    if (this.#natural) return null
    for (const { qualifier, name } of this.#all) {
      if (qualifier !== null && qualifier !== alias && qualifier !== 'excluded') continue
      if (name === '*') return null
      if (columnRule(rule, name)) found.add(name)
      else if (qualifier === null && name === alias) return null
    }
    return found
  }
}

export function mentionOf({ fields = [] }: ColumnRef): Mention {
  const names = fields.map((field) => ('String' in field ? (field.String.sval ?? '') : '*'))
  return { qualifier: names.at(-2) ?? null, name: names.at(-1) ?? '' }
}

/** References that mean a column of `alias`, where `own` are its columns and `others` what stands beside it; inner queries may hide it. */
export function referencesTo(
  tree: unknown,
  alias: string,
  own: (name: string) => boolean,
  index: CatalogIndex,
  visit: (ref: ColumnRef, mention: Mention, isOutput: boolean) => void,
): void {
  const look = (value: unknown, hides: readonly Hidden[], output: boolean): void => {
    if (Array.isArray(value)) {
      for (const item of value) look(item, hides, output)
      return
    }
    if (typeof value !== 'object' || value === null) return
    const node = unwrap(value)
    if (node?.kind === 'ColumnRef') {
      const ref = node.body as ColumnRef
      const mention = mentionOf(ref)
      const { qualifier, name } = mention
      if (qualifier === null && name !== '*' && (!own(name) || hides.some((hidden) => hidden.has(name)))) {
        if (name !== alias || hides.some((hidden) => hidden.aliases.has(name))) return
      }
      if (qualifier === null && name === '*' && hides.length > 0) return
      if (
        qualifier !== null &&
        qualifier !== alias &&
        qualifier !== 'excluded' &&
        qualifier !== 'new' &&
        qualifier !== 'old'
      )
        return
      if (qualifier !== null && hides.some((hidden) => hidden.aliases.has(qualifier))) return
      visit(ref, mention, output)
      return
    }
    if (node?.kind === 'ResTarget') {
      look(node.body.val, hides, output === false ? false : node.body.name === undefined)
      return
    }
    if (node?.kind === 'SelectStmt') {
      const inner = [...hides, hiddenBy(node, index)]
      for (const child of Object.values(node.body)) look(child, inner, false)
      return
    }
    for (const [key, child] of Object.entries(node?.body ?? value)) {
      if ((key === 'larg' || key === 'rarg') && unwrap(child) === null) look({ SelectStmt: child }, hides, false)
      else look(child, hides, node === null ? output : false)
    }
  }
  look(tree, [], true)
}

type Hidden = { readonly aliases: ReadonlySet<string>; has(name: string): boolean }

/** What a query's own FROM offers, so that a bare name in it means that. */
function hiddenBy({ body }: TreeNode, index: CatalogIndex): Hidden {
  const aliases = new Set<string>()
  const columns = new Set<string>()
  let unknown = false
  walk(body.fromClause, (node) => {
    if (node.kind === 'RangeVar') {
      const alias = unwrapAlias(node.body.alias) ?? String(node.body.relname)
      aliases.add(alias)
      const relation = index.byName(node.body.schemaname as string | undefined, String(node.body.relname))
      if (relation === undefined) unknown = true
      for (const column of relation?.columns ?? []) columns.add(column.name)
    } else if (node.kind === 'RangeSubselect' || node.kind === 'RangeFunction') {
      const alias = unwrapAlias(node.body.alias)
      if (alias !== undefined) aliases.add(alias)
      unknown = true
    }
    return node.kind === 'RangeVar' || node.kind === 'JoinExpr'
  })
  return { aliases, has: (name) => unknown || columns.has(name) }
}

function unwrapAlias(alias: unknown): string | undefined {
  return (alias as { aliasname?: string } | undefined)?.aliasname
}
