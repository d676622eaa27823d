/**
 * `pgrehearse gate`: the verdict as an exit code. 0 passes, 1 fails, 3 cannot be vouched for.
 */
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../../base/errors.js'
import { judgeDiff } from '../../reports/build-model.js'
import { counted } from '../../reports/format.js'
import type { GateLine, Verdict } from '../../reports/gate.js'
import { remembered } from '../../reports/gate-streak.js'
import { githubAnnotations } from '../../reports/github.js'
import { needsExplaining, quantity } from '../../reports/quantity.js'
import { plain } from '../../reports/text.js'
import { openDiff } from '../../segment/diff-file.js'
import type { Cli } from '../cli.js'
import { readGate, readHistory, writeHistory } from '../gate-config-file.js'

type Options = { readonly config?: string }

const EXIT_OF: Readonly<Record<Verdict, ExitCode>> = { PASS: EXIT.pass, FAIL: EXIT.failed, INVALID: EXIT.invalid }
const MARKS: Readonly<Record<GateLine['outcome'], string>> = { pass: 'pass', fail: 'FAIL', 'not judged': '-' }

export function register(program: Command, cli: Cli): void {
  program
    .command('gate')
    .description('judge a diff: exit code 0 passes, 1 fails, 3 means the measurement cannot be vouched for')
    .argument('<diff>', 'file made by compare')
    .option('--config <file>', 'gate.yaml; without it the defaults hold')
    .action(
      cli.action<Options>(async ([path = ''], options) => {
        const config = readGate(options.config)
        const diff = openDiff(path)
        try {
          const history = readHistory(config, options.config)
          const { gate, facts } = judgeDiff(diff, config, Date.now(), history)
          if (config.streakRuns !== undefined && options.config !== undefined) {
            const { id: diffId, createdAtMs: comparedAtMs } = diff.facts
            writeHistory(options.config, remembered({ diffId, comparedAtMs, verdict: gate.ownVerdict }, history))
          }
          cli.result(gate)
          cli.print(gate.verdict)
          for (const line of gate.lines) cli.print(lineText(line))
          for (const { query, reason, until, state } of gate.overrides) {
            cli.print(`  override   ${query} ${state}, until ${until}: ${reason}`)
          }
          for (const { object, reason, until, state } of gate.stateOverrides) {
            cli.print(`  override   ${plain(object)} ${state}, until ${until}: ${reason}`)
          }
          const leaks = diff.vouching().audit?.count ?? 0
          if (leaks > 0) cli.print(`  leaks      ${counted(leaks, 'personal value')} found in what was written`)
          if (cli.env.GITHUB_ACTIONS !== undefined) {
            for (const annotation of githubAnnotations(gate, facts.findings, facts.state?.findings, leaks))
              cli.print(annotation)
          }
          return EXIT_OF[gate.verdict]
        } finally {
          diff.close()
        }
      }),
    )
}

function lineText(line: GateLine): string {
  const allowed = `${line.bound === 'max' ? '≤' : '≥'} ${quantity(line.threshold, line.unit)}`
  const actual = line.actual === null ? '-' : quantity(line.actual, line.unit)
  return `  ${MARKS[line.outcome].padEnd(5)} ${line.title.padEnd(48)} ${allowed.padStart(10)}  ${actual.padStart(9)}  ${needsExplaining(line) ? line.explanation : ''}`.trimEnd()
}
