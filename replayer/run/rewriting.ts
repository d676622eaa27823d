/**
 * Sending other statements than the recorded one: what goes before it, and whose answer counts.
 *
 * By the simple protocol all of them travel as one text. By the extended protocol they travel inside the recorded exchange,
 * before its Sync, under names that no client uses: they succeed or fail with it, and its time is that of all of them.
 */
import type { Outcome } from '../../segment/outcome.js'
import type { Frame, SafeSql } from '../../segment/statement.js'
import { type Counted, type Group, TRUNCATED } from '../../sql/rewrite.js'
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
  /** Sent one after the other, as one exchange. */
  readonly pieces: readonly Sendable[]
  /** The recorded exchange as it is sent, for what is remembered of a session. */
  readonly main: Sendable
  /** Messages of all pieces. */
  readonly frames: readonly Frame[]
  /** null: every answer counts. */
  readonly groups: readonly Group[] | null
}

export function exchangeOf(recorded: Sendable, types: readonly number[], rewrite: Rewrite): Exchange {
  const said = recorded.sql === '' ? null : rewrite(recorded.sql)
  if (said === null) return alone(recorded)
  const sent = (sql: string): Sendable => ({ ...recorded, sql: sql as SafeSql })
  if (recorded.frames[0]?.[0] === 'Q') {
    return { ...alone(sent(said.sql)), groups: special(said.groups) }
  }
  if (said.statements === null) {
    const main = sent(said.sql)
    return { ...alone(main), groups: main.frames.some(([kind]) => kind === 'E') ? special(said.groups) : null }
  }
  const result = said.groups[0]?.result ?? 0
  const main = sent(said.statements[result]!)
  if (!recorded.frames.some(([kind]) => kind === 'E')) return alone(main)
  return together(main, said.statements, result, types)
}

function special(groups: readonly Group[]): readonly Group[] | null {
  return groups.some(({ count, counted }) => count > 1 || counted !== undefined) ? groups : null
}

function alone(main: Sendable): Exchange {
  return { pieces: [main], main, frames: main.frames, groups: null }
}

/** The statements around the one that gives the result stand inside its exchange, before its Sync: they succeed or fail with it. */
function together(main: Sendable, statements: readonly string[], result: number, types: readonly number[]): Exchange {
  const helpers = statements.map((sql, at) => (at === result ? null : helper(sql, at, main.bind, types)))
  const hasSync = main.frames.at(-1)?.[0] === 'S'
  const own = hasSync ? { ...main, frames: main.frames.slice(0, -1) } : main
  const pieces = [
    ...helpers.slice(0, result).flatMap((one) => one ?? []),
    own,
    ...helpers.slice(result + 1).flatMap((one) => one ?? []),
    ...(hasSync ? [{ frames: SYNC_ONLY, sql: '' as SafeSql, bind: null, copy: null }] : []),
  ]
  return { pieces, main, frames: pieces.flatMap(({ frames }) => frames), groups: null }
}

const SYNC_ONLY: readonly Frame[] = [['S']]
/** Begins the names of statements and portals of ours. */
const HELPER = 'pgrehearse_helper_'

export function isHelper(name: string): boolean {
  return name.startsWith(HELPER)
}

/** Messages that make, run and leave a statement under a name of ours, with the parameters that its text names. */
function helper(sql: string, at: number, bind: Uint8Array | null, types: readonly number[]): Sendable {
  const name = `${HELPER}${at}`
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

/** A SELECT's answer under the name of the command it stands for. */
export function called(outcome: Outcome, { verb, hasRows }: Counted): Outcome {
  const tag = verb === TRUNCATED && outcome.error === null ? verb : outcome.tag.replace(/^SELECT(?= \d+$)/, verb)
  return hasRows ? { ...outcome, tag } : { ...outcome, tag, columns: null, digest: null, rows: null, rowsCut: false }
}

/** One outcome for each recorded statement, of all that the server answered; an error of any that stand for it is its error. */
export function regroup(outcomes: Outcome[], doneUs: number[], groups: readonly Group[]): void {
  const kept: Outcome[] = []
  const times: number[] = []
  let at = 0
  for (const { count, result, counted } of groups) {
    const own = outcomes.slice(at, at + count)
    if (own.length === 0) break
    const chosen = own.find(({ error }) => error !== null) ?? own[Math.min(result, own.length - 1)]!
    kept.push(counted === undefined ? chosen : called(chosen, counted))
    times.push(doneUs[Math.min(at + own.length, doneUs.length) - 1]!)
    at += count
  }
  outcomes.splice(0, outcomes.length, ...kept)
  doneUs.splice(0, doneUs.length, ...times)
}
