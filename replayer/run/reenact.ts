/**
 * Statements that production's server ended for reasons of timing: victims of a deadlock, transactions that were outrun. Who is ended depends on
 * whose clock runs out first, so two replays could choose differently, and everything after them would differ. The replay asks the server to
 * fail in their place: same error, same transaction lost.
 */
import type { Script } from './job.js'
import { ENDED, type Plan } from './plan-shape.js'

/** SQLSTATE by position in the plan. */
export function reenactedIn({ reenacted: pairs = new Int32Array(0) }: Plan): ReadonlyMap<number, string> {
  const found = new Map<number, string>()
  for (let at = 0; at < pairs.length; at += 2) found.set(pairs[at]!, ENDED[pairs[at + 1]!]!)
  return found
}

/** For a statement on whose messages nothing later rests. */
export function reenacted(script: Script, sqlstate: string): Script {
  const sql = `DO $$BEGIN RAISE EXCEPTION 'ended as in production' USING ERRCODE = '${sqlstate}'; END$$`
  return { ...script, sql: sql as Script['sql'], frames: [['Q']], parameterTypes: [], bind: null, copy: null }
}
