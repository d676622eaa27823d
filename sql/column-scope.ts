/**
 * Names in scope: which tables a FROM brings in, and what a name then means.
 */
import type { Relation } from '../segment/catalog.js'
import { NOTHING, OPAQUE, type Output, ofColumn, SYSTEM_COLUMN, type Value } from './column-values.js'
import type { CatalogIndex } from './relations.js'

/**
 * The relation a name means. A session may have another search path than the catalog's: a name that only one schema has is that one.
 */
export function relationNamed(index: CatalogIndex, schema: string | undefined, name: string): Relation | undefined {
  const found = index.byName(schema, name)
  if (found !== undefined || schema !== undefined) return found
  let byName = onlyOnes.get(index)
  if (byName === undefined) {
    byName = new Map()
    for (const relation of index.catalog.relations)
      byName.set(relation.name, byName.has(relation.name) ? null : relation)
    onlyOnes.set(index, byName)
  }
  return byName.get(name) ?? undefined
}

const onlyOnes = new WeakMap<CatalogIndex, Map<string, Relation | null>>()

export type Source = {
  readonly alias: string
  readonly schema: string | null
  readonly outputs: readonly Output[]
  /** False: its columns are not known, so a name that nobody else has may be its. */
  readonly known: boolean
  /** A table of the system catalog. */
  readonly system?: boolean
  /** Names that a JOIN … USING already offers: `*` and a bare name take them once. */
  readonly hidden?: boolean
}

export type Scope = {
  readonly sources: Source[]
  readonly parent: Scope | null
  readonly ctes: Map<string, readonly Output[]>
}

export function childScope(parent: Scope | null): Scope {
  return { sources: [], parent, ctes: new Map() }
}

export function cteNamed(scope: Scope | null, name: string): readonly Output[] | null {
  for (let at = scope; at !== null; at = at.parent) {
    const found = at.ctes.get(name)
    if (found !== undefined) return found
  }
  return null
}

export function ofRelation(relation: Relation, alias: string): Source {
  return {
    alias,
    schema: relation.schema,
    known: true,
    outputs: relation.columns.map((column) => ({
      name: column.name,
      value: ofColumn({ tableOid: relation.oid, attnum: column.attnum }),
    })),
  }
}

/** `AS t(a, b)` renames from the left. */
export function renamed(outputs: readonly Output[], names: readonly string[]): readonly Output[] {
  const all = outputs.map((output, at) => ({ name: names[at] ?? output.name, value: output.value }))
  return outputs.length === 0 ? names.map((name) => ({ name, value: OPAQUE })) : all
}

/** What `a`, `t.a` or `s.t.a` means; a whole row where `t` names a table. */
export function lookUp(scope: Scope, fields: readonly string[]): Value {
  const column = fields.at(-1)!
  const qualifier = fields.at(-2)
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    let unknown = false
    let system = false
    for (const source of at.sources) {
      if (qualifier !== undefined && source.alias !== qualifier) continue
      if (qualifier === undefined && source.hidden === true) continue
      const found = source.outputs.find((output) => output.name === column)
      if (found !== undefined) return found.value
      unknown ||= !source.known
      system ||= source.system === true
    }
    if (system) return ofColumn(SYSTEM_COLUMN)
    if (unknown) return OPAQUE
    if (qualifier === undefined) {
      const whole = at.sources.find((source) => source.alias === column)
      if (whole !== undefined) return wholeRow(whole)
    }
  }
  return OPAQUE
}

export function wholeRow(source: Source): Value {
  return {
    ...NOTHING,
    row: source.outputs,
    sources: source.outputs.flatMap((output) => output.value.sources),
    clear: source.known,
  }
}

/** What `*` or `t.*` stands for. null: not known. */
export function star(scope: Scope, qualifier: string | null): readonly Output[] | null {
  for (let at: Scope | null = scope; at !== null; at = qualifier === null ? null : at.parent) {
    const sources = at.sources.filter((source) =>
      qualifier === null ? source.hidden !== true : source.alias === qualifier,
    )
    if (sources.length === 0) continue
    return sources.every((source) => source.known) ? sources.flatMap((source) => source.outputs) : null
  }
  return null
}
