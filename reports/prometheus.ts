/**
 * The report's figures in Prometheus's text format, for node_exporter's textfile collector or a push gateway.
 */
import type { Fidelity } from '../segment/vouching.js'
import { MISMATCH_TYPES } from './gate-config.js'
import { fidelityShare } from './gate-trust.js'
import type { ReportModel } from './model.js'

type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number }

export function toPrometheus(model: ReportModel): string {
  const { overall, queries } = model.latency
  const quantiles = ['p50', 'p95', 'p99'] as const
  const { fidelity = null, audit = null } = model.vouching ?? {}
  return [
    ...gauge(
      'pgrehearse_verdict',
      'The verdict: 1 for the one that holds.',
      (['PASS', 'FAIL', 'INVALID'] as const).map((verdict) => ({
        labels: { verdict },
        value: verdict === model.verdict ? 1 : 0,
      })),
    ),
    ...gauge('pgrehearse_compared_timestamp_seconds', 'When the runs were compared.', [one(model.comparedAtMs / 1000)]),
    ...gauge('pgrehearse_statements_compared', 'Statements that both runs answered.', [one(model.compared)]),
    ...gauge('pgrehearse_discrepancies', 'Statements whose outcomes differ.', [one(model.discrepancies)]),
    ...gauge(
      'pgrehearse_findings',
      'Findings by type.',
      MISMATCH_TYPES.map((type) => ({
        labels: { type },
        value: model.findings.filter((finding) => finding.mismatch === type).length,
      })),
    ),
    ...gauge(
      'pgrehearse_state_tables',
      'Tables compared after the replays, by outcome.',
      model.state
        ? (['equal', 'differs', 'missing'] as const).map((outcome) => ({
            labels: { outcome },
            value: model.state?.tables.filter(({ verdict }) => verdict === outcome).length ?? 0,
          }))
        : [],
    ),
    ...gauge(
      'pgrehearse_statements_excused',
      'Statements that differ for a reason that is not the candidate’s.',
      byReason(model.excused),
    ),
    ...gauge(
      'pgrehearse_fidelity_ratio',
      'Statements that the replay on V1 answered as production had, or otherwise for a known reason, of those that both answered.',
      fidelity ? [one(fidelityShare(fidelity))] : [],
    ),
    ...gauge(
      'pgrehearse_fidelity_statements',
      'Statements that production and the replay on V1 both answered, by how they stand to each other.',
      fidelity ? byOutcome(fidelity) : [],
    ),
    ...gauge(
      'pgrehearse_personal_values_found',
      'Personal values that a look for leaks found in what was written.',
      audit ? [one(audit.count)] : [],
    ),
    ...gauge('pgrehearse_statements_uncompared', 'Statements without a counterpart.', byReason(model.uncompared)),
    ...gauge(
      'pgrehearse_latency_seconds',
      'Service time of all statements.',
      overall
        ? quantiles.flatMap((name) => [
            { labels: { run: 'before', percentile: asNumber(name) }, value: overall[name].beforeMs / 1000 },
            { labels: { run: 'after', percentile: asNumber(name) }, value: overall[name].afterMs / 1000 },
          ])
        : [],
    ),
    ...gauge(
      'pgrehearse_latency_ratio',
      'Service time after, relative to before; an empty fingerprint means all statements.',
      [...(overall ? [overall] : []), ...queries].flatMap((query) =>
        quantiles.map((name) => ({
          labels: { fingerprint: query.fingerprint, percentile: asNumber(name) },
          value: query[name].ratio,
        })),
      ),
    ),
    ...gauge(
      'pgrehearse_gate_check',
      'A check of the gate: 1 holds, 0 fails.',
      model.gate.lines
        .filter((line) => line.outcome !== 'not judged')
        .map((line) => ({ labels: { check: line.id }, value: line.outcome === 'pass' ? 1 : 0 })),
    ),
    '',
  ].join('\n')
}

/** Together they are all that were compared. */
function byOutcome({ compared, differ, excused }: Fidelity): Sample[] {
  const known = Object.values(excused).reduce((sum, statements) => sum + statements, 0)
  return [
    { labels: { outcome: 'same' }, value: Math.max(0, compared - differ - known) },
    { labels: { outcome: 'excused' }, value: known },
    { labels: { outcome: 'different' }, value: differ },
  ]
}

function one(value: number): Sample {
  return { labels: {}, value }
}

function byReason(reasons: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(reasons).map(([reason, value]) => ({ labels: { reason }, value }))
}

/** `50`. Not `quantile`, which Prometheus keeps for summaries. */
function asNumber(quantile: string): string {
  return quantile.slice(1)
}

function gauge(name: string, help: string, samples: readonly Sample[]): string[] {
  if (samples.length === 0) return []
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...samples.map(({ labels, value }) => `${name}${labelText(labels)} ${value}`),
  ]
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
