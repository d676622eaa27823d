/**
 * From judgements to the diff file: each difference gets its cause, each cause its finding, and both are written as they come.
 */
import type { DiffFacts, Discrepancy } from '../../segment/diff.js'
import type { DiffWriter } from '../../segment/diff-file.js'
import type { Row } from '../../segment/outcome.js'
import { resultSha256 } from '../../segment/result-sha.js'
import type { RunRow } from '../../segment/run.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import { BrokenRows } from './broken-rows.js'
import type { Cause } from './causes/cause.js'
import { OF_TIMING } from './causes/errors.js'
import { type ExplainContext, explain } from './causes/explain.js'
import type { Describer } from './describe.js'
import { Findings, UNSEEN } from './findings.js'
import type { Judged } from './judge-pair.js'
import type { Difference } from './judgement.js'
import type { Knowledge } from './knowledge.js'
import type { LatencyVerdict } from './latency.js'
import { latencyCause } from './latency-cause.js'
import type { TableWaits } from './lock-cause.js'
import { OpenTransactions } from './open-transactions.js'
import type { SentTexts } from './sent-texts.js'
import { ValueTally } from './value-tally.js'

export type DiffTarget = Pick<DiffWriter, 'discrepancy' | 'moveDiscrepancies' | 'finding' | 'latency' | 'close'>

export type Compared = { readonly statement: RecordedStatement; readonly before: RunRow; readonly after: RunRow }

export type LogOptions = {
  readonly id: string
  readonly out: DiffTarget
  readonly traceId: (seq: number) => string
  readonly recordedAtMs: number
  readonly sent: SentTexts
  readonly describer: Pick<Describer, 'written' | 'writing' | 'access' | 'isLabel' | 'knowledge'>
  /** Finds a statement and its outcomes again. */
  readonly read: (seq: number) => Compared | null
}

/** Statements of broken transactions that are looked at again for what they had written before it broke. */
const LOOKED_AT_AGAIN_MAX = 20_000
/** Asked for by most of its kind, a value tells nothing about those that differ. */
const ASKED_SHARE_MAX = 0.5

const NO_NAMES: ReadonlySet<string> = new Set()
const NOTHING_GIVEN: ReadonlyMap<string, string> = new Map()

export class DiscrepancyLog {
  readonly #options: LogOptions
  readonly #findings = new Findings()
  readonly #transactions = new OpenTransactions()
  readonly #broken = new BrokenRows()
  readonly #values = new ValueTally()
  #lookedAtAgain = 0

  constructor(options: LogOptions) {
    this.#options = options
  }

  /** For every statement, in the order of the recording. */
  sent(statement: RecordedStatement): void {
    this.#transactions.sent(statement)
    this.#values.note(statement.fingerprint, statement.parameters)
    this.#broken.sent(statement.parameters)
  }

  /** Differs only because its transaction was broken before: what it meant to write is missing as well. */
  follows({ statement, before, after }: Compared, { knowledge }: Judged): void {
    const findingId = this.#transactions.brokenBy(statement.session)
    if (findingId !== null) this.#findings.reaches(findingId, this.#options.describer.written(statement.sql))
    this.#breakRows({ statement, before, after }, knowledge)
  }

  /** It failed on one side only, and that is excused: what its transaction meant to write is missing all the same. */
  brokeUnseen(compared: Compared, { knowledge }: Judged): void {
    this.#breaks(compared, knowledge, UNSEEN)
    const error = compared.after.outcome.error ?? compared.before.outcome.error
    if (error !== null && OF_TIMING.has(error.sqlstate)) this.#findings.lockBroke(compared.statement.seq)
  }

  /** Other keys were drawn, because broken transactions drew none or drew in vain: who asks for such a key finds another row. */
  renamed({ before, after }: Compared, { knowledge }: Judged): void {
    if (!this.#broken.some || knowledge === null) return
    const drawn = knowledge.columns.map((nature) => ({
      ...nature,
      key: nature.teaches && nature.chance === 'sequence',
    }))
    this.#broken.add([], [before.outcome, after.outcome], drawn)
  }

  /** Both runs refuse it alike. */
  refused({ after }: Compared): void {
    if (after.outcome.error !== null) this.#findings.refused(after.outcome.error)
  }

  discrepancy(compared: Compared, judged: Judged): void {
    if (judged.judgement.verdict !== 'discrepancy') return
    const { knowledge, clocks } = judged
    this.renamed(compared, judged)
    const natures = knowledge?.columns ?? []
    const { describer } = this.#options
    const error = compared.after.outcome.error ?? compared.before.outcome.error
    const written = error === null ? null : describer.writing(compared.statement.sql)
    const pointsAt = written?.pointsAt(error?.constraint ?? '') ?? null
    const context: ExplainContext = {
      before: compared.before.outcome,
      after: compared.after.outcome,
      natures,
      clocks,
      writes: (knowledge?.written.length ?? 0) > 0,
      isLabel: (type, label) => describer.isLabel(type, label),
      ...(written === null ? {} : { written }),
      asked: this.#asked(compared.statement, knowledge),
      cutBy: knowledge !== null && mayBeCut(compared, knowledge) ? (knowledge.sort.shown[0] ?? null) : null,
      given: knowledge?.given ?? NOTHING_GIVEN,
    }
    let part = 0
    for (const whole of judged.judgement.differences) {
      const { difference, tainted } = this.#withoutBroken(whole, compared, knowledge)
      for (const cause of explain(difference, context)) {
        part += 1
        const findingId = this.#write(compared, difference, cause, {
          suffix: part === 1 ? '' : `-${part}`,
          rows: difference.subKind.startsWith('error') ? null : judged.judgement.rows,
          labels: cause.columns.map((at) => natures[at]?.subject ?? ''),
          madeOf: cause.columns.flatMap((at) => natures[at]?.madeOf ?? []),
          knowledge,
          tainted: tainted || this.#isRepeated(compared, knowledge),
          relievedBy: relievedBy(compared, knowledge),
          pointsAt,
        })
        if (difference.subKind.startsWith('error')) this.#breaks(compared, knowledge, findingId)
      }
    }
  }

  /** What the statement was asked for that others of its kind are not. */
  #asked({ fingerprint, parameters }: RecordedStatement, knowledge: Knowledge | null): ExplainContext['asked'] {
    return (knowledge?.lookups ?? []).map(({ parameter, label }) => {
      const value = parameters[parameter - 1] ?? null
      const share = value === null ? null : this.#values.share(fingerprint, parameter, value)
      return { label, value: share !== null && share <= ASKED_SHARE_MAX ? value : null }
    })
  }

  /** It is no longer refused, and gives the table what a broken transaction gave it before: that row is not in the way. */
  #isRepeated({ statement, before, after }: Compared, knowledge: Knowledge | null): boolean {
    const vanished = before.outcome.error !== null && after.outcome.error === null
    return vanished && knowledge !== null && this.#broken.gave(knowledge.written[0] ?? '', statement.parameters)
  }

  /** Rows that a broken transaction meant to write need no other cause; the rest of them may have one. */
  #withoutBroken(difference: Difference, compared: Compared, knowledge: Knowledge | null) {
    if (knowledge === null || !this.#broken.some) return { difference, tainted: false }
    const sought = this.#broken.hasSome(knowledge.sought)
    const known = (row: Row) => sought || this.#broken.has(row, knowledge.columns)
    const cells = difference.cells.filter(({ rowBefore, rowAfter }) => !known(rowBefore) && !known(rowAfter))
    let missing = difference.missing.filter((row) => !known(row))
    let extra = difference.extra.filter((row) => !known(row))
    // Behind a LIMIT each of them pushed another row out, or let one in.
    if (mayBeCut(compared, knowledge)) {
      const pushing = difference.extra.length - extra.length
      const gone = difference.missing.length - missing.length
      missing = missing.slice(Math.min(missing.length, pushing))
      extra = extra.slice(Math.min(extra.length, gone))
    }
    const whole = difference.missing.length + difference.extra.length + difference.cells.length
    const left = missing.length + extra.length + cells.length
    if (left === whole) return { difference, tainted: false }
    return left === 0
      ? { difference, tainted: true }
      : { difference: { ...difference, missing, extra, cells }, tainted: false }
  }

  /** One finding per kind of statement that is slower, its slowest executions as examples. */
  slower({ row, slowest }: LatencyVerdict): void {
    const access = this.#options.describer.access(row.sql)
    for (const [at, { seq }] of slowest.entries()) {
      const compared = this.#options.read(seq)
      if (compared === null) continue
      const kind = { mismatch: 'LATENCY_SPIKE', subKind: 'latency' } as const
      const one = {
        suffix: '-latency',
        rows: null,
        labels: access.writtenTable === '' ? access.soughtColumns : [],
        madeOf: [],
        knowledge: null,
        tainted: false,
        count: at === 0 ? row.count : 0,
      }
      this.#write(compared, kind, latencyCause(row, access), one)
    }
  }

  /** Seen beside the replay, so no statement of it is an example. */
  lockWaits(found: readonly TableWaits[]): void {
    for (const { cause, waits, fingerprints } of found)
      for (const [at, fingerprint] of (fingerprints.length === 0 ? [''] : fingerprints).entries())
        this.#findings.add({
          ...{
            mismatch: 'LATENCY_SPIKE',
            subKind: 'latency',
            cause,
            columns: [],
            madeOf: [],
            fingerprint,
            alertId: '',
          },
          ...{ atMs: this.#options.recordedAtMs, seq: 0, tables: [cause.subject], columnNames: NO_NAMES, written: [] },
          ...{ tainted: false, count: at === 0 ? waits : 0 },
        })
  }

  close(latencies: readonly LatencyVerdict[], facts: DiffFacts): void {
    const { out } = this.#options
    out.moveDiscrepancies(this.#findings.consequences())
    for (const finding of this.#findings.list(facts.compared)) out.finding(finding)
    for (const { row } of latencies) out.latency({ ...row, ...this.#options.sent.of(row.sql) })
    out.close(facts)
  }

  #breaks({ statement, before, after }: Compared, knowledge: Knowledge | null, findingId: string): void {
    const { describer } = this.#options
    for (const { seq, sql } of this.#transactions.broken(statement.session, findingId)) {
      const written = describer.written(sql)
      this.#findings.reaches(findingId, written)
      if (written.length > 0 && seq < statement.seq) this.#breakEarlier(seq)
    }
    this.#breakRows({ statement, before, after }, knowledge)
    if (after.outcome.error !== null) this.#findings.refused(after.outcome.error)
  }

  /** What it had written before it broke is undone on one side as well. */
  #breakEarlier(seq: number): void {
    if (this.#lookedAtAgain >= LOOKED_AT_AGAIN_MAX) return
    this.#lookedAtAgain += 1
    const earlier = this.#options.read(seq)
    if (earlier === null) return
    const columns = earlier.before.outcome.columns ?? earlier.after.outcome.columns ?? []
    this.#breakRows(earlier, this.#options.describer.knowledge(earlier.statement, columns))
  }

  #breakRows({ statement, before, after }: Compared, knowledge: Knowledge | null): void {
    const writes = knowledge !== null && knowledge.written.length > 0
    const parameters = writes ? statement.parameters : []
    if (writes) this.#broken.change(knowledge.sought)
    if (writes) this.#broken.give(knowledge.written[0] ?? '', parameters)
    this.#broken.add(parameters, [before.outcome, after.outcome], knowledge?.columns ?? [])
  }

  #write(
    { statement, before, after }: Compared,
    { mismatch, subKind }: Pick<Difference, 'mismatch' | 'subKind'>,
    cause: Cause,
    one: {
      readonly suffix: string
      readonly rows: Discrepancy['rows']
      readonly labels: readonly string[]
      readonly madeOf: readonly string[]
      readonly knowledge: Judged['knowledge']
      readonly tainted: boolean
      readonly relievedBy?: string
      /** The table whose rows a foreign key misses. */
      readonly pointsAt?: string | null
      readonly count?: number
    },
  ): string {
    const alertId = `${this.#options.id}-${statement.seq}${one.suffix}`
    const atMs = this.#options.recordedAtMs + Math.round(statement.sentUs / 1000)
    const { fingerprint, seq, sql, parameters } = statement
    const { findingId, sentence } = this.#findings.add({
      mismatch,
      subKind,
      cause,
      columns: one.labels,
      madeOf: one.madeOf,
      fingerprint,
      seq,
      atMs,
      alertId,
      tables: [...(one.knowledge?.tables ?? []), ...(one.pointsAt == null ? [] : [one.pointsAt])],
      columnNames: one.knowledge?.columnNames ?? NO_NAMES,
      written: one.knowledge?.written ?? [],
      tainted: one.tainted,
      relievedBy: one.relievedBy ?? '',
      ...(one.count === undefined ? {} : { count: one.count }),
    })
    this.#options.out.discrepancy({
      alertId,
      findingId,
      seq,
      traceId: this.#options.traceId(seq),
      fingerprint,
      sql,
      ...this.#options.sent.of(sql),
      parameters,
      mismatch,
      subKind,
      columns: cause.columns.map((at) => before.outcome.columns?.[at]?.name ?? ''),
      cause: sentence,
      atMs,
      digestBefore: resultSha256(before.outcome),
      digestAfter: resultSha256(after.outcome),
      latencyMsBefore: serviceUs(before) / 1000,
      latencyMsAfter: serviceUs(after) / 1000,
      errorBefore: briefError(before),
      errorAfter: briefError(after),
      rows: one.rows,
    })
    return findingId
  }
}

function mayBeCut({ before, after }: Compared, { sort }: Knowledge): boolean {
  return Math.max(before.outcome.rowCount, after.outcome.rowCount) >= sort.cutFrom
}

const FOREIGN_KEY_VIOLATION = '23503'

/** The referencing table, where a foreign key was in the way of a row's removal and is not any more. */
function relievedBy({ before, after }: Compared, knowledge: Knowledge | null): string {
  const { error } = before.outcome
  if (error?.sqlstate !== FOREIGN_KEY_VIOLATION || after.outcome.error !== null || error.table === undefined) return ''
  const { table } = error
  const writes = knowledge?.written.some((name) => name === table || name.endsWith(`.${table}`)) ?? false
  return writes ? '' : table
}

export function serviceUs({ timing }: RunRow): number {
  return timing.doneUs - timing.sentUs
}

function briefError({ outcome }: RunRow): Discrepancy['errorBefore'] {
  return outcome.error === null ? null : { sqlstate: outcome.error.sqlstate, message: outcome.error.message }
}
