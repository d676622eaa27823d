/**
 * Writes a recording: a folder with a manifest and segments. Synchronous on purpose: it lives in the recorder's drain worker,
 * far from the path between client and server.
 *
 *   REC/manifest.json            rewritten whole whenever a segment is sealed
 *   REC/segments/000001.sqlite   sealed: checkpointed, synced, hashed, renamed; never changes again
 *   REC/segments/000002.sqlite.open (-wal, -shm)   growing
 *   REC/reserve                  room for sealing all this on a full disk
 *
 * One call of write() is one atomic step: a crash keeps all of its transactions or none. Nothing here throws values of the
 * recording; a call that throws has written nothing and can be counted as lost.
 *
 * A segment that cannot be written any more (damaged, taken away, a disk that fails) is given up and the next one begun. What was
 * in it is sealed at the end if it can be; otherwise it moves in the ledger from kept to lost.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { claimFolder, FOLDER_MODE, syncPath, writeAtomically } from './files.js'
import { add, type Count, type Ledger, NOTHING, type Reasons, subtract } from './ledger.js'
import { removeSegment, rescueSegment } from './leftover.js'
import { type Manifest, RECORDING_FORMAT_VERSION, type SealedSegment } from './manifest.js'
import { MANIFEST_FILE, SEGMENTS_FOLDER } from './manifest-file.js'
import { holdReserve, releaseReserve } from './reserve.js'
import { type Incident, type RecordedTransaction, SegmentWriter } from './segment-writer.js'
import { mayPass } from './sqlite.js'
import type { Session, SessionEvent } from './statement.js'

/** What the recorder knows about a recording before its first statement. */
export type RecordingFacts = Pick<Manifest, 'madeBy' | 'source' | 'startedAtMs' | 'server' | 'catalog' | 'privacy'> & {
  /** Made up when absent. */
  readonly id?: string
}

export type RecordingOptions = {
  /** A segment is sealed when it has this many bytes … */
  readonly segmentBytesMax?: number
  /** … or is this old. */
  readonly segmentMsMax?: number
  /** Replace an existing recording at the same path. */
  readonly force?: boolean
  /** Monotonic enough to know how old a segment is. */
  readonly nowMs?: () => number
}

/** 32 MB hash and sync in about a tenth of a second, which the recorder's ring has to bridge. */
const SEGMENT_BYTES_MAX = 32 << 20
const SEGMENT_MS_MAX = 60_000
/** A flapping breaker must not grow the manifest without end. */
const INCIDENTS_MAX = 1000
/** Between two looks whether the growing segment is still there. */
const LOOK_MS = 1000
const SEGMENT_LOST = 'segment lost'

/** The growing segment was taken away, or its folder. */
export class SegmentGone extends Error {
  readonly code = 'SEGMENT_GONE'
}

export function createRecording(path: string, facts: RecordingFacts, options: RecordingOptions = {}): RecordingWriter {
  claimFolder(path, MANIFEST_FILE, options.force ?? false)
  mkdirSync(join(path, SEGMENTS_FOLDER), { recursive: true, mode: FOLDER_MODE })
  return new RecordingWriter(path, facts, options)
}

export class RecordingWriter {
  readonly path: string
  readonly id: string
  #facts: RecordingFacts
  readonly #bytesMax: number
  readonly #msMax: number
  readonly #nowMs: () => number
  readonly #sealed: { readonly segment: SealedSegment; readonly count: Count }[] = []
  /** Could not be written any more, and are looked at again at the end. */
  readonly #givenUp: { readonly path: string; readonly count: Count }[] = []
  #lookedAtMs = 0
  /** How many segments were given up so far: what was in them may be lost. */
  losses = 0
  readonly #incidents: Incident[] = []
  #ledger: Ledger = { seen: NOTHING, kept: NOTHING, filtered: {}, skipped: {}, lost: {} }
  #segment: SegmentWriter | null = null
  #segmentNumber = 0

  constructor(path: string, facts: RecordingFacts, options: RecordingOptions) {
    this.path = path
    this.id = facts.id ?? randomUUID()
    this.#facts = facts
    this.#bytesMax = options.segmentBytesMax ?? SEGMENT_BYTES_MAX
    this.#msMax = options.segmentMsMax ?? SEGMENT_MS_MAX
    this.#nowMs = options.nowMs ?? Date.now
    this.#writeManifest(null)
    holdReserve(path, statSync(join(path, MANIFEST_FILE)).size)
  }

  get ledger(): Ledger {
    return this.#ledger
  }

  /** Bytes of sealed segments and of the growing one. */
  get bytes(): number {
    return this.#sealed.reduce((sum, { segment }) => sum + segment.bytes, this.#segment?.bytes() ?? 0)
  }

  /** Facts that became known after the recording began, such as the catalog. */
  updateFacts(facts: Partial<Pick<RecordingFacts, 'server' | 'catalog' | 'privacy'>>): void {
    this.#facts = { ...this.#facts, ...facts }
    this.#writeManifest(null)
  }

  session(session: Session): void {
    this.#into((segment) => segment.session(session))
  }

  /** Whole transactions, all or nothing; counts them as kept. */
  write(transactions: readonly RecordedTransaction[]): void {
    if (transactions.length === 0) return
    const statements = transactions.reduce((sum, transaction) => sum + transaction.statements.length, 0)
    const ledger = { ...this.#ledger, kept: add(this.#ledger.kept, { statements, transactions: transactions.length }) }
    this.#into((segment) => segment.write(transactions, JSON.stringify(ledger)))
    this.#ledger = ledger
  }

  event(event: SessionEvent): void {
    this.#into((segment) => segment.event(event))
  }

  incident(incident: Incident): void {
    if (this.#incidents.length === INCIDENTS_MAX) return
    const last = this.#incidents.length === INCIDENTS_MAX - 1
    const kept = last ? { ...incident, kind: 'more', detail: 'further incidents were not kept' } : incident
    this.#into((segment) => segment.incident(kept))
    this.#incidents.push(kept)
  }

  /** What came by at the source, kept or not. Stored with the next write. */
  seen(count: Count): void {
    this.#ledger = { ...this.#ledger, seen: add(this.#ledger.seen, count) }
  }

  /** What came by and was not kept, and why. Stored with the next write. */
  account(kind: 'filtered' | 'skipped' | 'lost', reason: string, count: Count): void {
    const reasons: Reasons = this.#ledger[kind]
    this.#ledger = {
      ...this.#ledger,
      [kind]: { ...reasons, [reason]: add(reasons[reason] ?? NOTHING, count) },
    }
  }

  /** Call it after writing, and now and then when nothing is written: an idle recording is sealed as well. */
  sealIfDue(): void {
    this.#look()
    const segment = this.#segment
    if (segment === null || segment.empty) return
    if (segment.bytes() >= this.#bytesMax || this.#nowMs() - segment.openedAtMs >= this.#msMax) this.seal()
  }

  /** Seals what was written so far; the next write opens a new segment. */
  seal(): void {
    const segment = this.#segment
    if (segment === null) return
    try {
      this.#sealed.push({ segment: segment.seal(JSON.stringify(this.#ledger)), count: segment.count })
      this.#segment = null
    } catch (error) {
      this.#giveUp(segment)
      throw error
    }
    this.#writeManifest(null)
  }

  /** The end is near: what is written from here on may have the room that was held for it. */
  release(): void {
    releaseReserve(this.path)
  }

  /** Seals and ends the recording; returns its manifest. */
  close(endedAtMs: number): Manifest {
    this.release()
    if (this.#segment?.empty) this.#discard(this.#segment)
    try {
      this.seal()
    } catch {
      // It was given up, or the manifest is written again now.
    }
    this.#rescue()
    mkdirSync(this.path, { recursive: true, mode: FOLDER_MODE })
    return this.#writeManifest(endedAtMs)
  }

  /** Gives up the growing segment without sealing it, as a crash would; sealed segments stay. */
  abandon(): void {
    this.#segment?.abandon()
    this.#segment = null
  }

  #into(write: (segment: SegmentWriter) => void): void {
    const segment = this.#open()
    try {
      write(segment)
    } catch (error) {
      if (!mayPass(error)) this.#giveUp(segment)
      throw error
    }
  }

  #open(): SegmentWriter {
    if (this.#segment !== null) return this.#segment
    // Counted before it works: a name that a full disk left half-made is not tried again.
    this.#segmentNumber += 1
    const folder = join(this.path, SEGMENTS_FOLDER)
    const path = join(folder, `${String(this.#segmentNumber).padStart(6, '0')}.sqlite`)
    const origin = { recordingId: this.id, startedAtMs: this.#facts.startedAtMs }
    try {
      mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
      const segment = new SegmentWriter(path, origin, JSON.stringify(this.#ledger), this.#nowMs())
      syncPath(folder)
      this.#segment = segment
      return segment
    } catch (error) {
      removeSegment(path)
      throw error
    }
  }

  #discard(segment: SegmentWriter): void {
    segment.abandon()
    removeSegment(segment.path)
    this.#segment = null
  }

  /** A file that was removed can be written to for ever; nobody would find it. */
  #look(): void {
    const nowMs = this.#nowMs()
    if (nowMs - this.#lookedAtMs < LOOK_MS) return
    this.#lookedAtMs = nowMs
    const segment = this.#segment
    const path = segment?.openPath ?? (this.#sealed.length > 0 ? join(this.path, SEGMENTS_FOLDER) : this.path)
    if (existsSync(path)) return
    if (segment !== null) this.#giveUp(segment)
    throw new SegmentGone()
  }

  #giveUp(segment: SegmentWriter): void {
    this.#segment = null
    this.losses += 1
    segment.abandon()
    if (segment.empty) removeSegment(segment.path)
    else this.#givenUp.push({ path: segment.path, count: segment.count })
  }

  /** Whatever of the segments that were given up can be sealed; whatever was sealed and is not there any more. */
  #rescue(): void {
    for (const { path, count } of this.#givenUp.splice(0)) {
      const { segment, count: found } = rescueSegment(path)
      // A long transaction that was written in pieces was counted by the piece.
      const kept = found.statements === count.statements ? count : found
      if (segment !== null) this.#sealed.push({ segment, count: kept })
      this.#lose(subtract(count, kept))
    }
    const missing = this.#sealed.filter(({ segment: { file, bytes } }) => {
      return statSync(join(this.path, file), { throwIfNoEntry: false })?.size !== bytes
    })
    for (const one of missing) {
      this.#sealed.splice(this.#sealed.indexOf(one), 1)
      this.#lose(one.count)
    }
    this.#sealed.sort((a, b) => (a.segment.file < b.segment.file ? -1 : 1))
  }

  #lose(count: Count): void {
    if (count.statements === 0 && count.transactions === 0) return
    this.#ledger = { ...this.#ledger, kept: subtract(this.#ledger.kept, count) }
    this.account('lost', SEGMENT_LOST, count)
  }

  #writeManifest(endedAtMs: number | null): Manifest {
    const { id: _, ...facts } = this.#facts
    const manifest: Manifest = {
      format: 'pgrehearse recording',
      formatVersion: RECORDING_FORMAT_VERSION,
      id: this.id,
      ...facts,
      endedAtMs,
      ledger: this.#ledger,
      segments: this.#sealed.map(({ segment }) => segment),
      incidents: [...this.#incidents],
    }
    writeAtomically(join(this.path, MANIFEST_FILE), `${JSON.stringify(manifest)}\n`)
    return manifest
  }
}
