/**
 * A mapping laid over the two catalogs: every name in it exists, every expression parses, and every old column has one place to go.
 */

import { nearest } from '../../privacy/policy/nearest.js'
import { splitName } from '../../privacy/policy/policy.js'
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import { CatalogIndex } from '../../sql/relations.js'
import type { RuleBook } from '../../sql/rewrite.js'
import {
  type ColumnRule,
  castType,
  columnsIn,
  type Expression,
  type PartRule,
  parseExpression,
  quoted,
  type TableRule,
} from '../../sql/rewrite-rules.js'
import { type Mapping, mappingFault, type TableMapping } from './mapping.js'

export function bindRules(mapping: Mapping, before: Catalog, after: Catalog): RuleBook {
  const from = new CatalogIndex(before)
  const to = new CatalogIndex(after)
  const rules = new Map<number, TableRule>()
  for (const table of mapping.tables) {
    const rule = new TableBinder(mapping, table, from, to).bind()
    if (rules.has(rule.from.oid))
      throw mappingFault(
        mapping.file,
        mapping.lineOf('tables', table.name),
        'two rules for one table',
        `${table.name} is named above already`,
      )
    rules.set(rule.from.oid, rule)
  }
  return { before: from, after: to, rules }
}

class TableBinder {
  readonly #mapping: Mapping
  readonly #table: TableMapping
  readonly #before: CatalogIndex
  readonly #after: CatalogIndex

  /** Where the new table's name stands. */
  readonly #path: readonly (string | number)[]

  constructor(
    mapping: Mapping,
    table: TableMapping,
    before: CatalogIndex,
    after: CatalogIndex,
    path: readonly (string | number)[] = ['to'],
  ) {
    this.#path = path
    this.#mapping = mapping
    this.#table = table
    this.#before = before
    this.#after = after
  }

  bind(): TableRule {
    const { name, to, split, partition, where } = this.#table
    if (partition.length === 0) return this.#bindOne()
    if (to !== null || split.length > 0 || where !== null)
      this.#fault(
        [],
        'two rules for one thing',
        '`partition` says where the rows went',
        'Leave out `to`, `split` and `where`.',
      )
    const rules = partition.map(({ table, where: own }, at) => {
      const path = ['partition', at]
      if (own === null && at < partition.length - 1)
        this.#fault(
          path,
          `${table} does not say which rows it takes`,
          'only the last one may take the rest',
          'Give it `where`.',
        )
      const alone = { ...this.#table, partition: [], to: table }
      const rule = new TableBinder(this.#mapping, alone, this.#before, this.#after, path).bind()
      return { ...rule, where: own === null ? null : this.#expression(own, path, rule.from.columns) }
    })
    const [first, ...others] = rules as [TableRule, ...TableRule[]]
    for (const [i, { columns }] of others.entries())
      if (columns.some(({ to: own }, at) => own !== first.columns[at]!.to))
        this.#fault(
          ['partition', i + 1],
          `the tables of ${name} differ in their columns`,
          'one rule speaks of all of them',
        )
    return { ...first, where: null, partitions: rules }
  }

  #bindOne(): TableRule {
    const { name, to, split, columns, added } = this.#table
    const from = this.#find(this.#before, name, 'the recorded schema', [])
    if (split.length > 0 && to !== null)
      this.#fault([], 'two rules for one thing', '`to` and `split` both say where the rows went', 'Keep one of them.')
    if (split.length === 0 && to === null && columns.size + added.size === 0 && this.#table.where === null) {
      this.#fault([], `nothing is said about ${name}`, 'give it `to`, `split` or `columns`')
    }
    const key = this.#key(from)
    const parts: PartRule[] =
      split.length > 0
        ? split.map((part, at) =>
            this.#part(part.table, part.key ?? key.map((one) => this.#newName(one)), ['split', at]),
          )
        : [
            this.#part(
              to ?? name,
              key.map((one) => this.#newName(one)),
              this.#path,
            ),
          ]
    for (const column of columns.keys()) {
      if (!from.columns.some((one) => one.name === column))
        this.#unknownColumn(column, from.columns, `${name}`, ['columns', column])
    }
    const rules = from.columns.map((column) => this.#column(column, parts, key))
    this.#everyColumnHasOnePlace(rules)
    const where =
      this.#table.where === null
        ? null
        : this.#expression(
            this.#table.where,
            ['where'],
            parts.flatMap(({ relation }) => relation.columns),
          )
    return {
      from,
      label: name,
      key,
      parts,
      columns: rules,
      added: [...added].map(([column, value]) => {
        const part = parts.findIndex(({ relation }) => relation.columns.some((one) => one.name === column))
        if (part < 0)
          this.#unknownColumn(
            column,
            parts.flatMap(({ relation }) => relation.columns),
            'the new table',
            ['added', column],
          )
        return { part, to: column, value: this.#expression(value, ['added', column], from.columns) }
      }),
      where,
      partitions: [],
    }
  }

  #key(from: Relation): readonly string[] {
    const { key, split } = this.#table
    const primary = from.uniques.find((unique) => unique.primary)?.columns ?? []
    const names = key ?? primary.map((attnum) => from.columns.find((column) => column.attnum === attnum)!.name)
    for (const name of names)
      if (!from.columns.some((column) => column.name === name))
        this.#unknownColumn(name, from.columns, from.name, ['key'])
    if (split.length > 0 && names.length === 0)
      this.#fault(
        ['split'],
        `${from.name} has no primary key`,
        'its parts are joined by one',
        'Name the columns that all parts share: `key: [id]`.',
      )
    return names
  }

  #newName(column: string): string {
    return this.#table.columns.get(column)?.to ?? column
  }

  #part(table: string, key: readonly string[], path: readonly (string | number)[]): PartRule {
    const relation = this.#find(this.#after, table, 'the new schema', path)
    if (this.#table.split.length > 0) {
      for (const name of key)
        if (!relation.columns.some((column) => column.name === name))
          this.#unknownColumn(name, relation.columns, table, path)
    }
    const isOnPath = this.#after.byName(undefined, relation.name)?.oid === relation.oid
    return {
      relation,
      key,
      name: isOnPath ? quoted(relation.name) : `${quoted(relation.schema)}.${quoted(relation.name)}`,
    }
  }

  #column(column: CatalogColumn, parts: readonly PartRule[], key: readonly string[]): ColumnRule {
    const rule = this.#table.columns.get(column.name) ?? {}
    const path = ['columns', column.name]
    const all = parts.flatMap(({ relation }) => relation.columns)
    if (rule.dropped && (rule.to !== undefined || rule.write !== undefined))
      this.#fault(path, 'two rules for one thing', 'a column that is dropped has no `to` and no `write`')
    const to = rule.dropped ? null : (rule.to ?? column.name)
    const read = rule.read === undefined ? null : this.#expression(rule.read, path, all)
    const write =
      rule.write === undefined
        ? null
        : this.#expression(rule.write, path, this.#find(this.#before, this.#table.name, '', []).columns)
    if ((read === null) !== (write === null) && to !== null)
      this.#fault(path, `${column.name} is converted one way only`, 'a column that changed needs `read` and `write`')
    const isKey = parts.length > 1 && key.includes(column.name)
    const holders =
      to === null
        ? []
        : parts.flatMap(({ relation }, at) => (relation.columns.some(({ name }) => name === to) ? [at] : []))
    if (to !== null && holders.length === 0 && !isKey) {
      const where = parts.map(({ name }) => name).join(', ')
      this.#fault(
        this.#table.columns.has(column.name) ? path : [],
        `${this.#table.name}.${column.name} has no place in ${where}`,
        `there is no column ${to} there`,
        `Say what became of it: \`${column.name}: ${nearest(
          to,
          all.map(({ name }) => name),
        )}\` or \`${column.name}: dropped\`, under columns.`,
      )
    }
    if (isKey && (read !== null || to === null))
      this.#fault(path, `${column.name} is the key`, 'the key of a table that was split can be renamed only')
    return {
      name: column.name,
      type: this.#cast(column),
      part: to === null ? -1 : (holders[0] ?? 0),
      isKey,
      to,
      read,
      write,
    }
  }

  /** null: the type of the old column is unknown to the new schema. */
  #cast(column: CatalogColumn): string | null {
    const own = this.#before.catalog.types.find(({ oid }) => oid === column.typeOid)
    if (own === undefined) return castType(column)
    const base = own.name.replace(/^_/, '')
    return this.#after.catalog.types.some(({ schema, name }) => schema === own.schema && name === base)
      ? castType(column)
      : null
  }

  #everyColumnHasOnePlace(rules: readonly ColumnRule[]): void {
    const taken = new Map<string, string>()
    for (const { name, to, part, read } of rules) {
      if (to === null || read !== null) continue
      const place = `${part} ${to}`
      const other = taken.get(place)
      if (other !== undefined)
        this.#fault(['columns', name], 'two rules for one thing', `${other} and ${name} both go to ${to}`)
      taken.set(place, name)
    }
  }

  #expression(text: string, path: readonly (string | number)[], columns: readonly CatalogColumn[]): Expression {
    const expression = parseExpression(text)
    if (expression === null)
      this.#fault(
        path,
        'an expression does not parse',
        `PostgreSQL does not read it as one expression: ${text}`,
        'Write an SQL expression over the columns, as it would stand in a SELECT list.',
      )
    for (const name of columnsIn(expression))
      if (!columns.some((column) => column.name === name))
        this.#unknownColumn(name, columns, 'the table it is about', path)
    return expression
  }

  #find(index: CatalogIndex, name: string, where: string, path: readonly (string | number)[]): Relation {
    const parts = splitName(name)
    const found = parts.length === 2 ? index.byName(parts[0], parts[1]!) : index.byName(undefined, parts[0] ?? '')
    if (found !== undefined) return found
    const known = index.catalog.relations
      .filter(({ kind }) => kind !== 'sequence' && kind !== 'composite')
      .map((relation) =>
        index.catalog.searchPath.includes(relation.schema) ? relation.name : `${relation.schema}.${relation.name}`,
      )
    this.#fault(
      path,
      `${where} has no table ${name}`,
      `it has ${known.length} tables and views`,
      known.length > 0 ? `Did you mean ${nearest(name, known)}?` : undefined,
    )
  }

  #unknownColumn(
    name: string,
    columns: readonly CatalogColumn[],
    where: string,
    path: readonly (string | number)[],
  ): never {
    const known = columns.map((column) => column.name)
    this.#fault(
      path,
      `${where} has no column ${name}`,
      `it has ${known.join(', ')}`,
      `Did you mean ${nearest(name, known)}?`,
    )
  }

  #fault(path: readonly (string | number)[], what: string, why: string, fix?: string): never {
    throw mappingFault(this.#mapping.file, this.#mapping.lineOf('tables', this.#table.name, ...path), what, why, fix)
  }
}
