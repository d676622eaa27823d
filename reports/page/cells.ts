/**
 * Rows of both sides as a table: V1 above V2, what changed marked within the cells.
 */
import { count, counted } from '../format.js'
import type { CellView, Mark, RowPair, RowsView } from '../rows.js'
import { captured } from './captured.js'
import { type Child, type Element, h } from './html.js'

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
      { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': 'Rows of V1 and V2 that differ' },
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
  const side = (label: string, cls: string, cells: readonly CellView[]) =>
    h(
      'tr',
      { class: cls },
      h('th', { scope: 'row' }, h('span', { class: `tag ${cls}` }, label)),
      cells.map((cell) => h('td', null, cellView(cell))),
    )
  const absent = (label: string, cls: string) =>
    h(
      'tr',
      { class: `${cls} absent` },
      h('th', { scope: 'row' }, h('span', { class: `tag ${cls}` }, label)),
      h('td', { colspan: Math.max(1, width) }, 'no such row'),
    )
  if (pair.kind === 'moved') {
    const place = (label: string, cls: string, at: number) =>
      h('div', null, h('span', { class: `tag ${cls}` }, label), h('span', { class: 'place' }, ` row ${count(at)}`))
    return [
      h(
        'tr',
        null,
        h('th', { scope: 'row' }, place('V1', 'before', pair.from), place('V2', 'after', pair.to)),
        pair.row.map((cell) => h('td', null, cellView(cell))),
      ),
    ]
  }
  if (pair.kind === 'changed') {
    return [side('V1', 'before', pair.before), side('V2', 'after', pair.after)]
  }
  return pair.kind === 'removed'
    ? [side('V1', 'before', pair.before), absent('V2', 'after')]
    : [absent('V1', 'before'), side('V2', 'after', pair.after)]
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
