/**
 * Sending other statements than the recorded one: what goes before it, and whose answer counts.
 *
 * By the simple protocol all of them travel as one text. By the extended protocol those that come first travel as exchanges of their
 * own under names that no client uses, in front of the recorded exchange and its Sync, so that they succeed or fail with it.
 */
import type { Outcome } from '../../segment/outcome.js'
import type { Frame, SafeSql } from '../../segment/statement.js'
import type { Group } from '../../sql/rewrite.js'
import { bindParameters, buildBindRest } from '../../wire/bind.js'
import type { Sendable } from './encode.js'

/** What to send in place of a text; null: the text itself. */
export type Rewrite = (sql: string) => {
  readonly sql: string
  readonly groups: readonly Group[]
  readonly statements: readonly string[] | null
} | null

export const AS_RECORDED: Rewrite = () => null

export type Exchange = {
  readonly before: readonly Sendable[]
  readonly main: Sendable
  /** null: every answer counts. */
  readonly groups: readonly Group[] | null
}

export function exchangeOf(recorded: Sendable, types: readonly number[], rewrite: Rewrite): Exchange {
  if (recorded.sql === '') return { before: [], main: recorded, groups: null }
  const said = rewrite(recorded.sql)
  if (said === null) return { before: [], main: recorded, groups: null }
  if (recorded.frames[0]?.[0] === 'Q') {
    const groups = said.groups.some(({ count }) => count > 1) ? said.groups : null
    return { before: [], main: { ...recorded, sql: said.sql as SafeSql }, groups }
  }
  if (said.statements === null) return { before: [], main: { ...recorded, sql: said.sql as SafeSql }, groups: null }
  const result = said.groups[0]?.result ?? 0
  const executes = recorded.frames.some(([kind]) => kind === 'E')
  const before = executes
    ? said.statements.slice(0, result).map((sql, at) => helper(sql, `pgr_${at}`, recorded.bind, types))
    : []
  return { before, main: { ...recorded, sql: said.statements[result] as SafeSql }, groups: null }
}

/** An exchange that makes, runs and leaves a statement under a name of ours, with the parameters that its text names. */
function helper(sql: string, name: string, bind: Uint8Array | null, types: readonly number[]): Sendable {
  const count = Math.max(0, ...[...sql.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])))
  const given = bind === null ? null : bindParameters(bind)
  const rest = given === null ? null : buildBindRest(given.values.slice(0, count), given.formats.slice(0, count), [])
  const frames: Frame[] = [
    ['C', 'S', name],
    ['P', name, types.slice(0, count).map((oid) => (oid < FIRST_USER_OID ? oid : 0))],
    ['B', name, name],
    ['E', name, 0],
    ['C', 'P', name],
  ]
  return { frames, sql: sql as SafeSql, bind: rest, copy: null }
}

/** Types of users have other numbers in another database. */
const FIRST_USER_OID = 16_384

/** One outcome for each recorded statement, of all that the server answered; an error of any that stand for it is its error. */
export function regroup(outcomes: Outcome[], doneUs: number[], groups: readonly Group[]): void {
  const kept: Outcome[] = []
  const times: number[] = []
  let at = 0
  for (const { count, result } of groups) {
    const own = outcomes.slice(at, at + count)
    if (own.length === 0) break
    kept.push(own.find(({ error }) => error !== null) ?? own[Math.min(result, own.length - 1)]!)
    times.push(doneUs[Math.min(at + own.length, doneUs.length) - 1]!)
    at += count
  }
  outcomes.splice(0, outcomes.length, ...kept)
  doneUs.splice(0, doneUs.length, ...times)
}
