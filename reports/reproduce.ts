/**
 * One discrepancy as a psql script that a person runs and reads: the statement with its parameters, on V1 and on V2, each in a
 * transaction that is rolled back. Pure: text in, text out.
 */
import type { Discrepancy } from '../segment/diff.js'
import { instant, milliseconds } from './format.js'
import { literal, parametersOf, psqlArgument, type Standalone, scriptStatement, withValues } from './psql-text.js'
import { clip, plain } from './text.js'
import { KIND_TITLES } from './words.js'

export type Urls = { readonly before: string; readonly after: string }

const NAME = 'pgrehearse'
const CAUSE_CHARACTERS_MAX = 400

/** What ./psql-text.ts made of a text. */
type Shown = Standalone & { readonly refusal: null }

/** `urls` null: psql is told at the time of running. `after`: what V2 is asked in place of the statement, where it is not the same. */
export function reproduceScript(
  discrepancy: Discrepancy,
  statement: Shown,
  urls: Urls | null,
  after: readonly Shown[] = [statement],
): string {
  return [
    ...header(discrepancy, urls),
    '',
    '\\set ON_ERROR_STOP off',
    '\\set ON_ERROR_ROLLBACK off',
    '\\pset pager off',
    "\\pset null 'NULL'",
    ...(discrepancy.mismatch === 'LATENCY_SPIKE' ? ['\\timing on'] : []),
    '',
    ...(urls === null ? [] : [connectTo(urls.before)]),
    ...side('V1', asked(discrepancy, statement)),
    '',
    ...(urls === null ? CONNECT_LATER : [connectTo(urls.after)]),
    ...side(
      'V2',
      after.flatMap((one, at) => asked(discrepancy, one, at)),
    ),
    '',
  ].join('\n')
}

function header(discrepancy: Discrepancy, urls: Urls | null): string[] {
  const { mismatch, subKind, traceId, alertId, cause, atMs } = discrepancy
  const kind = [KIND_TITLES[mismatch], KIND_TITLES[subKind]].filter((title, i, all) => all.indexOf(title) === i)
  const facts = [
    ['alert', alertId],
    ['trace', traceId],
    ['kind', kind.join(': ')],
    ['cause', clip(cause, CAUSE_CHARACTERS_MAX)],
    ['sent', instant(atMs)],
    ['V1', answer(discrepancy.errorBefore, discrepancy.latencyMsBefore)],
    ['V2', answer(discrepancy.errorAfter, discrepancy.latencyMsAfter)],
  ] as const
  return [
    '-- pgrehearse reproduce: one discrepancy by hand, on V1 and on V2.',
    ...facts.map(([name, text]) => `-- ${name.padEnd(6)} ${plain(text)}`),
    '--',
    '-- Each side is rolled back; only sequences keep what they gave out. The statement runs by itself: what earlier statements of its',
    '-- session or transaction set or wrote is there only if the databases are as the replay left them.',
    urls === null
      ? '-- Run it with: psql -X -v v2=URL-OF-V2 -f THIS-FILE URL-OF-V1'
      : '-- Run it with: psql -X -f THIS-FILE URL-OF-V1 (it connects by itself; passwords: PGPASSWORD or ~/.pgpass)',
  ]
}

function answer(error: Discrepancy['errorBefore'], latencyMs: number): string {
  return error === null
    ? `answered in ${milliseconds(latencyMs)}`
    : `refused with ${error.sqlstate}: ${clip(error.message, CAUSE_CHARACTERS_MAX)}`
}

/** PREPARE and EXECUTE let the server find the parameters' types, as it did for the application. */
function asked(discrepancy: Discrepancy, { sql, preparable }: Shown, at = 0): string[] {
  const { mismatch } = discrepancy
  const explain = mismatch === 'LATENCY_SPIKE' ? 'EXPLAIN (ANALYZE, BUFFERS) ' : ''
  const parameters = discrepancy.parameters.slice(0, parametersOf(sql))
  if (!preparable) return [scriptStatement(withValues(sql, parameters))]
  if (parameters.length === 0) return [scriptStatement(`${explain}${sql}`)]
  const name = at === 0 ? NAME : `${NAME}_${at + 1}`
  const values = parameters.map((value) => literal(value)).join(',\n  ')
  return [
    scriptStatement(`PREPARE ${name} AS\n${sql}`),
    // Where it cannot even be prepared, the reason has been said.
    '\\if :ERROR',
    '\\else',
    `${explain}EXECUTE ${name}(\n  ${values}\n);`,
    '\\endif',
  ]
}

function side(label: string, lines: readonly string[]): string[] {
  return [
    `\\echo '=== ${label} ==='`,
    '\\encoding UTF8',
    'SET standard_conforming_strings = on;',
    'BEGIN;',
    ...lines,
    'ROLLBACK;',
  ]
}

const CONNECT_LATER = [
  '\\if :{?v2}',
  '\\connect :v2',
  '\\else',
  "\\echo 'For V2 as well: psql -X -v v2=URL-OF-V2 -f THIS-FILE URL-OF-V1'",
  '\\quit',
  '\\endif',
]

function connectTo(url: string): string {
  return `\\connect ${psqlArgument(withoutPassword(url))}`
}

/** A script is a file that gets passed on. */
function withoutPassword(url: string): string {
  try {
    const parsed = new URL(url)
    if (parsed.password === '' && !parsed.searchParams.has('password')) return url
    parsed.password = ''
    parsed.searchParams.delete('password')
    return parsed.toString()
  } catch {
    return url
  }
}
