/**
 * What a lost connection takes with it. A session that only ran statements can go on with a new connection (its named prepared
 * statements are parsed again); one that set parameters, listens, holds advisory locks or temporary tables cannot be rebuilt.
 */
import type { Frame } from '../../segment/statement.js'
import type { Script } from './job.js'

const LEAVES_STATE =
  /^\s*(set|reset|listen|prepare|declare|load|discard)\b|\btemp(orary)?\b|\bset_config\b|\bpg_(try_)?advisory_lock/i

const TEXTS_MAX = 10_000

/** Only the last names of a client that never closes any. */
const PREPARED_MAX = 5000

type Prepared = { readonly frame: Extract<Frame, readonly ['P', ...unknown[]]>; readonly sql: Script['sql'] }

export class SessionState {
  readonly prepared = new Map<string, Prepared>()
  rebuildable = true

  sent(statement: Pick<Script, 'frames' | 'sql'>): void {
    if (this.rebuildable && leavesState(statement.sql)) this.rebuildable = false
    for (const frame of statement.frames) {
      if (frame[0] === 'P' && frame[1] !== '') {
        if (this.prepared.size < PREPARED_MAX) this.prepared.set(frame[1], { frame, sql: statement.sql })
        else this.rebuildable = false
      } else if (frame[0] === 'C' && frame[1] === 'S') this.prepared.delete(frame[2])
    }
  }
}

const known = new Map<string, boolean>()

export function leavesState(sql: string): boolean {
  let leaves = known.get(sql)
  if (leaves === undefined) {
    leaves = LEAVES_STATE.test(sql)
    if (known.size >= TEXTS_MAX) known.clear()
    known.set(sql, leaves)
  }
  return leaves
}
