/**
 * Table state after two replays: is every table of the one what it should have become in the other?
 *
 * A write that returned the right tag and stored the wrong value is found here. Row counts and checksums are computed in the
 * databases; only slices that differ are cut finer, down to the rows. Nothing is written.
 *
 * Left out: moments that the replay made, and generated random values with the foreign keys that carry them.
 */
import pg from 'pg'
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import type { Row } from '../../segment/outcome.js'
import type { TableState } from '../../segment/state.js'
import { columnName, domainsOf } from '../../sql/domains.js'
import { loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { type RowChanges, rowChanges } from './verify-rows.js'
import { type Client, type Sides, shareOut, withSides } from './verify-sides.js'
import {
  checksumSql,
  extentSql,
  isRangeKey,
  isSingle,
  narrower,
  quoted,
  rowsSql,
  type Slice,
  type SourceColumn,
  slicesSql,
  type TableSource,
} from './verify-sql.js'

export type VerifyOptions = {
  readonly beforeUrl: string
  readonly afterUrl: string
  /** Table of the first side to the query that gives its rows on the second; a table that is not named keeps its name. */
  readonly mapping?: Readonly<Record<string, string>>
  /** `table.column` or `table.*`: not compared. */
  readonly ignore?: readonly string[]
  /** When the replays began: moments from then on are theirs. */
  readonly startedAtMs?: { readonly before: number; readonly after: number }
  /** Tables at the same time; each takes a connection to either side. */
  readonly jobs?: number
  /** Share of the time that a connection may keep its server busy, 0 to 1. */
  readonly load?: number
  readonly onProgress?: (done: number, total: number, table: string) => void
}

/** A slice this small is fetched and compared row by row. */
const LEAF_ROWS = 1_000
/** Enough to say what is wrong with a table. */
const ROWS_LOOKED_AT = 5_000
/** A materialized view that nobody refreshed after the copy is as wrong as a table. */
const HOLDS_ROWS: ReadonlySet<string> = new Set(['table', 'partitioned', 'matview'])
/** Marker of a shadow. */
const OWN_SCHEMA = 'pgrehearse'

const JOBS = 2

export async function verifyTables(options: VerifyOptions): Promise<readonly TableState[]> {
  await loadParser()
  return withSides({ jobs: JOBS, load: 1, ...options }, async (pairs) => {
    const catalog = await readCatalog(pairs[0]!.before)
    const domains = domainsOf(catalog)
    const isRandom = (relation: Relation, { attnum }: CatalogColumn) =>
      domains.get(columnName(relation.oid, attnum))?.source === 'random'
    const nameOf = ({ schema, name }: Relation) => (catalog.searchPath.includes(schema) ? name : `${schema}.${name}`)
    const tables = catalog.relations
      .filter(({ kind, schema, parents }) => HOLDS_ROWS.has(kind) && schema !== OWN_SCHEMA && parents.length === 0)
      .map((relation) => ({ relation, name: nameOf(relation) }))
      .sort((a, b) => a.name.localeCompare(b.name))
    const there = await readCatalog(pairs[0]!.after)
    const gained = gainedColumns(catalog, there)
    const known = { isRandom, gained, types: catalog.types, elsewhere: (table: Relation) => namesakes(table, there) }
    let done = 0
    return shareOut(tables, pairs, async ({ relation, name }, pair) => {
      options.onProgress?.(done, tables.length, name)
      const found = await compareTable({ name, relation, ...pair, options, ...known })
      done += 1
      return found
    })
  })
}

type TableTask = Sides & {
  readonly name: string
  readonly relation: Relation
  readonly options: VerifyOptions
  readonly isRandom: (relation: Relation, column: CatalogColumn) => boolean
  readonly gained: ReadonlySet<string>
  /** Of the first side. */
  readonly types: Catalog['types']
  /** Tables of that name in other schemas of the second side. */
  readonly elsewhere: (relation: Relation) => readonly string[]
}

function namesakes({ schema, name }: Relation, there: Catalog): readonly string[] {
  return there.relations
    .filter((one) => one.name === name && one.schema !== schema && (HOLDS_ROWS.has(one.kind) || one.kind === 'view'))
    .map((one) => `${one.schema}.${one.name}`)
    .sort()
}

/** Names of columns that tables have on the second side only: triggers that keep whole rows as JSON keep them as well. */
function gainedColumns(before: Catalog, after: Catalog): ReadonlySet<string> {
  const columnsOf = (catalog: Catalog) =>
    new Map(
      catalog.relations
        .filter(({ kind }) => HOLDS_ROWS.has(kind))
        .map(({ schema, name, columns }) => [`${schema}.${name}`, columns.map((column) => column.name)]),
    )
  const was = columnsOf(before)
  return new Set(
    [...columnsOf(after)].flatMap(([table, names]) => {
      const known = was.get(table)
      return known === undefined ? [] : names.filter((name) => !known.includes(name))
    }),
  )
}

async function compareTable(task: TableTask): Promise<TableState> {
  const { name, relation, before, after, options } = task
  const from = `${quoted(relation.schema)}.${quoted(relation.name)}`
  const query = options.mapping?.[name]
  const sourceBefore = await sourceOf(before, from, options.startedAtMs?.before)
  const sourceAfter = await sourceOf(
    after,
    query === undefined ? from : `(${query}) AS mapped`,
    options.startedAtMs?.after,
  )
  const none = {
    missing: 0,
    extra: 0,
    changed: 0,
    more: false,
    columns: [],
    columnsMissing: [],
    columnsLeftOut: [],
    examples: null,
  }
  // A materialized view that was never filled has nothing to compare.
  if (sourceBefore === null) return { ...none, table: name, verdict: 'equal', rowsBefore: 0, rowsAfter: 0 }
  if (sourceAfter === null) {
    const elsewhere = task.elsewhere(relation)
    const gone = { ...none, table: name, verdict: 'missing', rowsBefore: 0, rowsAfter: 0 } as const
    return elsewhere.length === 0 ? gone : { ...gone, elsewhere }
  }
  const shared = sharedColumns(task, sourceBefore, sourceAfter)
  const pair = new TablePair(task, sourceBefore, sourceAfter, shared.compared)
  const { rowsBefore, rowsAfter, changes, more } = await pair.compare()
  const same = changes === null || onlyGained(changes)
  return {
    ...none,
    ...changes,
    more,
    table: name,
    verdict: same && shared.missing.length === 0 ? 'equal' : 'differs',
    rowsBefore,
    rowsAfter,
    columnsMissing: shared.missing,
    columnsLeftOut: shared.leftOut,
  }
}

function onlyGained({ missing, extra, columns }: RowChanges): boolean {
  return missing === 0 && extra === 0 && columns.length > 0 && columns.every(({ gained }) => gained === true)
}

const UNDEFINED_TABLE = '42P01'
const NOT_POPULATED = '55000'

/** null: the relation does not exist there, or holds nothing yet. */
async function sourceOf(client: Client, from: string, madeFromMs: number | undefined): Promise<TableSource | null> {
  await client.query('SAVEPOINT source')
  try {
    const { fields } = await client.query(`SELECT * FROM ${from} LIMIT 0`)
    const columns = fields.map(({ name, dataTypeID }) => ({ name, typeOid: dataTypeID }))
    return { from, columns, madeFromMs: madeFromMs ?? null }
  } catch (error) {
    await client.query('ROLLBACK TO SAVEPOINT source')
    if (error instanceof pg.DatabaseError && (error.code === UNDEFINED_TABLE || error.code === NOT_POPULATED))
      return null
    throw error
  }
}

function sharedColumns({ name, relation, options, isRandom }: TableTask, before: TableSource, after: TableSource) {
  const there = new Set(after.columns.map((column) => column.name))
  const ignored = (column: string) =>
    options.ignore?.some((rule) => rule === `${name}.${column}` || rule === `${name}.*` || rule === `*.${column}`) ??
    false
  const leftOut = relation.columns
    .filter((column) => ignored(column.name) || isRandom(relation, column))
    .map((column) => column.name)
  const names = before.columns.map((column) => column.name).filter((column) => !leftOut.includes(column))
  return {
    compared: names.filter((column) => there.has(column)),
    missing: names.filter((column) => !there.has(column)),
    leftOut,
  }
}

type Sum = { readonly rows: number; readonly sum: string }

class TablePair {
  readonly #task: TableTask
  readonly #before: TableSource
  readonly #after: TableSource
  readonly #columns: readonly string[]
  readonly #key: readonly string[]
  readonly #hasKey: boolean
  readonly #rowsBefore: Row[] = []
  readonly #rowsAfter: Row[] = []
  #more = false

  constructor(task: TableTask, before: TableSource, after: TableSource, columns: readonly string[]) {
    this.#task = task
    this.#before = before
    this.#after = after
    this.#columns = columns
    const primary = task.relation.uniques.find((unique) => unique.primary)?.columns ?? []
    const names = primary.map((attnum) => task.relation.columns.find((column) => column.attnum === attnum)?.name ?? '')
    this.#hasKey = names.length > 0 && names.every((name) => columns.includes(name))
    this.#key = this.#hasKey ? names : columns
  }

  async compare(): Promise<{ rowsBefore: number; rowsAfter: number; changes: RowChanges | null; more: boolean }> {
    const { before, after, name } = this.#task
    const [a, b] = await Promise.all([this.#checksum(before, this.#before), this.#checksum(after, this.#after)])
    const counts = { rowsBefore: a.rows, rowsAfter: b.rows }
    if ((a.rows === b.rows && a.sum === b.sum) || this.#columns.length === 0)
      return { ...counts, changes: null, more: false }
    await this.#descend(await this.#firstSlice(), Math.max(a.rows, b.rows))
    const columns = { before: this.#typed(this.#before), after: this.#typed(this.#after) }
    const key = this.#key.map((column) => this.#columns.indexOf(column))
    const changes = rowChanges(name, columns, key, this.#hasKey, this.#rowsBefore, this.#rowsAfter, this.#task.gained)
    return { ...counts, changes, more: this.#more }
  }

  #typed(source: TableSource): readonly SourceColumn[] {
    const fieldsOf = (typeOid: number) => this.#task.types.find(({ oid }) => oid === typeOid)?.attributes ?? []
    return this.#columns.map((name) => {
      const column = source.columns.find((one) => one.name === name)!
      return { ...column, fields: fieldsOf(column.typeOid).map((field) => field.name) }
    })
  }

  async #checksum(client: Client, source: TableSource): Promise<Sum> {
    if (this.#columns.length === 0) return { rows: 0, sum: '' }
    const { rows } = await client.query(checksumSql(source, this.#columns, this.#key, { kind: 'all' }))
    return { rows: Number(rows[0].rows), sum: String(rows[0].sum) }
  }

  async #firstSlice(): Promise<Slice> {
    if (!this.#hasKey || !isRangeKey(this.#typed(this.#before).filter(({ name }) => this.#key.includes(name))))
      return { kind: 'all' }
    const afterKey = this.#after.columns.filter(({ name }) => this.#key.includes(name))
    if (!isRangeKey(afterKey)) return { kind: 'all' }
    const ends: bigint[] = []
    for (const [client, source] of [
      [this.#task.before, this.#before],
      [this.#task.after, this.#after],
    ] as const) {
      const { rows } = await client.query(extentSql(source, this.#key[0]!))
      for (const end of [rows[0].low, rows[0].high]) if (end !== null) ends.push(BigInt(end))
    }
    const low = ends.reduce((a, b) => (a < b ? a : b))
    return { kind: 'range', low, high: ends.reduce((a, b) => (a > b ? a : b)) }
  }

  async #descend(slice: Slice, rows: number): Promise<void> {
    if (this.#rowsBefore.length + this.#rowsAfter.length >= ROWS_LOOKED_AT) {
      this.#more = true
      return
    }
    if (rows <= LEAF_ROWS || isSingle(slice)) return this.#fetch(slice)
    const [before, after] = await Promise.all([
      this.#parts(this.#task.before, this.#before, slice),
      this.#parts(this.#task.after, this.#after, slice),
    ])
    for (const part of [...new Set([...before.keys(), ...after.keys()])].sort()) {
      const [a, b] = [before.get(part), after.get(part)]
      if (a?.rows === b?.rows && a?.sum === b?.sum) continue
      await this.#descend(narrower(slice, part), Math.max(a?.rows ?? 0, b?.rows ?? 0))
    }
  }

  async #parts(client: Client, source: TableSource, slice: Slice): Promise<ReadonlyMap<string, Sum>> {
    const { rows } = await client.query(slicesSql(source, this.#columns, this.#key, slice))
    return new Map(rows.map(({ part, rows: count, sum }) => [String(part), { rows: Number(count), sum: String(sum) }]))
  }

  async #fetch(slice: Slice): Promise<void> {
    const fetch = async (client: Client, source: TableSource): Promise<Row[]> => {
      const text = rowsSql(source, this.#columns, this.#key, slice, LEAF_ROWS)
      const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array' })
      return rows
    }
    const [before, after] = await Promise.all([
      fetch(this.#task.before, this.#before),
      fetch(this.#task.after, this.#after),
    ])
    // Rows that are equal on both sides explain nothing.
    const same = new Map<string, number>()
    for (const row of before) same.set(JSON.stringify(row), (same.get(JSON.stringify(row)) ?? 0) + 1)
    const onlyAfter = after.filter((row) => !take(same, JSON.stringify(row)))
    const onlyBefore = before.filter((row) => take(same, JSON.stringify(row)))
    this.#rowsBefore.push(...onlyBefore)
    this.#rowsAfter.push(...onlyAfter)
  }
}

function take(counts: Map<string, number>, key: string): boolean {
  const count = counts.get(key) ?? 0
  if (count > 0) counts.set(key, count - 1)
  return count > 0
}
