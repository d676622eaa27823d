/**
 * From a recorded statement and the catalog to what judging needs to know. Only statements whose outcomes differ come here, so
 * parsing them costs nothing that counts; texts are cached all the same.
 */
import type { Catalog, Relation } from '../../segment/catalog.js'
import type { Column } from '../../segment/outcome.js'
import type { Statement } from '../../segment/statement.js'
import {
  alignOutputs,
  type Chance,
  chanceInText,
  DETERMINISTIC,
  type Nondeterminism,
  nondeterminism,
  type OutputItem,
  wilder,
} from '../../sql/nondeterminism.js'
import { type Ordering, ordering, UNORDERED } from '../../sql/order-by.js'
import { parse } from '../../sql/parse.js'
import { CatalogIndex } from '../../sql/relations.js'
import { walk } from '../../sql/tree-walk.js'
import type { Excuse } from './excuses.js'
import type { IgnoreList } from './ignore.js'
import type { Knowledge } from './knowledge.js'
import type { ColumnNature } from './nature.js'
import type { Noise } from './noise.js'
import { type Origin, Origins } from './origins.js'
import { sortKnowledge } from './sort-knowledge.js'

const TEXTS_MAX = 5_000

type Traits = {
  readonly ordering: Ordering
  readonly chance: Nondeterminism
  readonly relations: readonly Relation[]
  readonly inserts: boolean
}

export type DescribeOptions = {
  readonly ignore: IgnoreList
  /** null: no noise run. */
  readonly noise: Noise | null
  /** The replays do not keep the order across sessions, so sequences give other numbers. */
  readonly sequencesDiffer: boolean
}

export class Describer {
  readonly #index: CatalogIndex
  readonly #origins: Origins
  readonly #functions: ReadonlyMap<string, Chance>
  readonly #options: DescribeOptions
  readonly #texts = new Map<string, Traits>()

  constructor(catalog: Catalog, options: DescribeOptions) {
    this.#index = new CatalogIndex(catalog)
    this.#origins = new Origins(this.#index)
    this.#functions = new Map(
      catalog.functions.map(({ name, source }) => [name, source === null ? 'none' : chanceInText(source)]),
    )
    this.#options = options
  }

  /** `columns` are those of the outcome that is judged; the recorded statement says which tables they come from. */
  knowledge(
    statement: Pick<Statement, 'sql' | 'fingerprint' | 'parameters' | 'outcome'>,
    columns: readonly Column[],
  ): Knowledge {
    const traits = this.#traits(statement.sql)
    const { noise } = this.#options
    const { fingerprint } = statement
    const noisy = (aspect: string) => noise?.isNoise(fingerprint, aspect) ?? false
    return {
      columns: this.#natures(traits, statement, columns),
      sort: sortKnowledge(traits.ordering, columns, statement.parameters, (names) =>
        this.#isUnique(traits.ordering, names),
      ),
      chancyRows: traits.chance.filter !== 'none' && (noise?.allowsChance(fingerprint) ?? true),
      aboutServer: traits.chance.aboutServer,
      noisy: { error: noisy('error'), rows: noisy('rows'), order: noisy('order') },
    }
  }

  #traits(sql: string): Traits {
    let traits = this.#texts.get(sql)
    if (traits === undefined) {
      traits = this.#read(sql)
      if (this.#texts.size >= TEXTS_MAX) this.#texts.delete(this.#texts.keys().next().value ?? '')
      this.#texts.set(sql, traits)
    }
    return traits
  }

  #read(sql: string): Traits {
    const tree = parse(sql)?.[0]?.stmt
    if (tree === undefined) return { ordering: UNORDERED, chance: DETERMINISTIC, relations: [], inserts: false }
    const relations = new Set<Relation>()
    let inserts = false
    const note = (body: Readonly<Record<string, unknown>>) => {
      const found = this.#index.byName(body.schemaname as string | undefined, String(body.relname ?? ''))
      if (found !== undefined) relations.add(found)
    }
    walk(tree, ({ kind, body }) => {
      if (kind === 'RangeVar') note(body)
      if (kind === 'InsertStmt') inserts = true
      // The table that a statement writes stands bare in its tree.
      if (typeof body.relation === 'object' && body.relation !== null)
        note(body.relation as Readonly<Record<string, unknown>>)
      return undefined
    })
    const chance = nondeterminism(tree, (name) => this.#functions.get(name) ?? 'none')
    return { ordering: ordering(tree), chance, relations: [...relations], inserts }
  }

  #natures(
    traits: Traits,
    statement: Pick<Statement, 'fingerprint' | 'outcome'>,
    columns: readonly Column[],
  ): readonly ColumnNature[] {
    const recorded = statement.outcome.columns
    const items = alignOutputs(traits.chance.items, columns.length)
    const origins = columns.map(({ name }, at) => {
      const known = recorded?.length === columns.length ? recorded[at] : undefined
      if (known !== undefined) return known.tableOid === 0 ? null : this.#origins.of(known.tableOid, known.attnum)
      return items[at] === null || items[at]?.columns.length === 1 ? this.#origins.named(traits.relations, name) : null
    })
    const keys = fullKeys(origins)
    return columns.map(({ name }, at) =>
      this.#nature(name, at, items[at] ?? null, origins[at] ?? null, keys, traits, statement),
    )
  }

  #nature(
    name: string,
    at: number,
    item: OutputItem | null,
    origin: Origin | null,
    keys: ReadonlySet<Origin>,
    traits: Traits,
    { fingerprint }: Pick<Statement, 'fingerprint'>,
  ): ColumnNature {
    const { ignore, noise, sequencesDiffer } = this.#options
    const expressed = item?.chance ?? traits.chance.names.get(name) ?? 'none'
    const table = origin?.table ?? ''
    const column = origin?.column.name ?? name
    const shows = origin?.chance === 'random' || sequencesDiffer || traits.inserts
    return {
      label: table === '' ? name : `${table}.${column}`,
      table,
      free: this.#free(
        expressed,
        item,
        ignore.statement(fingerprint) || ignore.column(table, column),
        noise?.isNoise(fingerprint, `column ${at}`) ?? false,
      ),
      chance: wilder(expressed, origin?.chance ?? 'none'),
      domain: origin?.domain ?? null,
      references: origin?.references ?? '',
      hasDefault: (origin?.column.default ?? null) !== null,
      teaches: origin?.owns === true && shows,
      inputOrder: item?.inputOrder ?? false,
      key: origin !== null && keys.has(origin),
      tolerance: ignore.tolerance(table, column),
    }
  }

  #free(expressed: Chance, item: OutputItem | null, ignored: boolean, noisy: boolean): Excuse | null {
    if (ignored) return 'ignored'
    if (noisy) return 'noise'
    // Nothing of the data is in it, so nothing of the data can be wrong.
    return expressed !== 'none' && item !== null && item.columns.length === 0 ? 'volatile' : null
  }

  #isUnique({ relation }: Ordering, names: readonly string[]): boolean {
    const found = relation === null ? undefined : this.#index.byName(relation.schema || undefined, relation.name)
    return (
      found?.uniques.some(({ columns, predicate }) => {
        const keyNames = columns.map((attnum) => found.columns.find((column) => column.attnum === attnum)?.name)
        return predicate === null && keyNames.every((key) => key !== undefined && names.includes(key))
      }) ?? false
    )
  }
}

/** Origins that belong to a primary key all of which is shown. */
function fullKeys(origins: readonly (Origin | null)[]): ReadonlySet<Origin> {
  const shown = new Set(origins.filter((origin) => origin !== null))
  const keys = new Set<Origin>()
  for (const origin of shown) {
    const primary = origin.relation.uniques.find((unique) => unique.primary)?.columns ?? []
    const of = (attnum: number) => [...shown].find((o) => o.relation === origin.relation && o.column.attnum === attnum)
    if (primary.includes(origin.column.attnum) && primary.every((attnum) => of(attnum) !== undefined)) keys.add(origin)
  }
  return keys
}
