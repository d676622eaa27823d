/**
 * One discrepancy as a line: when, what differs in as few words as can be, with which parameters.
 */
import { clock, milliseconds } from '../format.js'
import type { Example } from '../model.js'
import { captured, sqlLine, value } from './captured.js'
import { cellView } from './cells.js'
import { type Child, type Element, h } from './html.js'

/** `follows`: it probably only follows from what its finding is about. */
export function exampleLine(example: Example, follows = false): Element {
  return h(
    'span',
    { class: 'item' },
    h('span', { class: 'item-at' }, clock(example.offsetMs)),
    h('span', { class: 'item-what' }, follows ? h('span', { class: 'item-follows' }, 'follows') : null, gist(example)),
    h(
      'span',
      { class: 'item-with' },
      example.parameters.length > 0 ? parameterLine(example) : sqlLine(example.sql, 80),
    ),
  )
}

/** What differs, as short as it can be said: an error, one cell, or how many rows. */
function gist(example: Example): Child {
  const { errorBefore, errorAfter, rows } = example
  if (errorAfter) return ['V2 refused: ', h('code', null, captured(errorAfter.sqlstate))]
  if (errorBefore) return ['V1 refused (', h('code', null, captured(errorBefore.sqlstate)), '), V2 accepted']
  const pair = rows?.pairs[0]
  if (!rows || !pair) return `${milliseconds(example.latencyMsBefore)} → ${milliseconds(example.latencyMsAfter)}`
  if (pair.kind === 'removed') return 'row missing in V2'
  if (pair.kind === 'added') return 'row only in V2'
  if (pair.kind === 'moved') return `row ${pair.from} of V1 is row ${pair.to} of V2`
  const at = rows.changed[0] ?? 0
  return [
    h('code', null, captured(rows.columns[at] ?? '')),
    ' ',
    cellView(pair.before[at] ?? null),
    ' → ',
    cellView(pair.after[at] ?? null),
  ]
}

const PARAMETERS_IN_LINE = 3
const CHARACTERS_IN_LINE = 32

function parameterLine(example: Example): Element {
  const shown = example.parameters.slice(0, PARAMETERS_IN_LINE)
  const short = (text: string | null) =>
    text !== null && text.length > CHARACTERS_IN_LINE ? `${text.slice(0, CHARACTERS_IN_LINE)}…` : text
  return h(
    'span',
    null,
    shown.map((parameter, i) => [i > 0 ? ', ' : '', `$${i + 1} `, value(short(parameter))]),
    example.parameters.length > shown.length ? ', …' : '',
  )
}
