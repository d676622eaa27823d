/**
 * `pgrehearse report`: what a diff says, in every form a reader may want. Says the verdict, but leaves the exit code to `gate`.
 */
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import type { Command } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { buildModel, judgeDiff } from '../../reports/build-model.js'
import { count, counted } from '../../reports/format.js'
import type { ReportModel } from '../../reports/model.js'
import { changesSince, changesText, parseModel } from '../../reports/since.js'
import { findingsTable } from '../../reports/table.js'
import { checkTargets, type Targets, writeReport } from '../../reports/write.js'
import { openDiff } from '../../segment/diff-file.js'
import { parseWebhook, sendAlerts } from '../alerts.js'
import type { Cli } from '../cli.js'
import { DEFAULT_TABLE, type Exported, exportDiscrepancies, parseTableName } from '../discrepancy-table.js'
import { printVerdict, readGate, readHistory } from '../gate-config-file.js'
import { parseDuration } from '../units.js'

type Options = {
  readonly html?: string
  readonly junit?: string
  /** `--json FILE` writes the model there; `--json` alone is the switch that every command has. */
  readonly json?: string | true
  readonly markdown?: string
  readonly prometheus?: string
  readonly csv?: string
  readonly postgres?: string
  readonly postgresTable: string
  readonly gate?: string
  readonly compare?: string
  readonly alerts?: string
  readonly alertsWithin: string
  readonly force?: boolean
}

const ROWS_MAX = 20
const SQLITE = 'SQLite format 3'

export function register(program: Command, cli: Cli): void {
  program
    .command('report')
    .description('write what a diff says: a page, JUnit, JSON, a comment, metrics, CSV, a table')
    .argument('<diff>', 'file made by compare; with --compare also a report that --json FILE wrote')
    .option('--html <file>', 'the page: one self-contained file')
    .option('--junit <file>', 'a case per query shape and per check of the gate')
    .option('--json [file]', 'the model all others are made from; without a file: one object on stdout')
    .option('--markdown <file>', 'a comment for a pull request')
    .option('--prometheus <file>', "figures in Prometheus's text format")
    .option('--csv <file>', 'all discrepancies')
    .option('--postgres <url>', 'all discrepancies into a table of that database, which is made if it is not there')
    .option('--postgres-table <name>', 'the table, or schema.table', DEFAULT_TABLE)
    .option('--compare <old.json>', 'say what changed since: a report that --json FILE wrote')
    .option(
      '--alerts <url>',
      'POST each finding, once, to URL/api/v1/comparator/alerts; what cannot be delivered is sent the next time',
    )
    .option('--alerts-within <time>', 'wait so long for the receiver of alerts, at most', '10s')
    .option('--gate <file>', 'judge by this gate.yaml instead of the defaults')
    .option('--force', 'replace files that exist')
    .action(
      cli.action<Options>(async ([path = ''], options) => {
        const targets = targetsOf(options)
        if (options.compare !== undefined) return since(options.compare, path, targets, options, cli)
        const force = options.force === true
        checkTargets(targets, { force })
        const webhook = options.alerts === undefined ? null : parseWebhook(options.alerts)
        const withinMs = parseDuration(options.alertsWithin, '--alerts-within')
        const tableName = parseTableName(options.postgresTable)
        const config = readGate(options.gate)
        const history = readHistory(config, options.gate)
        if (cli.checksOnly) return EXIT.pass
        const diff = openDiff(path)
        try {
          const { facts, gate } = judgeDiff(diff, config, Date.now(), history)
          const model = buildModel(diff, facts, gate, path)
          const files = writeReport(model, diff, targets, { force })
          printVerdict(cli, model.verdict, model.headline, model.why)
          const table = findingsTable(model, {
            columns: process.stdout.columns ?? 100,
            color: process.stdout.hasColors?.() === true,
            rowsMax: ROWS_MAX,
          })
          if (table !== '') cli.print(`\n${table}`)
          if (files.length > 0) cli.print()
          for (const file of files) cli.print(`  ${file.kind.padEnd(10)} ${file.path}`)
          const exported =
            options.postgres === undefined
              ? null
              : await exportDiscrepancies(diff, options.postgres, tableName, cli.signal)
          if (exported !== null) cli.print(`  postgres   ${exported.place}: ${exportedWords(exported)}`)
          // Last: whoever waits for the report has it by now.
          const alerts = webhook && (await sendAlerts(diff, path, webhook, withinMs, cli))
          cli.result({
            verdict: model.verdict,
            headline: model.headline,
            why: model.why,
            files,
            ...(exported === null ? {} : { postgres: exported }),
            ...(alerts === null ? {} : { alerts }),
          })
          return EXIT.pass
        } finally {
          diff.close()
        }
      }),
    )
}

function exportedWords({ added, known }: Exported): string {
  return `${counted(added, 'discrepancy', 'discrepancies')} added${known === 0 ? '' : `, ${count(known)} were there`}`
}

/** Prints what changed; writes nothing. */
function since(oldPath: string, newPath: string, targets: Targets, options: Options, cli: Cli): ExitCode {
  const others = [...Object.keys(targets), ...(['postgres', 'alerts'] as const).filter((name) => options[name])]
  if (others.length > 0) {
    throw new HarnessError({
      code: 'OPTION_CONFLICT',
      message: `--compare writes no ${others.join(', ')}`,
      detail: 'it says what changed between two reports.',
      hint: 'Write the report first, then compare it with the older one.',
      exit: EXIT.usage,
    })
  }
  const before = parseModel(readText(oldPath), oldPath)
  const after = isDiff(newPath) ? modelOfDiff(newPath, options.gate) : parseModel(readText(newPath), newPath)
  const changes = changesSince(before, after)
  cli.print(changesText(changes))
  cli.result(changes)
  return EXIT.pass
}

/** Everything else is taken for a report, which says so when it is none. */
function isDiff(path: string): boolean {
  if (!existsSync(path) || !statSync(path).isFile()) return false
  const header = Buffer.alloc(SQLITE.length)
  const file = openSync(path, 'r')
  try {
    readSync(file, header)
  } finally {
    closeSync(file)
  }
  return header.toString('latin1') === SQLITE
}

function modelOfDiff(path: string, gatePath: string | undefined): ReportModel {
  const config = readGate(gatePath)
  const diff = openDiff(path)
  try {
    const { facts, gate } = judgeDiff(diff, config, Date.now(), readHistory(config, gatePath))
    return buildModel(diff, facts, gate, path)
  } finally {
    diff.close()
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new HarnessError({
      code: 'REPORT_UNREADABLE',
      message: `cannot read report ${path}`,
      detail: `the system says ${(error as NodeJS.ErrnoException).code ?? 'no'}.`,
      hint: 'Check the path; `pgrehearse report DIFF --json FILE` writes a report.',
      exit: EXIT.usage,
    })
  }
}

function targetsOf({ html, junit, json, markdown, prometheus, csv }: Options): Targets {
  return {
    ...(html === undefined ? {} : { html }),
    ...(junit === undefined ? {} : { junit }),
    ...(typeof json === 'string' ? { json } : {}),
    ...(markdown === undefined ? {} : { markdown }),
    ...(prometheus === undefined ? {} : { prometheus }),
    ...(csv === undefined ? {} : { csv }),
  }
}
