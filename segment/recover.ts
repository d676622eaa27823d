/** Seals what an interrupted recording left unsealed, so that it is a whole recording again. One that still runs is left alone. */

import { basename, join } from 'node:path'
import { writeAtomically } from './files.js'
import { sealLeftover } from './leftover.js'
import type { Manifest, SealedSegment } from './manifest.js'
import { MANIFEST_FILE, readManifest } from './manifest-file.js'
import { openRecording, unlistedSegments } from './recording.js'
import { releaseReserve } from './reserve.js'

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
  // Nobody writes here any more.
  releaseReserve(path)
  writeAtomically(join(path, MANIFEST_FILE), `${JSON.stringify(complete)}\n`)
  return { state: 'recovered', segments: sealed.map(({ file }) => basename(file)), statements, unreadable }
}
