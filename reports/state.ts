/**
 * Table state, as the model carries it: what `verify` laid into the diff, bounded, with how each line stands before the gate.
 */
import type { StateFinding, StateReport } from '../segment/state.js'
import type { GateResult } from './gate.js'
import type { ReportState, ReportStateFinding, ReportTable } from './model.js'
import { viewRows } from './rows.js'
import { clip } from './text.js'

const FINDINGS_MAX = 500
const SENTENCE_CHARACTERS_MAX = 2_000
const NAMES_MAX = 200
const ROWS = { rowsMax: 40, pairsMax: 8 }

export function reportState(state: StateReport, gate: GateResult): ReportState {
  const { checkedAtMs, momentsLeftOut, tables, findings, schema } = state
  return {
    checkedAtMs,
    momentsLeftOut,
    tables: tables
      .map(
        ({ table, verdict, rowsBefore, rowsAfter, missing, extra, changed, more, columnsLeftOut }): ReportTable => ({
          table,
          verdict,
          rowsBefore,
          rowsAfter,
          missing,
          extra,
          changed,
          more,
          columnsLeftOut,
        }),
      )
      .sort((a, b) => Number(a.verdict === 'equal') - Number(b.verdict === 'equal') || a.table.localeCompare(b.table)),
    findings: findings.slice(0, FINDINGS_MAX).map((finding) => reportFinding(finding, gate)),
    findingsMore: Math.max(0, findings.length - FINDINGS_MAX),
    added: schema.added.length,
    notCompared: schema.notCompared.slice(0, NAMES_MAX),
  }
}

function reportFinding(finding: StateFinding, gate: GateResult): ReportStateFinding {
  const { findingId, kind, schemaKind, object, sentence, count, more, rows } = finding
  return {
    findingId,
    kind,
    ...(schemaKind === undefined ? {} : { schemaKind }),
    object,
    sentence: clip(sentence, SENTENCE_CHARACTERS_MAX),
    count,
    more,
    standing: standingOf(finding, gate),
    rows: rows && viewRows(rows, ROWS),
  }
}

function standingOf({ findingId, fault }: StateFinding, gate: GateResult): ReportStateFinding['standing'] {
  if (!fault) return { state: 'told' }
  const known = gate.known.find((one) => one.findingId === findingId)
  if (known) return { state: 'known', reason: known.reason, until: known.until }
  return { state: gate.lines.some(({ findingIds }) => findingIds.includes(findingId)) ? 'fails' : 'tolerated' }
}

/** `V2's tables hold what V1's became: 12 tables compared.` */
export function stateWords(state: ReportState | null | undefined): string {
  if (!state) return 'Tables were not compared after the replays.'
  const differ = state.tables.filter(({ verdict }) => verdict !== 'equal').length
  const all = state.tables.length === 1 ? '1 table' : `${state.tables.length.toLocaleString('en-US')} tables`
  return differ === 0
    ? `After the replays, ${all} compared row by row: all equal.`
    : `After the replays, ${differ.toLocaleString('en-US')} of ${all} ${differ === 1 ? 'holds' : 'hold'} something else.`
}
