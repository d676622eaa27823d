/**
 * An answered exchange as the statements a recording keeps: masked, one for each answer of a simple query, one otherwise.
 *
 * An exchange that was refused together with an earlier error of its pipeline has neither tag nor error: the server never
 * executed it. One whose answer never came (the connection ended first) is marked unreplayable: nobody knows what it did.
 */

import type { MaskedSql, Masker } from '../../privacy/masker.js'
import type { Masking } from '../../segment/masking.js'
import type { Outcome } from '../../segment/outcome.js'
import type { Frame, SafeSql, Statement } from '../../segment/statement.js'
import { tagRowCount } from '../../wire/backend.js'
import { maskedBind, readBind } from './bind-values.js'
import type { Answer, Exchange } from './exchange.js'
import type { Result } from './result.js'

/** A statement before its session has given it a place: ordinal and transaction are still to be set. */
export type Draft = { -readonly [Name in keyof Statement]: Statement[Name] }

/** Whether what was executed may have written. */
export function writes({ frames, sql }: Exchange<Result>, masker: Masker): boolean {
  return executes(frames) && masker.sql(sql).facts.writes
}

export const NO_ANSWER = 'the connection ended before its answer'

export function statementsOf(exchange: Exchange<Result>, session: number, masker: Masker): Draft[] {
  const text = masker.sql(exchange.sql)
  const draft = draftOf(exchange, session, text, maskingOf(exchange, text, 0, masker))
  if (exchange.copy.length > 0) copyInto(draft, exchange, text, masker)
  if (exchange.frames[0]?.[0] === 'Q') return simpleStatements(draft, exchange, text, masker)
  parametersInto(draft, exchange, text, masker)
  draft.outcome = outcomeOf(exchange, exchange.answers[0], true, masker)
  return [draft]
}

function simpleStatements(first: Draft, exchange: Exchange<Result>, text: MaskedSql, masker: Masker): Draft[] {
  const answers = exchange.answers.slice(0, exchange.statements)
  first.outcome = outcomeOf(exchange, answers[0], answers.length <= 1, masker)
  if (answers.length <= 1) return [first]
  first.doneUs = answers[0]!.doneUs
  const rest = answers.slice(1).map((answer, i): Draft => {
    const part = i + 1
    const last = part === answers.length - 1
    const draft = draftOf(exchange, first.session, text, maskingOf(exchange, text, part, masker))
    draft.seq += part
    draft.part = part
    draft.frames = []
    draft.sql = text.statements[part] ?? EMPTY_SQL
    draft.fingerprint = text.facts.statements[part]?.fingerprint ?? ''
    draft.sentUs = answers[i]!.doneUs
    if (!last) draft.doneUs = answer.doneUs
    draft.outcome = outcomeOf(exchange, answer, last, masker)
    return draft
  })
  return [first, ...rest]
}

const EMPTY_SQL = '' as SafeSql

function maskingOf(exchange: Exchange<Result>, text: MaskedSql, part: number, masker: Masker): Masking | undefined {
  return masker.masking(text.facts, part, exchange.prepared?.parameterTypes ?? []) ?? undefined
}

function draftOf(exchange: Exchange<Result>, session: number, text: MaskedSql, masking?: Masking): Draft {
  const answered = exchange.expects.length === 0
  return {
    seq: exchange.seq,
    session,
    ordinal: 0,
    transaction: 0,
    part: 0,
    sentUs: exchange.sentUs,
    doneUs: exchange.doneUs,
    frames: exchange.frames,
    sql: text.sql,
    fingerprint: text.fingerprint,
    masking,
    parameters: [],
    parameterTypes: exchange.prepared?.parameterTypes ?? [],
    bind: null,
    copy: null,
    unreplayable: exchange.trouble ?? (answered ? null : NO_ANSWER),
    outcome: NOTHING_CAME,
  }
}

function parametersInto(draft: Draft, exchange: Exchange<Result>, text: MaskedSql, masker: Masker): void {
  if (!exchange.portal) return
  const bind = readBind(
    exchange.portal.bind,
    draft.parameterTypes,
    (count) => {
      return masker.parameterTypes(text.facts, count, draft.parameterTypes)
    },
    masker.binaryText,
  )
  if (!bind) {
    draft.unreplayable = 'its parameters cannot be decoded'
    return
  }
  const { types: parameterTypes } = bind
  draft.parameters = masker.parameters(text.facts, bind.texts, parameterTypes)
  if (bind.unreadable.length > 0) {
    const types = [...new Set(bind.unreadable)].join(', ')
    draft.unreplayable = `cannot tokenize binary values of type ${types}`
  } else if (exchange.hasBind) draft.bind = maskedBind(bind, draft.parameters, parameterTypes)
}

function copyInto(draft: Draft, exchange: Exchange<Result>, text: MaskedSql, masker: Masker): void {
  draft.copy = maskedCopy(Buffer.concat(exchange.copy), text, masker)
  if (draft.copy === null) draft.unreplayable = 'cannot tokenize its COPY data'
}

function maskedCopy(data: Buffer, { facts }: MaskedSql, masker: Masker): Buffer | null {
  const statement = facts.statements.findIndex(({ copy }) => copy?.direction === 'in')
  if (statement < 0) return null
  if (facts.statements[statement]!.copy!.format === 'binary') return masker.copyBinary(facts, statement, data)
  const mask = masker.copy(facts, statement)
  return mask && Buffer.concat([mask.push(data), mask.end()])
}

const NOTHING_CAME: Outcome = {
  error: null,
  tag: '',
  rowCount: 0,
  columns: null,
  digest: null,
  rows: null,
  rowsCut: false,
  suspended: false,
  status: null,
}

function outcomeOf(
  exchange: Exchange<Result>,
  answer: Answer<Result> | undefined,
  last: boolean,
  masker: Masker,
): Outcome {
  const status = last ? exchange.status : null
  if (!answer) return { ...NOTHING_CAME, status }
  const { sink, tag, suspended } = answer
  // Rows that came before an error were taken back by it.
  if (answer.error) return { ...NOTHING_CAME, error: masker.error(answer.error), status }
  return {
    error: null,
    tag,
    rowCount: tag === '' ? answer.rows : tagRowCount(tag),
    columns: sink?.columns ?? null,
    digest: sink?.finish() ?? null,
    rows: sink?.rows ?? null,
    rowsCut: sink?.rowsCut ?? false,
    suspended,
    status,
  }
}

function executes(frames: readonly Frame[]): boolean {
  return frames.some(([kind]) => kind === 'Q' || kind === 'E' || kind === 'F')
}
