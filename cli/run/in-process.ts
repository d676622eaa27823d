/**
 * A command of ours, run within another: the same options, the same work, the same errors. What it would have printed is kept back
 * unless it is wanted; its progress and notes go where ours go.
 */
import { Command } from 'commander'
import { EXIT, type ExitCode } from '../../base/errors.js'
import type { Cli } from '../cli.js'

type Register = (program: Command, cli: Cli) => void

export type Done = { readonly code: ExitCode; readonly result: unknown }

export async function runInProcess(
  register: Register,
  args: readonly string[],
  version: string,
  cli: Cli,
  { shows = false }: { readonly shows?: boolean } = {},
): Promise<Done> {
  let code: ExitCode = EXIT.pass
  let result: unknown = null
  const within: Cli = {
    ...cli,
    print: (text) => {
      if (shows) cli.print(text)
    },
    result: (value) => {
      result = value
    },
    action:
      (work) =>
      async (...all) => {
        code = await work(all.slice(0, -2).flat() as string[], all.at(-2) as never, all.at(-1) as Command)
      },
  }
  const program = programOf(register, version, within)
  await program.parseAsync([...args], { from: 'user' })
  return { code, result }
}

/** Three replays on one server have the same to say about it. */
export function sayingOnce(cli: Cli): Cli {
  const said = new Set<string>()
  return {
    ...cli,
    note: (text) => {
      if (!said.has(text)) cli.note(text)
      said.add(text)
    },
  }
}

/** As registered, for its options. */
export function programOf(register: Register, version: string, cli: Cli): Command {
  const program = new Command('pgrehearse').version(version).exitOverride()
  register(program, cli)
  quiet(program)
  return program
}

/** A usage error is ours to tell, not commander's to print. */
function quiet(command: Command): void {
  command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} })
  for (const child of command.commands) quiet(child)
}
