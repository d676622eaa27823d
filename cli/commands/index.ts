/** All commands, in the order in which help lists them. */
import type { Command } from 'commander'
import type { Cli } from '../cli.js'
import { register as compare } from './compare.js'
import { register as demo } from './demo.js'
import { register as gate } from './gate.js'
import { register as init } from './init.js'
import { register as inspect } from './inspect.js'
import { register as plan } from './plan.js'
import { register as policy } from './policy.js'
import { register as record } from './record.js'
import { register as replay } from './replay.js'
import { register as report } from './report.js'
import { register as reproduce } from './reproduce.js'
import { register as rewrite } from './rewrite.js'
import { register as run } from './run.js'
import { register as snapshot } from './snapshot.js'
import { register as verify } from './verify.js'

export const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  demo,
  init,
  run,
  record,
  snapshot,
  policy,
  inspect,
  plan,
  rewrite,
  replay,
  compare,
  verify,
  report,
  gate,
  reproduce,
]
