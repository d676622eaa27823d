/**
 * How long does planning take, and in how much memory? Records a workload, then plans the recording repeated until it has the wanted
 * number of statements (times, sequence numbers and transactions go on; sessions stay), reading every round from disk. The yardstick,
 * in the same run because machines are shared: reading the same rows for nothing.
 *
 *     node dist/bench/plan.js [--workload shop] [--statements 1000000] [--recording FOLDER]
 */
import { parseArgs } from 'node:util'
import { buildPlan, type PlanSource } from '../replayer/plan/build.js'
import type { StatementFacts } from '../segment/facts.js'
import { openRecording, type RecordingReader } from '../segment/recording.js'
import { setStage } from './stage.js'
import { WORKLOADS } from './workloads.js'

const { values: flags } = parseArgs({
  options: {
    workload: { type: 'string', default: 'shop' },
    statements: { type: 'string', default: '1000000' },
    recorded: { type: 'string', default: '40000' },
    sessions: { type: 'string', default: '20' },
    recording: { type: 'string' },
  },
})

if (flags.recording !== undefined) await measure(flags.recording)
else {
  const size = { statements: Number(flags.recorded), sessions: Number(flags.sessions), scale: 1, seed: 1 }
  const stage = await setStage(WORKLOADS[flags.workload]!(size), (line) => console.log(line))
  try {
    await measure(stage.recording)
  } finally {
    await stage.close()
  }
}

async function measure(path: string): Promise<void> {
  const recording = openRecording(path)
  const rounds = Math.max(1, Math.ceil(Number(flags.statements) / recording.statementCount))
  const scan = await timed(async () => {
    for (const facts of repeated(recording, rounds).facts()) if (facts.seq < 0) throw new Error('no such statement')
  })
  const source = repeated(recording, rounds)
  const before = process.memoryUsage().rss
  const { took, value } = await timed(() => buildPlan(source))
  const { plan } = value
  const each = (us: number) => `${(us / plan.statementCount).toFixed(1)} µs each`
  const memory = Math.round((process.resourceUsage().maxRSS * 1024 - before) / 1e6)
  console.log(
    `${plan.statementCount} statements planned in ${(took.elapsedUs / 1e6).toFixed(1)} s, ${(took.cpuUs / 1e6).toFixed(1)} s of CPU (${each(took.cpuUs)}), ` +
      `${(plan.waitSession.length / plan.statementCount).toFixed(2)} waits each, ` +
      `${memory} MB (${Math.round((memory * 1e6) / plan.statementCount)} bytes a statement)`,
  )
  console.log(
    `a bare scan of the same rows took ${(scan.took.elapsedUs / 1e6).toFixed(1)} s, ${(scan.took.cpuUs / 1e6).toFixed(1)} s of CPU (${each(scan.took.cpuUs)}): ` +
      `planning costs ${(took.cpuUs / scan.took.cpuUs).toFixed(1)} times as much`,
  )
  recording.close()
}

type Took = { readonly elapsedUs: number; readonly cpuUs: number }

async function timed<T>(work: () => Promise<T>): Promise<{ readonly took: Took; readonly value: T }> {
  const [cpuBefore, began] = [process.cpuUsage(), performance.now()]
  const value = await work()
  const { user, system } = process.cpuUsage(cpuBefore)
  return { took: { elapsedUs: (performance.now() - began) * 1000, cpuUs: user + system }, value }
}

function repeated(recording: RecordingReader, rounds: number): PlanSource {
  const sessions = recording.sessions()
  const ordinals = new Map(sessions.map(({ session }) => [session, 0]))
  const [seqs, spanUs] = [recording.statementCount + 1_000_000, recording.lastDoneUs + 1000]
  return {
    manifest: recording.manifest,
    statementCount: recording.statementCount * rounds,
    sessions: () => sessions,
    *facts(): Iterable<StatementFacts> {
      for (let round = 0; round < rounds; round += 1) {
        for (const facts of recording.facts()) {
          const moved = facts as { -readonly [K in keyof StatementFacts]: StatementFacts[K] }
          const ordinal = ordinals.get(facts.session)! + 1
          ordinals.set(facts.session, ordinal)
          moved.ordinal = ordinal
          moved.transaction += round * seqs
          moved.sentUs += round * spanUs
          moved.doneUs += round * spanUs
          yield moved
        }
      }
    },
  }
}
