/**
 * Why a query shape is slower: the plain reading, what changed between the plans, an index that was tried, and the two plans side by side.
 */
import type { IndexSuggestion } from '../../segment/explained.js'
import { count, counted, milliseconds } from '../format.js'
import type { QueryLatency } from '../latency.js'
import type { ReportModel } from '../model.js'
import type { PlanLine, PlanView, ReportPlan } from '../plans.js'
import { captured, sqlLine } from './captured.js'
import { anchor, type Child, type Element, h } from './html.js'

const WHY_SHOWN_MAX = 8

/** Above the table of query shapes: what a reader wants to know about the slower ones without looking for them. */
export function slowerBlock({ plans, latency }: ReportModel): Child {
  if (!plans || plans.length === 0) return null
  const shapes = new Map(latency.queries.map((query) => [query.fingerprint, query]))
  const more = plans.length - WHY_SHOWN_MAX
  return h(
    'section',
    { class: 'why-slower' },
    h('h3', null, 'Why they are slower'),
    plans.slice(0, WHY_SHOWN_MAX).map((plan) => whyOne(plan, shapes.get(plan.fingerprint))),
    more > 0 ? h('p', { class: 'quiet' }, `${counted(more, 'further query shape')} in the table below.`) : null,
  )
}

function whyOne(plan: ReportPlan, query: QueryLatency | undefined): Element {
  return h(
    'article',
    { class: 'why-one' },
    h(
      'p',
      { class: 'quiet' },
      h('a', { href: `#${anchor('query', plan.fingerprint)}` }, captured(plan.fingerprint.slice(0, 8))),
      ' ',
      query ? sqlLine(query.sql) : null,
    ),
    h('p', null, reading(plan)),
    suggestion(plan.suggestion),
  )
}

function reading({ reading: text, changes, notExplained }: ReportPlan): Child {
  if (text !== '') return captured(text.slice(0, 1).toUpperCase() + text.slice(1))
  const [first] = changes
  if (first) return captured(first.sentence)
  return notExplained === ''
    ? 'Both sides run it the same way: what is slower is not the plan.'
    : captured(`Not explained: ${notExplained}`)
}

/** In what a row of the table opens to. */
export function planDetail(query: QueryLatency, { plans }: ReportModel): Child {
  const plan = plans?.find(({ fingerprint }) => fingerprint === query.fingerprint)
  if (!plan) return null
  return h(
    'section',
    { class: 'plan-detail' },
    h('h4', null, 'How the server ran it'),
    h('p', null, reading(plan)),
    suggestion(plan.suggestion),
    plan.changes.length === 0
      ? null
      : h(
          'ul',
          null,
          plan.changes.map(({ sentence }) => h('li', null, captured(sentence))),
        ),
    plan.notExplained === '' ? null : h('p', { class: 'quiet' }, captured(`Not explained: ${plan.notExplained}`)),
    plan.before || plan.after
      ? h('div', { class: 'answers' }, side('V1', 'before', plan.before), side('V2', 'after', plan.after))
      : null,
  )
}

function suggestion(found: IndexSuggestion | null): Child {
  if (found === null) return null
  return h(
    'div',
    { class: 'suggestion' },
    h(
      'div',
      { class: 'example-foot' },
      h('code', { class: 'command' }, captured(found.sql)),
      h('button', { type: 'button', class: 'copy' }, 'Copy'),
    ),
    h('p', { class: 'quiet' }, triedWords(found)),
  )
}

function triedWords({ tried, used, msBefore, msAfter, costBefore, costAfter }: IndexSuggestion): string {
  if (tried === 'refused') return 'Not tried: neither the index nor a hypothetical one could be made on V2.'
  const how =
    tried === 'created' ? 'Tried on V2 in a transaction that was rolled back' : 'Tried on V2 as a hypothetical index'
  if (!used) return `${how}: the planner does not take it for this statement.`
  const cost = `estimated cost ${count(Math.round(costBefore))} without it, ${count(Math.round(costAfter))} with it`
  const measured =
    msBefore === null || msAfter === null
      ? cost
      : `${milliseconds(msBefore)} without it, ${milliseconds(msAfter)} with it`
  return `${how}: ${measured}.`
}

function side(label: string, cls: string, plan: PlanView | null): Element {
  return h(
    'div',
    { class: 'answer' },
    h(
      'h5',
      null,
      h('span', { class: `tag ${cls}` }, label),
      plan ? ` ${milliseconds(plan.executionMs)}, planned in ${milliseconds(plan.planningMs)}` : ' not explained',
    ),
    plan === null
      ? null
      : [
          h(
            'ol',
            { class: 'plan', tabindex: 0, 'aria-label': `Plan of ${label}` },
            plan.lines.map(line),
            plan.more > 0 ? h('li', { class: 'quiet' }, `and ${counted(plan.more, 'further node')}`) : null,
          ),
          besides(plan),
        ],
  )
}

function line(node: PlanLine): Element {
  const where = [node.index === '' ? '' : `using ${node.index}`, node.relation === '' ? '' : `on ${node.relation}`]
  return h(
    'li',
    { class: `depth-${Math.min(node.depth, 8)}` },
    h('span', { class: 'operation' }, captured([node.operation, ...where].filter((text) => text !== '').join(' '))),
    h('span', { class: 'quiet' }, figures(node)),
    node.condition === '' ? null : h('code', null, captured(node.condition)),
    node.filter === ''
      ? null
      : h('span', { class: 'quiet' }, 'filter ', h('code', null, captured(node.filter)), removed(node)),
  )
}

function figures({ rows, rowsPlanned, loops, ms, pagesRead, pagesHit, pagesSpilt }: PlanLine): string {
  const pages = [
    pagesHit + pagesRead > 0 ? `${count(pagesHit + pagesRead)} pages, ${count(pagesRead)} of them read` : '',
    pagesSpilt > 0 ? `${count(pagesSpilt)} pages spilt to disk` : '',
  ]
  const times = loops === 1 ? '' : `, ${count(loops)} times`
  const found = `${counted(Math.round(rows), 'row')}${times} (planned ${count(Math.round(rowsPlanned))})`
  return [milliseconds(ms), found, ...pages].filter((text) => text !== '').join(' · ')
}

function removed({ rowsRemoved }: PlanLine): string {
  return rowsRemoved === 0 ? '' : ` threw ${counted(Math.round(rowsRemoved), 'row')} away`
}

function besides({ triggers, settings }: PlanView): Child {
  const set = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  return [
    triggers.map(({ name, relation, calls, ms }) =>
      h(
        'p',
        { class: 'quiet' },
        captured(`Trigger ${name} on ${relation}: ${counted(calls, 'call')}, ${milliseconds(ms)}`),
      ),
    ),
    set.length === 0 ? null : h('p', { class: 'quiet' }, captured(`Settings: ${set.join(', ')}`)),
  ]
}
