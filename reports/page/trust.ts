/**
 * Trust: what was not compared, as visible as what was. Ledger, reasons, excuses, order, harness load.
 */
import type { Ledger, Reasons } from '../../segment/ledger.js'
import { imbalance, sum } from '../../segment/ledger.js'
import { count, counted, percent } from '../format.js'
import type { ReportModel, Side } from '../model.js'
import { excuseTitle } from '../words.js'
import { captured } from './captured.js'
import { runConditions } from './conditions.js'
import { fidelityBlock } from './fidelity.js'
import { type Child, type Element, h } from './html.js'

export function trustSection(model: ReportModel): Element {
  const runs = [model.before, model.after, ...(model.noise ? [model.noise] : [])]
  const uncompared = total(model.uncompared)
  const excused = total(model.excused)
  return h(
    'section',
    { id: 'trust', 'aria-labelledby': 'trust-title' },
    h('h2', { id: 'trust-title' }, 'Trust'),
    h('p', { class: 'lead' }, coverage(model, uncompared)),
    model.invalid.length > 0
      ? h(
          'div',
          { class: 'note invalid-note' },
          h('h3', null, 'Why this rehearsal is not valid'),
          h(
            'ul',
            null,
            model.invalid.map((reason) => h('li', null, captured(reason))),
          ),
        )
      : null,
    h(
      'div',
      { class: 'trust-grid' },
      reasonsBlock(
        'Not compared',
        'Statements that one of the runs has no answer for.',
        model.uncompared,
        uncompared,
        model.compared + uncompared,
        'Every statement that ran was compared.',
        (reason) => reason,
      ),
      reasonsBlock(
        'Compared, different, excused',
        'Differences that are no finding of their own, by reason. Each is counted.',
        model.excused,
        excused,
        model.compared,
        'Nothing was excused.',
        excuseTitle,
      ),
      fidelityBlock(model),
    ),
    h('h3', null, 'Ledger'),
    h(
      'p',
      { class: 'quiet' },
      'Given = replayed + filtered + skipped + lost. What does not add up makes the verdict INVALID.',
    ),
    h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Ledger of every run' }, ledgerTable(runs)),
    h('h3', null, 'Conditions'),
    conditions(runs, model),
    runConditions(runs, model),
  )
}

function coverage(model: ReportModel, uncompared: number): string {
  const all = model.compared + uncompared
  if (all === 0) return 'Nothing was compared.'
  const share = percent(model.compared / all)
  return uncompared === 0
    ? `All ${counted(all, 'statement')} that ran were compared.`
    : `${count(model.compared)} of ${counted(all, 'statement')} were compared (${share}); ${count(uncompared)} were not.`
}

function reasonsBlock(
  title: string,
  explanation: string,
  reasons: Readonly<Record<string, number>>,
  all: number,
  of: number,
  none: string,
  titled: (reason: string) => string,
): Element {
  const rows = Object.entries(reasons)
    .filter(([, value]) => value > 0)
    .sort((a, b) => b[1] - a[1])
  return h(
    'section',
    null,
    h('h3', null, title, all > 0 ? h('span', { class: 'sum' }, count(all)) : null),
    rows.length === 0
      ? h('p', { class: 'quiet' }, none)
      : [
          h('p', { class: 'quiet' }, explanation),
          h(
            'table',
            { class: 'reasons' },
            h('caption', { class: 'visually-hidden' }, title),
            h(
              'thead',
              { class: 'visually-hidden' },
              h(
                'tr',
                null,
                ['Reason', 'Statements', 'Share'].map((name) => h('th', { scope: 'col' }, name)),
              ),
            ),
            h(
              'tbody',
              null,
              rows.map(([reason, value]) =>
                h(
                  'tr',
                  null,
                  h('th', { scope: 'row' }, captured(titled(reason))),
                  h('td', { class: 'number' }, count(value)),
                  h('td', { class: 'number quiet' }, of > 0 ? percent(value / of) : ''),
                ),
              ),
            ),
          ),
        ],
  )
}

type LedgerLine = { readonly name: string; readonly indent: boolean; readonly of: (ledger: Ledger) => number }

function ledgerTable(runs: readonly Side[]): Element {
  const reasonLines = (name: string, pick: (ledger: Ledger) => Reasons): LedgerLine[] => {
    const reasons = [...new Set(runs.flatMap((run) => Object.keys(pick(run.ledger))))]
    return [
      { name, indent: false, of: (ledger) => sum(pick(ledger)).statements },
      ...reasons.map((reason) => ({
        name: reason,
        indent: true,
        of: (ledger: Ledger) => pick(ledger)[reason]?.statements ?? 0,
      })),
    ]
  }
  const lines: LedgerLine[] = [
    { name: 'Given', indent: false, of: (ledger) => ledger.seen.statements },
    { name: 'Replayed', indent: false, of: (ledger) => ledger.kept.statements },
    ...reasonLines('Filtered', (ledger) => ledger.filtered),
    ...reasonLines('Skipped', (ledger) => ledger.skipped),
    ...reasonLines('Lost', (ledger) => ledger.lost),
    { name: 'Unaccounted for', indent: false, of: (ledger) => imbalance(ledger).statements },
  ]
  return h(
    'table',
    { class: 'ledger' },
    h('caption', { class: 'visually-hidden' }, 'Ledger of statements by run'),
    h(
      'thead',
      null,
      h(
        'tr',
        null,
        h('th', { scope: 'col' }, 'Statements'),
        runs.map((run) => h('th', { scope: 'col', class: 'number' }, run.label, h('small', null, run.role))),
      ),
    ),
    h(
      'tbody',
      null,
      lines.map((line) =>
        h(
          'tr',
          { class: line.indent ? 'reason' : line.name === 'Unaccounted for' ? 'total' : null },
          h('th', { scope: 'row' }, captured(line.name)),
          runs.map((run) => {
            const value = line.of(run.ledger)
            const bad = line.name === 'Unaccounted for' && value !== 0
            return h('td', { class: `number${value === 0 ? ' zero' : ''}${bad ? ' bad' : ''}` }, count(value))
          }),
        ),
      ),
    ),
  )
}

function conditions(runs: readonly Side[], model: ReportModel): Child {
  const order = runs.map((run) => `${run.label} ${count(run.orderRelaxed)}`).join(', ')
  const load = runs.map((run) => `${run.label} ${percent(run.eventLoopUtilisationMax)}`).join(', ')
  const explained = (id: string) => model.gate.lines.find((line) => line.id === id)?.explanation ?? ''
  const row = (term: string, what: string, note: string) =>
    h(
      'div',
      null,
      h('dt', null, term),
      h('dd', null, h('strong', null, what), h('span', { class: 'quiet' }, captured(note))),
    )
  return h(
    'dl',
    { class: 'conditions' },
    row(
      'Order relaxed',
      order,
      `Statements sent before their turn to end a standstill. ${explained('trust.order_relaxed')}`,
    ),
    row('Harness load', load, `Event-loop utilisation of the busiest worker. ${explained('trust.load')}`),
    row('Lateness', lateness(model), explained('trust.lateness')),
    row(
      'Noise run',
      model.noise ? 'yes' : 'no',
      model.noise
        ? 'V1 was replayed twice, so what differs by itself is known.'
        : 'V1 was replayed once, so what differs by itself may show as a finding.',
    ),
  )
}

function lateness(model: ReportModel): string {
  const line = model.gate.lines.find((one) => one.id === 'trust.lateness')
  return line?.actual === null || line?.actual === undefined ? '—' : `${line.actual.toFixed(0)} ms`
}

function total(reasons: Readonly<Record<string, number>>): number {
  return Object.values(reasons).reduce((all, one) => all + one, 0)
}
