/**
 * Why the values of a column differ: each explainer is asked about each pair, and the one that explains most speaks.
 */
import type { Column } from '../../../segment/outcome.js'
import { arrayElements } from '../../../segment/values/array-literal.js'
import { compositeFields } from '../../../segment/values/composite-literal.js'
import { ELEMENT_OF } from '../../../segment/values/oids.js'
import { type Clocks, touchedByOne, zoneShiftUs } from '../clock.js'
import type { CellPair } from '../judgement.js'
import type { ColumnNature } from '../nature.js'
import { momentOf } from '../time.js'
import { type Cause, isNumber, sameOrNothing, type ValueExplainer, type ValueTypes } from './cause.js'
import { MOMENT_EXPLAINERS, shiftInWords } from './moments.js'
import { NUMBER_EXPLAINERS, WEAK_NUMBER_EXPLAINERS } from './numbers.js'
import { type ChangedPlace, changedPlaces, STRUCTURE_EXPLAINERS } from './structures.js'
import { TEXT_EXPLAINERS } from './text.js'

export type ColumnCells = {
  readonly position: number
  readonly nature: ColumnNature
  readonly types: ValueTypes
  readonly pairs: readonly CellPair[]
}

export function columnCells(
  position: number,
  nature: ColumnNature,
  columns: { readonly before: readonly Column[]; readonly after: readonly Column[] },
  cells: readonly CellPair[],
): ColumnCells {
  const types = { before: columns.before[position]?.typeOid ?? 0, after: columns.after[position]?.typeOid ?? 0 }
  return { position, nature, types, pairs: cells.filter(({ column }) => column === position) }
}

const OTHER = [...MOMENT_EXPLAINERS, ...STRUCTURE_EXPLAINERS, ...TEXT_EXPLAINERS, ...NUMBER_EXPLAINERS].map(ofPairs)
const OF_NUMBERS = [...NUMBER_EXPLAINERS, ...TEXT_EXPLAINERS].map(ofPairs)
const WEAK = WEAK_NUMBER_EXPLAINERS.map(ofPairs)

const OF_EXPRESSIONS = new Set([
  'boolean.inverted',
  'value.null',
  'value.null_filled',
  'value.emptied',
  'value.replaced',
  'number.off_by_one',
  'number.multiplied',
  'number.changed',
])

export function explainColumn(column: ColumnCells, clocks: Clocks): Cause {
  const field = fieldOf(column) ?? jsonPathOf(column)
  const ofField = field === null ? null : explainColumn(field, clocks)
  if (ofField !== null && ofField.explainer !== 'unexplained') return ofField
  return explainWhole(column, clocks)
}

function explainWhole(column: ColumnCells, clocks: Clocks): Cause {
  const { nature, pairs } = column
  const explainers = [...always(nature, clocks), ...(isNumber(column.types) ? OF_NUMBERS : OTHER)]
  const found = best([...explainers, ...contextual(nature), ...WEAK], column)
  // Less than half explained is a coincidence.
  const known = found !== null && found.count * 2 >= pairs.length ? found : best([replaced], column)
  if (known === null || known.count < pairs.length / 2) {
    const elements = elementsOf(column)
    const cause = elements === null ? null : explainColumn(elements, clocks)
    return cause === null || cause.explainer === 'unexplained' ? unexplained(column) : cause
  }
  const { explainer } = known
  // What a computed column shows is said of the column it is made of only where it can be said of that one.
  const name = nature.table === '' && OF_EXPRESSIONS.has(explainer.name) ? nature.label : nature.subject
  return {
    explainer: explainer.name,
    subject: name,
    detail: known.detail,
    columns: [column.position],
    sentence: (detail) => `${name} ${explainer.says(detail)}`,
    merge: explainer.merge ?? sameOrNothing,
  }
}

const NUMERIC_OID = 1700

/** A type that nobody named is compared as text. */
const ANY_TYPE: ValueTypes = { before: 0, after: 0 }

/** Always the same field of a composite differs. */
function fieldOf(column: ColumnCells): ColumnCells | null {
  const { nature, pairs } = column
  const all = pairs.map((pair) => {
    const fields = [pair.before, pair.after].map((text) => (text === null ? undefined : compositeFields(text)))
    const [before, after] = fields
    if (before === undefined || after === undefined || before.length !== after.length) return null
    const differing = before.flatMap((field, at) => (field === after[at] ? [] : [at]))
    return differing.length === 1 ? { pair, at: differing[0]!, before, after } : null
  })
  const at = all[0]?.at
  if (at === undefined || all.some((one) => one?.at !== at)) return null
  const name = `${nature.subject}.${nature.fields[at] ?? `field ${at + 1}`}`
  return {
    position: column.position,
    types: ANY_TYPE,
    nature: { ...nature, label: name, subject: name, references: '', hasDefault: false, fields: [] },
    pairs: all.map((one) => ({ ...one!.pair, before: one!.before[at] ?? null, after: one!.after[at] ?? null })),
  }
}

/** One place of a JSON document differs, always the same; places within arrays count as one. */
function jsonPathOf(column: ColumnCells): ColumnCells | null {
  const { nature, pairs } = column
  const found: { readonly pair: CellPair; readonly place: ChangedPlace }[] = []
  for (const pair of pairs) {
    const places = pair.before === null || pair.after === null ? null : changedPlaces(pair.before, pair.after)
    if (places === null || places.length === 0) return null
    for (const place of places) found.push({ pair, place })
  }
  const [first] = found
  if (first === undefined || found.some(({ place }) => place.path !== first.place.path)) return null
  const name = `${nature.subject} -> ${first.place.path}`
  const numbers = found.every(({ place }) => place.numbers)
  const type = numbers ? NUMERIC_OID : 0
  return {
    position: column.position,
    types: { before: type, after: type },
    nature: { ...nature, label: name, subject: name, references: '', hasDefault: false, fields: [] },
    pairs: found.map(({ pair, place }) => ({ ...pair, before: place.before, after: place.after })),
  }
}

/** Elements differ, of arrays that are as long as they were. */
function elementsOf(column: ColumnCells): ColumnCells | null {
  const { nature, pairs } = column
  const found: CellPair[] = []
  for (const pair of pairs) {
    const before = pair.before === null ? undefined : arrayElements(pair.before)
    const after = pair.after === null ? undefined : arrayElements(pair.after)
    if (before === undefined || after === undefined || before.length !== after.length) return null
    for (const [at, element] of before.entries())
      if (element !== after[at]) found.push({ ...pair, before: element, after: after[at] ?? null })
  }
  if (found.length === 0) return null
  const types = { before: ELEMENT_OF.get(column.types.before) ?? 0, after: ELEMENT_OF.get(column.types.after) ?? 0 }
  const name = `each element of ${nature.subject} that differs`
  const inner = { ...nature, label: name, subject: name, references: '', hasDefault: false, fields: [] }
  return { position: column.position, types, nature: inner, pairs: found }
}

export function unexplained({ nature, position }: Pick<ColumnCells, 'nature' | 'position'>): Cause {
  return {
    explainer: 'unexplained',
    subject: nature.subject,
    detail: '',
    columns: [position],
    sentence: () => `${nature.subject} differs${nature.view === '' ? '' : ` in what ${nature.view} shows`}`,
    merge: sameOrNothing,
  }
}

/** Like a ValueExplainer, but it sees NULL too. */
type PairExplainer = Omit<ValueExplainer, 'match'> & {
  readonly match: (before: string | null, after: string | null, types: ValueTypes) => string | null
}

function ofPairs(explainer: ValueExplainer): PairExplainer {
  const { match } = explainer
  return {
    ...explainer,
    match: (before, after, types) => (before === null || after === null ? null : match(before, after, types)),
  }
}

function best(explainers: readonly PairExplainer[], { pairs, types }: ColumnCells) {
  let winner: { explainer: PairExplainer; count: number; detail: string | null } | null = null
  for (const explainer of explainers) {
    const details = pairs.flatMap(({ before, after }) => explainer.match(before, after, types) ?? [])
    if (details.length <= (winner?.count ?? 0)) continue
    const merge = explainer.merge ?? sameOrNothing
    const detail = details.reduce<string | null>((a, b) => (a === null ? null : merge(a, b)), details[0] ?? null)
    winner = { explainer, count: details.length, detail }
  }
  return winner
}

/** Explainers that see NULL, or the clocks of the two runs. */
function always({ hasDefault }: ColumnNature, clocks: Clocks): readonly PairExplainer[] {
  return [
    {
      name: 'value.null',
      match: (before, after) => (before !== null && after === null ? '' : null),
      says: () => `is NULL where it had a value${hasDefault ? ' (a lost default?)' : ''}`,
    },
    {
      name: 'value.null_filled',
      match: (before, after) => (before === null && after !== null ? after.slice(0, 40) : null),
      says: (value) =>
        value === null
          ? 'has a value where it was NULL'
          : value === ''
            ? 'is empty where it was NULL'
            : `is ${value} where it was NULL`,
    },
    {
      name: 'moment.zone',
      match: (before, after) => {
        const a = before === null ? null : momentOf(before)
        const b = after === null ? null : momentOf(after)
        const shift = a === null || b === null || a.day || b.day ? 0 : zoneShiftUs(a, b, clocks)
        return shift === 0 ? null : shiftInWords(shift)
      },
      says: (shift) => (shift === null ? 'is off by whole hours (time zone)' : `is exactly ${shift} (time zone)`),
    },
    {
      name: 'moment.untouched',
      match: (before, after) => {
        const a = before === null ? null : momentOf(before)
        const b = after === null ? null : momentOf(after)
        return a === null || b === null ? null : touchedByOne(a, b, clocks)
      },
      says: (by) =>
        by === null
          ? 'is set by the change on one side only'
          : by === 'before'
            ? 'is an old moment where the change had set it to the present (a lost trigger?)'
            : 'is set to the present by the change where it was an old moment',
    },
  ]
}

const WORD = /^[a-z_][a-z _-]{1,24}$/i

/** A word that became another, each time: a label of an enum, a state. */
const replaced: PairExplainer = {
  name: 'value.replaced',
  match: (before, after) =>
    before !== null && after !== null && WORD.test(before) && WORD.test(after)
      ? `${after} where it was ${before}`
      : null,
  says: (detail) => (detail === null ? 'differs' : `is ${detail}`),
}

/** Two fields of a composite hold each other's value. */
function fieldsSwapped(fields: readonly string[]): PairExplainer {
  return {
    name: 'fields.swapped',
    match: (before, after) => {
      const [was, is] = [before, after].map((text) => (text === null ? undefined : compositeFields(text)))
      if (was === undefined || is === undefined || was.length !== is.length) return null
      const differing = was.flatMap((field, at) => (field === is[at] ? [] : [at]))
      const [a, b] = differing
      if (differing.length !== 2 || was[a!] !== is[b!] || was[b!] !== is[a!]) return null
      return differing.map((at) => fields[at] ?? `field ${at + 1}`).join(' and ')
    },
    says: (names) => (names === null ? 'has fields of it swapped' : `has its ${names} swapped`),
  }
}

function contextual({ references, fields }: ColumnNature): readonly PairExplainer[] {
  return references === ''
    ? [fieldsSwapped(fields)]
    : [
        {
          name: 'reference.other',
          match: (before, after) => (before !== null && after !== null ? '' : null),
          says: () => `points at another row of ${references}`,
        },
      ]
}
