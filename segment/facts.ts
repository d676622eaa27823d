/**
 * What planning needs of a statement, read without making an object per row: one cursor moves over the rows of a page, and what most
 * statements are never asked for (parameters, rows) is parsed on first use.
 *
 * Whoever keeps something of it copies it. Half of planning used to be reading whole statements: 14 µs each, of which this is 4.
 */
import type { JsonLookup, TextLookup } from './dictionary.js'
import type { Column, Row } from './outcome.js'
import { type PackedJson, unpackJson } from './pack.js'
import type { Shape } from './shape-dictionary.js'
import type { Frame, SafeSql, Statement } from './statement.js'

export type StatementFacts = {
  readonly seq: number
  readonly session: number
  readonly ordinal: number
  readonly transaction: number
  readonly part: number
  readonly sentUs: number
  readonly doneUs: number
  readonly sql: SafeSql
  /** A query or an Execute; preparing and describing execute nothing. */
  readonly executes: boolean
  /** By a Bind, so that the server took its snapshot before it executed. */
  readonly binds: boolean
  /** The portal that it executed last; null: none, as in a simple query. */
  readonly portal: string | null
  /** Nothing later rests on its messages: it prepares nothing by name, and its answer was asked for. */
  readonly alone: boolean
  readonly parameters: readonly (string | null)[]
  /** null: it worked. */
  readonly sqlstate: string | null
  readonly tag: string
  readonly columns: readonly Column[] | null
  /** All rows it returned, when they are few enough to be evidence and were all kept; null otherwise. */
  readonly rows: readonly Row[] | null
  /** The first of them, when only those were kept. */
  readonly keptRows: readonly Row[] | null
}

/** Who returned more rows than this says nothing about any one of them. */
export const EVIDENCE_ROWS_MAX = 512

export const FACT_COLUMNS =
  'seq, session, ordinal, txn, part, sent_us, done_us, text_id, shape_id, parameters, error, tag, row_count, columns_id, ' +
  `rows_cut, CASE WHEN row_count <= ${EVIDENCE_ROWS_MAX} THEN rows END`

export type FactCells = [
  seq: number,
  session: number,
  ordinal: number,
  transaction: number,
  part: number,
  sentUs: number,
  doneUs: number,
  textId: number,
  shapeId: number,
  parameters: string | null,
  error: string | null,
  tag: string,
  rowCount: number,
  columnsId: number | null,
  rowsCut: number,
  rows: PackedJson,
]

type Lookups = {
  readonly texts: TextLookup
  readonly shapes: JsonLookup<Shape>
  readonly columnSets: JsonLookup<readonly Column[]>
}

const NO_PARAMETERS: readonly (string | null)[] = []

export class FactsCursor implements StatementFacts {
  readonly #lookups: Lookups
  readonly #sent = new Map<number, Sent>()
  seq = 0
  session = 0
  ordinal = 0
  transaction = 0
  part = 0
  sentUs = 0
  doneUs = 0
  sql = '' as SafeSql
  executes = false
  binds = false
  portal: string | null = null
  alone = false
  sqlstate: string | null = null
  tag = ''
  columns: readonly Column[] | null = null
  #rowCount = 0
  #parametersText: string | null = null
  #parameters: readonly (string | null)[] | null = null
  #rowsCut = false
  #packed: PackedJson = null
  #rows: readonly Row[] | null | undefined

  constructor(lookups: Lookups) {
    this.#lookups = lookups
  }

  moveTo(cells: FactCells): this {
    this.seq = cells[0]
    this.session = cells[1]
    this.ordinal = cells[2]
    this.transaction = cells[3]
    this.part = cells[4]
    this.sentUs = cells[5]
    this.doneUs = cells[6]
    this.sql = this.#lookups.texts.value(cells[7]).sql
    const sent = this.#sentAs(cells[8])
    this.executes = cells[4] > 0 || sent.executes
    this.binds = sent.binds
    this.portal = sent.portal
    this.alone = cells[4] === 0 && sent.alone
    this.#parametersText = cells[9]
    this.#parameters = null
    this.sqlstate = cells[10] === null ? null : (JSON.parse(cells[10]) as { sqlstate: string }).sqlstate
    this.tag = cells[11]
    this.#rowCount = cells[12]
    this.columns = cells[13] === null ? null : this.#lookups.columnSets.value(cells[13])
    this.#rowsCut = cells[14] !== 0
    this.#packed = cells[15]
    this.#rows = undefined
    return this
  }

  get parameters(): readonly (string | null)[] {
    this.#parameters ??=
      this.#parametersText === null ? NO_PARAMETERS : (JSON.parse(this.#parametersText) as (string | null)[])
    return this.#parameters
  }

  get rows(): readonly Row[] | null {
    if (this.#rowsCut || this.#packed === null) return null
    const rows = this.keptRows
    return rows !== null && rows.length >= this.#rowCount ? rows : null
  }

  get keptRows(): readonly Row[] | null {
    if (this.#rows === undefined) this.#rows = unpackJson(this.#packed) as readonly Row[] | null
    return this.#rows
  }

  #sentAs(shapeId: number): Sent {
    let sent = this.#sent.get(shapeId)
    if (sent === undefined) {
      sent = sentAs(this.#lookups.shapes.value(shapeId).frames)
      this.#sent.set(shapeId, sent)
    }
    return sent
  }
}

type Sent = Pick<StatementFacts, 'executes' | 'binds' | 'portal' | 'alone'>

function sentAs(frames: readonly Frame[]): Sent {
  const executed = frames.findLast((frame) => frame[0] === 'E')
  return {
    executes: frames.some(([kind]) => kind === 'Q' || kind === 'E'),
    binds: frames.some(([kind]) => kind === 'B'),
    portal: executed?.[1] ?? null,
    alone:
      frames[0]?.[0] === 'Q' ||
      (frames.at(-1)?.[0] === 'S' && !frames.some((frame) => frame[0] === 'P' && frame[1] !== '')),
  }
}

/** The same of a statement that is in memory anyway. */
export function factsOf(statement: Statement): StatementFacts {
  const { frames, outcome, part } = statement
  const sent = sentAs(frames)
  const { rows, rowsCut, rowCount } = outcome
  const whole = rows !== null && !rowsCut && rows.length >= rowCount && rows.length <= EVIDENCE_ROWS_MAX
  return {
    seq: statement.seq,
    session: statement.session,
    ordinal: statement.ordinal,
    transaction: statement.transaction,
    part,
    sentUs: statement.sentUs,
    doneUs: statement.doneUs,
    sql: statement.sql,
    executes: part > 0 || sent.executes,
    binds: sent.binds,
    portal: sent.portal,
    alone: part === 0 && sent.alone,
    parameters: statement.parameters,
    sqlstate: outcome.error?.sqlstate ?? null,
    tag: outcome.tag,
    columns: outcome.columns,
    rows: whole ? rows : null,
    keptRows: rowCount <= EVIDENCE_ROWS_MAX ? rows : null,
  }
}
