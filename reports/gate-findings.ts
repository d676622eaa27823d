/**
 * The gate's lines about differences: findings by kind, and the share of statements that differ or fail anew.
 */
import type { Finding } from '../segment/diff.js'
import { count, counted as countedText, percent } from './format.js'
import type { ActiveOverrides, GateFacts, GateLine, GateResult } from './gate.js'
import type { FindingKind, GateConfig } from './gate-config.js'
import { KIND_TITLES } from './words.js'

export type JudgedFindings = {
  readonly lines: readonly GateLine[]
  /** Findings that no override allows. */
  readonly counted: readonly Finding[]
  readonly known: GateResult['known']
}

export function judgeFindings(
  findings: readonly Finding[],
  config: GateConfig,
  overrides: ActiveOverrides,
): JudgedFindings {
  const known = findings.flatMap((finding) => {
    const allowing = allowedBy(finding, overrides)
    return allowing ? [{ findingId: finding.findingId, reason: allowing.reason, until: allowing.until }] : []
  })
  const knownIds = new Set(known.map((one) => one.findingId))
  const counted = findings.filter((finding) => !knownIds.has(finding.findingId))
  const limits = Object.entries(config.findings) as [FindingKind, number][]
  const own = new Set(limits.map(([kind]) => kind))
  const lines = limits.map(([kind, limit]): GateLine => {
    const isOf = (finding: Finding) =>
      finding.subKind === kind || (finding.mismatch === kind && !own.has(finding.subKind))
    const found = counted.filter(isOf)
    const leftOut = findings.filter((finding) => isOf(finding) && knownIds.has(finding.findingId)).length
    const fail = found.length > limit
    return {
      id: `findings.${kind}`,
      group: 'differences',
      title: `Findings: ${lowerFirst(KIND_TITLES[kind])}`,
      unit: 'count',
      bound: 'max',
      threshold: limit,
      actual: found.length,
      interval: null,
      outcome: fail ? 'fail' : 'pass',
      explanation: [
        `${countedText(found.length, 'finding')}, ${limit === 0 ? 'none' : `at most ${count(limit)}`} allowed.`,
        ...(leftOut > 0 ? [`${countedText(leftOut, 'known difference')} left out.`] : []),
      ].join(' '),
      findingIds: fail ? found.map((finding) => finding.findingId) : [],
      fingerprints: fail ? [...new Set(found.flatMap((finding) => finding.fingerprints))] : [],
    }
  })
  return { lines, counted, known }
}

/** A finding over several query shapes is known only when every one of them is. */
function allowedBy(finding: Finding, overrides: ActiveOverrides) {
  const allowing = finding.fingerprints.map((fingerprint) => {
    const override = overrides.find(fingerprint)
    return override?.allow.some((kind) => kind === finding.mismatch || kind === finding.subKind) ? override : undefined
  })
  if (allowing.length === 0 || allowing.some((override) => override === undefined)) return null
  for (const override of allowing) if (override) overrides.use(override)
  return allowing[0] ?? null
}

/** `facts.discrepancies`: differing statements in all. One that differs in two ways is in two findings, so their sum may be more. */
export function judgeRates(
  counted: readonly Finding[],
  { facts, errors }: Pick<GateFacts, 'facts' | 'errors'>,
  config: GateConfig,
): GateLine[] {
  const differing = counted.filter((finding) => finding.mismatch !== 'LATENCY_SPIKE')
  // A finding about an error holds the wrong answers that follow from it as well, and the other way round.
  const errorsOf = (finding: Finding) =>
    errors?.get(finding.findingId) ?? (errors || finding.mismatch === 'SEMANTIC_MISMATCH' ? 0 : finding.count)
  const failing = differing.filter((finding) => errorsOf(finding) > 0)
  const statements = (of: readonly Finding[], size: (finding: Finding) => number) =>
    Math.min(
      facts.discrepancies,
      of.reduce((sum, finding) => sum + size(finding), 0),
    )
  const differ = statements(differing, (finding) => finding.count)
  const fail = statements(failing, errorsOf)
  return [
    rateLine('mismatch_rate', 'Statements that differ', differing, differ, facts.compared, config.mismatchRate),
    rateLine('error_rate', 'Statements with a new or other error', failing, fail, facts.compared, config.errorRate),
  ]
}

function rateLine(
  id: string,
  title: string,
  findings: readonly Finding[],
  statements: number,
  compared: number,
  threshold: number,
): GateLine {
  const actual = compared > 0 ? Math.min(1, statements / compared) : 0
  const fail = actual > threshold
  return {
    id,
    group: 'differences',
    title,
    unit: 'share',
    bound: 'max',
    threshold,
    actual,
    interval: null,
    outcome: fail ? 'fail' : 'pass',
    explanation: `${count(statements)} of ${countedText(compared, 'compared statement')} (${percent(actual)}), ${
      threshold === 0 ? 'none' : `at most ${percent(threshold)}`
    } allowed.`,
    findingIds: fail ? findings.map((finding) => finding.findingId) : [],
    fingerprints: fail ? [...new Set(findings.flatMap((finding) => finding.fingerprints))] : [],
  }
}

/** `SQL error` keeps its capitals. */
function lowerFirst(text: string): string {
  return /^[A-Z]{2}/.test(text) ? text : text.slice(0, 1).toLowerCase() + text.slice(1)
}
