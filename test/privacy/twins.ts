/**
 * Two databases of one schema: the original, and a copy that is masked as a snapshot is. A statement is run on the one as it is and on the other
 * masked, and both answers are handed back as a recording and a run would hold them.
 */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { createMasker, type Masker, type SqlFacts } from '../../privacy/masker.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import type { Catalog } from '../../segment/catalog.js'
import type { Row } from '../../segment/outcome.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { KEY } from './support.js'

export type Answers = {
  readonly facts: SqlFacts
  /** The masked text and parameters. */
  readonly safe: string
  readonly recorded: readonly Row[]
  readonly replayed: readonly Row[]
}

export class Twins {
  readonly masker: Masker
  readonly original: pg.Client
  readonly shadow: pg.Client
  readonly #databases: readonly TestDatabase[]

  private constructor(masker: Masker, clients: readonly [pg.Client, pg.Client], databases: readonly TestDatabase[]) {
    this.masker = masker
    ;[this.original, this.shadow] = clients
    this.#databases = databases
  }

  /** `tables` in an order that foreign keys allow. */
  static async create(schema: string, data: string, policy: string, tables: readonly string[]): Promise<Twins> {
    const databases = [await createDatabase(schema, data), await createDatabase(schema)] as const
    const [original, shadow] = [await connected(databases[0].url), await connected(databases[1].url)]
    const catalog = await readCatalog(original)
    const masker = await createMasker({ key: KEY, policy: parsePolicy(policy, 'policy.yaml'), catalog })
    const twins = new Twins(masker, [original, shadow], databases)
    for (const table of tables) await twins.#copyMasked(catalog, table)
    for (const { schema, name, kind } of catalog.relations)
      if (kind === 'matview') await shadow.query(`REFRESH MATERIALIZED VIEW "${schema}"."${name}"`)
    return twins
  }

  async drop(): Promise<void> {
    await Promise.all([this.original.end(), this.shadow.end()])
    for (const database of this.#databases) await database.drop()
  }

  /** One session per database, so that settings and what was written last. */
  async both(sql: string, parameters: readonly (string | null)[] = []): Promise<Answers> {
    const { masker } = this
    const masked = masker.sql(sql)
    const production = await answer(this.original, sql, parameters)
    const safeParameters = masker.parameters(
      masked.facts,
      parameters,
      parameters.map(() => 0),
    )
    const replay = await answer(this.shadow, masked.sql, safeParameters)
    const columns = production.fields.map((field) => ({
      name: field.name,
      typeOid: field.dataTypeID,
      typmod: field.dataTypeModifier,
      tableOid: field.tableID,
      attnum: field.columnID,
    }))
    const rowMask = masker.rowMasker(columns, masked.facts)
    return {
      facts: masked.facts,
      safe: masked.sql + JSON.stringify(safeParameters),
      recorded: production.rows.map((row) => rowMask(row)),
      replayed: replay.rows,
    }
  }

  async #copyMasked(catalog: Catalog, name: string): Promise<void> {
    const table = catalog.relations.find((relation) => relation.name === name)!
    const columns = table.columns.filter((column) => column.generated === '')
    const names = columns.map((column) => column.name).join(', ')
    const lines = await text(this.original.query(copyTo(`COPY ${name} (${names}) TO STDOUT`)))
    const mask = this.masker.copyLine(
      table.oid,
      columns.map((column) => column.attnum),
    )
    const bytes = Buffer.from(lines)
    // As a snapshot is loaded: what triggers do was done in production.
    await this.shadow.query('SET session_replication_role = replica')
    const sink = this.shadow.query(copyFrom(`COPY ${name} (${names}) FROM STDIN`))
    Readable.from([mask === null ? bytes : mask(bytes)]).pipe(sink)
    await once(sink, 'finish')
    await this.shadow.query('RESET session_replication_role')
  }
}

/** Every value as the server prints it. */
export async function answer(
  client: pg.Client,
  sql: string,
  parameters: readonly (string | null)[] = [],
): Promise<{ rows: Row[]; fields: pg.FieldDef[] }> {
  const query = {
    text: sql,
    values: [...parameters],
    rowMode: 'array',
    types: { getTypeParser: () => (value: string) => value },
  }
  return client.query<(string | null)[]>(query as unknown as pg.QueryArrayConfig)
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  await client.connect()
  return client
}
