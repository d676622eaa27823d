/**
 * Annotations of GitHub Actions: the verdict and the worst findings beside the pull request, as lines that its runner understands.
 * Captured text can neither end its line nor begin a command.
 */
import type { Finding } from '../segment/diff.js'
import type { StateFinding } from '../segment/state.js'
import { counted } from './format.js'
import type { GateLine, GateResult } from './gate.js'
import { holdWords, lineWords } from './gate-words.js'
import { sizeWords } from './size.js'
import { clip, plain } from './text.js'
import { KIND_TITLES } from './words.js'

/** The runner shows ten errors and ten warnings of a step. */
const FINDINGS_MAX = 9
const CAUSE_CHARACTERS_MAX = 300
const LINES_NAMED_MAX = 6

export function githubAnnotations(
  gate: GateResult,
  findings: readonly Finding[],
  state: readonly StateFinding[] = [],
  personalValues = 0,
): string[] {
  const failing = gate.lines.filter((line) => line.outcome === 'fail')
  const ids = new Set(failing.flatMap((line) => line.findingIds))
  const causes = gate.verdict === 'FAIL' ? findings.filter(({ findingId }) => ids.has(findingId)) : []
  const stored = gate.verdict === 'FAIL' ? state.filter(({ findingId }) => ids.has(findingId)) : []
  const expired = gate.overrides.filter(({ state }) => state === 'expired')
  return [
    verdict(gate, failing),
    ...causes
      .slice(0, FINDINGS_MAX)
      .map((finding) =>
        command(
          'error',
          KIND_TITLES[finding.mismatch],
          `${clip(finding.cause, CAUSE_CHARACTERS_MAX)} (${sizeWords(finding)})`,
        ),
      ),
    ...stored
      .slice(0, Math.max(0, FINDINGS_MAX - causes.length))
      .map(({ sentence }) => command('error', 'Table state', clip(sentence, CAUSE_CHARACTERS_MAX))),
    ...(personalValues > 0
      ? [
          command(
            'warning',
            'Personal values',
            `${counted(personalValues, 'personal value')} found in what was written; do not pass the files on before you have read Trust on the page.`,
          ),
        ]
      : []),
    ...expired
      .slice(0, FINDINGS_MAX)
      .map(({ query, until, reason }) =>
        command('warning', 'Override expired', `${query}, until ${until}: ${clip(reason, CAUSE_CHARACTERS_MAX)}`),
      ),
  ]
}

function verdict(gate: GateResult, failing: readonly GateLine[]): string {
  if (gate.verdict === 'PASS') {
    return command('notice', 'pgrehearse: PASS', holdWords(gate.lines))
  }
  const of = gate.verdict === 'INVALID' ? failing.filter((line) => line.group === 'trust') : failing
  const named = of
    .slice(0, LINES_NAMED_MAX)
    // How many objections there are helps nobody; what they are does.
    .map((line) => (line.id === 'trust.measurement' ? line.explanation.replace(/\.$/, '') : lineWords(line)))
  const more = of.length > named.length ? `; and ${of.length - named.length} more` : ''
  const lead =
    gate.verdict === 'INVALID'
      ? 'No verdict on V2, the measurement cannot be vouched for'
      : `${of.length} of ${counted(gate.lines.length, 'check')} of the gate ${of.length === 1 ? 'fails' : 'fail'}`
  return command('error', `pgrehearse: ${gate.verdict}`, `${lead}: ${named.join('; ')}${more}.`)
}

function command(kind: 'error' | 'warning' | 'notice', title: string, message: string): string {
  return `::${kind} title=${escaped(title).replaceAll(':', '%3A').replaceAll(',', '%2C')}::${escaped(message)}`
}

/** `##[` begins a command of the runner's older form, anywhere in a line. */
function escaped(text: string): string {
  return plain(text).replaceAll('%', '%25').replaceAll('##[', '## [')
}
