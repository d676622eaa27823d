/**
 * `pgrehearse compare`: two runs of one recording into a diff. What is found is said here; whether it passes is the gate's to decide.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { compareRuns } from '../../replayer/compare/compare.js'
import { EXCUSES } from '../../replayer/compare/excuses.js'
import { explainStatement } from '../../replayer/compare/explain-statement.js'
import { type IgnoreRule, parseIgnoreRule } from '../../replayer/compare/ignore.js'
import type { JudgeOptions } from '../../replayer/compare/judges.js'
import { restingOnLeftOut } from '../../replayer/compare/left-out.js'
import { explainSlower } from '../../replayer/compare/plans/explain-slower.js'
import { racesBetween } from '../../replayer/compare/races.js'
import { buildModel, judgeDiff } from '../../reports/build-model.js'
import { impact } from '../../reports/format.js'
import { DEFAULT_GATE } from '../../reports/gate-config.js'
import { findingsTable, latencyTable, type TableOptions } from '../../reports/table.js'
import type { DiffFacts } from '../../segment/diff.js'
import { addPlans, addVouching, createDiff, type DiffReader, openDiff } from '../../segment/diff-file.js'
import { kindOf } from '../../segment/kind.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { type RunSource, runOfRecording } from '../../segment/run-source.js'
import { loadParser } from '../../sql/parse.js'
import type { Cli } from '../cli.js'
import { fidelityOf } from '../fidelity.js'

type Flags = {
  readonly noise?: string
  readonly recording?: string
  readonly out?: string
  readonly fidelity?: string
  readonly ignore: readonly string[]
  readonly explain?: string
  readonly plansFrom?: string
  readonly plansTo?: string
  readonly force?: boolean
}

const FINDINGS_SHOWN = 20
const LATENCIES_SHOWN = 10

export function register(program: Command, cli: Cli): void {
  program
    .command('compare')
    .description('compare two runs of one recording, statement by statement')
    .argument('<run-a>', 'how it was: the baseline run, or the recording itself')
    .argument('<run-b>', 'how it is: the candidate run')
    .option('--noise <run>', 'the baseline once more: what differs between the two is no finding')
    .option('--recording <folder>', 'the recording, when it is no longer where it was replayed from')
    .option('--out <file>', 'the diff to make')
    .option('--fidelity <diff>', 'of the recording and run-a: how near its replay is to production, for the report')
    .option('--ignore <rule>', 'table.column, table.column~tolerance, fingerprint:…; may be repeated', collect, [])
    .option('--explain <id>', 'one statement, by its position or an alert id: why it was judged so')
    .option(
      '--plans-from <url>',
      'V1 after its replay: what is slower is explained there and on --plans-to, and taken back',
    )
    .option('--plans-to <url>', 'V2 after its replay')
    .option('--force', 'replace an existing diff')
    .action(
      cli.action<Flags>(([a, b], flags) => {
        const madeBy = `pgrehearse ${program.version() ?? ''}`
        return compare(resolve(cli.cwd, a!), resolve(cli.cwd, b!), flags, madeBy, cli)
      }),
    )
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

async function compare(pathA: string, pathB: string, flags: Flags, madeBy: string, cli: Cli): Promise<ExitCode> {
  const ignore = flags.ignore.map(parseIgnoreRule)
  const seq = flags.explain === undefined ? null : parseSeq(flags.explain)
  if (seq === null && flags.out === undefined) throw noTarget()
  if ((flags.plansFrom === undefined) !== (flags.plansTo === undefined)) throw oneSide()
  if (cli.checksOnly) return EXIT.pass
  await loadParser()
  const inputs = await openInputs(pathA, pathB, flags, ignore, cli)
  try {
    return seq === null
      ? await write(inputs.options, resolve(cli.cwd, flags.out!), flags, madeBy, cli)
      : explain(inputs.options, seq, cli)
  } finally {
    inputs.close()
  }
}

type Inputs = { readonly options: JudgeOptions; close(): void }

async function openInputs(
  pathA: string,
  pathB: string,
  flags: Flags,
  ignore: readonly IgnoreRule[],
  cli: Cli,
): Promise<Inputs> {
  const opened: { close(): void }[] = []
  const keep = <T extends { close(): void }>(one: T): T => {
    opened.push(one)
    return one
  }
  const close = () => {
    for (const one of opened) one.close()
  }
  try {
    const open = (path: string): RunSource =>
      keep(kindOf(path) === 'recording' ? runOfRecording(keep(openRecording(path))) : openRun(path))
    const before = open(pathA)
    const after = open(pathB)
    const noise = flags.noise === undefined ? undefined : open(resolve(cli.cwd, flags.noise))
    const recording = keep(openRecording(recordingPath(flags, before, cli)))
    const races = await racesBetween({ before, after, recording, ignore })
    const unwritten = await restingOnLeftOut(recording, [before, after])
    const options: JudgeOptions = {
      before,
      after,
      recording,
      ignore,
      ...(noise === undefined ? {} : { noise }),
      ...(races === null ? {} : { ambiguous: (seq: number) => races.has(seq) }),
      ...(unwritten === null ? {} : { unwritten: (seq: number) => unwritten.has(seq) }),
    }
    return { options, close }
  } catch (error) {
    close()
    throw error
  }
}

function recordingPath(flags: Flags, { facts }: RunSource, cli: Cli): string {
  if (flags.recording !== undefined) return resolve(cli.cwd, flags.recording)
  if (existsSync(facts.recordingPath)) return facts.recordingPath
  throw new HarnessError({
    code: 'RECORDING_MOVED',
    message: 'the recording of these runs is not where it was',
    detail: `they were made from ${facts.recordingPath}; texts and parameters are read from there`,
    hint: 'Name its present folder with --recording.',
    exit: EXIT.usage,
  })
}

async function write(options: JudgeOptions, path: string, flags: Flags, madeBy: string, cli: Cli): Promise<ExitCode> {
  const fidelity = flags.fidelity === undefined ? null : fidelityOf(resolve(cli.cwd, flags.fidelity), options.before)
  const out = createDiff(path, { force: flags.force ?? false })
  const progress = cli.progress(options.before.facts.role === 'production' ? 'fidelity' : 'compare')
  let facts: DiffFacts
  try {
    facts = compareRuns({
      ...options,
      out,
      madeBy,
      onProgress: (done, total) => {
        if (cli.signal.aborted) throw interrupted()
        progress.update(done, total)
      },
    })
  } catch (error) {
    out.abandon()
    throw error
  }
  if (fidelity !== null) addVouching(path, 'fidelity', fidelity)
  progress.done(`${facts.compared} statements compared`)
  const why = await explainPlans(path, options, flags, cli)
  show(path, facts, cli)
  if (why !== '') cli.print(`  plans      not explained: ${why}`)
  return EXIT.pass
}

/** The diff stands without them: why there are none, empty when there are, or nobody asked. */
async function explainPlans(path: string, { recording }: JudgeOptions, flags: Flags, cli: Cli): Promise<string> {
  const { plansFrom, plansTo } = flags
  if (plansFrom === undefined || plansTo === undefined) return ''
  const progress = cli.progress('explain')
  const diff = openDiff(path)
  try {
    const { plans, reread } = await explainSlower({
      diff,
      beforeUrl: plansFrom,
      afterUrl: plansTo,
      searchPath: recording.manifest.catalog.searchPath,
      onProgress: (done, total) => {
        if (cli.signal.aborted) throw interrupted()
        progress.update(done, total)
      },
    })
    addPlans(path, plans, reread)
    progress.done(plans.length === 0 ? 'nothing is slower' : `${plans.length} kinds of statement explained`)
    return ''
  } catch (error) {
    if (cli.signal.aborted || !(error instanceof HarnessError)) throw error
    progress.done('not explained')
    return error.message
  } finally {
    diff.close()
  }
}

function show(path: string, facts: DiffFacts, cli: Cli): void {
  const diff = openDiff(path)
  try {
    const judged = judgeDiff(diff, DEFAULT_GATE, facts.createdAtMs)
    const model = buildModel(diff, judged.facts, judged.gate, path)
    const looks: TableOptions = {
      columns: process.stdout.columns ?? 100,
      color: process.stdout.hasColors?.() === true,
      rowsMax: FINDINGS_SHOWN,
    }
    for (const table of [findingsTable(model, looks), latencyTable(model, { ...looks, rowsMax: LATENCIES_SHOWN })])
      if (table !== '') cli.print(`${table}\n`)
    cli.print(`${sentence(facts)}.`)
    for (const { fingerprint, reading } of diff.plans() ?? [])
      if (reading !== '') cli.print(`  plan       ${fingerprint}: ${reading}`)
    const cost = model.latency.overall?.impactMsPerSecond ?? null
    if (cost !== null)
      cli.print(`  latency    ${impact(cost)}: service time that V2 adds per second of production's traffic`)
    for (const [reason, count] of Object.entries(facts.excused))
      cli.print(`  excused    ${count}: ${EXCUSES[reason as keyof typeof EXCUSES] ?? reason}`)
    for (const [reason, count] of Object.entries(facts.uncompared)) cli.print(`  uncompared ${count}: ${reason}`)
    for (const reason of facts.invalid) cli.print(`  invalid    ${reason}`)
    cli.print(`diff ${path}`)
    cli.result({
      diff: path,
      sentence: sentence(facts),
      ...facts,
      findings: diff.findings(),
      latency: latencies(diff),
      plans: diff.plans(),
    })
  } finally {
    diff.close()
  }
}

/** Distributions stay in the diff. */
function latencies(diff: DiffReader) {
  return diff.latency().map(({ beforeHistogram: _before, afterHistogram: _after, ...row }) => row)
}

function sentence({ compared, discrepancies }: DiffFacts): string {
  if (compared === 0) return 'No statement has an answer in both runs'
  const share = ((100 * discrepancies) / compared).toFixed(discrepancies * 1000 < compared ? 3 : 1)
  return discrepancies === 0
    ? `${compared} statements compared, none differs in a way that applications would notice`
    : `${discrepancies} of ${compared} statements (${share} %) differ in a way that applications would notice`
}

function explain(options: JudgeOptions, seq: number, cli: Cli): ExitCode {
  const explanation = explainStatement(options, seq)
  if (explanation === null) {
    throw new HarnessError({
      code: 'NO_SUCH_STATEMENT',
      message: `statement ${seq} has no answer in both runs`,
      hint: 'Give the seq of a compared statement, or the alert id of a discrepancy.',
      exit: EXIT.usage,
    })
  }
  cli.result(explanation)
  cli.print(`statement ${explanation.seq}: ${explanation.sql.replace(/\s+/g, ' ').trim()}`)
  cli.print(`  ${explanation.verdict}`)
  for (const reason of explanation.reasons) cli.print(`  - ${reason}`)
  return EXIT.pass
}

/** An alert id ends in the statement's position, and a part when there are several. */
function parseSeq(text: string): number {
  const found = /^(\d+)$/.exec(text) ?? /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}-(\d+)(?:-\w+)?$/.exec(text)
  if (found !== null) return Number(found[1])
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: `--explain cannot be ${JSON.stringify(text)}`,
    detail: 'it takes the position of a statement, or the alert id of a discrepancy',
    exit: EXIT.usage,
  })
}

function noTarget(): HarnessError {
  return new HarnessError({
    code: 'OPTION_MISSING',
    message: 'compare needs --out FILE for the diff, or --explain ID',
    hint: 'For instance: pgrehearse compare baseline.run candidate.run --out cutover.diff',
    exit: EXIT.usage,
  })
}

function oneSide(): HarnessError {
  return new HarnessError({
    code: 'OPTION_MISSING',
    message: '--plans-from and --plans-to belong together',
    hint: 'Name both databases, as the replays left them, or neither.',
    exit: EXIT.usage,
  })
}

function interrupted(): HarnessError {
  return new HarnessError({ code: 'INTERRUPTED', message: 'comparing was interrupted', exit: EXIT.interrupted })
}
