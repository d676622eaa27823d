/**
 * The agenda of one worker: which of its sessions may send what now.
 *
 * A job goes out when its session is free, its time is due, its waits are satisfied and the rate allows it, in this order. No clock,
 * socket or file in here: time comes in as a function, what is to be sent goes out through callbacks.
 *
 * A lane (one session's jobs) that cannot go on is in exactly one place: nowhere (its session is busy, closed, or has nothing to
 * send; whoever changes that calls here), in the heap of times, or parked on another session's progress.
 */

import { DueHeap } from './due-heap.js'
import { isPipelined, type Job } from './job.js'
import { dueUs, type Pacing, ramped } from './pace.js'
import type { Plan } from './plan-shape.js'
import type { Progress, WaitKind } from './progress.js'

export type Lane = {
  /** Dense index, as in the plan. */
  readonly session: number
  readonly queue: Job[]
  /** First job of `queue` not sent yet; the front is cut off now and then. */
  queueAt: number
  /** The connection can take statements. */
  open: boolean
  /** Sent and not answered yet. */
  unanswered: number
  lastSent: Job | null
  /** When its last statement was answered; -1: none was, or nobody wants to know. */
  answeredUs: number
  /** When its connection was last opened. */
  openedUs: number
  /** When it was last given a connection that it shares. */
  grantedUs: number
  /** Without a schedule: when it may begin. */
  readonly startUs: number
  /** Nothing more will be offered. */
  ended: boolean
  finished: boolean
  dirty: boolean
  parked: Parked | null
  /** In a replay that is to stop: between transactions, and nobody waits for more of it. */
  resting: boolean
  /** The moment it stands in the heap for; -1: it does not. */
  timedUs: number
}

type Parked = { readonly session: number; readonly ordinal: number; readonly kind: WaitKind }

export function createLane(session: number, startUs = 0): Lane {
  return {
    session,
    queue: [],
    queueAt: 0,
    open: false,
    unanswered: 0,
    lastSent: null,
    answeredUs: -1,
    openedUs: 0,
    grantedUs: 0,
    startUs,
    ended: false,
    finished: false,
    dirty: false,
    parked: null,
    resting: false,
    timedUs: -1,
  }
}

export function jobsLeft(lane: Lane): number {
  return lane.queue.length - lane.queueAt
}

export type AgendaOptions = {
  readonly plan: Plan
  readonly progress: Progress
  readonly pacing: Pacing
  /** When the rate lets the next statement go; null: no limit. */
  readonly takeTurn: ((nowUs: number) => number) | null
  readonly nowUs: () => number
  readonly send: (lane: Lane, job: Job) => void
  /** Whether the lane has a connection; if not, it is touched when it gets one. Absent: every open lane has its own. */
  readonly acquire?: (lane: Lane) => boolean
  /** A job waits behind unanswered ones whose answers the server still holds back: others may wait for them. */
  readonly flush: (lane: Lane) => void
  /** Whether the server has no transaction open for the lane. Absent: it has none when everything is answered. */
  readonly isIdle?: (lane: Lane) => boolean
  /** All jobs of the lane are answered and no more will come; done() is to follow when its connection is closed. */
  readonly finished: (lane: Lane) => void
}

export class Agenda {
  readonly #options: AgendaOptions
  readonly #lanes = new Map<number, Lane>()
  readonly #dirty: Lane[] = []
  readonly #heap = new DueHeap<Lane>()
  /** Lanes by the session they are parked on. */
  readonly #parkedOn = new Map<number, Lane[]>()
  #running = false
  #lanesDone = 0
  #draining = false
  /** While true nothing is sent: whoever takes the outcomes is behind. */
  paused = false

  constructor(options: AgendaOptions) {
    this.#options = options
  }

  /** When run() wants to be called next, if nothing else happens. */
  get nextDueUs(): number {
    return this.#heap.nextUs
  }

  get parkedCount(): number {
    let count = 0
    for (const lanes of this.#parkedOn.values()) count += lanes.length
    return count
  }

  get isDone(): boolean {
    return this.#lanesDone === this.#lanes.size
  }

  add(lane: Lane): void {
    this.#lanes.set(lane.session, lane)
  }

  offer(lane: Lane, job: Job): void {
    lane.queue.push(job)
    if (jobsLeft(lane) === 1) this.touch(lane)
  }

  /** Nothing more will come for it. */
  end(lane: Lane): void {
    lane.ended = true
    // Nobody ever opened a connection for a lane that was given nothing.
    if (lane.lastSent === null && lane.queue.length === 0) lane.open = true
    this.touch(lane)
  }

  /** Something about the lane changed: look at it in the next run. */
  touch(lane: Lane): void {
    if (lane.dirty) return
    lane.dirty = true
    this.#dirty.push(lane)
  }

  /** Every row of the job has its outcome, or is accounted for otherwise. */
  answered(lane: Lane, job: Job): void {
    lane.unanswered -= 1
    if (this.#options.pacing.think !== null && job.filtered === 0) lane.answeredUs = this.#options.nowUs()
    this.#options.progress.complete(lane.session, job.rows.at(-1)!.ordinal)
    this.#recheck(lane.session)
    this.touch(lane)
  }

  snapshotTaken(lane: Lane, job: Job): void {
    this.#options.progress.snapshotTaken(lane.session, job.rows[0].ordinal)
    this.#recheck(lane.session)
  }

  /** The session's connection is closed, and with it whatever it had open: nobody shall wait for it any more. */
  done(lane: Lane): void {
    this.#lanesDone += 1
    this.#options.progress.finish(lane.session)
    this.#recheck(lane.session)
  }

  /**
   * The replay is to stop where it can be gone on with: who is in a transaction goes on to its end, without keeping to the schedule; who is
   * between two stays there, unless somebody waits for what it would do next.
   */
  drain(): void {
    this.#draining = true
    for (const lane of this.#lanes.values()) this.touch(lane)
  }

  /** Another worker made progress, or the watchdog released somebody. */
  woken(): void {
    for (const lanes of this.#parkedOn.values()) {
      for (const lane of lanes) if (this.#mayGoOn(lane)) this.touch(lane)
    }
    if (this.#draining) for (const lane of this.#lanes.values()) if (lane.resting) this.touch(lane)
  }

  /** Sends everything that may be sent now. */
  run(): void {
    if (this.#running || this.paused) return
    this.#running = true
    const now = this.#options.nowUs()
    for (let lane = this.#heap.popDue(now); lane !== undefined; lane = this.#heap.popDue(now)) {
      lane.timedUs = -1
      this.touch(lane)
    }
    // Lanes that become dirty meanwhile are appended and reached by the same loop.
    for (let i = 0; i < this.#dirty.length; i++) {
      const lane = this.#dirty[i]!
      lane.dirty = false
      this.#advance(lane)
    }
    this.#dirty.length = 0
    this.#running = false
  }

  #advance(lane: Lane): void {
    this.#unpark(lane)
    if (this.#staysAtRest(lane)) return
    while (lane.open && !lane.finished) {
      const job = lane.queue[lane.queueAt]
      if (job === undefined) {
        if (lane.ended && lane.unanswered === 0) {
          lane.finished = true
          this.#rest(lane, true)
          this.#options.finished(lane)
        }
        return
      }
      if (lane.unanswered > 0 && !isPipelined(lane.lastSent!, job)) return
      const now = this.#options.nowUs()
      if (job.freeUs < 0) {
        job.freeUs = now
        job.dueUs = this.#dueOf(lane, job)
      }
      if (job.dueUs > now && !this.#draining) {
        this.#sleep(lane, job.dueUs)
        return
      }
      const wait = this.#firstWait(lane, job)
      if (wait !== null) {
        this.#park(lane, job, wait)
        return
      }
      if (job.orderUs < 0) {
        job.orderUs = now
        const turn = job.filtered > 0 ? 0 : (this.#options.takeTurn?.(now) ?? 0)
        if (turn > now) {
          job.dueUs = turn
          this.#sleep(lane, turn)
          return
        }
      }
      if (job.filtered === 0 && this.#options.acquire?.(lane) === false) return
      this.#send(lane, job)
      if (this.#staysAtRest(lane)) return
    }
  }

  #staysAtRest(lane: Lane): boolean {
    if (!this.#draining || lane.finished) return false
    const stays = lane.unanswered === 0 && this.#isBetween(lane) && !this.#options.progress.isAwaited(lane.session)
    this.#rest(lane, stays)
    return stays
  }

  #isBetween(lane: Lane): boolean {
    const job = lane.queue[lane.queueAt]
    if (job === undefined && lane.ended) return false
    if (lane.lastSent === null) return true
    if (job === undefined) return this.#options.isIdle?.(lane) ?? true
    return job.rows[0].transaction !== lane.lastSent.rows.at(-1)!.transaction
  }

  #rest(lane: Lane, rests: boolean): void {
    if (lane.resting === rests) return
    lane.resting = rests
    this.#options.progress.rests(rests)
  }

  #dueOf(lane: Lane, job: Job): number {
    const { speed, rampUs, think } = this.#options.pacing
    if (job.filtered > 0) return 0
    if (speed === 'max') return lane.startUs
    if (think !== null && lane.answeredUs >= 0) return lane.answeredUs + (job.thinkUs * think) / speed
    return ramped(dueUs(job.offsetUs, speed), rampUs)
  }

  #send(lane: Lane, job: Job): void {
    lane.queueAt += 1
    if (lane.queueAt > 64 && lane.queueAt * 2 > lane.queue.length) {
      lane.queue.splice(0, lane.queueAt)
      lane.queueAt = 0
    }
    lane.unanswered += 1
    lane.lastSent = job
    job.sentUs = this.#options.nowUs()
    this.#options.send(lane, job)
  }

  #sleep(lane: Lane, untilUs: number): void {
    if (lane.timedUs === untilUs) return
    lane.timedUs = untilUs
    this.#heap.push(untilUs, lane)
  }

  /** The first wait that is not satisfied yet. */
  #firstWait(lane: Lane, job: Job): Parked | null {
    const { plan, progress } = this.#options
    if (job.relaxed) return null
    let seen = 0
    for (const index of job.indexes) {
      const end = plan.waitStart[index + 1]!
      for (let at = plan.waitStart[index]!; at < end; at++) {
        if (seen++ < job.waitsDone) continue
        const session = plan.waitSession[at]!
        const ordinal = plan.waitOrdinal[at]!
        const kind = plan.waitKind[at] as WaitKind
        if (!progress.reached(session, ordinal, kind)) {
          if (!progress.isReleased(lane.session, job.indexes[0]!)) return { session, ordinal, kind }
          job.relaxed = true
          return null
        }
        job.waitsDone += 1
      }
    }
    return null
  }

  #park(lane: Lane, job: Job, wait: Parked): void {
    const { progress } = this.#options
    lane.parked = wait
    const lanes = this.#parkedOn.get(wait.session)
    if (lanes === undefined) this.#parkedOn.set(wait.session, [lane])
    else lanes.push(lane)
    progress.park(lane.session, job.indexes[0]!, wait.session, wait.ordinal)
    if (lane.unanswered > 0) this.#options.flush(lane)
    const own = this.#lanes.get(wait.session)
    if (own !== undefined) {
      if (own.resting) this.touch(own)
      return
    }
    this.#want(wait.session)
    if (this.#draining) progress.wakeAll()
    // The other worker may have got there between our look and our wish.
    if (this.#mayGoOn(lane)) this.touch(lane)
  }

  #unpark(lane: Lane): void {
    const wait = lane.parked
    if (wait === null) return
    lane.parked = null
    this.#options.progress.unpark(lane.session)
    const lanes = this.#parkedOn.get(wait.session)!
    lanes.splice(lanes.indexOf(lane), 1)
    if (lanes.length === 0) this.#parkedOn.delete(wait.session)
    if (!this.#lanes.has(wait.session)) this.#want(wait.session)
  }

  #want(session: number): void {
    let lowest = 0
    for (const { parked } of this.#parkedOn.get(session) ?? []) {
      if (lowest === 0 || parked!.ordinal < lowest) lowest = parked!.ordinal
    }
    this.#options.progress.want(session, lowest)
  }

  #recheck(session: number): void {
    const lanes = this.#parkedOn.get(session)
    if (lanes === undefined) return
    for (const lane of lanes) if (this.#mayGoOn(lane)) this.touch(lane)
  }

  #mayGoOn(lane: Lane): boolean {
    const { progress } = this.#options
    const { session, ordinal, kind } = lane.parked!
    return (
      progress.reached(session, ordinal, kind) ||
      progress.isReleased(lane.session, lane.queue[lane.queueAt]!.indexes[0]!)
    )
  }
}
