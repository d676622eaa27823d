/**
 * Two runs of one recording, statement by statement, into a diff file.
 *
 * Everything streams: the runs are joined by seq, discrepancies go to the file as they are found, and memory grows with the
 * kinds of statement and the causes only. With a noise run there are two passes: one learns what differs by itself, one judges.
 */
import { randomUUID } from 'node:crypto'
import { DIFF_FORMAT_VERSION, type DiffFacts, type Discrepancy, type RunSummary } from '../../segment/diff.js'
import type { DiffWriter } from '../../segment/diff-file.js'
import { resultSha256 } from '../../segment/result-sha.js'
import type { RunFacts, RunRow } from '../../segment/run.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import { explain } from './causes/explain.js'
import { type Excuse, mostTelling } from './excuses.js'
import { Findings } from './findings.js'
import type { Judged } from './judge-pair.js'
import type { Difference } from './judgement.js'
import { type JudgeOptions, judgeFor, learnNoise, refuseStrangers } from './judges.js'
import { Latencies, type LatencyVerdict } from './latency.js'
import { latencyCause } from './latency-cause.js'
import { joinBySeq } from './merge-runs.js'
import { aspectsOf, type Noise } from './noise.js'
import { TimelineBuilder } from './timeline.js'
import { invalidReasons } from './validity.js'

export type CompareOptions = JudgeOptions & {
  readonly out: Pick<DiffWriter, 'discrepancy' | 'finding' | 'latency' | 'close'>
  readonly madeBy: string
  readonly nowMs?: () => number
  readonly onProgress?: (done: number, total: number) => void
}

type Timelines = {
  readonly before: TimelineBuilder
  readonly after: TimelineBuilder
  errorsBefore: number
  errorsAfter: number
}

const PROGRESS_EVERY = 2_000

export function compareRuns(options: CompareOptions): DiffFacts {
  refuseStrangers(options)
  return new Comparison(options).run()
}

class Comparison {
  readonly #options: CompareOptions
  readonly #id = randomUUID()
  #noise: Noise | null = null
  readonly #findings = new Findings()
  readonly #latencies = new Latencies()
  readonly #excused: Partial<Record<Excuse, number>> = {}
  readonly #uncompared: Record<string, number> = {}
  #compared = 0
  #discrepancies = 0
  #done = 0

  constructor(options: CompareOptions) {
    this.#options = options
  }

  run(): DiffFacts {
    this.#noise = learnNoise(this.#options, () => this.#progress())
    const timelines = this.#judgeAll()
    const latencies = this.#latencies.list()
    this.#writeSlow(latencies)
    for (const finding of this.#findings.list(this.#compared)) this.#options.out.finding(finding)
    for (const { row } of latencies) this.#options.out.latency(row)
    const facts = this.#facts(timelines)
    this.#options.out.close(facts)
    return facts
  }

  #judgeAll(): Timelines {
    const { before, after, noise, recording } = this.#options
    const candidate = judgeFor(this.#options, after, this.#noise)
    const again = noise === undefined ? null : judgeFor(this.#options, noise, null)
    const timelines = { before: new TimelineBuilder(), after: new TimelineBuilder(), errorsBefore: 0, errorsAfter: 0 }
    for (const { a, b, c, d } of joinBySeq(before.rows(), after.rows(), noise?.rows() ?? [], recording.statements())) {
      this.#progress()
      if (a !== undefined) timelines.before.add(a)
      if (b !== undefined) timelines.after.add(b)
      if (a !== undefined && a.outcome.error !== null) timelines.errorsBefore += 1
      if (b !== undefined && b.outcome.error !== null) timelines.errorsAfter += 1
      if (a === undefined || b === undefined || d === undefined) {
        if (a !== undefined || b !== undefined)
          this.#leftOut(
            d === undefined
              ? 'not in the recording'
              : a === undefined
                ? 'not in the first run'
                : 'not in the second run',
          )
        continue
      }
      const judged = candidate.judge(d, a, b)
      const differsItself = c === undefined || again === null ? [] : aspectsOf(again.judge(d, a, c).judgement)
      this.#take(d, a, b, judged, differsItself)
      this.#time(d, a, b, c)
    }
    return timelines
  }

  #take(
    statement: RecordedStatement,
    before: RunRow,
    after: RunRow,
    judged: Judged,
    differsItself: readonly string[],
  ): void {
    this.#compared += 1
    const { judgement } = judged
    if (judgement.verdict === 'equal') return
    if (judgement.verdict === 'excused') return this.#excuse(mostTelling(judgement.excuses))
    // At this very statement the baseline runs disagree about the same: no rate is needed to see noise.
    if (differsItself.length > 0 && aspectsOf(judgement).every((aspect) => differsItself.includes(aspect)))
      return this.#excuse('noise')
    this.#discrepancies += 1
    let part = 0
    for (const difference of judgement.differences)
      for (const cause of explain(difference, {
        before: before.outcome,
        after: after.outcome,
        natures: judged.knowledge?.columns ?? [],
        clocks: judged.clocks,
      })) {
        part += 1
        const alertId = part === 1 ? `${this.#id}-${statement.seq}` : `${this.#id}-${statement.seq}-${part}`
        const natures = cause.columns.map((at) => judged.knowledge?.columns[at]?.label ?? '')
        const { findingId, sentence } = this.#findings.add({
          mismatch: difference.mismatch,
          subKind: difference.subKind,
          cause,
          columns: natures,
          fingerprint: statement.fingerprint,
          atMs: this.#sentAtMs(statement),
          alertId,
        })
        this.#write(statement, before, after, difference, {
          alertId,
          findingId,
          cause: sentence,
          columns: cause.columns.map((at) => before.outcome.columns?.[at]?.name ?? ''),
          rows: difference.subKind.startsWith('error') ? null : judgement.rows,
        })
      }
  }

  #excuse(reason: Excuse | undefined): void {
    if (reason !== undefined) this.#excused[reason] = (this.#excused[reason] ?? 0) + 1
  }

  #write(
    statement: RecordedStatement,
    before: RunRow,
    after: RunRow,
    { mismatch, subKind }: Pick<Difference, 'mismatch' | 'subKind'>,
    rest: Pick<Discrepancy, 'alertId' | 'findingId' | 'cause' | 'columns' | 'rows'>,
  ): void {
    this.#options.out.discrepancy({
      ...rest,
      seq: statement.seq,
      traceId: this.#options.recording.traceId(statement.seq),
      fingerprint: statement.fingerprint,
      sql: statement.sql,
      parameters: statement.parameters,
      mismatch,
      subKind,
      atMs: this.#sentAtMs(statement),
      digestBefore: resultSha256(before.outcome),
      digestAfter: resultSha256(after.outcome),
      latencyMsBefore: serviceUs(before) / 1000,
      latencyMsAfter: serviceUs(after) / 1000,
      errorBefore: briefError(before),
      errorAfter: briefError(after),
    })
  }

  #time(statement: RecordedStatement, before: RunRow, after: RunRow, noise: RunRow | undefined): void {
    if (before.outcome.error !== null || after.outcome.error !== null) return
    this.#latencies.add({
      fingerprint: statement.fingerprint,
      sql: statement.sql,
      seq: statement.seq,
      beforeUs: serviceUs(before),
      afterUs: serviceUs(after),
      noiseUs: noise === undefined || noise.outcome.error !== null ? null : serviceUs(noise),
      progress: this.#compared / Math.max(1, this.#options.before.count),
    })
  }

  /** What is slower: one finding per kind of statement, its slowest executions as examples. */
  #writeSlow(latencies: readonly LatencyVerdict[]): void {
    for (const { row, slowest } of latencies) {
      if (row.verdict !== 'slower' || row.fingerprint === '') continue
      for (const [at, { seq }] of slowest.entries()) this.#writeSlowExample(row, seq, at === 0 ? row.count : 0)
    }
  }

  #writeSlowExample(row: LatencyVerdict['row'], seq: number, count: number): void {
    const { before, after, recording } = this.#options
    const [statement] = recording.statements(seq)
    const a = before.row(seq)
    const b = after.row(seq)
    if (statement?.seq !== seq || a === undefined || b === undefined) return
    const alertId = `${this.#id}-${seq}-latency`
    const kind = { mismatch: 'LATENCY_SPIKE', subKind: 'latency' } as const
    const cause = latencyCause(row)
    const { findingId, sentence } = this.#findings.add({
      ...kind,
      cause,
      columns: [],
      fingerprint: row.fingerprint,
      atMs: this.#sentAtMs(statement),
      alertId,
      count,
    })
    this.#write(statement, a, b, kind, { alertId, findingId, cause: sentence, columns: [], rows: null })
  }

  #sentAtMs({ sentUs }: RecordedStatement): number {
    return this.#options.recording.manifest.startedAtMs + Math.round(sentUs / 1000)
  }

  #leftOut(reason: string): void {
    this.#uncompared[reason] = (this.#uncompared[reason] ?? 0) + 1
  }

  #progress(): void {
    this.#done += 1
    if (this.#done % PROGRESS_EVERY !== 0) return
    const passes = this.#options.noise === undefined ? 1 : 2
    this.#options.onProgress?.(this.#done, this.#options.before.count * passes)
  }

  #facts(timelines: Timelines): DiffFacts {
    const { before, after, noise, recording, madeBy, nowMs = Date.now } = this.#options
    return {
      format: 'pgrehearse diff',
      formatVersion: DIFF_FORMAT_VERSION,
      id: this.#id,
      madeBy,
      createdAtMs: nowMs(),
      recordingId: recording.manifest.id,
      recordingPath: recording.path,
      recordedAtMs: recording.manifest.startedAtMs,
      before: summary(before, timelines.errorsBefore),
      after: summary(after, timelines.errorsAfter),
      noise: noise === undefined ? null : summary(noise, 0),
      compared: this.#compared,
      discrepancies: this.#discrepancies,
      excused: this.#excused as Record<string, number>,
      uncompared: this.#uncompared,
      timelineBefore: timelines.before.points(),
      timelineAfter: timelines.after.points(),
      invalid: invalidReasons(before.facts, after.facts, this.#compared),
    }
  }
}

function serviceUs({ timing }: RunRow): number {
  return timing.doneUs - timing.sentUs
}

function briefError({ outcome }: RunRow): Discrepancy['errorBefore'] {
  return outcome.error === null ? null : { sqlstate: outcome.error.sqlstate, message: outcome.error.message }
}

function summary({ facts, count }: { readonly facts: RunFacts; readonly count: number }, errors: number): RunSummary {
  return {
    id: facts.id,
    role: facts.role,
    target: `PostgreSQL ${facts.target.version}, ${facts.target.database}`,
    statements: count,
    errors,
    elapsedMs: facts.elapsedUs / 1000,
    ledger: facts.ledger,
    orderRelaxed: facts.orderRelaxed,
    eventLoopUtilisationMax: facts.eventLoopUtilisationMax,
  }
}
