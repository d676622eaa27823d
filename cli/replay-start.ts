/**
 * Where a replay begins: at the moment the shadow's snapshot was taken, when that lies within the recording. What that means is said
 * before anything is sent.
 */
import { EXIT, HarnessError } from '../base/errors.js'
import type { ReplayOptions } from '../replayer/run/replay.js'
import type { Marker } from '../replayer/shadow/marker.js'
import type { Manifest } from '../segment/manifest.js'
import { type Alignment, align } from '../segment/moment.js'
import type { RunStart } from '../segment/run.js'

type Start = {
  readonly filter: ReplayOptions['filter']
  readonly start: RunStart
  readonly note: string | null
}

export function startOf(
  given: ReplayOptions['filter'],
  fromStart: boolean,
  { manifest, lastDoneUs }: { readonly manifest: Manifest; readonly lastDoneUs: number },
  marker: Marker,
): Start {
  if (fromStart) return { filter: given, start: { kind: 'unknown', why: 'it was not asked: --from start' }, note: null }
  const found = align({ server: manifest.server, endUs: lastDoneUs }, marker.takenAt)
  if (found.kind === 'after') throw containsAll()
  if (found.kind !== 'within') return { filter: given, start: found, note: noteOn(found) }
  const filter = { ...(given ?? { fromUs: null, toUs: null, only: null, words: [] }), copy: found }
  const atUs = Math.max(0, Math.round((found.fromUs + found.toUs) / 2))
  const start: RunStart = { kind: 'within', atUs, contained: 0, straddling: 0, undecided: 0, unsure: [] }
  const note = `the snapshot was taken ${(atUs / 1e6).toFixed(1)} s into the recording: what it contains is not replayed`
  return { filter, start, note }
}

function noteOn(found: Alignment): string | null {
  if (found.kind === 'unknown') return `note: where the recording and the snapshot meet is not known: ${found.why}`
  if (found.kind !== 'before' || found.between <= 0) return null
  return (
    `note: the snapshot is older than the recording: up to ${found.between} transactions that changed data in between are in neither, ` +
    'so answers may differ from production. Take the snapshot while recording, and nothing is missing'
  )
}

function containsAll(): HarnessError {
  return new HarnessError({
    code: 'SNAPSHOT_TOO_LATE',
    message: 'the snapshot was taken after the recording had ended',
    detail: 'it contains everything that was recorded, so there is nothing left to replay.',
    hint: 'Take the snapshot while the recording goes on; or replay all of it on top, with --from start.',
    exit: EXIT.usage,
  })
}
