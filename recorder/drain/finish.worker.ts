/**
 * Puts an interrupted recording in order: seals the tail, and writes into the ledger what is missing. In a thread of its own,
 * because traffic still runs in the main one.
 */

import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { writeAtomically } from '../../segment/files.js'
import { add, type Count, type Ledger, NOTHING, subtract } from '../../segment/ledger.js'
import type { Manifest } from '../../segment/manifest.js'
import { MANIFEST_FILE, readManifest } from '../../segment/manifest-file.js'
import { recoverRecording } from '../../segment/recover.js'
import { releaseReserve } from '../../segment/reserve.js'

export type FinishSettings = {
  readonly path: string
  /** Why it was interrupted: the ledger's word for what is missing. */
  readonly reason: string
  readonly missing: Count
  /** What the tap let pass in all, as the ledger should say it; the last of it may not have been written. */
  readonly passed: readonly { readonly kind: 'filtered' | 'lost'; readonly reason: string; readonly count: Count }[]
  readonly atUs: number
  readonly endedAtMs: number
}

const { path, reason, missing, passed, atUs, endedAtMs } = workerData as FinishSettings
releaseReserve(path)
recoverRecording(path)
const manifest = readManifest(path)
const finished: Manifest = {
  ...manifest,
  endedAtMs: manifest.endedAtMs ?? endedAtMs,
  ledger: settle(manifest.ledger),
  incidents: [...manifest.incidents, { atUs, kind: 'interrupted', detail: reason }],
}
writeAtomically(join(path, MANIFEST_FILE), `${JSON.stringify(finished)}\n`)
parentPort!.postMessage(finished)

function settle(ledger: Ledger): Ledger {
  const kinds = { filtered: { ...ledger.filtered }, lost: { ...ledger.lost } }
  let { seen } = ledger
  const note = (kind: 'filtered' | 'lost', why: string, more: Count) => {
    if (more.statements <= 0 && more.transactions <= 0) return
    kinds[kind][why] = add(kinds[kind][why] ?? NOTHING, more)
    seen = add(seen, more)
  }
  for (const { kind, reason: why, count } of passed) note(kind, why, subtract(count, kinds[kind][why] ?? NOTHING))
  note('lost', reason, missing)
  return { ...ledger, ...kinds, seen }
}
