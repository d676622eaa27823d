/**
 * How many outcomes a second are compared, and does memory stay flat? Two runs of a recording that never was, made row by row while they
 * are read, so that nothing but the comparison can hold on to them. One statement in a thousand answers with a value cut short.
 *
 *     node --expose-gc dist/bench/compare.js [--outcomes 10000000] [--kinds 200]
 *
 * Flat: the heap after the last tenth is not much larger than after the first. What making the rows costs is printed beside it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compareRuns } from '../replayer/compare/compare.js'
import type { RecordingSource } from '../replayer/compare/judges.js'
import { createDiff, openDiff } from '../segment/diff-file.js'
import { ResultDigest } from '../segment/digest.js'
import { NOTHING } from '../segment/ledger.js'
import type { Column, Outcome } from '../segment/outcome.js'
import type { RunFacts, RunRole, RunRow } from '../segment/run.js'
import type { RunSource } from '../segment/run-source.js'
import type { RecordedStatement } from '../segment/segment-reader.js'
import type { SafeSql } from '../segment/statement.js'
import { fingerprint, loadParser } from '../sql/parse.js'

const { values: flags } = parseArgs({
  options: { outcomes: { type: 'string', default: '10000000' }, kinds: { type: 'string', default: '200' } },
})
const [outcomes, kinds] = [Number(flags.outcomes), Number(flags.kinds)]
const WRONG_EVERY = 1_000
const LEDGER = { seen: NOTHING, kept: NOTHING, filtered: {}, skipped: {}, lost: {} }
const MB = 1024 * 1024

await loadParser()
const columns: readonly Column[] = ['id', 'name'].map((name, at) => ({
  name,
  typeOid: at === 0 ? 20 : 25,
  typmod: -1,
  tableOid: 0,
  attnum: 0,
}))
const whole = Array.from({ length: 64 }, (_, id) => answer(String(id), `a name that is long enough, number ${id}`))
const cut = Array.from({ length: 64 }, (_, id) => answer(String(id), 'a name that is long'))
const texts = Array.from({ length: kinds }, (_, at) => `SELECT id, name FROM people WHERE kind${at} = $1` as SafeSql)
const prints = texts.map((sql) => fingerprint(sql))

const making = seconds(() => {
  for (const one of [run('baseline').rows(), run('candidate').rows(), recording().statements()]) for (const _ of one);
})
const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-compare-'))
try {
  const path = join(folder, 'bench.diff')
  const heapMb: number[] = []
  const onProgress = (done: number) => {
    if (done < ((heapMb.length + 1) * outcomes) / 10) return
    globalThis.gc?.()
    heapMb.push(process.memoryUsage().heapUsed / MB)
  }
  const took = seconds(() =>
    compareRuns({
      before: run('baseline'),
      after: run('candidate'),
      recording: recording(),
      out: createDiff(path),
      madeBy: 'bench',
      onProgress,
    }),
  )
  const diff = openDiff(path)
  const found = diff.findings().map(({ cause, count }) => `${cause} (${count})`)
  diff.close()
  const rate = Math.round(outcomes / took).toLocaleString('en')
  console.log(`${outcomes.toLocaleString('en')} outcomes of ${kinds} kinds in ${took.toFixed(1)} s: ${rate}/s`)
  console.log(`of that, making the rows: ${making.toFixed(1)} s`)
  console.log(`heap after each tenth, MB: ${heapMb.map((mb) => mb.toFixed(0)).join(' ')}`)
  console.log(`resident at most: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`)
  console.log(`found: ${found.join(' · ')}`)
} finally {
  rmSync(folder, { recursive: true })
}

function answer(...row: readonly string[]): Outcome {
  const digest = new ResultDigest(columns)
  digest.rowOfText(row)
  const seen = { error: null, tag: 'SELECT 1', rowCount: 1, columns, digest: digest.finish(), rows: [row] }
  return { ...seen, rowsCut: false, suspended: false, status: 'I' }
}

function rowAt(role: RunRole, seq: number): RunRow {
  const wrong = role === 'candidate' && seq % WRONG_EVERY === 0
  const sentUs = seq * 100
  const doneUs = sentUs + 50 + (seq % 13)
  const timing = { dueUs: sentUs, sentUs, doneUs, waitOrderUs: 0, waitSessionUs: 0, waitWorkerUs: 0 }
  return { seq, timing, outcome: (wrong ? cut : whole)[seq % 64]!, orderRelaxed: false }
}

function run(role: RunRole): RunSource {
  const all = { statements: outcomes, transactions: outcomes }
  const facts: RunFacts = {
    format: 'pgrehearse run',
    formatVersion: 1,
    id: role,
    madeBy: 'bench',
    role,
    recordingId: 'bench',
    recordingPath: '',
    target: { version: '18', versionNum: 180000, database: 'bench', systemIdentifier: '1' },
    snapshotId: null,
    settings: { speed: 'max', order: 'causal', workers: 1, readOnly: false, rewriteHash: null },
    startedAtMs: 0,
    elapsedUs: outcomes * 100,
    ledger: { ...LEDGER, seen: all, kept: all },
    eventLoopUtilisationMax: 0,
    orderRelaxed: 0,
    incidents: [],
  }
  return {
    facts,
    count: outcomes,
    *rows(fromSeq = 1) {
      for (let seq = Math.max(1, fromSeq); seq <= outcomes; seq += 1) yield rowAt(role, seq)
    },
    row: (seq) => rowAt(role, seq),
    mapped: () => [],
    skipped: () => [],
    close() {},
  }
}

function recording(): RecordingSource {
  const statement = (seq: number): RecordedStatement => ({
    seq,
    session: seq % 8,
    ordinal: seq,
    transaction: seq,
    part: 0,
    sentUs: seq * 100,
    doneUs: seq * 100 + 50,
    frames: [],
    sql: texts[seq % kinds]!,
    fingerprint: prints[seq % kinds]!,
    parameters: ['1'],
    parameterTypes: [],
    bind: null,
    copy: null,
    unreplayable: null,
    outcome: whole[seq % 64]!,
    scope: 'READ_ONLY',
  })
  const settings = { startedAtMs: 0, endedAtMs: outcomes / 10, segments: [], incidents: [], ledger: LEDGER }
  const catalog = {
    database: 'bench',
    serverVersionNum: 180000,
    searchPath: [],
    relations: [],
    types: [],
    functions: [],
  }
  return {
    path: '',
    manifest: {
      ...settings,
      format: 'pgrehearse recording',
      formatVersion: 1,
      id: 'bench',
      madeBy: 'bench',
      source: 'proxy',
      server: {
        versionNum: 180000,
        version: '18',
        systemIdentifier: '1',
        database: 'bench',
        settings: {},
        startLsn: '0/0',
      },
      catalog,
      privacy: { policyHash: '', keyFingerprint: '' },
    },
    *statements(fromSeq = 1) {
      for (let seq = Math.max(1, fromSeq); seq <= outcomes; seq += 1) yield statement(seq)
    },
    traceId: (seq) => `trace-${seq}`,
  }
}

function seconds(work: () => void): number {
  const began = performance.now()
  work()
  return (performance.now() - began) / 1000
}
