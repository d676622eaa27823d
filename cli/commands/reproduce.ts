/**
 * `pgrehearse reproduce`: one discrepancy, by hand: a psql script for the two databases, or, with --run, what they answer.
 */
import type { Command } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { parametersOf, type Standalone, standalone, standalones } from '../../reports/psql-text.js'
import { reproduceScript, type Urls } from '../../reports/reproduce.js'
import { isSame, reproductionText } from '../../reports/reproduction.js'
import type { Discrepancy } from '../../segment/diff.js'
import { type DiffReader, openDiff } from '../../segment/diff-file.js'
import { loadParser } from '../../sql/parse.js'
import type { Cli } from '../cli.js'
import { answerOf } from '../reproduce-run.js'

type Options = { readonly before?: string; readonly after?: string; readonly run?: boolean }

export function register(program: Command, cli: Cli): void {
  program
    .command('reproduce')
    .description('one discrepancy by hand: prints a psql script that shows it on V1 and V2, or runs it')
    .argument('<diff>', 'file made by compare')
    .argument('<id>', 'alert id of a discrepancy, or id of a finding: its first example')
    .option('--before <url>', 'a database as V1 has it')
    .option('--after <url>', 'a database as V2 has it')
    .option('--run', 'run the statement on both, roll back, and show what differs')
    .action(
      cli.action<Options>(async ([path = '', id = ''], options) => {
        const urls = urlsOf(options)
        await loadParser()
        const diff = openDiff(path)
        try {
          const discrepancy = find(diff, id, path)
          return options.run === true ? await run(discrepancy, urls!, cli) : print(discrepancy, urls, cli)
        } finally {
          diff.close()
        }
      }),
    )
}

function urlsOf({ before, after, run }: Options): Urls | null {
  if (before !== undefined && after !== undefined) return { before, after }
  if (before === undefined && after === undefined && run !== true) return null
  const missing =
    before === undefined ? '--before URL, a database as V1 has it' : '--after URL, a database as V2 has it'
  throw new HarnessError({
    code: 'OPTION_MISSING',
    message: `reproduce needs ${missing}`,
    detail: run === true ? '--run asks both databases' : 'one side alone shows no difference',
    hint: 'Give --before and --after, or neither to get a script that is told at the time of running.',
    exit: EXIT.usage,
  })
}

function find(diff: DiffReader, id: string, path: string): Discrepancy {
  const example = diff.findings().find(({ findingId }) => findingId === id)?.exampleAlertIds[0]
  const found = diff.discrepancy(example ?? id)
  if (found !== undefined) return found
  const [any] = diff.discrepancies({ limit: 1 })
  throw new HarnessError({
    code: 'NO_SUCH_DISCREPANCY',
    message: `${path} has no discrepancy ${JSON.stringify(id)}`,
    ...(any === undefined
      ? { detail: 'it has none at all: the runs agree' }
      : { detail: `an id looks like ${any.alertId} (a discrepancy) or ${any.findingId} (a finding)` }),
    hint: 'The page shows the command for each example; `pgrehearse report DIFF --csv FILE` lists all ids, in its column alert_id.',
    exit: EXIT.usage,
  })
}

type Shown = Standalone & { readonly refusal: null }

function statementOf({ sql, alertId }: Discrepancy): Shown {
  return shown(standalone(sql), alertId)
}

/** What V2 is asked: the same, or what the replay sent in its place. */
function statementsAfter({ sql, sqlAfter, alertId }: Discrepancy): readonly Shown[] {
  return standalones(sqlAfter ?? sql).map((one) => shown(one, alertId))
}

function shown(statement: Standalone, alertId: string): Shown {
  if (statement.refusal === null) return statement
  throw new HarnessError({
    code: 'CANNOT_REPRODUCE',
    message: `cannot show ${alertId} by itself`,
    detail: statement.refusal,
    hint: 'Replay the recording again; `pgrehearse compare RUN_A RUN_B --explain ID` says how the statement was judged.',
    exit: EXIT.usage,
  })
}

function print(discrepancy: Discrepancy, urls: Urls | null, cli: Cli): ExitCode {
  const script = reproduceScript(discrepancy, statementOf(discrepancy), urls, statementsAfter(discrepancy))
  cli.print(script.trimEnd())
  cli.result({ alertId: discrepancy.alertId, script })
  return EXIT.pass
}

async function run(discrepancy: Discrepancy, urls: Urls, cli: Cli): Promise<ExitCode> {
  const askedOf = (statements: readonly Shown[]) =>
    statements.map(({ sql }) => ({ sql, parameters: discrepancy.parameters.slice(0, parametersOf(sql)) }))
  const before = await answerOf(urls.before, askedOf([statementOf(discrepancy)]), cli.signal)
  const asked = askedOf(statementsAfter(discrepancy))
  const after = await answerOf(urls.after, asked, cli.signal, discrepancy.answersAfter)
  const { alertId } = discrepancy
  cli.print(reproductionText({ before, after }, { color: process.stdout.hasColors?.() === true }))
  cli.result({ alertId, same: isSame({ before, after }), before, after })
  return EXIT.pass
}
