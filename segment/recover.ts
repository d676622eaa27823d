/**
 * Seals what an interrupted recording left unsealed, so that it is a whole recording again.
 *
 * A recording that still runs is left alone: SQLite does not give up a file's WAL while another connection uses it, and that
 * refusal is how we know. No lock file, which a crash would leave behind.
 */

import { basename, join } from 'node:path'
import Database from 'better-sqlite3'
import { publish, writeAtomically } from './files.js'
import { settled } from './ledger.js'
import type { Manifest, SealedSegment } from './manifest.js'
import { MANIFEST_FILE, readManifest } from './manifest-file.js'
import { NOT_CLOSED, openRecording, unlistedSegments } from './recording.js'
import { openSegment } from './segment-reader.js'
import { OPEN_SUFFIX, sealedSegment } from './segment-writer.js'
import { closeAsOneFile, sqliteCode } from './sqlite.js'

export type Recovery = {
  /** `whole`: nothing to do. `running`: a recorder has it open. */
  readonly state: 'whole' | 'running' | 'recovered'
  readonly segments: readonly string[]
  readonly statements: number
  /** Left where they are. */
  readonly unreadable: readonly string[]
}

export function recoverRecording(path: string): Recovery {
  const manifest = readManifest(path)
  const files = manifest.endedAtMs === null ? unlistedSegments(path, manifest) : []
  if (files.length === 0) return { state: 'whole', segments: [], statements: 0, unreadable: [] }

  const before = openRecording(path, { verify: 'size' })
  const { ledger, incidents } = before.manifest
  const { lastDoneUs, recovered } = before
  before.close()
  const unreadable = recovered?.unreadable ?? []
  const sealed: SealedSegment[] = []
  for (const file of recovered?.files ?? []) {
    const segment = sealLeftover(file)
    if (segment === null) return { state: 'running', segments: [], statements: 0, unreadable: [] }
    sealed.push(segment)
  }
  const statements = sealed.reduce((sum, segment) => sum + segment.statements, 0)
  const whole: Manifest = {
    ...manifest,
    endedAtMs: Math.round(manifest.startedAtMs + lastDoneUs / 1000),
    ledger: settled(ledger, NOT_CLOSED),
    segments: [...manifest.segments, ...sealed],
    incidents: [
      ...incidents,
      {
        atUs: lastDoneUs,
        kind: 'recovered',
        detail: `the recording was not closed; ${statements} unsealed statements`,
      },
    ],
  }
  writeAtomically(join(path, MANIFEST_FILE), `${JSON.stringify(whole)}\n`)
  return { state: 'recovered', segments: sealed.map(({ file }) => basename(file)), statements, unreadable }
}

/** null: somebody else has it open. */
function sealLeftover(file: string): SealedSegment | null {
  const finalPath = file.endsWith(OPEN_SUFFIX) ? file.slice(0, -OPEN_SUFFIX.length) : file
  if (finalPath !== file) {
    const db = new Database(file, { timeout: 0, fileMustExist: true })
    try {
      closeAsOneFile(db)
    } catch (error) {
      db.close()
      if (sqliteCode(error).startsWith('SQLITE_BUSY')) return null
      throw error
    }
    publish(file, finalPath)
  }
  const reader = openSegment(finalPath)
  try {
    return sealedSegment(finalPath, reader.extent())
  } finally {
    reader.close()
  }
}
