/**
 * A job: one exchange to be sent, with what it waits for and what became of its time.
 *
 * A simple query with several statements is one job with several rows: they go out together, so they wait together.
 */
import type { Timing } from '../../segment/run.js'
import type { StatementScript } from '../../segment/segment-reader.js'
import type { Frame } from '../../segment/statement.js'
import type { Group } from '../../sql/rewrite.js'
import type { Speed } from './pace.js'

/** The recorded outcome stays on disk. */
export type Script = StatementScript

export type Job = {
  /** The message itself, then the further parts of a simple query. */
  readonly rows: readonly [Script, ...Script[]]
  /** Position of each row in the plan. */
  readonly indexes: readonly number[]
  /** Recorded distance from the first statement of the replay. */
  readonly offsetUs: number
  /** In production it was cancelled so long after it was sent; -1: it was not. */
  cancelAfterUs: number
  /** Recorded pause between the answer before it, in its session, and this. */
  thinkUs: number
  /** Somebody waits for its snapshot, and it may take long: the server is asked to answer the Bind at once. */
  readonly flushAfterBind: boolean
  /** Why it is not sent (a position in FILTERED); 0: it is. It has its turn all the same, without time. */
  filtered: number
  /** Its outcome is known from before an interruption; it is sent for what it leaves in its session. */
  again: boolean
  /** How many waits were found satisfied, over all rows; a wait never becomes unsatisfied again. */
  waitsDone: number
  /** When its session was free for it; -1: not yet. */
  freeUs: number
  /** When the last wait was satisfied; -1: not yet. */
  orderUs: number
  dueUs: number
  sentUs: number
  /** A wait was given up to end a standstill. */
  relaxed: boolean
  /** How many statements went out for each row, and whose answer counts; null: one for each. */
  groups: readonly Group[] | null
  /** The messages that went out for it, with those of statements that are sent along. */
  frames: readonly Frame[]
}

export function createJob(
  rows: readonly [Script, ...Script[]],
  indexes: readonly number[],
  offsetUs: number,
  flushAfterBind = false,
): Job {
  const times = { waitsDone: 0, freeUs: -1, orderUs: -1, dueUs: 0, sentUs: 0 }
  return {
    rows,
    indexes,
    offsetUs,
    flushAfterBind,
    cancelAfterUs: -1,
    thinkUs: 0,
    filtered: 0,
    again: false,
    ...times,
    relaxed: false,
    groups: null,
    frames: rows[0].frames,
  }
}

/** The server answers a job of its own accord only when it ends with a Sync, a Flush or is a simple query. */
export function asksForAnswer(job: Job): boolean {
  const { frames } = job.rows[0]
  const last = frames.at(-1)?.[0]
  return last === 'S' || last === 'H' || frames[0]?.[0] === 'Q' || frames[0]?.[0] === 'F'
}

/** Whether production sent the next job before this one was answered. */
export function isPipelined(previous: Job, next: Job): boolean {
  return !asksForAnswer(previous) || next.rows[0].sentUs < previous.rows.at(-1)!.doneUs
}

/** Lateness by cause. `beforeUs`: what the replay took before it was interrupted. At `max` nothing is due, so a statement is due when it is sent; its waits are told all the same. */
export function timingOf(job: Job, doneUs: number, speed: Speed, beforeUs = 0): Timing {
  const { due, free, ordered } = stepsOf(job, speed)
  return {
    dueUs: Math.round(beforeUs + (speed === 'max' ? job.sentUs : job.dueUs)),
    sentUs: Math.round(beforeUs + job.sentUs),
    doneUs: Math.round(beforeUs + doneUs),
    waitOrderUs: Math.round(ordered - free),
    waitSessionUs: Math.round(free - due),
    waitWorkerUs: Math.round(Math.max(0, job.sentUs - ordered)),
  }
}

/** What a statement was late for: order, its connection not being open yet, an answer of its session being out, our own thread. */
export type Causes = {
  readonly orderUs: number
  readonly connectionUs: number
  readonly serverUs: number
  readonly workerUs: number
}

/** When its session's connection was last opened; when it was given one that it shares. */
export function causesOf(job: Job, { openedUs, grantedUs }: Connected, speed: Speed): Causes {
  const { due, free, ordered } = stepsOf(job, speed)
  const connectionUs = Math.min(free - due, Math.max(0, openedUs - due))
  const last = Math.max(0, job.sentUs - ordered)
  const sharedUs = Math.min(last, Math.max(0, grantedUs - ordered))
  return {
    orderUs: ordered - free,
    connectionUs: connectionUs + sharedUs,
    serverUs: free - due - connectionUs,
    workerUs: last - sharedUs,
  }
}

type Connected = { readonly openedUs: number; readonly grantedUs: number }

function stepsOf(job: Job, speed: Speed): { due: number; free: number; ordered: number } {
  // A rate and a ramp make due what has no schedule.
  const due = speed === 'max' ? Math.max(job.freeUs, job.dueUs) : job.dueUs
  const free = Math.max(due, job.freeUs)
  return { due, free, ordered: Math.max(free, job.orderUs) }
}
