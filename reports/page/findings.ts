/**
 * Findings, worst first: the cause in a sentence, how much traffic it touches, its course over the replay, examples.
 */
import { clock, count, counted, percent } from '../format.js'
import type { ReportFinding, ReportModel } from '../model.js'
import { followWords, ownCount } from '../size.js'
import { KIND_TITLES } from '../words.js'
import { captured } from './captured.js'
import { sparkline } from './charts.js'
import { exampleBody, exampleFacts, exampleUnfolded } from './example.js'
import { exampleLine } from './gist.js'
import { anchor, type Child, type Element, h } from './html.js'

/** How many discrepancies of a finding the page carries, compressed. */
export type Carried = (findingId: string) => number

export function findingsSection(model: ReportModel, carried: Carried): Element {
  return h(
    'section',
    { id: 'findings', 'aria-labelledby': 'findings-title' },
    h('h2', { id: 'findings-title' }, 'Findings'),
    model.findings.length === 0
      ? h('p', { class: 'lead' }, 'None. What differed without being a finding is listed by reason under Trust.')
      : h(
          'p',
          { class: 'lead' },
          `${counted(model.findings.length, 'cause')} behind ${counted(model.discrepancies, 'differing statement')}, worst first.`,
        ),
    model.findings.map((finding, i) => findingCard(finding, i === 0, model, carried(finding.findingId))),
  )
}

function findingCard(finding: ReportFinding, open: boolean, model: ReportModel, carried: number): Element {
  const id = anchor('finding', finding.findingId)
  return h(
    'details',
    { id, class: `finding ${finding.standing.state}`, open },
    h(
      'summary',
      null,
      h(
        'div',
        { class: 'finding-head' },
        h('p', { class: 'kind' }, kindOf(finding)),
        h('h3', null, captured(finding.cause)),
        h('p', { class: 'quiet' }, shapesAndColumns(finding)),
      ),
      h('div', { class: 'finding-trend' }, sparkline(finding.trend, trendWords(finding, model.spanMs))),
      h(
        'p',
        { class: 'finding-size' },
        h('strong', null, counted(ownCount(finding), 'statement')),
        finding.follows ? h('span', { class: 'follows' }, `+ ${followWords(finding.follows)}`) : null,
        h('span', { class: 'quiet' }, `${percent(finding.trafficShare)} of traffic`),
      ),
    ),
    h(
      'div',
      { class: 'finding-body' },
      standing(finding),
      h('p', { class: 'finding-facts' }, facts(finding)),
      following(finding),
      examples(finding, model),
      all(finding, carried, model),
    ),
  )
}

function kindOf(finding: ReportFinding): Child {
  const kind = KIND_TITLES[finding.mismatch]
  const detail = KIND_TITLES[finding.subKind]
  const note = { fails: null, tolerated: 'within the limit', known: 'known' }[finding.standing.state]
  return [
    h('span', { class: `badge ${finding.mismatch.toLowerCase()}` }, kind),
    detail === kind ? null : h('span', { class: 'sub-kind' }, detail),
    note ? h('span', { class: 'badge quiet-badge' }, note) : null,
  ]
}

function shapesAndColumns(finding: ReportFinding): Child {
  return [
    counted(finding.fingerprints.length, 'query shape'),
    finding.columns.length > 0
      ? [', ', finding.columns.length === 1 ? 'column ' : 'columns ', list(finding.columns, 4)]
      : null,
  ]
}

function list(names: readonly string[], max: number): Child {
  return [
    names.slice(0, max).map((name, i) => [i > 0 ? ', ' : '', h('code', null, captured(name))]),
    names.length > max ? ` and ${names.length - max} more` : null,
  ]
}

function standing(finding: ReportFinding): Child {
  if (finding.standing.state !== 'known') return null
  return h(
    'p',
    { class: 'note' },
    h('strong', null, 'Known difference: '),
    captured(finding.standing.reason),
    ` (until ${finding.standing.until})`,
  )
}

/** One fault shows in many ways; the cause is what to repair, so the rest takes one quiet sentence. */
function following(finding: ReportFinding): Child {
  if (!finding.follows) return null
  const kinds = finding.kinds.map(({ subKind, count: of }) => `${lowerFirst(KIND_TITLES[subKind])} ${count(of)}`)
  return h(
    'p',
    { class: 'note follows' },
    `Another ${counted(finding.follows, 'statement')} probably only ${finding.follows === 1 ? 'follows' : 'follow'} from this: ${finding.follows === 1 ? 'it touches' : 'they touch'} what it broke, later in the recording. All together, by kind: ${kinds.join(', ')}. A rehearsal after the repair shows whether anything is left.`,
  )
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

const LINKS_MAX = 6

function facts(finding: ReportFinding): Child {
  const first = clock(finding.firstOffsetMs)
  const last = clock(finding.lastOffsetMs)
  const more = finding.fingerprints.length - LINKS_MAX
  return [
    h('span', null, first === last ? `Seen at ${first}` : `Seen from ${first} to ${last}`),
    h(
      'span',
      null,
      finding.fingerprints.length === 1 ? 'Query shape ' : 'Query shapes ',
      finding.fingerprints
        .slice(0, LINKS_MAX)
        .map((fingerprint, i) => [
          i > 0 ? ', ' : '',
          h('a', { href: `#${anchor('query', fingerprint)}` }, captured(fingerprint.slice(0, 8) || 'none')),
        ]),
      more > 0 ? ` and ${more} more` : null,
    ),
    h(
      'span',
      null,
      finding.explainer === 'unexplained' ? 'Cause not recognised' : ['Explained by ', captured(finding.explainer)],
    ),
    h('a', { href: `#${anchor('finding', finding.findingId)}`, class: 'permalink' }, 'Link to this finding'),
  ]
}

/** The first in full; further ones are a line each until opened. */
function examples(finding: ReportFinding, model: ReportModel): Child {
  const [first, ...further] = finding.examples
  if (!first) return null
  return [
    h(
      'article',
      { class: 'example' },
      h('header', null, h('h4', null, 'Example'), h('p', { class: 'example-facts' }, exampleFacts(first))),
      exampleBody(first, model.diffPath),
    ),
    further.length > 0
      ? h(
          'div',
          { class: 'further' },
          h('h4', null, further.length === 1 ? 'Another example' : 'Further examples'),
          further.map((example) =>
            h(
              'details',
              { class: 'discrepancy' },
              h('summary', null, exampleLine(example)),
              exampleUnfolded(example, model.diffPath),
            ),
          ),
        )
      : null,
  ]
}

/** The rest, unpacked from the page on demand. */
function all(finding: ReportFinding, carried: number, model: ReportModel): Child {
  if (finding.count <= finding.examples.length) return null
  if (carried === 0) {
    return h(
      'p',
      { class: 'quiet' },
      `All ${counted(finding.count, 'discrepancy', 'discrepancies')} of this finding are in `,
      h('code', null, captured(model.diffPath)),
      '.',
    )
  }
  return h(
    'div',
    { class: 'all', 'data-all': finding.findingId },
    h(
      'button',
      { type: 'button', class: 'more', 'aria-expanded': 'false' },
      `Show ${carried < finding.count ? `the first ${counted(carried, 'discrepancy', 'discrepancies')} of ${finding.count.toLocaleString('en-US')}` : `all ${counted(carried, 'discrepancy', 'discrepancies')}`}`,
    ),
  )
}

function trendWords(finding: ReportFinding, spanMs: number): string {
  const most = Math.max(...finding.trend, 0)
  if (most === 0) return 'No course known'
  const at = finding.trend.indexOf(most)
  const busy = finding.trend.filter((value) => value > 0).length
  const spread =
    busy > finding.trend.length * 0.7 ? 'Throughout the replay' : busy <= 2 ? 'At one moment' : 'In parts of the replay'
  return `${spread}, most around ${clock((at / finding.trend.length) * spanMs)}`
}
