/**
 * One discrepancy in full: statement, parameters, what each side answered, and the command that shows it by hand.
 * Used for the examples on the page and for those it unpacks later.
 */
import { clock, count, counted, milliseconds } from '../format.js'
import type { Example } from '../model.js'
import type { CellView, Mark, RowPair, RowsView } from '../rows.js'
import { captured, sqlBlock, value } from './captured.js'
import { type Child, type Element, h } from './html.js'

export function exampleBody(example: Example, diffPath: string): Element[] {
  return [
    sqlBlock(example.sql),
    ...(example.parameters.length > 0 ? [parameters(example)] : []),
    ...(example.errorBefore || example.errorAfter ? [errors(example)] : []),
    ...(example.rows ? [rowsTable(example.rows)] : []),
    h(
      'div',
      { class: 'example-foot' },
      h('code', { class: 'command' }, reproduceCommand(diffPath, example.alertId)),
      h('button', { type: 'button', class: 'copy' }, 'Copy'),
    ),
  ]
}

/** `at 0:42, V1 1.20 ms, V2 1.35 ms, trace 17/204`. */
export function exampleFacts(example: Example): Child {
  return [
    h('span', null, `at ${clock(example.offsetMs)}`),
    h('span', null, `V1 ${milliseconds(example.latencyMsBefore)}`),
    h('span', null, `V2 ${milliseconds(example.latencyMsAfter)}`),
    h('span', null, 'trace ', h('bdi', null, captured(example.traceId))),
  ]
}

export function reproduceCommand(diffPath: string, alertId: string): string {
  return `pgrehearse reproduce ${shellQuoted(diffPath)} ${shellQuoted(alertId)}`
}

function shellQuoted(text: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

function parameters(example: Example): Element {
  return h(
    'dl',
    { class: 'parameters' },
    example.parameters.map((parameter, i) => h('div', null, h('dt', null, `$${i + 1}`), h('dd', null, value(parameter)))),
    example.parametersMore > 0
      ? h('div', null, h('dt', null, '…'), h('dd', null, `${count(example.parametersMore)} more`))
      : null,
  )
}

function errors(example: Example): Element {
  const side = (label: string, cls: string, error: Example['errorBefore']) =>
    h(
      'div',
      { class: `answer ${error ? 'refused' : 'answered'}` },
      h('h5', null, h('span', { class: `tag ${cls}` }, label), error ? ' refused' : ' answered'),
      error
        ? h('p', null, h('code', { class: 'sqlstate' }, captured(error.sqlstate)), ' ', h('bdi', null, captured(error.message)))
        : h('p', { class: 'quiet' }, 'No error.'),
    )
  return h(
    'div',
    { class: 'answers' },
    side('V1', 'before', example.errorBefore),
    side('V2', 'after', example.errorAfter),
  )
}

export function rowsTable(rows: RowsView): Element {
  const changed = new Set(rows.changed)
  const rest = [
    ...(rows.more > 0 ? [`${counted(rows.more, 'further row')} differ${rows.more === 1 ? 's' : ''}`] : []),
    ...(rows.equal > 0 ? [`${counted(rows.equal, 'row')} of these ${rows.equal === 1 ? 'is' : 'are'} equal`] : []),
  ]
  return h(
    'div',
    { class: 'rows' },
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Rows of V1 and V2 that differ' },
      h(
        'table',
        null,
        h(
          'thead',
          null,
          h(
            'tr',
            null,
            h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Side')),
            rows.columns.map((column, i) =>
              h('th', { scope: 'col', class: changed.has(i) ? 'changed' : null }, captured(column)),
            ),
          ),
        ),
        rows.pairs.map((pair) => h('tbody', { class: pair.kind }, pairRows(pair, rows.columns.length))),
      ),
    ),
    rest.length > 0 ? h('p', { class: 'quiet' }, `${rest.join('; ')}.`) : null,
  )
}

function pairRows(pair: RowPair, width: number): Element[] {
  const side = (label: string, cls: string, what: string, cells: readonly CellView[]) =>
    h(
      'tr',
      { class: cls },
      h('th', { scope: 'row' }, h('span', { class: `tag ${cls}` }, label), h('span', { class: 'what' }, what)),
      cells.map((cell) => h('td', null, cellView(cell))),
    )
  const absent = (label: string, cls: string) =>
    h(
      'tr',
      { class: `${cls} absent` },
      h('th', { scope: 'row' }, h('span', { class: `tag ${cls}` }, label)),
      h('td', { colspan: Math.max(1, width) }, 'no such row'),
    )
  if (pair.kind === 'changed') {
    return [side('V1', 'before', '', pair.before), side('V2', 'after', '', pair.after)]
  }
  return pair.kind === 'removed'
    ? [side('V1', 'before', '', pair.before), absent('V2', 'after')]
    : [absent('V1', 'before'), side('V2', 'after', '', pair.after)]
}

export function cellView(cell: CellView): Child {
  if (cell === null) return h('span', { class: 'null' }, 'NULL')
  if (cell.length === 0) return h('span', { class: 'null' }, 'empty')
  return h('bdi', null, cell.map(markView))
}

function markView([kind, text]: Mark): Child {
  if (kind === '~') return h('span', { class: 'left-out' }, `… ${count(Number(text))} characters …`)
  if (kind === '=') return captured(text)
  return h(kind === '-' ? 'del' : 'ins', null, captured(text))
}
