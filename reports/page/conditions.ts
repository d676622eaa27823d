/**
 * Under which conditions the runs were made: settings, what made statements late, what the replay ended as production had, ways out of
 * the shadow that were shut, and how captured values are protected.
 */
import type { RunConditions } from '../../segment/diff.js'
import type { AuditSummary } from '../../segment/vouching.js'
import { count, counted, milliseconds } from '../format.js'
import type { ReportModel, Side } from '../model.js'
import { captured } from './captured.js'
import { type Child, type Element, h } from './html.js'

const DOORS_SHOWN_MAX = 40
const INCIDENTS_SHOWN_MAX = 10

type Measured = Side & { readonly conditions: RunConditions }

export function runConditions(runs: readonly Side[], model: ReportModel): Child {
  const measured = runs.filter((run): run is Measured => run.conditions !== undefined)
  return [
    measured.length === 0 ? null : [h('h3', null, 'How the runs were made'), table(measured), bottlenecks(measured)],
    h('h3', null, 'Isolation and privacy'),
    isolation(measured),
    privacy(model),
    incidents(measured),
  ]
}

function table(runs: readonly Measured[]): Element {
  const settings = ({ settings: { speed, order, workers, readOnly } }: RunConditions) =>
    `speed ${speed}, order ${order}, ${counted(workers, 'worker')}${readOnly ? ', read-only' : ''}`
  const late = (pick: 'order' | 'connection' | 'server' | 'worker') => (one: RunConditions) =>
    one.latenessUs === undefined ? '—' : milliseconds(one.latenessUs[pick] / 1000)
  const rows: [string, (one: RunConditions) => string][] = [
    ['Replayed with', settings],
    ['Part of the recording', (one) => one.settings.filter?.join(' ') ?? 'all of it'],
    [
      'Left out: the snapshot has it',
      (one) => (one.contained === undefined ? '—' : counted(one.contained, 'transaction')),
    ],
    ['Late, all together: waiting for the plan’s order', late('order')],
    ['Late: waiting for the server’s last answer', late('server')],
    ['Late: waiting for a connection', late('connection')],
    ['Late: the harness itself', late('worker')],
    ['Ended as production had: deadlocks, serialization failures', (one) => count(one.reenacted ?? 0)],
    ['Cancel requests sent', (one) => count(one.cancelRequests ?? 0)],
  ]
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'How the runs were made' },
    h(
      'table',
      { class: 'ledger' },
      h('caption', { class: 'visually-hidden' }, 'Settings and lateness by run'),
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'What')),
          runs.map((run) =>
            h('th', { scope: 'col', class: 'number' }, run.label, h('small', null, captured(run.role))),
          ),
        ),
      ),
      h(
        'tbody',
        null,
        rows.map(([name, of]) =>
          h(
            'tr',
            null,
            h('th', { scope: 'row' }, name),
            runs.map((run) => h('td', { class: 'number' }, captured(of(run.conditions)))),
          ),
        ),
      ),
    ),
  )
}

function bottlenecks(runs: readonly Measured[]): Child {
  return runs
    .filter(({ conditions }) => conditions.bottleneck !== undefined)
    .map(({ label, conditions }) =>
      h(
        'p',
        { class: 'note' },
        h('strong', null, `${label}: the harness was the bottleneck. `),
        captured(conditions.bottleneck ?? ''),
      ),
    )
}

function isolation(runs: readonly Measured[]): Child {
  const known = runs.filter(({ conditions }) => conditions.isolation !== undefined)
  if (known.length === 0) return h('p', { class: 'quiet' }, 'Nothing is known about ways out of the shadows.')
  return known.map(({ label, conditions: { isolation: found } }) => {
    const doors = found?.doors ?? []
    const open = doors.filter(({ state }) => state === 'left open')
    const knocked = doors.filter(({ calls }) => calls !== null && calls > 0)
    const limits = Object.entries(found?.limits ?? {})
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
    const shut = doors.length - open.length
    return [
      h(
        'p',
        null,
        h('strong', null, `${label}: `),
        doors.length === 0
          ? 'no way out of the shadow was found. '
          : `${counted(shut, 'way')} out of the shadow shut. `,
        open.length > 0 ? h('strong', { class: 'bad' }, `${counted(open.length, 'way')} left open on request. `) : null,
        limits === '' ? null : h('span', { class: 'quiet' }, captured(`Limits of its sessions: ${limits}.`)),
      ),
      doors.length === 0
        ? null
        : h(
            'ul',
            { class: 'quiet' },
            [...open, ...knocked]
              .slice(0, DOORS_SHOWN_MAX)
              .map(({ kind, name, state, calls }) =>
                h(
                  'li',
                  null,
                  captured(`${kind} ${name}: ${state}`),
                  calls === null || calls === 0 ? null : `, ${counted(calls, 'call')} answered by it`,
                ),
              ),
          ),
    ]
  })
}

function privacy({ privacy: facts, vouching }: ReportModel): Child {
  return [masking(facts), audited(vouching?.audit ?? null)]
}

const HITS_SHOWN_MAX = 20

/** What was looked at, for what, and what was found: never a value. */
function audited(audit: AuditSummary | null): Child {
  if (audit === null) {
    return h(
      'p',
      { class: 'quiet' },
      'Nobody looked for leaks; ',
      h('code', null, 'pgrehearse policy audit … --diff'),
      ' does.',
    )
  }
  const { count: found, hits, files, characters, paths, sampledValues, lookalikes } = audit
  const alike = Object.entries(lookalikes).map(([what, of]) => `${count(of)} × ${what}`)
  const looked = `${counted(files, 'file')} (${count(Math.round(characters / 1e6))} MB of text) were searched for personal values${
    sampledValues > 0 ? `, ${count(sampledValues)} of them known from a live database` : ' by their form'
  }: `
  const words = [
    h('strong', null, 'Leaks: '),
    looked,
    found === 0 ? 'none found. ' : h('strong', { class: 'bad' }, `${counted(found, 'personal value')} found. `),
    h(
      'span',
      { class: 'quiet' },
      'In ',
      paths.map((path, i) => [i > 0 ? ', ' : '', h('code', null, captured(path))]),
      alike.length > 0 ? captured(`. Only alike, as tokens are: ${alike.join(', ')}.`) : '.',
    ),
  ]
  if (hits.length === 0) return h('p', { class: found > 0 ? 'note' : null }, words)
  const more = found - Math.min(hits.length, HITS_SHOWN_MAX)
  return h(
    'div',
    { class: 'note' },
    h('p', null, words),
    h(
      'ul',
      { class: 'hits' },
      hits
        .slice(0, HITS_SHOWN_MAX)
        .map(({ file, place, what, excerpt }) => h('li', null, captured(`${file}, ${place}: ${what} ${excerpt}`))),
      more > 0 ? h('li', null, `and ${count(more)} more`) : null,
    ),
  )
}

function masking(facts: ReportModel['privacy']): Element {
  return h(
    'p',
    null,
    h('strong', null, 'Privacy: '),
    facts
      ? [
          'values on this page are those of the recording, masked under policy ',
          h('code', null, captured(facts.policyHash.slice(0, 12))),
          ' with key ',
          h('code', null, captured(facts.keyFingerprint.slice(0, 12))),
          '. ',
        ]
      : 'values on this page are those of the recording. ',
  )
}

function incidents(runs: readonly Measured[]): Child {
  const all = runs.flatMap(({ label, conditions }) =>
    (conditions.incidents ?? []).map(({ kind, detail }) => `${label}, ${kind}: ${detail}`),
  )
  if (all.length === 0) return null
  const more = all.length - INCIDENTS_SHOWN_MAX
  return [
    h('h3', null, 'Incidents of the replays'),
    h(
      'ul',
      null,
      all.slice(0, INCIDENTS_SHOWN_MAX).map((text) => h('li', null, captured(text))),
    ),
    more > 0 ? h('p', { class: 'quiet' }, `And ${count(more)} more in the runs.`) : null,
  ]
}
