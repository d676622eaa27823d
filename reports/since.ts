/**
 * What changed since the last rehearsal: two models in, plain data out. Findings are the same when their id is: it is made of the kind,
 * the cause and the columns, not of the run.
 */
import { EXIT, HarnessError } from '../base/errors.js'
import { count, counted, percent, ratio } from './format.js'
import type { GateLine, Verdict } from './gate.js'
import { REPORT_FORMAT_VERSION, type ReportFinding, type ReportModel, type ReportState } from './model.js'
import { quantity } from './quantity.js'
import { clip, plain } from './text.js'

export type FindingChange = {
  readonly findingId: string
  readonly cause: string
  readonly before: { readonly count: number; readonly trafficShare: number } | null
  readonly after: { readonly count: number; readonly trafficShare: number } | null
}

export type Changes = {
  readonly verdict: { readonly before: Verdict; readonly after: Verdict }
  /** Of another recording, so that counts and latencies are of other traffic. */
  readonly sameRecording: boolean
  readonly come: readonly FindingChange[]
  readonly gone: readonly FindingChange[]
  /** Still there; the greatest change of its share first. */
  readonly stayed: readonly FindingChange[]
  readonly checks: readonly {
    readonly id: string
    readonly title: string
    readonly before: string
    readonly after: string
  }[]
  /** Time on V2 over time on V1, as each rehearsal measured it. */
  readonly latency: readonly { readonly name: 'p50' | 'p95' | 'p99'; readonly before: number; readonly after: number }[]
  /** What the databases hold after the replays: sentences, of what is new and what is repaired. */
  readonly state: { readonly come: readonly string[]; readonly gone: readonly string[] }
  readonly slower: { readonly come: readonly string[]; readonly gone: readonly string[] }
}

export function changesSince(before: ReportModel, after: ReportModel): Changes {
  const old = new Map(before.findings.map((finding) => [finding.findingId, finding]))
  const now = new Map(after.findings.map((finding) => [finding.findingId, finding]))
  const change = (findingId: string): FindingChange => {
    const one = old.get(findingId)
    const other = now.get(findingId)
    return { findingId, cause: (other ?? one)?.cause ?? '', before: size(one), after: size(other) }
  }
  const stayed = [...now.keys()].filter((id) => old.has(id)).map(change)
  return {
    verdict: { before: before.verdict, after: after.verdict },
    sameRecording: before.recording.id === after.recording.id,
    come: [...now.keys()].filter((id) => !old.has(id)).map(change),
    gone: [...old.keys()].filter((id) => !now.has(id)).map(change),
    stayed: stayed.sort((a, b) => Math.abs(shareChange(b)) - Math.abs(shareChange(a))),
    checks: checksChanged(before.gate.lines, after.gate.lines),
    latency: latencyChanged(before, after),
    state: stateChanged(before, after),
    slower: slowerChanged(before, after),
  }
}

function size(finding: ReportFinding | undefined): FindingChange['before'] {
  return finding ? { count: finding.count, trafficShare: finding.trafficShare } : null
}

function shareChange({ before, after }: FindingChange): number {
  return (after?.trafficShare ?? 0) - (before?.trafficShare ?? 0)
}

/** Lines whose outcome is another one; a line that only one gate has counts as such. */
function checksChanged(before: readonly GateLine[], after: readonly GateLine[]): Changes['checks'] {
  const say = (line: GateLine | undefined) =>
    line === undefined
      ? 'not checked'
      : `${line.outcome}${line.actual === null ? '' : ` (${quantity(line.actual, line.unit)})`}`
  const ids = [...new Set([...after, ...before].map(({ id }) => id))]
  return ids.flatMap((id) => {
    const old = before.find((line) => line.id === id)
    const now = after.find((line) => line.id === id)
    if (old?.outcome === now?.outcome) return []
    return [{ id, title: (now ?? old)?.title ?? id, before: say(old), after: say(now) }]
  })
}

function latencyChanged(before: ReportModel, after: ReportModel): Changes['latency'] {
  const old = before.latency.overall
  const now = after.latency.overall
  if (!old || !now) return []
  return (['p50', 'p95', 'p99'] as const).map((name) => ({ name, before: old[name].ratio, after: now[name].ratio }))
}

function slowerChanged(before: ReportModel, after: ReportModel): Changes['slower'] {
  const slowIn = (model: ReportModel) =>
    new Map(
      model.latency.queries
        .filter(({ verdict }) => verdict === 'slower')
        .map((query) => [query.fingerprint, query.sql]),
    )
  const old = slowIn(before)
  const now = slowIn(after)
  const only = (these: ReadonlyMap<string, string>, those: ReadonlyMap<string, string>) =>
    [...these].filter(([fingerprint]) => !those.has(fingerprint)).map(([, sql]) => sql)
  return { come: only(now, old), gone: only(old, now) }
}

/** A finding is the same when it is about the same thing; its sentence counts rows, which are of a replay. */
function stateChanged(before: ReportModel, after: ReportModel): Changes['state'] {
  // One of them was not verified: then nothing is known to have come or gone.
  if (!before.state || !after.state) return { come: [], gone: [] }
  const keyed = ({ findings }: ReportState) =>
    new Map(findings.map((one) => [JSON.stringify([one.kind, one.object, one.schemaKind]), one.sentence]))
  const old = keyed(before.state)
  const now = keyed(after.state)
  return {
    come: [...now].filter(([key]) => !old.has(key)).map(([, sentence]) => sentence),
    gone: [...old].filter(([key]) => !now.has(key)).map(([, sentence]) => sentence),
  }
}

const NAMED_MAX = 12
const CHARACTERS_MAX = 160

export function changesText(changes: Changes): string {
  const { verdict, come, gone, stayed, checks, latency, slower } = changes
  const still = stayed.map((one) => ({ ...one, moved: Math.abs(shareChange(one)) > 0 }))
  const lines = [
    verdict.before === verdict.after ? `${verdict.after}, as before.` : `${verdict.before} → ${verdict.after}`,
    ...(changes.sameRecording
      ? []
      : ['  The two are of different recordings: counts and latencies are of other traffic.']),
    ...section('new', come, ({ cause, after }) => `${cause} (${sizeText(after)})`),
    ...section('gone', gone, ({ cause, before }) => `${cause} (${sizeText(before)})`),
    ...section('still there', still, ({ cause, before, after, moved }) =>
      moved ? `${cause} (${sizeText(before)} → ${sizeText(after)})` : `${cause} (${sizeText(after)})`,
    ),
    ...section('check', checks, (check) => `${check.title}: ${check.before} → ${check.after}`),
    ...section('new state', changes.state.come, (text) => text),
    ...section('repaired state', changes.state.gone, (text) => text),
    ...section('now slower', slower.come, (sql) => sql),
    ...section('no longer slower', slower.gone, (sql) => sql),
    ...(latency.length > 0
      ? [
          `  latency of V2 over V1: ${latency.map((one) => `${one.name} ${ratio(one.before)} → ${ratio(one.after)}`).join(', ')}`,
        ]
      : []),
  ]
  return lines.join('\n')
}

function section<T>(name: string, all: readonly T[], say: (one: T) => string): string[] {
  const shown = all.slice(0, NAMED_MAX).map((one) => `  ${name.padEnd(17)} ${clip(plain(say(one)), CHARACTERS_MAX)}`)
  const more = all.length - shown.length
  return more > 0 ? [...shown, `  ${''.padEnd(17)} and ${count(more)} more`] : shown
}

function sizeText(size: FindingChange['before']): string {
  return size === null ? 'none' : `${counted(size.count, 'statement')}, ${percent(size.trafficShare)} of traffic`
}

/** A model as `--json FILE` wrote it. `path` only names the file in messages. */
export function parseModel(text: string, path: string): ReportModel {
  const found = asObject(text)
  if (found?.format !== 'pgrehearse report' || typeof found.formatVersion !== 'number') {
    throw new HarnessError({
      code: 'NOT_A_REPORT',
      message: `${path} is not a report of pgrehearse`,
      detail: 'a report is what `pgrehearse report DIFF --json FILE` writes.',
      hint: 'Check the path.',
      exit: EXIT.usage,
    })
  }
  if (found.formatVersion > REPORT_FORMAT_VERSION) {
    throw new HarnessError({
      code: 'REPORT_TOO_NEW',
      message: `cannot read report ${path}`,
      detail: `it has format ${found.formatVersion}; this build reads up to ${REPORT_FORMAT_VERSION}.`,
      hint: 'Upgrade pgrehearse, or make it again with this version.',
      exit: EXIT.usage,
    })
  }
  return found as unknown as ReportModel
}

function asObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
