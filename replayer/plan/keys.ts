/**
 * Keys as comparable text: `5`, `05` and `5::bigint` name the same row. Where we are not sure how a type compares, there is no
 * key, and the operation widens to the whole table.
 */
import type { Catalog, Relation } from '../../segment/catalog.js'
import type { Column, Row } from '../../segment/outcome.js'
import { mapArrayLiteral } from '../../segment/values/array-literal.js'
import type { RowKey, Value } from '../../sql/touch.js'

const INTEGERS = new Set([20, 21, 23, 26])
const TEXTS = new Set([19, 25, 1042, 1043])
const [BOOL, UUID, DATE, NUMERIC] = [16, 2950, 1082, 1700]

/** More rows than this in one statement are taken for the whole table. */
const ROWS_MAX = 512

export class Keys {
  /** Domains compare as their base type; enums by their label. */
  readonly #base = new Map<number, number>()

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
  tuples(relation: Relation, key: RowKey, parameters: readonly (string | null)[]): string[] | null {
    const unique = relation.uniques[key.unique]
    if (!unique || key.values.length === 0) return null
    let tuples: string[] = ['']
    for (let i = 0; i < unique.columns.length; i += 1) {
      const column = relation.columns.find((candidate) => candidate.attnum === unique.columns[i])
      const alternatives = column && this.#alternatives(column.typeOid, key.values[i]!, parameters)
      if (!alternatives || tuples.length * alternatives.length > ROWS_MAX) return null
      tuples = tuples.flatMap((tuple) => alternatives.map((value) => joined(tuple, value)))
    }
    return tuples
  }

  /**
   * Keys of the rows an execution returned, when its columns hold the whole key; null when they do not.
   * `attnums` are those of `unique` in the table the columns belong to.
   */
  returned(relation: Relation, unique: number, columns: readonly Column[], rows: readonly Row[]): string[] | null {
    const positions = relation.uniques[unique]?.columns.map((attnum) =>
      columns.findIndex((column) => column.tableOid === relation.oid && column.attnum === attnum),
    )
    if (!positions || positions.includes(-1) || rows.length > ROWS_MAX) return null
    const tuples: string[] = []
    for (const row of rows) {
      let tuple = ''
      for (const position of positions) {
        const cell = row[position] ?? null
        const value = cell === null ? null : this.canonical(columns[position]!.typeOid, cell)
        if (value === null) return null
        tuple = joined(tuple, value)
      }
      tuples.push(tuple)
    }
    return tuples
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
  return tuple === '' ? value : `${tuple}\u0001${value}`
}
