/**
 * Does a replay take as long as it should? A recording with uneven gaps, made here, is replayed at several speeds; what is due is the
 * recorded offset of the last statement divided by the speed, what it took is when that statement had its answer.
 * Exits 1 when any total is more than 1 % off.
 *
 *     node dist/bench/speeds.js [--seconds 2] [--sessions 8]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { replay } from '../replayer/run/replay.js'
import { sessionPlan } from '../replayer/run/simple-plans.js'
import { startServer } from '../replayer/shadow/server.js'
import { openRecording } from '../segment/recording.js'
import { createRecording } from '../segment/recording-writer.js'
import { openRun } from '../segment/run-file.js'
import type { SafeSql, Statement } from '../segment/statement.js'

const { values: flags } = parseArgs({
  options: { seconds: { type: 'string', default: '2' }, sessions: { type: 'string', default: '8' } },
})
const SPEEDS = [0.1, 0.5, 1, 1.5, 10]
const OFF_MAX = 0.01
const FRAMES = [['Q']] as const
const sessions = Number(flags.sessions)
const folder = mkdtempSync(join(tmpdir(), 'pgr-speeds-'))
const server = await startServer()
try {
  const recording = join(folder, 'recording')
  writeRecording(recording, Number(flags.seconds) * 1e6)
  for (const speed of SPEEDS) await measure(recording, speed)
} finally {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function measure(recording: string, speed: number): Promise<void> {
  const out = join(folder, `${speed}.run`)
  const reader = openRecording(recording)
  const plan = sessionPlan(reader.timeline(), reader.sessions())
  reader.close()
  await replay({ recording, plan, target: server.url(), out, speed })
  const run = openRun(out)
  const timings = [...run.rows()].map(({ timing }) => timing)
  run.close()
  const dueMs = (Number(flags.seconds) * 1e3) / speed
  const tookMs = Math.max(...timings.map(({ doneUs }) => doneUs)) / 1000
  const late = timings.map(({ sentUs, dueUs }) => sentUs - dueUs).sort((a, b) => a - b)
  const p99Ms = late[Math.floor(late.length * 0.99)]! / 1000
  const off = Math.abs(tookMs / dueMs - 1)
  if (off > OFF_MAX) process.exitCode = 1
  const figures = `due ${dueMs.toFixed(1)} ms, took ${tookMs.toFixed(1)} ms, off ${(off * 100).toFixed(2)} %`
  console.log(`speed ${speed}: ${figures}, lateness p99 ${p99Ms.toFixed(1)} ms, ${timings.length} statements`)
}

/** Gaps of 0 to 9 ms; the last statement is due exactly at the end. */
function writeRecording(path: string, spanUs: number): void {
  const writer = createRecording(path, {
    madeBy: 'bench',
    source: 'proxy',
    startedAtMs: 1_700_000_000_000,
    server: { versionNum: 0, version: '', systemIdentifier: '', database: '', settings: {}, startLsn: '' },
    catalog: { database: '', serverVersionNum: 0, searchPath: [], relations: [], types: [], functions: [] },
    privacy: { policyHash: '', keyFingerprint: '' },
  })
  for (let session = 1; session <= sessions; session++) {
    const facts = { database: '', user: '', application: '', parameters: {}, prologue: [] }
    writer.session({ session, backendPid: session, connectedUs: 0, ...facts })
  }
  const statements = offsets(spanUs).map((offsetUs, i) => statement(i, offsetUs))
  writer.write(statements.map((one) => ({ scope: 'READ_ONLY' as const, statements: [one] })))
  writer.seen(writer.ledger.kept)
  writer.close(1_700_000_001_000)
}

function offsets(spanUs: number): number[] {
  const all: number[] = []
  for (let at = 0, i = 0; at < spanUs; i++, at += (i * 7919) % 9001) all.push(at)
  return [...all, spanUs]
}

function statement(i: number, sentUs: number): Statement {
  const nothing = { error: null, columns: null, digest: null, rows: null, rowsCut: false, suspended: false }
  return {
    seq: i + 1,
    session: 1 + (i % sessions),
    ordinal: 1 + Math.floor(i / sessions),
    transaction: i + 1,
    part: 0,
    sentUs,
    doneUs: sentUs + 100,
    frames: FRAMES,
    sql: 'SELECT 1' as SafeSql,
    fingerprint: '',
    parameters: [],
    parameterTypes: [],
    bind: null,
    copy: null,
    unreplayable: null,
    outcome: { ...nothing, tag: 'SELECT 1', rowCount: 1, status: 'I' },
  }
}
