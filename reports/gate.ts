/**
 * The gate: facts and limits in, a verdict with an explanation per line out. Pure; the same result decides on the page,
 * in JUnit and as the exit code.
 *
 * INVALID wins over FAIL: a harness that cannot vouch for its measurement has nothing to say about the candidate.
 */
import type { DiffFacts, Finding } from '../segment/diff.js'
import type { StateReport } from '../segment/state.js'
import type { Fidelity } from '../segment/vouching.js'
import { type GateConfig, hasExpired, type Override } from './gate-config.js'
import { judgeFindings, judgeRates } from './gate-findings.js'
import { judgeLatency } from './gate-latency.js'
import { judgeState } from './gate-state.js'
import { type PastRun, streakLine } from './gate-streak.js'
import { judgeTrust } from './gate-trust.js'
import type { QueryLatency } from './latency.js'

export type Verdict = 'PASS' | 'FAIL' | 'INVALID'

export type GateFacts = {
  readonly facts: DiffFacts
  readonly findings: readonly Finding[]
  /** Statements with a new or other error, by finding; left out, all statements of a finding about errors count as such. */
  readonly errors?: ReadonlyMap<string, number>
  readonly overall: QueryLatency | null
  readonly queries: readonly QueryLatency[]
  /** null: nobody compared the tables after the replays. */
  /** null: nobody asked how near V1's replay is to production. */
  readonly fidelity: Fidelity | null
  readonly state: StateReport | null
}

export type GateLine = {
  /** Permanent, for scripts: `findings.SQL_ERROR`, `latency.overall.p95`, `trust.lost`. */
  readonly id: string
  /** A failing line of `trust` makes the verdict INVALID, of any other FAIL. */
  readonly group: 'differences' | 'state' | 'latency' | 'trust' | 'history'
  readonly title: string
  readonly unit: 'count' | 'share' | 'ratio' | 'ms'
  /** Whether the threshold is the most or the least that is allowed. */
  readonly bound: 'max' | 'min'
  readonly threshold: number
  /** null: not measured. */
  readonly actual: number | null
  /** 95 % interval of the actual value, where there is one; its favourable end is judged. */
  readonly interval: readonly [low: number, high: number] | null
  readonly outcome: 'pass' | 'fail' | 'not judged'
  readonly explanation: string
  /** What made it fail. */
  readonly findingIds: readonly string[]
  readonly fingerprints: readonly string[]
}

export type OverrideUse = {
  readonly query: string
  readonly reason: string
  readonly until: string
  readonly state: 'applied' | 'unused' | 'expired'
}

export type GateResult = {
  readonly verdict: Verdict
  /** The verdict on this rehearsal by itself: what a row of rehearsals is made of. */
  readonly ownVerdict: Verdict
  readonly lines: readonly GateLine[]
  readonly overrides: readonly OverrideUse[]
  readonly stateOverrides: readonly {
    readonly object: string
    readonly reason: string
    readonly until: string
    readonly state: OverrideUse['state']
  }[]
  /** Findings, of answers and of state, that an override allows, with the reason. */
  readonly known: readonly { readonly findingId: string; readonly reason: string; readonly until: string }[]
}

/** An override in force, and whether anything needed it. */
export type ActiveOverrides = {
  readonly find: (query: string) => Override | undefined
  readonly use: (override: Override) => void
}

/** `nowMs` decides which overrides have expired; `history` is asked only by a gate that wants a row of passes. */
export function judge(
  facts: GateFacts,
  config: GateConfig,
  nowMs: number,
  history: readonly PastRun[] = [],
): GateResult {
  const inForce = new Map(
    config.overrides.filter((one) => !hasExpired(one.until, nowMs)).map((one) => [one.query, one]),
  )
  const used = new Set<string>()
  const overrides: ActiveOverrides = {
    find: (query) => inForce.get(query),
    use: (override) => used.add(override.query),
  }
  const { lines: findingLines, counted, known } = judgeFindings(facts.findings, config, overrides)
  const latencyLines = judgeLatency(facts, config, overrides)
  const state = judgeState(facts.state, config.state, nowMs)
  const slower = latencyLines.some((line) => line.outcome === 'fail')
  const own = [
    ...findingLines,
    ...judgeRates(counted, facts, config),
    ...state.lines,
    ...latencyLines,
    ...judgeTrust(facts.facts, facts.fidelity, config, slower),
  ]
  const ownVerdict = verdictOf(own)
  const run = { diffId: facts.facts.id, comparedAtMs: facts.facts.createdAtMs, verdict: ownVerdict }
  const lines = config.streakRuns === undefined ? own : [...own, streakLine(run, history, config.streakRuns)]
  return {
    verdict: verdictOf(lines),
    ownVerdict,
    lines,
    overrides: config.overrides.map((one) => ({
      query: one.query,
      reason: one.reason,
      until: one.until,
      state: !inForce.has(one.query) ? 'expired' : used.has(one.query) ? 'applied' : 'unused',
    })),
    stateOverrides: state.overrides,
    known: [...known, ...state.known],
  }
}

function verdictOf(lines: readonly GateLine[]): Verdict {
  const failing = lines.filter((line) => line.outcome === 'fail')
  if (failing.some((line) => line.group === 'trust')) return 'INVALID'
  return failing.length > 0 ? 'FAIL' : 'PASS'
}
