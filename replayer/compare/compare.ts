/**
 * Two runs of one recording, statement by statement, into a diff file.
 *
 * Everything streams: the runs are joined by seq, discrepancies go to the file as they are found, and memory grows with the
 * kinds of statement and the causes only. With a noise run there are two passes: one learns what differs by itself, one judges.
 */
import { randomUUID } from 'node:crypto'
import { DIFF_FORMAT_VERSION, type DiffFacts, type RunSummary } from '../../segment/diff.js'
import type { RunRow } from '../../segment/run.js'
import type { RunSource } from '../../segment/run-source.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import { conditionsOf } from './conditions.js'
import { type Compared, type DiffTarget, DiscrepancyLog, serviceUs } from './discrepancy-log.js'
import { type Excuse, mostTelling } from './excuses.js'
import type { Judged, PairJudge } from './judge-pair.js'
import { type JudgeOptions, judgeFor, learnNoise, refuseStrangers } from './judges.js'
import { Latencies } from './latency.js'
import { newTableWaits } from './lock-cause.js'
import { joinBySeq } from './merge-runs.js'
import { aspectsOf } from './noise.js'
import { SentTexts } from './sent-texts.js'
import { TimelineBuilder } from './timeline.js'
import { invalidReasons } from './validity.js'

export type CompareOptions = JudgeOptions & {
  readonly out: DiffTarget
  readonly madeBy: string
  readonly nowMs?: () => number
  readonly onProgress?: (done: number, total: number) => void
}

const PROGRESS_EVERY = 2_000

export function compareRuns(options: CompareOptions): DiffFacts {
  refuseStrangers(options)
  return new Comparison(options).run()
}

class Comparison {
  readonly #options: CompareOptions
  readonly #id = randomUUID()
  readonly #candidate: PairJudge
  readonly #itself: PairJudge | null
  readonly #log: DiscrepancyLog
  readonly #latencies = new Latencies()
  readonly #before = new RunTally()
  readonly #after = new RunTally()
  readonly #again = new RunTally()
  readonly #excused: Partial<Record<Excuse, number>> = {}
  readonly #uncompared: Record<string, number> = {}
  readonly #sent: SentTexts
  #compared = 0
  #discrepancies = 0
  #done = 0

  constructor(options: CompareOptions) {
    this.#options = options
    const { after, noise, recording, out } = options
    this.#candidate = judgeFor(
      options,
      after,
      learnNoise(options, () => this.#progress()),
    )
    this.#itself = noise === undefined ? null : judgeFor(options, noise, null)
    this.#sent = new SentTexts(after)
    this.#log = new DiscrepancyLog({
      id: this.#id,
      out,
      traceId: (seq) => recording.traceId(seq),
      recordedAtMs: recording.manifest.startedAtMs,
      sent: this.#sent,
      describer: this.#candidate.describer,
      read: (seq) => this.#read(seq),
    })
  }

  run(): DiffFacts {
    const { before, after, noise, recording } = this.#options
    for (const { a, b, c, d } of joinBySeq(before.rows(), after.rows(), noise?.rows() ?? [], recording.statements())) {
      this.#progress()
      this.#before.add(a)
      this.#after.add(b)
      this.#again.add(c)
      if (a !== undefined && b !== undefined && d !== undefined) this.#compare({ statement: d, before: a, after: b }, c)
      else if (a !== undefined || b !== undefined) this.#leaveOut(a, b, d)
    }
    const latencies = this.#latencies.list()
    for (const verdict of latencies)
      if (verdict.row.verdict === 'slower' && verdict.row.fingerprint !== '') this.#log.slower(verdict)
    // What was injected is told by itself, with whom it held up.
    if (after.facts.injections === undefined)
      this.#log.lockWaits(
        newTableWaits(
          noise === undefined ? [before.facts.locks] : [before.facts.locks, noise.facts.locks],
          after.facts.locks,
        ),
      )
    const facts = this.#facts()
    this.#log.close(latencies, facts)
    return facts
  }

  #compare(compared: Compared, again: RunRow | undefined): void {
    const { statement, before, after } = compared
    this.#compared += 1
    this.#log.sent(statement)
    const judged = this.#candidate.judge(statement, before, after)
    const itself = again === undefined ? undefined : this.#itself?.judge(statement, before, again)
    this.#take(compared, judged, itself)
    this.#time(compared, again)
  }

  #take(compared: Compared, judged: Judged, itself: Judged | undefined): void {
    const { judgement } = judged
    if (judgement.verdict === 'equal') {
      this.#log.refused(compared)
      return
    }
    if (judgement.verdict === 'excused') {
      if (judgement.excuses.includes('follows')) this.#log.follows(compared, judged)
      else if (judged.broke) this.#log.brokeUnseen(compared, judged)
      if (judgement.excuses.includes('generated')) this.#log.renamed(compared, judged)
      this.#excuse(mostTelling(judgement.excuses))
      return
    }
    // At this very statement the baseline runs disagree about the same: no rate is needed to see noise.
    const differsItself = itself === undefined ? [] : aspectsOf(itself.judgement)
    if (differsItself.length > 0 && aspectsOf(judgement).every((aspect) => differsItself.includes(aspect))) {
      this.#excuse('noise')
      return
    }
    this.#discrepancies += 1
    this.#log.discrepancy(compared, judged)
  }

  #time({ statement, before, after }: Compared, again: RunRow | undefined): void {
    if (before.outcome.error !== null || after.outcome.error !== null) return
    this.#latencies.add({
      fingerprint: statement.fingerprint,
      sql: statement.sql,
      seq: statement.seq,
      beforeUs: serviceUs(before),
      afterUs: serviceUs(after),
      noiseUs: again === undefined || again.outcome.error !== null ? null : serviceUs(again),
      progress: this.#compared / Math.max(1, this.#options.before.count),
      productionUs: [statement.sentUs, statement.doneUs],
    })
  }

  #read(seq: number): Compared | null {
    const [statement] = this.#options.recording.statements(seq)
    const before = this.#options.before.row(seq)
    const after = this.#options.after.row(seq)
    if (statement?.seq !== seq || before === undefined || after === undefined) return null
    return { statement, before, after }
  }

  #excuse(reason: Excuse | undefined): void {
    if (reason !== undefined) this.#excused[reason] = (this.#excused[reason] ?? 0) + 1
  }

  #leaveOut(before: RunRow | undefined, after: RunRow | undefined, statement: RecordedStatement | undefined): void {
    const answered =
      before === undefined ? 'no answer in the first run' : after === undefined ? 'no answer in the second run' : ''
    const reason = statement === undefined ? 'not in the recording' : answered
    this.#uncompared[reason] = (this.#uncompared[reason] ?? 0) + 1
    if (statement !== undefined) this.#candidate.oneSided(statement)
  }

  #progress(): void {
    this.#done += 1
    if (this.#done % PROGRESS_EVERY !== 0) return
    const passes = this.#options.noise === undefined ? 1 : 2
    this.#options.onProgress?.(this.#done, this.#options.before.count * passes)
  }

  #facts(): DiffFacts {
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
      privacy: recording.manifest.privacy,
      before: summary(before, this.#before),
      after: summary(after, this.#after),
      noise: noise === undefined ? null : summary(noise, this.#again),
      compared: this.#compared,
      discrepancies: this.#discrepancies,
      excused: this.#excused as Record<string, number>,
      uncompared: this.#uncompared,
      productionMs: this.#latencies.productionMs,
      timelineBefore: this.#before.timeline.points(),
      timelineAfter: this.#after.timeline.points(),
      invalid: invalidReasons(before.facts, after.facts, this.#compared),
    }
  }
}

class RunTally {
  readonly timeline = new TimelineBuilder()
  errors = 0

  add(row: RunRow | undefined): void {
    if (row === undefined) return
    this.timeline.add(row)
    if (row.outcome.error !== null) this.errors += 1
  }
}

function snapshotOf({ snapshotId, start }: RunSource['facts']): NonNullable<RunSummary['snapshot']> | null {
  if (snapshotId === null) return null
  return {
    id: snapshotId,
    taken: start?.kind ?? 'unknown',
    ...(start?.kind === 'within' ? { atMs: start.atUs / 1000 } : {}),
  }
}

function summary({ facts, count }: RunSource, { errors }: RunTally): RunSummary {
  const conditions = conditionsOf(facts)
  return {
    id: facts.id,
    role: facts.role,
    target: `${facts.target.version.split(' on ')[0]}, ${facts.target.database}`,
    statements: count,
    errors,
    elapsedMs: facts.elapsedUs / 1000,
    ledger: facts.ledger,
    orderRelaxed: facts.orderRelaxed,
    eventLoopUtilisationMax: facts.eventLoopUtilisationMax,
    startedAtMs: facts.startedAtMs,
    snapshot: snapshotOf(facts),
    ...(conditions === undefined ? {} : { conditions }),
  }
}
