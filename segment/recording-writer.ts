/**
 * Writes a recording: a folder with a manifest and segments. Synchronous on purpose: it lives in the recorder's drain worker,
 * far from the path between client and server.
 *
 *   REC/manifest.json            rewritten whole whenever a segment is sealed
 *   REC/segments/000001.sqlite   sealed: checkpointed, synced, hashed, renamed; never changes again
 *   REC/segments/000002.sqlite.open (-wal, -shm)   growing
 *
 * One call of write() is one atomic step: a crash keeps all of its transactions or none. Nothing here throws values of the
 * recording; a call that throws has written nothing and can be counted as lost.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { claimFolder, FOLDER_MODE, syncPath, writeAtomically } from './files.js'
import { add, type Count, type Ledger, NOTHING, type Reasons } from './ledger.js'
import { type Manifest, RECORDING_FORMAT_VERSION, type SealedSegment } from './manifest.js'
import { MANIFEST_FILE, SEGMENTS_FOLDER } from './manifest-file.js'
import { type Incident, OPEN_SUFFIX, type RecordedTransaction, SegmentWriter } from './segment-writer.js'
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
  readonly #sealed: SealedSegment[] = []
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
  }

  get ledger(): Ledger {
    return this.#ledger
  }

  /** Bytes of sealed segments and of the growing one. */
  get bytes(): number {
    return this.#sealed.reduce((sum, segment) => sum + segment.bytes, this.#segment?.bytes() ?? 0)
  }

  /** Facts that became known after the recording began, such as the catalog. */
  updateFacts(facts: Partial<Pick<RecordingFacts, 'server' | 'catalog' | 'privacy'>>): void {
    this.#facts = { ...this.#facts, ...facts }
    this.#writeManifest(null)
  }

  session(session: Session): void {
    this.#open().session(session)
  }

  /** Whole transactions, all or nothing; counts them as kept. */
  write(transactions: readonly RecordedTransaction[]): void {
    if (transactions.length === 0) return
    const statements = transactions.reduce((sum, transaction) => sum + transaction.statements.length, 0)
    const ledger = { ...this.#ledger, kept: add(this.#ledger.kept, { statements, transactions: transactions.length }) }
    this.#open().write(transactions, JSON.stringify(ledger))
    this.#ledger = ledger
    this.sealIfDue()
  }

  event(event: SessionEvent): void {
    this.#open().event(event)
  }

  incident(incident: Incident): void {
    if (this.#incidents.length === INCIDENTS_MAX) return
    const last = this.#incidents.length === INCIDENTS_MAX - 1
    const kept = last ? { ...incident, kind: 'more', detail: 'further incidents were not kept' } : incident
    this.#open().incident(kept)
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

  /** Call now and then when nothing is written, so that an idle recording is sealed as well. */
  sealIfDue(): void {
    const segment = this.#segment
    if (segment === null || segment.empty) return
    if (segment.bytes() >= this.#bytesMax || this.#nowMs() - segment.openedAtMs >= this.#msMax) this.seal()
  }

  /** Seals what was written so far; the next write opens a new segment. */
  seal(): void {
    const segment = this.#segment
    if (segment === null) return
    this.#segment = null
    this.#sealed.push(segment.seal(JSON.stringify(this.#ledger)))
    this.#writeManifest(null)
  }

  /** Seals and ends the recording; returns its manifest. */
  close(endedAtMs: number): Manifest {
    if (this.#segment?.empty) this.#discard(this.#segment)
    this.seal()
    return this.#writeManifest(endedAtMs)
  }

  /** Gives up the growing segment without sealing it, as a crash would; sealed segments stay. */
  abandon(): void {
    this.#segment?.abandon()
    this.#segment = null
  }

  #open(): SegmentWriter {
    if (this.#segment === null) {
      // Counted before it works: a name that a full disk left half-made is not tried again.
      this.#segmentNumber += 1
      const folder = join(this.path, SEGMENTS_FOLDER)
      const path = join(folder, `${String(this.#segmentNumber).padStart(6, '0')}.sqlite`)
      const origin = { recordingId: this.id, startedAtMs: this.#facts.startedAtMs }
      this.#segment = new SegmentWriter(path, origin, JSON.stringify(this.#ledger), this.#nowMs())
      syncPath(folder)
    }
    return this.#segment
  }

  #discard(segment: SegmentWriter): void {
    segment.abandon()
    for (const suffix of ['', '-wal', '-shm']) rmSync(segment.path + OPEN_SUFFIX + suffix, { force: true })
    this.#segment = null
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
      segments: [...this.#sealed],
      incidents: [...this.#incidents],
    }
    writeAtomically(join(this.path, MANIFEST_FILE), `${JSON.stringify(manifest)}\n`)
    return manifest
  }
}
