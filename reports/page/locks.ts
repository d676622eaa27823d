/**
 * Who waited for whose locks while the replays ran, on both sides, as it was sampled from beside.
 */
import type { Locked, LockFacts, LockWait } from '../../segment/locks.js'
import { clock, count, counted, milliseconds } from '../format.js'
import type { ReportModel, Side } from '../model.js'
import { captured, sqlLine } from './captured.js'
import { anchor, type Child, type Element, h } from './html.js'

const WAITS_SHOWN_MAX = 25

type Sampled = { readonly label: string; readonly locks: LockFacts }

/** Runs whose lock waits are known. */
export function sampled({ before, after }: Pick<ReportModel, 'before' | 'after'>): Sampled[] {
  return [before, after].flatMap(({ label, conditions }: Side) =>
    conditions?.locks === undefined ? [] : [{ label, locks: conditions.locks }],
  )
}

export function lockWaits(model: ReportModel): Child {
  const runs = sampled(model)
  return [
    h('h3', { id: 'locks' }, 'Lock waits'),
    runs.length === 0
      ? h(
          'p',
          { class: 'quiet' },
          'Lock waits were not sampled in these replays; what injections held up is in the timeline.',
        )
      : runs.map((run) => ofRun(run, new Set(model.latency.queries.map(({ fingerprint }) => fingerprint)))),
  ]
}

function ofRun({ label, locks }: Sampled, known: ReadonlySet<string>): Child {
  const { waits, more, deadlocks, sampledEveryMs, samples } = locks
  const { waits: times, ms: totalMs } = locks.total ?? {
    waits: waits.reduce((sum, one) => sum + one.waits, 0),
    ms: waits.reduce((sum, one) => sum + one.totalMs, 0),
  }
  return [
    h(
      'p',
      { class: 'locks-of' },
      h('strong', null, `${label}: `),
      times === 0
        ? 'nobody was seen to wait for a lock. '
        : `${counted(times, 'wait')}, ${milliseconds(totalMs)} in all. `,
      deadlocks > 0 ? h('strong', { class: 'bad' }, `${counted(deadlocks, 'deadlock')} ended by the server. `) : null,
      h(
        'span',
        { class: 'quiet' },
        `Looked at every ${milliseconds(sampledEveryMs)}, ${count(samples)} times: shorter waits may be missing.`,
      ),
    ),
    waits.length === 0 ? null : table(label, waits, known),
    more + waits.length > WAITS_SHOWN_MAX
      ? h(
          'p',
          { class: 'quiet' },
          `And ${count(more + Math.max(0, waits.length - WAITS_SHOWN_MAX))} shorter kinds of wait.`,
        )
      : null,
  ]
}

function table(label: string, waits: readonly LockWait[], known: ReadonlySet<string>): Element {
  const head = ['Waited', 'For', 'Lock', 'Waits', 'In all', 'Longest', 'Seen']
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Lock waits of ${label}` },
    h(
      'table',
      { class: 'locks' },
      h('caption', { class: 'visually-hidden' }, `Lock waits of ${label}, the longest first`),
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          head.map((name, i) => h('th', { scope: 'col', class: i > 2 ? 'number' : null }, name)),
        ),
      ),
      h(
        'tbody',
        null,
        waits.slice(0, WAITS_SHOWN_MAX).map((wait) => row(wait, known)),
      ),
    ),
  )
}

function row(wait: LockWait, known: ReadonlySet<string>): Element {
  const { waiting, blocking, waits, totalMs, longestMs, firstMs, lastMs } = wait
  const number = (text: string) => h('td', { class: 'number' }, text)
  return h(
    'tr',
    null,
    h('th', { scope: 'row' }, statement(waiting, known)),
    h(
      'td',
      null,
      blocking.sql === '' && blocking.fingerprint === ''
        ? h('span', { class: 'quiet' }, 'not known: it had ended, or was none of the replay’s')
        : statement(blocking, known),
      blocking.state === '' ? null : h('small', { class: 'quiet' }, captured(` ${blocking.state}`)),
    ),
    h('td', null, lockOf(wait)),
    number(count(waits)),
    number(milliseconds(totalMs)),
    number(milliseconds(longestMs)),
    number([...new Set([clock(firstMs), clock(lastMs)])].join(' – ')),
  )
}

/** A link leads to the query shape, where the page has one. */
function statement({ sql, fingerprint, injected }: Locked, known: ReadonlySet<string>): Child {
  const link = known.has(fingerprint)
    ? h('small', null, ' ', h('a', { href: `#${anchor('query', fingerprint)}` }, captured(fingerprint.slice(0, 8))))
    : null
  return [sqlLine(sql, 120), injected ? h('small', { class: 'quiet' }, ' run into the traffic') : link]
}

/** A row's lock is waited for as the transaction that holds it. */
function lockOf({ table: name, lockType, mode, heldMode }: LockWait): Child {
  const kind = lockType === 'transactionid' || lockType === 'tuple' ? 'a row' : lockType
  return [
    name === ''
      ? captured(kind)
      : [kind === 'relation' ? null : [captured(kind), ' of '], h('code', null, captured(name))],
    h('small', { class: 'quiet' }, captured(` ${mode}${heldMode === '' ? '' : `, against ${heldMode}`}`)),
  ]
}

export type Waiting = { readonly atMs: number; readonly waiting: number }

/** A point a second: seconds in which nobody waited are left out of what was kept. */
export function everySecond(locks: LockFacts | undefined, untilMs: number): Waiting[] {
  if (locks === undefined) return []
  const known = new Map(locks.timeline.map(({ atMs, waiting }) => [Math.floor(atMs / 1000), waiting]))
  return Array.from({ length: Math.floor(untilMs / 1000) + 1 }, (_, second) => ({
    atMs: second * 1000,
    waiting: known.get(second) ?? 0,
  }))
}
