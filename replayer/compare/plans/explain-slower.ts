/**
 * Kinds of statement that a diff calls slower, explained on both sides with one of their slowest executions, and what that says.
 */
import type { Discrepancy, Finding } from '../../../segment/diff.js'
import type { DiffReader } from '../../../segment/diff-file.js'
import type { Reread } from '../../../segment/diff-plans.js'
import type { ExplainedPlan, IndexSuggestion, PlanEvidence } from '../../../segment/explained.js'
import { withClient } from '../../shadow/connect.js'
import { OF_TABLE_LOCKS } from '../lock-cause.js'
import { type Asked, type Explained, explainPlan, tryIndex } from './explain-plan.js'
import { indexFor } from './index-for.js'
import { planChanges, readingOf } from './plan-changes.js'

export type ExplainOptions = {
  readonly diff: Pick<DiffReader, 'findings' | 'latency' | 'discrepancies'>
  readonly beforeUrl: string
  readonly afterUrl: string
  readonly searchPath: readonly string[]
  readonly onProgress?: (done: number, total: number) => void
}

export type Explanations = { readonly plans: readonly PlanEvidence[]; readonly reread: Reread }

/** The rest costs less than these, and each may take a minute. */
const KINDS_MAX = 20

export async function explainSlower({
  diff,
  beforeUrl,
  afterUrl,
  searchPath,
  onProgress,
}: ExplainOptions): Promise<Explanations> {
  const slower = diff.latency().filter(({ verdict, fingerprint }) => verdict === 'slower' && fingerprint !== '')
  const examples = slowestOf(diff.discrepancies({ mismatch: 'LATENCY_SPIKE' }))
  const chosen = slower.slice(0, KINDS_MAX).flatMap(({ fingerprint }) => examples.get(fingerprint) ?? [])
  const plans: PlanEvidence[] = []
  for (const [at, example] of chosen.entries()) {
    onProgress?.(at, chosen.length)
    plans.push(await evidenceOf(example, beforeUrl, afterUrl, searchPath))
  }
  return { plans, reread: reread(diff.findings(), plans) }
}

/** By fingerprint: the execution that took longest on the second side. */
function slowestOf(discrepancies: Iterable<Discrepancy>): ReadonlyMap<string, Discrepancy> {
  const slowest = new Map<string, Discrepancy>()
  for (const one of discrepancies) {
    const known = slowest.get(one.fingerprint)
    if (known === undefined || one.latencyMsAfter > known.latencyMsAfter) slowest.set(one.fingerprint, one)
  }
  return slowest
}

async function evidenceOf(
  { fingerprint, seq, sql, sqlAfter, parameters }: Discrepancy,
  beforeUrl: string,
  afterUrl: string,
  searchPath: readonly string[],
): Promise<PlanEvidence> {
  const askedAfter: Asked = { sql: sqlAfter ?? sql, parameters, searchPath }
  const before = await withClient(beforeUrl, (client) => explainPlan(client, { sql, parameters, searchPath }))
  return withClient(afterUrl, async (client) => {
    const after = await explainPlan(client, askedAfter)
    const idea = after.plan === null ? null : indexFor(after.plan)
    const suggestion = idea === null ? null : await tryIndex(client, askedAfter, idea, after.plan!)
    return { fingerprint, seq, ...evidence(before, after, suggestion) }
  })
}

/** Pure: what two plans and a tried index say together. */
export function evidence(
  before: Explained,
  after: Explained,
  suggestion: IndexSuggestion | null,
): Omit<PlanEvidence, 'fingerprint' | 'seq'> {
  const sides = { before: before.plan, after: after.plan, notExplained: notExplained(before, after), suggestion }
  if (before.plan === null || after.plan === null) return { ...sides, changes: [], reading: '' }
  const changes = planChanges(before.plan, after.plan)
  return { ...sides, changes, reading: readingOf(changes, after.plan, suggestionInWords(suggestion, after.plan)) }
}

function notExplained(before: Explained, after: Explained): string {
  if (before.why === after.why) return before.why
  return [before.why && `V1: ${before.why}`, after.why && `V2: ${after.why}`].filter((one) => one !== '').join('; ')
}

/** Empty: an index would not help. */
function suggestionInWords(suggestion: IndexSuggestion | null, after: ExplainedPlan): string {
  if (suggestion === null || !suggestion.used) return ''
  const on = suggestion.sql.replace(/^CREATE INDEX ON /, '')
  const { msAfter } = suggestion
  if (msAfter === null) return `likely a missing index on ${on}, which the planner would take`
  const times = after.executionMs / Math.max(0.001, msAfter)
  return times < 1.2
    ? `perhaps a missing index on ${on}, which was tried and is taken, and saves little at this size`
    : `likely a missing index on ${on}: tried, and ${times >= 10 ? Math.round(times) : times.toFixed(1)} times faster`
}

/**
 * A question in a sentence is answered by what the plans say about the kind of statement that costs most. Where a setting of the server
 * is to blame, whatever it makes slower is one finding.
 */
export function reread(findings: readonly Finding[], plans: readonly PlanEvidence[]): Reread {
  const changed = new Map<string, Finding>()
  const joined = new Map<string, string>()
  const bySetting = new Map<string, string>()
  for (const finding of findings) {
    if (finding.mismatch !== 'LATENCY_SPIKE' || finding.explainer === OF_TABLE_LOCKS) continue
    const plan = plans.find(({ reading, fingerprint }) => reading !== '' && finding.fingerprints.includes(fingerprint))
    if (plan === undefined) continue
    const setting = plan.changes[0]?.kind === 'setting' ? plan.reading : ''
    const root = changed.get(bySetting.get(setting) ?? '')
    if (setting !== '' && root !== undefined) {
      changed.set(root.findingId, together(root, finding))
      joined.set(finding.findingId, root.findingId)
      continue
    }
    if (setting !== '') bySetting.set(setting, finding.findingId)
    changed.set(finding.findingId, { ...finding, cause: `${withoutQuestion(finding.cause)}; ${plan.reading}` })
  }
  return { findings: [...changed.values()], joined }
}

function withoutQuestion(cause: string): string {
  return cause.replace(/ \([^()]*\?\)(?:;.*)?$/, '')
}

function together(root: Finding, more: Finding): Finding {
  return {
    ...root,
    fingerprints: [...new Set([...root.fingerprints, ...more.fingerprints])],
    count: root.count + more.count,
    follows: (root.follows ?? 0) + more.count,
    trafficShare: Math.min(1, root.trafficShare + more.trafficShare),
    firstAtMs: Math.min(root.firstAtMs, more.firstAtMs),
    lastAtMs: Math.max(root.lastAtMs, more.lastAtMs),
  }
}
