import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { judge } from '../../reports/gate.js'
import { DEFAULT_GATE, type GateConfig, parseGateConfig } from '../../reports/gate-config.js'
import type { QueryLatency } from '../../reports/latency.js'
import type { DiffFacts, Finding } from '../../segment/diff.js'
import type { StateFinding, StateReport } from '../../segment/state.js'
import type { Fidelity } from '../../segment/vouching.js'
import { NOW_MS } from './build.js'
import { sample, stateOf, vouchingOf } from './sample.js'

// Findings are given to each case; the facts allow for as many differing statements as they need.
const clean = { ...sample({ kind: 'PASS' }).facts, discrepancies: 1_000 }
const FP = '00000000000000aa'
const OTHER = '00000000000000bb'

function finding(change: Partial<Finding> = {}): Finding {
  return {
    findingId: 'f1',
    mismatch: 'SEMANTIC_MISMATCH',
    subKind: 'values',
    cause: 'email is cut to 32 characters',
    explainer: 'truncated',
    fingerprints: [FP],
    columns: ['email'],
    count: 10,
    trafficShare: 0.01,
    firstAtMs: 0,
    lastAtMs: 1000,
    exampleAlertIds: [],
    ...change,
  }
}

/** `low` and `high` five per cent around the ratio, times of 10 ms before. */
function latency(ratio: number, change: Partial<QueryLatency> = {}): QueryLatency {
  const measure = { beforeMs: 10, afterMs: 10 * ratio, ratio, low: ratio * 0.95, high: ratio * 1.05 }
  return {
    fingerprint: '',
    sql: 'SELECT 1',
    count: 1_000,
    p50: measure,
    p95: measure,
    p99: measure,
    p90Ms: { before: 10, after: 10 * ratio },
    maxMs: { before: 10, after: 10 * ratio },
    totalMs: { before: 10_000, after: 10_000 * ratio },
    verdict: 'same',
    impactMsPerSecond: null,
    distribution: null,
    ...change,
  }
}

type Given = {
  facts?: Partial<DiffFacts>
  findings?: Finding[]
  overall?: QueryLatency | null
  queries?: QueryLatency[]
  state?: StateReport | null
  fidelity?: Fidelity | null
  config?: Partial<GateConfig>
}

function verdict(
  { facts, findings = [], overall = latency(1), queries = [], state = null, fidelity = null, config }: Given,
  nowMs = NOW_MS,
) {
  const all = { facts: { ...clean, ...facts }, findings, overall, queries, state, fidelity }
  const result = judge(all, { ...DEFAULT_GATE, ...config }, nowMs)
  return { ...result, failing: result.lines.filter((line) => line.outcome === 'fail').map((line) => line.id) }
}

const run = (change: Partial<DiffFacts['after']>) => ({ after: { ...clean.after, ...change } })

describe('the verdict', () => {
  test.each<{ name: string; given: Given; verdict: string; failing: string[] }>([
    { name: 'nothing differs: PASS', given: {}, verdict: 'PASS', failing: [] },
    {
      name: 'one wrong answer: FAIL',
      given: { findings: [finding()] },
      verdict: 'FAIL',
      failing: ['findings.SEMANTIC_MISMATCH', 'mismatch_rate'],
    },
    {
      name: 'a new error counts as a difference and as an error',
      given: { findings: [finding({ mismatch: 'SQL_ERROR', subKind: 'error_new' })] },
      verdict: 'FAIL',
      failing: ['findings.SQL_ERROR', 'mismatch_rate', 'error_rate'],
    },
    {
      name: 'a slow statement is no wrong answer',
      given: { findings: [finding({ mismatch: 'LATENCY_SPIKE', subKind: 'latency' })] },
      verdict: 'FAIL',
      failing: ['findings.LATENCY_SPIKE'],
    },
    {
      name: 'within the limits set: PASS',
      given: { findings: [finding()], config: { findings: { SEMANTIC_MISMATCH: 1 }, mismatchRate: 0.001 } },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'a sub-kind with its own limit is not counted with its type',
      given: {
        findings: [finding({ subKind: 'order' })],
        config: { findings: { ...DEFAULT_GATE.findings, order: 1 }, mismatchRate: 1 },
      },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'all statements clearly slower',
      given: { overall: latency(1.4) },
      verdict: 'FAIL',
      failing: ['latency.overall.p50', 'latency.overall.p95', 'latency.weighted'],
    },
    {
      name: 'slower, but the interval reaches below the limit',
      given: { overall: latency(1.26, { totalMs: { before: 1, after: 1.2 } }) },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'a quarter more of almost nothing is nothing',
      given: {
        overall: latency(1, { p95: { beforeMs: 0.1, afterMs: 0.2, ratio: 2, low: 1.9, high: 2.1 } }),
      },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'one query shape slower among fast ones',
      given: { queries: [latency(1, { fingerprint: OTHER }), latency(8, { fingerprint: FP })] },
      verdict: 'FAIL',
      failing: ['latency.per_query.p50', 'latency.per_query.p95'],
    },
    {
      name: 'a query shape that ran too seldom is not judged',
      given: { queries: [latency(8, { fingerprint: FP, count: 99 })] },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'V1 replayed is not what production was',
      given: { fidelity: { ...vouchingOf('PASS').fidelity!, compared: 1_000, differ: 51 } },
      verdict: 'INVALID',
      failing: ['trust.fidelity'],
    },
    {
      name: 'near enough',
      given: { fidelity: { ...vouchingOf('PASS').fidelity!, compared: 1_000, differ: 50 } },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'nothing of production could be compared',
      given: { fidelity: { ...vouchingOf('PASS').fidelity!, compared: 0, differ: 0 } },
      verdict: 'INVALID',
      failing: ['trust.fidelity'],
    },
    { name: 'latency not measured: not judged', given: { overall: null }, verdict: 'PASS', failing: [] },
    {
      name: 'the harness objects: INVALID',
      given: { facts: { invalid: ['the clock jumped'] } },
      verdict: 'INVALID',
      failing: ['trust.measurement'],
    },
    {
      name: 'INVALID wins over FAIL',
      given: { facts: { invalid: ['the clock jumped'] }, findings: [finding()] },
      verdict: 'INVALID',
      failing: ['findings.SEMANTIC_MISMATCH', 'mismatch_rate', 'trust.measurement'],
    },
    {
      name: 'a ledger that does not balance',
      given: {
        facts: run({ ledger: { ...clean.after.ledger, kept: { statements: 184_100, transactions: 61_000 } } }),
      },
      verdict: 'INVALID',
      failing: ['trust.ledger'],
    },
    {
      name: 'nothing was compared',
      given: { facts: { compared: 0 } },
      verdict: 'INVALID',
      failing: ['trust.compared'],
    },
    {
      name: 'too little was compared',
      given: { facts: { compared: 170_000 } },
      verdict: 'INVALID',
      failing: ['trust.compared'],
    },
    {
      name: 'too many waits were given up',
      given: { facts: run({ orderRelaxed: 400 }) },
      verdict: 'INVALID',
      failing: ['trust.order_relaxed'],
    },
    {
      name: 'the harness was the bottleneck',
      given: {
        facts: run({ eventLoopUtilisationMax: 0.99 }),
        config: { trust: { ...DEFAULT_GATE.trust, eventLoopUtilisation: 0.98 } },
      },
      verdict: 'INVALID',
      failing: ['trust.load'],
    },
    {
      name: 'statements were lost',
      given: {
        facts: run({
          ledger: {
            seen: { statements: 1000, transactions: 10 },
            kept: { statements: 990, transactions: 9 },
            filtered: {},
            skipped: {},
            lost: { 'session lost': { statements: 10, transactions: 1 } },
          },
        }),
      },
      verdict: 'INVALID',
      failing: ['trust.lost'],
    },
  ])('$name', ({ given, verdict: expected, failing }) => {
    const result = verdict(given)
    expect(result.verdict).toBe(expected)
    expect(result.failing).toEqual(failing)
  })

  const late = clean.timelineAfter.map((point) => ({ ...point, latenessMs: 900 }))

  test('a candidate that is late because it is slow fails; it does not make the rehearsal invalid', () => {
    expect(verdict({ facts: { timelineAfter: late }, overall: latency(3) }).verdict).toBe('FAIL')
    expect(verdict({ facts: { timelineAfter: late } }).verdict).toBe('INVALID')
  })

  test('a statement in two findings differs once', () => {
    const twice = [finding({ count: 900 }), finding({ findingId: 'f2', columns: ['name'], count: 900 })]
    const line = verdict({ findings: twice }).lines.find((one) => one.id === 'mismatch_rate')
    expect(line?.actual).toBeCloseTo(1_000 / clean.compared)
  })

  test('every line says its limit, its value and why', () => {
    const line = verdict({ findings: [finding(), finding({ findingId: 'f2' })] }).lines[0]
    expect(line).toMatchObject({
      id: 'findings.SEMANTIC_MISMATCH',
      threshold: 0,
      actual: 2,
      outcome: 'fail',
      explanation: '2 findings, none allowed.',
      findingIds: ['f1', 'f2'],
      fingerprints: [FP],
    })
  })
})

describe('overrides', () => {
  const override = { query: FP, allow: ['values'] as const, latency: {}, until: '2026-11-30', reason: 'agreed' }
  const withOverride = (change: object = {}): Partial<GateConfig> => ({ overrides: [{ ...override, ...change }] })

  test('a known difference passes until its day, and is named', () => {
    const result = verdict({ findings: [finding()], config: withOverride() })
    expect(result.verdict).toBe('PASS')
    expect(result.known).toEqual([{ findingId: 'f1', reason: 'agreed', until: '2026-11-30' }])
    expect(result.overrides[0]).toMatchObject({ state: 'applied' })
    expect(result.lines[0]?.explanation).toContain('1 known difference left out')
  })

  test.each([
    { at: '2026-11-30T23:59:59Z', state: 'applied', outcome: 'PASS' },
    { at: '2026-12-01T00:00:00Z', state: 'expired', outcome: 'FAIL' },
  ])('the last day counts in full: $at', ({ at, state, outcome }) => {
    const result = verdict({ findings: [finding()], config: withOverride() }, Date.parse(at))
    expect([result.overrides[0]?.state, result.verdict]).toEqual([state, outcome])
  })

  test('a finding that reaches beyond the query is not known', () => {
    const wider = finding({ fingerprints: [FP, OTHER] })
    expect(verdict({ findings: [wider], config: withOverride() }).verdict).toBe('FAIL')
  })

  test('another kind of finding on the same query still fails', () => {
    const missing = finding({ subKind: 'rows_missing' })
    expect(verdict({ findings: [missing], config: withOverride() }).verdict).toBe('FAIL')
  })

  test('an override that nothing needs says so', () => {
    expect(verdict({ config: withOverride() }).overrides[0]?.state).toBe('unused')
  })

  test('a query may be allowed to be slower', () => {
    const queries = [latency(8, { fingerprint: FP })]
    const slower = withOverride({ allow: [], latency: { p50: 10, p95: 10 } })
    expect(verdict({ queries, config: slower })).toMatchObject({ verdict: 'PASS', overrides: [{ state: 'applied' }] })
  })
})

describe('gate.yaml', () => {
  const mistakes = (text: string) => {
    try {
      parseGateConfig(text, 'gate.yaml')
    } catch (error) {
      return error as { code: string; detail: string; exit: number }
    }
    throw new Error('was accepted')
  }

  test('an empty file is the cautious default', () => {
    expect(parseGateConfig('', 'gate.yaml')).toEqual(DEFAULT_GATE)
    expect(parseGateConfig('# nothing yet\n', 'gate.yaml')).toEqual(DEFAULT_GATE)
  })

  test('what it sets replaces the default beside it, and only that', () => {
    const text = 'findings: {order: 3}\nmismatch_rate: 0.1%\nlatency:\n  overall: {p95: 1.1}\n  weighted: 1.05\n'
    const config = parseGateConfig(text, 'gate.yaml')
    expect(config.findings).toEqual({ ...DEFAULT_GATE.findings, order: 3 })
    expect(config.mismatchRate).toBeCloseTo(0.001)
    expect(config.latency.overall).toEqual({ p50: 1.25, p95: 1.1, p99: 1.5 })
    expect(config.latency.weighted).toBe(1.05)
  })

  test('the documented file is the default, with an override', () => {
    const documented = readFileSync(new URL('../../docs/gate.md', import.meta.url), 'utf8').match(
      /```yaml\n([\s\S]+?)```/,
    )?.[1]
    const config = parseGateConfig(documented ?? '', 'docs/gate.md')
    expect({ ...config, overrides: [] }).toEqual(DEFAULT_GATE)
    expect(config.overrides).toHaveLength(1)
  })

  test('a streak is asked for by its length', () => {
    expect(parseGateConfig('streak: {runs: 7}', 'gate.yaml').streakRuns).toBe(7)
    expect(() => parseGateConfig('streak: {runs: 1}', 'gate.yaml')).toThrow()
  })

  test('overrides read as written', () => {
    const text = `overrides:\n  - query: ${FP}\n    allow: [values]\n    until: 2027-01-31\n    reason: cents are rounded on purpose\n`
    expect(parseGateConfig(text, 'gate.yaml').overrides).toEqual([
      { query: FP, allow: ['values'], latency: {}, until: '2027-01-31', reason: 'cents are rounded on purpose' },
    ])
  })

  test.each([
    {
      name: 'a misspelt name',
      text: '\nfinding:\n  order: 1\n',
      says: 'line 2: finding is not a setting; did you mean findings?',
    },
    {
      name: 'a misspelt nested name',
      text: 'latency:\n  overal: {}\n',
      says: 'line 2: overal is not a setting; did you mean overall?',
    },
    { name: 'a misspelt kind', text: 'findings:\n  ordr: 1\n', says: 'did you mean order?' },
    { name: 'a name like no other', text: 'zzzzzzzz: 1\n', says: 'known here: findings, mismatch_rate' },
    { name: 'a share above one', text: 'error_rate: 2\n', says: 'line 1: error_rate: a share lies between 0 and 1' },
    {
      name: 'a ratio below one',
      text: 'latency:\n  weighted: 0.9\n',
      says: 'line 2: latency.weighted: a ratio is V2 / V1',
    },
    {
      name: 'a missing reason',
      text: `overrides:\n  - query: ${FP}\n    allow: [values]\n    until: 2027-01-31\n`,
      says: 'line 2: overrides.0.reason',
    },
    {
      name: 'a day that is none',
      text: `overrides:\n  - query: ${FP}\n    allow: [values]\n    until: 2027-02-31\n    reason: x\n`,
      says: 'line 4: overrides.0.until: no such day',
    },
    {
      name: 'an override of nothing',
      text: `overrides:\n  - query: ${FP}\n    until: 2027-01-31\n    reason: x\n`,
      says: 'an override allows kinds or sets latency',
    },
    {
      name: 'a fingerprint cut short',
      text: 'overrides:\n  - {query: 88073c82, allow: [values], until: 2027-01-31, reason: x}\n',
      says: 'a fingerprint is 16 hexadecimal digits',
    },
    {
      name: 'two overrides of one query',
      text: `overrides:\n  - {query: ${FP}, allow: [values], until: 2027-01-31, reason: x}\n  - {query: ${FP}, allow: [order], until: 2027-01-31, reason: y}\n`,
      says: `line 3: overrides.1.query: two overrides name ${FP}`,
    },
    { name: 'YAML that is none', text: 'findings: {order: 1\n', says: 'line ' },
    { name: 'a list instead of settings', text: '- findings\n', says: 'line 1' },
  ])('$name is refused with its line', ({ text, says }) => {
    const error = mistakes(text)
    expect(error).toMatchObject({ code: 'GATE_CONFIG_INVALID', exit: 2 })
    expect(error.detail).toContain(says)
  })
})

describe('table state', () => {
  const stored = (change: Partial<StateFinding>, n = 1): StateReport => ({
    ...stateOf('PASS'),
    findings: Array.from({ length: n }, (_, i) => ({
      findingId: `s-${i}`,
      kind: 'rows',
      object: `t${i}`,
      fault: true,
      sentence: 'after the replay, …',
      columns: [],
      count: 3,
      more: false,
      rows: null,
      ...change,
    })),
  })
  const state = (change: Partial<GateConfig['state']>) => ({ state: { ...DEFAULT_GATE.state, ...change } })
  const exception = { object: 'users', allow: ['rows'] as const, until: '2027-01-31', reason: 'agreed' }

  test.each<{ name: string; given: Given; verdict: string; failing: string[] }>([
    { name: 'all tables equal: PASS', given: { state: stored({}, 0) }, verdict: 'PASS', failing: [] },
    { name: 'a table that differs: FAIL', given: { state: stored({}) }, verdict: 'FAIL', failing: ['state.tables'] },
    {
      name: 'a table that is gone',
      given: { state: stored({ kind: 'table_missing' }) },
      verdict: 'FAIL',
      failing: ['state.tables'],
    },
    {
      name: 'a lost index',
      given: { state: stored({ kind: 'schema_missing' }) },
      verdict: 'FAIL',
      failing: ['state.schema'],
    },
    {
      name: 'a sequence that will give values away again',
      given: { state: stored({ kind: 'sequence_behind' }) },
      verdict: 'FAIL',
      failing: ['state.sequences'],
    },
    {
      name: 'what a migration may well mean is no fault',
      given: { state: stored({ kind: 'schema_changed', fault: false }) },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'within the limit',
      given: { state: stored({}, 2), config: state({ tables: 2 }) },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'beyond the limit',
      given: { state: stored({}, 3), config: state({ tables: 2 }) },
      verdict: 'FAIL',
      failing: ['state.tables'],
    },
    { name: 'nobody looked: nothing is judged', given: { state: null }, verdict: 'PASS', failing: [] },
    {
      name: 'nobody looked, and the gate asks for it: INVALID',
      given: { state: null, config: state({ required: true }) },
      verdict: 'INVALID',
      failing: ['state.required'],
    },
    {
      name: 'a known difference of that table, by either of its names',
      given: { state: stored({ object: 'public.users' }), config: state({ overrides: [exception] }) },
      verdict: 'PASS',
      failing: [],
    },
    {
      name: 'known is only what was allowed',
      given: { state: stored({ object: 'users', kind: 'column_missing' }), config: state({ overrides: [exception] }) },
      verdict: 'FAIL',
      failing: ['state.tables'],
    },
    {
      name: 'an exception ends',
      given: {
        state: stored({ object: 'users' }),
        config: state({ overrides: [{ ...exception, until: '2026-11-19' }] }),
      },
      verdict: 'FAIL',
      failing: ['state.tables'],
    },
  ])('$name', ({ given, verdict: expected, failing }) => {
    const result = verdict(given)
    expect([result.verdict, result.failing]).toEqual([expected, failing])
  })

  test('a table counts once, however many of its columns are gone', () => {
    const line = verdict({ state: stored({ object: 'users', kind: 'column_missing' }, 5) }).lines.find(
      ({ id }) => id === 'state.tables',
    )
    expect(line).toMatchObject({
      threshold: 0,
      actual: 1,
      outcome: 'fail',
      explanation: '5 tables compared; 1: users.',
    })
  })

  test('what was not looked at says how to look', () => {
    const line = verdict({}).lines.find(({ id }) => id === 'state.tables')
    expect(line).toMatchObject({ outcome: 'not judged', actual: null })
    expect(line?.explanation).toContain('verify --diff')
  })

  test('gate.yaml sets limits and exceptions', () => {
    const text =
      'state:\n  tables: 1\n  required: true\n  overrides:\n    - {object: users, until: 2027-01-31, reason: agreed}\n'
    expect(parseGateConfig(text, 'gate.yaml').state).toEqual({
      ...DEFAULT_GATE.state,
      tables: 1,
      required: true,
      overrides: [{ object: 'users', allow: [], until: '2027-01-31', reason: 'agreed' }],
    })
  })
})
