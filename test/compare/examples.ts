/** Outcomes and knowledge for specs: a result is its columns and rows of text. */
import { Bijection } from '../../replayer/compare/bijection.js'
import type { Canonical, CellContext } from '../../replayer/compare/cell.js'
import type { Clocks } from '../../replayer/compare/clock.js'
import type { Knowledge } from '../../replayer/compare/knowledge.js'
import { plainColumn } from '../../replayer/compare/nature.js'
import { ANY_ORDER } from '../../replayer/compare/sort-knowledge.js'
import { canonicalText } from '../../segment/canonical.js'
import { ResultDigest } from '../../segment/digest.js'
import type { Column, Outcome, Row } from '../../segment/outcome.js'

/** Before ran from 12:00, after from 12:10; both are a minute into the replay. */
export const CLOCKS: Clocks = {
  beforeStartMs: Date.UTC(2026, 5, 1, 12, 0),
  afterStartMs: Date.UTC(2026, 5, 1, 12, 10),
  beforeElapsedMs: 60_000,
  afterElapsedMs: 60_000,
  driftMs: 500,
}

const ofSystem: Canonical = (value, { typeOid }) => canonicalText(typeOid, value)
export const CANONICAL = { before: ofSystem, after: ofSystem }

export function context(): CellContext {
  return {
    clocks: CLOCKS,
    bijection: new Bijection(),
    canonical: CANONICAL,
  }
}

export function column(name: string, typeOid = 25): Column {
  return { name, typeOid, typmod: -1, tableOid: 0, attnum: 0 }
}

export function outcome(columns: readonly Column[], rows: readonly Row[], keep = Infinity): Outcome {
  const digest = new ResultDigest(columns)
  for (const row of rows) digest.rowOfText(row)
  return {
    error: null,
    tag: `SELECT ${rows.length}`,
    rowCount: rows.length,
    columns,
    digest: digest.finish(),
    rows: rows.slice(0, keep),
    rowsCut: rows.length > keep,
    suspended: false,
    status: 'I',
  }
}

export function failed(sqlstate: string, message = 'no', more: Partial<Outcome['error'] & object> = {}): Outcome {
  return { ...done('', 0), error: { sqlstate, message, ...more } }
}

/** A statement without a result set. */
export function done(tag: string, rowCount: number): Outcome {
  return {
    error: null,
    tag,
    rowCount,
    columns: null,
    digest: null,
    rows: null,
    rowsCut: false,
    suspended: false,
    status: 'I',
  }
}

export function knowledge(columns: readonly Column[], more: Partial<Knowledge> = {}): Knowledge {
  return {
    columns: columns.map(({ name }) => ({ ...plainColumn(`t.${name}`), table: 't', key: name === 'id' })),
    sort: ANY_ORDER,
    chancyRows: false,
    aboutServer: false,
    ignored: false,
    tables: [],
    written: [],
    sought: [],
    lookups: [],
    given: new Map(),
    columnNames: new Set(),
    noisy: { error: false, rows: false, order: false },
    ...more,
  }
}
