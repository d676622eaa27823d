/**
 * `pgrehearse rewrite check` and `rewrite suggest`: how the recorded statements read on the new schema, before anything is replayed.
 */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type pg from 'pg'
import { EXIT, type ExitCode } from '../../base/errors.js'
import { type CheckedStatement, type CheckState, checkRewrite } from '../../replayer/rewrite/check.js'
import { openRewrite } from '../../replayer/rewrite/open.js'
import { loadRewriter } from '../../replayer/rewrite/rewriter.js'
import { suggestMapping } from '../../replayer/rewrite/suggest.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { openRecording } from '../../segment/recording.js'
import { readCatalog, readChecks } from '../../sql/read-catalog.js'
import type { Cli } from '../cli.js'

type CheckFlags = { readonly mapping: string; readonly target: string; readonly all?: boolean }
type SuggestFlags = { readonly from: string; readonly to: string }

const TEXT_MAX = 2000

export function register(program: Command, cli: Cli): void {
  const rewrite = program.command('rewrite').description("how version 1's statements read on version 2's schema")
  rewrite
    .command('check')
    .description('every kind of statement of a recording, and how it fares on the target; executes nothing')
    .argument('<recording>', 'folder of a recording')
    .requiredOption('--mapping <file>', 'mapping.yaml')
    .requiredOption('--target <url>', 'a database with the new schema')
    .option('--all', 'also show what is valid as it is')
    .action(cli.action<CheckFlags>(([path], flags) => check(resolve(cli.cwd, path!), flags, cli)))
  rewrite
    .command('suggest')
    .description('compare two schemas and print a mapping to start from')
    .requiredOption('--from <url>', 'a database with the old schema')
    .requiredOption('--to <url>', 'a database with the new schema')
    .action(cli.action<SuggestFlags>((_, flags) => suggest(flags, cli)))
}

async function check(path: string, flags: CheckFlags, cli: Cli): Promise<ExitCode> {
  const recording = openRecording(path)
  try {
    const source = await openRewrite(resolve(cli.cwd, flags.mapping), recording.manifest.catalog, flags.target)
    const rewriter = await loadRewriter(source)
    const progress = cli.progress('check')
    const result = await withClient(flags.target, (client) =>
      checkRewrite(recording, rewriter, client, (done, total) => progress.update(done, total)),
    )
    progress.done(`${result.fingerprints.length} kinds of statements`)
    cli.result(result)
    for (const one of result.fingerprints) if (flags.all || SHOWN.includes(one.state)) show(one, cli)
    const share = (state: CheckState) =>
      `${((100 * result.byState[state]) / Math.max(1, result.statements)).toFixed(1)} % ${state}`
    const states: readonly CheckState[] = ['unchanged', 'rewritten', 'invalid', 'refused before', 'not checked']
    cli.print(
      `${result.statements} statements: ${states
        .filter((state) => result.byState[state] > 0)
        .map(share)
        .join(', ')}`,
    )
    return result.byState.invalid > 0 ? EXIT.failed : EXIT.pass
  } finally {
    recording.close()
  }
}

const SHOWN: readonly CheckState[] = ['invalid', 'rewritten']

function show(
  { state, share, count, fingerprint, by, before, after, message, suggestion }: CheckedStatement,
  cli: Cli,
): void {
  const how = by === null ? state : `${state}, ${by}`
  cli.print(`${fingerprint}  ${(100 * share).toFixed(2)} %  (${count})  ${how}`)
  cli.print(`  V1  ${oneLine(before)}`)
  if (after !== null) cli.print(`  V2  ${oneLine(after)}`)
  if (message !== null) cli.print(`  why ${message}`)
  if (suggestion !== null)
    for (const [at, line] of suggestion.split('\n').entries()) cli.print(`  ${at === 0 ? 'fix' : '   '} ${line}`)
  cli.print()
}

function oneLine(sql: string): string {
  const line = sql.replace(/\s+/g, ' ').trim()
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX - 1)}…` : line
}

async function suggest(flags: SuggestFlags, cli: Cli): Promise<ExitCode> {
  const ofTarget = async (client: pg.Client) => [await readCatalog(client), await readChecks(client)] as const
  const before = await withClient(flags.from, readCatalog)
  const [after, checks] = await withClient(flags.to, ofTarget)
  const mapping = suggestMapping(before, after, checks)
  cli.result({ mapping })
  cli.print(mapping.trimEnd())
  return EXIT.pass
}
