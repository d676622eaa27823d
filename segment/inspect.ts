/**
 * What is in a recording, a run or a diff: plain data for `pgrehearse inspect`, the same for people and for --json.
 */
import { existsSync } from 'node:fs'
import { HarnessError } from '../base/errors.js'
import type { Finding, MismatchType } from './diff.js'
import { openDiff } from './diff-file.js'
import { balances, type Ledger } from './ledger.js'
import { type MaskingReport, maskingReport } from './masking-report.js'
import { openRecording, type RecordingReader, type RecoveredTail } from './recording.js'
import { recoverRecording } from './recover.js'
import { openRun } from './run-file.js'
import type { Incident } from './segment-writer.js'
import { type Usage, usageOfRecording, usageOfRun } from './usage.js'

export type StatementUse = {
  readonly fingerprint: string
  readonly sql: string
  readonly count: number
  readonly errors: number
  readonly totalMs: number
  readonly meanMs: number
  readonly maxMs: number
}

/** The most frequent and the most expensive shapes. */
export type TopStatements = {
  readonly shapes: number
  readonly byCount: readonly StatementUse[]
  readonly byTime: readonly StatementUse[]
}

export type RecordingInspection = {
  readonly kind: 'recording'
  readonly path: string
  readonly id: string
  readonly madeBy: string
  readonly source: string
  readonly server: { readonly version: string; readonly database: string }
  readonly startedAtMs: number
  readonly elapsedMs: number
  readonly state: 'complete' | 'running' | 'interrupted' | 'recovered'
  /** Of an interrupted recording: what was found beside the sealed segments. */
  readonly recovered: { readonly statements: number; readonly unreadable: readonly string[] } | null
  readonly segments: number
  readonly bytes: number
  readonly sessions: number
  readonly statements: number
  readonly errors: number
  readonly policyHash: string
  readonly ledger: Ledger
  readonly balances: boolean
  readonly unreplayable: Readonly<Record<string, number>>
  /** What is not known of sessions, and of how many. */
  readonly gaps: Readonly<Record<string, number>>
  /** What masking left open. */
  readonly masking: MaskingReport
  readonly incidents: readonly Incident[]
  readonly top: TopStatements
}

export type RunInspection = {
  readonly kind: 'run'
  readonly path: string
  readonly id: string
  readonly madeBy: string
  readonly role: string
  readonly target: { readonly version: string; readonly database: string }
  readonly recordingPath: string
  readonly startedAtMs: number
  readonly elapsedMs: number
  readonly settings: object
  readonly statements: number
  readonly errors: Readonly<Record<string, number>>
  readonly orderRelaxed: number
  readonly eventLoopUtilisationMax: number
  readonly ledger: Ledger
  readonly balances: boolean
  readonly incidents: readonly Incident[]
  /** null: the recording, which has the texts, is not where it was. */
  readonly top: TopStatements | null
}

export type DiffInspection = {
  readonly kind: 'diff'
  readonly path: string
  readonly id: string
  readonly madeBy: string
  readonly recordingPath: string
  readonly before: string
  readonly after: string
  readonly compared: number
  readonly discrepancies: Readonly<Record<MismatchType, number>>
  readonly excused: Readonly<Record<string, number>>
  readonly uncompared: Readonly<Record<string, number>>
  readonly invalid: readonly string[]
  readonly findings: readonly Finding[]
}

/** Seals what a crash left unsealed, where the folder can be written; says what is there in any case. */
export function inspectRecording(path: string, topMax: number): RecordingInspection {
  const recovery = tryToRecover(path)
  const recording = openRecording(path)
  try {
    const { manifest, recovered } = recording
    const usage = usageOfRecording(recording)
    return {
      kind: 'recording',
      path,
      id: manifest.id,
      madeBy: manifest.madeBy,
      source: manifest.source,
      server: { version: manifest.server.version, database: manifest.server.database },
      startedAtMs: manifest.startedAtMs,
      elapsedMs: recording.lastDoneUs / 1000,
      state: stateOf(recovery, manifest.endedAtMs, recovered),
      recovered: recovery.state === 'recovered' ? recovery : recovered,
      segments: manifest.segments.length,
      bytes: manifest.segments.reduce((sum, segment) => sum + segment.bytes, 0),
      sessions: recording.sessions().length,
      statements: recording.statementCount,
      errors: usage.reduce((sum, { errors }) => sum + errors, 0),
      policyHash: manifest.privacy.policyHash,
      ledger: manifest.ledger,
      balances: balances(manifest.ledger),
      unreplayable: recording.unreplayable(),
      gaps: gapsOf(recording),
      masking: maskingReport(recording.masked()),
      incidents: manifest.incidents,
      top: topOf(usage, topMax),
    }
  } finally {
    recording.close()
  }
}

function gapsOf(recording: RecordingReader): Record<string, number> {
  const sessions = new Map<string, Set<number>>()
  for (const { kind, session, detail } of recording.events()) {
    if (kind !== 'lost') continue
    const why = String(detail.why ?? '')
    sessions.set(why, (sessions.get(why) ?? new Set()).add(session))
  }
  return Object.fromEntries([...sessions].map(([why, { size }]) => [why, size]))
}

type Recovered = { readonly state: string; readonly statements: number; readonly unreadable: readonly string[] }

function tryToRecover(path: string): Recovered {
  try {
    return recoverRecording(path)
  } catch (error) {
    if (error instanceof HarnessError) throw error
    // A folder that cannot be written, for one; reading may still work, and says more if it does not.
    return { state: 'unsealed', statements: 0, unreadable: [] }
  }
}

function stateOf(
  recovery: Recovered,
  endedAtMs: number | null,
  tail: RecoveredTail | null,
): RecordingInspection['state'] {
  if (recovery.state === 'recovered' || recovery.state === 'running') return recovery.state
  return endedAtMs === null || tail !== null ? 'interrupted' : 'complete'
}

export function inspectRun(path: string, topMax: number): RunInspection {
  const run = openRun(path)
  try {
    const { facts } = run
    return {
      kind: 'run',
      path,
      id: facts.id,
      madeBy: facts.madeBy,
      role: facts.role,
      target: { version: facts.target.version, database: facts.target.database },
      recordingPath: facts.recordingPath,
      startedAtMs: facts.startedAtMs,
      elapsedMs: facts.elapsedUs / 1000,
      settings: facts.settings,
      statements: run.count,
      errors: run.errors(),
      orderRelaxed: facts.orderRelaxed,
      eventLoopUtilisationMax: facts.eventLoopUtilisationMax,
      ledger: facts.ledger,
      balances: balances(facts.ledger),
      incidents: facts.incidents,
      top: topOfRun(run, topMax),
    }
  } finally {
    run.close()
  }
}

function topOfRun(run: ReturnType<typeof openRun>, topMax: number): TopStatements | null {
  const { recordingPath, recordingId } = run.facts
  if (!existsSync(recordingPath)) return null
  const recording = openRecording(recordingPath, { verify: 'size' })
  try {
    return recording.manifest.id === recordingId ? topOf(usageOfRun(run, recording), topMax) : null
  } finally {
    recording.close()
  }
}

export function inspectDiff(path: string): DiffInspection {
  const diff = openDiff(path)
  try {
    const { facts } = diff
    return {
      kind: 'diff',
      path,
      id: facts.id,
      madeBy: facts.madeBy,
      recordingPath: facts.recordingPath,
      before: `${facts.before.role} on ${facts.before.target}`,
      after: `${facts.after.role} on ${facts.after.target}`,
      compared: facts.compared,
      discrepancies: diff.countByMismatch(),
      excused: facts.excused,
      uncompared: facts.uncompared,
      invalid: facts.invalid,
      findings: diff.findings(),
    }
  } finally {
    diff.close()
  }
}

function topOf(usage: readonly Usage[], max: number): TopStatements {
  const top = (by: (use: Usage) => number) => [...usage].sort((a, b) => by(b) - by(a)).slice(0, max)
  return {
    shapes: usage.length,
    byCount: top(({ count }) => count).map(statementUse),
    byTime: top(({ totalUs }) => totalUs).map(statementUse),
  }
}

function statementUse({ sql, fingerprint, count, errors, totalUs, maxUs }: Usage): StatementUse {
  const totalMs = totalUs / 1000
  return { fingerprint, sql, count, errors, totalMs, meanMs: totalMs / count, maxMs: maxUs / 1000 }
}
