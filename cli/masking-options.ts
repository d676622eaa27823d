/** The options that say how personal data is replaced: the same for every command that does it. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, HarnessError } from '../base/errors.js'
import { type Key, loadKey } from '../privacy/key.js'
import { EMPTY_POLICY, type Policy, parsePolicy } from '../privacy/policy/policy.js'
import type { Cli } from './cli.js'

export type MaskingFlags = { readonly policy?: string; readonly keyFile?: string }

const KEY_FILE = 'pgrehearse.key'

export function addMaskingOptions(command: Command): Command {
  return command
    .option('--policy <file>', 'which column holds which kind of personal value; without it all text is replaced')
    .option('--key-file <file>', 'the key of the tokens, made when it does not exist (PGREHEARSE_KEY wins)', KEY_FILE)
}

export function readMaskingOptions(flags: MaskingFlags, cli: Cli): { readonly policy: Policy; readonly key: Key } {
  const policy = readPolicyOption(flags.policy, cli)
  const file = resolve(cli.cwd, flags.keyFile ?? KEY_FILE)
  const { key, from } = loadKey({ value: cli.env.PGREHEARSE_KEY, file })
  if (from === 'made') cli.note(`made the key of the tokens: ${file} (whoever has it can test guesses; keep it)`)
  return { policy, key }
}

export function readPolicyOption(file: string | undefined, cli: Cli): Policy {
  return file === undefined ? EMPTY_POLICY : readPolicy(resolve(cli.cwd, file))
}

function readPolicy(path: string): Policy {
  try {
    return parsePolicy(readFileSync(path, 'utf8'), path)
  } catch (cause) {
    if (cause instanceof HarnessError) throw cause
    throw new HarnessError({
      code: 'POLICY_UNREADABLE',
      message: `cannot read the policy ${path}`,
      detail: (cause as NodeJS.ErrnoException).code ?? 'unknown error',
      hint: 'Check the path given as --policy.',
      exit: EXIT.usage,
      cause,
    })
  }
}
