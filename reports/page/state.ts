/**
 * Table state: whether V2's tables hold what V1's became, row by row, and what the migration forgot.
 */
import { count, counted, instant } from '../format.js'
import type { ReportModel, ReportState, ReportStateFinding, ReportTable } from '../model.js'
import { stateWords } from '../state.js'
import { captured } from './captured.js'
import { rowsTable } from './cells.js'
import { anchor, type Child, type Element, h } from './html.js'
import { lockWaits } from './locks.js'

const TABLES_OPEN_MAX = 12

export function stateSection(model: ReportModel): Element {
  const { state } = model
  return h(
    'section',
    { id: 'state', 'aria-labelledby': 'state-title' },
    h('h2', { id: 'state-title' }, 'Table state and locks'),
    h('p', { class: 'lead' }, stateWords(state)),
    state
      ? [
          h(
            'p',
            { class: 'quiet' },
            `Compared ${instant(state.checkedAtMs)}.`,
            state.momentsLeftOut ? ' Moments that the replays themselves wrote (now(), defaults) are left out.' : null,
          ),
          findings(state),
          tables(state.tables),
          rest(state),
        ]
      : h(
          'p',
          { class: 'quiet' },
          'A write that was answered rightly and stored wrongly is not seen by this report. ',
          h('code', null, 'pgrehearse verify --diff'),
          ' compares the tables and lays what it finds into the diff.',
        ),
    lockWaits(model),
  )
}

const KINDS: Readonly<Record<ReportStateFinding['kind'], string>> = {
  table_missing: 'Table missing',
  column_missing: 'Column missing',
  rows: 'Rows',
  schema_missing: 'Forgotten',
  schema_changed: 'Changed',
  sequence_behind: 'Sequence behind',
}

function findings({ findings: all, findingsMore }: ReportState): Child {
  if (all.length === 0) return h('p', { class: 'quiet' }, 'The migration has forgotten nothing that was looked at.')
  return [
    all.map(card),
    findingsMore > 0 ? h('p', { class: 'quiet' }, `And ${count(findingsMore)} more in the diff.`) : null,
  ]
}

function card(finding: ReportStateFinding): Element {
  const id = anchor('finding', finding.findingId)
  const head = [
    h(
      'div',
      { class: 'finding-head' },
      h('p', { class: 'kind' }, badges(finding)),
      h('h3', null, captured(finding.sentence)),
    ),
    finding.kind === 'rows'
      ? h(
          'p',
          { class: 'finding-size' },
          h('strong', null, `${counted(finding.count, 'row')}${finding.more ? ' or more' : ''}`),
        )
      : null,
  ]
  const known =
    finding.standing.state === 'known'
      ? h(
          'p',
          { class: 'note' },
          h('strong', null, 'Known difference: '),
          captured(finding.standing.reason),
          ` (until ${finding.standing.until})`,
        )
      : null
  // Only what has something inside opens.
  if (!finding.rows && !known) return h('div', { id, class: `finding flat ${finding.standing.state}` }, head)
  return h(
    'details',
    { id, class: `finding ${finding.standing.state}` },
    h('summary', null, head),
    h('div', { class: 'finding-body' }, known, finding.rows ? rowsTable(finding.rows) : null),
  )
}

function badges({ kind, schemaKind, standing }: ReportStateFinding): Child {
  const note = { fails: null, tolerated: 'within the limit', known: 'known', told: 'no fault' }[standing.state]
  return [
    h('span', { class: `badge ${standing.state === 'fails' ? 'semantic_mismatch' : 'quiet-badge'}` }, KINDS[kind]),
    schemaKind ? h('span', { class: 'sub-kind' }, schemaKind) : null,
    note ? h('span', { class: 'badge quiet-badge' }, note) : null,
  ]
}

function tables(all: readonly ReportTable[]): Child {
  if (all.length === 0) return null
  const heads = ['Rows on V1', 'Rows on V2', 'Missing', 'Extra', 'Changed']
  const number = (value: number, bad = false) =>
    h('td', { class: `number${value === 0 ? ' zero' : ''}${bad && value > 0 ? ' bad' : ''}` }, count(value))
  return h(
    'details',
    { class: 'as-table', open: all.length <= TABLES_OPEN_MAX },
    h('summary', null, `All ${counted(all.length, 'table')}`),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Tables and their rows on both sides' },
      h(
        'table',
        { class: 'ledger' },
        h('caption', { class: 'visually-hidden' }, 'Every compared table'),
        h(
          'thead',
          null,
          h(
            'tr',
            null,
            h('th', { scope: 'col' }, 'Table'),
            heads.map((name) => h('th', { scope: 'col', class: 'number' }, name)),
          ),
        ),
        h(
          'tbody',
          null,
          all.map((table) =>
            h(
              'tr',
              null,
              h('th', { scope: 'row' }, captured(table.table), outcome(table)),
              number(table.rowsBefore),
              table.verdict === 'missing' ? h('td', { class: 'number bad' }, 'no table') : number(table.rowsAfter),
              number(table.missing, true),
              number(table.extra, true),
              number(table.changed, true),
            ),
          ),
        ),
      ),
    ),
  )
}

function outcome({ verdict, more, columnsLeftOut }: ReportTable): Child {
  const words = [
    verdict === 'equal'
      ? 'equal'
      : verdict === 'missing'
        ? 'missing'
        : more
          ? 'differs; more than was looked at'
          : 'differs',
    ...(columnsLeftOut.length > 0 ? [`without ${columnsLeftOut.join(', ')}`] : []),
  ]
  return h('small', { class: verdict === 'equal' ? 'quiet' : 'bad' }, captured(words.join(', ')))
}

function rest({ added, notCompared }: ReportState): Child {
  const said = [
    ...(added > 0 ? [`V2’s schema has ${counted(added, 'thing')} beyond V1’s, which is no fault.`] : []),
    ...(notCompared.length > 0 ? [`Not compared, for want of a counterpart: ${notCompared.join(', ')}.`] : []),
  ]
  return said.length === 0 ? null : h('p', { class: 'quiet' }, captured(said.join(' ')))
}
