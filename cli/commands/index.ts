/** All commands, in the order in which help lists them. */
import type { Command } from 'commander'
import type { Cli } from '../cli.js'

export const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = []
