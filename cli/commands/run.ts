/**
 * `pgrehearse run`: the whole rehearsal from one file: goldens, baseline, noise, candidate, comparison, table state, report, gate.
 * What is still right from the last time is not done again. The exit code is the gate's.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import type { Cli } from '../cli.js'
import { checkOptions } from '../run/check-options.js'
import { type Commands, parseRunConfig } from '../run/config.js'
import { programOf, sayingOnce } from '../run/in-process.js'
import { lockFolder } from '../run/kept.js'
import { performSteps, stepLine } from '../run/perform.js'
import { planSteps } from '../run/plan-steps.js'
import type { Rehearsal } from '../run/rehearsal.js'
import { Servers } from '../run/servers.js'
import { register as compare } from './compare.js'
import { register as replay } from './replay.js'
import { register as report } from './report.js'
import { register as snapshot } from './snapshot.js'
import { register as verify } from './verify.js'

type Flags = { readonly config: string; readonly dryRun?: boolean; readonly fresh?: boolean }

export function register(program: Command, cli: Cli): void {
  program
    .command('run')
    .description('the whole rehearsal from one file; exit code 0 passes, 1 fails, 3 cannot be vouched for')
    .option('-c, --config <file>', 'what to rehearse, and how; `pgrehearse init` writes one', 'pgrehearse.yaml')
    .option('--dry-run', 'say what would be done and why, and do nothing')
    .option('--fresh', 'do everything anew, also what is still right from the last time')
    .action(cli.action<Flags>((_, flags) => run(flags, program.version() ?? '', cli)))
}

async function run(flags: Flags, version: string, cli: Cli): Promise<ExitCode> {
  const path = resolve(cli.cwd, flags.config)
  const folder = dirname(path)
  const config = parseRunConfig(readText(path, flags.config), flags.config, commandsOf(version, cli), cli.env)
  const out = resolve(folder, config.out)
  const binaries = config.serverBin === undefined ? undefined : resolve(folder, config.serverBin)
  const servers = new Servers(out, binaries)
  const rehearsal: Rehearsal = { config, folder, out, servers, version, fresh: flags.fresh === true }
  await checkOptions(rehearsal, flags.config, cli)
  if (flags.dryRun === true) return dryRun(rehearsal, cli)
  const unlock = lockFolder(out, process.pid, isAlive)
  try {
    const { keys, decisions } = await planSteps(rehearsal, { starts: true })
    cli.signal.throwIfAborted()
    const { exit, steps, results } = await performSteps(rehearsal, keys, decisions, sayingOnce(cli))
    cli.result({ exit, steps, report: results[0], gate: results[1] })
    return exit
  } finally {
    await servers.stop()
    unlock()
  }
}

async function dryRun(rehearsal: Rehearsal, cli: Cli): Promise<ExitCode> {
  const { decisions } = await planSteps(rehearsal, { starts: false })
  cli.result({ steps: decisions })
  for (const { step, action, why } of decisions) cli.print(stepLine(step, action, why))
  cli.print(stepLine('report', 'do', 'always'))
  cli.print(stepLine('gate', 'do', 'always: exceptions end on their day'))
  return EXIT.pass
}

/** Only for their options: nothing of them runs. */
function commandsOf(version: string, cli: Cli): Commands {
  const find = (register: Parameters<typeof programOf>[0], ...path: readonly string[]): Command =>
    path.reduce<Command>(
      (command, name) => command.commands.find((child) => child.name() === name)!,
      programOf(register, version, cli),
    )
  return {
    restore: find(snapshot, 'snapshot', 'restore'),
    replay: find(replay, 'replay'),
    compare: find(compare, 'compare'),
    verify: find(verify, 'verify'),
    report: find(report, 'report'),
  }
}

function readText(path: string, named: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new HarnessError({
      code: 'RUN_CONFIG_UNREADABLE',
      message: `cannot read ${named}`,
      detail: `the system says ${(error as NodeJS.ErrnoException).code ?? 'no'}.`,
      hint: '`pgrehearse init --from V1 --to SHADOWS` writes one to start from.',
      exit: EXIT.usage,
    })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
