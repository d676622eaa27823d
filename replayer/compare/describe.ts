/**
 * From a recorded statement and the catalog to what judging needs to know. Only statements whose outcomes differ come here, so
 * parsing them costs nothing that counts; texts are cached all the same.
 */
import type { Catalog } from '../../segment/catalog.js'
import type { Column } from '../../segment/outcome.js'
import type { Statement } from '../../segment/statement.js'
import { type ColumnRef, type ColumnResolver, createColumnResolver } from '../../sql/columns.js'
import { type Insertion, insertionBehind } from '../../sql/insertions.js'
import { alignOutputs, type Chance, type OutputItem, wilder } from '../../sql/nondeterminism.js'
import type { Ordering } from '../../sql/order-by.js'
import { rowKey } from './broken-rows.js'
import type { Written } from './causes/written.js'
import type { Excuse } from './excuses.js'
import type { IgnoreList } from './ignore.js'
import type { Knowledge } from './knowledge.js'
import type { Access } from './latency-cause.js'
import type { MaskedTrail } from './masked.js'
import type { ColumnNature } from './nature.js'
import type { Noise } from './noise.js'
import { type Origin, Origins } from './origins.js'
import { sortKnowledge } from './sort-knowledge.js'
import { TraitReader, type Traits } from './traits.js'

export type DescribeOptions = {
  readonly ignore: IgnoreList
  /** null: no noise run. */
  readonly noise: Noise | null
  /** The replays do not keep the order across sessions, so sequences give other numbers. */
  readonly sequencesDiffer: boolean
  /** Production is one of the two; null: both saw tokens. */
  readonly masked: MaskedTrail | null
}

type Described = Pick<Statement, 'sql' | 'fingerprint' | 'parameters' | 'outcome' | 'masking'>

export class Describer {
  readonly #resolver: ColumnResolver
  readonly #origins: Origins
  readonly #texts: TraitReader
  readonly #options: DescribeOptions

  constructor(catalog: Catalog, options: DescribeOptions) {
    this.#resolver = createColumnResolver(catalog)
    this.#origins = new Origins(this.#resolver)
    this.#texts = new TraitReader(this.#resolver)
    this.#options = options
  }

  /** Tables that a text writes, by name. */
  written(sql: string): readonly string[] {
    return this.#texts.of(sql).written.map((relation) => this.#origins.tableName(relation))
  }

  /** What a text says about an error that it meets. */
  writing(sql: string): Written {
    const { insertions, removes } = this.#texts.of(sql)
    const { index } = this.#resolver
    const leftOut = new Map<string, 'default' | 'sequence'>()
    for (const [oid, { given }] of insertions)
      for (const { name, default: text, sequenceOid, identity } of given === null
        ? []
        : (index.byOid(oid)?.columns ?? []))
        if (!given?.includes(name) && (text !== null || identity !== ''))
          leftOut.set(name, sequenceOid !== 0 ? 'sequence' : 'default')
    const { relations } = index.catalog
    return {
      leftOut,
      uniqueColumns: (constraint) => {
        const owner = relations.find(({ uniques }) => uniques.some(({ name }) => name === constraint))
        const key = owner?.uniques.find(({ name }) => name === constraint)
        return key?.columns.map((attnum) => owner?.columns.find((one) => one.attnum === attnum)?.name ?? '') ?? null
      },
      onDelete: (constraint) =>
        relations.flatMap(({ foreignKeys }) => foreignKeys).find(({ name }) => name === constraint)?.onDelete ?? null,
      pointsAt: (constraint) => {
        const key = relations.flatMap(({ foreignKeys }) => foreignKeys).find(({ name }) => name === constraint)
        const table = key && index.byOid(key.referencedOid)
        return table === undefined ? null : this.#origins.tableName(table)
      },
      isFound: (relation) => index.byName(undefined, relation) !== undefined,
      removes,
    }
  }

  /** Does an enum of the recorded schema have this label? */
  isLabel(type: string, label: string): boolean {
    const name = type.slice(type.lastIndexOf('.') + 1).replaceAll('"', '')
    return this.#resolver.index.catalog.types.some((one) => one.name === name && one.labels.includes(label))
  }

  /** How a text gets at its rows. */
  access(sql: string): Access {
    const traits = this.#texts.of(sql)
    const columns = traits.lookedUp.flatMap(({ tableOid, attnum }) => {
      const origin = this.#origins.of(tableOid, attnum)
      return origin === null ? [] : [`${origin.table}.${origin.column.name}`]
    })
    return { soughtColumns: [...new Set(columns)].sort(), writtenTable: this.written(sql)[0] ?? '' }
  }

  /** `columns` are those of the outcome that is judged; the recorded statement says which tables they come from. */
  knowledge(statement: Described, columns: readonly Column[]): Knowledge {
    const traits = this.#texts.of(statement.sql)
    const { noise } = this.#options
    const { fingerprint } = statement
    const noisy = (aspect: string) => noise?.isNoise(fingerprint, aspect) ?? false
    return {
      columns: this.#natures(traits, statement, columns),
      sort: sortKnowledge(traits.ordering, columns, statement.parameters, (names) =>
        this.#isUnique(traits.ordering, names),
      ),
      tables: traits.relations.map((relation) => this.#origins.tableName(relation)),
      written: traits.written.map((relation) => this.#origins.tableName(relation)),
      sought: this.#sought(traits, statement.parameters),
      lookups: this.#lookups(traits),
      given: this.#given(traits, statement.parameters),
      columnNames: traits.columnNames,
      chancyRows: traits.chance.filter !== 'none' && (noise?.allowsChance(fingerprint) ?? true),
      aboutServer: traits.chance.aboutServer,
      ignored: this.#options.ignore.statement(fingerprint),
      noisy: { error: noisy('error'), rows: noisy('rows'), order: noisy('order') },
    }
  }

  /** Of a cursor's query: some of its rows, so the order says which as with LIMIT. */
  sliceOf(statement: Described, columns: readonly Column[]): Knowledge {
    const known = this.knowledge(statement, columns)
    return { ...known, sort: { ...known.sort, cutFrom: 0 } }
  }

  #sought(traits: Traits, parameters: readonly (string | null)[]): readonly string[] {
    return traits.sought.flatMap(({ parameter, column }) => {
      const value = parameters[parameter - 1] ?? null
      const origin = this.#origins.of(column.tableOid, column.attnum)
      return value === null || origin === null
        ? []
        : [rowKey(origin.domain ?? `${origin.table}.${origin.column.name}`, value)]
    })
  }

  #given({ given }: Traits, parameters: readonly (string | null)[]): ReadonlyMap<string, string> {
    const values = new Map<string, Set<string | null>>()
    for (const { value, column } of given) {
      const origin = this.#origins.of(column.tableOid, column.attnum)
      if (origin === null) continue
      const label = `${origin.table}.${origin.column.name}`
      const seen = values.get(label) ?? new Set()
      values.set(label, seen.add(typeof value === 'number' ? (parameters[value - 1] ?? null) : value))
    }
    return new Map(
      [...values].flatMap(([label, [only, ...more]]) =>
        only == null || more.length > 0 ? [] : [[label, only] as const],
      ),
    )
  }

  #lookups({ sought }: Traits): Knowledge['lookups'] {
    return sought.flatMap(({ parameter, column }) => {
      const origin = this.#origins.of(column.tableOid, column.attnum)
      return origin === null ? [] : [{ parameter, label: `${origin.table}.${origin.column.name}` }]
    })
  }

  #natures(traits: Traits, statement: Described, columns: readonly Column[]): readonly ColumnNature[] {
    const recorded = statement.outcome.columns
    const items = alignOutputs(traits.chance.items, columns.length)
    const results = traits.results?.length === columns.length ? traits.results : null
    const origins = columns.map((_, at) => {
      const known = recorded?.length === columns.length ? recorded[at] : undefined
      if (known !== undefined) return known.tableOid === 0 ? null : this.#origins.of(known.tableOid, known.attnum)
      const [only, ...more] = results?.[at]?.via === 'exact' ? results[at].columns : []
      return only === undefined || more.length > 0 ? null : this.#origins.of(only.tableOid, only.attnum)
    })
    const subjects = columns.map(({ name }, at) => {
      const [only, ...more] = results?.[at]?.sources ?? []
      const source =
        origins[at] ?? (only === undefined || more.length > 0 ? null : this.#origins.of(only.tableOid, only.attnum))
      if (source === null || source === undefined) return name
      const whole = `${source.table}.${source.column.name}`
      // `(seat).city`: of a composite value, the one field that is shown.
      return origins[at] == null && this.#fields(source.column.typeOid).includes(name) ? `${whole}.${name}` : whole
    })
    const keys = fullKeys(origins)
    return columns.map(({ name }, at) => {
      const nature = this.#nature(name, at, items[at] ?? null, origins[at] ?? null, keys, traits, statement)
      const sources = this.#sources(origins[at] ?? null, results?.[at]?.sources ?? [])
      const masked = nature.free === null && this.#options.masked?.hides(statement, at, sources) === true
      const made = (results?.[at]?.sources ?? []).flatMap((one) => this.#origins.baseOf(one.tableOid, one.attnum))
      const own = origins[at] ?? null
      const base = own === null ? [] : this.#origins.baseOf(own.relation.oid, own.column.attnum)
      return {
        ...nature,
        free: masked ? 'masked' : nature.free,
        sources,
        madeOf: [...new Set([...base, ...made])],
        view: recorded?.length === columns.length ? this.#origins.viewName(recorded[at]!.tableOid) : '',
        fields: own === null ? [] : this.#fields(own.column.typeOid),
        subject: subjects[at] ?? name,
      }
    })
  }

  #fields(typeOid: number): readonly string[] {
    const type = this.#resolver.index.catalog.types.find(({ oid }) => oid === typeOid)
    return type?.attributes.map(({ name }) => name) ?? []
  }

  #sources(origin: Origin | null, columns: readonly ColumnRef[]): readonly string[] {
    const found = columns.map(({ tableOid, attnum }) => this.#origins.of(tableOid, attnum))
    return [origin, ...found].flatMap((one) => (one === null ? [] : [`${one.table}.${one.column.name}`]))
  }

  #nature(
    name: string,
    at: number,
    item: OutputItem | null,
    origin: Origin | null,
    keys: ReadonlySet<Origin>,
    traits: Traits,
    { fingerprint, outcome }: Described,
  ): Omit<ColumnNature, 'subject' | 'sources' | 'madeOf' | 'view' | 'fields'> {
    const { ignore, noise, sequencesDiffer } = this.#options
    const expressed = item?.chance ?? traits.chance.names.get(name) ?? 'none'
    const table = origin?.table ?? ''
    const column = origin?.column.name ?? name
    const insertion = this.#insertion(traits, origin, outcome.columns?.[at]?.tableOid ?? 0)
    const shows = origin?.chance === 'random' || sequencesDiffer || insertion !== undefined
    return {
      label: table === '' ? name : `${table}.${column}`,
      table,
      free: this.#free(
        expressed,
        item,
        ignore.column(table, column),
        noise?.isNoise(fingerprint, `column ${at}`) ?? false,
      ),
      chance: wilder(expressed, origin?.chance ?? 'none'),
      domain: origin?.domain ?? null,
      renamed: origin?.domain !== null && (sequencesDiffer || origin?.source === 'random'),
      references: origin?.references ?? '',
      hasDefault: (origin?.column.default ?? null) !== null,
      teaches: (origin?.owns === true && shows) || (origin?.owns === false && insertion !== undefined),
      position: insertion?.surelyNew ? null : (origin?.position ?? null),
      inputOrder: item?.inputOrder ?? false,
      key: origin !== null && keys.has(origin),
      tolerance: ignore.tolerance(table, column),
    }
  }

  /** What the statement inserts into the column's table, itself or through the view that shows it. */
  #insertion({ insertions }: Traits, origin: Origin | null, shownBy: number): Insertion | undefined {
    if (origin === null) return undefined
    const { ownerOid, owns, relation } = origin
    return (
      insertionBehind(insertions, { tableOid: shownBy, ownerOid, owns }) ??
      insertionBehind(insertions, { tableOid: relation.oid, ownerOid, owns })
    )
  }

  #free(expressed: Chance, item: OutputItem | null, ignored: boolean, noisy: boolean): Excuse | null {
    if (ignored) return 'ignored'
    if (noisy) return 'noise'
    // Nothing of the data is in it, so nothing of the data can be wrong.
    return expressed !== 'none' && item !== null && item.columns.length === 0 ? 'volatile' : null
  }

  #isUnique({ relation }: Ordering, names: readonly string[]): boolean {
    const found =
      relation === null ? undefined : this.#resolver.index.byName(relation.schema || undefined, relation.name)
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
