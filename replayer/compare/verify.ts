/**
 * Table state after two replays: is every table of the one what it should have become in the other?
 *
 * A write that returned the right tag and stored the wrong value is found here. Row counts and checksums are computed in the
 * databases; only slices that differ are cut finer, down to the rows. Nothing is written.
 *
 * Left out: moments that the replay made, and generated random values with the foreign keys that carry them.
 */
import pg from 'pg'
import type { CatalogColumn, Relation } from '../../segment/catalog.js'
import type { RowDiff } from '../../segment/diff.js'
import type { Row } from '../../segment/outcome.js'
import { columnName, domainsOf } from '../../sql/domains.js'
import { loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { withClient } from '../shadow/connect.js'
import { type ChangedColumn, type RowChanges, rowChanges } from './verify-rows.js'
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
  readonly onProgress?: (done: number, total: number, table: string) => void
}

export type TableComparison = {
  readonly table: string
  readonly verdict: 'equal' | 'differs' | 'missing'
  readonly rowsBefore: number
  readonly rowsAfter: number
  /** Of the differing rows that were looked at. */
  readonly missing: number
  readonly extra: number
  readonly changed: number
  /** Differing rows are more than were looked at. */
  readonly more: boolean
  readonly columns: readonly ChangedColumn[]
  /** Columns that one side lacks, and those left out on purpose. */
  readonly columnsMissing: readonly string[]
  readonly columnsLeftOut: readonly string[]
  readonly examples: RowDiff | null
}

/** A slice this small is fetched and compared row by row. */
const LEAF_ROWS = 1_000
/** Enough to say what is wrong with a table. */
const ROWS_LOOKED_AT = 5_000
/** Marker of a shadow. */
const OWN_SCHEMA = 'pgrehearse'

type Client = Pick<pg.Client, 'query'>

export async function verifyTables(options: VerifyOptions): Promise<readonly TableComparison[]> {
  await loadParser()
  return withClient(options.beforeUrl, (before) =>
    withClient(options.afterUrl, async (after) => {
      await settle(before)
      await settle(after)
      const catalog = await readCatalog(before)
      const domains = domainsOf(catalog)
      const isRandom = (relation: Relation, { attnum }: CatalogColumn) =>
        domains.get(columnName(relation.oid, attnum))?.source === 'random'
      const tables = catalog.relations.filter(
        ({ kind, schema, parents }) =>
          (kind === 'table' || kind === 'partitioned') && schema !== OWN_SCHEMA && parents.length === 0,
      )
      const nameOf = ({ schema, name }: Relation) => (catalog.searchPath.includes(schema) ? name : `${schema}.${name}`)
      const found: TableComparison[] = []
      for (const [at, relation] of tables.sort((a, b) => nameOf(a).localeCompare(nameOf(b))).entries()) {
        const name = nameOf(relation)
        options.onProgress?.(at, tables.length, name)
        found.push(await compareTable({ name, relation, before, after, options, isRandom }))
      }
      return found
    }),
  )
}

/** One moment on each side, and values as text that does not depend on settings. */
async function settle(client: Client): Promise<void> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  await client.query(`SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL statement_timeout = 0`)
}

type TableTask = {
  readonly name: string
  readonly relation: Relation
  readonly before: Client
  readonly after: Client
  readonly options: VerifyOptions
  readonly isRandom: (relation: Relation, column: CatalogColumn) => boolean
}

async function compareTable(task: TableTask): Promise<TableComparison> {
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
  if (sourceBefore === null || sourceAfter === null)
    return { ...none, table: name, verdict: 'missing', rowsBefore: 0, rowsAfter: 0 }
  const shared = sharedColumns(task, sourceBefore, sourceAfter)
  const pair = new TablePair(task, sourceBefore, sourceAfter, shared.compared)
  const { rowsBefore, rowsAfter, changes, more } = await pair.compare()
  return {
    ...none,
    ...changes,
    more,
    table: name,
    verdict: changes === null && shared.missing.length === 0 ? 'equal' : 'differs',
    rowsBefore,
    rowsAfter,
    columnsMissing: shared.missing,
    columnsLeftOut: shared.leftOut,
  }
}

/** null: the relation does not exist there. */
async function sourceOf(client: Client, from: string, madeFromMs: number | undefined): Promise<TableSource | null> {
  await client.query('SAVEPOINT source')
  try {
    const { fields } = await client.query(`SELECT * FROM ${from} LIMIT 0`)
    const columns = fields.map(({ name, dataTypeID }) => ({ name, typeOid: dataTypeID }))
    return { from, columns, madeFromMs: madeFromMs ?? null }
  } catch (error) {
    await client.query('ROLLBACK TO SAVEPOINT source')
    if (error instanceof pg.DatabaseError && error.code === '42P01') return null
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
    const [a, b] = [await this.#checksum(before, this.#before), await this.#checksum(after, this.#after)]
    const counts = { rowsBefore: a.rows, rowsAfter: b.rows }
    if ((a.rows === b.rows && a.sum === b.sum) || this.#columns.length === 0)
      return { ...counts, changes: null, more: false }
    await this.#descend(await this.#firstSlice(), Math.max(a.rows, b.rows))
    const columns = { before: this.#typed(this.#before), after: this.#typed(this.#after) }
    const key = this.#key.map((column) => this.#columns.indexOf(column))
    const changes = rowChanges(name, columns, key, this.#hasKey, this.#rowsBefore, this.#rowsAfter)
    return { ...counts, changes, more: this.#more }
  }

  #typed(source: TableSource): readonly SourceColumn[] {
    return this.#columns.map((name) => source.columns.find((column) => column.name === name)!)
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
    const before = await this.#parts(this.#task.before, this.#before, slice)
    const after = await this.#parts(this.#task.after, this.#after, slice)
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
    const before = await fetch(this.#task.before, this.#before)
    const after = await fetch(this.#task.after, this.#after)
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
