/**
 * A laboratory for comparison: statements sent to real databases by a plain client, their outcomes as runs of one recording.
 */
import pg from 'pg'
import { type CompareOptions, compareRuns } from '../../replayer/compare/compare.js'
import type { RecordingSource } from '../../replayer/compare/judges.js'
import type { Catalog } from '../../segment/catalog.js'
import type { DiffFacts, Discrepancy, Finding, LatencyRow } from '../../segment/diff.js'
import { ResultDigest } from '../../segment/digest.js'
import { NOTHING } from '../../segment/ledger.js'
import type { Column, Outcome, ServerError } from '../../segment/outcome.js'
import type { MappedValue, RunFacts, RunRole, RunRow } from '../../segment/run.js'
import type { RunSource } from '../../segment/run-source.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import type { SafeSql } from '../../segment/statement.js'
import { fingerprint, loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'

export type Sent = { readonly sql: string; readonly parameters?: readonly (string | null)[]; readonly session?: number }

/** Everything arrives as PostgreSQL's text. */
const AS_TEXT = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig

export async function perform(
  url: string,
  script: readonly Sent[],
): Promise<{ outcomes: Outcome[]; timesUs: [number, number][]; startedAtMs: number }> {
  const sessions = new Map<number, pg.Client>()
  const outcomes: Outcome[] = []
  const timesUs: [number, number][] = []
  const startedAtMs = Date.now()
  const nowUs = () => Math.round((Date.now() - startedAtMs) * 1000)
  for (const { sql, parameters = [], session = 1 } of script) {
    let client = sessions.get(session)
    if (client === undefined) {
      client = new pg.Client({ connectionString: url, options: '-c timezone=UTC' })
      sessions.set(session, client)
      await client.connect()
    }
    const sentUs = nowUs()
    outcomes.push(await ask(client, sql, [...parameters]))
    timesUs.push([sentUs, nowUs()])
  }
  for (const client of sessions.values()) await client.end()
  return { outcomes, timesUs, startedAtMs }
}

async function ask(client: pg.Client, text: string, values: (string | null)[]): Promise<Outcome> {
  const none = { columns: null, digest: null, rows: null, rowsCut: false, suspended: false, status: null } as const
  try {
    const result = await client.query<(string | null)[]>({ text, values, rowMode: 'array', types: AS_TEXT })
    const tag = [result.command, result.rowCount ?? ''].join(' ').trim()
    const rowCount = result.rowCount ?? 0
    if (result.fields.length === 0) return { ...none, error: null, tag, rowCount }
    const columns: Column[] = result.fields.map(({ name, dataTypeID, dataTypeModifier, tableID, columnID }) => ({
      name,
      typeOid: dataTypeID,
      typmod: dataTypeModifier,
      tableOid: tableID,
      attnum: columnID,
    }))
    const digest = new ResultDigest(columns)
    for (const row of result.rows) digest.rowOfText(row)
    return { ...none, error: null, tag, rowCount, columns, digest: digest.finish(), rows: result.rows }
  } catch (error) {
    const { code = 'XX000', message, schema, table, column, constraint, dataType } = error as pg.DatabaseError
    const told = { sqlstate: code, message, schema, table, column, constraint, dataType }
    const known = Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined))
    return { ...none, error: known as unknown as ServerError, tag: '', rowCount: 0 }
  }
}

export type Performed = Awaited<ReturnType<typeof perform>>

export function runOf(
  performed: Performed,
  role: RunRole,
  more: Partial<RunFacts> = {},
  mapped: readonly MappedValue[] = [],
): RunSource {
  const rows = performed.outcomes.map((outcome, at): RunRow => {
    const [sentUs, doneUs] = performed.timesUs[at]!
    const timing = { dueUs: sentUs, sentUs, doneUs, waitOrderUs: 0, waitSessionUs: 0, waitWorkerUs: 0 }
    return { seq: at + 1, timing, outcome, orderRelaxed: false }
  })
  return sourceOf(rows, { ...factsOf(role, rows.length, performed.startedAtMs), ...more }, mapped)
}

export function sourceOf(rows: readonly RunRow[], facts: RunFacts, mapped: readonly MappedValue[] = []): RunSource {
  return {
    facts,
    count: rows.length,
    rows: () => rows,
    row: (seq) => rows.find((row) => row.seq === seq),
    mapped: () => mapped,
    skipped: () => [],
    close() {},
  }
}

export function factsOf(role: RunRole, statements: number, startedAtMs: number): RunFacts {
  const all = { statements, transactions: statements }
  return {
    format: 'pgrehearse run',
    formatVersion: 1,
    id: role,
    madeBy: 'test',
    role,
    recordingId: 'rec',
    recordingPath: '/nowhere',
    target: { version: '18', versionNum: 180000, database: 'x', systemIdentifier: '1' },
    snapshotId: null,
    settings: { speed: 'max', order: 'causal', workers: 1, readOnly: false, rewriteHash: null },
    startedAtMs,
    elapsedUs: 1_000_000,
    ledger: { seen: all, kept: all, filtered: {}, skipped: {}, lost: {} },
    eventLoopUtilisationMax: 0.1,
    orderRelaxed: 0,
    incidents: [],
  }
}

export async function recordingOf(
  script: readonly Sent[],
  performed: Performed,
  catalog: Catalog,
): Promise<RecordingSource> {
  await loadParser()
  const openTransactions = new Map<number, number>()
  let transaction = 0
  const statements = script.map(({ sql, parameters = [], session = 1 }, at): RecordedStatement => {
    const [sentUs, doneUs] = performed.timesUs[at]!
    if (!openTransactions.has(session)) openTransactions.set(session, ++transaction)
    const own = openTransactions.get(session)!
    if (!inTransaction(script, at, session)) openTransactions.delete(session)
    return {
      seq: at + 1,
      session,
      ordinal: at + 1,
      transaction: own,
      part: 0,
      sentUs,
      doneUs,
      frames: [['Q']],
      sql: sql as SafeSql,
      fingerprint: fingerprint(sql),
      parameters,
      parameterTypes: [],
      bind: null,
      copy: null,
      unreplayable: null,
      outcome: performed.outcomes[at]!,
      scope: 'READ_WRITE',
    }
  })
  return recordingFrom(statements, catalog, performed.startedAtMs)
}

function inTransaction(script: readonly Sent[], at: number, session: number): boolean {
  const mine = script.slice(0, at + 1).filter((sent) => (sent.session ?? 1) === session)
  const last = mine.findLast(({ sql }) => /^(BEGIN|COMMIT|ROLLBACK)/i.test(sql))
  return last !== undefined && /^BEGIN/i.test(last.sql)
}

export function recordingFrom(
  statements: readonly RecordedStatement[],
  catalog: Catalog,
  startedAtMs: number,
): RecordingSource {
  return {
    path: '/nowhere',
    manifest: {
      format: 'pgrehearse recording',
      formatVersion: 1,
      id: 'rec',
      madeBy: 'test',
      source: 'proxy',
      startedAtMs,
      endedAtMs: startedAtMs + 1000,
      server: {
        versionNum: 180000,
        version: '18',
        systemIdentifier: '1',
        database: 'x',
        settings: {},
        startLsn: '0/0',
      },
      catalog,
      privacy: { policyHash: '', keyFingerprint: '' },
      ledger: { seen: NOTHING, kept: NOTHING, filtered: {}, skipped: {}, lost: {} },
      segments: [],
      incidents: [],
    },
    *statements(fromSeq = 0) {
      for (const statement of statements) if (statement.seq >= fromSeq) yield statement
    },
    traceId: (seq) => `trace-${seq}`,
  }
}

export async function catalogOf(url: string): Promise<Catalog> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await readCatalog(client)
  } finally {
    await client.end()
  }
}

export type Collected = {
  readonly facts: DiffFacts
  readonly findings: readonly Finding[]
  readonly discrepancies: readonly Discrepancy[]
  readonly latency: readonly LatencyRow[]
}

export function collect(options: Omit<CompareOptions, 'out' | 'madeBy'>): Collected {
  const findings: Finding[] = []
  const discrepancies: Discrepancy[] = []
  const latency: LatencyRow[] = []
  const out: CompareOptions['out'] = {
    discrepancy: (one) => discrepancies.push(one),
    moveDiscrepancies() {},
    finding: (one) => findings.push(one),
    latency: (row) => latency.push(row),
    close() {},
  }
  const facts = compareRuns({ ...options, out, madeBy: 'test' })
  return { facts, findings, discrepancies, latency }
}
