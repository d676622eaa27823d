/**
 * Plans that need no understanding of SQL: `session` (timing only) and `commit` (every commit in recorded order, and every
 * statement after the commits that production had completed before it was sent).
 */
import type { Timeline } from '../../segment/timeline.js'
import type { Plan } from './plan-shape.js'

type Wait = { readonly session: number; readonly ordinal: number }

/** Sessions as the recording lists them; their position is their dense index. */
export function sessionPlan(timeline: Timeline, sessions: readonly { readonly session: number }[]): Plan {
  return planOf('session', timeline, sessions, () => null)
}

export function commitPlan(timeline: Timeline, sessions: readonly { readonly session: number }[]): Plan {
  const dense = denseIndexes(sessions)
  const commits = commitsInOrder(timeline)
  const place = new Map(commits.map((statement, i) => [statement, i]))
  const doneUs = Float64Array.from(commits, (statement) => timeline.doneUs[statement]!)
  return planOf('commit', timeline, sessions, (i) => {
    // A commit waits for the one before it, everything else for the last that it can have seen.
    const own = place.get(i)
    const before = own === undefined ? countBelow(doneUs, timeline.sentUs[i]!) - 1 : own - 1
    const commit = before < 0 ? undefined : commits[before]!
    if (commit === undefined || timeline.session[commit] === timeline.session[i]) return null
    return { session: dense.get(timeline.session[commit]!)!, ordinal: timeline.ordinal[commit]! }
  })
}

/** The last statements of transactions that wrote, by when they were answered. */
function commitsInOrder({ count, transaction, session, readWrite, doneUs }: Timeline): number[] {
  const last = new Map<number, number>()
  const ends: number[] = []
  for (let i = 0; i < count; i++) {
    const before = last.get(session[i]!)
    if (before !== undefined && transaction[before] !== transaction[i] && readWrite[before] === 1) ends.push(before)
    last.set(session[i]!, i)
  }
  for (const i of last.values()) if (readWrite[i] === 1) ends.push(i)
  return ends.sort((a, b) => doneUs[a]! - doneUs[b]! || a - b)
}

/** How many of the ascending values lie below. */
function countBelow(ascending: Float64Array, value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ascending[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

function planOf(
  mode: Plan['mode'],
  timeline: Timeline,
  sessions: readonly { readonly session: number }[],
  waitOf: (i: number) => Wait | null,
): Plan {
  const { count } = timeline
  const dense = denseIndexes(sessions)
  const plan: Plan = {
    mode,
    statementCount: count,
    sessionCount: sessions.length,
    session: new Int32Array(new SharedArrayBuffer(count * 4)),
    ordinal: new Int32Array(new SharedArrayBuffer(count * 4)),
    waitStart: new Uint32Array(new SharedArrayBuffer((count + 1) * 4)),
    waitSession: new Int32Array(new SharedArrayBuffer(count * 4)),
    waitOrdinal: new Int32Array(new SharedArrayBuffer(count * 4)),
    waitKind: new Uint8Array(new SharedArrayBuffer(count)),
  }
  let waits = 0
  for (let i = 0; i < count; i++) {
    plan.session[i] = dense.get(timeline.session[i]!)!
    plan.ordinal[i] = timeline.ordinal[i]!
    const wait = waitOf(i)
    if (wait !== null) {
      plan.waitSession[waits] = wait.session
      plan.waitOrdinal[waits] = wait.ordinal
      waits += 1
    }
    plan.waitStart[i + 1] = waits
  }
  return plan
}

function denseIndexes(sessions: readonly { readonly session: number }[]): Map<number, number> {
  return new Map(sessions.map(({ session }, index) => [session, index]))
}
