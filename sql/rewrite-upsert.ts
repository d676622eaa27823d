/**
 * INSERT … ON CONFLICT into several tables: the part that holds the constraint goes first, and returns the rows that the others are to take.
 */
import { NotRewritable } from './rewrite.js'
import { InsertRows } from './rewrite-insert-rows.js'
import { type ColumnRule, columnRule, quoted } from './rewrite-rules.js'
import type { Body } from './rewrite-target.js'
import { list, unwrap } from './tree-walk.js'

/** `excluded.name`. */
function isExcludedColumn(value: unknown, name: string): boolean {
  const node = unwrap(value)
  if (node?.kind !== 'ColumnRef') return false
  const words = list(node.body, 'fields').map((field) => unwrap(field)?.body.sval)
  return words.length === 2 && words[0] === 'excluded' && words[1] === name
}

export class Upsert extends InsertRows {
  upsert(rows: string, made: string, provided: ReadonlySet<string>, valueFor: (name: string) => string): void {
    const clause = this.body.onConflictClause as Body
    const updates = clause.action === 'ONCONFLICT_UPDATE'
    const { text } = this.work
    const { conflict, returning } = this.clauses
    const { parts, key } = this.rule
    const infer = clause.infer as Body | undefined
    const elements = list(infer ?? {}, 'indexElems').map((item) => unwrap(item)?.body.name)
    if (infer?.conname !== undefined || elements.some((name) => typeof name !== 'string')) {
      throw new NotRewritable(`ON CONFLICT of ${this.rule.label} has to name plain columns: it is split`)
    }
    const targets = elements as string[]
    const holders = targets.map((name) => columnRule(this.rule, name)).filter((column) => column && !column.isKey)
    const first = holders[0]?.part ?? this.uniquePart()
    if (holders.some((column) => column?.part !== first))
      throw new NotRewritable(`ON CONFLICT of ${this.rule.label} spans parts`)
    const byKey = targets.length === 0 || (targets.length === key.length && targets.every((name) => key.includes(name)))
    const matching = byKey ? key : targets
    const sets = parts.map((): string[] => [])
    const ref = (part: number): string => quoted(parts[part]!.relation.name)
    const said =
      (here: number) =>
      (column: ColumnRule, qualifier: string | null): string => {
        const isExcluded = qualifier === 'excluded'
        const name = this.work.nameIn(this.rule, here, column.name)
        if (name !== undefined && column.read === null) return `${isExcluded ? 'excluded' : ref(here)}.${quoted(name)}`
        if (column.read !== null)
          throw new NotRewritable(`ON CONFLICT reads a column of ${this.rule.label} that changed its type`)
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
      const column = columnRule(this.rule, String(name))
      if (column?.isKey && byKey && isExcludedColumn(val, column.name)) {
        // Object mappers set all that they insert. Equal it is already; how it is written may differ.
        const at = key.indexOf(column.name)
        for (const [part, { key: own }] of parts.entries())
          sets[part]!.push(`${quoted(own[at]!)} = excluded.${quoted(own[at]!)}`)
        continue
      }
      if (!column || column.isKey || column.write !== null || unwrap(val)?.kind === 'MultiAssignRef') {
        throw new NotRewritable(`ON CONFLICT DO UPDATE of ${this.rule.label} sets ${String(name)}`)
      }
      if (column.to === null) continue
      this.target.edit([val], said(column.part))
      const from = text.at(Number(location))
      const range = text.split(from, this.endOfSet(from))[0]!
      sets[column.part]!.push(`${quoted(column.to)} = ${text.render(text.find('=', range[0], range[1]) + 1, range[1])}`)
    }
    let condition = ''
    if (updates && clause.whereClause) {
      this.target.edit(clause.whereClause, said(first))
      const set = text.find('SET', conflict, returning)
      condition = ` ${text.render(text.find('WHERE', set, returning), returning)}`
    }
    const stay = (part: number): string =>
      `${quoted(parts[part]!.key[0]!)} = ${ref(part)}.${quoted(parts[part]!.key[0]!)}`
    const onConflict = (part: number): string => {
      const columns =
        part === first && !byKey ? targets.map((name) => this.work.nameIn(this.rule, part, name)!) : parts[part]!.key
      const where = part === first ? condition : ''
      const at = part === first && targets.length === 0 ? '' : ` (${columns.map(quoted).join(', ')})`
      return updates
        ? ` ON CONFLICT${at} DO UPDATE SET ${(sets[part]!.length > 0 ? sets[part]! : [stay(part)]).join(', ')}${where}`
        : ` ON CONFLICT${at} DO NOTHING`
    }
    const others = [...parts.keys()].filter((part) => part !== first)
    const top = others.at(-1)!
    const helpers = new Map(
      [first, ...others.slice(0, -1)].map((part) => [part, this.work.helper(parts[part]!.relation.name)]),
    )
    const chosen = quoted(helpers.get(first)!)
    const returned = this.returning(top, helpers)
    const keyOf = (name: string): string =>
      key.includes(name) ? `${chosen}.${quoted(parts[first]!.key[key.indexOf(name)]!)}` : valueFor(name)
    const matched = matching
      .map((name) => `${chosen}.${quoted(this.work.nameIn(this.rule, first, name)!)} = ${rows}.${quoted(name)}`)
      .join(' AND ')
    const statement = (part: number): string => {
      const into = this.into(part, provided, part === first ? valueFor : keyOf)
      const join = part === first ? '' : ` JOIN ${chosen} ON ${matched}`
      return `${into} FROM ${rows}${join}${updates || part === first ? onConflict(part) : ''}`
    }
    const texts = [...helpers].map(([part, helper]) => `${quoted(helper)} AS (${statement(part)} RETURNING *)`)
    this.write([made, ...texts], statement(top) + returned)
  }

  /** Where ON CONFLICT names nothing: the part that has a constraint besides the key. */
  uniquePart(): number {
    const { parts } = this.rule
    const found = parts.flatMap(({ relation }, part) =>
      relation.uniques.some(({ primary }) => !primary) ? [part] : [],
    )
    if (found.length > 1)
      throw new NotRewritable(`ON CONFLICT of ${this.rule.label} may mean constraints of several parts`)
    return found[0] ?? 0
  }

  endOfSet(from: number): number {
    const { text } = this.work
    const { returning } = this.clauses
    const where = text.find('WHERE', from, returning)
    return where < 0 ? returning : where
  }
}
