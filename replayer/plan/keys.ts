/**
 * Keys as comparable text: `5`, `05` and `5::bigint` name the same row. Where we are not sure how a type compares, there is no
 * key, and the operation widens to the whole table.
 */
import type { Catalog } from '../../segment/catalog.js'
import { EVIDENCE_ROWS_MAX, type StatementFacts } from '../../segment/facts.js'
import type { Column } from '../../segment/outcome.js'
import { mapArrayLiteral } from '../../segment/values/array-literal.js'
import type { RowKey, Value } from '../../sql/touch.js'
import type { Table } from './tables.js'

const INTEGERS = new Set([20, 21, 23, 26])
const TEXTS = new Set([19, 25, 1042, 1043])
const [BOOL, UUID, DATE, NUMERIC] = [16, 2950, 1082, 1700]

export class Keys {
  /** Domains compare as their base type; enums by their label. */
  readonly #base = new Map<number, number>()
  readonly #found = new WeakMap<readonly Column[], Map<Table, readonly number[] | null>>()

  constructor(catalog: Catalog) {
    for (const type of catalog.types) {
      if (type.kind === 'domain') this.#base.set(type.oid, type.ofOid)
      if (type.kind === 'enum') this.#base.set(type.oid, 25)
    }
  }

  /** One value in canonical form; null when it cannot be trusted to compare as text. */
  canonical(typeOid: number, text: string): string | null {
    const type = this.#base.get(typeOid) ?? typeOid
    if (INTEGERS.has(type)) {
      const trimmed = text.trim()
      if (/^(0|-?[1-9]\d*)$/.test(trimmed)) return trimmed
      return /^[+-]?\d+$/.test(trimmed) ? BigInt(trimmed).toString() : null
    }
    if (TEXTS.has(type)) return type === 1042 ? text.trimEnd() : text
    if (type === UUID) return text.toLowerCase().replace(/[{}-]/g, '')
    if (type === BOOL) return /^t(rue)?$/i.test(text) ? 't' : /^f(alse)?$/i.test(text) ? 'f' : null
    if (type === DATE) return /^\d{4}-\d\d-\d\d$/.test(text) ? text : null
    if (type === NUMERIC)
      return /^-?\d+(\.\d+)?$/.test(text) ? text.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '') : null
    return null
  }

  /** Every key tuple the values may mean in this execution; null when one of them cannot be known. */
  tuples(table: Table, key: RowKey, parameters: readonly (string | null)[]): string[] | null {
    const columns = table.keyColumns[key.unique]
    if (!columns || key.values.length === 0) return null
    let tuples: string[] = []
    for (let i = 0; i < columns.length; i += 1) {
      const column = columns[i]
      const alternatives = column && this.#alternatives(column.typeOid, key.values[i]!, parameters)
      if (!alternatives || Math.max(1, tuples.length) * alternatives.length > EVIDENCE_ROWS_MAX) return null
      tuples = i === 0 ? alternatives : tuples.flatMap((tuple) => alternatives.map((value) => joined(tuple, value)))
    }
    return tuples
  }

  /** Keys of the rows an execution returned, when its columns hold the table's whole identity; null when they do not. */
  returned(table: Table, facts: StatementFacts): string[] | null {
    const positions = this.#positions(table, facts.columns)
    const rows = positions === null ? null : facts.rows
    if (positions === null || rows === null) return null
    const tuples: string[] = []
    for (const row of rows) {
      let tuple: string | null = null
      for (const position of positions) {
        const cell = row[position] ?? null
        const value = cell === null ? null : this.canonical(facts.columns![position]!.typeOid, cell)
        if (value === null) return null
        tuple = tuple === null ? value : joined(tuple, value)
      }
      tuples.push(tuple ?? '')
    }
    return tuples
  }

  /** Where the identity stands in a result; results of one kind share their columns, so this is worked out once. */
  #positions(table: Table, columns: readonly Column[] | null): readonly number[] | null {
    if (columns === null || table.identity < 0) return null
    let byTable = this.#found.get(columns)
    if (byTable === undefined) {
      byTable = new Map()
      this.#found.set(columns, byTable)
    }
    let positions = byTable.get(table)
    if (positions === undefined) {
      const found = table.relation.uniques[table.identity]!.columns.map((attnum) =>
        columns.findIndex((column) => column.tableOid === table.relation.oid && column.attnum === attnum),
      )
      positions = found.includes(-1) ? null : found
      byTable.set(table, positions)
    }
    return positions
  }

  #alternatives(typeOid: number, values: readonly Value[], parameters: readonly (string | null)[]): string[] | null {
    const found: string[] = []
    for (const value of values) {
      const texts = textsOf(value, parameters)
      if (!texts) return null
      for (const text of texts) {
        if (text === null) continue // NULL equals nothing.
        const canonical = this.canonical(typeOid, text)
        if (canonical === null) return null
        found.push(canonical)
      }
    }
    return found
  }
}

export function textsOf(value: Value, parameters: readonly (string | null)[]): (string | null)[] | null {
  switch (value.kind) {
    case 'constant':
      return [value.text]
    case 'null':
      return [null]
    case 'parameter': {
      const text = parameters[value.number - 1]
      return text === undefined ? null : [text]
    }
    case 'elements':
      return elementsOf(parameters[value.number - 1])
    case 'fresh':
      return null
  }
}

/** Elements of an array literal, whatever its dimensions; NULL equals nothing and is left out. */
function elementsOf(text: string | null | undefined): string[] | null {
  if (text === null) return []
  const elements: string[] = []
  const read = mapArrayLiteral(text ?? '', (element) => {
    elements.push(element)
    return element
  })
  return read === undefined ? null : elements
}

function joined(tuple: string, value: string): string {
  return `${tuple}\u0001${value}`
}
