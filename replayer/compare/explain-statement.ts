/**
 * Why one statement was judged as it was, in words. It is judged again with all that came before it, because a judgement depends on
 * what was learnt by then: pace, renamed values, the transaction's earlier errors.
 */
import type { RunRow } from '../../segment/run.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import { explain } from './causes/explain.js'
import { EXCUSES } from './excuses.js'
import type { Judged } from './judge-pair.js'
import { type JudgeOptions, judgeFor, learnNoise, refuseStrangers } from './judges.js'
import type { Knowledge } from './knowledge.js'
import { joinBySeq } from './merge-runs.js'
import type { ColumnNature } from './nature.js'
import { aspectsOf } from './noise.js'

export type Explanation = {
  readonly seq: number
  readonly sql: string
  readonly fingerprint: string
  readonly verdict: string
  readonly reasons: readonly string[]
}

/** null: the statement has no answer in one of the runs. */
export function explainStatement(options: JudgeOptions, seq: number): Explanation | null {
  refuseStrangers(options)
  const { before, after, noise, recording } = options
  const candidate = judgeFor(options, after, learnNoise(options))
  const itself = noise === undefined ? null : judgeFor(options, noise, null)
  for (const { seq: at, a, b, c, d } of joinBySeq(
    before.rows(),
    after.rows(),
    noise?.rows() ?? [],
    recording.statements(),
  )) {
    if (at > seq) return null
    if (a === undefined || b === undefined || d === undefined) continue
    const judged = candidate.judge(d, a, b)
    const again = itself === null || c === undefined ? null : itself.judge(d, a, c)
    if (at === seq) return inWords(d, a, b, judged, again)
  }
  return null
}

function inWords(
  statement: RecordedStatement,
  before: RunRow,
  after: RunRow,
  judged: Judged,
  again: Judged | null,
): Explanation {
  const { judgement, knowledge, clocks } = judged
  const reasons: string[] = [`the first run answered ${answer(before)}, the second ${answer(after)}`]
  if (knowledge === null) reasons.push('the answers are equal byte for byte')
  else reasons.push(...whatIsKnown(knowledge))
  if (judgement.verdict !== 'equal')
    for (const excuse of judgement.excuses) reasons.push(`excused (${excuse}): ${EXCUSES[excuse]}`)
  if (judgement.verdict === 'discrepancy') {
    const natures = knowledge?.columns ?? []
    for (const difference of judgement.differences)
      for (const cause of explain(difference, {
        before: before.outcome,
        after: after.outcome,
        natures,
        clocks,
        writes: (knowledge?.written.length ?? 0) > 0,
      }))
        reasons.push(
          `${difference.mismatch} ${difference.subKind}: ${cause.sentence(cause.detail)} (${cause.explainer})`,
        )
    const aspects = again === null ? [] : aspectsOf(again.judgement)
    if (again !== null)
      reasons.push(
        aspects.length > 0
          ? `the baseline runs differ here too: ${aspects.join(', ')}`
          : 'the baseline runs agree here',
      )
    if (aspects.length > 0 && aspectsOf(judgement).every((aspect) => aspects.includes(aspect)))
      return { ...head(statement), verdict: 'excused', reasons: [...reasons, `excused (noise): ${EXCUSES.noise}`] }
  }
  return { ...head(statement), verdict: judgement.verdict, reasons }
}

function head({ seq, sql, fingerprint }: RecordedStatement) {
  return { seq, sql, fingerprint }
}

function answer({ outcome }: RunRow): string {
  if (outcome.error !== null) return `SQLSTATE ${outcome.error.sqlstate}`
  if (outcome.columns === null) return outcome.tag
  return `${outcome.rowCount} ${outcome.rowCount === 1 ? 'row' : 'rows'} of ${outcome.columns.length} columns`
}

function whatIsKnown({ columns, sort, chancyRows, aboutServer }: Knowledge): readonly string[] {
  const said: string[] = []
  if (aboutServer) said.push('the statement asks about the server')
  if (chancyRows) said.push('its filter speaks of the time or of chance, so other rows may qualify')
  const keys = sort.shown.map((at) => columns[at]?.label ?? '').join(', ')
  said.push(
    !sort.sorted
      ? 'it has no ORDER BY at its top level, so rows may come in any order'
      : sort.total
        ? 'its order has no ties, so rows must come in that order'
        : `rows that tie on ${sort.allShown ? keys : 'its sort keys (not all are shown)'} may permute`,
  )
  if (sort.cutFrom !== Infinity && !sort.total) said.push('LIMIT may cut through rows that tie')
  return [...said, ...columns.flatMap(aboutColumn)]
}

function aboutColumn({ label, free, chance, domain, inputOrder, tolerance }: ColumnNature): readonly string[] {
  const said: string[] = []
  if (free !== null) said.push(`${label} is not looked at (${free}: ${EXCUSES[free]})`)
  else if (chance !== 'none') said.push(`${label} may hold values of ${CHANCES[chance]}`)
  if (domain !== null) said.push(`${label} holds generated values of ${domain}`)
  if (inputOrder) said.push(`${label} depends on the order in which rows are aggregated`)
  if (tolerance !== null) said.push(`${label} has a tolerance`)
  return said
}

const CHANCES: Readonly<Record<Exclude<ColumnNature['chance'], 'none'>, string>> = {
  time: 'the current time',
  random: 'chance',
  sequence: 'a sequence',
  session: 'the session',
}
