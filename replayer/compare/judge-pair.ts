/**
 * Judging in context: what a statement's place in its transaction, in the plan and in production's races means for its judgement.
 */
import type { RunRow } from '../../segment/run.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import type { Bijection } from './bijection.js'
import type { CellContext } from './cell.js'
import type { Clocks } from './clock.js'
import { Cursors } from './cursors.js'
import type { Describer } from './describe.js'
import { judge } from './judge.js'
import { excused, type Judgement } from './judgement.js'
import type { Knowledge } from './knowledge.js'
import type { MaskedTrail } from './masked.js'

export type Pairing = {
  readonly before: { readonly startedAtMs: number }
  readonly after: { readonly startedAtMs: number }
  readonly describer: Describer
  readonly bijection: Bijection
  readonly canonical: CellContext['canonical']
  /** Production ran a race at these; null when production is not one of the two. */
  readonly ambiguous: ((seq: number) => boolean) | null
  readonly unwritten: ((seq: number) => boolean) | null
  /** null when production is not one of the two. */
  readonly masked: MaskedTrail | null
}

export type Judged = {
  readonly judgement: Judgement
  readonly knowledge: Knowledge | null
  readonly clocks: Clocks
  /** It failed on one side only, for whatever reason: the rest of its transaction, and what it had written, differ for that. */
  readonly broke: boolean
}

/** Other rows than on the other side, not other values in them. */
const OTHER_ROWS: ReadonlySet<string> = new Set(['rows_missing', 'rows_extra', 'row_count', 'order'])

type OpenTransaction = { readonly transaction: number; readonly diverged: boolean }

export class PairJudge {
  readonly #pairing: Pairing
  readonly #sessions = new Map<number, OpenTransaction>()
  readonly #cursors = new Cursors()
  #driftUs = 0

  constructor(pairing: Pairing) {
    this.#pairing = pairing
  }

  get describer(): Describer {
    return this.#pairing.describer
  }

  /** Only one of the two sent it: what its transaction shows from here on may differ for that alone. */
  oneSided(statement: RecordedStatement): void {
    this.#diverge(statement)
  }

  judge(statement: RecordedStatement, before: RunRow, after: RunRow): Judged {
    this.#cursors.declared(statement)
    const { describer, masked } = this.#pairing
    masked?.sent(statement, () => describer.written(statement.sql))
    const clocks = this.#clocks(before, after)
    const { judgement, knowledge } = this.#judgeOutcomes(statement, before, after, clocks)
    const broke = (before.outcome.error === null) !== (after.outcome.error === null)
    if (judgement.verdict !== 'discrepancy') {
      if (broke) this.#diverge(statement)
      return { judgement, knowledge, clocks, broke }
    }
    const excuse =
      knowledge?.ignored === true ? 'ignored' : this.#excuse(statement, before, after, judgement, knowledge)
    if (excuse === 'masked') masked?.changes(knowledge?.written ?? [])
    if (judgement.differences.some(({ subKind }) => OTHER_ROWS.has(subKind))) this.#cursors.shift(statement)
    if (judgement.differences.some(({ subKind }) => subKind.startsWith('error'))) this.#diverge(statement)
    return { judgement: excuse === null ? judgement : excused(...judgement.excuses, excuse), knowledge, clocks, broke }
  }

  /** After an unexpected error PostgreSQL refuses the rest of the transaction; after an unexpected success it goes on. */
  #diverge({ session, transaction }: RecordedStatement): void {
    this.#sessions.set(session, { transaction, diverged: true })
  }

  #judgeOutcomes(statement: RecordedStatement, before: RunRow, after: RunRow, clocks: Clocks) {
    const { bijection, canonical, describer } = this.#pairing
    const cheap = sameWithoutLooking(before, after)
    if (cheap !== null) return { judgement: cheap, knowledge: null }
    const columns = before.outcome.columns ?? after.outcome.columns ?? []
    const cursor = this.#cursors.behind(statement)
    const knowledge =
      cursor === null
        ? describer.knowledge(statement, columns)
        : describer.sliceOf({ ...statement, ...cursor }, columns)
    return { judgement: judge(before.outcome, after.outcome, knowledge, { clocks, bijection, canonical }), knowledge }
  }

  #excuse(
    statement: RecordedStatement,
    before: RunRow,
    after: RunRow,
    { differences }: Extract<Judgement, { verdict: 'discrepancy' }>,
    knowledge: Knowledge | null,
  ): 'follows' | 'relaxed' | 'masked' | 'unwritten' | 'ambiguous' | null {
    const open = this.#sessions.get(statement.session)
    if (open?.transaction === statement.transaction && open.diverged) return 'follows'
    if (this.#cursors.isShifted(statement) && differences.every(({ subKind }) => OTHER_ROWS.has(subKind)))
      return 'follows'
    if (before.orderRelaxed || after.orderRelaxed) return 'relaxed'
    const error = after.outcome.error?.sqlstate ?? before.outcome.error?.sqlstate ?? ''
    const asked = this.#cursors.behind(statement) ?? statement
    if (this.#pairing.masked?.excuses(asked, differences, error, knowledge) === true) return 'masked'
    if (this.#pairing.unwritten?.(statement.seq) === true) return 'unwritten'
    return this.#pairing.ambiguous?.(statement.seq) === true ? 'ambiguous' : null
  }

  #clocks(before: RunRow, after: RunRow): Clocks {
    this.#driftUs = Math.max(this.#driftUs, Math.abs(before.timing.doneUs - after.timing.doneUs))
    return {
      beforeStartMs: this.#pairing.before.startedAtMs,
      afterStartMs: this.#pairing.after.startedAtMs,
      beforeElapsedMs: before.timing.doneUs / 1000,
      afterElapsedMs: after.timing.doneUs / 1000,
      driftMs: this.#driftUs / 1000,
    }
  }
}

/** Most outcomes are equal byte for byte; nothing needs to be known about their statement. */
function sameWithoutLooking({ outcome: a }: RunRow, { outcome: b }: RunRow): Judgement | null {
  if (a.error !== null || b.error !== null) return a.error?.sqlstate === b.error?.sqlstate ? excused() : null
  if (a.rowCount !== b.rowCount || a.tag !== b.tag || (a.columns === null) !== (b.columns === null)) return null
  if (a.columns === null) return excused()
  if (a.digest === null || b.digest === null || Buffer.compare(a.digest, b.digest) !== 0) return null
  const sameColumns =
    a.columns.length === b.columns?.length &&
    a.columns.every(({ name, typeOid }, at) => name === b.columns?.[at]?.name && typeOid === b.columns[at]?.typeOid)
  return sameColumns ? excused() : null
}
