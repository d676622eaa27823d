/**
 * The verdict in words: one line, and one sentence for each reason. A person signs on these, so they claim no more than
 * was measured.
 */
import { count, counted, percent, ratio } from './format.js'
import type { GateLine } from './gate.js'
import type { ReportFinding, ReportModel, ReportStateFinding } from './model.js'
import { quantity } from './quantity.js'
import { sizeWords } from './size.js'
import { stateWords } from './state.js'

const CAUSES_NAMED = 5
const STORED_NAMED = 2

type Body = Omit<ReportModel, 'headline' | 'why'>

export function explainVerdict(body: Body): Pick<ReportModel, 'headline' | 'why'> {
  const { headline, why } =
    body.verdict === 'INVALID' ? explainInvalid(body) : body.verdict === 'FAIL' ? explainFail(body) : explainPass(body)
  return { headline, why: [...why, ...leakSentence(body)] }
}

/** Says nothing about V2, but whoever passes the files on has to know. */
function leakSentence({ vouching }: Body): string[] {
  const found = vouching?.audit?.count ?? 0
  if (found === 0) return []
  return [
    `${counted(found, 'personal value')} ${found === 1 ? 'stands' : 'stand'} in what was written: do not pass these files on before you have read Trust.`,
  ]
}

function explainInvalid(body: Body): Pick<ReportModel, 'headline' | 'why'> {
  const failing = failingLines(body)
  const own = failing.filter((line) => line.group === 'trust')
  const other = failing.length - own.length
  return {
    headline: 'No verdict on V2: this rehearsal cannot vouch for its own measurement.',
    why: [
      ...(body.invalid.length > 0
        ? body.invalid.map((reason) => sentence(reason.slice(0, 1).toUpperCase() + reason.slice(1)))
        : []),
      ...own.filter((line) => line.id !== 'trust.measurement').map(objection),
      ...(other > 0
        ? [
            `Beyond that, ${counted(other, 'check')} on V2 itself ${other === 1 ? 'fails' : 'fail'}; do not read ${other === 1 ? 'it' : 'them'} as facts yet.`,
          ]
        : []),
    ],
  }
}

/** `Statements compared: 93%, at least 95% needed. 171,400 of …` */
function objection(line: GateLine): string {
  const limit =
    line.bound === 'max'
      ? `at most ${quantity(line.threshold, line.unit)} allowed`
      : `at least ${quantity(line.threshold, line.unit)} needed`
  return `${line.title}: ${quantity(line.actual ?? 0, line.unit)}, ${limit}. ${line.explanation}`
}

function explainFail(body: Body): Pick<ReportModel, 'headline' | 'why'> {
  const findings = body.findings.filter((finding) => finding.standing.state === 'fails')
  const stored = body.state?.findings.filter((finding) => finding.standing.state === 'fails') ?? []
  const slower = failingLines(body).filter((line) => line.group === 'latency')
  if (body.gate.ownVerdict === 'PASS') return explainWaiting(body)
  const parts = [
    ...(findings.length > 0 ? [`${counted(findings.length, 'finding')} beyond what the gate allows`] : []),
    ...(stored.length > 0 ? [storedWords(failingLines(body))] : []),
    ...(slower.length > 0 ? ['it is slower than allowed'] : []),
  ]
  const rest = findings.length - CAUSES_NAMED
  const restStored = stored.length - STORED_NAMED
  return {
    headline: `V2 is not ready: ${parts.length > 0 ? joined(parts) : 'more differences than the gate allows'}.`,
    why: [
      ...findings.slice(0, CAUSES_NAMED).map(causeSentence),
      ...(rest > 0 ? [`${counted(rest, 'further finding')} below.`] : []),
      ...stored.slice(0, STORED_NAMED).map(storedSentence),
      ...(restStored > 0 ? [`${count(restStored)} more under Table state.`] : []),
      ...slowerSentence(slower),
    ],
  }
}

/** `2 tables hold something else`, or what the migration forgot. */
function storedWords(failing: readonly GateLine[]): string {
  const actual = (id: string) => failing.find((line) => line.id === id)?.actual ?? 0
  const tables = actual('state.tables')
  const forgot = actual('state.schema') + actual('state.sequences')
  if (tables === 0) return `the migration forgot ${counted(forgot, 'thing')}`
  return `${counted(tables, 'table')} ${tables === 1 ? 'holds' : 'hold'} something else after the replay`
}

function joined(parts: readonly string[]): string {
  return parts.length < 3 ? parts.join(', and ') : `${parts.slice(0, -1).join(', ')}, and ${parts.at(-1)}`
}

/** Nothing is wrong with this rehearsal; there were not enough of its kind yet. */
function explainWaiting(body: Body): Pick<ReportModel, 'headline' | 'why'> {
  const [row] = failingLines(body).filter((line) => line.group === 'history')
  return {
    headline: `Not yet: V2 passed this rehearsal, and the gate asks for ${count(row?.threshold ?? 0)} in a row.`,
    why: [...(row ? [row.explanation] : []), ...explainPass(body).why],
  }
}

function explainPass(body: Body): Pick<ReportModel, 'headline' | 'why'> {
  const known = body.findings.filter((finding) => finding.standing.state === 'known').length
  const tolerated = body.findings.filter((finding) => finding.standing.state === 'tolerated').length
  const excused = total(body.excused)
  const differ = known + tolerated > 0
  return {
    headline: differ
      ? `V2 passes: every difference in ${count(body.compared)} statements is within what the gate allows.`
      : `V2 answered all ${count(body.compared)} compared statements as V1 did.`,
    why: [
      ...(tolerated > 0 ? [`${counted(tolerated, 'finding')} within the gate’s limits.`] : []),
      ...(known > 0 ? [`${counted(known, 'known difference')}, allowed by name until a set day.`] : []),
      stateWords(body.state),
      latencySentence(body),
      excused > 0
        ? `${counted(excused, 'statement')} differed without being a finding (${percent(excused / Math.max(1, body.compared))} of those compared); Trust lists each reason.`
        : 'No difference had to be excused.',
    ],
  }
}

function latencySentence(body: Body): string {
  const overall = body.latency.overall
  if (!overall) return 'Latency was not measured.'
  const { p50, p95 } = overall
  return `Latency over all statements: p50 ${ratio(p50.ratio)}, p95 ${ratio(p95.ratio)} of V1’s.`
}

/** The two that say most, of all latency lines that fail: the table below has each. */
function slowerSentence(lines: readonly GateLine[]): string[] {
  const excess = (line: GateLine) => (line.actual ?? 0) / line.threshold
  const worst = (of: readonly GateLine[]) => [...of].sort((a, b) => excess(b) - excess(a))[0]
  const ofQuery = (line: GateLine) => line.id.startsWith('latency.per_query')
  const overall = worst(lines.filter((line) => !ofQuery(line)))
  const query = worst(lines.filter(ofQuery))
  const said = [
    ...(overall ? [`${lowerFirst(overall.title)} ${limited(overall)}`] : []),
    ...(query ? [`a single query shape at ${query.id.split('.').at(-1)} ${limited(query)}`] : []),
  ]
  return said.length === 0 ? [] : [`Slower than allowed: ${said.join('; ')}.`]
}

function limited(line: GateLine): string {
  return `${ratio(line.actual ?? 0)} of V1’s, at most ${ratio(line.threshold)} allowed`
}

/** `After the replay, in users …`; a name at the beginning keeps its case. */
function storedSentence({ sentence: text, object }: ReportStateFinding): string {
  return sentence(text.startsWith(object) ? text : upperFirst(text))
}

function upperFirst(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

function causeSentence(finding: ReportFinding): string {
  const shapes = counted(finding.fingerprints.length, 'query shape')
  return `${sentence(finding.cause).replace(/\.$/, '')} (${sizeWords(finding)}, ${shapes}).`
}

/** A cause begins with a column's name as often as not, so its case is left alone. */
function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

function failingLines(body: Body): readonly GateLine[] {
  return body.gate.lines.filter((line) => line.outcome === 'fail')
}

function total(reasons: Readonly<Record<string, number>>): number {
  return Object.values(reasons).reduce((sum, one) => sum + one, 0)
}
