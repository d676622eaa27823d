/**
 * Alerts: each finding of a diff is POSTed once to a webhook. What could not be delivered in the time given stays owed and is sent by the
 * next call, so a webhook that is slow, failing or absent loses nothing and holds nobody up.
 */
import type { Discrepancy, Finding } from '../segment/diff.js'
import type { StateFinding } from '../segment/state.js'
import type { DiffSource } from './source.js'
import { clip } from './text.js'

const PATH = 'api/v1/comparator/alerts'
const SQL_CHARACTERS_MAX = 20_000
const OBJECT_CHARACTERS_MAX = 200
const MESSAGE_CHARACTERS_MAX = 2_000
const TRIES = 3
const FIRST_PAUSE_MS = 250
const ANSWER_LIMIT_MS = 5_000
const PER_SECOND_MAX = 20
/** A webhook that is not there is not asked for each alert anew. */
const FAILURES_IN_A_ROW_MAX = 3

export type Alert = {
  readonly alert_id: string
  readonly trace_id: string
  readonly mismatch_type: Finding['mismatch']
  readonly production_db_duration_ms: number
  readonly shadow_db_duration_ms: number
  readonly comparison_details: {
    readonly sql_statement: string
    readonly error_class: string
    readonly error_message: string
  }
  readonly reconciliation_action: 'ENQUEUE_TRIAGE_JOB'
}

/**
 * One for each finding, told by its first example (parameters are left out: the SQL says enough to find it); then one for each fault of
 * the tables and the schema, which no statement showed.
 */
export function alertsOf(source: DiffSource): Alert[] {
  const answers = [...source.findings()].flatMap((finding) => {
    const example = exampleOf(source, finding)
    return example === undefined ? [] : [alertOf(finding, example)]
  })
  const faults = (source.state()?.findings ?? []).filter(({ fault }) => fault)
  return [...answers, ...faults.map((fault) => alertOfState(source.facts.id, fault))]
}

/** No statement was slow or refused, so there is none to quote and nothing was timed. */
function alertOfState(diffId: string, { findingId, kind, object, sentence }: StateFinding): Alert {
  return {
    alert_id: `${diffId}-state-${findingId}`,
    trace_id: `state/${clip(object, OBJECT_CHARACTERS_MAX)}`,
    mismatch_type: 'SEMANTIC_MISMATCH',
    production_db_duration_ms: 0,
    shadow_db_duration_ms: 0,
    comparison_details: {
      sql_statement: '',
      error_class: kind,
      error_message: clip(sentence, MESSAGE_CHARACTERS_MAX),
    },
    reconciliation_action: 'ENQUEUE_TRIAGE_JOB',
  }
}

function exampleOf(source: DiffSource, { findingId, exampleAlertIds }: Finding): Discrepancy | undefined {
  const [wanted] = exampleAlertIds
  for (const one of source.discrepancies({ findingId })) if (wanted === undefined || one.alertId === wanted) return one
  return undefined
}

function alertOf(finding: Finding, example: Discrepancy): Alert {
  const error = example.errorAfter ?? example.errorBefore
  return {
    alert_id: example.alertId,
    trace_id: example.traceId,
    mismatch_type: finding.mismatch,
    production_db_duration_ms: example.latencyMsBefore,
    shadow_db_duration_ms: example.latencyMsAfter,
    comparison_details: {
      sql_statement: clip(example.sql, SQL_CHARACTERS_MAX),
      error_class: error?.sqlstate ?? finding.subKind,
      error_message: clip(error?.message ?? finding.cause, MESSAGE_CHARACTERS_MAX),
    },
    reconciliation_action: 'ENQUEUE_TRIAGE_JOB',
  }
}

export function webhookOf(base: string): string {
  return new URL(PATH, base.endsWith('/') ? base : `${base}/`).href
}

export type Delivery = {
  readonly delivered: readonly string[]
  readonly owed: readonly string[]
  /** Why the last one that failed did: `HTTP 503`, `ECONNREFUSED`. */
  readonly reason: string | null
}

export type DeliveryOptions = {
  readonly url: string
  readonly withinMs: number
  readonly nowMs: () => number
  readonly pause: (ms: number) => Promise<unknown>
  /** Called after each, so that a process that dies sends none twice. */
  readonly onDelivered: (alertId: string) => void
}

export async function deliver(alerts: readonly Alert[], options: DeliveryOptions): Promise<Delivery> {
  const { nowMs, pause, withinMs } = options
  const endMs = nowMs() + withinMs
  const delivered: string[] = []
  let reason: string | null = null
  let failures = 0
  for (const alert of alerts) {
    if (nowMs() >= endMs || failures >= FAILURES_IN_A_ROW_MAX) break
    const failed = await send(alert, endMs, options)
    if (failed === null) {
      failures = 0
      delivered.push(alert.alert_id)
      options.onDelivered(alert.alert_id)
    } else {
      failures += 1
      reason = failed
    }
    await pause(1000 / PER_SECOND_MAX)
  }
  const owed = alerts.map(({ alert_id }) => alert_id).filter((id) => !delivered.includes(id))
  return { delivered, owed, reason: owed.length === 0 ? null : (reason ?? 'the time given was over') }
}

/** null: delivered. */
async function send(alert: Alert, endMs: number, { url, nowMs, pause }: DeliveryOptions): Promise<string | null> {
  let reason = ''
  for (let tried = 0; tried < TRIES; tried += 1) {
    const leftMs = endMs - nowMs()
    if (leftMs <= 0) return reason || 'the time given was over'
    const answer = await post(url, alert, Math.min(ANSWER_LIMIT_MS, leftMs))
    if (answer.ok) return null
    reason = answer.reason
    if (!answer.again) return reason
    await pause(Math.min(FIRST_PAUSE_MS * 2 ** tried, Math.max(0, endMs - nowMs())))
  }
  return reason
}

type Answer = { readonly ok: true } | { readonly ok: false; readonly reason: string; readonly again: boolean }

async function post(url: string, alert: Alert, limitMs: number): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      // Who got it and could not say so knows it again.
      headers: { 'content-type': 'application/json', 'idempotency-key': alert.alert_id },
      body: JSON.stringify(alert),
      redirect: 'error',
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(limitMs))),
    })
    await response.body?.cancel()
    if (response.ok) return { ok: true }
    const again = response.status === 429 || response.status === 408 || response.status >= 500
    return { ok: false, reason: `HTTP ${response.status}`, again }
  } catch (error) {
    const { name, cause } = error as Error & { cause?: { code?: string } }
    const reason = name === 'TimeoutError' ? 'no answer in time' : (cause?.code ?? 'no connection')
    return { ok: false, reason, again: true }
  }
}
