/**
 * `pgrehearse report`: what a diff says, in every form a reader may want. Says the verdict, but leaves the exit code to `gate`.
 */
import type { Command } from 'commander'
import { EXIT } from '../../base/errors.js'
import { buildModel, judgeDiff } from '../../reports/build-model.js'
import { findingsTable } from '../../reports/table.js'
import { checkTargets, type Targets, writeReport } from '../../reports/write.js'
import { openDiff } from '../../segment/diff-file.js'
import type { Cli } from '../cli.js'
import { printVerdict, readGate } from '../gate-config-file.js'

type Options = {
  readonly html?: string
  readonly junit?: string
  /** `--json FILE` writes the model there; `--json` alone is the switch that every command has. */
  readonly json?: string | true
  readonly markdown?: string
  readonly prometheus?: string
  readonly csv?: string
  readonly gate?: string
  readonly force?: boolean
}

const ROWS_MAX = 20

export function register(program: Command, cli: Cli): void {
  program
    .command('report')
    .description('write what a diff says: a page, JUnit, JSON, a comment, metrics, CSV')
    .argument('<diff>', 'file made by compare')
    .option('--html <file>', 'the page: one self-contained file')
    .option('--junit <file>', 'a case per query shape and per check of the gate')
    .option('--json [file]', 'the model all others are made from; without a file: one object on stdout')
    .option('--markdown <file>', 'a comment for a pull request')
    .option('--prometheus <file>', "figures in Prometheus's text format")
    .option('--csv <file>', 'all discrepancies')
    .option('--gate <file>', 'judge by this gate.yaml instead of the defaults')
    .option('--force', 'replace files that exist')
    .action(
      cli.action<Options>(async ([path = ''], options) => {
        const targets = targetsOf(options)
        const force = options.force === true
        checkTargets(targets, { force })
        const config = readGate(options.gate)
        const diff = openDiff(path)
        try {
          const { facts, gate } = judgeDiff(diff, config, Date.now())
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
          cli.result({ verdict: model.verdict, headline: model.headline, why: model.why, files })
          return EXIT.pass
        } finally {
          diff.close()
        }
      }),
    )
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
