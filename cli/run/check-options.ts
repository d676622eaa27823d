/**
 * The values of pgrehearse.yaml, before the first step: each command says whether it can read its own, so that a mistake in the last
 * step's is told before hours of replaying, not after.
 */
import { dirname, resolve, sep } from 'node:path'
import { HarnessError } from '../../base/errors.js'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { readMapping } from '../../replayer/rewrite/open.js'
import type { Cli } from '../cli.js'
import { register as compare } from '../commands/compare.js'
import { register as replay } from '../commands/replay.js'
import { register as report } from '../commands/report.js'
import { register as snapshot } from '../commands/snapshot.js'
import { register as verify } from '../commands/verify.js'
import { type Section, toArguments } from './config.js'
import { runInProcess } from './in-process.js'
import { fromFolder, reportSection } from './perform.js'
import type { Rehearsal } from './rehearsal.js'

/** Stands where `run` will put a target or a file of its own. */
const LATER = 'postgres://later'

/** `file`: as the user named it. */
export async function checkOptions({ config, folder, out, version }: Rehearsal, file: string, cli: Cli): Promise<void> {
  const path = (name: string) => resolve(folder, name)
  const within: Cli = { ...cli, checksOnly: true }
  const check = async (section: string, register: Parameters<typeof runInProcess>[0], args: readonly string[]) => {
    try {
      await runInProcess(register, args, version, within)
    } catch (error) {
      throw named(error, file, section)
    }
  }
  await check('restore', snapshot, ['snapshot', 'restore', LATER, `--to=${LATER}`, ...toArguments(config.restore)])
  for (const side of ['baseline', 'candidate'] as const) {
    const settings = toArguments(fromFolder(config[side], folder))
    await check(side, replay, ['replay', path(config.recording), `--target=${LATER}`, `--out=${LATER}`, ...settings])
  }
  if (config.v2.mapping !== undefined) parseMapping(readMapping(path(config.v2.mapping)), path(config.v2.mapping))
  await check('compare', compare, ['compare', LATER, LATER, `--out=${LATER}`, ...toArguments(config.compare)])
  if (config.verify !== null)
    await check('verify', verify, ['verify', `--from=${LATER}`, `--to=${LATER}`, ...toArguments(config.verify)])
  const files = outside(out, reportSection(config, folder))
  const gate = config.gate === undefined ? [] : [`--gate=${path(config.gate)}`]
  await check('report', report, ['report', LATER, '--force', ...toArguments(files), ...gate])
}

/** The folder of results may not be there yet; it will be. */
function outside(out: string, section: Section): Section {
  return Object.fromEntries(
    Object.entries(section).filter(([, value]) => !`${dirname(String(value))}${sep}`.startsWith(`${out}${sep}`)),
  )
}

/** The command speaks of its option; the reader looks at a section of the file. */
function named(error: unknown, file: string, section: string): unknown {
  if (!(error instanceof HarnessError) || error.code !== 'OPTION_VALUE') return error
  const { code, message, detail, hint, exit } = error
  return new HarnessError({
    code,
    message: `${file}, ${section}: ${message}`,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    exit,
  })
}
