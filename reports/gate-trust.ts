/**
 * The gate's lines about the measurement itself. A failing one makes the verdict INVALID.
 */
import type { DiffFacts, RunSummary, TimelinePoint } from '../segment/diff.js'
import { imbalance, sum } from '../segment/ledger.js'
import type { Fidelity } from '../segment/vouching.js'
import { count, counted, milliseconds } from './format.js'
import type { GateLine } from './gate.js'
import type { GateConfig } from './gate-config.js'

const RELAXED_MIN = 10

/** `slower`: a latency line fails, so lateness of the candidate is its own doing and not the harness's. */
export function judgeTrust(
  facts: DiffFacts,
  fidelity: Fidelity | null,
  config: GateConfig,
  slower: boolean,
): GateLine[] {
  const runs = [facts.before, facts.after, ...(facts.noise ? [facts.noise] : [])]
  const loadMax = config.trust.eventLoopUtilisation
  return [
    vouchedLine(facts),
    ledgerLine(runs),
    comparedLine(facts, config.trust.comparedMin),
    fidelityLine(fidelity, config.trust.fidelityMin),
    lostLine(runs.filter(isReplay), config.trust.lost),
    relaxedLine(runs, config.trust.orderRelaxed),
    latenessLine(facts, config.trust.latenessP95Ms, slower),
    ...(loadMax === undefined ? [] : [loadLine(runs, loadMax)]),
  ]
}

/** What production's recorder lost was never promised to a replay. */
function isReplay(run: RunSummary): boolean {
  return run.role !== 'production'
}

function vouchedLine(facts: DiffFacts): GateLine {
  const reasons = facts.invalid.length
  return trustLine('trust.measurement', 'Objections of the harness to its own measurement', 'count', 0, reasons, {
    explanation: reasons === 0 ? 'None.' : facts.invalid.join(' '),
  })
}

function ledgerLine(runs: readonly RunSummary[]): GateLine {
  const unaccounted = runs.map((run) => {
    const rest = imbalance(run.ledger)
    return { role: run.role, rest: Math.max(Math.abs(rest.statements), Math.abs(rest.transactions)) }
  })
  const worst = Math.max(...unaccounted.map((one) => one.rest))
  const named = unaccounted.filter((one) => one.rest > 0).map((one) => `${one.role}: ${count(one.rest)}`)
  return trustLine('trust.ledger', 'Statements the ledger cannot account for', 'count', 0, worst, {
    explanation: worst === 0 ? 'The ledger of every run balances.' : `Unaccounted for in ${named.join(', ')}.`,
  })
}

function comparedLine(facts: DiffFacts, threshold: number): GateLine {
  const given = Math.max(...[facts.before, facts.after].map(({ ledger }) => asked(ledger.seen, ledger.filtered)))
  const actual = given > 0 ? Math.min(1, facts.compared / given) : 0
  return {
    ...trustLine('trust.compared', 'Statements compared', 'share', threshold, actual, {
      explanation: `${count(facts.compared)} of ${counted(given, 'statement')} that were to be replayed.`,
    }),
    bound: 'min',
    // A gate that compared nothing has seen nothing, whatever the limit says.
    outcome: facts.compared === 0 || actual < threshold ? 'fail' : 'pass',
  }
}

/** A replay that does not do on V1 what production did says little about V2. */
function fidelityLine(fidelity: Fidelity | null, threshold: number): GateLine {
  const share = fidelity && fidelityShare(fidelity)
  return {
    ...trustLine('trust.fidelity', 'Answered on V1 as in production', 'share', threshold, share ?? 0, {
      explanation:
        fidelity === null
          ? 'V1’s replay was not compared with production: `compare RECORDING BASELINE`, then `compare … --fidelity`.'
          : `${count(fidelity.differ)} of ${counted(fidelity.compared, 'statement')} that V1’s replay and production both answered differ.`,
    }),
    bound: 'min',
    actual: share,
    outcome: share === null ? 'not judged' : share < threshold ? 'fail' : 'pass',
  }
}

/** 1: every statement was answered as in production, or differs for a known reason. */
export function fidelityShare({ compared, differ }: Fidelity): number {
  return compared === 0 ? 0 : 1 - differ / compared
}

function lostLine(runs: readonly RunSummary[], threshold: number): GateLine {
  const shares = runs.map(({ ledger }) => {
    const lost = sum(ledger.lost).statements
    return { lost, share: ledger.seen.statements > 0 ? lost / ledger.seen.statements : 0 }
  })
  const worst = shares.reduce((a, b) => (b.share > a.share ? b : a), { lost: 0, share: 0 })
  return trustLine('trust.lost', 'Statements lost', 'share', threshold, worst.share, {
    explanation: worst.lost === 0 ? 'None in any run.' : `${counted(worst.lost, 'statement')} in the worst run.`,
  })
}

function relaxedLine(runs: readonly RunSummary[], threshold: number): GateLine {
  const shares = runs.map((run) => (run.statements > 0 ? run.orderRelaxed / run.statements : 0))
  const total = runs.reduce((all, run) => all + run.orderRelaxed, 0)
  const line = trustLine(
    'trust.order_relaxed',
    'Order given up to end a standstill',
    'share',
    threshold,
    Math.max(...shares),
    {
      explanation:
        total === 0 ? 'Every statement ran in the planned order.' : `${counted(total, 'statement')} over all runs.`,
    },
  )
  // A handful in a short recording says nothing about the rest.
  return runs.every((run) => run.orderRelaxed <= RELAXED_MIN) ? { ...line, outcome: 'pass' } : line
}

function latenessLine(facts: DiffFacts, threshold: number, slower: boolean): GateLine {
  const before = isReplay(facts.before) ? p95(facts.timelineBefore) : 0
  const after = p95(facts.timelineAfter)
  const explained = slower && after > threshold && before <= threshold
  const actual = explained ? before : Math.max(before, after)
  return trustLine('trust.lateness', 'Lateness of sending, p95 over seconds', 'ms', threshold, actual, {
    explanation: explained
      ? `V2 was sent up to ${milliseconds(after)} late because V2 itself is slow; V1 was on time.`
      : actual > threshold
        ? 'The schedule was not kept, so rates and latencies are not those of the recording.'
        : 'The schedule was kept.',
  })
}

function loadLine(runs: readonly RunSummary[], threshold: number): GateLine {
  const worst = Math.max(...runs.map((run) => run.eventLoopUtilisationMax))
  return trustLine('trust.load', 'Load of the busiest replay worker', 'share', threshold, worst, {
    explanation:
      worst > threshold
        ? 'The harness may have been the bottleneck, so its latencies are not the database’s.'
        : 'The harness had room to spare.',
  })
}

function trustLine(
  id: string,
  title: string,
  unit: GateLine['unit'],
  threshold: number,
  actual: number,
  { explanation }: { readonly explanation: string },
): GateLine {
  return {
    id,
    group: 'trust',
    title,
    unit,
    bound: 'max',
    threshold,
    actual,
    interval: null,
    outcome: actual > threshold ? 'fail' : 'pass',
    explanation,
    findingIds: [],
    fingerprints: [],
  }
}

/** Statements left out on request were never to be compared. */
function asked(seen: { readonly statements: number }, filtered: RunSummary['ledger']['filtered']): number {
  return seen.statements - sum(filtered).statements
}

function p95(points: readonly TimelinePoint[]): number {
  const sorted = points.map((point) => point.latenessMs).sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))] ?? 0
}
