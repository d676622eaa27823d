#!/usr/bin/env node
/**
 * argv in, exit code out. A file per command in ./commands; each describes its options and calls one function of the rooms below.
 */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { EXIT } from '../base/errors.js'
import { createCli } from './cli.js'
import { COMMANDS } from './commands/index.js'

const program = new Command('pgrehearse')
  .description("Rehearse a PostgreSQL cutover with production's own traffic, offline.")
  .version(version(), '-V, --version')
  .showHelpAfterError('Run with --help to see what is possible.')
  .exitOverride()

const cli = createCli(process)
for (const register of COMMANDS) register(program, cli)
addCommonOptions(program)

try {
  await program.parseAsync(process.argv)
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? EXIT.pass : EXIT.usage
}

function addCommonOptions(command: Command): void {
  if (command.commands.length === 0 && !command.options.some((option) => option.long === '--json'))
    command.option('--json', 'print one machine-readable object on stdout and nothing else')
  for (const child of command.commands) addCommonOptions(child)
  command.exitOverride()
}

function version(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return (parsed as { version: string }).version
}
