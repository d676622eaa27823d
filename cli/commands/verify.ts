/**
 * `pgrehearse verify`: after the replays, whether V2's tables hold what V1's became, and what the migration forgot. Reads only.
 */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../../base/errors.js'
import { type TableComparison, verifyTables } from '../../replayer/compare/verify.js'
import { mappedTables } from '../../replayer/compare/verify-mapping.js'
import { compareSchemas, type SchemaComparison } from '../../replayer/compare/verify-schema.js'
import { openRewrite } from '../../replayer/rewrite/open.js'
import { loadRewriter } from '../../replayer/rewrite/rewriter.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { openRun } from '../../segment/run-file.js'
import { readCatalog } from '../../sql/read-catalog.js'
import type { Cli } from '../cli.js'

type Flags = {
  readonly from: string
  readonly to: string
  readonly mapping?: string
  readonly baseline?: string
  readonly candidate?: string
  readonly ignore?: readonly string[]
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
    .action(cli.action<Flags>((_, flags) => verify(flags, cli)))
}

async function verify(flags: Flags, cli: Cli): Promise<ExitCode> {
  const progress = cli.progress('verify')
  const [before, after] = [startOf(flags.baseline, cli), startOf(flags.candidate, cli)]
  const tables = await verifyTables({
    beforeUrl: flags.from,
    afterUrl: flags.to,
    mapping: await mappingOf(flags, cli),
    ...(flags.ignore === undefined ? {} : { ignore: flags.ignore }),
    ...(before === undefined || after === undefined ? {} : { startedAtMs: { before, after } }),
    onProgress: (done, total, table) => progress.update(done, total, table),
  })
  const schema = await withClient(flags.from, (a) => withClient(flags.to, (b) => compareInOneMoment(a, b)))
  progress.done(`${tables.length} tables`)
  cli.result({ tables, schema })
  for (const table of tables) for (const line of tableLines(table)) cli.print(line)
  if (before !== undefined && after !== undefined)
    cli.print('-        moments that the replays made are not compared (--baseline, --candidate)')
  for (const line of schemaLines(schema)) cli.print(line)
  const differ = tables.some(({ verdict }) => verdict !== 'equal') || schema.missing.length + schema.behind.length > 0
  return differ ? EXIT.failed : EXIT.pass
}

type Client = Parameters<typeof compareSchemas>[0]

/** In transactions, so that what is set for the question is not left behind. */
async function compareInOneMoment(before: Client, after: Client): Promise<SchemaComparison> {
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

function tableLines(table: TableComparison): string[] {
  const counts = `${table.rowsBefore} rows → ${table.rowsAfter}`
  const leftOut = table.columnsLeftOut.length === 0 ? [] : [`         not compared: ${table.columnsLeftOut.join(', ')}`]
  if (table.verdict === 'equal') return [`equal    ${table.table}  ${counts}`, ...leftOut]
  if (table.verdict === 'missing')
    return [`MISSING  ${table.table}  V2 has no such table; --mapping says what it became`]
  const more = table.more ? ' or more' : ''
  return [
    `DIFFERS  ${table.table}  ${counts}: ${table.missing} missing, ${table.extra} extra, ${table.changed} changed${more}`,
    ...table.columnsMissing.map((column) => `         ${column}: V2 does not have it`),
    ...table.columns.map(({ column, rows, cause }) => `         ${column}: ${cause} (${rows} rows)`),
    ...leftOut,
  ]
}

function schemaLines({ missing, added, behind, notCompared }: SchemaComparison): string[] {
  return [
    ...missing.map(({ table, kind, text }) => `FORGOT   ${table}  ${kind} ${oneLine(text)}`),
    ...behind.map(({ sequence, before, after }) => `BEHIND   ${sequence}  stands at ${after}, V1's at ${before}`),
    ...added.map(({ table, kind, text }) => `added    ${table}  ${kind} ${oneLine(text)}`),
    ...notCompared.map((what) => `-        ${what}  has no counterpart of its own name: not compared as schema`),
  ]
}

const TEXT_MAX = 300

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX - 1)}…` : line
}
