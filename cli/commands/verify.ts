/**
 * `pgrehearse verify`: after the replays, whether V2's tables hold what V1's became, and what the migration forgot. Reads only.
 */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { isFaithful, oneLine, stateReport } from '../../replayer/compare/state-report.js'
import { verifyTables } from '../../replayer/compare/verify.js'
import { mappedTables } from '../../replayer/compare/verify-mapping.js'
import { compareSchemas } from '../../replayer/compare/verify-schema.js'
import { openRewrite } from '../../replayer/rewrite/open.js'
import { loadRewriter } from '../../replayer/rewrite/rewriter.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { addState, openDiff } from '../../segment/diff-file.js'
import { openRun } from '../../segment/run-file.js'
import type { SchemaState, TableState } from '../../segment/state.js'
import { readCatalog } from '../../sql/read-catalog.js'
import type { Cli } from '../cli.js'

type Flags = {
  readonly from: string
  readonly to: string
  readonly mapping?: string
  readonly baseline?: string
  readonly candidate?: string
  readonly ignore?: readonly string[]
  readonly diff?: string
  readonly jobs: string
  readonly load: string
}

export function register(program: Command, cli: Cli): void {
  program
    .command('verify')
    .description(
      'compare the tables of two databases after their replays, and what the migration forgot; exit code 1 when they differ',
    )
    .requiredOption('--from <url>', 'V1 after its replay')
    .requiredOption('--to <url>', 'V2 after its replay')
    .option('--mapping <file>', 'mapping.yaml: what V1’s tables became')
    .option('--baseline <run>', 'the run on V1: moments that its replay made are left out')
    .option('--candidate <run>', 'the run on V2, likewise')
    .option('--ignore <table.column...>', 'not compared; table.* and *.column work as well')
    .option('--diff <file>', 'lay what is found into this diff, for the report and the gate')
    .option('--jobs <n>', 'tables at the same time, each with a connection to either side', '2')
    .option('--load <percent>', 'of the time that each connection may keep its server busy', '100')
    .action(cli.action<Flags>((_, flags) => verify(flags, cli)))
}

async function verify(flags: Flags, cli: Cli): Promise<ExitCode> {
  const jobs = wholeNumber('--jobs', flags.jobs, 64)
  const load = wholeNumber('--load', flags.load, 100) / 100
  if (cli.checksOnly) return EXIT.pass
  const diff = flags.diff === undefined ? null : resolve(cli.cwd, flags.diff)
  // Said before the tables are read, not after.
  if (diff !== null) openDiff(diff).close()
  const progress = cli.progress('verify')
  const [before, after] = [startOf(flags.baseline, cli), startOf(flags.candidate, cli)]
  const momentsLeftOut = before !== undefined && after !== undefined
  const tables = await verifyTables({
    beforeUrl: flags.from,
    afterUrl: flags.to,
    jobs,
    load,
    mapping: await mappingOf(flags, cli),
    ...(flags.ignore === undefined ? {} : { ignore: flags.ignore }),
    ...(momentsLeftOut ? { startedAtMs: { before, after } } : {}),
    onProgress: (done, total, table) => progress.update(done, total, table),
  })
  const schema = await withClient(flags.from, (a) => withClient(flags.to, (b) => compareInOneMoment(a, b)))
  progress.done(`${tables.length} tables`)
  const report = stateReport(tables, schema, { checkedAtMs: Date.now(), momentsLeftOut })
  if (diff !== null) addState(diff, report)
  cli.result(report)
  for (const table of tables) for (const line of tableLines(table)) cli.print(line)
  if (momentsLeftOut) cli.print('-        moments that the replays made are not compared (--baseline, --candidate)')
  for (const line of schemaLines(schema)) cli.print(line)
  return isFaithful(report) ? EXIT.pass : EXIT.failed
}

function wholeNumber(option: string, text: string, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: `${option} cannot be ${JSON.stringify(text)}`,
    detail: `it takes a whole number from 1 to ${most}`,
    exit: EXIT.usage,
  })
}

type Client = Parameters<typeof compareSchemas>[0]

/** In transactions, so that what is set for the question is not left behind. */
async function compareInOneMoment(before: Client, after: Client): Promise<SchemaState> {
  for (const client of [before, after]) await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  return compareSchemas(before, after)
}

async function mappingOf({ mapping, from, to }: Flags, cli: Cli): Promise<Readonly<Record<string, string>>> {
  if (mapping === undefined) return {}
  const catalog = await withClient(from, readCatalog)
  return mappedTables(catalog, await loadRewriter(await openRewrite(resolve(cli.cwd, mapping), catalog, to)))
}

function startOf(path: string | undefined, cli: Cli): number | undefined {
  if (path === undefined) return undefined
  const run = openRun(resolve(cli.cwd, path))
  run.close()
  return run.facts.startedAtMs
}

function tableLines(table: TableState): string[] {
  const counts = `${table.rowsBefore} rows → ${table.rowsAfter}`
  const leftOut = table.columnsLeftOut.length === 0 ? [] : [`         not compared: ${table.columnsLeftOut.join(', ')}`]
  const causes = table.columns.map(({ column, rows, cause }) => `         ${column}: ${cause} (${rows} rows)`)
  if (table.verdict === 'equal') return [`equal    ${table.table}  ${counts}`, ...causes, ...leftOut]
  if (table.verdict === 'missing')
    return [`MISSING  ${table.table}  V2 has no such table; --mapping says what it became`]
  const more = table.more ? ' or more' : ''
  return [
    `DIFFERS  ${table.table}  ${counts}: ${table.missing} missing, ${table.extra} extra, ${table.changed} changed${more}`,
    ...table.columnsMissing.map((column) => `         ${column}: V2 does not have it`),
    ...causes,
    ...leftOut,
  ]
}

function schemaLines({ missing, changed, added, behind, notCompared }: SchemaState): string[] {
  return [
    ...missing.map(({ object, kind, text }) => `FORGOT   ${object}  ${kind} ${oneLine(text)}`),
    ...changed
      .filter(({ rewritten }) => !rewritten)
      .map(({ object, kind, before, after }) => `CHANGED  ${object}  ${kind} ${oneLine(before)} → ${oneLine(after)}`),
    ...behind.map(({ sequence, before, after }) => `BEHIND   ${sequence}  stands at ${after}, V1's at ${before}`),
    ...changed
      .filter(({ rewritten }) => rewritten)
      .map(({ object, kind }) => `rewrote  ${object}  ${kind}: another text, which may well be meant`),
    ...added.map(({ object, kind, text }) => `added    ${object}  ${kind} ${oneLine(text)}`),
    ...notCompared.map((what) => `-        ${what}  has no counterpart of its own name: not compared as schema`),
  ]
}
