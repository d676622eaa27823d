/**
 * Seals what an interrupted recording left unsealed, so that it is a whole recording again.
 *
 * A recording that still runs is left alone: SQLite does not give up a file's WAL while another connection uses it, and that
 * refusal is how we know. No lock file, which a crash would leave behind.
 */

import { basename, join } from 'node:path'
import Database from 'better-sqlite3'
import { publish, writeAtomically } from './files.js'
import type { Manifest, SealedSegment } from './manifest.js'
import { MANIFEST_FILE, readManifest } from './manifest-file.js'
import { openRecording, unlistedSegments } from './recording.js'
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
  const whole: Recovery = { state: 'whole', segments: [], statements: 0, unreadable: [] }
  if (unlistedSegments(path, manifest).length === 0) return whole

  const before = openRecording(path, { verify: 'size' })
  const { ledger, incidents } = before.manifest
  const { lastDoneUs, recovered } = before
  before.close()
  const unreadable = recovered?.unreadable ?? []
  const sealed: SealedSegment[] = []
  for (const file of recovered?.files ?? []) {
    const segment = sealLeftover(file)
    if (segment === null) return { ...whole, state: 'running' }
    sealed.push(segment)
  }
  if (sealed.length === 0 && manifest.endedAtMs !== null) return { ...whole, unreadable }
  const statements = sealed.reduce((sum, segment) => sum + segment.statements, 0)
  const complete: Manifest = {
    ...manifest,
    endedAtMs: manifest.endedAtMs ?? Math.round(manifest.startedAtMs + lastDoneUs / 1000),
    ledger,
    segments: [...manifest.segments, ...sealed],
    incidents: [
      ...incidents,
      {
        atUs: lastDoneUs,
        kind: 'recovered',
        detail: `${statements} statements were not sealed when the recording ended`,
      },
    ],
  }
  writeAtomically(join(path, MANIFEST_FILE), `${JSON.stringify(complete)}\n`)
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
