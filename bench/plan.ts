/**
 * How long does planning take? Records the shop, then plans the recording repeated until it has the wanted number of statements
 * (times, sequence numbers and transactions go on; sessions stay), reading every round from disk.
 *
 *     node dist/bench/plan.js [--statements 1000000]
 */
import { parseArgs } from 'node:util'
import { buildPlan, type PlanSource } from '../replayer/plan/build.js'
import { openRecording, type RecordingReader } from '../segment/recording.js'
import type { Statement } from '../segment/statement.js'
import { setStage } from './stage.js'
import { WORKLOADS } from './workloads.js'

const { values: flags } = parseArgs({
  options: {
    statements: { type: 'string', default: '1000000' },
    recorded: { type: 'string', default: '40000' },
    sessions: { type: 'string', default: '20' },
  },
})

const recorded = { statements: Number(flags.recorded), sessions: Number(flags.sessions), scale: 1, seed: 1 }
const stage = await setStage(WORKLOADS.shop!(recorded), (line) => console.log(line))
try {
  const recording = openRecording(stage.recording)
  const rounds = Math.max(1, Math.ceil(Number(flags.statements) / recording.statementCount))
  const source = repeated(recording, rounds)
  const before = process.memoryUsage().rss
  const cpuBefore = process.cpuUsage()
  const began = performance.now()
  const { plan } = await buildPlan(source)
  const seconds = (performance.now() - began) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  console.log(
    `${plan.statementCount} statements planned in ${seconds.toFixed(1)} s (${((cpu.user + cpu.system) / 1e6).toFixed(1)} s of CPU), ` +
      `${((seconds * 1e6) / plan.statementCount).toFixed(1)} µs each, ${(plan.waitSession.length / plan.statementCount).toFixed(2)} waits each, ` +
      `${Math.round((process.memoryUsage().rss - before) / 1e6)} MB`,
  )
  recording.close()
} finally {
  await stage.close()
}

function repeated(recording: RecordingReader, rounds: number): PlanSource {
  const sessions = recording.sessions()
  const ordinals = new Map(sessions.map(({ session }) => [session, 0]))
  const [seqs, spanUs] = [recording.statementCount + 1_000_000, recording.lastDoneUs + 1000]
  return {
    manifest: recording.manifest,
    statementCount: recording.statementCount * rounds,
    sessions: () => sessions,
    *statements(): Iterable<Statement> {
      for (let round = 0; round < rounds; round += 1) {
        for (const statement of recording.statements()) {
          const ordinal = ordinals.get(statement.session)! + 1
          ordinals.set(statement.session, ordinal)
          yield Object.assign(Object.create(statement), {
            seq: statement.seq + round * seqs,
            ordinal,
            transaction: statement.transaction + round * seqs,
            sentUs: statement.sentUs + round * spanUs,
            doneUs: statement.doneUs + round * spanUs,
          })
        }
      }
    },
  }
}
