/**
 * `pgrehearse plan`: how parallel a recording is, and in words why a statement waits for which others.
 */
import type { Command } from 'commander'
import { EXIT, HarnessError } from '../../base/errors.js'
import { buildPlan, type PlanInFull } from '../../replayer/plan/build.js'
import { type CachedPlan, planOf } from '../../replayer/plan/cache.js'
import { explainWaits } from '../../replayer/plan/explain.js'
import { openRecording, type RecordingReader } from '../../segment/recording.js'
import type { Cli } from '../cli.js'

type Options = { readonly explain?: string }

const TEXT_MAX = 100

export function register(program: Command, cli: Cli): void {
  program
    .command('plan')
    .description('how parallel a recording is, and why a statement waits for which others')
    .argument('<recording>', 'folder of a recording')
    .option('--explain <seq>', 'one statement: what it waits for, in words')
    .action(
      cli.action<Options>(async ([path], options) => {
        const recording = openRecording(path!)
        try {
          const began = performance.now()
          if (options.explain === undefined) summarize(cli, await planOf(recording), began)
          else explain(cli, recording, await buildPlan(recording), options.explain)
        } finally {
          recording.close()
        }
        return EXIT.pass
      }),
    )
}

function summarize(cli: Cli, { facts, reused }: CachedPlan, began: number): void {
  const tookMs = performance.now() - began
  cli.result({ ...facts, plannedInMs: Math.round(tookMs), reused })
  const how = reused ? 'planned before; read' : 'planned'
  cli.print(`${facts.statements} statements ${how} in ${(tookMs / 1000).toFixed(2)} s`)
  cli.print(`  waits            ${facts.waits} (${facts.waitsPerStatement.toFixed(2)} a statement)`)
  cli.print(
    `  longest chain    ${(facts.criticalPathMs / 1000).toFixed(2)} s of ${(facts.totalMs / 1000).toFixed(2)} s: ${facts.averageWidth.toFixed(1)} statements side by side on average`,
  )
  cli.print(`  ambiguous        ${facts.ambiguous} statements ran a race whose winner the recording does not show`)
  if (facts.contradictions > 0)
    cli.print(`  contradictions   ${facts.contradictions} pieces of evidence that no order satisfies`)
  for (const { object, waits } of facts.hottest) cli.print(`  ${String(waits).padStart(8)} waits about ${object}`)
  for (const { statement, why } of facts.barriers) cli.print(`  everything waits around statement ${statement}: ${why}`)
}

function explain(cli: Cli, recording: RecordingReader, full: PlanInFull, seqText: string): void {
  const seqs = full.gathered.seq.subarray(0, full.gathered.count)
  const at = seqs.indexOf(Number(seqText))
  if (at < 0) {
    throw new HarnessError({
      code: 'NO_SUCH_STATEMENT',
      message: `no statement ${seqText} in this recording`,
      detail: `it holds ${seqs.length} statements, from ${seqs[0] ?? 0} to ${seqs.at(-1) ?? 0}`,
      hint: 'Give the seq of a statement, as `inspect` and the report show it.',
      exit: EXIT.usage,
    })
  }
  const waits = explainWaits(full, recording.manifest.catalog, at)
  const told = waits.map((wait) => ({ seq: seqs[wait.on]!, until: wait.until, because: wait.because }))
  const shown = (seq: number) => oneLine(recording.statement(seq)?.sql ?? '')
  cli.result({ seq: Number(seqText), waits: told })
  cli.print(`statement ${seqText}: ${shown(Number(seqText))}`)
  if (told.length === 0) cli.print('  waits for nothing but its own session')
  for (const { seq, until, because } of told) {
    cli.print(`  waits until ${seq} ${until === 'complete' ? 'is complete' : 'has its snapshot'}: ${because}`)
    cli.print(`      ${shown(seq)}`)
  }
}

function oneLine(sql: string): string {
  const line = sql.replace(/\s+/g, ' ').trim()
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX - 1)}…` : line
}
