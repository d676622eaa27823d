/**
 * The first screen: the verdict, why, what was compared, and every line of the gate with its limit and its value.
 */
import { clock, count, duration, instant, milliseconds, percent, ratio } from '../format.js'
import type { GateLine } from '../gate.js'
import type { ReportModel, Side } from '../model.js'
import { needsExplaining, quantity } from '../quantity.js'
import { captured } from './captured.js'
import { anchor, type Child, type Element, h } from './html.js'

export function verdictSection(model: ReportModel): Element {
  const tone = model.verdict.toLowerCase()
  return h(
    'section',
    { id: 'verdict', class: `verdict ${tone}`, 'aria-labelledby': 'verdict-title' },
    h(
      'h1',
      { id: 'verdict-title' },
      h('span', { class: 'stamp' }, model.verdict),
      h('span', { class: 'headline' }, captured(model.headline)),
    ),
    h(
      'ul',
      { class: 'why' },
      model.why.map((sentence) => h('li', null, captured(sentence))),
    ),
    figures(model),
    h(
      'div',
      { class: 'verdict-body' },
      h('section', { class: 'gate', 'aria-labelledby': 'gate-title' }, gate(model)),
      h('section', { class: 'subject', 'aria-labelledby': 'subject-title' }, compared(model)),
    ),
  )
}

function figures(model: ReportModel): Element {
  const found = model.findings.filter((finding) => finding.mismatch !== 'LATENCY_SPIKE')
  // A statement that differs in two ways is in two findings.
  const differ = Math.min(
    model.discrepancies,
    found.reduce((sum, finding) => sum + finding.count, 0),
  )
  const uncompared = total(model.uncompared)
  const p95 = model.latency.overall?.p95
  const figure = (label: string, value: string, note: string) =>
    h('div', null, h('dt', null, label), h('dd', null, h('strong', null, value), h('span', null, note)))
  return h(
    'dl',
    { class: 'figures' },
    figure('Statements compared', count(model.compared), `in ${duration(model.after.elapsedMs)} of replay`),
    figure(
      'Answered differently',
      count(differ),
      model.compared > 0 ? percent(Math.min(1, differ / model.compared)) : '—',
    ),
    figure(
      'Latency, p95',
      p95 ? ratio(p95.ratio) : '—',
      p95 ? `${milliseconds(p95.beforeMs)} → ${milliseconds(p95.afterMs)}` : 'not measured',
    ),
    figure('Not compared', count(uncompared), uncompared > 0 ? 'reasons under Trust' : 'nothing left out'),
  )
}

function compared(model: ReportModel): Child {
  const run = (side: Side) => [
    h('strong', null, captured(side.target)),
    h('br'),
    h(
      'span',
      { class: 'quiet' },
      `${side.role} run${side.startedAtMs === undefined ? '' : ` of ${instant(side.startedAtMs)}`}, ${count(side.statements)} statements in ${duration(side.elapsedMs)}, ${count(side.errors)} answered with an error`,
    ),
  ]
  const rows: [Child, Child][] = [
    [h('span', { class: 'tag before' }, 'V1'), run(model.before)],
    [h('span', { class: 'tag after' }, 'V2'), run(model.after)],
    ...(model.noise ? [['Noise', run(model.noise)] as [Child, Child]] : []),
    [
      'Recording',
      [
        h('code', null, captured(model.recording.path)),
        h('br'),
        h('span', { class: 'quiet' }, instant(model.recording.recordedAtMs)),
      ],
    ],
    ['Snapshot', snapshot(model)],
    ['Compared', [instant(model.comparedAtMs), h('br'), h('span', { class: 'quiet' }, captured(model.madeBy))]],
    ['Diff', h('code', null, captured(model.diffPath))],
  ]
  return [
    h('h2', { id: 'subject-title' }, 'What was compared'),
    h(
      'dl',
      { class: 'subject-list' },
      rows.map(([term, detail]) => h('div', null, h('dt', null, term), h('dd', null, detail))),
    ),
  ]
}

/** What the replays began from: production's, where a run is production's own. */
function snapshot({ before, after, noise }: ReportModel): Child {
  const known = [before, after, ...(noise ? [noise] : [])].flatMap(({ snapshot: one }) => (one ? [one] : []))
  const [first] = known
  if (first === undefined) return h('span', { class: 'quiet' }, 'not known')
  // Runs of different snapshots are an objection of their own; each is named then.
  const ids = [...new Set(known.map(({ id }) => id))]
  return [
    ids.map((id, i) => [i > 0 ? ', ' : '', h('code', null, captured(id.slice(0, 13)))]),
    h('br'),
    h('span', { class: 'quiet' }, takenWords(first)),
  ]
}

function takenWords({ taken, atMs = 0 }: NonNullable<Side['snapshot']>): string {
  if (taken === 'within') return `taken ${clock(atMs)} into the recording`
  return taken === 'before' ? 'taken before the recording' : 'taken at a moment that the recording does not know'
}

function gate(model: ReportModel): Child {
  const { lines } = model.gate
  const failing = lines.filter((line) => line.outcome === 'fail').length
  const unjudged = lines.filter((line) => line.outcome === 'not judged').length
  const groups = model.verdict === 'INVALID' ? GROUPS.toReversed() : GROUPS
  return [
    h('h2', { id: 'gate-title' }, 'The gate'),
    h(
      'p',
      { class: 'quiet' },
      failing > 0 ? `${failing} of ${lines.length} checks fail.` : `All ${lines.length - unjudged} checks hold.`,
      unjudged > 0 ? ` ${unjudged} ${unjudged === 1 ? 'was' : 'were'} not judged.` : '',
    ),
    h(
      'table',
      { class: 'gate-table' },
      h('caption', { class: 'visually-hidden' }, 'Every check of the gate with its limit and the measured value'),
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Outcome')),
          h('th', { scope: 'col' }, 'Check'),
          h('th', { scope: 'col', class: 'number' }, 'Allowed'),
          h('th', { scope: 'col', class: 'number' }, 'Actual'),
        ),
      ),
      groups.map(([group, title]) =>
        groupBody(
          title,
          lines.filter((line) => line.group === group),
        ),
      ),
    ),
    overrides(model),
  ]
}

const GROUPS = [
  ['differences', 'Differences'],
  ['state', 'Table state'],
  ['latency', 'Latency'],
  ['history', 'Over several rehearsals'],
  ['trust', 'Trust in the measurement'],
] as const

const OUTCOME_RANK = { fail: 0, pass: 1, 'not judged': 2 } as const

function groupBody(title: string, lines: readonly GateLine[]): Child {
  if (lines.length === 0) return null
  const sorted = [...lines].sort((a, b) => OUTCOME_RANK[a.outcome] - OUTCOME_RANK[b.outcome])
  return h(
    'tbody',
    null,
    h('tr', { class: 'group' }, h('th', { colspan: 4, scope: 'rowgroup' }, title)),
    sorted.map(gateRow),
  )
}

function gateRow(line: GateLine): Element {
  const spoken = line.outcome === 'fail' ? 'Fail' : line.outcome === 'pass' ? 'Pass' : 'Not judged'
  // Counts explain themselves; a ratio or a failing measurement does not.
  const explained =
    needsExplaining(line) &&
    (line.group === 'history' || line.group === 'state' || (line.unit !== 'count' && line.group !== 'differences'))
  const vouching = line.outcome === 'fail' && line.group === 'trust'
  return h(
    'tr',
    { class: `outcome-${line.outcome.replace(' ', '-')}` },
    h('td', { class: 'outcome' }, spoken),
    h(
      'th',
      { scope: 'row' },
      h('span', { class: 'check' }, line.title),
      explained || vouching ? h('span', { class: 'explanation' }, captured(line.explanation), blame(line)) : null,
    ),
    h('td', { class: 'number' }, `${line.bound === 'max' ? '≤' : '≥'} ${quantity(line.threshold, line.unit)}`),
    h('td', { class: 'number actual' }, line.actual === null ? '—' : quantity(line.actual, line.unit)),
  )
}

const BLAMED_MAX = 4

/** Links from a failing line to the query shapes that made it fail. */
function blame(line: GateLine): Child {
  if (line.group !== 'latency' || line.fingerprints.length === 0) return null
  const shown = line.fingerprints.slice(0, BLAMED_MAX)
  return [
    ' ',
    shown.map((fingerprint, i) => [
      i > 0 ? ', ' : '',
      h('a', { href: `#${anchor('query', fingerprint)}` }, captured(fingerprint.slice(0, 8))),
    ]),
    line.fingerprints.length > BLAMED_MAX ? ` and ${line.fingerprints.length - BLAMED_MAX} more` : '',
  ]
}

function overrides(model: ReportModel): Child {
  const ofState = model.gate.stateOverrides ?? []
  if (model.gate.overrides.length + ofState.length === 0) return null
  const state = { applied: 'in force until', unused: 'not needed; until', expired: 'expired on' } as const
  return [
    h('h3', null, 'Known differences'),
    h(
      'ul',
      { class: 'overrides' },
      model.gate.overrides.map((one) =>
        h(
          'li',
          { class: one.state },
          h('a', { href: `#${anchor('query', one.query)}` }, one.query.slice(0, 8)),
          ' ',
          captured(one.reason),
          h('span', { class: 'quiet' }, ` ${state[one.state]} ${one.until}`),
        ),
      ),
      ofState.map((one) =>
        h(
          'li',
          { class: one.state },
          h('code', null, captured(one.object)),
          ' ',
          captured(one.reason),
          h('span', { class: 'quiet' }, ` ${state[one.state]} ${one.until}`),
        ),
      ),
    ),
  ]
}

function total(reasons: Readonly<Record<string, number>>): number {
  return Object.values(reasons).reduce((sum, one) => sum + one, 0)
}
