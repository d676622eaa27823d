/**
 * Findings as a table for the terminal, and discrepancies as CSV with the columns of the discrepancy table.
 */
import Table from 'cli-table3'
import { createColors } from 'picocolors'
import type { Discrepancy } from '../segment/diff.js'
import { count, impact, milliseconds, percent, ratio } from './format.js'
import type { ReportModel } from './model.js'
import { sizeFigures } from './size.js'
import { clip, plain } from './text.js'
import { KIND_TITLES } from './words.js'

export type TableOptions = { readonly columns: number; readonly color: boolean; readonly rowsMax: number }

/** Empty when there is nothing to show. Captured text cannot steer the terminal: control characters are named. */
export function findingsTable(model: ReportModel, { columns, color, rowsMax }: TableOptions): string {
  if (model.findings.length === 0) return ''
  const pc = createColors(color)
  const fixed = { kind: 22, count: 13, share: 9 }
  const cause = Math.max(24, Math.min(columns, 140) - fixed.kind - fixed.count - fixed.share - 5)
  const table = new Table({
    head: ['Finding', 'Cause', 'Statements', 'Traffic'].map((name) => pc.dim(name)),
    colWidths: [fixed.kind, cause, fixed.count + 1, fixed.share],
    colAligns: ['left', 'left', 'right', 'right'],
    wordWrap: true,
    style: { head: [], border: color ? ['gray'] : [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  })
  const paint = { fails: pc.red, tolerated: pc.yellow, known: pc.dim } as const
  for (const finding of model.findings.slice(0, rowsMax)) {
    const kind = KIND_TITLES[finding.subKind] ?? KIND_TITLES[finding.mismatch]
    const note = finding.standing.state === 'known' ? ` (known until ${finding.standing.until})` : ''
    table.push([
      paint[finding.standing.state](kind),
      `${plain(clip(finding.cause, 300))}${note}`,
      sizeFigures(finding),
      percent(finding.trafficShare),
    ])
  }
  const more = model.findings.length - rowsMax
  return more > 0 ? `${table.toString()}\n  and ${count(more)} more` : table.toString()
}

/** Kinds of statement that are slower or faster, by what they cost or save in a second of production's traffic; empty when there is none. */
export function latencyTable({ latency }: ReportModel, { columns, color, rowsMax }: TableOptions): string {
  const moved = latency.queries.filter(({ verdict }) => verdict === 'slower' || verdict === 'faster')
  if (moved.length === 0) return ''
  const pc = createColors(color)
  const fixed = { median: 22, ratio: 10, impact: 14 }
  const sql = Math.max(24, Math.min(columns, 140) - fixed.median - fixed.ratio - fixed.impact - 5)
  const table = new Table({
    head: ['Query shape', 'Median', 'Ratio', 'Cost'].map((name) => pc.dim(name)),
    colWidths: [sql, fixed.median, fixed.ratio, fixed.impact],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: color ? ['gray'] : [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  })
  for (const query of moved.slice(0, rowsMax))
    table.push([
      plain(clip(query.sql.replace(/\s+/g, ' '), 300)),
      `${milliseconds(query.p50.beforeMs)} → ${milliseconds(query.p50.afterMs)}`,
      (query.verdict === 'slower' ? pc.red : pc.green)(ratio(query.p50.ratio)),
      query.impactMsPerSecond === null ? '' : impact(query.impactMsPerSecond),
    ])
  const more = moved.length - rowsMax
  return more > 0 ? `${table.toString()}\n  and ${count(more)} more` : table.toString()
}

export const CSV_COLUMNS = [
  'alert_id',
  'trace_id',
  'sql_statement',
  'mismatch_type',
  'production_response_digest',
  'shadow_response_digest',
  'production_latency_ms',
  'shadow_latency_ms',
  'discrepancy_json',
  'created_at',
] as const

/** RFC 4180, a line at a time; PostgreSQL's COPY … CSV HEADER reads it. Values are as captured, unchanged. */
export function* csvLines(discrepancies: Iterable<Discrepancy>): Generator<string> {
  yield `${CSV_COLUMNS.join(',')}\r\n`
  for (const one of discrepancies) {
    const { findingId, seq, fingerprint, subKind, columns, cause, parameters, errorBefore, errorAfter, rows } = one
    const json = { findingId, seq, fingerprint, subKind, columns, cause, parameters, errorBefore, errorAfter, rows }
    const cells = [
      one.alertId,
      one.traceId,
      one.sql,
      one.mismatch,
      one.digestBefore,
      one.digestAfter,
      String(one.latencyMsBefore),
      String(one.latencyMsAfter),
      JSON.stringify(json),
      new Date(one.atMs).toISOString(),
    ]
    yield `${cells.map(csvCell).join(',')}\r\n`
  }
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
