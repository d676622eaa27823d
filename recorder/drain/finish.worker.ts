/**
 * Puts an interrupted recording in order: seals the tail, and writes into the ledger what is missing. In a thread of its own,
 * because traffic still runs in the main one.
 */

import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { writeAtomically } from '../../segment/files.js'
import { add, type Count, NOTHING } from '../../segment/ledger.js'
import type { Manifest } from '../../segment/manifest.js'
import { MANIFEST_FILE, readManifest } from '../../segment/manifest-file.js'
import { recoverRecording } from '../../segment/recover.js'

export type FinishSettings = {
  readonly path: string
  /** Why it was interrupted: the ledger's word for what is missing. */
  readonly reason: string
  readonly missing: Count
  readonly atUs: number
  readonly endedAtMs: number
}

const { path, reason, missing, atUs, endedAtMs } = workerData as FinishSettings
recoverRecording(path)
const manifest = readManifest(path)
const { ledger } = manifest
const finished: Manifest = {
  ...manifest,
  endedAtMs: manifest.endedAtMs ?? endedAtMs,
  ledger: {
    ...ledger,
    seen: add(ledger.seen, missing),
    lost: { ...ledger.lost, [reason]: add(ledger.lost[reason] ?? NOTHING, missing) },
  },
  incidents: [...manifest.incidents, { atUs, kind: 'interrupted', detail: reason }],
}
writeAtomically(join(path, MANIFEST_FILE), `${JSON.stringify(finished)}\n`)
parentPort!.postMessage(finished)
