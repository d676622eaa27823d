/** `inspect PATH`: what is in a recording, a run or a diff. A recording that a crash cut short is sealed on the way. */
import { resolve } from 'node:path'
import Table from 'cli-table3'
import { type Command, InvalidArgumentError } from 'commander'
import pc from 'picocolors'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { planOf } from '../../replayer/plan/cache.js'
import type { Parallelism } from '../../replayer/plan/explain.js'
import {
  type DiffInspection,
  inspectDiff,
  inspectRecording,
  inspectRun,
  type RecordingInspection,
  type RunInspection,
  type StatementUse,
  type TopStatements,
} from '../../segment/inspect.js'
import { kindOf } from '../../segment/kind.js'
import { imbalance, type Ledger, type Reasons } from '../../segment/ledger.js'
import { openRecording } from '../../segment/recording.js'
import type { Cli } from '../cli.js'

type Flags = { readonly top: number }

export function register(program: Command, cli: Cli): void {
  program
    .command('inspect')
    .description('what is in a recording, a run or a diff')
    .argument('<path>', 'a recording folder, a run or a diff')
    .option('--top <n>', 'how many statements to list', parseTop, 10)
    .action(cli.action(([path = ''], flags: Flags) => inspect(resolve(cli.cwd, path), flags.top, cli)))
}

function parseTop(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.')
  return Number(text)
}

async function inspect(path: string, top: number, cli: Cli): Promise<ExitCode> {
  const kind = kindOf(path)
  if (kind === 'recording') await inspectRecordingToo(path, top, cli)
  else if (kind === 'run') show(inspectRun(path, top), runText, cli)
  else if (kind === 'diff') show(inspectDiff(path), diffText, cli)
  else {
    throw new HarnessError({
      code: 'ONE_SEGMENT',
      message: `${path} is one segment of a recording`,
      hint: 'Inspect the folder of the recording; or query the segment: sqlite3 FILE "SELECT * FROM query_log".',
      exit: EXIT.usage,
    })
  }
  return EXIT.pass
}

async function inspectRecordingToo(path: string, top: number, cli: Cli): Promise<void> {
  const found = inspectRecording(path, top)
  const parallel = await parallelismOf(path)
  cli.result({ ...found, parallel })
  cli.print(lines(recordingText(found, top), parallelText(parallel)))
}

/** null: it cannot be planned, which must not keep anyone from looking at it. */
async function parallelismOf(path: string): Promise<Parallelism | null> {
  const recording = openRecording(path, { verify: 'size' })
  try {
    return (await planOf(recording)).facts
  } catch (error) {
    if (error instanceof HarnessError && error.code === 'SESSION_MISSING') return null
    throw error
  } finally {
    recording.close()
  }
}

function parallelText(found: Parallelism | null): string {
  if (found === null) return lines(title('Parallel'), '  It cannot be planned.')
  const [path, total] = [found.criticalPathMs, found.totalMs].map((ms) => seconds(ms))
  return lines(
    title('Parallel'),
    facts([
      ['waits', `${count(found.waits)}, ${found.waitsPerStatement.toFixed(2)} a statement`],
      ['critical path', `${path} of ${total} of service time`],
      ['average width', `${found.averageWidth.toFixed(1)} statements side by side`],
      ['ambiguous', `${count(found.ambiguous)} statements`],
      ['barriers', `${count(found.barrierCount)} statements that may touch everything`],
      ...found.hottest.map(({ object, waits }): [string, string] => ['hottest', `${object}: ${count(waits)} waits`]),
    ]),
  )
}

function show<T>(inspection: T, text: (inspection: T) => string, cli: Cli): void {
  cli.result(inspection)
  cli.print(text(inspection))
}

const STATES: Readonly<Record<RecordingInspection['state'], string>> = {
  complete: 'complete',
  running: 'still recording',
  interrupted: 'interrupted; its tail is read but not sealed',
  recovered: 'was interrupted; its tail is sealed now',
}

function recordingText(found: RecordingInspection, top: number): string {
  const { recovered } = found
  return lines(
    title(`Recording ${found.id}`),
    facts([
      ['state', STATES[found.state]],
      ['made by', `${found.madeBy}, ${found.source}`],
      ['server', `${found.server.version}, database ${found.server.database}`],
      ['recorded', `${date(found.startedAtMs)}, ${seconds(found.elapsedMs)}`],
      [
        'content',
        `${count(found.statements)} statements, ${count(found.errors)} errors, ${count(found.sessions)} sessions`,
      ],
      ['on disk', `${count(found.segments)} segments, ${megabytes(found.bytes)}`],
      ['policy', found.policyHash],
      ...(recovered === null
        ? []
        : [['tail', `${count(recovered.statements)} statements recovered`] as [string, string]]),
      ...(recovered?.unreadable ?? []).map((file): [string, string] => ['unreadable', file]),
    ]),
    ledgerText(found.ledger),
    reasonsText('Cannot be replayed as sent', found.unreplayable),
    reasonsText('Not known of sessions', found.gaps),
    unmappedText(found.masking.unmapped, top),
    cautionsText(found.masking.cautions, top),
    incidentsText(found.incidents),
    topText(found.top),
  )
}

function runText(found: RunInspection): string {
  return lines(
    title(`Run ${found.id}`),
    facts([
      ['role', found.role],
      ['made by', found.madeBy],
      ['target', `${found.target.version}, database ${found.target.database}`],
      ['recording', found.recordingPath],
      ['replayed', `${date(found.startedAtMs)}, ${seconds(found.elapsedMs)}`],
      ['content', `${count(found.statements)} statements`],
      ['settings', JSON.stringify(found.settings)],
      ['order relaxed', count(found.orderRelaxed)],
      ['busiest worker', `${Math.round(found.eventLoopUtilisationMax * 100)} %`],
    ]),
    ledgerText(found.ledger),
    reasonsText('Errors by SQLSTATE', found.errors),
    incidentsText(found.incidents),
    found.top === null ? pc.dim('The recording is not where it was, so statements have no texts.') : topText(found.top),
  )
}

function diffText(found: DiffInspection): string {
  return lines(
    title(`Diff ${found.id}`),
    facts([
      ['made by', found.madeBy],
      ['before', found.before],
      ['after', found.after],
      ['recording', found.recordingPath],
      ['compared', `${count(found.compared)} statements`],
      ...found.invalid.map((why): [string, string] => ['invalid', why]),
    ]),
    reasonsText('Discrepancies', found.discrepancies),
    reasonsText('Excused', found.excused),
    reasonsText('Not compared', found.uncompared),
    found.findings.length === 0
      ? 'No findings.'
      : lines(
          title('Findings'),
          ...found.findings.map((finding) => `  ${count(finding.count).padStart(9)}  ${oneLine(finding.cause, 100)}`),
        ),
  )
}

function ledgerText(ledger: Ledger): string {
  const rest = imbalance(ledger)
  const row = (name: string, entry: { statements: number; transactions: number }): [string, string] => [
    name,
    `${count(entry.statements)} statements, ${count(entry.transactions)} transactions`,
  ]
  const reasons = (kind: string, entries: Reasons) =>
    Object.entries(entries).map(([reason, entry]) => row(`${kind}: ${reason}`, entry))
  return lines(
    title('Ledger'),
    facts([
      row('seen', ledger.seen),
      row('kept', ledger.kept),
      ...reasons('filtered', ledger.filtered),
      ...reasons('skipped', ledger.skipped),
      ...reasons('lost', ledger.lost),
    ]),
    rest.statements === 0 && rest.transactions === 0
      ? pc.green('  It balances.')
      : pc.red(
          `  It does not balance: ${rest.statements} statements, ${rest.transactions} transactions unaccounted for.`,
        ),
  )
}

function topText(top: TopStatements): string {
  if (top.shapes === 0) return ''
  return lines(
    title(`Most frequent of ${count(top.shapes)} statement shapes`),
    statementTable(top.byCount),
    title('Most time in total'),
    statementTable(top.byTime),
  )
}

function statementTable(uses: readonly StatementUse[]): string {
  const table = new Table({
    head: ['count', 'errors', 'total ms', 'mean ms', 'max ms', 'statement'],
    colAligns: ['right', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  })
  for (const use of uses) {
    const times = [use.totalMs, use.meanMs, use.maxMs].map((ms) => ms.toFixed(2))
    table.push([count(use.count), count(use.errors), ...times, oneLine(use.sql || '(no text)', 80)])
  }
  return table.toString()
}

/** So that the policy can be completed: which statement, which value, why nobody knows its column, what was done with it. */
function unmappedText(statements: RecordingInspection['masking']['unmapped'], max: number): string {
  if (statements.length === 0) return ''
  return lines(
    title(`Values that no column explains, in ${count(statements.length)} statement shapes`),
    ...statements
      .slice(0, max)
      .flatMap(({ fingerprint, sql, count: times, values }) => [
        `  ${count(times).padStart(9)}  ${pc.dim(fingerprint || '(not parsed)')}  ${oneLine(sql, 80)}`,
        ...values.map(({ slot, why, rule }) => `             ${slot}: ${why}; ${rule}`),
      ]),
    more(statements.length - max),
  )
}

function cautionsText(cautions: RecordingInspection['masking']['cautions'], max: number): string {
  if (cautions.length === 0) return ''
  return lines(
    title('Uses that tokens do not stand for: a difference from production there is labelled'),
    ...cautions
      .slice(0, max)
      .map(
        ({ name, kind, use, count: times }) =>
          `  ${count(times).padStart(9)}  ${oneLine(name, 60)} (${kind}): ${USES[use] ?? use}`,
      ),
    more(cautions.length - max),
  )
}

function more(left: number): string {
  return left > 0 ? pc.dim(`             and ${count(left)} more; --top shows more, --json all`) : ''
}

const USES: Readonly<Record<string, string>> = {
  pattern: 'LIKE, regular expression or text search',
  unseen: 'a table that is not in the catalog (temporary, or made meanwhile), or what a function of yours says',
  kinds: 'two columns meet whose tokens are of different kinds',
  order: 'ORDER BY, a range, min or max',
  derive: 'a part, the length, or something computed of it',
  fold: 'upper, lower or initial case',
  json_text: 'taken out of JSON as text',
}

function incidentsText(incidents: RecordingInspection['incidents']): string {
  if (incidents.length === 0) return ''
  return lines(
    title('Incidents'),
    ...incidents.map(({ atUs, kind, detail }) => `  ${seconds(atUs / 1000).padStart(10)}  ${kind}: ${detail}`),
  )
}

function reasonsText(heading: string, reasons: Readonly<Record<string, number>>): string {
  const entries = Object.entries(reasons).filter(([, times]) => times > 0)
  if (entries.length === 0) return ''
  return lines(title(heading), facts(entries.map(([reason, times]): [string, string] => [reason, count(times)])))
}

function lines(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n')
}

function title(text: string): string {
  return `\n${pc.bold(text)}`
}

function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `  ${pc.dim(name.padEnd(width))}  ${value}`).join('\n')
}

/** Captured text on a terminal: one line, no control characters. */
function oneLine(text: string, charsMax: number): string {
  const flat = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  return flat.length <= charsMax ? flat : `${flat.slice(0, charsMax - 1)}…`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function date(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 19)
}
