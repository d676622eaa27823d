/**
 * The manifest of a recording: everything about it that is not a statement. Plain data; ./recording.ts reads and writes it.
 */
import type { Catalog } from './catalog.js'
import type { Ledger } from './ledger.js'
import type { ServerClock } from './moment.js'

export const RECORDING_FORMAT_VERSION = 1

export type SealedSegment = {
  /** Relative to the recording's folder: `segments/000001.sqlite`. */
  readonly file: string
  readonly sha256: string
  readonly bytes: number
  readonly statements: number
  readonly seqFirst: number
  readonly seqLast: number
  readonly sentUsFirst: number
  readonly doneUsLast: number
}

export type ServerFacts = {
  readonly versionNum: number
  readonly version: string
  readonly systemIdentifier: string
  readonly database: string
  /** Settings that change results: TimeZone, DateStyle, IntervalStyle, lc_*, default_transaction_isolation … */
  readonly settings: Readonly<Record<string, string>>
  /** Settings that ALTER ROLE gave to some users, here or everywhere; the later ones win. Older recordings have none. */
  readonly roleSettings?: readonly { readonly role: string; readonly name: string; readonly setting: string }[]
  /** WAL position when the recording began. */
  readonly startLsn: string
  /** Of a recording. Older ones, and snapshots, have none. */
  readonly clock?: ServerClock
}

export type PrivacyFacts = {
  readonly policyHash: string
  /** Names the key without revealing it. */
  readonly keyFingerprint: string
}

export type Manifest = {
  readonly format: 'pgrehearse recording'
  readonly formatVersion: number
  readonly id: string
  readonly madeBy: string
  readonly source: 'proxy' | 'tap' | 'logs' | 'driver' | 'cdc'
  /** Milliseconds since the epoch at microsecond 0 of the recording. */
  readonly startedAtMs: number
  /** null while recording, or after a crash. */
  readonly endedAtMs: number | null
  readonly server: ServerFacts
  readonly catalog: Catalog
  readonly privacy: PrivacyFacts
  readonly ledger: Ledger
  readonly segments: readonly SealedSegment[]
  /** What happened to the recording itself: pause, resume, breaker trips, drops. */
  readonly incidents: readonly { readonly atUs: number; readonly kind: string; readonly detail: string }[]
}
