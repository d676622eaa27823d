/**
 * `rewrite check`: every kind of statement of a recording, with its share of the traffic, and how it fares on the target: valid as it is,
 * rewritten and valid, or invalid, with what the server says and what could be done. PREPAREs only; nothing is executed.
 */
import type pg from 'pg'
import type { Catalog } from '../../segment/catalog.js'
import type { RecordingReader } from '../../segment/recording.js'
import { parse } from '../../sql/parse.js'
import { unwrap } from '../../sql/tree-walk.js'
import { prepareOn } from './prepare.js'
import type { Rewriter } from './rewriter.js'
import { suggestTable } from './suggest.js'

export type CheckState =
  /** Not touched by any rule, and the target takes it. */
  | 'unchanged'
  | 'rewritten'
  /** The target does not take it. */
  | 'invalid'
  /** The recorded server refused it just so. */
  | 'refused before'
  /** SET, BEGIN, COPY …: cannot be prepared, so only replaying tells. */
  | 'not checked'

export type CheckedStatement = {
  readonly fingerprint: string
  readonly count: number
  /** Of all statements, 0 to 1. */
  readonly share: number
  readonly state: CheckState
  readonly before: string
  readonly after: string | null
  readonly by: string | null
  /** Why it is invalid, or why a rule could not be followed. */
  readonly message: string | null
  readonly suggestion: string | null
}

export type CheckResult = {
  readonly statements: number
  readonly byState: Readonly<Record<CheckState, number>>
  readonly fingerprints: readonly CheckedStatement[]
}

type Use = {
  readonly sql: string
  readonly types: readonly number[]
  readonly given: readonly number[]
  readonly sqlstate: string | null
  count: number
}

export async function checkRewrite(
  recording: RecordingReader,
  rewriter: Rewriter,
  client: pg.Client,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<CheckResult> {
  const uses = usesOf(recording)
  const total = [...uses.values()].reduce((sum, { count }) => sum + count, 0)
  const found: CheckedStatement[] = []
  for (const [fingerprint, use] of uses) {
    found.push({
      fingerprint,
      count: use.count,
      share: total > 0 ? use.count / total : 0,
      ...(await checkOne(use, rewriter, client)),
    })
    onProgress(found.length, uses.size)
  }
  const byState: Record<CheckState, number> = {
    unchanged: 0,
    rewritten: 0,
    invalid: 0,
    'refused before': 0,
    'not checked': 0,
  }
  for (const { state, count } of found) byState[state] += count
  const order: readonly CheckState[] = ['invalid', 'rewritten', 'not checked', 'refused before', 'unchanged']
  found.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || b.count - a.count)
  return { statements: total, byState, fingerprints: found }
}

/** One example of each fingerprint; one that worked, where there is one. */
function usesOf(recording: RecordingReader): Map<string, Use> {
  const uses = new Map<string, Use>()
  for (const { sql, fingerprint, parameterTypes, frames, outcome } of recording.statements()) {
    if (sql === '') continue
    const key = fingerprint === '' ? sql : fingerprint
    const known = uses.get(key)
    const sqlstate = outcome.error?.sqlstate ?? null
    if (known && (known.sqlstate === null || sqlstate !== null)) {
      known.count += 1
      continue
    }
    const parsed = frames.find(([kind]) => kind === 'P') as readonly ['P', string, readonly number[]] | undefined
    uses.set(key, { sql, types: parameterTypes, given: parsed?.[2] ?? [], sqlstate, count: (known?.count ?? 0) + 1 })
  }
  return uses
}

type Verdict = Omit<CheckedStatement, 'fingerprint' | 'count' | 'share'>

async function checkOne(use: Use, rewriter: Rewriter, client: pg.Client): Promise<Verdict> {
  const { before } = rewriter.book
  const looked = rewriter.look(use.sql)
  const said = looked !== null && !('reason' in looked) ? looked : null
  const reason = looked !== null && 'reason' in looked ? looked.reason : null
  const base = { before: use.sql, after: said?.sql ?? null, by: said?.by ?? null, message: reason, suggestion: null }
  const given = use.given.map((oid) => typeName(oid, before.catalog) ?? 'unknown')
  const all = said?.statements ?? splitStatements(said?.sql ?? use.sql)
  let isChecked = false
  for (const sql of all) {
    const prepared = await prepareOn(client, sql, given)
    if (prepared.error !== null) {
      if (prepared.error.sqlstate === use.sqlstate)
        return { ...base, state: 'refused before', message: prepared.error.message }
      return {
        ...base,
        state: 'invalid',
        message: reason === null ? prepared.error.message : `${reason} (${prepared.error.message})`,
        suggestion: suggestionFor(use.sql, rewriter),
      }
    }
    if (prepared.parameterTypes === null) continue
    isChecked = true
    const changed =
      said === null ? null : changedType(use.types, prepared.parameterTypes, before.catalog, all.length > 1)
    if (changed !== null)
      return {
        ...base,
        state: 'invalid',
        message: `${rewriter.mapping.file}:${said?.line}: ${changed}`,
        suggestion: 'Cast the parameter in the V2 text to the type it had.',
      }
  }
  if (said !== null) return { ...base, state: 'rewritten' }
  return { ...base, state: isChecked ? 'unchanged' : 'not checked' }
}

function splitStatements(sql: string): string[] {
  const statements = parse(sql) ?? []
  const bytes = Buffer.from(sql)
  return statements.map(({ stmt_location = 0, stmt_len }) =>
    bytes.toString('utf8', stmt_location, stmt_len ? stmt_location + stmt_len : bytes.length).trim(),
  )
}

/** A parameter that the recorded server read as another type: its bytes would mean something else. */
export function changedType(
  types: readonly number[],
  now: readonly string[],
  before: Catalog,
  isPiece: boolean,
): string | null {
  for (const [at, oid] of types.entries()) {
    const was = typeName(oid, before)
    const is = now[at]
    if (was === null) continue
    if (is === undefined && isPiece) continue
    if (is === undefined) return `it no longer has a parameter $${at + 1}`
    if (plain(is) !== plain(was)) return `its parameter $${at + 1} was read as ${was} and would be read as ${is}`
  }
  return null
}

const BUILT_IN: Readonly<Record<number, string>> = {
  16: 'boolean',
  17: 'bytea',
  20: 'bigint',
  21: 'smallint',
  23: 'integer',
  25: 'text',
  114: 'json',
  700: 'real',
  701: 'double precision',
  869: 'inet',
  1000: 'boolean[]',
  1005: 'smallint[]',
  1007: 'integer[]',
  1009: 'text[]',
  1016: 'bigint[]',
  1042: 'character',
  1043: 'character varying',
  1082: 'date',
  1083: 'time without time zone',
  1114: 'timestamp without time zone',
  1184: 'timestamp with time zone',
  1186: 'interval',
  1700: 'numeric',
  2950: 'uuid',
  2951: 'uuid[]',
  3802: 'jsonb',
}

function typeName(oid: number, catalog: Catalog): string | null {
  if (oid === 0) return null
  const own = catalog.types.find((type) => type.oid === oid)
  if (own === undefined) return BUILT_IN[oid] ?? null
  return own.kind === 'array' ? `${own.name.replace(/^_/, '')}[]` : own.name
}

/** Texts of these three are the same bytes. */
function plain(type: string): string {
  const bare = type.replace(/^.*\./, '').replaceAll('"', '')
  return bare === 'character varying' || bare === 'character' || bare === 'bpchar' ? 'text' : bare
}

/** A rule for the tables it names that the new schema does not have as they were. */
function suggestionFor(sql: string, rewriter: Rewriter): string | null {
  const { before, after, rules } = rewriter.book
  const names = new Set<string>()
  const look = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) look(item)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    const node = unwrap(value)
    const body = (node?.body ?? value) as Record<string, unknown>
    if (typeof body.relname === 'string') names.add(body.relname)
    for (const child of Object.values(body)) look(child)
  }
  for (const { stmt } of parse(sql) ?? []) look(stmt)
  for (const name of names) {
    const relation = before.byName(undefined, name)
    if (relation === undefined || rules.has(relation.oid)) continue
    const suggested = suggestTable(relation, before.catalog, after.catalog)
    if (suggested !== null) return suggested.join('\n')
  }
  return names.size > 0 ? 'Write it by hand under `statements:`, by its fingerprint.' : null
}
