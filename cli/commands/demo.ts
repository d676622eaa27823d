/**
 * `pgrehearse demo`: the whole idea in a minute and a half, on nothing but this package.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import pc from 'picocolors'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { FAULTS, faultsNamed } from '../../fixtures/shop/shop.js'
import { counted, percent } from '../../reports/format.js'
import { fidelityShare } from '../../reports/gate-trust.js'
import type { ReportModel } from '../../reports/index.js'
import { sizeFigures } from '../../reports/size.js'
import type { Cli } from '../cli.js'
import { runDemo } from '../demo/demo.js'
import { printVerdict } from '../gate-config-file.js'

type Options = {
  readonly out?: string
  readonly open?: boolean
  readonly faults: string
  readonly seconds: string
  readonly sessions: string
  readonly scale: string
  readonly seed: string
  readonly serverBin?: string
}

/** Faults that a review of the migration could well miss. */
const PLANTED = 'value-cut-short,wrong-time-zone,view-drops-rows,lost-unique,missing-index'

export function register(program: Command, cli: Cli): void {
  program
    .command('demo')
    .description('the whole pipeline on an example shop, on PostgreSQL servers of its own; takes a minute or two')
    .option('--out <folder>', 'where everything goes (default: pgrehearse-demo, or the next free name)')
    .option('--open', 'open the page in a browser at the end')
    .option(
      '--faults <names>',
      `faults to plant in V2: all, none, or names (${FAULTS.map(({ name }) => name).join(', ')})`,
      PLANTED,
    )
    .option('--seconds <n>', 'how long to record', '10')
    .option('--sessions <n>', 'how many clients at the same time', '12')
    .option('--scale <n>', 'size of the shop; 1 is 2,000 users', '4')
    .option('--seed <n>', 'same seed, same shop', '1')
    .option('--server-bin <folder>', 'programs of an installed PostgreSQL, instead of the embedded one')
    .action(cli.action((_args, options: Options) => demo(options, program.version() ?? '', cli)))
}

async function demo(options: Options, version: string, cli: Cli): Promise<ExitCode> {
  const faults = options.faults === 'all' ? FAULTS : faultsNamed(namesIn(options.faults))
  const { page, model, files } = await runDemo(
    {
      out: freeFolder(options.out, cli.cwd),
      faults,
      seconds: positive('--seconds', options.seconds),
      sessions: positive('--sessions', options.sessions),
      scale: positive('--scale', options.scale),
      seed: positive('--seed', options.seed),
      ...(options.serverBin === undefined ? {} : { serverBin: resolve(cli.cwd, options.serverBin) }),
      version,
    },
    cli,
  )
  cli.print()
  if (faults.length > 0) {
    cli.print('Planted in V2:')
    for (const { name, description } of faults) cli.print(`  ${name.padEnd(18)} ${pc.dim(description)}`)
    cli.print()
  }
  printVerdict(cli, model.verdict, model.headline, model.why)
  printFindings(model, cli)
  printVouching(model, cli)
  cli.print()
  cli.print(`The page: ${page}`)
  cli.result({
    verdict: model.verdict,
    headline: model.headline,
    why: model.why,
    compared: model.compared,
    planted: faults.map(({ name }) => name),
    findings: model.findings.map(({ cause, count, mismatch, subKind, columns }) => ({
      cause,
      count,
      mismatch,
      subKind,
      columns,
    })),
    files,
  })
  if (options.open) open(page)
  return model.verdict === 'INVALID' ? EXIT.invalid : EXIT.pass
}

function printVouching({ vouching }: ReportModel, cli: Cli): void {
  if (!vouching?.fidelity || !vouching.audit) return
  const { count } = vouching.audit
  cli.print()
  cli.print(
    `Replayed on V1, ${percent(fidelityShare(vouching.fidelity))} of the statements were answered as in production;`,
  )
  cli.print(`${count === 0 ? 'nothing personal' : counted(count, 'personal value')} was found in what was written.`)
}

const FINDINGS_MAX = 12

function printFindings(model: ReportModel, cli: Cli): void {
  if (model.findings.length === 0) return
  cli.print()
  cli.print('Found:')
  const shown = model.findings.slice(0, FINDINGS_MAX)
  const width = Math.max(...shown.map((finding) => sizeFigures(finding).length))
  for (const finding of shown) cli.print(`  ${sizeFigures(finding).padStart(width)}×  ${finding.cause}`)
  const more = model.findings.length - FINDINGS_MAX
  if (more > 0) cli.print(`          and ${more} more on the page`)
}

function namesIn(text: string): string[] {
  return text === 'none' ? [] : text.split(',').map((name) => name.trim())
}

function freeFolder(asked: string | undefined, cwd: string): string {
  if (asked !== undefined) {
    const out = resolve(cwd, asked)
    if (!existsSync(out)) return out
    throw new HarnessError({
      code: 'TARGET_EXISTS',
      message: `${out} exists`,
      detail: 'the demo writes into a folder of its own and never over another',
      hint: 'Choose another name with --out, or leave it out to get the next free one.',
      exit: EXIT.usage,
    })
  }
  for (let n = 1; ; n += 1) {
    const out = resolve(cwd, n === 1 ? 'pgrehearse-demo' : `pgrehearse-demo-${n}`)
    if (!existsSync(out)) return out
  }
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new HarnessError({
    code: 'NOT_A_NUMBER',
    message: `${option} needs a positive number`,
    hint: `Try ${option} 10.`,
    exit: EXIT.usage,
  })
}

function open(page: string): void {
  const opener = { darwin: 'open', win32: 'explorer' }[process.platform as string] ?? 'xdg-open'
  spawn(opener, [page], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref()
}
