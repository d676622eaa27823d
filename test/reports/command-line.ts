/** Runs a command as main does, on a host that only listens. */
import { Command } from 'commander'
import { createCli } from '../../cli/cli.js'
import { register as gate } from '../../cli/commands/gate.js'
import { register as policy } from '../../cli/commands/policy.js'
import { register as replay } from '../../cli/commands/replay.js'
import { register as report } from '../../cli/commands/report.js'
import { register as reproduce } from '../../cli/commands/reproduce.js'
import { register as snapshot } from '../../cli/commands/snapshot.js'
import { register as verify } from '../../cli/commands/verify.js'

export type Ran = { readonly exit: number; readonly out: string; readonly err: string }

export async function pgrehearse(cwd: string, ...args: string[]): Promise<Ran> {
  return pgrehearseWith(cwd, {}, ...args)
}

export async function pgrehearseWith(cwd: string, env: Record<string, string>, ...args: string[]): Promise<Ran> {
  const said = { out: '', err: '' }
  const host = {
    env,
    cwd: () => cwd,
    on: () => host,
    exit: () => {},
    exitCode: 0,
    stdout: { write: (text: string) => (said.out += text), on: () => {} },
    stderr: { on: () => {}, write: (text: string) => (said.err += text), isTTY: false },
  }
  const cli = createCli(host as unknown as NodeJS.Process)
  const program = new Command('pgrehearse').exitOverride()
  for (const register of [replay, report, gate, reproduce, verify, snapshot, policy]) register(program, cli)
  for (const command of program.commands) {
    if (!command.options.some(({ long }) => long === '--json')) command.option('--json')
  }
  await program.parseAsync(args, { from: 'user' })
  return { exit: host.exitCode, ...said }
}
