/**
 * What became of a table, told from two catalogs: the same, another name, several tables, one table with others.
 *
 * Names and columns say much, constraints say more: who refers to a table, and to whom it refers, is carried over by any careful change.
 * Nothing here has a form; the lines of a mapping are written by ./suggest.ts.
 */
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import type { CheckConstraint } from '../../sql/read-catalog.js'

export type Fate =
  | { readonly kind: 'same' | 'moved'; readonly to: Relation }
  | { readonly kind: 'renamed'; readonly to: Relation; readonly isSure: boolean }
  | { readonly kind: 'split'; readonly parts: readonly Relation[] }
  /** `by`: the column of the new table that says whose row it is; null: none was found. */
  | { readonly kind: 'merged'; readonly to: Relation; readonly with: readonly string[]; readonly by: Label | null }
  | { readonly kind: 'partitioned'; readonly parts: readonly Share[] }
  | { readonly kind: 'gone' }

export type Label = { readonly column: CatalogColumn; readonly value: string; readonly isSure: boolean }
/** One of the tables that rows went to, by what its own CHECK says; null: nothing says which. */
export type Share = { readonly table: Relation; readonly where: string | null }

/** Of a table's columns, to be taken for it. */
const FOUND_MIN = 0.5
/** Of a table's columns, to be one of several that were joined, or to hold some of its rows. */
const WHOLE_MIN = 0.75
/** Two words that mean one thing. */
const SAME_WORD_MIN = 0.6

export class Matching {
  readonly #fresh: readonly Relation[]
  readonly #gone: readonly Relation[]
  /** Old oid to the new table that stands for it. */
  readonly #heirs = new Map<number, Relation>()
  readonly #fates = new Map<number, Fate>()

  constructor(
    readonly before: Catalog,
    readonly after: Catalog,
    readonly checks: readonly CheckConstraint[] = [],
  ) {
    const isNew = (one: Relation) =>
      isTable(one) && !isPartition(one, after) && !before.relations.some((old) => isNamesake(one, old))
    this.#fresh = after.relations.filter(isNew)
    const tables = before.relations.filter(isTable).sort((a, b) => (a.name < b.name ? -1 : 1))
    this.#gone = tables.filter((one) => this.#namesake(one) === undefined)
    for (const one of tables) {
      const same = this.#namesake(one)
      if (same) this.#heirs.set(one.oid, same)
    }
    // Who refers to whom is known better once the neighbours are known.
    for (let round = 0; round < 2; round += 1) {
      for (const one of this.#gone) {
        const heir = this.#heirOf(this.#fate(one))
        if (heir) this.#heirs.set(one.oid, heir)
      }
    }
    for (const one of tables) this.#fates.set(one.oid, this.#fate(one))
    this.#join()
  }

  of(relation: Relation): Fate {
    return this.#fates.get(relation.oid) ?? this.#fate(relation)
  }

  /** The new table that stands for an old one. */
  heir(oid: number): Relation | undefined {
    return this.#heirs.get(oid)
  }

  #fate(relation: Relation): Fate {
    const same = this.#namesake(relation)
    if (same) {
      const rest = this.#partsOf(relation, [same, ...this.#fresh.filter((one) => !this.#isTaken(one, relation))])
      const isSplit = rest.length > 1 && rest.includes(same) && coverage(relation, rest) > coverage(relation, [same])
      return isSplit ? { kind: 'split', parts: rest } : { kind: 'same', to: same }
    }
    const moved = this.#fresh.find((one) => one.name === relation.name)
    if (moved) return { kind: 'moved', to: moved }
    const ranked = this.#fresh
      .map((one) => ({ one, score: this.#score(relation, one) }))
      .sort((a, b) => b.score.total - a.score.total)
    const best = ranked[0]
    const shares = this.#sharesOf(relation)
    if (shares !== null) return { kind: 'partitioned', parts: shares }
    const parts = this.#partsOf(relation, this.#fresh)
    if (parts.length > 1 && coverage(relation, parts) > (best?.score.found ?? 0)) return { kind: 'split', parts }
    if (best === undefined || best.score.found + best.score.ties < FOUND_MIN) return { kind: 'gone' }
    const isAlone = (ranked[1]?.score.total ?? 0) + 0.25 < best.score.total
    const isSure =
      best.score.found + best.score.ties >= FOUND_MIN &&
      (best.score.found + best.score.alike >= 1.3 || (isAlone && best.score.ties >= 0.5))
    return { kind: 'renamed', to: best.one, isSure }
  }

  /** `found`: columns that are there; `ties`: how far those who refer to it, and those it refers to, agree. */
  #score(relation: Relation, one: Relation): { found: number; alike: number; ties: number; total: number } {
    const [found, alike, ties] = [
      coverage(relation, [one]),
      likeness(relation.name, one.name),
      this.#ties(relation, one),
    ]
    return { found, alike, ties, total: found + alike / 4 + ties }
  }

  /** 0 to 1, by the foreign keys at both ends. */
  #ties(relation: Relation, one: Relation): number {
    const incoming = this.#referrers(relation)
    const kept = incoming.filter(({ heir, names }) =>
      heir.foreignKeys.some((key) => key.referencedOid === one.oid && namesOf(heir, key.columns).join() === names),
    )
    const outgoing = relation.foreignKeys.flatMap((key) => {
      const heir = this.#heirs.get(key.referencedOid)
      return heir && key.referencedOid !== relation.oid ? [heir.oid] : []
    })
    const refers = outgoing.filter((oid) => one.foreignKeys.some(({ referencedOid }) => referencedOid === oid))
    const share = (part: readonly unknown[], all: readonly unknown[]) =>
      all.length === 0 ? 0 : part.length / all.length
    return incoming.length === 0
      ? 0.6 * share(refers, outgoing)
      : 0.6 * share(kept, incoming) + 0.4 * share(refers, outgoing)
  }

  /** Foreign keys of other tables that point at it, where those tables are known in the new schema. */
  #referrers(relation: Relation): { heir: Relation; names: string }[] {
    return this.before.relations.flatMap((other) => {
      const heir = this.#heirs.get(other.oid)
      if (heir === undefined || other.oid === relation.oid) return []
      return other.foreignKeys
        .filter(({ referencedOid }) => referencedOid === relation.oid)
        .map((key) => ({ heir, names: namesOf(other, key.columns).join() }))
    })
  }

  /** Tables whose key is this table's key, the one that stands for the row first, and those whose key refers to it. */
  #partsOf(relation: Relation, places: readonly Relation[]): Relation[] {
    const key = primaryKey(relation).map(({ name }) => name)
    if (key.length === 0) return []
    const others = relation.columns.filter(({ name }) => !key.includes(name))
    const has = (one: Relation) => others.some(({ name }) => one.columns.some((column) => column.name === name))
    const isWhole = (one: Relation) => coverage(relation, [one]) === 1
    const sharing = places.filter((one) => {
      const own = primaryKey(one).map(({ name }) => name)
      return own.join() === key.join() && has(one) && !isWhole(one)
    })
    const following = places.filter((one) => !sharing.includes(one) && !isWhole(one) && extendsOneOf(one, sharing))
    const pointedAt = (one: Relation) =>
      this.#referrers(relation).filter(({ heir }) => heir.foreignKeys.some((to) => to.referencedOid === one.oid)).length
    const isNamesakeOf = (one: Relation) => Number(isNamesake(one, relation))
    const rank = (one: Relation) => Number(extendsOneOf(one, sharing))
    const first = [...sharing].sort(
      (a, b) =>
        rank(a) - rank(b) ||
        isNamesakeOf(b) - isNamesakeOf(a) ||
        pointedAt(b) - pointedAt(a) ||
        (a.name < b.name ? -1 : 1),
    )
    return [...first, ...following]
  }

  /** Several new tables of one form, with the old key and nearly all old columns; no other old table looks like them, nobody refers to one alone. */
  #sharesOf(relation: Relation): Share[] | null {
    const key = primaryKey(relation).map(({ name }) => name)
    const alike = this.#fresh.filter(
      (one) =>
        coverage(relation, [one]) >= WHOLE_MIN &&
        primaryKey(one)
          .map(({ name }) => name)
          .join() === key.join(),
    )
    const groups = alike.map((one) => alike.filter((other) => formOf(other) === formOf(one)))
    const group = groups.sort((a, b) => b.length - a.length)[0] ?? []
    const rivals = this.#gone.filter((old) => old !== relation && coverage(old, group.slice(0, 1)) >= WHOLE_MIN)
    const isChosen = group.some((one) => this.#referrers(relation).length > 0 && this.#ties(relation, one) >= 0.6)
    // A key and a name: half of all tables have that form.
    if (relation.columns.length < 3 || key.length === 0 || group.length < 2 || rivals.length > 0 || isChosen)
      return null
    const old = new Set(relation.columns.map(({ name }) => name))
    const saidBy = (one: Relation) =>
      this.checks.filter(
        ({ relation: oid, columns, expression }) =>
          oid === one.oid &&
          columns.every((attnum) => namesOf(one, [attnum]).every((name) => old.has(name))) &&
          !group.every((each) =>
            this.checks.some((check) => check.relation === each.oid && check.expression === expression),
          ),
      )
    return group
      .map((table) => ({
        table,
        where:
          saidBy(table)
            .map(({ expression }) => expression)
            .join(' AND ') || null,
      }))
      .sort((a, b) => Number(a.where === null) - Number(b.where === null) || (a.table.name < b.table.name ? -1 : 1))
  }

  /** Old tables that came to one new table, or to one that was there before, were merged. */
  #join(): void {
    for (const to of this.after.relations.filter(isTable)) {
      const whole = (one: Relation) => coverage(one, [to]) >= WHOLE_MIN && !isPartition(one, this.before)
      const guests = this.#gone.filter((one) => {
        const fate = this.#fates.get(one.oid)
        if (!whole(one)) return false
        return fate?.kind === 'renamed' ? fate.to === to : fate?.kind === 'gone'
      })
      const host = this.before.relations.find((one) => isTable(one) && isNamesake(one, to))
      const all = host ? [host, ...guests] : guests
      if (guests.length === 0 || all.length < 2) continue
      const labels = this.#labels(to, all)
      // A table that was there before is no heir of another, unless it has learnt to tell their rows apart.
      if (host && labels.column === null) continue
      for (const one of all) {
        const names = all.filter((other) => other !== one).map(({ name }) => name)
        this.#fates.set(one.oid, { kind: 'merged', to, with: names, by: labels.of(one) })
        this.#heirs.set(one.oid, to)
      }
    }
  }

  /** The column that says whose row it is: none of theirs, text or an enum; its values by a CHECK or the enum. */
  #labels(
    to: Relation,
    tables: readonly Relation[],
  ): { column: CatalogColumn | null; of(one: Relation): Label | null } {
    const candidates = to.columns
      .filter(({ name, notNull }) => notNull && !tables.some((one) => one.columns.some((old) => old.name === name)))
      .map((column) => ({ column, values: this.#valuesOf(to, column) }))
      .filter(({ column, values }) => values.length > 0 || /^(?:text|character)/.test(column.type))
      .sort((a, b) => b.values.length - a.values.length)
    const best = candidates[0]
    if (best === undefined) return { column: null, of: () => null }
    const of = (one: Relation): Label => {
      const likely = best.values
        .map((value) => ({ value, score: likeness(value, one.name) }))
        .sort((a, b) => b.score - a.score)
      const [first, second] = likely
      if (first === undefined || first.score < SAME_WORD_MIN)
        return { column: best.column, value: one.name.replace(/s$/, ''), isSure: false }
      return { column: best.column, value: first.value, isSure: first.score > (second?.score ?? 0) }
    }
    return { column: best.column, of }
  }

  #valuesOf(to: Relation, column: CatalogColumn): readonly string[] {
    const type = this.after.types.find(({ oid }) => oid === column.typeOid)
    if (type?.kind === 'enum') return type.labels
    const own = this.checks.filter(
      ({ relation, columns }) => relation === to.oid && columns.length === 1 && columns[0] === column.attnum,
    )
    return own.flatMap(({ expression }) =>
      [...expression.matchAll(/'((?:[^']|'')*)'/g)].map(([, value]) => value!.replaceAll("''", "'")),
    )
  }

  #heirOf(fate: Fate): Relation | undefined {
    if (fate.kind === 'split') return fate.parts[0]
    return 'to' in fate ? fate.to : undefined
  }

  #isTaken(one: Relation, by: Relation): boolean {
    return this.#gone.some((old) => old !== by && this.#heirs.get(old.oid) === one)
  }

  #namesake(relation: Relation): Relation | undefined {
    return this.after.relations.find((one) => isReadable(one) && isNamesake(one, relation))
  }
}

export function primaryKey(relation: Relation): CatalogColumn[] {
  const primary = relation.uniques.find((unique) => unique.primary)?.columns ?? []
  return primary.flatMap((attnum) => relation.columns.filter((column) => column.attnum === attnum))
}

export function namesOf(relation: Relation, attnums: readonly number[]): string[] {
  return attnums.flatMap((attnum) => relation.columns.filter((one) => one.attnum === attnum).map(({ name }) => name))
}

/** Share of the columns that are there, by name. */
function coverage(relation: Relation, places: readonly Relation[]): number {
  const asked = relation.columns
  const found = asked.filter(({ name }) => places.some(({ columns }) => columns.some((one) => one.name === name)))
  return asked.length === 0 ? 0 : found.length / asked.length
}

/** Its key is a foreign key to one of them. */
function extendsOneOf(one: Relation, others: readonly Relation[]): boolean {
  const own = one.uniques.find(({ primary }) => primary)?.columns.join()
  return one.foreignKeys.some(
    ({ columns, referencedOid }) =>
      columns.join() === own && others.some(({ oid }) => oid === referencedOid && oid !== one.oid),
  )
}

function formOf({ columns }: Relation): string {
  return columns
    .map(({ name, type }) => `${name} ${type}`)
    .sort()
    .join()
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

function isPartition({ parents }: Relation, catalog: Catalog): boolean {
  return parents.some((parent) => catalog.relations.some(({ oid, kind }) => oid === parent && kind === 'partitioned'))
}

function isReadable({ kind }: Relation): boolean {
  return kind !== 'sequence' && kind !== 'composite'
}

function isNamesake(one: Relation, other: Relation): boolean {
  return one.schema === other.schema && one.name === other.name
}
