/**
 * JUnit: a case per query shape that was measured or differs, one per compared table, and one per check of the gate. What fails here is what
 * failed the gate; a tolerated or known difference is said in the case's output.
 *
 * Nobody owns the format. Valid by the schema of Jenkins, whole; and by that of Ant, but for two things it never heard of: a case that
 * was skipped, and the output of a case.
 */
import { milliseconds, percent, ratio } from './format.js'
import type { GateLine } from './gate.js'
import type { ReportFinding, ReportModel, ReportState, ReportStateFinding } from './model.js'
import { reproduceCommand } from './reproduce-command.js'
import { sizeWords } from './size.js'
import { clip, plain } from './text.js'
import { KIND_TITLES } from './words.js'

type Case = {
  readonly name: string
  readonly className: string
  readonly seconds: number
  readonly failures: readonly string[]
  /** The harness's fault, not the candidate's. */
  readonly errors: readonly string[]
  readonly skipped: string | null
  readonly output: readonly string[]
  /** What to look at, below the reasons of a failure. */
  readonly evidence?: readonly string[]
}

const NAME_CHARACTERS_MAX = 160
const SQL_CHARACTERS_MAX = 4_000

export function toJunit(model: ReportModel): string {
  const suites = [
    { name: 'pgrehearse gate', cases: model.gate.lines.map(checkCase) },
    { name: 'pgrehearse query shapes', cases: queryCases(model) },
    ...(model.state ? [{ name: 'pgrehearse table state', cases: stateCases(model.state) }] : []),
  ]
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    ...suites.map((one, i) => suite(one.name, one.cases, i, model)),
    '</testsuites>',
    '',
  ].join('\n')
}

function checkCase(line: GateLine): Case {
  const failed = line.outcome === 'fail' ? [`${line.title}: ${line.explanation}`] : []
  return {
    name: line.title,
    className: `gate.${line.group}`,
    seconds: 0,
    failures: line.group === 'trust' ? [] : failed,
    errors: line.group === 'trust' ? failed : [],
    skipped: line.outcome === 'not judged' ? line.explanation : null,
    output: [],
  }
}

function queryCases(model: ReportModel): Case[] {
  const texts = new Map(model.latency.queries.map((query) => [query.fingerprint, query.sql]))
  for (const finding of model.findings) {
    for (const example of finding.examples)
      if (!texts.has(example.fingerprint)) texts.set(example.fingerprint, example.sql)
    for (const fingerprint of finding.fingerprints) if (!texts.has(fingerprint)) texts.set(fingerprint, '')
  }
  const latencies = new Map(model.latency.queries.map((query) => [query.fingerprint, query]))
  return [...texts].map(([fingerprint, sql]): Case => {
    const findings = model.findings.filter((finding) => finding.fingerprints.includes(fingerprint))
    const slow = model.gate.lines.filter(
      (line) => line.group === 'latency' && line.outcome === 'fail' && line.fingerprints.includes(fingerprint),
    )
    const latency = latencies.get(fingerprint)
    return {
      name: `${fingerprint} ${sql.replace(/\s+/g, ' ').trim()}`.trim(),
      className: 'query',
      seconds: (latency?.totalMs.after ?? 0) / 1000,
      failures: [
        ...findings.filter((finding) => finding.standing.state === 'fails').map(said),
        ...slow.map((line) => `${line.title}: ${latencyWords(line, latency)}`),
      ],
      errors: [],
      skipped: null,
      output: findings
        .filter((finding) => finding.standing.state !== 'fails')
        .map((finding) =>
          finding.standing.state === 'known'
            ? `known until ${finding.standing.until} (${finding.standing.reason}): ${said(finding)}`
            : `within the limit: ${said(finding)}`,
        ),
      evidence: evidenceOf(fingerprint, sql, findings, model.diffPath),
    }
  })
}

/** The statement, and the commands that show one example of each finding by hand. */
function evidenceOf(
  fingerprint: string,
  sql: string,
  findings: readonly ReportFinding[],
  diffPath: string,
): readonly string[] {
  const commands = findings.flatMap(({ examples }) => {
    const example = examples.find((one) => one.fingerprint === fingerprint)
    return example === undefined ? [] : [reproduceCommand(diffPath, example.alertId)]
  })
  return [
    ...(sql === '' ? [] : ['', clip(sql, SQL_CHARACTERS_MAX)]),
    ...(commands.length === 0 ? [] : ['', ...commands]),
  ]
}

/** A case per table, and one for each other thing that has something to say: a sequence, a view, a function. */
function stateCases(state: ReportState): Case[] {
  const names = new Set([...state.tables.map(({ table }) => table), ...state.findings.map(({ object }) => object)])
  return [...names].map((name): Case => {
    const of = state.findings.filter(({ object }) => object === name)
    const fails = ({ standing }: ReportStateFinding) => standing.state === 'fails'
    return {
      name,
      className: 'state',
      seconds: 0,
      failures: of.filter(fails).map(({ sentence }) => sentence),
      errors: [],
      skipped: null,
      output: of.filter((finding) => !fails(finding)).map(({ sentence, standing }) => `${standing.state}: ${sentence}`),
    }
  })
}

function latencyWords(line: GateLine, latency: ReportModel['latency']['queries'][number] | undefined): string {
  const quantile = line.id.endsWith('.p50') ? 'p50' : line.id.endsWith('.p95') ? 'p95' : 'p99'
  const measure = latency?.[quantile]
  if (!measure) return line.explanation
  return `${milliseconds(measure.beforeMs)} → ${milliseconds(measure.afterMs)} (${ratio(measure.ratio)})`
}

function said(finding: ReportFinding): string {
  return `${KIND_TITLES[finding.mismatch]}: ${finding.cause} (${sizeWords(finding)}, ${percent(finding.trafficShare)} of traffic)`
}

/** What one schema leaves open and the other asks for (a package, a number, a host, empty outputs) is all there. */
function suite(name: string, cases: readonly Case[], id: number, model: ReportModel): string {
  const failures = cases.filter((one) => one.failures.length > 0).length
  const errors = cases.filter((one) => one.errors.length > 0).length
  const skipped = cases.filter((one) => one.skipped !== null).length
  const seconds = cases.reduce((sum, one) => sum + one.seconds, 0)
  const comparedAt = new Date(model.comparedAtMs).toISOString().slice(0, 19)
  return [
    `  <testsuite name="${xml(name)}" package="pgrehearse" id="${id}" tests="${cases.length}" failures="${failures}" errors="${errors}" skipped="${skipped}" time="${seconds.toFixed(3)}" timestamp="${comparedAt}" hostname="localhost">`,
    '    <properties>',
    ...properties(model).map(
      ([key, value]) => `      <property name="${key}" value="${xml(clip(value, NAME_CHARACTERS_MAX))}"/>`,
    ),
    '    </properties>',
    ...cases.map(caseXml),
    '    <system-out/>',
    '    <system-err/>',
    '  </testsuite>',
  ].join('\n')
}

/** What was compared: whoever finds the file in a folder of results knows what it is about. */
function properties({ verdict, headline, recording, before, after, diffPath }: ReportModel): [string, string][] {
  return [
    ['verdict', verdict],
    ['headline', headline],
    ['recording', recording.path],
    ['V1', before.target],
    ['V2', after.target],
    ['diff', diffPath],
  ]
}

function caseXml(one: Case): string {
  const open = `    <testcase classname="${xml(one.className)}" name="${xml(clip(one.name, NAME_CHARACTERS_MAX))}" time="${one.seconds.toFixed(3)}"`
  const parts = [
    ...(one.skipped === null ? [] : [`      <skipped>${xml(one.skipped)}</skipped>`]),
    ...verdictXml('error', one.errors, one.evidence),
    ...verdictXml('failure', one.failures, one.evidence),
    ...(one.output.length > 0 ? [`      <system-out>${xml(one.output.join('\n'), true)}</system-out>`] : []),
  ]
  return parts.length === 0 ? `${open}/>` : [`${open}>`, ...parts, '    </testcase>'].join('\n')
}

/** One element with all reasons: several readers take only the first of a case. */
function verdictXml(tag: 'error' | 'failure', reasons: readonly string[], evidence: readonly string[] = []): string[] {
  const [first] = reasons
  if (first === undefined) return []
  const text = [...reasons, ...evidence].join('\n')
  return [`      <${tag} message="${xml(first)}" type="pgrehearse">${xml(text, true)}</${tag}>`]
}

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** XML has no place for most control characters, not even escaped; `plain` names them. */
function xml(text: string, lines = false): string {
  const safe = lines ? text.split('\n').map(plain).join('\n') : plain(text)
  return safe.replace(/[\ufffe\uffff]/g, '\ufffd').replace(/[&<>"']/g, (character) => ESCAPED[character] ?? '')
}
