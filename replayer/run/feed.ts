/**
 * The feed: a worker's own statements, read from the recording as they are needed and put together to jobs.
 *
 * One pass over the recording in the order of sending. What is read ahead is bounded, so memory does not grow with the recording; a
 * statement may wait only for statements that were sent before it was answered, so what everybody waits for is never far ahead.
 */

import { createJob, type Job, type Script } from './job.js'
import type { Plan } from './plan-shape.js'
import { reenacted, reenactedIn } from './reenact.js'
import { AGAIN } from './selection.js'

export type FeedSource = Iterator<Script>

/** Whether it is its session's first job, whether no more will come. */
export type Place = { readonly isFirst: boolean; readonly isLast: boolean }

export type FeedOptions = {
  readonly source: FeedSource
  readonly plan: Plan
  readonly positions: Positions
  /** Dense index of a recorded session; undefined: another worker's. */
  readonly own: ReadonlyMap<number, number>
  readonly originUs: number
  /** Per statement of the plan: why it is not sent. null: everything is. */
  readonly fates: Uint8Array | null
  readonly offer: (session: number, job: Job, place: Place) => void
  /** When a statement was cancelled, counted from its sending; -1: it was not. */
  readonly cancelledAfterUs?: (script: Script) => number
  /** The recording is over, whatever the plan had expected. */
  readonly ended: () => void
}

/** Where a session's statements stand in the plan: from `start[session]` on in `index`. */
export type Positions = {
  readonly start: Int32Array
  readonly index: Int32Array
  /** 1: somebody waits for the statement's snapshot. */
  readonly snapshotWanted: Uint8Array
}

/** Below this a read is awaited like anything else: asking for an early answer costs the server a packet. */
const LONG_READ_US = 2000

export class Feed {
  readonly #options: FeedOptions
  /** Per session, how many of its statements were read. */
  readonly #read = new Map<number, number>()
  /** Per session, when its last statement was answered in production. */
  readonly #answeredUs = new Map<number, number>()
  #rows: Script[] = []
  #indexes: number[] = []
  #ended = false
  /** How production's server ended a statement, by its position in the plan. */
  readonly #reenacted: ReadonlyMap<number, string>
  /** Position of the last statement that was read. */
  lastSeq = -1

  constructor(options: FeedOptions) {
    this.#options = options
    this.#reenacted = reenactedIn(options.plan)
  }

  get hasEnded(): boolean {
    return this.#ended
  }

  /** Reads until so many jobs were offered, or the recording is over. */
  pull(jobs: number): void {
    for (let offered = 0; offered < jobs && !this.#ended; ) {
      const next = this.#options.source.next()
      if (next.done === true) {
        this.#ended = true
        this.#close()
        this.#options.ended()
        return
      }
      const script = next.value
      this.lastSeq = script.seq
      const session = this.#options.own.get(script.session)
      if (session === undefined) continue
      if (script.part === 0 && this.#close()) offered += 1
      this.#rows.push(script)
      this.#indexes.push(this.#indexOf(session))
      // Further parts follow at once, and only a simple query has any.
      if (script.part === 0 && script.frames[0]?.[0] !== 'Q' && this.#close()) offered += 1
    }
  }

  /** Statements of the job that is being put together. */
  get begun(): readonly Script[] {
    return this.#rows
  }

  /** The job that was being put together is whole. */
  #close(): boolean {
    const [head, ...rest] = this.#rows
    if (head === undefined) return false
    const ended = this.#reenacted.get(this.#indexes[0]!)
    const first = ended === undefined ? head : reenacted(head, ended)
    const { originUs, positions, own, fates, offer } = this.#options
    const isWanted = positions.snapshotWanted[this.#indexes[0]!] === 1 && first.doneUs - first.sentUs >= LONG_READ_US
    const flush = isWanted && first.frames.some(([kind]) => kind === 'B')
    const job = createJob([first, ...rest], this.#indexes, Math.max(0, first.sentUs - originUs), flush)
    const fate = fates?.[job.indexes[0]!] ?? 0
    job.again = fate === AGAIN
    job.filtered = job.again ? 0 : fate
    job.cancelAfterUs = this.#options.cancelledAfterUs?.(first) ?? -1
    const answeredUs = this.#answeredUs.get(first.session) ?? first.sentUs
    job.thinkUs = Math.max(0, first.sentUs - answeredUs)
    if (job.filtered === 0) this.#answeredUs.set(first.session, job.rows.at(-1)!.doneUs)
    this.#rows = []
    this.#indexes = []
    const session = own.get(first.session)!
    const read = this.#read.get(session)!
    const count = positions.start[session + 1]! - positions.start[session]!
    offer(session, job, { isFirst: read === job.rows.length, isLast: read === count })
    return true
  }

  #indexOf(session: number): number {
    const read = this.#read.get(session) ?? 0
    this.#read.set(session, read + 1)
    return this.#options.positions.index[this.#options.positions.start[session]! + read]!
  }
}

/** In shared memory, like the plan. */
export function positionsOf(plan: Plan): Positions {
  const { sessionCount, statementCount, session, ordinal } = plan
  const start = sharedInts(sessionCount + 1)
  const index = sharedInts(statementCount)
  for (let i = 0; i < statementCount; i++) start[session[i]! + 1]! += 1
  for (let s = 0; s < sessionCount; s++) start[s + 1]! += start[s]!
  const next = start.slice()
  for (let i = 0; i < statementCount; i++) index[next[session[i]!]!++] = i
  const snapshotWanted = new Uint8Array(new SharedArrayBuffer(Math.max(1, statementCount)))
  for (let w = 0; w < plan.waitKind.length; w++) {
    if (plan.waitKind[w] !== 1) continue
    const at = find(plan.waitSession[w]!, plan.waitOrdinal[w]!)
    if (at >= 0) snapshotWanted[at] = 1
  }
  return { start, index, snapshotWanted }

  /** Ordinals ascend within a session. */
  function find(s: number, wanted: number): number {
    let low = start[s]!
    let high = start[s + 1]! - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const found = ordinal[index[middle]!]!
      if (found === wanted) return index[middle]!
      if (found < wanted) low = middle + 1
      else high = middle - 1
    }
    return -1
  }
}

function sharedInts(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Math.max(1, length) * 4))
}
