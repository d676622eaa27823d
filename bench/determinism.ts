/**
 * Does a concurrent recording replay with one outcome? Records traffic through the proxy, replays it several times at full speed with
 * different numbers of workers, and compares the runs, the tables, and production.
 *
 *     node dist/bench/determinism.js [--workload shop|ledger|tpcb|sysbench] [--statements 100000] [--sessions 20] [--keep]
 *     node dist/bench/determinism.js --again FOLDER    what an earlier one kept is replayed anew
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { compareRuns } from '../replayer/compare/compare.js'
import { racesBetween } from '../replayer/compare/races.js'
import { buildPlan } from '../replayer/plan/build.js'
import { parallelism } from '../replayer/plan/explain.js'
import { replay } from '../replayer/run/replay.js'
import { sessionPlan } from '../replayer/run/simple-plans.js'
import { createDiff, openDiff } from '../segment/diff-file.js'
import { openRecording } from '../segment/recording.js'
import { openRun } from '../segment/run-file.js'
import { type RunSource, runOfRecording } from '../segment/run-source.js'
import { type KeptStage, setKeptStage, setStage } from './stage.js'
import { WORKLOADS } from './workloads.js'

const { values: flags } = parseArgs({
  options: {
    workload: { type: 'string', default: 'shop' },
    statements: { type: 'string', default: '100000' },
    sessions: { type: 'string', default: '20' },
    scale: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    again: { type: 'string' },
  },
})
const say = (line: string) => console.log(line)

const workload = WORKLOADS[flags.workload]?.({
  statements: Number(flags.statements),
  sessions: Number(flags.sessions),
  scale: Number(flags.scale),
  seed: Number(flags.seed),
})
if (!workload) throw new Error(`workloads are ${Object.keys(WORKLOADS).join(', ')}`)
const stage = flags.again === undefined ? await setStage(workload, say) : await setKeptStage(flags.again)
try {
  await measure(stage)
} finally {
  if (flags.keep) say(`kept: ${stage.folder}`)
  await stage.close({ keep: flags.keep })
}

async function measure(stage: KeptStage): Promise<void> {
  const recording = openRecording(stage.recording)
  const began = performance.now()
  const full = await buildPlan(recording)
  say(`planned in ${((performance.now() - began) / 1000).toFixed(2)} s`)
  const facts = parallelism(full, recording.manifest.catalog)
  say(JSON.stringify({ ...facts, barriers: facts.barriers.length }, null, 1))
  const runs: { name: string; run: RunSource; tables: string }[] = []
  for (const [name, workers, plan] of [
    ['replay_1', 1, full.plan],
    ['replay_2', 2, full.plan],
    ['replay_3', 3, full.plan],
    ['timing_only', 2, sessionPlan(recording.timeline(), recording.sessions())],
  ] as const) {
    const url = await stage.shadow(name)
    const out = join(stage.folder, `${name}.run`)
    const run = await replay({ recording: stage.recording, plan, target: url, out, force: true, speed: 'max', workers })
    say(
      `${name}: ${run.ledger.kept.statements} statements in ${(run.elapsedUs / 1e6).toFixed(2)} s, ` +
        `${Math.round((run.ledger.kept.statements * 1e6) / run.elapsedUs)}/s, relaxed ${run.orderRelaxed}, ` +
        `incidents ${run.incidents.length}`,
    )
    for (const incident of run.incidents.slice(0, 5)) say(`   ${JSON.stringify(incident)}`)
    runs.push({ name, run: openRun(out), tables: await tables(url) })
    await stage.drop(name)
  }
  const production: RunSource = runOfRecording(recording)
  const races = await racesBetween({ before: production, after: runs[0]!.run, recording })
  differences('production ↔ replay', production, runs[0]!.run, (seq) => races!.has(seq))
  for (const other of runs.slice(1)) {
    differences(`${runs[0]!.name} ↔ ${other.name}`, runs[0]!.run, other.run)
    say(`   tables ${other.tables === runs[0]!.tables ? 'equal' : 'DIFFER'}`)
    if (other.tables !== runs[0]!.tables) say(diffLines(runs[0]!.tables, other.tables))
  }
}

/** The comparison that reports use: what remains has no excuse. */
function differences(label: string, before: RunSource, after: RunSource, ambiguous?: (seq: number) => boolean): void {
  const recording = openRecording(stage.recording)
  const path = join(stage.folder, `${label.replace(/\W+/g, '_')}.diff`)
  const facts = compareRuns({
    before,
    after,
    recording,
    out: createDiff(path, { force: true }),
    madeBy: 'bench',
    ...(ambiguous === undefined ? {} : { ambiguous }),
  })
  recording.close()
  const diff = openDiff(path)
  const errors = [...diff.discrepancies()].filter(
    ({ errorBefore, errorAfter }) => errorBefore === null && errorAfter !== null,
  )
  say(
    `${label}: ${facts.compared} compared, ${facts.discrepancies} differ, ${errors.length} new errors, excused ${JSON.stringify(facts.excused)}`,
  )
  for (const finding of [...diff.findings()].filter(({ subKind }) => subKind !== 'latency').slice(0, 25)) {
    say(`   ${String(finding.count).padStart(6)} ${finding.subKind} ${finding.cause}`)
    const example = diff.discrepancy(finding.exampleAlertIds[0] ?? '')
    if (example) {
      say(`          ${example.sql.replace(/\s+/g, ' ').slice(0, 140)}`)
      say(`          ${JSON.stringify(example.rows ?? [example.errorBefore, example.errorAfter]).slice(0, 300)}`)
    }
  }
  diff.close()
}

/** A checksum per table, regardless of row order; columns of time and chance left out. */
async function tables(url: string): Promise<string> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query<{ name: string; columns: string }>(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name,
           string_agg(format('regexp_replace(%I::text, ''[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'', ''uuid'', ''g'')', a.attname), ', ' ORDER BY a.attnum)
             FILTER (WHERE t.typname NOT IN ('timestamptz', 'timestamp', 'uuid')) AS columns
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgrehearse')
     GROUP BY 1 ORDER BY 1`)
  const lines: string[] = []
  for (const { name, columns } of rows) {
    const { rows: sums } = await client.query(
      `SELECT count(*) AS n, coalesce(sum(hashtextextended(concat_ws('|', ${columns}), 0)), 0) AS sum FROM ${name}`,
    )
    lines.push(`${name} ${sums[0].n} ${sums[0].sum}`)
  }
  await client.end()
  return lines.join('\n')
}

function diffLines(a: string, b: string): string {
  const other = new Set(b.split('\n'))
  return a
    .split('\n')
    .filter((line) => !other.has(line))
    .map((line) => `   ${line}`)
    .join('\n')
}
