/**
 * Reads a recording: statements of all segments in the order they were sent, with memory that does not grow with their number.
 *
 * A recording that was not closed (a crash, or it still runs) has a tail beside its sealed segments; what was committed there is
 * read like the rest and reported as `recovered`. Nothing here changes the folder; ./recover.ts seals such a tail.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { HarnessError } from '../base/errors.js'
import type { StatementFacts } from './facts.js'
import { sha256OfFile } from './files.js'
import { settled } from './ledger.js'
import type { Manifest, SealedSegment } from './manifest.js'
import { readManifest, SEGMENTS_FOLDER } from './manifest-file.js'
import { mergeSorted } from './merge.js'
import type { Outcome } from './outcome.js'
import {
  openSegment,
  type RecordedStatement,
  type SegmentReader,
  type StatementScript,
  type TransactionRest,
} from './segment-reader.js'
import { SEGMENT, traceId } from './segment-schema.js'
import { damaged, isDamage, isUnborn } from './sqlite.js'
import type { Session, SessionEvent } from './statement.js'
import { type Timeline, timelineOf } from './timeline.js'
import type { MaskedUse, Usage } from './usage.js'

/** What an interrupted recording left beside its sealed segments. */
export type RecoveredTail = {
  readonly files: readonly string[]
  readonly statements: number
  /** Files that could not be read at all. */
  readonly unreadable: readonly string[]
}

export type OpenOptions = {
  /** `full` hashes every segment; `size` is for readers in worker threads of one that already did. */
  readonly verify?: 'full' | 'size'
}

/** Why the last statements of an interrupted recording are missing. */
const NOT_CLOSED = 'recording not closed'

type Part = {
  readonly statements: number
  readonly seqFirst: number
  readonly seqLast: number
  readonly doneUsLast: number
  readonly open: () => SegmentReader
}

export function openRecording(path: string, options: OpenOptions = {}): RecordingReader {
  const manifest = readManifest(path)
  const sealed = manifest.segments.map((segment) => sealedPart(path, segment, options.verify ?? 'full'))
  const tail = readTail(path, manifest)
  return new RecordingReader(path, manifest, sealed, tail)
}

export class RecordingReader {
  readonly path: string
  /** As on disk; for an interrupted recording with the ledger and incidents of the tail. */
  readonly manifest: Manifest
  readonly recovered: RecoveredTail | null
  readonly statementCount: number
  readonly #parts: readonly Part[]
  /** Opened once for look-ups by position. */
  readonly #opened = new Map<Part, SegmentReader>()

  constructor(path: string, manifest: Manifest, sealed: readonly Part[], tail: Tail | null) {
    this.path = path
    this.manifest = tail === null || manifest.endedAtMs !== null ? manifest : { ...manifest, ...tail.later }
    this.recovered = tail?.recovered ?? null
    this.#parts = [...sealed, ...(tail?.parts ?? [])]
    this.statementCount = this.#parts.reduce((sum, part) => sum + part.statements, 0)
  }

  /** When the last answer was complete, microseconds since the start. */
  get lastDoneUs(): number {
    return this.#parts.reduce((last, part) => Math.max(last, part.doneUsLast), 0)
  }

  traceId(seq: number): string {
    return traceId(this.manifest.id, seq)
  }

  sessions(): Session[] {
    const sessions = new Map<number, Session>()
    for (const part of this.#parts) {
      for (const session of withReader(part, (reader) => reader.sessions())) sessions.set(session.session, session)
    }
    return [...sessions.values()].sort((a, b) => a.session - b.session)
  }

  /** In the order of sending. */
  statements(fromSeq = 0): Generator<RecordedStatement> {
    const sources = this.#parts
      .filter((part) => part.statements > 0 && part.seqLast >= fromSeq)
      .map((part) => ({
        first: part.seqFirst,
        open: () => readThenClose(part, (reader) => reader.statements(fromSeq)),
      }))
    return mergeSorted(sources, (statement) => statement.seq)
  }

  /** What the given sessions sent, in the order of sending: for the workers of a replay. */
  scripts(sessions: readonly number[]): Generator<StatementScript> {
    const sources = this.#parts
      .filter((part) => part.statements > 0)
      .map((part) => ({
        first: part.seqFirst,
        open: () => readThenClose(part, (reader) => reader.scripts(sessions)),
      }))
    return mergeSorted(sources, (script) => script.seq)
  }

  /** What the given sessions have after a position, counted by transaction: in the order of sending within a segment. */
  *transactionsAfter(sessions: readonly number[], seq: number): Generator<TransactionRest> {
    for (const part of this.#parts) {
      if (part.statements === 0 || part.seqLast <= seq) continue
      yield* withReader(part, (reader) => reader.transactionsAfter(sessions, seq))
    }
  }

  /** What planning needs, in the order of sending: each is good until the next one is asked for. */
  facts(): Generator<StatementFacts> {
    const sources = this.#parts
      .filter((part) => part.statements > 0)
      .map((part) => ({ first: part.seqFirst, open: () => readThenClose(part, (reader) => reader.facts()) }))
    return mergeSorted(sources, (facts) => facts.seq)
  }

  statement(seq: number): RecordedStatement | undefined {
    for (const part of this.#parts) {
      if (part.statements === 0 || seq < part.seqFirst || seq > part.seqLast) continue
      const statement = this.#reader(part).statement(seq)
      if (statement !== undefined) return statement
    }
    return undefined
  }

  outcome(seq: number): Outcome | undefined {
    for (const part of this.#parts) {
      if (part.statements === 0 || seq < part.seqFirst || seq > part.seqLast) continue
      const outcome = this.#reader(part).outcome(seq)
      if (outcome !== undefined) return outcome
    }
    return undefined
  }

  /** Segment by segment, by time within each. */
  *events(): Generator<SessionEvent> {
    for (const part of this.#parts) yield* readThenClose(part, (reader) => reader.events())
  }

  timeline(): Timeline {
    const sources = this.#parts
      .filter((part) => part.statements > 0)
      .map((part) => ({ first: part.seqFirst, open: () => readThenClose(part, (reader) => reader.heads()) }))
    return timelineOf(
      mergeSorted(sources, (head) => head.seq),
      this.statementCount,
    )
  }

  /** What each text cost, per segment; ./usage.ts adds it up. */
  *usage(): Generator<Usage> {
    for (const part of this.#parts) yield* readThenClose(part, (reader) => reader.usage())
  }

  /** Texts of which masking has something to say, per segment. */
  *masked(): Generator<MaskedUse> {
    for (const part of this.#parts) yield* readThenClose(part, (reader) => reader.masked())
  }

  /** Statements that cannot be replayed as they were sent, by reason. */
  unreplayable(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const part of this.#parts) {
      for (const { reason, count } of withReader(part, (reader) => reader.unreplayable())) {
        counts[reason] = (counts[reason] ?? 0) + count
      }
    }
    return counts
  }

  close(): void {
    for (const reader of this.#opened.values()) reader.close()
    this.#opened.clear()
  }

  #reader(part: Part): SegmentReader {
    let reader = this.#opened.get(part)
    if (reader === undefined) {
      reader = part.open()
      this.#opened.set(part, reader)
    }
    return reader
  }
}

function* readThenClose<T>(part: Part, read: (reader: SegmentReader) => Iterable<T>): Generator<T> {
  const reader = part.open()
  try {
    yield* read(reader)
  } finally {
    reader.close()
  }
}

function withReader<T>(part: Part, read: (reader: SegmentReader) => T): T {
  const reader = part.open()
  try {
    return read(reader)
  } finally {
    reader.close()
  }
}

function sealedPart(path: string, segment: SealedSegment, verify: 'full' | 'size'): Part {
  const file = join(path, segment.file)
  if (!existsSync(file)) throw damaged(file, SEGMENT, 'the file is missing')
  const bytes = statSync(file).size
  // A version that this build does not know is the better explanation, where there is one.
  if (bytes >= segment.bytes) openSegment(file).close()
  if (bytes !== segment.bytes) throw damaged(file, SEGMENT, `it has ${bytes} bytes instead of ${segment.bytes}`)
  if (verify === 'full' && sha256OfFile(file) !== segment.sha256) {
    throw damaged(file, SEGMENT, 'its content does not have the SHA-256 of the manifest')
  }
  return { ...segment, open: () => openSegment(file) }
}

type Tail = {
  readonly parts: readonly Part[]
  readonly recovered: RecoveredTail
  readonly later: Partial<Pick<Manifest, 'ledger' | 'incidents'>>
}

/**
 * Files in the folder that the manifest does not list: the growing segment, one sealed just before a crash, or one that could not be
 * sealed when the disk was full.
 */
export function unlistedSegments(path: string, manifest: Manifest): string[] {
  const folder = join(path, SEGMENTS_FOLDER)
  if (!existsSync(folder)) return []
  const listed = new Set(manifest.segments.map((segment) => segment.file))
  return readdirSync(folder)
    .filter((name) => /^[0-9]{6,}\.sqlite(\.open)?$/.test(name) && !listed.has(`${SEGMENTS_FOLDER}/${name}`))
    .sort()
    .map((name) => join(folder, name))
    .filter((file) => !isUnborn(file))
}

/** The manifest may already have some of the tail's incidents: it is also rewritten when the catalog becomes known. */
function united(known: Manifest['incidents'], more: Manifest['incidents']): Manifest['incidents'] {
  const seen = new Set(known.map((incident) => JSON.stringify(incident)))
  return [...known, ...more.filter((incident) => !seen.has(JSON.stringify(incident)))]
}

function readTail(path: string, manifest: Manifest): Tail | null {
  const parts: Part[] = []
  const files: string[] = []
  const unreadable: string[] = []
  let later: Tail['later'] = {}
  for (const file of unlistedSegments(path, manifest)) {
    try {
      const open = () => openSegment(file)
      const reader = open()
      try {
        const extent = reader.extent()
        parts.push({ ...extent, open })
        later = {
          ledger: settled(reader.ledger(), NOT_CLOSED),
          incidents: united(later.incidents ?? manifest.incidents, reader.incidents()),
        }
      } finally {
        reader.close()
      }
      files.push(file)
    } catch (error) {
      const broken = error instanceof HarnessError ? error.code === SEGMENT.damagedCode : isDamage(error)
      if (!broken) throw error
      unreadable.push(file)
    }
  }
  if (files.length + unreadable.length === 0) return null
  const statements = parts.reduce((sum, part) => sum + part.statements, 0)
  return { parts, recovered: { files, statements, unreadable }, later }
}
