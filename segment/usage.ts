/**
 * Which statements a recording or a run is made of: counted by shape, ranked by how often and by how long.
 */
import type { Masking } from './masking.js'
import type { RecordingReader } from './recording.js'
import type { RunReader } from './run-file.js'

/** What one text cost. */
export type Usage = {
  readonly sql: string
  readonly fingerprint: string
  readonly count: number
  readonly errors: number
  readonly totalUs: number
  readonly maxUs: number
}

/** A text of which masking has something to say. */
export type MaskedUse = {
  readonly sql: string
  readonly fingerprint: string
  readonly masking: Masking
  readonly count: number
}

export function usageOfRecording(recording: RecordingReader): Usage[] {
  return byShape(recording.usage())
}

/** A run knows positions only; the recording knows what stood there. */
export function usageOfRun(run: RunReader, recording: RecordingReader): Usage[] {
  const { count, seq, textId, texts } = recording.timeline()
  const used: (Usage | undefined)[] = new Array(texts.length)
  let i = 0
  for (const { seq: at, us, failed } of run.durations()) {
    while (i < count && seq[i]! < at) i += 1
    if (i === count) break
    if (seq[i] !== at) continue
    const id = textId[i]!
    const one = { ...texts[id]!, count: 1, errors: failed ? 1 : 0, totalUs: us, maxUs: us }
    used[id] = united(used[id], one)
  }
  return byShape(used.filter((usage) => usage !== undefined))
}

/** Texts that differ only in their literals are one shape; the first one stands for all. */
function byShape(usages: Iterable<Usage>): Usage[] {
  const shapes = new Map<string, Usage>()
  for (const usage of usages) {
    const shape = usage.fingerprint || usage.sql
    shapes.set(shape, united(shapes.get(shape), usage))
  }
  return [...shapes.values()]
}

function united(a: Usage | undefined, b: Usage): Usage {
  if (a === undefined) return b
  return {
    sql: a.sql,
    fingerprint: a.fingerprint,
    count: a.count + b.count,
    errors: a.errors + b.errors,
    totalUs: a.totalUs + b.totalUs,
    maxUs: Math.max(a.maxUs, b.maxUs),
  }
}
