/**
 * A comment for a pull request: short enough to be read, and unable to ping, link or format by what was captured.
 */
import { count, counted, duration, milliseconds, percent, ratio } from './format.js'
import type { GateLine } from './gate.js'
import { fidelityShare } from './gate-trust.js'
import { holdWords } from './gate-words.js'
import type { ReportModel } from './model.js'
import { quantity } from './quantity.js'
import { sizeFigures } from './size.js'
import { stateWords } from './state.js'
import { clip, plain } from './text.js'
import { KIND_TITLES } from './words.js'

const FINDINGS_MAX = 8
const CHECKS_MAX = 10
const OBJECTIONS_MAX = 6
const STATE_MAX = 6
const CAUSE_CHARACTERS_MAX = 160

export function toMarkdown(model: ReportModel): string {
  const failing = model.gate.lines.filter((line) => line.outcome === 'fail')
  return [
    `### pgrehearse: ${model.verdict}`,
    '',
    inert(model.headline),
    '',
    `${counted(model.compared, 'statement')} compared. V1: ${inert(model.before.target)}. V2: ${inert(model.after.target)}, replayed in ${duration(model.after.elapsedMs)}.`,
    '',
    ...objections(model),
    ...findings(model),
    ...state(model),
    ...checks(failing, model.gate.lines),
    ...latency(model),
    ...notCompared(model),
    ...vouched(model),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}

/** A table of findings says why it is a FAIL; what makes it INVALID has to be told. */
function objections({ verdict, why }: ReportModel): string[] {
  if (verdict !== 'INVALID') return []
  const more = why.length - OBJECTIONS_MAX
  return [
    ...why.slice(0, OBJECTIONS_MAX).map((sentence) => `- ${inert(clip(sentence, CAUSE_CHARACTERS_MAX * 2))}`),
    ...(more > 0 ? [`- and ${count(more)} more`] : []),
    '',
  ]
}

function findings(model: ReportModel): string[] {
  const shown = model.findings.slice(0, FINDINGS_MAX)
  if (shown.length === 0) return []
  const more = model.findings.length - shown.length
  return [
    ...(model.verdict === 'INVALID' ? ['What differed, not to be read as facts yet:', ''] : []),
    '| Finding | Cause | Statements | Traffic |',
    '|---|---|--:|--:|',
    ...shown.map((finding) => {
      const note = { fails: '', tolerated: ' (within the limit)', known: ' (known)' }[finding.standing.state]
      const cause = inert(clip(finding.cause, CAUSE_CHARACTERS_MAX))
      return `| ${KIND_TITLES[finding.mismatch]}${note} | ${cause} | ${sizeFigures(finding)} | ${figure(percent(finding.trafficShare))} |`
    }),
    ...(more > 0 ? ['', `and ${counted(more, 'further finding')}`] : []),
    '',
  ]
}

function state(model: ReportModel): string[] {
  if (!model.state) return []
  const failing = model.state.findings.filter(({ standing }) => standing.state === 'fails')
  const more = failing.length - STATE_MAX
  return [
    stateWords(model.state),
    '',
    ...failing.slice(0, STATE_MAX).map(({ sentence }) => `- ${inert(clip(sentence, CAUSE_CHARACTERS_MAX))}`),
    ...(more > 0 ? [`- and ${count(more)} more`] : []),
    ...(failing.length > 0 ? [''] : []),
  ]
}

function checks(failing: readonly GateLine[], all: readonly GateLine[]): string[] {
  if (failing.length === 0) return [inert(holdWords(all)), '']
  const more = failing.length - CHECKS_MAX
  return [
    `<details><summary>${failing.length} of ${counted(all.length, 'check')} of the gate ${failing.length === 1 ? 'fails' : 'fail'}</summary>`,
    '',
    '| Check | Allowed | Actual |',
    '|---|--:|--:|',
    ...failing.slice(0, CHECKS_MAX).map((line) => {
      const actual = line.actual === null ? '—' : quantity(line.actual, line.unit)
      return `| ${inert(line.title)} | ${line.bound === 'max' ? '≤' : '≥'} ${figure(quantity(line.threshold, line.unit))} | ${figure(actual)} |`
    }),
    ...(more > 0 ? ['', `and ${counted(more, 'further check')}`] : []),
    '',
    '</details>',
    '',
  ]
}

function latency(model: ReportModel): string[] {
  const overall = model.latency.overall
  if (!overall) return []
  const part = (name: 'p50' | 'p95' | 'p99') => {
    const measure = overall[name]
    return `${name} ${milliseconds(measure.beforeMs)} → ${milliseconds(measure.afterMs)} (${ratio(measure.ratio)})`
  }
  return [`Latency: ${part('p50')}, ${part('p95')}, ${part('p99')}.`, '']
}

function notCompared(model: ReportModel): string[] {
  const all = Object.entries(model.uncompared).filter(([, value]) => value > 0)
  if (all.length === 0) return []
  const total = all.reduce((sum, [, value]) => sum + value, 0)
  const reasons = all
    .sort((a, b) => b[1] - a[1])
    .slice(0, 4)
    .map(([reason, value]) => `${count(value)} ${inert(reason)}`)
  return [`Not compared: ${counted(total, 'statement')} (${reasons.join('; ')}${all.length > 4 ? '; …' : ''}).`, '']
}

/** Of which nobody asked, the comment says nothing: the page does. */
function vouched({ vouching }: ReportModel): string[] {
  const fidelity = vouching?.fidelity
  const leaks = vouching?.audit?.count ?? 0
  return [
    ...(fidelity ? [`Fidelity: ${percent(fidelityShare(fidelity))} answered on V1 as in production.`, ''] : []),
    ...(leaks > 0
      ? [
          `**${counted(leaks, 'personal value')} found** in what was written: do not pass the files on before you have read Trust on the page.`,
          '',
        ]
      : []),
  ]
}

/** `< 0.01%` begins no element. */
function figure(text: string): string {
  return text.replaceAll('<', '&lt;')
}

/** Every character that Markdown, HTML or a forge could act on becomes an entity or is escaped; one line. */
function inert(text: string): string {
  return plain(text)
    .replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character] ?? '')
    .replace(/[\\`*_{}[\]()#+!|~$]/g, '\\$&')
    .replace(/@/g, '@\u200b')
    .replace(/:\/\//g, ':\u200b//')
    .replace(/\b(www)\./gi, '$1\u200b.')
}
