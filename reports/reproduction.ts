/**
 * What both databases answered when a discrepancy was shown by hand: the two results with what differs marked, as lines of text.
 */
import Table from 'cli-table3'
import { createColors } from 'picocolors'
import type { Row } from '../segment/outcome.js'
import { count, counted, milliseconds } from './format.js'
import { type CellView, type Mark, type RowPair, viewRows } from './rows.js'
import { clip, plain } from './text.js'

export type Answer = {
  readonly columns: readonly string[]
  /** The first ones; `rowCount` says how many came. */
  readonly rows: readonly Row[]
  readonly rowCount: number
  readonly tag: string
  readonly elapsedMs: number
  readonly error: { readonly sqlstate: string; readonly message: string } | null
}

export type Reproduction = { readonly before: Answer; readonly after: Answer }

const PAIRS_MAX = 20
/** A wider table shows its first column and those that differ. */
const COLUMNS_MAX = 8
const MESSAGE_CHARACTERS_MAX = 1_000

export function isSame({ before, after }: Reproduction): boolean {
  return (
    before.error?.sqlstate === after.error?.sqlstate &&
    before.error?.message === after.error?.message &&
    before.tag === after.tag &&
    before.rowCount === after.rowCount &&
    JSON.stringify([before.columns, before.rows]) === JSON.stringify([after.columns, after.rows])
  )
}

export function reproductionText(reproduction: Reproduction, { color }: { readonly color: boolean }): string {
  const { before, after } = reproduction
  const bothRows = before.error === null && after.error === null && before.columns.length + after.columns.length > 0
  return [
    summary('V1', before),
    summary('V2', after),
    ...(bothRows ? ['', ...results(reproduction, color)] : []),
    '',
    isSame(reproduction)
      ? 'The same answer from both: what made them differ in the replay is not there now. Earlier statements of the recording may have to run first.'
      : 'Both were rolled back.',
  ].join('\n')
}

function summary(label: string, answer: Answer): string {
  const { error, tag, rowCount, columns, elapsedMs } = answer
  if (error)
    return `${label}  refused with ${plain(`${error.sqlstate}: ${clip(error.message, MESSAGE_CHARACTERS_MAX)}`)}`
  const rows = columns.length > 0 ? `, ${counted(rowCount, 'row')}` : ''
  return `${label}  answered ${plain(tag)}${rows} in ${milliseconds(elapsedMs)}`
}

function results({ before, after }: Reproduction, color: boolean): string[] {
  const named = before.columns.length >= after.columns.length ? before.columns : after.columns
  const view = viewRows(
    { columns: named, before: before.rows, after: after.rows },
    { rowsMax: Math.max(before.rows.length, after.rows.length), pairsMax: PAIRS_MAX },
  )
  const shown = columnsShown(named.length, view.changed)
  const unread = Math.max(before.rowCount - before.rows.length, after.rowCount - after.rows.length)
  const notes = [
    ...(same(before.columns, after.columns)
      ? []
      : [
          `V1’s columns: ${before.columns.map(plain).join(', ')}`,
          `V2’s columns: ${after.columns.map(plain).join(', ')}`,
        ]),
    ...(view.pairs.length > 0 ? [table(view.pairs, named, shown, view.changed, color)] : []),
    ...(shown.length < named.length && view.pairs.length > 0
      ? [`${counted(named.length - shown.length, 'column')} without a difference left out.`]
      : []),
    ...(view.more > 0 ? [`${counted(view.more, 'further row')} with a difference.`] : []),
    ...(view.equal > 0
      ? [`${counted(view.equal, 'row')} ${view.equal === 1 ? 'is' : 'are'} equal on both sides.`]
      : []),
    ...(unread > 0
      ? [`Only the first ${count(Math.max(before.rows.length, after.rows.length))} rows were compared.`]
      : []),
  ]
  return notes
}

function columnsShown(width: number, changed: readonly number[]): number[] {
  const all = Array.from({ length: width }, (_, at) => at)
  return width <= COLUMNS_MAX ? all : all.filter((at) => at === 0 || changed.includes(at))
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i])
}

function table(
  pairs: readonly RowPair[],
  names: readonly string[],
  shown: readonly number[],
  changed: readonly number[],
  color: boolean,
): string {
  const pc = createColors(color)
  const made = new Table({
    head: ['', ...shown.map((at) => `${plain(names[at] ?? '')}${changed.includes(at) ? ' *' : ''}`)],
    style: { head: [], border: color ? ['gray'] : [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  })
  const cells = (label: string, row: readonly CellView[]) => [
    label,
    ...shown.map((at) => cellText(row[at] ?? null, pc)),
  ]
  for (const pair of pairs) {
    if (pair.kind === 'changed') made.push(cells('V1', pair.before), cells('V2', pair.after))
    else if (pair.kind === 'removed') made.push(cells('only V1', pair.before))
    else if (pair.kind === 'added') made.push(cells('only V2', pair.after))
    else made.push(cells(`row ${pair.from} → ${pair.to}`, pair.row))
  }
  return made.toString()
}

/** Brackets besides colours: they survive a copy into a ticket. */
function cellText(cell: CellView, pc: ReturnType<typeof createColors>): string {
  if (cell === null) return pc.dim('NULL')
  const write: Readonly<Record<Mark[0], (text: string) => string>> = {
    '=': (text) => text,
    '-': (text) => pc.red(`[-${text}-]`),
    '+': (text) => pc.green(`{+${text}+}`),
    '~': (text) => pc.dim(` … ${count(Number(text))} characters … `),
  }
  return cell.map(([kind, text]) => write[kind](plain(text))).join('')
}
