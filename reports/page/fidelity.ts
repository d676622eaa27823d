/**
 * How near V1's replay is to production, in the section on trust: what does not do on V1 what production did says little about V2.
 */
import { count, counted, percent } from '../format.js'
import { fidelityShare } from '../gate-trust.js'
import type { ReportModel } from '../model.js'
import { excuseTitle, KIND_TITLES } from '../words.js'
import { captured } from './captured.js'
import { type Child, type Element, h } from './html.js'

export function fidelityBlock({ vouching }: ReportModel): Element {
  const found = vouching?.fidelity ?? null
  return h(
    'section',
    { class: 'fidelity' },
    h('h3', null, 'Fidelity', found === null ? null : h('span', { class: 'sum' }, percent(fidelityShare(found)))),
    found === null
      ? h(
          'p',
          { class: 'quiet' },
          'Nobody compared V1’s replay with production. ',
          h('code', null, 'pgrehearse compare RECORDING BASELINE'),
          ' does, and ',
          h('code', null, 'compare … --fidelity'),
          ' brings it here.',
        )
      : [h('p', null, figure(found)), table(found), beside(found)],
  )
}

type Found = NonNullable<NonNullable<ReportModel['vouching']>['fidelity']>

function figure({ compared, differ }: Found): string {
  if (compared === 0) return 'V1’s replay and production have no statement in common.'
  if (differ === 0) return `V1’s replay answered all ${counted(compared, 'statement')} as production had.`
  return `V1’s replay answered ${count(differ)} of ${counted(compared, 'statement')} otherwise than production had, for no reason that is known.`
}

function table({ causes, more }: Found): Child {
  if (causes.length === 0) return null
  return h(
    'table',
    { class: 'reasons' },
    h('caption', { class: 'visually-hidden' }, 'Where V1’s replay and production differ'),
    h(
      'tbody',
      null,
      causes.map(({ cause, mismatch, subKind, count: of }) =>
        h(
          'tr',
          null,
          h(
            'th',
            { scope: 'row' },
            captured(cause),
            h('small', { class: 'quiet' }, ` ${KIND_TITLES[subKind] ?? KIND_TITLES[mismatch]}`),
          ),
          h('td', { class: 'number' }, count(of)),
        ),
      ),
      more > 0 ? h('tr', null, h('th', { scope: 'row' }, `${counted(more, 'further cause')}`), h('td', null)) : null,
    ),
  )
}

/** What was not held against it is as visible as what was. */
function beside({ excused, uncompared }: Found): Child {
  return [
    reasons('Different for a known reason', excused, excuseTitle, 'No difference had to be excused.'),
    reasons('Not compared', uncompared, (name) => name, null),
  ]
}

function reasons(
  title: string,
  of: Readonly<Record<string, number>>,
  titled: (name: string) => string,
  none: string | null,
): Child {
  const rows = Object.entries(of)
    .filter(([, statements]) => statements > 0)
    .sort((a, b) => b[1] - a[1])
  if (rows.length === 0) return none === null ? null : h('p', { class: 'quiet' }, none)
  return h(
    'table',
    { class: 'reasons' },
    h('caption', { class: 'quiet' }, title),
    h(
      'tbody',
      null,
      rows.map(([reason, statements]) =>
        h(
          'tr',
          null,
          h('th', { scope: 'row' }, captured(titled(reason))),
          h('td', { class: 'number' }, count(statements)),
        ),
      ),
    ),
  )
}
