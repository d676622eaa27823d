/** The inspect command alone, as a process of its own. */
import { Command } from 'commander'
import { createCli } from '../../cli/cli.js'
import { register } from '../../cli/commands/inspect.js'

const program = new Command()
register(program, createCli(process))
for (const command of program.commands) command.option('--json')
await program.parseAsync(process.argv)
