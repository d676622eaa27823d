/**
 * Diffs as a rehearsal of the shop would leave them, in memory and from a seed: one that passes, one that fails with
 * eight findings, one whose harness cannot vouch for itself.
 */
import { createHash } from 'node:crypto'
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js'
import type { DiffSource } from '../../reports/source.js'
import type {
  DiffFacts,
  Discrepancy,
  Finding,
  LatencyRow,
  Percentiles,
  RunConditions,
  RunSummary,
  TimelinePoint,
} from '../../segment/diff.js'
import type { ExplainedPlan, PlanEvidence, PlanNode } from '../../segment/explained.js'
import { type Count, type Ledger, sum } from '../../segment/ledger.js'
import type { LockFacts, LockWait } from '../../segment/locks.js'
import type { Injection, LatencyStretch } from '../../segment/run.js'
import type { StateReport } from '../../segment/state.js'
import type { Vouching } from '../../segment/vouching.js'

export type SampleKind = 'PASS' | 'FAIL' | 'INVALID'

export type SampleOptions = {
  readonly kind: SampleKind
  readonly seed?: number
  /** Discrepancies over all findings of a FAIL; shared out as traffic would. */
  readonly discrepancies?: number
  readonly queryShapes?: number
  readonly state?: StateReport
  /** Changes every discrepancy, to plant what a test looks for. */
  readonly plant?: (discrepancy: Discrepancy) => Discrepancy
}

const RECORDED_AT_MS = Date.UTC(2026, 10, 17, 9, 30)
const COMPARED_AT_MS = Date.UTC(2026, 10, 20, 19, 36)
const ELAPSED_MS = 612_000
const STATEMENTS = 183_950

export function sample({
  kind,
  seed = 7,
  discrepancies = 2_600,
  queryShapes = 24,
  state,
  plant,
}: SampleOptions): DiffSource {
  const random = mulberry(seed)
  const templates = kind === 'FAIL' ? FAULTS : kind === 'INVALID' ? FAULTS.slice(0, 2) : []
  const weight = templates.reduce((all, one) => all + one.weight, 0)
  const found = templates.map((fault, i) => {
    const count = Math.max(1, Math.round((discrepancies * fault.weight) / weight))
    return { fault, i, count, findingId: fingerprintOf(`finding ${fault.cause}`).slice(0, 12) }
  })
  const discrepancyOf = (one: (typeof found)[number], n: number): Discrepancy => {
    const share = (n + 0.5) / one.count
    const offsetMs = (one.fault.from + share * (one.fault.to - one.fault.from)) * ELAPSED_MS
    const row = one.fault.row(n)
    const base: Discrepancy = {
      alertId: `${one.findingId}-${n}`,
      findingId: one.findingId,
      seq: one.i * 1_000_000 + n,
      traceId: `${(n % 16) + 1}/${n * 7 + one.i}`,
      fingerprint: fingerprintOf(one.fault.sql),
      sql: one.fault.sql,
      parameters: row.parameters,
      mismatch: one.fault.mismatch,
      subKind: one.fault.subKind,
      columns: one.fault.columns,
      cause: one.fault.cause,
      atMs: RECORDED_AT_MS + Math.round(offsetMs),
      digestBefore: `sha256_${n}a`,
      digestAfter: `sha256_${n}b`,
      latencyMsBefore: 0.6 + ((n * 13) % 40) / 50,
      latencyMsAfter: (0.6 + ((n * 17) % 40) / 50) * (one.fault.mismatch === 'LATENCY_SPIKE' ? 38 : 1),
      errorBefore: row.errorBefore ?? null,
      errorAfter: row.errorAfter ?? null,
      rows: row.rows ?? null,
    }
    return plant ? plant(base) : base
  }
  const findings = found.map(
    (one): Finding => ({
      findingId: one.findingId,
      mismatch: one.fault.mismatch,
      subKind: one.fault.subKind,
      cause: one.fault.cause,
      explainer: one.fault.explainer,
      fingerprints: [one.fault.sql, ...(one.fault.also ?? [])].map(fingerprintOf),
      columns: one.fault.columns,
      count: one.count,
      trafficShare: Math.min(1, one.count / STATEMENTS),
      firstAtMs: discrepancyOf(one, 0).atMs,
      lastAtMs: discrepancyOf(one, one.count - 1).atMs,
      exampleAlertIds: [0, Math.floor(one.count / 2), one.count - 1]
        .filter((n, i, all) => all.indexOf(n) === i)
        .map((n) => `${one.findingId}-${n}`),
    }),
  )
  return {
    facts: factsOf(
      kind,
      found.reduce((all, one) => all + one.count, 0),
      random,
    ),
    findings: () => findings,
    vouching: () => vouchingOf(kind),
    plans: () => plansOf(kind),
    errorsByFinding: () =>
      new Map(
        findings
          .filter(({ mismatch }) => mismatch === 'SQL_ERROR' || mismatch === 'SCHEMA_CONSTRAINT_VIOLATION')
          .map(({ findingId, count }) => [findingId, count]),
      ),
    state: () => state ?? (kind === 'INVALID' ? null : stateOf(kind)),
    latency: () => latencyRows(kind, queryShapes, random),
    *discrepancies({ findingId, limit = Number.POSITIVE_INFINITY } = {}) {
      let left = limit
      for (const one of found) {
        if (findingId !== undefined && one.findingId !== findingId) continue
        for (let n = 0; n < one.count && left > 0; n += 1, left -= 1) yield discrepancyOf(one, n)
      }
    },
  }
}

export function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

type FaultRow = Pick<Discrepancy, 'parameters'> & Partial<Pick<Discrepancy, 'rows' | 'errorBefore' | 'errorAfter'>>

type Fault = Pick<Finding, 'mismatch' | 'subKind' | 'cause' | 'explainer' | 'columns'> & {
  readonly sql: string
  readonly also?: readonly string[]
  readonly weight: number
  /** Part of the replay in which it is seen. */
  readonly from: number
  readonly to: number
  readonly row: (n: number) => FaultRow
}

const NAMES = [
  'alexandrina.montgomery-whitfield',
  'bartholomew.featherstonehaugh',
  'maximiliana.oberstleutnant',
  'seraphina.castellanos-ibarra',
]
const email = (n: number) => `${NAMES[n % NAMES.length]}${n}@mail.example.com`
const STATUS = ['pending', 'paid', 'shipped', 'refunded']

const FAULTS: readonly Fault[] = [
  {
    mismatch: 'SCHEMA_CONSTRAINT_VIOLATION',
    subKind: 'error_new',
    cause: 'orders_v2_core refuses a row because created_at has lost its default',
    explainer: 'lost_default',
    columns: ['created_at'],
    sql: 'INSERT INTO orders (tenant_id, customer_id, status) VALUES ($1, $2, $3) RETURNING order_id, created_at',
    weight: 9,
    from: 0.01,
    to: 0.99,
    row: (n) => ({
      parameters: ['3', String(40_000 + n), 'pending'],
      errorAfter: {
        sqlstate: '23502',
        message: 'null value in column "created_at" of relation "orders_v2_core" violates not-null constraint',
      },
    }),
  },
  {
    mismatch: 'SQL_ERROR',
    subKind: 'error_new',
    cause: 'column o.billing_cents does not exist in V2',
    explainer: 'missing_column',
    columns: [],
    sql: "SELECT date_trunc('day', o.created_at) AS day, sum(o.billing_cents) AS cents\nFROM orders o\nWHERE o.tenant_id = $1 AND o.created_at >= now() - interval '30 days'\nGROUP BY 1\nORDER BY 1",
    weight: 2,
    from: 0.1,
    to: 0.9,
    row: () => ({
      parameters: ['3'],
      errorAfter: { sqlstate: '42703', message: 'column o.billing_cents does not exist' },
    }),
  },
  {
    mismatch: 'SEMANTIC_MISMATCH',
    subKind: 'values',
    cause: 'email is cut to 32 characters',
    explainer: 'truncated',
    columns: ['email'],
    sql: 'SELECT user_id, email, full_name, created_at FROM users WHERE tenant_id = $1 AND user_id = ANY($2) ORDER BY user_id',
    also: [
      'SELECT email FROM users WHERE user_id = $1',
      'UPDATE users SET email = $1 WHERE user_id = $2 RETURNING email',
    ],
    weight: 62,
    from: 0,
    to: 1,
    row: (n) => {
      const row = (i: number) => [String(1000 + i), email(i), 'Alexandrina Montgomery', '2026-03-12 09:14:07.123+00']
      const cut = (cells: string[]) => [cells[0] ?? '', (cells[1] ?? '').slice(0, 32), cells[2] ?? '', cells[3] ?? '']
      return {
        parameters: ['3', `{${1000 + n},${1001 + n}}`],
        rows: {
          columns: ['user_id', 'email', 'full_name', 'created_at'],
          before: [row(n), row(n + 1)],
          after: [cut(row(n)), cut(row(n + 1))],
        },
      }
    },
  },
  {
    mismatch: 'SEMANTIC_MISMATCH',
    subKind: 'rows_missing',
    cause: 'rows with status = refunded are missing: the view drops them',
    explainer: 'rows_share_value',
    columns: ['status'],
    sql: 'SELECT order_id, status, created_at FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT 20',
    weight: 14,
    from: 0.25,
    to: 1,
    row: (n) => {
      const rows = [0, 1, 2, 3].map((i) => [
        String(88_000 + n + i),
        STATUS[i] ?? '',
        `2026-11-0${i + 1} 10:${10 + i}:00+00`,
      ])
      return {
        parameters: [String(41_000 + n)],
        rows: { columns: ['order_id', 'status', 'created_at'], before: rows, after: rows.slice(0, 3) },
      }
    },
  },
  {
    mismatch: 'SEMANTIC_MISMATCH',
    subKind: 'values',
    cause: 'created_at is 2 hours later: stored without its time zone',
    explainer: 'hours_off',
    columns: ['created_at'],
    sql: 'SELECT p.payment_id, p.order_id, p.amount_cents, p.note, o.created_at FROM payments p JOIN orders o USING (order_id) WHERE p.payment_id = $1',
    weight: 11,
    from: 0,
    to: 1,
    row: (n) => {
      const row = (hour: string) => [
        String(7_000 + n),
        String(88_000 + n),
        '12990',
        null,
        `2026-11-17 ${hour}:30:12.004+00`,
      ]
      return {
        parameters: [String(7_000 + n)],
        rows: {
          columns: ['payment_id', 'order_id', 'amount_cents', 'note', 'created_at'],
          before: [row('09')],
          after: [row('11')],
        },
      }
    },
  },
  {
    mismatch: 'SEMANTIC_MISMATCH',
    subKind: 'error_vanished',
    cause: 'V2 accepts a duplicate that V1 refused: the unique constraint on users.email is lost',
    explainer: 'lost_unique',
    columns: ['email'],
    sql: 'INSERT INTO users (tenant_id, email, full_name) VALUES ($1, $2, $3)',
    weight: 1,
    from: 0.4,
    to: 0.42,
    row: (n) => ({
      parameters: ['3', email(n), 'Seraphina Castellanos'],
      errorBefore: { sqlstate: '23505', message: 'duplicate key value violates unique constraint "users_email_key"' },
    }),
  },
  {
    mismatch: 'SEMANTIC_MISMATCH',
    subKind: 'order',
    cause: 'rows come in another order: V2 sorts by another collation',
    explainer: 'collation',
    columns: ['name'],
    sql: 'SELECT product_id, name FROM products WHERE tenant_id = $1 ORDER BY name',
    weight: 1,
    from: 0.5,
    to: 0.8,
    row: () => ({
      parameters: ['3'],
      rows: {
        columns: ['product_id', 'name'],
        before: [
          ['12', 'Äpfel, lose'],
          ['7', 'Birnen'],
          ['31', 'zimt'],
        ],
        after: [
          ['7', 'Birnen'],
          ['31', 'zimt'],
          ['12', 'Äpfel, lose'],
        ],
      },
    }),
  },
  {
    mismatch: 'LATENCY_SPIKE',
    subKind: 'latency',
    cause: 'takes 38 times as long: V2 reads orders_v2_core row by row where V1 used an index on customer_id',
    explainer: 'missing_index',
    columns: [],
    sql: 'SELECT order_id, status, created_at FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT 20',
    weight: 3,
    from: 0,
    to: 1,
    row: (n) => ({ parameters: [String(41_000 + n)] }),
  },
]

const OTHER_SQL = [
  'BEGIN',
  'COMMIT',
  'SELECT product_id, name, price_cents, stock FROM products WHERE product_id = $1',
  'UPDATE products SET stock = stock - $1 WHERE product_id = $2 AND stock >= $1 RETURNING stock',
  'SELECT o.order_id, o.status, p.amount_cents FROM orders o LEFT JOIN payments p ON p.order_id = o.order_id WHERE o.order_id = $1',
  'UPDATE orders SET status = $1 WHERE order_id = $2 AND status = $3',
  'INSERT INTO payments (order_id, amount_cents, gateway) VALUES ($1, $2, $3) RETURNING payment_id',
  'SELECT count(*) FROM orders WHERE tenant_id = $1 AND status = $2',
  'SELECT * FROM jobs WHERE run_at <= now() ORDER BY job_id FOR UPDATE SKIP LOCKED LIMIT 1',
  'DELETE FROM sessions WHERE expires_at < now()',
]

function latencyRows(kind: SampleKind, shapes: number, random: () => number): LatencyRow[] {
  const slow = FAULTS.at(-1)?.sql
  const texts = [...new Set([...FAULTS.map((fault) => fault.sql), ...OTHER_SQL])]
  while (texts.length < shapes) texts.push(`SELECT c${texts.length} FROM archive_${texts.length} WHERE id = $1`)
  const all = { before: histogram(), after: histogram() }
  const rows = texts.slice(0, Math.max(shapes, 8)).map((sql, i): LatencyRow => {
    const medianUs = 180 * Math.exp(random() * 3)
    const factor = kind === 'FAIL' && sql === slow ? 38 : 0.94 + random() * 0.12
    // Many shapes run less often each, as in life.
    const count = i % 9 === 8 ? 24 : Math.round(400 + (i < 30 ? 9_000 * random() ** 3 : 0))
    const before = histogram()
    const after = histogram()
    for (let n = 0; n < count; n += 1) {
      const us = Math.max(20, medianUs * Math.exp(normal(random) * 0.45))
      before.recordValue(Math.round(us))
      all.before.recordValue(Math.round(us))
      const then = Math.max(20, medianUs * factor * Math.exp(normal(random) * 0.45))
      after.recordValue(Math.round(then))
      all.after.recordValue(Math.round(then))
    }
    return latencyRow(sql, fingerprintOf(sql), before, after)
  })
  return [latencyRow('', '', all.before, all.after), ...rows]
}

type Histogram = ReturnType<typeof build>

function histogram(): Histogram {
  return build({ highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: 3 })
}

function latencyRow(sql: string, fingerprint: string, before: Histogram, after: Histogram): LatencyRow {
  const ratio = after.getValueAtPercentile(50) / before.getValueAtPercentile(50)
  const width = 1 + 1.6 / Math.sqrt(before.totalCount)
  const ratioLow = ratio / width
  const ratioHigh = ratio * width
  return {
    fingerprint,
    sql,
    count: before.totalCount,
    beforeMs: percentiles(before),
    afterMs: percentiles(after),
    beforeHistogram: encodeIntoCompressedBase64(before),
    afterHistogram: encodeIntoCompressedBase64(after),
    ratio,
    ratioLow,
    ratioHigh,
    verdict: before.totalCount < 100 ? 'too few' : ratioLow > 1.1 ? 'slower' : ratioHigh < 0.95 ? 'faster' : 'same',
  }
}

function percentiles(histogram: Histogram): Percentiles {
  const at = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1000
  return { p50: at(50), p90: at(90), p95: at(95), p99: at(99), max: histogram.maxValue / 1000 }
}

function factsOf(kind: SampleKind, discrepancies: number, random: () => number): DiffFacts {
  const ledger: Ledger = {
    seen: both(184_212, 61_020),
    kept: both(184_140, 61_000),
    filtered: {},
    skipped: { 'unreplayable: cannot tokenize box': both(41, 12) },
    lost: kind === 'INVALID' ? { 'session lost': both(1_840, 610) } : { 'session lost': both(31, 8) },
  }
  const balanced: Ledger = {
    ...ledger,
    kept: both(
      ledger.seen.statements - sum(ledger.skipped).statements - sum(ledger.lost).statements,
      ledger.seen.transactions - sum(ledger.skipped).transactions - sum(ledger.lost).transactions,
    ),
  }
  const run = (role: string, target: string, errors: number): RunSummary => ({
    id: `run-${role}`,
    role,
    target,
    statements: balanced.kept.statements,
    errors,
    elapsedMs: ELAPSED_MS + (role === 'candidate' ? 3_400 : 0),
    ledger: balanced,
    orderRelaxed: kind === 'INVALID' && role === 'candidate' ? 512 : 0,
    eventLoopUtilisationMax: kind === 'INVALID' ? 0.995 : 0.61,
    startedAtMs: COMPARED_AT_MS - 3_600_000,
    snapshot: { id: '5b0c8f2e-63d1-4c49-9a57-1f0f2a6f5f10', taken: 'within', atMs: 61_000 },
    conditions: conditionsOf(kind, role),
  })
  const slow = kind === 'FAIL' ? 2.6 : 1.02
  return {
    format: 'pgrehearse diff',
    formatVersion: 1,
    id: 'diff-4f0c2a91',
    madeBy: 'pgrehearse 0.1.0',
    createdAtMs: COMPARED_AT_MS,
    recordingId: 'rec-9b1d7e',
    recordingPath: 'recordings/2026-11-17-morning',
    recordedAtMs: RECORDED_AT_MS,
    privacy: { policyHash: 'a1b2c3d4e5f60718', keyFingerprint: '9f8e7d6c5b4a3928' },
    before: run('baseline', 'PostgreSQL 16.14, shop_v1', 1_204),
    after: run('candidate', 'PostgreSQL 18.4, shop_v2', kind === 'FAIL' ? 1_490 : 1_204),
    noise: run('noise', 'PostgreSQL 16.14, shop_v1', 1_204),
    compared: kind === 'INVALID' ? 171_400 : STATEMENTS,
    discrepancies,
    excused: { order: 1_912, volatile: 844, generated: 5_120, noise: 17 },
    uncompared:
      kind === 'INVALID'
        ? { 'session lost': 12_560 }
        : { 'unreplayable: cannot tokenize box': 41, 'session lost': 149 },
    timelineBefore: timeline(1, random, 1),
    timelineAfter: timeline(slow, random, kind === 'FAIL' ? 1.4 : 1),
    invalid:
      kind === 'INVALID' ? ['The connection to the candidate was lost at 7:12 and 16 sessions could not go on.'] : [],
  }
}

/** Only a FAIL was explained: a lost index, and another that is not worth a word. */
export function plansOf(kind: SampleKind): PlanEvidence[] | null {
  if (kind !== 'FAIL') return null
  const node = (operation: string, more: Partial<PlanNode>): PlanNode => ({
    operation,
    relation: '',
    index: '',
    condition: '',
    filter: '',
    rowsRemoved: 0,
    rowsPlanned: 20,
    rows: 20,
    loops: 1,
    ms: 0.4,
    pagesHit: 12,
    pagesRead: 0,
    pagesSpilt: 0,
    children: [],
    ...more,
  })
  const plan = (child: PlanNode, executionMs: number): ExplainedPlan => ({
    root: node('Limit', { ms: executionMs, children: [child] }),
    planningMs: 0.2,
    executionMs,
    triggers: [],
    settings: {},
  })
  const slow = FAULTS.find(({ mismatch }) => mismatch === 'LATENCY_SPIKE')!
  return [
    {
      fingerprint: fingerprintOf(slow.sql),
      seq: 4711,
      before: plan(
        node('Index Scan', { relation: 'orders', index: 'orders_customer_idx', condition: '(customer_id = 42)' }),
        0.42,
      ),
      after: plan(
        node('Seq Scan', {
          relation: 'orders_v2_core',
          filter: '(customer_id = 42)',
          rowsRemoved: 2_099_980,
          ms: 181,
          pagesRead: 31_000,
        }),
        182,
      ),
      notExplained: '',
      changes: [{ kind: 'scan', sentence: 'orders_v2_core is read whole where V1 used orders_customer_idx' }],
      reading:
        'sequential scan of 2.1 M rows where V1 used orders_customer_idx: likely a missing index on orders_v2_core(customer_id)',
      suggestion: {
        sql: 'CREATE INDEX ON orders_v2_core (customer_id)',
        tried: 'created',
        used: true,
        msBefore: 182,
        msAfter: 0.45,
        costBefore: 41_000,
        costAfter: 8.4,
      },
    },
  ]
}

/** The candidate's sessions waited for a row that a long update held. */
function locksOf(role: string): LockFacts {
  const waits: LockWait[] =
    role === 'candidate'
      ? [
          {
            waiting: {
              fingerprint: fingerprintOf('lock 1'),
              sql: 'UPDATE stock SET left = left - $1 WHERE product_id = $2',
            },
            blocking: { fingerprint: fingerprintOf('lock 2'), sql: 'UPDATE orders SET status = $1', state: 'active' },
            table: 'stock',
            lockType: 'transactionid',
            mode: 'ShareLock',
            heldMode: 'ExclusiveLock',
            waits: 31,
            totalMs: 8_400,
            longestMs: 910,
            firstMs: 212_000,
            lastMs: 260_000,
          },
        ]
      : []
  const seconds = role === 'candidate' ? Array.from({ length: 48 }, (_, i) => 212 + i) : []
  return {
    sampledEveryMs: 20,
    samples: 30_600,
    waits,
    more: 0,
    timeline: seconds.map((second, i) => ({ atMs: second * 1000 + 400, waiting: 1 + (i % 5) })),
    deadlocks: role === 'candidate' ? 2 : 0,
  }
}

/** Of an INVALID nobody asked. */
export function vouchingOf(kind: SampleKind): Vouching {
  if (kind === 'INVALID') return { fidelity: null, audit: null }
  const leak = {
    file: 'recording/segments/000003.sqlite',
    place: 'statement 4711',
    what: 'email',
    excerpt: 'm…m (17 characters)',
  }
  return {
    fidelity: {
      comparedAtMs: Date.UTC(2026, 10, 20, 18, 55),
      compared: 183_400,
      differ: kind === 'FAIL' ? 212 : 0,
      excused: { ambiguous: 611, masked: 94 },
      uncompared: { 'lost: connection lost': 41 },
      causes:
        kind === 'FAIL'
          ? [{ cause: 'rows are missing', mismatch: 'SEMANTIC_MISMATCH', subKind: 'rows_missing', count: 212 }]
          : [],
      more: 0,
    },
    audit: {
      auditedAtMs: Date.UTC(2026, 10, 20, 19, 42),
      paths: ['recording', 'out/baseline.run', 'out/candidate.run', 'out/shop.diff'],
      files: 9,
      characters: 812_000_000,
      count: kind === 'FAIL' ? 1 : 0,
      hits: kind === 'FAIL' ? [leak] : [],
      lookalikes: { phone: 2_118 },
      sampledValues: kind === 'PASS' ? 20_000 : 0,
    },
  }
}

/** A FAIL stored some e-mail addresses cut, lost an index and rewrote a view, which is no fault. */
export function stateOf(kind: SampleKind): StateReport {
  const equal = (table: string, rows: number): StateReport['tables'][number] => ({
    table,
    verdict: 'equal',
    rowsBefore: rows,
    rowsAfter: rows,
    missing: 0,
    extra: 0,
    changed: 0,
    more: false,
    columns: [],
    columnsMissing: [],
    columnsLeftOut: table === 'sessions' ? ['token'] : [],
    examples: null,
  })
  const tables = [equal('orders', 91_204), equal('payments', 84_022), equal('products', 1_200), equal('sessions', 340)]
  const schema: StateReport['schema'] = { missing: [], changed: [], added: [], behind: [], notCompared: [] }
  const base = { checkedAtMs: Date.UTC(2026, 10, 20, 19, 40), momentsLeftOut: true, schema }
  if (kind !== 'FAIL') return { ...base, tables: [...tables, equal('users', 20_031)], findings: [] }
  const row = (n: number, cut: boolean) => [String(n), cut ? email(n).slice(0, 32) : email(n)]
  const examples = {
    columns: ['user_id', 'email'],
    before: [row(1, false), row(2, false)],
    after: [row(1, true), row(2, true)],
  }
  return {
    ...base,
    tables: [
      ...tables,
      {
        ...equal('users', 20_031),
        verdict: 'differs',
        changed: 412,
        columns: [{ column: 'email', rows: 412, cause: 'email is cut to 32 characters' }],
        examples,
      },
    ],
    findings: [
      {
        findingId: 's-000000000001',
        kind: 'rows',
        object: 'users',
        fault: true,
        sentence: 'after the replay, in users: email is cut to 32 characters',
        columns: ['users.email'],
        count: 412,
        more: false,
        rows: examples,
      },
      {
        findingId: 's-000000000002',
        kind: 'schema_missing',
        object: 'orders',
        schemaKind: 'index',
        fault: true,
        sentence: 'orders has lost the index (customer_id, created_at DESC)',
        columns: [],
        count: 1,
        more: false,
        rows: null,
      },
      {
        findingId: 's-000000000003',
        kind: 'schema_changed',
        object: 'order_totals',
        schemaKind: 'view',
        fault: false,
        sentence: 'view order_totals is written anew',
        columns: [],
        count: 1,
        more: false,
        rows: null,
      },
    ],
  }
}

function conditionsOf(kind: SampleKind, role: string): RunConditions {
  const injected = kind === 'FAIL' && role === 'candidate'
  return {
    settings: { speed: 1, order: 'causal', workers: 4, readOnly: false },
    latenessUs: { order: 18_200_000, connection: 41_000, server: 7_350_000, worker: 204_000 },
    reenacted: 3,
    ...(kind === 'INVALID' ? {} : { locks: locksOf(role) }),
    contained: 118,
    isolation: {
      doors: [
        { kind: 'function', name: 'public.notify_billing(integer)', state: 'stub', calls: 412 },
        { kind: 'foreign table', name: 'public.crm_contacts', state: 'local table', calls: null },
        { kind: 'subscription', name: 'to_warehouse', state: 'removed', calls: null },
      ],
      limits: { statement_timeout: '60s', temp_file_limit: '10GB' },
    },
    incidents:
      kind === 'INVALID' && role === 'candidate'
        ? [{ atUs: 432_000_000, kind: 'connection lost', detail: '16 sessions could not go on' }]
        : [],
    ...(kind === 'INVALID' ? { bottleneck: 'worker 2 was busy for 99 % of the time' } : {}),
    ...(injected ? { injections: [INJECTION] } : {}),
  }
}

const INJECTION: Injection = {
  at: '380s',
  what: 'migrations/V7__backfill.sql',
  outcome: 'done',
  error: null,
  startedUs: 380_000_000,
  endedUs: 418_000_000,
  statements: [
    { line: 1, kind: 'ALTER TABLE', us: 1_200_000 },
    { line: 4, kind: 'UPDATE', us: 36_000_000 },
  ],
  locks: [{ relation: 'public.orders', mode: 'AccessExclusiveLock', seenUs: 1_150_000 }],
  heldUp: [
    { session: 12, waits: 2, totalUs: 2_100_000, longestUs: 1_140_000 },
    { session: 15, waits: 1, totalUs: 900_000, longestUs: 900_000 },
  ],
  waitedFor: [{ session: 7, waits: 1, totalUs: 40_000, longestUs: 40_000 }],
  latency: {
    before: stretch(370, 380, 3_100),
    during: stretch(380, 418, 15_400),
    after: stretch(418, 428, 3_300),
  },
}

function stretch(from: number, to: number, p95Us: number): LatencyStretch {
  const [fromUs, toUs] = [from * 1e6, to * 1e6]
  return { fromUs, toUs, statements: 3_000, errors: 0, p50Us: p95Us / 4, p95Us, p99Us: p95Us * 2, maxUs: p95Us * 5 }
}

function timeline(slow: number, random: () => number, errors: number): TimelinePoint[] {
  return Array.from({ length: Math.floor(ELAPSED_MS / 1000) }, (_, second) => {
    const wave = 1 + 0.35 * Math.sin(second / 60) + 0.2 * Math.sin(second / 17)
    return {
      atMs: second * 1000,
      statements: Math.round(300 * wave + 30 * random()),
      errors: Math.round(2 * errors * wave * random()),
      p50Ms: 0.7 * (0.9 + 0.2 * random()) * Math.sqrt(slow),
      p95Ms: 3.1 * (0.85 + 0.3 * random()) * slow * (second > 380 && second < 420 ? 1.9 : 1),
      latenessMs: second > 380 && second < 420 ? 18 * random() : 1.2 * random(),
    }
  })
}

function both(statements: number, transactions: number): Count {
  return { statements, transactions }
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
