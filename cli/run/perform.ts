/**
 * A rehearsal, step by step: each is one of our commands, run in this process with what the file says. A step is remembered when it is
 * whole; a replay that was interrupted is gone on with by the next run, whatever else was is cleared away and done again.
 */
import { existsSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { duration } from '../../reports/format.js'
import type { Cli } from '../cli.js'
import { register as compare } from '../commands/compare.js'
import { register as gate } from '../commands/gate.js'
import { register as policy } from '../commands/policy.js'
import { register as replay } from '../commands/replay.js'
import { register as report } from '../commands/report.js'
import { register as snapshot } from '../commands/snapshot.js'
import { register as verify } from '../commands/verify.js'
import { type RunConfig, type Section, toArguments } from './config.js'
import type { Decision } from './decide.js'
import { type Done, runInProcess } from './in-process.js'
import { type Kept, type KeptStep, readKept, writeKept } from './kept.js'
import type { Keys, StepName } from './keys.js'
import { databaseOf, fileOf, isReplay, type Rehearsal, type ReplayStep, type Side, sideOf } from './rehearsal.js'
import { clearAway } from './servers.js'

export type StepReport = Decision & { readonly elapsedMs: number | null }

export async function performSteps(
  rehearsal: Rehearsal,
  keys: Keys,
  decisions: readonly Decision[],
  cli: Cli,
): Promise<{ readonly exit: ExitCode; readonly steps: readonly StepReport[]; readonly results: readonly unknown[] }> {
  const { out } = rehearsal
  const steps: StepReport[] = []
  for (const decision of decisions) {
    const { step, action, why } = decision
    if (action === 'reuse' || action === 'leave out') {
      steps.push({ ...decision, elapsedMs: null })
      cli.print(stepLine(step, action, why))
      continue
    }
    const startedAtMs = performance.now()
    const { code } = await perform(decision, rehearsal, keys, cli)
    if (cli.signal.aborted) throw interrupted(step)
    const elapsedMs = Math.round(performance.now() - startedAtMs)
    // A measurement that cannot vouch for itself is shown, and not kept for the next time.
    if (code !== EXIT.invalid) await keep(step, rehearsal, keys, elapsedMs)
    steps.push({ ...decision, elapsedMs })
    cli.print(stepLine(step, duration(elapsedMs), why))
  }
  const diff = nameFor(fileOf('compare', keys, out)!, cli)
  const reported = await runInProcess(report, ['report', diff, ...reportArguments(rehearsal)], rehearsal.version, cli, {
    shows: true,
  })
  cli.print()
  const judged = await runInProcess(gate, ['gate', diff, ...gateArguments(rehearsal)], rehearsal.version, cli, {
    shows: true,
  })
  return { exit: judged.code, steps, results: [reported.result, judged.result] }
}

export function stepLine(step: string, what: string, why: string): string {
  return `  ${step.padEnd(10)} ${what.padEnd(12)} ${why}`
}

function perform({ step, action }: Decision, rehearsal: Rehearsal, keys: Keys, cli: Cli): Promise<Done> {
  if (step === 'golden V1' || step === 'golden V2') return restoreGolden(step, rehearsal, keys, cli)
  if (step === 'fidelity') return compareWithProduction(rehearsal, keys, cli)
  if (step === 'compare') return compareRuns(rehearsal, keys, cli)
  if (step === 'audit') return lookForLeaks(rehearsal, keys, cli)
  if (step === 'verify') return verifyTables(rehearsal, keys, cli)
  return action === 'go on' ? goOnWith(step, rehearsal, keys, cli) : replayOn(step, rehearsal, keys, cli)
}

async function restoreGolden(
  step: 'golden V1' | 'golden V2',
  rehearsal: Rehearsal,
  keys: Keys,
  cli: Cli,
): Promise<Done> {
  const { config, folder, version } = rehearsal
  const { migrate } = sideOf(step) === 'V2' ? config.v2 : config.v1
  const url = await makeWay(step, rehearsal, keys)
  // A path starts from the file's folder; what is no path is a command.
  const migrations = migrate.map((one) => (existsSync(resolve(folder, one)) ? resolve(folder, one) : one))
  return runInProcess(
    snapshot,
    [
      'snapshot',
      'restore',
      resolve(folder, config.snapshot),
      `--to=${url}`,
      ...migrations.map((one) => `--migrate=${one}`),
      ...toArguments(config.restore),
    ],
    version,
    cli,
  )
}

async function replayOn(step: ReplayStep, rehearsal: Rehearsal, keys: Keys, cli: Cli): Promise<Done> {
  const target = await makeWay(step, rehearsal, keys)
  const golden = sideOf(step) === 'V2' ? 'golden V2' : 'golden V1'
  await cloneShadow(target, databaseOf(golden, keys)!, databaseOf(step, keys)!)
  return replayTo(target, step, rehearsal, keys, cli, '--force')
}

/** Hours may have gone by since the steps were planned, and somebody may have been in the shadow. */
async function goOnWith(step: ReplayStep, rehearsal: Rehearsal, keys: Keys, cli: Cli): Promise<Done> {
  const { config, servers } = rehearsal
  const { server } = sideOf(step) === 'V2' ? config.v2 : config.v1
  const target = await servers.url(server, databaseOf(step, keys)!)
  try {
    return await replayTo(target, step, rehearsal, keys, cli, '--resume')
  } catch (error) {
    if (!(error instanceof HarnessError) || error.code !== 'CANNOT_RESUME') throw error
    cli.note(`note: ${step} is done over: ${error.message}`)
    return replayOn(step, rehearsal, keys, cli)
  }
}

async function replayTo(
  target: string,
  step: ReplayStep,
  { config, folder, out, version }: Rehearsal,
  keys: Keys,
  cli: Cli,
  how: '--force' | '--resume',
): Promise<Done> {
  const mapping = step === 'candidate' ? config.v2.mapping : undefined
  const done = await runInProcess(
    replay,
    [
      'replay',
      resolve(folder, config.recording),
      `--target=${target}`,
      `--out=${fileOf(step, keys, out)}`,
      `--role=${step}`,
      how,
      ...(mapping === undefined ? [] : [`--rewrite=${resolve(folder, mapping)}`]),
      ...toArguments(fromFolder(step === 'candidate' ? config.candidate : config.baseline, folder)),
    ],
    version,
    cli,
  )
  // Nobody compares its tables; one that was stopped goes on there.
  if (step === 'noise' && !cli.signal.aborted) await clearAway(target, databaseOf(step, keys)!, true)
  return done
}

/** What is injected is a path from the file's folder, as every other. */
export function fromFolder(section: Section, folder: string): Section {
  if (section.inject === undefined) return section
  const injections = [section.inject].flat().map((text) => {
    const [, at = '', what = ''] = /^([^:]*:)([\s\S]*)$/.exec(String(text)) ?? []
    return what !== '' && existsSync(resolve(folder, what)) ? `${at}${resolve(folder, what)}` : String(text)
  })
  return { ...section, inject: injections }
}

function compareWithProduction({ config, folder, out, version }: Rehearsal, keys: Keys, cli: Cli): Promise<Done> {
  const runs = [resolve(folder, config.recording), fileOf('baseline', keys, out)!]
  const settings = [`--out=${fileOf('fidelity', keys, out)}`, '--force', ...toArguments(config.compare)]
  return runInProcess(compare, ['compare', ...runs, ...settings], version, cli)
}

/** In what was recorded, in the snapshot, and in all that was made of them here; what it finds is told in the report. */
function lookForLeaks({ config, folder, out, version }: Rehearsal, keys: Keys, cli: Cli): Promise<Done> {
  const steps = ['baseline', ...(config.noise ? (['noise'] as const) : []), 'candidate', 'compare'] as const
  const given = [config.recording, config.snapshot].map((path) => resolve(folder, path))
  const files = [...given, ...steps.map((step) => fileOf(step, keys, out)!)]
  const diff = fileOf('compare', keys, out)!
  return runInProcess(
    policy,
    ['policy', 'audit', ...files.map((file) => nameFor(file, cli)), `--diff=${diff}`],
    version,
    cli,
  )
}

async function compareRuns({ config, out, servers, version }: Rehearsal, keys: Keys, cli: Cli): Promise<Done> {
  const shadow = async (step: 'baseline' | 'candidate', server: string) => servers.url(server, databaseOf(step, keys)!)
  return runInProcess(
    compare,
    [
      'compare',
      fileOf('baseline', keys, out)!,
      fileOf('candidate', keys, out)!,
      ...(config.noise ? [`--noise=${fileOf('noise', keys, out)}`] : []),
      ...(config.fidelity ? [`--fidelity=${fileOf('fidelity', keys, out)}`] : []),
      `--out=${fileOf('compare', keys, out)}`,
      `--plans-from=${await shadow('baseline', config.v1.server)}`,
      `--plans-to=${await shadow('candidate', config.v2.server)}`,
      '--force',
      ...toArguments(config.compare),
    ],
    version,
    cli,
  )
}

async function verifyTables({ config, folder, out, servers, version }: Rehearsal, keys: Keys, cli: Cli): Promise<Done> {
  const shadow = async (step: 'baseline' | 'candidate', server: string) => servers.url(server, databaseOf(step, keys)!)
  return runInProcess(
    verify,
    [
      'verify',
      `--from=${await shadow('baseline', config.v1.server)}`,
      `--to=${await shadow('candidate', config.v2.server)}`,
      `--baseline=${fileOf('baseline', keys, out)}`,
      `--candidate=${fileOf('candidate', keys, out)}`,
      `--diff=${fileOf('compare', keys, out)}`,
      ...(config.v2.mapping === undefined ? [] : [`--mapping=${resolve(folder, config.v2.mapping)}`]),
      ...toArguments(config.verify ?? {}),
    ],
    version,
    cli,
  )
}

const REPORT_FILES = { html: 'report.html', json: 'report.json', junit: 'junit.xml', markdown: 'comment.md' } as const

export function reportSection({ report: section }: RunConfig, folder: string): Section {
  const given = Object.entries(section)
  return Object.fromEntries(
    given.map(([name, value]) => [name, NO_PATHS.test(name) ? String(value) : resolve(folder, String(value))]),
  )
}

const NO_PATHS = /^(alerts|postgres)/

/** What the file does not name goes into the folder of results, under names that stay the same. */
function reportArguments({ config, folder, out }: Rehearsal): string[] {
  const defaults = Object.fromEntries(Object.entries(REPORT_FILES).map(([name, file]) => [name, join(out, file)]))
  return [
    ...toArguments({ ...defaults, ...reportSection(config, folder) }),
    '--force',
    ...(config.gate === undefined ? [] : [`--gate=${resolve(folder, config.gate)}`]),
  ]
}

function gateArguments({ config, folder }: Rehearsal): string[] {
  return config.gate === undefined ? [] : [`--config=${resolve(folder, config.gate)}`]
}

/** Nothing of an earlier attempt stands where the step makes its database; that it is about to is written down first. */
async function makeWay(step: StepName, { config, out, servers }: Rehearsal, keys: Keys): Promise<string> {
  const database = databaseOf(step, keys)!
  const url = await servers.url((sideOf(step) === 'V2' ? config.v2 : config.v1).server, database)
  const kept = readKept(out)
  await clearAway(url, database, kept.begun.includes(database))
  writeKept(out, { ...kept, begun: [...new Set([...kept.begun, database])] })
  return url
}

/** Remembers a step that is whole, and clears away what it takes the place of. */
async function keep(step: StepName, rehearsal: Rehearsal, keys: Keys, elapsedMs: number): Promise<void> {
  const { out } = rehearsal
  const kept = readKept(out)
  const database = databaseOf(step, keys)
  const file = fileOf(step, keys, out)
  const now: KeptStep = {
    ...keys[step],
    finishedAtMs: Date.now(),
    elapsedMs,
    ...(database === null ? {} : { database }),
    ...(file === null ? {} : { file: relative(out, file) }),
  }
  const before = kept.steps[step]
  const given = isReplay(step) ? givenUp(step, database, kept.begun) : []
  const next: Kept = {
    steps: { ...kept.steps, [step]: now },
    begun: kept.begun.filter((name) => name !== database && !given.some((one) => one.database === name)),
  }
  for (const one of given) await clearOld(one, next, rehearsal, sideOf(step), true)
  if (before !== undefined) await clearOld(before, next, rehearsal, sideOf(step), false)
  writeKept(out, next)
}

/**
 * What replays left that were interrupted, and that nobody goes on with because the step is another one by now. Goldens are not among
 * them: what has a golden's name may be somebody else's.
 */
function givenUp(
  step: ReplayStep,
  database: string | null,
  begun: readonly string[],
): { database: string; file: string }[] {
  const prefix = `pgr_${step}_`
  return begun
    .filter((name) => name.startsWith(prefix) && name !== database)
    .map((name) => ({ database: name, file: `${step}-${name.slice(prefix.length)}.run` }))
}

async function clearOld(
  before: Pick<KeptStep, 'database' | 'file'>,
  next: Kept,
  { config, out, servers }: Rehearsal,
  side: Side,
  begun: boolean,
): Promise<void> {
  const used = Object.values(next.steps)
  if (before.database !== undefined && !used.some(({ database }) => database === before.database)) {
    const { server } = side === 'V2' ? config.v2 : config.v1
    await clearAway(await servers.url(server, before.database), before.database, begun)
  }
  if (before.file !== undefined && !used.some(({ file }) => file === before.file))
    rmSync(join(out, before.file), { force: true })
}

/** As one would write it where the command was called. */
function nameFor(path: string, cli: Cli): string {
  const name = relative(cli.cwd, path)
  return name.startsWith('..') ? path : name
}

function interrupted(step: string): HarnessError {
  return new HarnessError({
    code: 'INTERRUPTED',
    message: `the rehearsal was interrupted in step ${step}`,
    hint: 'The same command goes on from there.',
    exit: EXIT.interrupted,
  })
}
