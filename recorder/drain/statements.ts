/**
 * An answered exchange as the statements a recording keeps: masked, one for each answer of a simple query, one otherwise.
 *
 * An exchange that was refused together with an earlier error of its pipeline has neither tag nor error: the server never
 * executed it. One whose answer never came (the connection ended first) is marked unreplayable: nobody knows what it did.
 */

import type { Outcome } from '../../segment/outcome.js'
import type { Frame, SafeSql, Statement } from '../../segment/statement.js'
import { tagRowCount } from '../../wire/backend.js'
import { type BindText, maskedBind, readBind } from './bind-values.js'
import type { Answer, Exchange } from './exchange.js'
import type { MaskedText, Masking } from './masking.js'
import type { Result } from './result.js'

/** What the transaction it belongs to adds. */
export type Unplaced = Omit<Statement, 'ordinal' | 'transaction'> & { readonly writes: boolean }

export const NO_ANSWER = 'the connection ended before its answer'

const EMPTY_SQL = '' as SafeSql

export function statementsOf(exchange: Exchange<Result>, session: number, masking: Masking): Unplaced[] {
  const isQuery = exchange.frames[0]?.[0] === 'Q'
  return isQuery ? simpleStatements(exchange, session, masking) : [extendedStatement(exchange, session, masking)]
}

function simpleStatements(exchange: Exchange<Result>, session: number, masking: Masking): Unplaced[] {
  const text = exchange.sql === '' ? null : masking.text(exchange.sql)
  const answers = exchange.answers.slice(0, Math.max(1, exchange.pieces.length))
  const several = exchange.pieces.length > 1
  const first: Unplaced = {
    ...base(exchange, session, text),
    ...copyOf(exchange, text, masking),
    outcome: outcomeOf(exchange, answers[0], answers.length <= 1, masking),
  }
  const rest = answers.slice(1).map((answer, i): Unplaced => {
    const piece = masking.text(exchange.pieces[i + 1] ?? '')
    return {
      ...base(exchange, session, piece),
      seq: exchange.seq + i + 1,
      part: i + 1,
      frames: [],
      sentUs: answers[i]?.doneUs ?? exchange.sentUs,
      doneUs: answer.doneUs,
      outcome: outcomeOf(exchange, answer, i + 2 === answers.length, masking),
    }
  })
  return several ? [{ ...first, doneUs: answers[0]?.doneUs ?? exchange.doneUs }, ...rest] : [first]
}

function extendedStatement(exchange: Exchange<Result>, session: number, masking: Masking): Unplaced {
  const text = exchange.sql === '' ? null : masking.text(exchange.sql)
  return {
    ...base(exchange, session, text),
    ...parametersOf(exchange, text, masking),
    ...copyOf(exchange, text, masking),
    outcome: outcomeOf(exchange, exchange.answers[0], true, masking),
  }
}

function base(exchange: Exchange<Result>, session: number, text: MaskedText | null): Unplaced {
  const answered = exchange.expects.length === 0
  return {
    seq: exchange.seq,
    session,
    part: 0,
    sentUs: exchange.sentUs,
    doneUs: exchange.doneUs,
    frames: exchange.frames,
    sql: text?.sql ?? EMPTY_SQL,
    fingerprint: text?.fingerprint ?? '',
    parameters: [],
    parameterTypes: [],
    bind: null,
    copy: null,
    unreplayable: exchange.trouble ?? text?.unreplayable ?? (answered ? null : NO_ANSWER),
    writes: executes(exchange.frames) && text?.writes === true,
    outcome: NOTHING_CAME,
  }
}

type Parameters = Pick<Statement, 'parameters' | 'parameterTypes' | 'bind'> & Partial<Pick<Statement, 'unreplayable'>>

function parametersOf(exchange: Exchange<Result>, text: MaskedText | null, masking: Masking): Parameters {
  const { portal, prepared } = exchange
  const parameterTypes = prepared?.parameterTypes ?? []
  if (!portal) return { parameters: [], parameterTypes, bind: null }
  const bind = readBind(portal.bind, parameterTypes)
  if (!bind) return { parameters: [], parameterTypes, bind: null, unreplayable: 'its parameters cannot be decoded' }
  const parameters = masking.parameters(text, bind.texts, parameterTypes)
  if (bind.unreadable.length > 0) {
    return { parameters, parameterTypes, bind: null, unreplayable: `cannot tokenize ${typeNames(bind.unreadable)}` }
  }
  return { parameters, parameterTypes, bind: exchange.hasBind ? bindOf(bind, parameters, parameterTypes) : null }
}

function bindOf(bind: BindText, parameters: readonly (string | null)[], types: readonly number[]): Uint8Array {
  return maskedBind(bind, parameters, types)
}

function typeNames(oids: readonly number[]): string {
  return [...new Set(oids)].map((oid) => `binary type ${oid}`).join(', ')
}

function copyOf(
  exchange: Exchange<Result>,
  text: MaskedText | null,
  masking: Masking,
): Partial<Pick<Statement, 'copy' | 'unreplayable'>> {
  if (exchange.copyBytes === 0 || exchange.copy.length === 0) return {}
  const copy = masking.copy(text, Buffer.concat(exchange.copy))
  return copy === null ? { copy, unreplayable: 'cannot tokenize its COPY data' } : { copy }
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
  masking: Masking,
): Outcome {
  const status = last ? exchange.status : null
  if (!answer) return { ...NOTHING_CAME, status }
  const { sink, tag } = answer
  // Rows that came before an error were taken back by it.
  const result = answer.error === null ? sink : null
  return {
    error: answer.error && masking.error(answer.error),
    tag,
    rowCount: answer.error ? 0 : tag === '' ? answer.rows : tagRowCount(tag),
    columns: result?.columns ?? null,
    digest: result?.digest() ?? null,
    rows: result?.rows ?? null,
    rowsCut: result?.rowsCut ?? false,
    suspended: answer.suspended,
    status,
  }
}

function executes(frames: readonly Frame[]): boolean {
  return frames.some(([kind]) => kind === 'Q' || kind === 'E' || kind === 'F')
}
