/**
 * `rewrite suggest`: two catalogs compared, and a mapping that would explain the difference. What is only likely says so in a comment; what
 * would be silently wrong if the guess were, stands there commented out.
 *
 * What became of a table is decided by ./suggest-match.ts. A column that is gone is sought among the new columns by constraints, type and likeness.
 */
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import type { CheckConstraint } from '../../sql/read-catalog.js'
import { likeness, Matching, namesOf, primaryKey } from './suggest-match.js'

/** Below this, two columns have little in common. */
const ALIKE_MIN = 0.4
/** A key and a key, a reference to one table: more than a likeness of names. */
const CONSTRAINT = 1.25

/** `checks`: those of the new schema. */
export function suggestMapping(before: Catalog, after: Catalog, checks: readonly CheckConstraint[] = []): string {
  const matching = new Matching(before, after, checks)
  const tables = before.relations.filter(({ kind }) => kind === 'table' || kind === 'partitioned')
  const lines = tables
    .sort((a, b) => a.name.localeCompare(b.name))
    .flatMap((relation) => linesOf(relation, matching) ?? [])
  const head = [
    '# Proposed from the two schemas; read what is marked "unsure", then try: pgrehearse rewrite check',
    'version: 1',
  ]
  const isRule = lines.some((line) => !line.trimStart().startsWith('#'))
  if (lines.length === 0) return `${[...head, '# every table is where it was, with its columns'].join('\n')}\n`
  return `${[...head, isRule ? 'tables:' : '# tables:', ...lines].join('\n')}\n`
}

/** Lines below `tables:`; null: nothing became of it that a rule should say. */
export function suggestTable(relation: Relation, before: Catalog, after: Catalog): string[] | null {
  return linesOf(relation, new Matching(before, after))
}

function linesOf(relation: Relation, matching: Matching): string[] | null {
  const { before, after } = matching
  const isOnPath = before.searchPath.includes(relation.schema)
  const name = key(isOnPath ? relation.name : `${relation.schema}.${relation.name}`)
  const fate = matching.of(relation)
  switch (fate.kind) {
    case 'gone':
      return [`  # ${name}: nothing like it is in the new schema`]
    case 'same': {
      const columns = columnLines(relation, [fate.to], matching)
      return columns.length === 0 ? null : [`  ${name}:`, ...columns]
    }
    case 'moved':
      return [`  ${name}:`, `    to: ${nameIn(after, fate.to)}`, ...columnLines(relation, [fate.to], matching)]
    case 'renamed': {
      const columns = columnLines(relation, [fate.to], matching)
      return [`  ${name}:${fate.isSure ? '' : '    # unsure'}`, `    to: ${nameIn(after, fate.to)}`, ...columns]
    }
    case 'split': {
      const list = fate.parts.map((part) => partIn(after, relation, part)).join(', ')
      const columns = columnLines(relation, fate.parts, matching)
      return [`  ${name}:`, `    split: [${list}]    # they share its key`, ...columns]
    }
    case 'partitioned': {
      const parts = fate.parts.map(({ table, where }, at) => {
        const isLast = at === fate.parts.length - 1
        const said = isLast ? '' : `, where: ${JSON.stringify(where ?? '…')}`
        return `      - { table: ${nameIn(after, table)}${said} }`
      })
      const rule = [
        `  ${name}:`,
        '    partition:',
        ...parts,
        ...columnLines(relation, [fate.parts[0]!.table], matching),
      ]
      if (fate.parts.slice(0, -1).every(({ where }) => where !== null)) return rule
      return open(rule, 'its rows may lie in these; say which lie where')
    }
    case 'merged': {
      const { to, by } = fate
      const value = by === null ? null : `'${by.value.replaceAll("'", "''")}'`
      const column = by === null ? '…' : by.column.name
      const rule = [
        `  ${name}:    # in one table with ${fate.with.join(', ')}`,
        ...(to.name === relation.name && to.schema === relation.schema ? [] : [`    to: ${nameIn(after, to)}`]),
        `    where: ${JSON.stringify(value === null ? '…' : `${identifier(column)} = ${value}`)}`,
        ...columnLines(relation, [to], matching, value === null ? {} : { [column]: value }),
      ]
      return by?.isSure ? rule : open(rule, 'say which of its rows were this table’s')
    }
  }
}

/** A rule that somebody has to finish. */
function open(lines: readonly string[], what: string): string[] {
  return [`  # unsure: ${what}`, ...lines.map((line) => `  # ${line.slice(2)}`)]
}

/** As a split names it: with its key, where that has another name. */
function partIn(catalog: Catalog, relation: Relation, part: Relation): string {
  const [old, own] = [primaryKey(relation), primaryKey(part)]
  const isSame = own.every(({ name }, at) => name === old[at]?.name)
  return isSame
    ? nameIn(catalog, part)
    : `{ table: ${nameIn(catalog, part)}, key: [${own.map(({ name }) => key(name)).join(', ')}] }`
}

/** `columns:` and `added:` for what is not where it was; `known` are values that are not to be asked for. */
function columnLines(
  relation: Relation,
  places: readonly Relation[],
  matching: Matching,
  known: Readonly<Record<string, string>> = {},
): string[] {
  const keys = new Set(places.length > 1 ? places.flatMap((place) => primaryKey(place).map(({ name }) => name)) : [])
  const isOld = (name: string) => relation.columns.some((one) => one.name === name)
  const fresh = places.flatMap((place) =>
    place.columns
      .filter(({ name }) => !isOld(name) && !keys.has(name) && !(name in known))
      .map((column) => ({ place, column })),
  )
  const gone = relation.columns.filter(
    ({ name }) => !places.some(({ columns }) => columns.some((one) => one.name === name)),
  )
  const pairs = gone
    .flatMap((old) => fresh.map((now) => ({ old, now: now.column, ...scoreOf(relation, old, now, matching) })))
    .sort((a, b) => b.score - a.score)
  const heirs = new Map<string, (typeof pairs)[number]>()
  const taken = new Set<string>()
  for (const pair of pairs) {
    if (pair.score < ALIKE_MIN || heirs.has(pair.old.name) || taken.has(pair.now.name)) continue
    heirs.set(pair.old.name, pair)
    taken.add(pair.now.name)
  }
  const lines = gone.map((column) => {
    const heir = heirs.get(column.name)
    if (heir === undefined) return `      ${key(column.name)}: dropped    # unsure: nothing like it is there`
    const { now, score, isTied } = heir
    const unsure = score < 0.9 && !isTied ? '    # unsure' : ''
    if (now.type === column.type) return `      ${key(column.name)}: ${key(now.name)}${unsure}`
    const read = JSON.stringify(`${identifier(now.name)}::${column.type}`)
    const write = JSON.stringify(`${identifier(column.name)}::${now.type}`)
    return `      ${key(column.name)}: { to: ${key(now.name)}, read: ${read}, write: ${write} }    # unsure: ${column.type} became ${now.type}`
  })
  const needed = fresh
    .map(({ column }) => column)
    .filter(
      (column) =>
        !taken.has(column.name) &&
        column.notNull &&
        column.default === null &&
        column.identity === '' &&
        column.generated === '',
    )
  const added = [
    ...Object.entries(known).map(([name, value]) => `      ${key(name)}: ${JSON.stringify(value)}`),
    ...needed.map(({ name, type }) => `      ${key(name)}: "NULL::${type}"    # unsure: it needs a value`),
  ]
  return [
    ...(lines.length > 0 ? ['    columns:', ...lines] : []),
    ...(added.length > 0 ? ['    added:', ...added] : []),
  ]
}

/** `isTied`: a constraint holds the two together. */
function scoreOf(
  relation: Relation,
  old: CatalogColumn,
  { place, column }: { readonly place: Relation; readonly column: CatalogColumn },
  matching: Matching,
): { readonly score: number; readonly isTied: boolean } {
  const placeInKey = (of: Relation, name: string) => primaryKey(of).findIndex((one) => one.name === name)
  const isKey = placeInKey(relation, old.name) >= 0
  const isSameKey = isKey && placeInKey(relation, old.name) === placeInKey(place, column.name)
  const refersTo = (of: Relation, name: string) =>
    of.foreignKeys.flatMap(({ columns, referencedOid }) =>
      columns.length === 1 && namesOf(of, columns)[0] === name ? [referencedOid] : [],
    )
  const wanted = refersTo(relation, old.name).map((oid) => matching.heir(oid)?.oid)
  const found = refersTo(place, column.name)
  const isSameReference = found.some((oid) => wanted.includes(oid))
  const isAlone = (of: Relation, name: string) =>
    of.uniques.some(({ columns, predicate }) => predicate === null && namesOf(of, columns).join() === name)
  const isSameUnique = isAlone(relation, old.name) && isAlone(place, column.name)
  const score =
    likeness(old.name, column.name) +
    (column.type === old.type ? 0.5 : 0) +
    (column.attnum === old.attnum ? 0.25 : 0) +
    (isSameKey || isSameReference ? CONSTRAINT : 0) +
    (isSameUnique ? CONSTRAINT / 4 : 0)
  return { score, isTied: isSameKey || isSameReference }
}

function nameIn(catalog: Catalog, { schema, name }: Relation): string {
  return catalog.searchPath.includes(schema) ? key(name) : key(`${schema}.${name}`)
}

/** As SQL wants it. */
function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/** As YAML wants it. */
function key(name: string): string {
  return /^[A-Za-z_][\w.]*$/.test(name) && !/^(?:true|false|null|yes|no|on|off)$/i.test(name)
    ? name
    : JSON.stringify(name)
}
