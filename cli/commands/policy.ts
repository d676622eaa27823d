/**
 * `policy suggest` proposes what to mask in a database; `policy audit` looks for what was let through.
 */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../../base/errors.js'
import { type AuditResult, audit } from '../../privacy/audit/audit.js'
import { sampledPersonalValues } from '../../privacy/audit/sampled.js'
import { sampleColumns } from '../../privacy/suggest/sample.js'
import { suggestPolicy } from '../../privacy/suggest/suggest.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { addVouching, openDiff } from '../../segment/diff-file.js'
import type { AuditSummary } from '../../segment/vouching.js'
import { loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import type { Cli } from '../cli.js'
import { readPolicyOption } from '../masking-options.js'

type SuggestFlags = { readonly from: string }
type AuditFlags = {
  readonly from?: string
  readonly policy?: string
  readonly strict?: boolean
  readonly diff?: string
}

export function register(program: Command, cli: Cli): void {
  const policy = program.command('policy').description('what is personal: propose a policy, look for leaks')
  policy
    .command('suggest')
    .description('print a policy for a database: names, types, comments, foreign keys, a look at some values')
    .requiredOption('--from <url>', 'the database to look at; it is only read')
    .action(cli.action((_args, flags: SuggestFlags) => suggest(flags, cli)))
  policy
    .command('audit')
    .description('look for personal values in files; exits 1 when one is found')
    .argument('<path...>', 'recordings, snapshots, runs, reports, logs')
    .option('--from <url>', 'a live database: values of its masked columns are looked for letter by letter')
    .option('--policy <file>', 'with --from: which columns are masked')
    .option('--diff <file>', 'lay what is found into this diff, for the report')
    .option('--strict', 'also count phones, cards, IBANs and IP addresses, which tokens look like')
    .action(cli.action((args, flags: AuditFlags) => runAudit(args, flags, cli)))
}

async function suggest({ from }: SuggestFlags, cli: Cli): Promise<ExitCode> {
  const text = await withClient(from, async (client) => {
    const catalog = await readCatalog(client)
    return suggestPolicy(catalog, await sampleColumns(client, catalog))
  })
  cli.result({ policy: text })
  cli.print(text.trimEnd())
  return EXIT.pass
}

async function runAudit(paths: readonly string[], flags: AuditFlags, cli: Cli): Promise<ExitCode> {
  const diff = flags.diff === undefined ? null : resolve(cli.cwd, flags.diff)
  if (diff !== null) openDiff(diff).close()
  const values = flags.from === undefined ? [] : await valuesOf(flags.from, flags.policy, cli)
  const progress = cli.progress('audit')
  const result = await audit(
    paths.map((path) => resolve(cli.cwd, path)),
    {
      values,
      strict: flags.strict === true,
      signal: cli.signal,
      onFile: (file, done, total) => progress.update(done, total, file),
    },
  )
  progress.done(`${result.files} files, ${Math.round(result.characters / 1e6)} MB of text`)
  if (diff !== null) addVouching(diff, 'audit', summary(result, paths, values.length))
  cli.result({ ...result, sampledValues: values.length })
  for (const { file, place, what, excerpt } of result.hits) cli.print(`${file}: ${what} at ${place}: ${excerpt}`)
  const alike = Object.entries(result.lookalikes)
  if (alike.length > 0)
    cli.print(
      `${alike.map(([what, count]) => `${count} × ${what}`).join(', ')}: as tokens look; --strict counts them, --from tells them apart`,
    )
  cli.print(result.count === 0 ? 'nothing personal found' : `${result.count} personal values found`)
  return result.count === 0 ? EXIT.pass : EXIT.failed
}

const HITS_KEPT = 50

function summary(result: AuditResult, paths: readonly string[], sampledValues: number): AuditSummary {
  const { files, characters, count, hits, lookalikes } = result
  return {
    auditedAtMs: Date.now(),
    paths,
    files,
    characters,
    count,
    hits: hits.slice(0, HITS_KEPT),
    lookalikes,
    sampledValues,
  }
}

async function valuesOf(from: string, policyFile: string | undefined, cli: Cli): Promise<readonly string[]> {
  const policy = readPolicyOption(policyFile, cli)
  await loadParser()
  return withClient(from, async (client) => sampledPersonalValues(client, await readCatalog(client), policy))
}
