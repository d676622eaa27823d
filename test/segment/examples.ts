/**
 * Made-up recordings, runs and diffs for the tests of the formats; nothing here looks like a person's data.
 */
import fc from 'fast-check'
import type { Catalog } from '../../segment/catalog.js'
import type { DiffFacts, Discrepancy, Finding, LatencyRow } from '../../segment/diff.js'
import type { Outcome } from '../../segment/outcome.js'
import type { RecordingFacts } from '../../segment/recording-writer.js'
import type { RunFacts, RunRow } from '../../segment/run.js'
import type { Frame, SafeSql, Session, Statement } from '../../segment/statement.js'

const CATALOG: Catalog = {
  database: 'shop',
  serverVersionNum: 180004,
  searchPath: ['public'],
  relations: [],
  types: [],
  functions: [],
}

export const FACTS: RecordingFacts = {
  id: 'c0ffee00-0000-4000-8000-000000000000',
  madeBy: 'pgrehearse 0.1.0',
  source: 'proxy',
  startedAtMs: 1_790_000_000_000,
  server: {
    versionNum: 180004,
    version: 'PostgreSQL 18.4',
    systemIdentifier: '7300000000000000000',
    database: 'shop',
    settings: { TimeZone: 'UTC' },
    startLsn: '0/1000000',
  },
  catalog: CATALOG,
  privacy: { policyHash: 'p', keyFingerprint: 'k' },
}

export const SESSION: Session = {
  session: 1,
  backendPid: 4242,
  database: 'shop',
  user: 'app',
  application: 'checkout',
  parameters: { client_encoding: 'UTF8' },
  connectedUs: 5,
  prologue: ['SET search_path = shop'],
}

const FRAMES: readonly Frame[] = [['P', '', [23]], ['B', '', ''], ['D', 'P', ''], ['E', '', 0], ['S']]

export const OK: Outcome = {
  error: null,
  tag: 'SELECT 1',
  rowCount: 1,
  columns: [
    { name: 'id', typeOid: 23, typmod: -1, tableOid: 16400, attnum: 1 },
    { name: 'name', typeOid: 25, typmod: -1, tableOid: 16400, attnum: 2 },
  ],
  digest: Buffer.from('0123456789abcdef'),
  rows: [['1', 'tea']],
  rowsCut: false,
  suspended: false,
  status: 'I',
}

export function statement(seq: number, changes: Partial<Statement> = {}): Statement {
  return {
    seq,
    session: 1,
    ordinal: seq,
    transaction: seq,
    part: 0,
    sentUs: seq * 100,
    doneUs: seq * 100 + 40,
    frames: FRAMES,
    sql: 'SELECT id, name FROM products WHERE id = $1' as SafeSql,
    fingerprint: 'a1b2c3d4e5f60718',
    parameters: [String(seq)],
    parameterTypes: [23],
    bind: Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 49, 0, 0]),
    copy: null,
    unreplayable: null,
    outcome: OK,
    ...changes,
  }
}

export function runRow(seq: number, changes: Partial<RunRow> = {}): RunRow {
  return {
    seq,
    timing: {
      dueUs: seq * 100,
      sentUs: seq * 100 + 3,
      doneUs: seq * 100 + 50,
      waitOrderUs: 1,
      waitSessionUs: 2,
      waitWorkerUs: 0,
    },
    outcome: OK,
    orderRelaxed: false,
    ...changes,
  }
}

export const RUN_FACTS: RunFacts = {
  format: 'pgrehearse run',
  formatVersion: 1,
  id: 'decade00-0000-4000-8000-000000000000',
  madeBy: 'pgrehearse 0.1.0',
  role: 'baseline',
  recordingId: FACTS.id!,
  recordingPath: 'shop.rec',
  target: { version: 'PostgreSQL 18.4', versionNum: 180004, database: 'v1', systemIdentifier: '73' },
  snapshotId: null,
  settings: { speed: 'max', order: 'causal', workers: 2, readOnly: false, rewriteHash: null },
  startedAtMs: 1_790_000_100_000,
  elapsedUs: 1_000_000,
  ledger: {
    seen: { statements: 0, transactions: 0 },
    kept: { statements: 0, transactions: 0 },
    filtered: {},
    skipped: {},
    lost: {},
  },
  eventLoopUtilisationMax: 0.4,
  orderRelaxed: 0,
  incidents: [],
}

export const DISCREPANCY: Discrepancy = {
  alertId: 'alert-1',
  findingId: 'finding-1',
  seq: 7,
  traceId: 'c0ffee00-7',
  fingerprint: 'a1b2c3d4e5f60718',
  sql: 'SELECT email FROM users WHERE id = $1',
  parameters: ['7', null],
  mismatch: 'SEMANTIC_MISMATCH',
  subKind: 'values',
  columns: ['email'],
  cause: 'email is cut to 32 characters',
  atMs: 1_790_000_000_700,
  digestBefore: 'sha256_a',
  digestAfter: 'sha256_b',
  latencyMsBefore: 1.5,
  latencyMsAfter: 2,
  errorBefore: null,
  errorAfter: null,
  rows: { columns: ['email'], before: [['a long one']], after: [['a lon']] },
}

export const FINDING: Finding = {
  findingId: 'finding-1',
  mismatch: 'SEMANTIC_MISMATCH',
  subKind: 'values',
  cause: 'email is cut to 32 characters',
  explainer: 'truncated',
  fingerprints: ['a1b2c3d4e5f60718'],
  columns: ['email'],
  count: 2,
  trafficShare: 0.5,
  firstAtMs: 1,
  lastAtMs: 2,
  exampleAlertIds: ['alert-1'],
}

export const LATENCY: LatencyRow = {
  fingerprint: '',
  sql: '',
  count: 4,
  beforeMs: { p50: 1, p90: 2, p95: 3, p99: 4, max: 5 },
  afterMs: { p50: 1, p90: 2, p95: 3, p99: 4, max: 5 },
  beforeHistogram: '',
  afterHistogram: '',
  ratio: 1,
  ratioLow: 0.9,
  ratioHigh: 1.1,
  verdict: 'same',
}

const SUMMARY = {
  id: 'r',
  role: 'baseline',
  target: 'v1',
  statements: 4,
  errors: 0,
  elapsedMs: 1000,
  ledger: RUN_FACTS.ledger,
  orderRelaxed: 0,
  eventLoopUtilisationMax: 0.1,
}

export const DIFF_FACTS: DiffFacts = {
  format: 'pgrehearse diff',
  formatVersion: 1,
  id: 'd1',
  madeBy: 'pgrehearse 0.1.0',
  createdAtMs: 1,
  recordingId: FACTS.id!,
  recordingPath: 'shop.rec',
  recordedAtMs: FACTS.startedAtMs,
  before: SUMMARY,
  after: { ...SUMMARY, role: 'candidate' },
  noise: null,
  compared: 4,
  discrepancies: 3,
  excused: { 'order not promised': 1 },
  uncompared: {},
  timelineBefore: [],
  timelineAfter: [],
  invalid: [],
}

/** Any text PostgreSQL could send: unpaired surrogates cannot be written as UTF-8 by anyone. */
const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const bytes = fc.uint8Array({ maxLength: 1500 }).map((array) => Buffer.from(array))
const us = fc.nat({ max: 2 ** 31 }).chain((base) => fc.constantFrom(base, base * 4096))
const cell = fc.option(text)

const column = fc.record({
  name: text,
  typeOid: fc.nat(),
  typmod: fc.integer({ min: -1, max: 1 << 20 }),
  tableOid: fc.nat(),
  attnum: fc.nat({ max: 1600 }),
})

export const anyOutcome: fc.Arbitrary<Outcome> = fc.record({
  error: fc.option(
    fc.record(
      { sqlstate: fc.constantFrom('23505', '40001', '25P02'), message: text, detail: text, constraint: text },
      { requiredKeys: ['sqlstate', 'message'] },
    ),
  ),
  tag: text,
  rowCount: fc.nat(),
  columns: fc.option(fc.array(column, { maxLength: 4 })),
  digest: fc.option(bytes),
  rows: fc.option(fc.array(fc.array(cell, { maxLength: 4 }), { maxLength: 30 })),
  rowsCut: fc.boolean(),
  suspended: fc.boolean(),
  status: fc.constantFrom('I', 'T', 'E', null),
})

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.constantFrom<Frame[]>(['Q'], ['d'], ['c'], ['f'], ['H'], ['S'], ['F']),
  fc.tuple(fc.constant('P' as const), text, fc.array(fc.nat(), { maxLength: 3 })),
  fc.tuple(fc.constant('B' as const), text, text),
  fc.tuple(fc.constant('D' as const), fc.constantFrom('S' as const, 'P' as const), text),
  fc.tuple(fc.constant('E' as const), text, fc.nat()),
)

/** Everything of a statement but its place in the recording. */
const anyContent = fc.record({
  sentUs: us,
  doneUs: us,
  frames: fc.array(frame, { maxLength: 6 }),
  sql: text as unknown as fc.Arbitrary<SafeSql>,
  fingerprint: fc.constantFrom('', 'a1b2c3d4e5f60718'),
  parameters: fc.array(cell, { maxLength: 5 }),
  parameterTypes: fc.array(fc.nat(), { maxLength: 5 }),
  bind: fc.option(bytes),
  copy: fc.option(bytes),
  unreplayable: fc.option(text),
  outcome: anyOutcome,
})

/** Transactions of several sessions, whose statements interleave: what is written together was not sent together. */
export const anyTransactions = fc.array(fc.tuple(fc.nat({ max: 7 }), anyContent), { maxLength: 40 }).map((contents) => {
  const byTransaction = new Map<number, Statement[]>()
  contents.forEach(([transaction, content], index) => {
    const statements = byTransaction.get(transaction) ?? []
    const place = { seq: index + 1, session: transaction, ordinal: statements.length + 1, transaction, part: 0 }
    byTransaction.set(transaction, [...statements, { ...place, ...content }])
  })
  return [...byTransaction.values()].map((statements, index) => ({
    scope: index % 2 === 0 ? ('READ_WRITE' as const) : ('READ_ONLY' as const),
    statements,
  }))
})
