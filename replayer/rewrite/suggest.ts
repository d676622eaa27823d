/**
 * `rewrite suggest`: two catalogs compared, and a mapping that would explain the difference. What is only likely says so in a comment.
 *
 * A table that is gone is sought among the new ones by its columns (name and type, then name alone, then type and position); when no
 * single one has them all, among those that share its key. A column that is gone is sought among the new columns of its table by type and likeness.
 */
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'

/** Below this, two names have little in common. */
const ALIKE_MIN = 0.4
/** Of a table's columns, to be taken for it. */
const FOUND_MIN = 0.5

export function suggestMapping(before: Catalog, after: Catalog): string {
  const lines: string[] = []
  for (const relation of [...before.relations].filter(isTable).sort((a, b) => a.name.localeCompare(b.name))) {
    const suggested = suggestTable(relation, before, after)
    if (suggested !== null) lines.push(...suggested)
  }
  const head = [
    '# Proposed from the two schemas; read what is marked "unsure", then try: pgrehearse rewrite check',
    'version: 1',
  ]
  return `${[...head, ...(lines.length > 0 ? ['tables:', ...lines] : ['# every table is where it was, with its columns'])].join('\n')}\n`
}

/** Lines below `tables:`; null: nothing became of it that a rule should say. */
export function suggestTable(relation: Relation, before: Catalog, after: Catalog): string[] | null {
  const name = before.searchPath.includes(relation.schema) ? relation.name : `${relation.schema}.${relation.name}`
  const same = after.relations.find(
    (one) => isReadable(one) && one.schema === relation.schema && one.name === relation.name,
  )
  if (same) {
    const columns = columnLines(relation, [same])
    return columns.length === 0 ? null : [`  ${key(name)}:`, ...columns]
  }
  const isNew = (one: Relation) =>
    isTable(one) && !before.relations.some((old) => old.schema === one.schema && old.name === one.name)
  const fresh = after.relations.filter(isNew)
  const ranked = fresh
    .map((one) => ({ one, found: coverage(relation, [one]), alike: likeness(relation.name, one.name) }))
    .sort((a, b) => b.found + b.alike / 4 - (a.found + a.alike / 4))
  const best = ranked[0]
  const moved = fresh.find((one) => one.name === relation.name)
  if (moved) return [`  ${key(name)}:`, `    to: ${nameIn(after, moved)}`, ...columnLines(relation, [moved])]
  const parts = partsOf(relation, fresh)
  if (parts.length > 1 && coverage(relation, parts) > (best?.found ?? 0)) {
    const list = parts.map((part) => partIn(after, relation, part)).join(', ')
    return [`  ${key(name)}:`, `    split: [${list}]    # they share its key`, ...columnLines(relation, parts)]
  }
  if (best === undefined || best.found < FOUND_MIN) return [`  # ${key(name)}: nothing like it is in the new schema`]
  const unsure = best.found + best.alike < 1.3 ? '    # unsure' : ''
  return [`  ${key(name)}:${unsure}`, `    to: ${nameIn(after, best.one)}`, ...columnLines(relation, [best.one])]
}

/** New tables whose key is this table's key, the one that stands for the row first, and those whose key refers to it. */
function partsOf(relation: Relation, fresh: readonly Relation[]): Relation[] {
  const keyColumns = primaryKey(relation)
  if (keyColumns.length === 0) return []
  const sharing = fresh.filter((one) => {
    const own = primaryKey(one)
    const isSame = own.every(
      ({ name, typeOid }, at) => name === keyColumns[at]?.name && typeOid === keyColumns[at]?.typeOid,
    )
    return own.length === keyColumns.length && isSame && coverage(relation, [one], keyColumns) > 0
  })
  const refersTo = (one: Relation, others: readonly Relation[]) =>
    one.foreignKeys.some(
      ({ columns, referencedOid }) =>
        others.some(({ oid }) => oid === referencedOid && oid !== one.oid) &&
        columns.join() === one.uniques.find(({ primary }) => primary)?.columns.join(),
    )
  const following = fresh.filter((one) => !sharing.includes(one) && refersTo(one, sharing))
  const first = sharing.sort(
    (a, b) => Number(refersTo(a, sharing)) - Number(refersTo(b, sharing)) || a.name.localeCompare(b.name),
  )
  return [...first, ...following]
}

/** As a split names it: with its key, where that has another name. */
function partIn(catalog: Catalog, relation: Relation, part: Relation): string {
  const [old, own] = [primaryKey(relation), primaryKey(part)]
  const isSame = own.every(({ name }, at) => name === old[at]?.name)
  return isSame
    ? nameIn(catalog, part)
    : `{ table: ${nameIn(catalog, part)}, key: [${own.map(({ name }) => key(name)).join(', ')}] }`
}

function primaryKey(relation: Relation): CatalogColumn[] {
  const primary = relation.uniques.find((unique) => unique.primary)?.columns ?? []
  return primary.flatMap((attnum) => relation.columns.filter((column) => column.attnum === attnum))
}

/** Share of the columns that are there, by name. */
function coverage(relation: Relation, places: readonly Relation[], except: readonly CatalogColumn[] = []): number {
  const asked = relation.columns.filter((column) => !except.some(({ name }) => name === column.name))
  const found = asked.filter(({ name }) => places.some(({ columns }) => columns.some((one) => one.name === name)))
  return asked.length === 0 ? 0 : found.length / asked.length
}

/** `columns:` and `added:` for what is not where it was. */
function columnLines(relation: Relation, places: readonly Relation[]): string[] {
  const there = places.flatMap(({ columns }) => columns)
  const gone = relation.columns.filter(({ name }) => !there.some((one) => one.name === name))
  const keys = new Set(places.flatMap((place) => primaryKey(place).map(({ name }) => name)))
  const fresh = there.filter(
    ({ name }) => !relation.columns.some((one) => one.name === name) && !(places.length > 1 && keys.has(name)),
  )
  const taken = new Set<string>()
  const lines = gone.map((column) => {
    const ranked = fresh
      .filter(({ name }) => !taken.has(name))
      .map((one) => ({
        one,
        score:
          likeness(column.name, one.name) +
          (one.type === column.type ? 0.5 : 0) +
          (one.attnum === column.attnum ? 0.25 : 0),
      }))
      .sort((a, b) => b.score - a.score)
    const best = ranked[0]
    if (best === undefined || best.score < ALIKE_MIN)
      return `      ${key(column.name)}: dropped    # unsure: nothing like it is there`
    taken.add(best.one.name)
    if (best.one.type === column.type)
      return `      ${key(column.name)}: ${key(best.one.name)}${best.score < 0.9 ? '    # unsure' : ''}`
    return `      ${key(column.name)}: { to: ${key(best.one.name)}, read: '${best.one.name}::${column.type}', write: '${column.name}::${best.one.type}' }    # unsure: ${column.type} became ${best.one.type}`
  })
  const needed = fresh.filter(
    (column) =>
      !taken.has(column.name) &&
      column.notNull &&
      column.default === null &&
      column.identity === '' &&
      column.generated === '',
  )
  return [
    ...(lines.length > 0 ? ['    columns:', ...lines] : []),
    ...(needed.length > 0
      ? [
          '    added:',
          ...needed.map(({ name, type }) => `      ${key(name)}: "NULL::${type}"    # unsure: it needs a value`),
        ]
      : []),
  ]
}

/** 0 to 1, by pairs of letters that the names share. */
export function likeness(a: string, b: string): number {
  const pairs = (word: string) =>
    new Set(Array.from({ length: Math.max(0, word.length - 1) }, (_, at) => word.toLowerCase().slice(at, at + 2)))
  const [left, right] = [pairs(a), pairs(b)]
  const shared = [...left].filter((pair) => right.has(pair)).length
  return left.size + right.size === 0 ? Number(a === b) : (2 * shared) / (left.size + right.size)
}

function isTable({ kind }: Relation): boolean {
  return kind === 'table' || kind === 'partitioned'
}

function isReadable({ kind }: Relation): boolean {
  return kind !== 'sequence' && kind !== 'composite'
}

function nameIn(catalog: Catalog, { schema, name }: Relation): string {
  return catalog.searchPath.includes(schema) ? key(name) : `${key(schema)}.${key(name)}`
}

function key(name: string): string {
  return /^[A-Za-z_][\w.]*$/.test(name) && !/^(?:true|false|null|yes|no|on|off)$/i.test(name)
    ? name
    : JSON.stringify(name)
}
