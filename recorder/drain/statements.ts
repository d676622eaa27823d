/**
 * An answered exchange as the statements a recording keeps: masked, one for each answer of a simple query, one otherwise.
 *
 * An exchange that was refused together with an earlier error of its pipeline has neither tag nor error: the server never
 * executed it. One whose answer never came (the connection ended first) is marked unreplayable: nobody knows what it did.
 */

import type { MaskedSql, Masker } from '../../privacy/masker.js'
import type { Outcome } from '../../segment/outcome.js'
import type { Frame, SafeSql, Statement } from '../../segment/statement.js'
import { tagRowCount } from '../../wire/backend.js'
import { maskedBind, readBind } from './bind-values.js'
import type { Answer, Exchange } from './exchange.js'
import type { Result } from './result.js'

/** What the transaction it belongs to adds. */
export type Unplaced = Omit<Statement, 'ordinal' | 'transaction'> & { readonly writes: boolean }

export const NO_ANSWER = 'the connection ended before its answer'

export function statementsOf(exchange: Exchange<Result>, session: number, masker: Masker): Unplaced[] {
  const text = masker.sql(exchange.sql)
  if (exchange.frames[0]?.[0] === 'Q') return simpleStatements(exchange, session, text, masker)
  return [
    {
      ...base(exchange, session, text),
      ...parametersOf(exchange, text, masker),
      ...copyOf(exchange, text, masker),
      outcome: outcomeOf(exchange, exchange.answers[0], true, masker),
    },
  ]
}

function simpleStatements(exchange: Exchange<Result>, session: number, text: MaskedSql, masker: Masker): Unplaced[] {
  const answers = exchange.answers.slice(0, exchange.statements)
  const first: Unplaced = {
    ...base(exchange, session, text),
    ...copyOf(exchange, text, masker),
    doneUs: answers.length > 1 ? answers[0]!.doneUs : exchange.doneUs,
    outcome: outcomeOf(exchange, answers[0], answers.length <= 1, masker),
  }
  const rest = answers.slice(1).map((answer, i): Unplaced => {
    const part = i + 1
    const last = part === answers.length - 1
    return {
      ...base(exchange, session, text),
      seq: exchange.seq + part,
      part,
      frames: [],
      sql: text.statements[part] ?? EMPTY_SQL,
      fingerprint: text.facts.statements[part]?.fingerprint ?? '',
      sentUs: answers[i]!.doneUs,
      doneUs: last ? exchange.doneUs : answer.doneUs,
      outcome: outcomeOf(exchange, answer, last, masker),
    }
  })
  return [first, ...rest]
}

const EMPTY_SQL = '' as SafeSql

function base(exchange: Exchange<Result>, session: number, text: MaskedSql): Unplaced {
  const answered = exchange.expects.length === 0
  return {
    seq: exchange.seq,
    session,
    part: 0,
    sentUs: exchange.sentUs,
    doneUs: exchange.doneUs,
    frames: exchange.frames,
    sql: text.sql,
    fingerprint: text.fingerprint,
    parameters: [],
    parameterTypes: [],
    bind: null,
    copy: null,
    unreplayable: exchange.trouble ?? (answered ? null : NO_ANSWER),
    writes: executes(exchange.frames) && text.facts.writes,
    outcome: NOTHING_CAME,
  }
}

type Parameters = Pick<Statement, 'parameters' | 'parameterTypes' | 'bind'> & Partial<Pick<Statement, 'unreplayable'>>

function parametersOf(exchange: Exchange<Result>, text: MaskedSql, masker: Masker): Parameters {
  const { portal, prepared } = exchange
  const parameterTypes = prepared?.parameterTypes ?? []
  if (!portal) return { parameters: [], parameterTypes, bind: null }
  const bind = readBind(portal.bind, parameterTypes)
  if (!bind) return { parameters: [], parameterTypes, bind: null, unreplayable: 'its parameters cannot be decoded' }
  const parameters = masker.parameters(text.facts, bind.texts, parameterTypes)
  if (bind.unreadable.length > 0) {
    const types = [...new Set(bind.unreadable)].join(', ')
    return { parameters, parameterTypes, bind: null, unreplayable: `cannot tokenize binary values of type ${types}` }
  }
  return { parameters, parameterTypes, bind: exchange.hasBind ? maskedBind(bind, parameters, parameterTypes) : null }
}

function copyOf(
  exchange: Exchange<Result>,
  text: MaskedSql,
  masker: Masker,
): Partial<Pick<Statement, 'copy' | 'unreplayable'>> {
  if (exchange.copy.length === 0) return {}
  const statement = text.facts.statements.findIndex(({ copy }) => copy?.direction === 'in')
  const mask = statement < 0 ? null : masker.copy(text.facts, statement)
  if (mask === null) return { unreplayable: 'cannot tokenize its COPY data' }
  return { copy: Buffer.concat([mask.push(Buffer.concat(exchange.copy)), mask.end()]) }
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
