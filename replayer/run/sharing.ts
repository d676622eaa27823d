/**
 * Fewer connections than sessions: which sessions can share one, and how many connections each worker may have.
 *
 * A connection can be handed on between transactions when nothing of the session is left in it. Who sets parameters, listens, prepares
 * by name, has temporary tables, asks for lastval() or holds advisory locks keeps a connection to itself; so does who comes with
 * start-up parameters that nobody else has. Sessions that leave state in ways that a text does not show (a function that calls
 * set_config) share all the same: that is for the caller to know.
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Session } from '../../segment/statement.js'
import { natureOf } from '../../sql/nature.js'
import type { Script } from './job.js'
import { leavesState } from './session-state.js'

/** A number of connections for some of a worker's sessions, which all begin with the same parameters. */
export type Pool = { readonly worker: number; readonly connections: number; readonly sessions: readonly number[] }

export type Sharing = {
  readonly pools: readonly Pool[]
  /** Sessions that keep a connection to themselves. */
  readonly alone: readonly number[]
}

export type SharingSource = {
  readonly sessions: readonly Session[]
  readonly scripts: Iterable<Pick<Script, 'session' | 'frames' | 'sql'>>
  /** By dense index: whether a session sends anything at all. */
  readonly sends: (dense: number) => boolean
}

/** Call loadParser() before. */
export function planSharing(source: SharingSource, connections: number, workers: number): Sharing {
  const stateful = statefulSessions(source)
  const alone: number[] = []
  const groups = new Map<string, number[]>()
  source.sessions.forEach((session, dense) => {
    if (!source.sends(dense)) return
    if (stateful.has(session.session) || session.prologue.length > 0) alone.push(dense)
    else {
      const key = JSON.stringify(
        Object.entries(session.parameters)
          .filter(([name]) => name !== 'application_name')
          .sort(),
      )
      groups.set(key, [...(groups.get(key) ?? []), dense])
    }
  })
  const left = connections - alone.length
  if (left < groups.size) throw tooFew(connections, alone.length, groups.size)
  return { alone, pools: dealtOut([...groups.values()], left, workers) }
}

function statefulSessions({ scripts }: SharingSource): Set<number> {
  const stateful = new Set<number>()
  /** Sessions whose unnamed statement was made since their last Sync. */
  const unnamed = new Set<number>()
  for (const { session, frames, sql } of scripts) {
    if (stateful.has(session)) continue
    if (textLeavesState(sql)) stateful.add(session)
    for (const frame of frames) {
      if (frame[0] === 'P') frame[1] === '' ? unnamed.add(session) : stateful.add(session)
      else if (frame[0] === 'B' && (frame[2] !== '' || !unnamed.has(session))) stateful.add(session)
      else if ((frame[0] === 'D' || frame[0] === 'C') && frame[1] === 'S' && frame[2] !== '') stateful.add(session)
      else if (frame[0] === 'S' || frame[0] === 'Q') unnamed.delete(session)
    }
  }
  return stateful
}

const TEXTS_MAX = 20_000
const known = new Map<string, boolean>()

function textLeavesState(sql: string): boolean {
  let leaves = known.get(sql)
  if (leaves === undefined) {
    const nature = natureOf(sql)
    leaves = nature.leavesState || REMEMBERS.test(sql) || (nature.role !== 'transaction' && leavesState(sql))
    if (known.size >= TEXTS_MAX) known.clear()
    known.set(sql, leaves)
  }
  return leaves
}

const REMEMBERS = /\b(lastval|currval)\s*\(|\bpg_(try_)?advisory_(lock|unlock)(_shared|_all)?\s*\(|\bwith\s+hold\b/i

/** Connections by how many sessions want them, one for each group at least; a group's over as many workers as they are enough for. */
function dealtOut(groups: readonly (readonly number[])[], connections: number, workers: number): Pool[] {
  const all = groups.reduce((sum, group) => sum + group.length, 0)
  let left = connections - groups.length
  const pools: Pool[] = []
  let worker = 0
  for (const group of groups) {
    const more = Math.min(left, group.length - 1, Math.floor(((connections - groups.length) * group.length) / all))
    left -= more
    const parts = Math.min(workers, 1 + more)
    for (let part = 0; part < parts; part++) {
      const share = Math.floor((1 + more) / parts) + (part < (1 + more) % parts ? 1 : 0)
      const sessions = group.filter((_, i) => i % parts === part)
      pools.push({ worker: (worker + part) % workers, connections: share, sessions })
    }
    worker += parts
  }
  return pools
}

function tooFew(connections: number, alone: number, groups: number): HarnessError {
  return new HarnessError({
    code: 'TOO_FEW_CONNECTIONS',
    message: `--max-connections ${connections} is too few for this recording`,
    detail: `${alone} sessions cannot share a connection (they set parameters, prepare by name or the like), and the others need ${groups} at least.`,
    hint: `Allow ${alone + groups} or more, or replay a part of it with --only.`,
    exit: EXIT.usage,
  })
}
