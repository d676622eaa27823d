/**
 * The drain's thread: makes the recording, then reads the ring until it is closed and empty. No socket lives here, so it may
 * block while it waits. What the main thread has to say comes through a port that is read between batches.
 */
import { getPriority, platform, setPriority } from 'node:os'
import { hrtime } from 'node:process'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { HarnessError } from '../../base/errors.js'
import { createMasker, type Masker, type MaskerSettings } from '../../privacy/masker.js'
import type { Manifest } from '../../segment/manifest.js'
import { createRecording, type RecordingFacts, type RecordingOptions } from '../../segment/recording-writer.js'
import type { Incident } from '../../segment/segment-writer.js'
import type { Choice } from '../choice/choice.js'
import { RingConsumer } from '../tap/ring.js'
import { Tally } from '../tap/tally.js'
import { Drain, type DrainLimits, type Trouble } from './drain.js'
import { TransactionChoice } from './transaction-choice.js'
import { codeOf } from './write-trouble.js'

export type DrainSettings = {
  readonly ring: SharedArrayBuffer
  readonly tally: SharedArrayBuffer
  readonly port: MessagePort
  readonly path: string
  readonly facts: RecordingFacts
  /** When that was, by hrtime. */
  readonly startedNs: bigint
  readonly options: Pick<RecordingOptions, 'force' | 'segmentBytesMax' | 'segmentMsMax'>
  readonly masking: MaskerSettings
  readonly limits?: DrainLimits
  readonly choice?: Choice
}

export type DrainMessage =
  | { readonly kind: 'ready'; readonly id: string }
  /** By what: a code, never the text of an error. */
  | { readonly kind: 'failed'; readonly error: ErrorParts; readonly by: string }
  | { readonly kind: 'trouble'; readonly trouble: Trouble }
  /** Told to end at once: nothing is read or written any more. */
  | { readonly kind: 'abandoned' }
  | { readonly kind: 'ended'; readonly manifest: Manifest }

export type ErrorParts = Pick<HarnessError, 'code' | 'message' | 'detail' | 'hint' | 'exit'>

const NICENESS = 5
const SLEEP_MS = 20
/** Between two looks at the port and two writes, while the ring is never empty: what is not written yet would be lost in a crash. */
const TURN_MS = 50
/** Between two looks at the clock. */
const RECORDS_PER_LOOK = 32

const settings = workerData as DrainSettings
const say = (message: DrainMessage) => parentPort!.postMessage(message)

// Where both want the last core, traffic gets it. On Linux this concerns this thread only; elsewhere the whole process. Whoever was
// started nicer than that stays so: only some may take it back, and nobody wants to.
if (platform() === 'linux' && getPriority() < NICENESS) setPriority(NICENESS)

try {
  run(await createMasker(settings.masking))
} catch (error) {
  say({ kind: 'failed', error: partsOf(error), by: codeOf(error) })
}

function run(masker: Masker): void {
  // The wall clock may jump: what waits, or grows old, goes by the one that cannot.
  const nowMs = () => performance.now()
  const writer = createRecording(settings.path, settings.facts, { ...settings.options, nowMs })
  const consumer = new RingConsumer(settings.ring)
  const tell = (trouble: Trouble) => say({ kind: 'trouble', trouble })
  const choice = settings.choice === undefined ? null : TransactionChoice.of(settings.choice, settings.facts.catalog)
  const drain = new Drain(writer, masker, new Tally(settings.tally), tell, nowMs, settings.limits, choice)
  say({ kind: 'ready', id: writer.id })
  for (;;) {
    // Asked before the ring is: what was offered before it was closed is then surely seen.
    const closed = consumer.closed
    let taken = 0
    const untilMs = nowMs() + TURN_MS
    for (let record = consumer.next(); record !== null; record = consumer.next()) {
      if (consumer.abandoned) break
      drain.take(record)
      taken += 1
      if (taken % RECORDS_PER_LOOK === 0 && nowMs() >= untilMs) break
    }
    if (consumer.abandoned) {
      say({ kind: 'abandoned' })
      return
    }
    for (let said = receiveMessageOnPort(settings.port); said; said = receiveMessageOnPort(settings.port)) {
      drain.incident(said.message as Incident)
    }
    drain.flush()
    if (taken > 0) continue
    if (closed) break
    consumer.sleep(SLEEP_MS)
  }
  drain.end()
  say({ kind: 'ended', manifest: writer.close(endedAtMs()) })
}

/** By the one clock that all threads share and nobody sets. */
function endedAtMs(): number {
  return Math.round(settings.facts.startedAtMs + Number(hrtime.bigint() - settings.startedNs) / 1e6)
}

function partsOf(error: unknown): ErrorParts {
  if (error instanceof HarnessError) {
    const { code, message, detail, hint, exit } = error
    return { code, message, detail, hint, exit }
  }
  const failed = new HarnessError({
    code: 'RECORDING_FAILED',
    message: `cannot write the recording ${settings.path}`,
    detail: codeOf(error),
    hint: 'Check that the folder can be written and that the disk has room.',
  })
  return partsOf(failed)
}
