/**
 * From a diff and a gate result to the model that every output reads. One pass over the discrepancies, which need not
 * fit in memory: only examples and counts are kept.
 */
import type { DiffFacts, Discrepancy, Finding, RunSummary, SubKind } from '../segment/diff.js'
import { type GateFacts, type GateResult, judge } from './gate.js'
import type { GateConfig } from './gate-config.js'
import type { PastRun } from './gate-streak.js'
import { measureLatency, type QueryLatency } from './latency.js'
import { type Example, REPORT_FORMAT_VERSION, type ReportFinding, type ReportModel, type Side } from './model.js'
import { type ReportPlan, reportPlans } from './plans.js'
import { type RowBounds, viewRows } from './rows.js'
import { explainVerdict } from './sentences.js'
import type { DiffSource } from './source.js'
import { reportState } from './state.js'
import { clip } from './text.js'
import { SEVERITY } from './words.js'

const TREND_SLICES = 48
const SQL_CHARACTERS_MAX = 20_000
const PARAMETERS_MAX = 64
const PARAMETER_CHARACTERS_MAX = 400
const MESSAGE_CHARACTERS_MAX = 1_000
/** A reader learns nothing from the fourth. */
const EXAMPLES_MAX = 3

/** The gate's verdict on a diff, and what it was given: `report` and `gate` both begin here. */
export function judgeDiff(
  source: DiffSource,
  config: GateConfig,
  nowMs: number,
  history: readonly PastRun[] = [],
): { readonly facts: GateFacts; readonly gate: GateResult } {
  const measured = [...source.latency()].map(measureLatency)
  const facts: GateFacts = {
    facts: source.facts,
    findings: [...source.findings()],
    errors: source.errorsByFinding(),
    state: source.state(),
    fidelity: source.vouching().fidelity,
    overall: measured.find((row) => row.fingerprint === '') ?? null,
    queries: measured.filter((row) => row.fingerprint !== ''),
  }
  return { facts, gate: judge(facts, config, nowMs, history) }
}

/** `diffPath`: the diff as the user names it, for the commands that the report suggests. */
export function buildModel(source: DiffSource, gateFacts: GateFacts, gate: GateResult, diffPath: string): ReportModel {
  const facts = source.facts
  const clock = recordingClock(facts, gateFacts.findings)
  const collected = collect(source, gateFacts.findings, clock)
  const findings = gateFacts.findings.map((finding) => reportFinding(finding, gate, collected, clock)).sort(worstFirst)
  const before = side(facts.before, 'V1')
  const after = side(facts.after, 'V2')
  const body = {
    format: 'pgrehearse report' as const,
    formatVersion: REPORT_FORMAT_VERSION,
    madeBy: facts.madeBy,
    diffId: facts.id,
    diffPath,
    comparedAtMs: facts.createdAtMs,
    verdict: gate.verdict,
    recording: { id: facts.recordingId, path: facts.recordingPath, recordedAtMs: facts.recordedAtMs },
    before,
    after,
    noise: facts.noise ? side(facts.noise, 'V1 again') : null,
    ...(facts.privacy === undefined ? {} : { privacy: facts.privacy }),
    compared: facts.compared,
    discrepancies: facts.discrepancies,
    spanMs: clock.spanMs,
    ...(facts.productionMs === undefined ? {} : { productionMs: facts.productionMs }),
    gate,
    findings,
    latency: {
      overall: gateFacts.overall,
      queries: [...gateFacts.queries].sort((a, b) => impactMs(b) - impactMs(a)),
    },
    plans: plansOf(source),
    state: gateFacts.state && reportState(gateFacts.state, gate),
    vouching: source.vouching(),
    timeline: { before: facts.timelineBefore, after: facts.timelineAfter },
    excused: facts.excused,
    uncompared: facts.uncompared,
    invalid: facts.invalid,
  }
  return { ...body, ...explainVerdict(body) }
}

/** What the query shape costs more (or less), so that the list starts with what matters. A diff of an older build knows totals alone. */
function impactMs({ impactMsPerSecond, totalMs }: QueryLatency): number {
  return Math.abs(impactMsPerSecond ?? totalMs.after - totalMs.before)
}

function plansOf(source: DiffSource): ReportPlan[] | null {
  const plans = source.plans()
  return plans && reportPlans(plans)
}

function side(run: RunSummary, label: string): Side {
  return { ...run, label }
}

type Collected = {
  readonly kinds: ReadonlyMap<string, ReportFinding['kinds']>
  readonly trends: ReadonlyMap<string, readonly number[]>
  readonly examples: ReadonlyMap<string, Example>
}

function collect(source: DiffSource, findings: readonly Finding[], clock: Clock): Collected {
  const trends = new Map<string, readonly number[]>()
  const examples = new Map<string, Example>()
  const kinds = new Map<string, ReportFinding['kinds']>()
  const sliceMs = Math.max(1, clock.spanMs) / TREND_SLICES
  for (const { findingId, exampleAlertIds } of findings) {
    const trend = new Array<number>(TREND_SLICES).fill(0)
    const wanted = new Set(exampleAlertIds.slice(0, EXAMPLES_MAX))
    const seen = new Map<SubKind, number>()
    for (const discrepancy of source.discrepancies({ findingId })) {
      seen.set(discrepancy.subKind, (seen.get(discrepancy.subKind) ?? 0) + 1)
      const at = Math.min(TREND_SLICES - 1, Math.max(0, Math.floor(clock.offsetMs(discrepancy.atMs) / sliceMs)))
      trend[at] = (trend[at] ?? 0) + 1
      if (wanted.has(discrepancy.alertId)) examples.set(discrepancy.alertId, toExample(discrepancy, clock))
    }
    trends.set(findingId, trend)
    kinds.set(
      findingId,
      [...seen].map(([subKind, count]) => ({ subKind, count })).sort((a, b) => b.count - a.count),
    )
  }
  return { trends, examples, kinds }
}

/** The recording's clock: a discrepancy says when its statement was sent in production. */
export type Clock = { readonly offsetMs: (atMs: number) => number; readonly spanMs: number }

export function recordingClock(facts: DiffFacts, findings: readonly Finding[]): Clock {
  const offsetMs = (atMs: number) => Math.max(0, atMs - facts.recordedAtMs)
  const lastMs = findings.reduce((last, finding) => Math.max(last, offsetMs(finding.lastAtMs)), 0)
  return { offsetMs, spanMs: Math.max(lastMs, facts.after.elapsedMs) }
}

export function toExample(discrepancy: Discrepancy, clock: Clock, bounds?: RowBounds): Example {
  const message = (error: Discrepancy['errorBefore']) =>
    error && { sqlstate: error.sqlstate, message: clip(error.message, MESSAGE_CHARACTERS_MAX) }
  const { parameters } = discrepancy
  return {
    alertId: discrepancy.alertId,
    traceId: discrepancy.traceId,
    fingerprint: discrepancy.fingerprint,
    sql: clip(discrepancy.sql, SQL_CHARACTERS_MAX),
    ...(discrepancy.sqlAfter === undefined ? {} : { sqlAfter: clip(discrepancy.sqlAfter, SQL_CHARACTERS_MAX) }),
    parameters: parameters.slice(0, PARAMETERS_MAX).map((value) => value && clip(value, PARAMETER_CHARACTERS_MAX)),
    parametersMore: Math.max(0, parameters.length - PARAMETERS_MAX),
    offsetMs: clock.offsetMs(discrepancy.atMs),
    latencyMsBefore: discrepancy.latencyMsBefore,
    latencyMsAfter: discrepancy.latencyMsAfter,
    errorBefore: message(discrepancy.errorBefore),
    errorAfter: message(discrepancy.errorAfter),
    rows: discrepancy.rows && viewRows(discrepancy.rows, bounds),
  }
}

function reportFinding(finding: Finding, gate: GateResult, collected: Collected, clock: Clock): ReportFinding {
  const { exampleAlertIds, firstAtMs, lastAtMs, ...rest } = finding
  const known = gate.known.find((one) => one.findingId === finding.findingId)
  const fails = gate.lines.some((line) => line.findingIds.includes(finding.findingId))
  return {
    ...rest,
    firstOffsetMs: clock.offsetMs(firstAtMs),
    lastOffsetMs: clock.offsetMs(lastAtMs),
    standing: known
      ? { state: 'known', reason: known.reason, until: known.until }
      : { state: fails ? 'fails' : 'tolerated' },
    kinds: collected.kinds.get(finding.findingId) ?? [],
    trend: collected.trends.get(finding.findingId) ?? [],
    examples: exampleAlertIds.flatMap((id) => collected.examples.get(id) ?? []),
  }
}

const STANDING = { fails: 2, tolerated: 1, known: 0 } as const

function worstFirst(a: ReportFinding, b: ReportFinding): number {
  return (
    STANDING[b.standing.state] - STANDING[a.standing.state] ||
    SEVERITY[b.mismatch] - SEVERITY[a.mismatch] ||
    b.count - a.count ||
    a.findingId.localeCompare(b.findingId)
  )
}
