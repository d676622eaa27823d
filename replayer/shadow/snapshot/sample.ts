/**
 * `--sample-table t=10%`: which rows of which tables a snapshot takes, so that every reference still holds.
 *
 * Of a sampled table: the rows that a hash of their key chooses, and whatever rows of sampled tables these refer to in turn (their
 * ancestors in a tree). Of every other table that refers to a sampled one, by however many steps: the rows that refer to no row that is left out.
 * So a row's children come along, and nothing points to nowhere.
 *
 * All of it is said as conditions of the COPYs, because a snapshot writes nothing into the database it reads, and a standby could not. Rows are
 * known by table and ctid, which stand still as long as the snapshot is held. Only where references go round in a circle (a table
 * that refers to itself) does the server hold a list of rows, of their places.
 */
import { EXIT, HarnessError } from '../../../base/errors.js'
import { type Connected, quoteIdentifier } from '../connect.js'

export type TableSample = { readonly table: string; readonly share: number }

/** What a COPY of one table takes: `WITH …` before its SELECT, and what must hold of `row_`. */
export type Choice = { readonly with: string; readonly where: string; readonly share: number | null }

/** `shop.orders=10%`, `orders=2.5%`. */
export function parseSample(text: string): TableSample {
  const [, table = '', percent = ''] = /^(.+)=(\d+(?:\.\d+)?)\s*%$/.exec(text) ?? []
  const share = Number(percent) / 100
  if (table !== '' && share > 0 && share <= 1) return { table: table.trim(), share }
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: '--sample-table is not understood',
    detail: `"${text}" is not of the form TABLE=SHARE, with a share above 0% and up to 100%`,
    hint: 'Write it like this: --sample-table public.orders=10%.',
    exit: EXIT.usage,
  })
}

/** A table as references know it: a partitioned table with its partitions is one. */
export type SampledTable = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `ONLY schema.name`, or without ONLY where partitions count as well. */
  readonly from: string
  /** The top of the partitions it is one of; itself otherwise. */
  readonly root: number
  readonly key: readonly string[]
}

export type Reference = {
  readonly child: number
  readonly parent: number
  readonly columns: readonly string[]
  readonly referenced: readonly string[]
  /** `OPERATOR(pg_catalog.=)`, of the referenced column and ours. */
  readonly operators: readonly string[]
}

/** The choice of each table that is not taken whole, by its oid; partitions have that of their table. */
export async function chooseRows(client: Connected, samples: readonly TableSample[]): Promise<Map<number, Choice>> {
  if (samples.length === 0) return new Map()
  const { rows: tables } = await client.query<SampledTable>(TABLES)
  const { rows: references } = await client.query<Reference>(REFERENCES)
  const shares = new Map(samples.map((sample) => [tableNamed(sample.table, tables).oid, sample.share]))
  const root = new Map(tables.map((table) => [table.oid, table.root]))
  // A reference of one partition, or to one, is taken for one of the whole table: that leaves out no row too few.
  const ofRoots = references.map((one) => ({
    ...one,
    child: root.get(one.child) ?? one.child,
    parent: root.get(one.parent) ?? one.parent,
  }))
  const choices = choicesOf(tables, ofRoots, shares)
  const all = new Map<number, Choice>()
  for (const { oid, root } of tables) {
    const choice = choices.get(root)
    if (choice !== undefined) all.set(oid, choice)
  }
  return all
}

function tableNamed(name: string, tables: readonly SampledTable[]): SampledTable {
  const found = tables.filter((one) => name === `${one.schema}.${one.name}` || name === one.name)
  const [only] = found
  if (only !== undefined && found.length === 1 && only.root === only.oid) return only
  throw new HarnessError({
    code: 'NO_SUCH_TABLE',
    message: `there is no table ${name} to sample`,
    detail:
      only === undefined
        ? 'the database has none of that name'
        : found.length > 1
          ? `it may be ${found.map((one) => `${one.schema}.${one.name}`).join(' or ')}`
          : 'it is a partition, and is sampled with the table it is a part of',
    hint: 'Name it with its schema: --sample-table public.orders=10%.',
    exit: EXIT.usage,
  })
}

/** Pure: conditions out of tables and references. */
export function choicesOf(
  tables: readonly SampledTable[],
  references: readonly Reference[],
  shares: ReadonlyMap<number, number>,
): Map<number, Choice> {
  const byOid = new Map(tables.map((table) => [table.oid, table]))
  const known = references.filter(({ child, parent }) => byOid.has(child) && byOid.has(parent))
  const restricted = reach(
    shares.keys(),
    known,
    ({ parent }) => parent,
    ({ child }) => child,
  )
  const inside = known.filter(({ child, parent }) => restricted.has(child) && restricted.has(parent))
  // Whose rows are asked for by chosen ones: with none of them, being chosen is all there is to a sampled table.
  const required = reach(
    shares.keys(),
    inside,
    ({ child }) => child,
    ({ parent }) => parent,
  )
  const follows = inside.filter(({ child }) => required.has(child))
  const isWide = follows.length > 0

  const chosen = (oid: number, alias: string): string => {
    const { key } = byOid.get(oid)!
    const what =
      key.length === 0
        ? `${alias}::text`
        : `ROW(${key.map((column) => `${alias}.${quoteIdentifier(column)}`).join(', ')})::text`
    return `((pg_catalog.hashtext(${what})::int8 + 2147483648) < ${Math.round((shares.get(oid) ?? 0) * 4294967296)})`
  }
  const meets = ({ columns, referenced, operators }: Reference, child: string, parent: string): string =>
    columns
      .map(
        (column, at) =>
          `${parent}.${quoteIdentifier(referenced[at]!)} ${operators[at]} ${child}.${quoteIdentifier(column)}`,
      )
      .join(' AND ')
  const place = (alias: string): string => `${alias}.tableoid::int8 AS t, ${alias}.ctid::text AS p`
  const listed = (list: string, alias: string): string =>
    `EXISTS (SELECT FROM ${list} l_ WHERE l_.t = ${alias}.tableoid::int8 AND l_.p = ${alias}.ctid::text)`

  const requiredSql = `required_ (t, p) AS (
    ${[...shares.keys()].map((oid) => `SELECT ${place('c')} FROM ${byOid.get(oid)!.from} c WHERE ${chosen(oid, 'c')}`).join(' UNION ALL ')}
    UNION SELECT e.t, e.p FROM required_ r JOIN (
      ${follows
        .map(
          (one) =>
            `SELECT c.tableoid::int8 AS ct, c.ctid::text AS cp, ${place('p')} FROM ${byOid.get(one.child)!.from} c JOIN ${byOid.get(one.parent)!.from} p ON ${meets(one, 'c', 'p')}`,
        )
        .join(' UNION ALL ')}
    ) e ON e.ct = r.t AND e.cp = r.p)`

  // What is left of the tables that are no samples, taken apart at circles.
  const others = [...restricted].filter((oid) => !shares.has(oid))
  const circles = circlesOf(others, inside)
  const circleOf = new Map(circles.flatMap((circle, at) => circle.map((oid) => [oid, at] as const)))

  let aliases = 0
  const kept = (oid: number, alias: string): string => {
    if (shares.has(oid)) return isWide ? listed('required_', alias) : chosen(oid, alias)
    const circle = circleOf.get(oid)
    return circle === undefined ? none(toLeftOut(oid, alias, () => true)) : `NOT ${listed(`removed_${circle}`, alias)}`
  }
  const leftOut = (oid: number, alias: string): string => {
    if (shares.has(oid) || circleOf.has(oid)) return `NOT ${kept(oid, alias)}`.replace('NOT NOT ', '')
    return toLeftOut(oid, alias, () => true).join(' OR ') || 'false'
  }
  /** One for each reference: it leads to a row that is left out. */
  const toLeftOut = (oid: number, alias: string, wanted: (parent: number) => boolean): string[] =>
    inside
      .filter(({ child, parent }) => child === oid && wanted(parent))
      .map((one) => {
        aliases += 1
        const parent = `p${aliases}`
        return `EXISTS (SELECT FROM ${byOid.get(one.parent)!.from} ${parent} WHERE ${meets(one, alias, parent)} AND (${leftOut(one.parent, parent)}))`
      })
  // Each by itself: the planner makes a join of NOT EXISTS, and none of NOT (… OR …).
  const none = (all: readonly string[]): string => all.map((one) => `NOT ${one}`).join(' AND ') || 'true'
  const removedSql = (circle: readonly number[], at: number): string => {
    const own = inside.filter(({ child, parent }) => circle.includes(child) && circle.includes(parent))
    return `removed_${at} (t, p) AS (
      ${circle
        .map((oid) => {
          const outside = toLeftOut(oid, 'c', (parent) => !circle.includes(parent)).join(' OR ') || 'false'
          return `SELECT ${place('c')} FROM ${byOid.get(oid)!.from} c WHERE ${outside}`
        })
        .join(' UNION ALL ')}
      UNION SELECT e.t, e.p FROM removed_${at} r JOIN (
        ${own
          .map(
            (one) =>
              `SELECT p.tableoid::int8 AS pt, p.ctid::text AS pp, ${place('c')} FROM ${byOid.get(one.child)!.from} c JOIN ${byOid.get(one.parent)!.from} p ON ${meets(one, 'c', 'p')}`,
          )
          .join(' UNION ALL ')}
      ) e ON e.pt = r.t AND e.pp = r.p)`
  }

  const lists = [...(isWide ? [requiredSql] : []), ...circles.map(removedSql)]
  const choices = new Map<number, Choice>()
  for (const oid of restricted) {
    const where = kept(oid, 'row_')
    const used = lists.length > 0 && /\b(required_|removed_\d+)\b/.test(where)
    choices.set(oid, { with: used ? `WITH RECURSIVE ${lists.join(', ')} ` : '', where, share: shares.get(oid) ?? null })
  }
  return choices
}

/** All that can be reached along references. */
function reach(
  from: Iterable<number>,
  references: readonly Reference[],
  start: (reference: Reference) => number,
  end: (reference: Reference) => number,
): Set<number> {
  const found = new Set(from)
  for (const oid of found) for (const one of references) if (start(one) === oid) found.add(end(one))
  return found
}

/** Groups of tables that refer to themselves or to each other in a circle; those they refer to come first. */
function circlesOf(tables: readonly number[], references: readonly Reference[]): number[][] {
  const among = references.filter(({ child, parent }) => tables.includes(child) && tables.includes(parent))
  const ups = new Map(
    tables.map((oid) => [
      oid,
      reach(
        among.filter(({ child }) => child === oid).map(({ parent }) => parent),
        among,
        ({ child }) => child,
        ({ parent }) => parent,
      ),
    ]),
  )
  const groups: number[][] = []
  for (const oid of tables) {
    if (!ups.get(oid)!.has(oid) || groups.some((group) => group.includes(oid))) continue
    groups.push(tables.filter((other) => ups.get(oid)!.has(other) && ups.get(other)!.has(oid)))
  }
  return groups.sort((a, b) => (ups.get(a[0]!)!.has(b[0]!) ? 1 : ups.get(b[0]!)!.has(a[0]!) ? -1 : 0))
}

const COLUMNS = (relation: string, numbers: string): string =>
  `ARRAY(SELECT a.attname::text FROM unnest(${numbers}) WITH ORDINALITY AS f(attnum, at)
     JOIN pg_catalog.pg_attribute a ON a.attrelid = ${relation} AND a.attnum = f.attnum ORDER BY f.at)`

const TABLES = `
  WITH RECURSIVE up AS (
    SELECT c.oid, c.oid AS root FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    UNION ALL
    SELECT c.oid, up.root FROM up JOIN pg_catalog.pg_inherits i ON i.inhparent = up.oid
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition)
  SELECT c.oid, n.nspname AS schema, c.relname AS name, up.root,
         format('%s%I.%I', CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, c.relname) AS "from",
         coalesce((SELECT ${COLUMNS('c.oid', 'i.indkey::int2[]')} FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), '{}') AS key
    FROM up JOIN pg_catalog.pg_class c ON c.oid = up.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY c.oid`

/** Partitions have theirs from the table they are part of. */
const REFERENCES = `
  SELECT k.conrelid AS child, k.confrelid AS parent, ${COLUMNS('k.conrelid', 'k.conkey')} AS columns,
         ${COLUMNS('k.confrelid', 'k.confkey')} AS referenced,
         ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
                 FROM unnest(k.conpfeqop) WITH ORDINALITY AS f(oid, at)
                 JOIN pg_catalog.pg_operator o ON o.oid = f.oid JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
                ORDER BY f.at) AS operators
    FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.oid`
